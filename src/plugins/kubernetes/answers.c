// SPDX-License-Identifier: Apache-2.0
#include "plugins/kubernetes/kubernetes.h"
#include <string.h>

bool zone_known(const struct kubernetes *k, const struct zone *zone)
{
    return index_synced(k->store) && (!zone->multicluster || index_imports_synced(k->store));
}

enum verdict finish(const struct ask *a, enum found found, int error)
{
    struct query *q = a->q;
    if (error != 0 && q->reply.answer.n == 0)
        return query_fail(q, RCODE_SERVFAIL, "plugin/kubernetes: %s", error_text(error));
    q->reply.tc |= error != 0; // so much that it cannot fit
    if (found == FOUND_NOTHING) {
        if (!zone_known(a->k, a->zone))
            q->reply.rcode = RCODE_SERVFAIL; // it may be there: nobody knows yet
        else if (name_zone(a->k->fall, a->k->nfall, q->qname, q->qname_len) != NULL)
            return VERDICT_NEXT;
        else
            q->reply.rcode = RCODE_NXDOMAIN;
    }
    q->reply.aa = true;
    if (q->reply.answer.n == 0 && add_soa(a, &q->reply.authority) != 0)
        return query_fail(q, RCODE_SERVFAIL, "plugin/kubernetes: %s", error_text(CDNS_ENOMEM));
    return VERDICT_DONE;
}

static void find_asked(const struct ask *a, struct match *m)
{
    find(a->k, a->zone, a->q->qname, a->labels, m);
}

// --- addresses

static int add_cluster_addresses(const struct ask *a, const struct match *m, const uint8_t *owner, size_t len)
{
    struct section s = {.q = a->q, .set = &a->q->reply.answer, .ttl = a->k->ttl};
    struct kube_address ip;
    int e = 0;
    for (size_t i = 0; e == 0 && index_cluster_ip(m->service, i, &ip); i++)
        if (ip.len == len)
            e = section_add_address(&s, owner, &ip);
    return e;
}

static int add_endpoint_addresses(const struct ask *a, const struct match *m, const uint8_t *owner, size_t len)
{
    struct section s = {
        .q = a->q, .set = &a->q->reply.answer, .ttl = a->k->ttl, .unique = index_has_duplicates(m->service)};
    struct walk w = walk_start(a->k, m);
    struct index_endpoint endpoint;
    int e = 0;
    while (e == 0 && walk_next(&w, &endpoint))
        if (endpoint.address.len == len)
            e = section_add_address(&s, owner, &endpoint.address);
    return e;
}

int add_addresses(const struct ask *a, const struct match *m, const uint8_t *owner)
{
    size_t len = a->q->qtype == RR_A ? 4 : 16;
    struct section s = {.q = a->q, .set = &a->q->reply.answer, .ttl = a->k->ttl};
    switch (m->found) {
    case FOUND_CLUSTER:
        return add_cluster_addresses(a, m, owner, len);
    case FOUND_ENDPOINTS:
        return add_endpoint_addresses(a, m, owner, len);
    case FOUND_POD:
        return m->address.len == len ? section_add_address(&s, owner, &m->address) : 0;
    case FOUND_SERVER:
        return add_server_addresses(a, owner);
    case FOUND_NOTHING:
    case FOUND_EMPTY:
    case FOUND_EXTERNAL:
        break;
    }
    return 0;
}

enum verdict answer_address(const struct ask *a)
{
    struct match m;
    find_asked(a, &m);
    if (m.found == FOUND_EXTERNAL)
        return answer_external(a, &m);
    return finish(a, m.found, add_addresses(a, &m, a->q->qname_asked));
}

// --- services

// What is on its way into the two sections of an answer to SRV.
struct srv {
    struct section answer, additional;
    uint16_t weight;
};

#define WEIGHT_LEAST_AT 100 // records have the least weight

// Every record counts, those too that turn out to be the same; in floating point, as CoreDNS does it.
static struct srv srv_start(const struct ask *a, size_t records)
{
    double share = records == 0 ? 0 : 100.0 / (double)(100 * records) * 100;
    struct reply *r = &a->q->reply;
    return (struct srv){
        .answer = {.q = a->q, .set = &r->answer, .ttl = a->k->ttl, .unique = true},
        .additional = {.q = a->q, .set = &r->additional, .ttl = a->k->ttl, .unique = true},
        .weight = share < 1 ? 1 : (uint16_t)share,
    };
}

static int srv_add(struct srv *s, const uint8_t *target, size_t len, uint16_t port, const struct kube_address *ip)
{
    uint8_t rdata[6 + NAME_MAX_WIRE] = {
        0, 0, (uint8_t)(s->weight >> 8), (uint8_t)s->weight, (uint8_t)(port >> 8), (uint8_t)port};
    memcpy(rdata + 6, target, len);
    int e = section_add(&s->answer, s->answer.q->qname_asked, RR_SRV, rdata, (uint16_t)(6 + len));
    return e != 0 ? e : section_add_address(&s->additional, target, ip);
}

