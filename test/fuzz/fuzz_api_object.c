// SPDX-License-Identifier: Apache-2.0
// \file
// Any bytes as a watch event's or list's object: taken into a store, with all it may hold within bounds, or refused
// with a reason. Also as a Status.
#include "base/rcu.h"
#include "kube/decode.h"
#include "kube/status.h"
#include "kube/store.h"
#include <jansson.h>
#include <string.h>

// `all`: a port without a number is allowed.
static void check_ports(const struct kube_port *ports, size_t n, bool all)
{
    for (size_t i = 0; i < n; i++)
        INVARIANT((all || ports[i].number > 0) && strlen(ports[i].name) <= 63 && ports[i].protocol <= KUBE_SCTP);
}

static void check_addresses(const struct kube_address *addresses, size_t n)
{
    for (size_t i = 0; i < n; i++)
        INVARIANT(addresses[i].len == 4 || addresses[i].len == 16);
}

static void check(const struct kube_object *o)
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

static void apply(const struct kube_object *o)
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool registered;
    if (!registered)
        rcu_thread_start();
    registered = true;
    json_t *object = json_loadb((const char *)data, size, JSON_ALLOW_NUL | JSON_DECODE_ANY, NULL);
    struct arena *a = arena_new(64u << 20);
    INVARIANT(a != NULL);
    for (int kind = -1; kind < KUBE_KINDS; kind++) {
        struct kube_object out;
        char error[200] = "";
        int r = decode_json(object, kind, a, &out, error, sizeof error);
        INVARIANT(r == 0 || r == CDNS_ENOENT || error[0] != '\0');
        if (r == 0) {
            check(&out);
            apply(&out);
        }
        arena_reset(a);
    }
    struct api_status status;
    api_status_decode(object, &status);
    INVARIANT(status.code != 0 && status.retry_after >= 0);
    arena_free(a);
    json_decref(object);
    return 0;
}
