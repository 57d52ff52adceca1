// SPDX-License-Identifier: Apache-2.0
#include "kube/decode.h"
#include "plugins/kubernetes/kubernetes.h"
#include <string.h>

static bool equal(const uint8_t *a, const uint8_t *b)
{
    return a[0] == b[0] && memcmp(a + 1, b + 1, a[0]) == 0;
}

bool namespace_configured(const struct kubernetes *k, const uint8_t *label)
{
    for (size_t i = 0; i < k->nnamespaces; i++)
        if (equal(k->namespaces[i], label))
            return true;
    return !k->namespaces_only;
}

// --- ports

static bool port_meant(const struct name_parts *r, const struct index_port *port)
{
    static const char *const protocols[] = {[KUBE_TCP] = "tcp", [KUBE_UDP] = "udp", [KUBE_SCTP] = "sctp"};
    if (r->port.len > 0 && (r->port.len != port->name[0] || memcmp(r->port.text, port->name + 1, r->port.len) != 0))
        return false;
    const char *protocol = protocols[port->protocol];
    return r->protocol.len == 0 ||
           (r->protocol.len == strlen(protocol) && memcmp(r->protocol.text, protocol, r->protocol.len) == 0);
}

// An object without ports has one of no name, protocol and number: the name resolves, but gets no SRV.
static bool no_port(const struct name_parts *r, size_t *i, struct index_port *port)
{
    static const uint8_t unnamed[1];
    *port = (struct index_port){.name = unnamed};
    return (*i)++ == 0 && r->port.len == 0 && r->protocol.len == 0;
}

bool service_port(const struct match *m, size_t *i, struct index_port *port)
{
    if (!index_service_port(m->service, 0, port) && !m->zone->multicluster) // an import has ports, or is nothing
        return no_port(&m->r, i, port);
    while (index_service_port(m->service, (*i)++, port))
        if (port_meant(&m->r, port))
            return true;
    return false;
}

// --- endpoints

struct walk walk_start(const struct kubernetes *k, const struct match *m)
{
    return (struct walk){.k = k, .m = m, .slice = SIZE_MAX};
}

bool walk_port(const struct walk *w, size_t *i, struct index_port *port)
{
    if (w->nports == 0)
        return no_port(&w->m->r, i, port);
    while (*i < w->nports) {
        index_slice_port(w->m->service, w->slice, (*i)++, port);
        if (port_meant(&w->m->r, port))
            return true;
    }
    return false;
}

const uint8_t *walk_cluster(const struct walk *w)
{
    return index_slice_cluster(w->m->service, w->slice);
}

// Is the slice of the cluster that the endpoint's name says? Slices of none have endpoints of no cluster.
static bool cluster_meant(const struct walk *w)
{
    static const uint8_t none[1];
    const struct name_parts *r = &w->m->r;
    return r->endpoint == NULL || equal(walk_cluster(w), r->cluster != NULL ? r->cluster : none);
}

static bool next_slice(struct walk *w)
{
    if (!index_slice(w->m->service, ++w->slice, &w->nendpoints, &w->nports))
        return false;
    struct index_port port;
    bool meant = cluster_meant(w);
    w->next = w->matching = 0;
    for (size_t i = 0; meant && walk_port(w, &i, &port);)
        w->matching++;
    if (w->matching == 0)
        w->next = w->nendpoints;
    return true;
}

static bool endpoint_meant(const struct walk *w, const struct index_endpoint *e)
{
    const struct name_parts *r = &w->m->r;
    const uint8_t *label = r->endpoint;
    if (label == NULL)
        return r->topology == NULL || name_is_topology(r, e->zone);
    if (e->hostname[0] > 0)
        return equal(e->hostname, label);
    if (w->k->endpoint_pod_names && e->pod_name[0] > 0)
        return equal(e->pod_name, label);
    const struct kube_address *a = &w->m->address;
    return a->len == e->address.len && memcmp(a->bytes, e->address.bytes, a->len) == 0;
}

bool walk_next(struct walk *w, struct index_endpoint *e)
{
    for (;;) {
        while (w->next < w->nendpoints) {
            index_slice_endpoint(w->m->service, w->slice, w->next++, e);
            if (endpoint_meant(w, e))
                return true;
        }
        if (!next_slice(w))
            return false;
    }
}

