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

struct servers {
    const struct ask *ask;
    int (*take)(struct servers *s, const uint8_t *name, const struct kube_address *ip);
    const uint8_t *owner; // of addresses
    struct section answer, additional;
    int error;
    bool found; // one of the machine's addresses is an endpoint
};

static int take_address(struct servers *s, const uint8_t *name, const struct kube_address *ip)
{
    (void)name;
    bool wanted = ip->len == (s->ask->q->qtype == RR_A ? 4 : 16);
    return wanted ? section_add_address(&s->answer, s->owner, ip) : 0;
}

static int take_name(struct servers *s, const uint8_t *name, const struct kube_address *ip)
{
    struct query *q = s->ask->q;
    size_t len = name_length(name);
    const uint8_t *copy = arena_memdup(q->arena, name, len);
    if (copy == NULL)
        return CDNS_ENOMEM;
    int e = section_add(&s->answer, q->qname_asked, RR_NS, copy, (uint16_t)len);
    return e != 0 ? e : section_add_address(&s->additional, copy, ip);
}

static void add_server(struct servers *s, const uint8_t *const *labels, size_t n, const struct kube_address *ip)
{
    uint8_t name[NAME_MAX_WIRE];
    if (s->error == 0 && name_compose(labels, n, s->ask->zone_asked, name) > 0)
        s->error = s->take(s, name, ip);
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
static void add_headless(struct servers *s, const struct index_service *v, const struct kube_address *local)
{
    size_t n, ports;
    for (size_t i = 0; index_slice(v, i, &n, &ports); i++) {
        for (size_t j = 0; slice_has(v, i, n, local) && j < n; j++) {
            uint8_t room[64];
            struct index_endpoint e;
            index_slice_endpoint(v, i, j, &e);
            add_server(s,
                       (const uint8_t *[]){endpoint_label(s->ask->k, &e, room), index_service_name(v),
                                           index_service_namespace(v), (const uint8_t *)"\3svc"},
                       4, &e.address);
        }
    }
}

static void add_services(struct servers *s, const struct kube_address *local)
{
    uint64_t cursor = 0;
    struct index_reverse r;
    const struct store *store = s->ask->k->store;
    const struct index_service *last = NULL;
    while (index_by_endpoint_ip(store, local, &cursor, &r)) {
        s->found = true;
        const struct index_service *v = index_service(store, r.namespace_label, r.service_label);
        if (v == NULL || v == last)
            continue;
        last = v;
        if (index_service_type(v) == KUBE_HEADLESS) {
            add_headless(s, v, local);
            continue;
        }
        struct kube_address ip;
        for (size_t i = 0; index_cluster_ip(v, i, &ip); i++)
            add_server(s,
                       (const uint8_t *[]){index_service_name(v), index_service_namespace(v), (const uint8_t *)"\3svc"},
                       3, &ip);
    }
}

// Gives all servers to `take`.
static int take_servers(struct servers *s)
{
    const struct kubernetes *k = s->ask->k;
    for (size_t i = 0; i < k->nlocal; i++)
        add_services(s, &k->local[i]);
    for (size_t i = 0; !s->found && i < k->nlocal; i++)
        add_server(s, (const uint8_t *[]){ns_dns, ns_dns + 3}, 2, &k->local[i]);
    return s->error;
}

int add_server_addresses(const struct ask *a, const uint8_t *owner)
{
    struct servers s = {.ask = a, .take = take_address, .owner = owner};
    s.answer = (struct section){.q = a->q, .set = &a->q->reply.answer, .ttl = a->k->ttl, .unique = true};
    return take_servers(&s);
}

enum verdict answer_ns(const struct ask *a)
{
    struct servers s = {.ask = a, .take = take_name};
    s.answer = (struct section){.q = a->q, .set = &a->q->reply.answer, .ttl = a->k->ttl, .unique = true};
    s.additional = (struct section){.q = a->q, .set = &a->q->reply.additional, .ttl = a->k->ttl};
    return finish(a, FOUND_EMPTY, take_servers(&s));
}
