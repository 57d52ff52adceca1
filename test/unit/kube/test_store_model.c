// SPDX-License-Identifier: Apache-2.0
// Random events against the store and against a model that keeps whole objects in an array; every look-up is compared,
// after each of RUNS_EVENTS events, or after an even share of those that CLUSTERDNS_CHURN_EVENTS says.
#include "base/rcu.h"
#include "churn_events.h"
#include "kube/index.h"
#include "kube/store.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NAMESPACES 3
#define SERVICES 4 // a namespace
#define SLICES 5   // a namespace
#define PODS 4     // a namespace
#define ADDRESSES 14
#define ENDPOINTS 40 // a slice, at most
#define RUNS 12
#define RUNS_EVENTS 18000u // of all runs

static const char *const namespaces[NAMESPACES] = {"default", "kube-system", "n3"};
static const char *const services[SERVICES] = {"web", "db", "a-rather-long-service-name", "4"};
static const char *const hostnames[] = {"", "", "db-0", "db-1", "Mixed-Case"};
static const char *const zones[] = {"", "zone-a", "Zone-B", "eu.west-1.c", "no zone"};
static const char *const clusters[] = {"", "east", "West.2"};

struct model_object {
    bool present, named; // named: since the relist began
    struct kube_object o;
    struct kube_address ips[4];
    struct kube_port ports[3];
    struct kube_endpoint endpoints[ENDPOINTS];
    char name[32];
};

// Of services and slices first the cluster's own, then the imported ones.
static struct model_object model_namespaces[NAMESPACES], model_services[2][NAMESPACES][SERVICES],
    model_slices[2][NAMESPACES][SLICES], model_pods[NAMESPACES][PODS];
static struct kube_address addresses[ADDRESSES];
static struct store *store;
static bool pod_names, with_zones, with_imports;
static unsigned naddresses; // in use

static unsigned seed;
static unsigned dice(unsigned n)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % n;
}

static void make_label(const char *text, uint8_t label[64])
{
    label[0] = (uint8_t)strlen(text);
    for (size_t i = 0; i < label[0]; i++)
        label[1 + i] = (uint8_t)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] + 32 : text[i]);
}

static bool equal_labels(const uint8_t *a, const uint8_t *b)
{
    return a[0] == b[0] && memcmp(a, b, 1u + b[0]) == 0;
}

static bool same_label(const uint8_t *a, const char *text)
{
    uint8_t b[64];
    make_label(text, b);
    return equal_labels(a, b);
}

