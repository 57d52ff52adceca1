// SPDX-License-Identifier: Apache-2.0
#include "plugins/kubernetes/kubernetes.h"

// With the option `namespaces`, others have no names for addresses either.
static bool shown(const struct kubernetes *k, const uint8_t *ns)
{
    return !k->namespaces_only || (namespace_configured(k, ns) && index_namespace(k->store, ns));
}

static int add_ptr(struct section *s, const struct kubernetes *k, const uint8_t *const *labels, size_t n)
{
    static const uint8_t svc[] = "\3svc";
    const uint8_t *all[4] = {NULL};
    uint8_t target[NAME_MAX_WIRE];
    for (size_t i = 0; i < n; i++)
        all[i] = labels[i];
    all[n] = svc;
    size_t len = name_compose(all, n + 1, k->primary->name, target);
    return len == 0 ? 0 : section_add(s, s->q->qname_asked, RR_PTR, target, (uint16_t)len);
}

static int add_names(const struct ask *a, const struct kube_address *ip)
{
    const struct kubernetes *k = a->k;
    const struct index_service *v = index_by_cluster_ip(k->store, ip);
    struct section s = {.q = a->q, .set = &a->q->reply.answer, .ttl = k->ttl, .unique = true};
    if (v != NULL && shown(k, index_service_namespace(v)))
        return add_ptr(&s, k, (const uint8_t *[]){index_service_name(v), index_service_namespace(v)}, 2);
    uint64_t cursor = 0;
    struct index_reverse r;
    int e = 0;
    while (e == 0 && index_by_endpoint_ip(k->store, ip, &cursor, &r)) {
        uint8_t room[64];
        if (shown(k, r.namespace_label) && r.endpoint.canonical)
            e = add_ptr(&s, k,
                        (const uint8_t *[]){endpoint_label(k, &r.endpoint, room), r.service_label, r.namespace_label},
                        3);
    }
    return e;
}

bool reverse_found(const struct kubernetes *k, const struct kube_address *ip)
{
    const struct index_service *v = index_by_cluster_ip(k->store, ip);
    if (v != NULL && shown(k, index_service_namespace(v)))
        return true;
    uint64_t cursor = 0;
    struct index_reverse r;
    while (index_by_endpoint_ip(k->store, ip, &cursor, &r))
        if (shown(k, r.namespace_label) && r.endpoint.canonical)
            return true;
    return false;
}

enum verdict answer_ptr(const struct ask *a)
{
    struct kube_address ip;
    ip.len = (uint8_t)name_to_address(a->q->qname, ip.bytes);
    if (ip.len > 0) {
        int e = add_names(a, &ip);
        return finish(a, e == 0 && a->q->reply.answer.n == 0 ? FOUND_NOTHING : FOUND_EMPTY, e);
    }
    struct match m;
    find(a->k, a->zone, a->q->qname, a->labels, &m);
    return finish(a, m.found == FOUND_SERVER ? FOUND_NOTHING : m.found, 0);
}
