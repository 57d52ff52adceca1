// SPDX-License-Identifier: Apache-2.0
// The apex: SOA and NS, and the addresses of the name server ns.dns.
#include "plugins/kubernetes/kubernetes.h"
#include <string.h>

static const uint8_t ns_dns[] = "\2ns\3dns";

static size_t ns_dns_name(const uint8_t *zone, uint8_t *out)
{
    int len = name_join(ns_dns, zone, out);
    return len < 0 ? 0 : (size_t)len;
}

int add_soa(const struct ask *a, struct records *set)
{
    uint8_t mname[NAME_MAX_WIRE], rname[NAME_MAX_WIRE];
    if (ns_dns_name(a->zone_asked, mname) == 0 || name_join((const uint8_t *)"\12hostmaster", a->zone_asked, rname) < 0)
        return 0; // a zone that is nearly as long as a name can be goes without
    const struct store *s = a->k->store;
    uint32_t serial = a->zone->multicluster ? index_imports_serial(s) : index_serial(s);
    const uint32_t numbers[5] = {serial, 7200, 1800, 86400, a->k->ttl};
    uint16_t len;
    const uint8_t *rdata = rdata_soa(a->q->arena, mname, rname, numbers, &len);
    uint32_t ttl = a->k->ttl < 300 ? a->k->ttl : 300;
    return rdata == NULL ? CDNS_ENOMEM : records_add(set, a->q->arena, a->zone_asked, RR_SOA, ttl, rdata, len);
}

enum verdict answer_soa(const struct ask *a)
{
    // Below the apex CoreDNS does not look whether the name is there.
    return finish(a, FOUND_EMPTY, a->labels == 0 ? add_soa(a, &a->q->reply.answer) : 0);
}

// --- this server's own names: the Services that one of the machine's addresses is an endpoint of

#define SERVERS_MAX 512

struct server {
    const uint8_t *name;
    struct kube_address address;
};

struct servers {
    struct server *list;
    size_t n;
    bool found; // one of the machine's addresses is an endpoint
};

static void add_server(const struct ask *a, struct servers *s, const uint8_t *const *labels, size_t n,
                       const struct kube_address *ip)
{
    uint8_t name[NAME_MAX_WIRE];
    size_t len = name_compose(labels, n, a->zone_asked, name);
    const uint8_t *copy = len == 0 ? NULL : arena_memdup(a->q->arena, name, len);
    if (copy != NULL && s->n < SERVERS_MAX)
        s->list[s->n++] = (struct server){.name = copy, .address = *ip};
}

static bool slice_has(const struct index_service *v, size_t slice, size_t n, const struct kube_address *ip)
{
    struct index_endpoint e;
    for (size_t i = 0; i < n; i++) {
        index_slice_endpoint(v, slice, i, &e);
        if (e.address.len == ip->len && memcmp(e.address.bytes, ip->bytes, ip->len) == 0)
            return true;
    }
    return false;
}

// A headless service's servers are the endpoints of the slices that the local address stands in.
static void add_headless(const struct ask *a, struct servers *s, const struct index_service *v,
                         const struct kube_address *local)
{
    size_t n, ports;
    for (size_t i = 0; index_slice(v, i, &n, &ports); i++) {
        for (size_t j = 0; slice_has(v, i, n, local) && j < n; j++) {
            uint8_t room[64];
            struct index_endpoint e;
            index_slice_endpoint(v, i, j, &e);
            add_server(a, s,
                       (const uint8_t *[]){endpoint_label(a->k, &e, room), index_service_name(v),
                                           index_service_namespace(v), (const uint8_t *)"\3svc"},
                       4, &e.address);
        }
    }
}

static void add_services(const struct ask *a, struct servers *s, const struct kube_address *local)
{
    uint64_t cursor = 0;
    struct index_reverse r;
    const struct index_service *last = NULL;
    while (index_by_endpoint_ip(a->k->store, local, &cursor, &r)) {
        s->found = true;
        const struct index_service *v = index_service(a->k->store, r.namespace_label, r.service_label);
        if (v == NULL || v == last)
            continue;
        last = v;
        if (index_service_type(v) == KUBE_HEADLESS) {
            add_headless(a, s, v, local);
            continue;
        }
        struct kube_address ip;
        for (size_t i = 0; index_cluster_ip(v, i, &ip); i++)
            add_server(a, s,
                       (const uint8_t *[]){index_service_name(v), index_service_namespace(v), (const uint8_t *)"\3svc"},
                       3, &ip);
    }
}

static int find_servers(const struct ask *a, struct servers *s)
{
    *s = (struct servers){.list = arena_alloc(a->q->arena, SERVERS_MAX * sizeof *s->list)};
    if (s->list == NULL)
        return CDNS_ENOMEM;
    for (size_t i = 0; i < a->k->nlocal; i++)
        add_services(a, s, &a->k->local[i]);
    for (size_t i = 0; !s->found && i < a->k->nlocal; i++)
        add_server(a, s, (const uint8_t *[]){ns_dns, ns_dns + 3}, 2, &a->k->local[i]);
    return 0;
}

int add_server_addresses(const struct ask *a, const uint8_t *owner)
{
    struct servers s;
    int e = find_servers(a, &s);
    struct section section = {.q = a->q, .set = &a->q->reply.answer, .ttl = a->k->ttl, .unique = true};
    for (size_t i = 0; e == 0 && i < s.n; i++)
        if (s.list[i].address.len == (a->q->qtype == RR_A ? 4 : 16))
            e = section_add_address(&section, owner, &s.list[i].address);
    return e;
}

enum verdict answer_ns(const struct ask *a)
{
    struct query *q = a->q;
    struct servers s;
    int e = find_servers(a, &s);
    struct section answer = {.q = q, .set = &q->reply.answer, .ttl = a->k->ttl, .unique = true};
    struct section additional = {.q = q, .set = &q->reply.additional, .ttl = a->k->ttl};
    for (size_t i = 0; e == 0 && i < s.n; i++) {
        const uint8_t *name = s.list[i].name;
        e = section_add(&answer, q->qname_asked, RR_NS, name, (uint16_t)name_length(name));
        if (e == 0)
            e = section_add_address(&additional, name, &s.list[i].address);
    }
    return finish(a, FOUND_EMPTY, e);
}