static bool same_address(const struct kube_address *a, const struct kube_address *b)
{
    return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

// --- random objects

static void random_ports(struct model_object *m, const struct kube_port **ports, size_t *n)
{
    static const char *const names[] = {"", "http", "metrics"};
    *ports = m->ports;
    *n = dice(4);
    for (size_t i = 0; i < *n; i++)
        m->ports[i] = (struct kube_port){names[dice(3)], (uint16_t)(1 + dice(3)), (enum kube_protocol)dice(3)};
}

static void random_service(struct model_object *m)
{
    static const char *const targets[] = {"example.org", "Web.Default.svc.cluster.local.", ""};
    struct kube_service *s = &m->o.service;
    unsigned types = m->o.kind == KUBE_SERVICE ? 3 : 2;
    *s = (struct kube_service){.type = (enum kube_service_type)dice(types), .cluster_ips = m->ips};
    random_ports(m, &s->ports, &s->nports);
    if (s->type == KUBE_CLUSTERIP)
        for (s->ncluster_ips = 0; s->ncluster_ips < dice(4); s->ncluster_ips++)
            m->ips[s->ncluster_ips] = addresses[dice(naddresses)];
    if (s->type == KUBE_EXTERNALNAME)
        s->external_name = targets[dice(3)];
}

static void random_slice(struct model_object *m)
{
    struct kube_slice *s = &m->o.slice;
    *s = (struct kube_slice){.service = dice(8) == 0 ? "" : services[dice(SERVICES)], .endpoints = m->endpoints};
    s->cluster = clusters[dice(3)];
    random_ports(m, &s->ports, &s->nports);
    s->nendpoints = dice(4) == 0 ? dice(ENDPOINTS) : dice(4);
    for (size_t i = 0; i < s->nendpoints; i++)
        m->endpoints[i] = (struct kube_endpoint){
            .address = addresses[dice(naddresses)],
            .canonical = dice(2) == 0,
            .ready = dice(4) > 0,
            .hostname = hostnames[dice(5)],
            .pod_name = dice(2) == 0 ? "" : "pod.with-dots",
            .zone = zones[dice(5)],
        };
}

static void random_pod(struct model_object *m)
{
    struct kube_pod *p = &m->o.pod;
    *p = (struct kube_pod){.ips = m->ips, .nips = dice(3), .terminated = dice(6) == 0};
    for (size_t i = 0; i < p->nips; i++)
        m->ips[i] = addresses[dice(naddresses)];
}

static void upsert(struct model_object *m)
{
    m->present = m->named = true;
    assert_int_equal(store_upsert(store, &m->o), 0);
}

static void change(struct model_object *m)
{
    if (dice(4) == 0) {
        m->present = false;
        store_delete(store, &m->o);
        return;
    }
    if (!m->present || dice(5) > 0) {
        if (m->o.kind == KUBE_SERVICE || m->o.kind == KUBE_SERVICE_IMPORT)
            random_service(m);
        else if (m->o.kind == KUBE_ENDPOINTSLICE || m->o.kind == KUBE_IMPORTED_SLICE)
            random_slice(m);
        else if (m->o.kind == KUBE_POD)
            random_pod(m);
        upsert(m);
        return;
    }
    struct store_stats before, after;
    store_stats(store, &before);
    upsert(m); // the same once more
    store_stats(store, &after);
    assert_int_equal(before.changes, after.changes);
}

static struct model_object *of_kind(enum kube_kind kind, size_t *n)
{
    switch (kind) {
    case KUBE_NAMESPACE:
        *n = NAMESPACES;
        return model_namespaces;
    case KUBE_SERVICE:
    case KUBE_SERVICE_IMPORT:
        *n = NAMESPACES * SERVICES;
        return model_services[kind == KUBE_SERVICE_IMPORT][0];
    case KUBE_ENDPOINTSLICE:
    case KUBE_IMPORTED_SLICE:
        *n = NAMESPACES * SLICES;
        return model_slices[kind == KUBE_IMPORTED_SLICE][0];
    default:
        *n = NAMESPACES * PODS;
        return model_pods[0];
    }
}

static void relist(enum kube_kind kind)
{
    size_t n;
    struct model_object *m = of_kind(kind, &n);
    for (int round = dice(3) == 0 ? 0 : 1; round < 2; round++) { // sometimes it breaks off and starts again
        store_relist_begin(store, kind);
        for (size_t i = 0; i < n; i++)
            m[i].named = false;
        for (unsigned i = 0; i < 2 * n; i++)
            if (dice(2) == 0)
                change(&m[dice((unsigned)n)]);
    }
    store_relist_end(store, kind);
    for (size_t i = 0; i < n; i++)
        m[i].present = m[i].present && m[i].named;
}

// --- comparison

static bool slice_of(const struct model_object *m, const char *service)
{
    return m->present && strcmp(m->o.slice.service, service) == 0;
}

// The topology zone of an endpoint of a slice: the last one that its address was given there.
static const char *zone_of(const struct model_object *m, const struct kube_endpoint *e)
{
    const char *zone = "";
    for (size_t i = 0; with_zones && m->o.kind == KUBE_ENDPOINTSLICE && i < m->o.slice.nendpoints; i++) {
        const struct kube_endpoint *k = &m->o.slice.endpoints[i];
        if (k->ready && same_address(&k->address, &e->address) && k->zone[0] != 0 && strcmp(k->zone, "no zone") != 0)
            zone = k->zone;
    }
    return zone;
}

// Endpoints of a service in the model that are like `e`; of a slice of this cluster alone, if `cluster` is not NULL.
static size_t count_endpoints(int imported, int ns, const char *service, const uint8_t *cluster,
                              const struct index_endpoint *e)
{
    size_t n = 0;
    for (int i = 0; i < SLICES; i++) {
        const struct model_object *m = &model_slices[imported][ns][i];
        if (cluster != NULL && m->present && !same_label(cluster, imported ? m->o.slice.cluster : ""))
            continue;
        for (size_t j = 0; slice_of(m, service) && j < m->o.slice.nendpoints; j++) {
            const struct kube_endpoint *k = &m->o.slice.endpoints[j];
            n += k->ready && same_address(&k->address, &e->address) && same_label(e->hostname, k->hostname) &&
                 same_label(e->pod_name, pod_names ? k->pod_name : "") && same_label(e->zone, zone_of(m, k)) &&
                 e->canonical == (k->canonical || k->address.len == 4);
        }
    }
    return n;
}

static size_t count_index_endpoints(const struct index_service *v, const uint8_t *cluster,
                                    const struct index_endpoint *like)
{
    size_t n = 0, nendpoints, nports;
    for (size_t i = 0; index_slice(v, i, &nendpoints, &nports); i++)
        for (size_t j = 0; j < nendpoints && equal_labels(index_slice_cluster(v, i), cluster); j++) {
            struct index_endpoint e;
            index_slice_endpoint(v, i, j, &e);
            n += same_address(&e.address, &like->address) && e.canonical == like->canonical &&
                 equal_labels(e.hostname, like->hostname) && equal_labels(e.pod_name, like->pod_name) &&
                 equal_labels(e.zone, like->zone);
        }
    return n;
}

static void compare_endpoints(int imported, int ns, const char *name, const struct index_service *v)
{
    size_t total = 0, seen = 0, nendpoints, nports;
    bool twice[ADDRESSES] = {0}, duplicates = false;
    for (int i = 0; i < SLICES; i++) {
        const struct model_object *m = &model_slices[imported][ns][i];
        for (size_t j = 0; slice_of(m, name) && j < m->o.slice.nendpoints; j++)
            total += m->o.slice.endpoints[j].ready;
    }
    for (size_t i = 0; index_slice(v, i, &nendpoints, &nports); i++) {
        const uint8_t *cluster = index_slice_cluster(v, i);
        assert_true(nendpoints > 0);
        for (size_t j = 0; j < nendpoints; j++, seen++) {
            struct index_endpoint e;
            index_slice_endpoint(v, i, j, &e);
            assert_int_equal(count_endpoints(imported, ns, name, cluster, &e), count_index_endpoints(v, cluster, &e));
            for (int a = 0; a < ADDRESSES; a++)
                if (same_address(&addresses[a], &e.address)) {
                    duplicates |= twice[a];
                    twice[a] = true;
                }
        }
    }
    assert_int_equal(seen, total);
    assert_int_equal(index_has_endpoints(v), total > 0);
    if (duplicates)
        assert_true(index_has_duplicates(v));
}

static void compare_service(int imported, int ns, int service)
{
    const struct model_object *m = &model_services[imported][ns][service];
    uint8_t a[64], b[64];
    make_label(namespaces[ns], a);
    make_label(services[service], b);
    const struct index_service *v = imported ? index_import(store, a, b) : index_service(store, a, b);
    assert_int_equal(v != NULL, m->present && (!imported || with_imports));
    if (v == NULL)
        return;
    const struct kube_service *s = &m->o.service;
    assert_int_equal(index_service_type(v), s->type);
    assert_int_equal(index_service_namespace_exists(v), model_namespaces[ns].present);
    assert_true(same_label(index_service_name(v), services[service]));
    assert_true(same_label(index_service_namespace(v), namespaces[ns]));
    struct kube_address ip;
    size_t n = 0;
    for (size_t i = 0; i < s->ncluster_ips; i++) {
        bool again = false;
        for (size_t j = 0; j < i; j++)
            again |= same_address(&s->cluster_ips[i], &s->cluster_ips[j]);
        if (again)
            continue;
        assert_true(index_cluster_ip(v, n++, &ip));
        assert_true(same_address(&ip, &s->cluster_ips[i]));
    }
    assert_false(index_cluster_ip(v, n, &ip));
    struct index_port port;
    for (n = 0; n < s->nports; n++) {
        assert_true(index_service_port(v, n, &port));
        assert_true(port.numbered && port.number == s->ports[n].number && port.protocol == s->ports[n].protocol);
        assert_true(same_label(port.name, s->ports[n].name));
    }
    assert_false(index_service_port(v, n, &port));
    if (s->type == KUBE_EXTERNALNAME)
        assert_string_equal(index_external_name(v), s->external_name);
    else
        assert_null(index_external_name(v));
    compare_endpoints(imported, ns, services[service], v);
}

static int ns_number(const uint8_t *label)
{
    for (int i = 0; i < NAMESPACES; i++)
        if (same_label(label, namespaces[i]))
            return i;
    fail();
    return -1;
}

static void compare_address(const struct kube_address *a)
{
    size_t owners = 0, endpoints = 0, found = 0;
    for (int ns = 0; ns < NAMESPACES; ns++) {
        for (int i = 0; i < SERVICES; i++)
            for (size_t j = 0; model_services[0][ns][i].present && j < model_services[0][ns][i].o.service.ncluster_ips;
                 j++)
                owners += same_address(a, &model_services[0][ns][i].ips[j]);
        for (int i = 0; i < SLICES; i++)
            for (size_t j = 0; model_slices[0][ns][i].present && model_slices[0][ns][i].o.slice.service[0] != 0 &&
                               j < model_slices[0][ns][i].o.slice.nendpoints;
                 j++)
                endpoints += model_slices[0][ns][i].endpoints[j].ready &&
                             same_address(a, &model_slices[0][ns][i].endpoints[j].address);
        size_t pods = 0;
        for (int i = 0; i < PODS; i++)
            for (size_t j = 0;
                 model_pods[ns][i].present && !model_pods[ns][i].o.pod.terminated && j < model_pods[ns][i].o.pod.nips;
                 j++)
                pods += same_address(a, &model_pods[ns][i].ips[j]);
        uint8_t label[64];
        make_label(namespaces[ns], label);
        assert_int_equal(index_pods(store, label, a, 1), pods > 0);
    }
    const struct index_service *v = index_by_cluster_ip(store, a);
    assert_int_equal(v != NULL, owners > 0);
    struct kube_address ip;
    bool has = v == NULL;
    for (size_t i = 0; v != NULL && index_cluster_ip(v, i, &ip); i++)
        has |= same_address(a, &ip);
    assert_true(has);
    uint64_t cursor = 0;
    struct index_reverse r;
    for (; index_by_endpoint_ip(store, a, &cursor, &r); found++) {
        char name[64] = "";
        memcpy(name, r.service_label + 1, r.service_label[0]);
        assert_true(same_address(a, &r.endpoint.address));
        assert_true(count_endpoints(0, ns_number(r.namespace_label), name, NULL, &r.endpoint) > 0);
    }
    assert_int_equal(found, endpoints);
}

static void compare(void)
{
    rcu_section_begin();
    for (int ns = 0; ns < NAMESPACES; ns++) {
        uint8_t label[64];
        make_label(namespaces[ns], label);
        assert_int_equal(index_namespace(store, label), model_namespaces[ns].present);
        for (int i = 0; i < SERVICES; i++)
            compare_service(0, ns, i), compare_service(1, ns, i);
    }
    for (int i = 0; i < ADDRESSES; i++)
        compare_address(&addresses[i]);
    rcu_section_end();
}

// --- the run

static struct model_object named(enum kube_kind kind, int ns, const char *name)
{
    return (struct model_object){.o = {.kind = kind, .namespace_ = namespaces[ns], .name = name}};
}

static void name_numbered(struct model_object *m, enum kube_kind kind, int ns, const char *format, int number)
{
    *m = named(kind, ns, m->name);
    snprintf(m->name, sizeof m->name, format, number);
}

static void name_objects(void)
{
    for (int ns = 0; ns < NAMESPACES; ns++) {
        model_namespaces[ns] = (struct model_object){.o = {.kind = KUBE_NAMESPACE, .name = namespaces[ns]}};
        for (int i = 0; i < SERVICES; i++) {
            model_services[0][ns][i] = named(KUBE_SERVICE, ns, services[i]);
            model_services[1][ns][i] = named(KUBE_SERVICE_IMPORT, ns, services[i]);
        }
        for (int i = 0; i < SLICES; i++) { // of the same names
            name_numbered(&model_slices[0][ns][i], KUBE_ENDPOINTSLICE, ns, "slice-%d", i);
            name_numbered(&model_slices[1][ns][i], KUBE_IMPORTED_SLICE, ns, "slice-%d", i);
        }
        for (int i = 0; i < PODS; i++)
            name_numbered(&model_pods[ns][i], KUBE_POD, ns, "pod-%d", i);
    }
}

static void run(unsigned from, unsigned events, unsigned every)
{
    struct store_stats empty, end;
    seed = from;
    pod_names = from % 2 == 1;
    with_zones = from % 4 > 1;
    with_imports = from % 5 > 0;
    store = store_new(&(struct store_options){
        .endpoints = true, .pods = true, .pod_names = pod_names, .zones = with_zones, .imports = with_imports});
    store_stats(store, &empty);
    name_objects();
    for (unsigned i = 0; i < events; i++) {
        size_t n;
        enum kube_kind kind = (enum kube_kind)dice(KUBE_KINDS);
        struct model_object *m = of_kind(kind, &n);
        if (dice(20) == 0)
            relist(kind);
        else
            change(&m[dice((unsigned)n)]);
        if (i % every == 0 || i + 1 == events)
            compare();
        if (dice(10) == 0)
            store_commit(store);
    }
    for (int kind = 0; kind < KUBE_KINDS; kind++) { // an empty list ends everything
        store_relist_begin(store, (enum kube_kind)kind);
        store_relist_end(store, (enum kube_kind)kind);
    }
    store_commit(store);
    name_objects();
    compare();
    store_stats(store, &end);
    assert_int_equal(end.namespaces + end.services + end.slices + end.endpoints + end.pods, 0);
    assert_int_equal(end.imports + end.imported_slices, 0);
    assert_true(end.bytes < empty.bytes + 8192); // tables that have grown a little, the buffer objects are built in
    store_free(store);
}

static void random_events(void **state)
{
    (void)state;
    naddresses = ADDRESSES;
    unsigned events = churn_events(RUNS_EVENTS);
    for (unsigned i = 1; i <= RUNS; i++)
        run(i, events / RUNS, 1 + events / (RUNS_EVENTS + 1));
}

static void random_events_of_few_addresses(void **state)
{
    (void)state;
    for (unsigned i = 1; i <= 6; i++) {
        naddresses = 1 + i % 2;
        run(100 + i, 1000, 1);
    }
}

int main(void)
{
    rcu_thread_start();
    for (int i = 0; i < ADDRESSES; i++) {
        addresses[i].len = i % 2 == 0 ? 4 : 16;
        memset(addresses[i].bytes, i + 1, addresses[i].len);
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_events),
                                       cmocka_unit_test(random_events_of_few_addresses)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rcu_thread_end();
    return failed;
}