const uint8_t *endpoint_label(const struct kubernetes *k, const struct index_endpoint *e, uint8_t *room)
{
    if (e->hostname[0] > 0)
        return e->hostname;
    if (k->endpoint_pod_names && e->pod_name[0] > 0)
        return e->pod_name;
    name_address_label(&e->address, room);
    return room;
}

// --- names

// Texts of the index may have dots, but these part them into labels.
static bool has_dot(const uint8_t *label)
{
    return label != NULL && memchr(label + 1, '.', label[0]) != NULL;
}

static enum found find_endpoints(const struct kubernetes *k, struct match *m)
{
    struct index_endpoint e;
    const uint8_t *label = m->r.endpoint;
    if (has_dot(label) || has_dot(m->r.cluster))
        return FOUND_NOTHING;
    if (label != NULL && !name_label_address(label, &m->address))
        m->address.len = 0;
    struct walk w = walk_start(k, m);
    return walk_next(&w, &e) ? FOUND_ENDPOINTS : FOUND_NOTHING;
}

// A headless service's endpoints in a topology zone. Whether there are any says nothing about the name: it exists.
static enum found find_zonal(const struct kubernetes *k, struct match *m)
{
    enum found found = find_endpoints(k, m);
    if (found == FOUND_NOTHING && m->r.prefer) {
        m->r.topology = NULL;
        found = find_endpoints(k, m);
    }
    return found == FOUND_NOTHING ? FOUND_EMPTY : found;
}

static enum found find_service(const struct kubernetes *k, struct match *m)
{
    const struct name_parts *r = &m->r;
    if (r->service == NULL)
        return index_namespace(k->store, r->ns) ? FOUND_EMPTY : FOUND_NOTHING;
    const struct index_service *v = m->service =
        m->zone->multicluster ? index_import(k->store, r->ns, r->service) : index_service(k->store, r->ns, r->service);
    if (v == NULL || !index_service_namespace_exists(v))
        return FOUND_NOTHING;
    enum kube_service_type type = index_service_type(v);
    if (k->ignore_empty && type == KUBE_CLUSTERIP && !index_has_endpoints(v))
        return FOUND_NOTHING;
    if (r->form == NAME_ZONAL)
        return type == KUBE_HEADLESS ? find_zonal(k, m) : FOUND_NOTHING;
    if (type == KUBE_EXTERNALNAME) {
        bool plain = r->endpoint == NULL && r->port.len == 0 && r->protocol.len == 0;
        struct kube_address ip;
        return plain && decode_address(index_external_name(v), &ip, NULL) != 0 ? FOUND_EXTERNAL : FOUND_NOTHING;
    }
    if (type == KUBE_HEADLESS || r->endpoint != NULL)
        return find_endpoints(k, m);
    struct index_port port;
    size_t i = 0;
    if (!service_port(m, &i, &port))
        return FOUND_NOTHING;
    return FOUND_CLUSTER;
}

static enum found find_pod(const struct kubernetes *k, struct match *m)
{
    bool canonical;
    if (!index_namespace(k->store, m->r.ns) || k->pods == PODS_DISABLED)
        return FOUND_NOTHING;
    if (m->r.service == NULL)
        return FOUND_EMPTY;
    if (!name_pod_address(m->r.service, &m->address, &canonical))
        return FOUND_NOTHING;
    if (k->pods == PODS_VERIFIED && (!canonical || index_pods(k->store, m->r.ns, &m->address, 1) == 0))
        return FOUND_NOTHING;
    return FOUND_POD;
}

void find(const struct kubernetes *k, const struct zone *zone, const uint8_t *name, unsigned labels, struct match *m)
{
    m->zone = zone;
    m->service = NULL;
    m->found = FOUND_NOTHING;
    name_parse(name, labels, zone, k->from.store.zones, &m->r);
    switch (m->r.form) {
    case NAME_EMPTY:
        m->found = FOUND_EMPTY;
        break;
    case NAME_SERVER:
        m->found = FOUND_SERVER;
        break;
    case NAME_SERVICE:
    case NAME_ZONAL:
        if (namespace_configured(k, m->r.ns))
            m->found = find_service(k, m);
        break;
    case NAME_POD:
        if (namespace_configured(k, m->r.ns))
            m->found = find_pod(k, m);
        break;
    case NAME_INVALID:
    case NAME_VERSION:
        break;
    }
}
