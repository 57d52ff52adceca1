// SPDX-License-Identifier: Apache-2.0
// hosts: answers names and addresses from a hosts file and from lines of the Corefile.
#include "plugins/hosts/hosts.h"

#include <clusterdns/rcu.h>

#define ANSWER_MAX 65535 // bytes of a section beyond which no message takes more
#define RECORD_FIXED 12  // of a record: compressed owner, type, class, TTL, length

// What is looked at for one question: the file first.
struct view {
    const struct hosts_map *maps[2];
    size_t n;
};

// The file's map stays until the query's RCU read section ends.
static struct view view_of(const struct hosts *h)
{
    struct view v = {.n = 0};
    const struct hosts_map *file = RCU_READ(h->map);
    if (file != NULL)
        v.maps[v.n++] = file;
    v.maps[v.n++] = h->lines;
    return v;
}

// Adds a record whose rdata is copied. False: there is no room, and the reply says so.
static bool add(const struct hosts *h, struct query *q, size_t *bytes, const void *rdata, size_t rdlen)
{
    const uint8_t *copy = arena_memdup(q->arena, rdata, rdlen);
    *bytes += RECORD_FIXED + rdlen;
    if (*bytes <= ANSWER_MAX && copy != NULL &&
        records_add(&q->reply.answer, q->arena, q->qname, q->qtype, h->ttl, copy, (uint16_t)rdlen) == 0)
        return true;
    q->reply.tc = true;
    return false;
}

static void add_addresses(const struct hosts *h, const struct view *v, struct query *q)
{
    size_t bytes = 0;
    for (size_t i = 0; i < v->n; i++) {
        const struct hosts_map *m = v->maps[i];
        uint32_t e = hosts_map_find(m, q->qname, q->qname_len, q->qtype == RR_A ? 4 : 16);
        for (; e != 0; e = hosts_map_next(m, e)) {
            struct ip_address a = hosts_map_address(m, e);
            if (!add(h, q, &bytes, a.bytes, a.len))
                return;
        }
    }
}

static void add_names(const struct hosts *h, const struct view *v, struct query *q)
{
    struct ip_address a;
    size_t bytes = 0;
    a.len = (uint8_t)name_to_address(q->qname, a.bytes);
    if (a.len == 0)
        return;
    ip_unmap(&a);
    for (size_t i = 0; i < v->n; i++)
        for (uint32_t e = hosts_map_find_address(v->maps[i], &a); e != 0; e = hosts_map_next_name(v->maps[i], e)) {
            const uint8_t *name = hosts_map_name(v->maps[i], e);
            if (!add(h, q, &bytes, name, name_length(name)))
                return;
        }
}

static bool exists(const struct view *v, const struct query *q)
{
    for (size_t i = 0; i < v->n; i++)
        if (hosts_map_find(v->maps[i], q->qname, q->qname_len, 4) != 0 ||
            hosts_map_find(v->maps[i], q->qname, q->qname_len, 16) != 0)
            return true;
    return false;
}

// Addresses of any zone have their names; what else is outside of the zones is the next plugin's, and so are addresses
// without a name, whatever `fallthrough` says.
static enum verdict hosts_query(void *self, struct query *q)
{
    const struct hosts *h = self;
    if (q->qtype != RR_PTR && !zone_list_has(&h->zones, q->qname))
        return VERDICT_NEXT;
    const struct view v = view_of(h);
    if (q->qtype == RR_PTR)
        add_names(h, &v, q);
    else if (q->qtype == RR_A || q->qtype == RR_AAAA)
        add_addresses(h, &v, q);
    else if (h->fallthrough_unsupported && zone_list_has(&h->fall, q->qname))
        return VERDICT_NEXT;
    bool found = q->reply.answer.n > 0;
    if (q->qtype == RR_PTR && !found)
        return VERDICT_NEXT;
    if (!found && !exists(&v, q)) {
        if (zone_list_has(&h->fall, q->qname))
            return VERDICT_NEXT;
        q->reply.rcode = RCODE_SERVFAIL; // there is no SOA to say NXDOMAIN with
        return VERDICT_DONE;
    }
    q->reply.aa = true;
    return VERDICT_DONE;
}

CLUSTERDNS_PLUGIN(hosts, .setup = hosts_setup, .destroy = hosts_destroy, .start = hosts_start, .stop = hosts_stop,
                  .query = hosts_query);
