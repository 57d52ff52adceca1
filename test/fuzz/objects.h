// SPDX-License-Identifier: Apache-2.0
// \file
// What must hold of every decoded object, whatever it was decoded from.
#pragma once
#include "kube/store.h"
#include <string.h>

// `all`: a port without a number is allowed.
static inline void check_ports(const struct kube_port *ports, size_t n, bool all)
{
    for (size_t i = 0; i < n; i++)
        INVARIANT((all || ports[i].number > 0) && strlen(ports[i].name) <= 63 && ports[i].protocol <= KUBE_SCTP);
}

static inline void check_addresses(const struct kube_address *addresses, size_t n)
{
    for (size_t i = 0; i < n; i++)
        INVARIANT(addresses[i].len == 4 || addresses[i].len == 16);
}

// All that an object holds is within bounds.
static inline void check_object(const struct kube_object *o)
{
    INVARIANT(o->name[0] != '\0' && strlen(o->name) <= 253 && strlen(o->namespace_) <= 63);
    INVARIANT((o->kind == KUBE_NAMESPACE) == (o->namespace_[0] == '\0'));
    if (o->kind == KUBE_SERVICE || o->kind == KUBE_SERVICE_IMPORT) {
        check_ports(o->service.ports, o->service.nports, false);
        check_addresses(o->service.cluster_ips, o->service.ncluster_ips);
        INVARIANT((o->service.type == KUBE_EXTERNALNAME) == (o->service.external_name != NULL));
    } else if (o->kind == KUBE_ENDPOINTSLICE || o->kind == KUBE_IMPORTED_SLICE) {
        check_ports(o->slice.ports, o->slice.nports, true);
        INVARIANT(strlen(o->slice.service) <= 63);
        for (size_t i = 0; i < o->slice.nendpoints; i++) {
            const struct kube_endpoint *e = &o->slice.endpoints[i];
            check_addresses(&e->address, 1);
            INVARIANT(strlen(e->hostname) <= 63 && strlen(e->pod_name) <= 253);
        }
    } else if (o->kind == KUBE_POD) {
        check_addresses(o->pod.ips, o->pod.nips);
    }
}

// A store can take it.
static inline void apply_object(const struct kube_object *o)
{
    static const struct store_options options = {
        .endpoints = true, .pods = true, .pod_names = true, .zones = true, .imports = true};
    struct store *s = store_new(&options);
    INVARIANT(s != NULL);
    if (store_upsert(s, o) == 0) {
        store_commit(s);
        store_delete(s, o);
    }
    store_commit(s);
    store_free(s);
}