static int add_cluster_srv(const struct ask *a, const struct match *m, const uint8_t *rest)
{
    struct index_port port;
    struct kube_address ip;
    size_t ports = 0, ips = 0;
    for (size_t i = 0; service_port(m, &i, &port);)
        ports++;
    while (index_cluster_ip(m->service, ips, &ip))
        ips++;
    struct srv s = srv_start(a, ports * ips);
    uint8_t target[NAME_MAX_WIRE];
    size_t len = name_compose(&m->r.service, 1, rest, target);
    int e = 0;
    for (size_t i = 0; service_port(m, &i, &port);)
        for (size_t j = 0; e == 0 && port.numbered && len > 0 && index_cluster_ip(m->service, j, &ip); j++)
            e = srv_add(&s, target, len, port.number, &ip);
    return e;
}

static int add_endpoint_srv(const struct ask *a, const struct match *m, const uint8_t *rest)
{
    struct index_endpoint endpoint;
    struct index_port port;
    size_t records = 0;
    for (struct walk w = walk_start(a->k, m); walk_next(&w, &endpoint);)
        records += w.matching;
    struct srv s = srv_start(a, records);
    int e = 0;
    for (struct walk w = walk_start(a->k, m); e == 0 && walk_next(&w, &endpoint);) {
        uint8_t room[64], target[NAME_MAX_WIRE];
        const uint8_t *labels[] = {endpoint_label(a->k, &endpoint, room), walk_cluster(&w), m->r.service};
        size_t len = name_compose(labels, 3, rest, target);
        for (size_t i = 0; e == 0 && walk_port(&w, &i, &port);)
            if (port.numbered && len > 0)
                e = srv_add(&s, target, len, port.number, &endpoint.address);
    }
    return e;
}

// A pod's name has no port, which CoreDNS gives as 0. Every pod that has the address counts.
static int add_pod_srv(const struct ask *a, const struct match *m, const uint8_t *rest)
{
    size_t pods = 1;
    if (a->k->pods == PODS_VERIFIED)
        pods = index_pods(a->k->store, m->r.ns, &m->address, WEIGHT_LEAST_AT);
    struct srv s = srv_start(a, pods);
    uint8_t target[NAME_MAX_WIRE];
    size_t len = name_compose(&m->r.service, 1, rest, target);
    return len == 0 ? 0 : srv_add(&s, target, len, 0, &m->address);
}

enum verdict answer_srv(const struct ask *a)
{
    struct match m;
    find_asked(a, &m);
    if (m.found != FOUND_CLUSTER && m.found != FOUND_ENDPOINTS && m.found != FOUND_POD)
        return finish(a, m.found, 0);
    uint8_t rest[NAME_MAX_WIRE]; // namespace.svc.zone
    const uint8_t *labels[] = {m.r.ns, (const uint8_t *)(m.found == FOUND_POD ? "\3pod" : "\3svc")};
    if (name_compose(labels, 2, a->zone_asked, rest) == 0)
        return finish(a, FOUND_EMPTY, 0);
    int e = m.found == FOUND_CLUSTER     ? add_cluster_srv(a, &m, rest)
            : m.found == FOUND_ENDPOINTS ? add_endpoint_srv(a, &m, rest)
                                         : add_pod_srv(a, &m, rest);
    return finish(a, m.found, e);
}

// --- the rest

#define VERSION "1.1.0" // of the Kubernetes DNS specification
#define VERSION_TTL 28800

enum verdict answer_txt(const struct ask *a)
{
    struct match m;
    struct kube_address ip;
    find_asked(a, &m);
    if (m.r.form == NAME_VERSION) {
        static const uint8_t text[] = "\5" VERSION;
        struct section s = {.q = a->q, .set = &a->q->reply.answer, .ttl = VERSION_TTL};
        return finish(a, FOUND_EMPTY, section_add(&s, a->q->qname_asked, RR_TXT, text, sizeof text - 1));
    }
    // Names that have no records of any type do not exist for TXT: neither does the apex. But those of topology zones
    // do.
    bool exists = m.found == FOUND_ENDPOINTS || m.found == FOUND_POD || m.found == FOUND_EXTERNAL ||
                  (m.found == FOUND_CLUSTER && index_cluster_ip(m.service, 0, &ip)) ||
                  (m.found == FOUND_EMPTY && m.r.form == NAME_ZONAL);
    return finish(a, exists ? FOUND_EMPTY : FOUND_NOTHING, 0);
}

enum verdict answer_cname(const struct ask *a)
{
    struct match m;
    uint8_t target[NAME_MAX_WIRE];
    find_asked(a, &m);
    if (m.found != FOUND_EXTERNAL)
        return finish(a, m.found, 0);
    if (name_from_text(index_external_name(m.service), target) != 0)
        return bad_external_name(a, &m);
    struct section s = {.q = a->q, .set = &a->q->reply.answer, .ttl = a->k->ttl};
    return finish(a, m.found, section_add(&s, a->q->qname_asked, RR_CNAME, target, (uint16_t)name_length(target)));
}

enum verdict answer_other(const struct ask *a)
{
    struct match m;
    find_asked(a, &m);
    return finish(a, m.found, 0);
}
