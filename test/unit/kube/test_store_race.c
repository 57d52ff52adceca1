// SPDX-License-Identifier: Apache-2.0
// Readers during churn: what they see is always whole. Made for the thread and address sanitizers.
// CLUSTERDNS_CHURN_EVENTS sets the number of events.
#include "base/clock.h"
#include "base/rcu.h"
#include "churn_events.h"
#include "kube/index.h"
#include "kube/store.h"
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define READERS 2
#define SERVICES 300
#define EVENTS 15000
#define ENDPOINTS 20

static struct store *store;
static atomic_bool stop;
static atomic_ulong seen[3]; // services, endpoints, addresses that readers found

// cmocka's assertions belong to the test's thread: a reader that sees nonsense ends the process.
static void expect(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "a reader saw: %s\n", what);
        abort();
    }
}

static unsigned next(unsigned *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static void name_of(unsigned service, uint8_t label[64])
{
    label[0] = (uint8_t)snprintf((char *)label + 1, 63, "service-%u", service);
}

// Every address of service n begins with 10.n; its third byte is the same within a slice.
static struct kube_address address(unsigned service, unsigned version, unsigned i)
{
    return (struct kube_address){
        .len = 4, .bytes = {10 + (uint8_t)(service >> 8), (uint8_t)service, (uint8_t)version, (uint8_t)i}};
}

static bool is_label(const uint8_t *label, const char *text)
{
    return label[0] == strlen(text) && memcmp(label + 1, text, label[0]) == 0;
}

static void check_service(const struct index_service *v, unsigned service, bool imported)
{
    uint8_t label[64];
    struct kube_address ip;
    struct index_port port;
    size_t n, ports;
    name_of(service, label);
    expect(memcmp(index_service_name(v), label, 1u + label[0]) == 0, "a service of another name");
    expect(index_service_namespace(v)[0] == 7, "a namespace of another name");
    expect(index_cluster_ip(v, 0, &ip) && ip.bytes[0] == 172 && ip.bytes[2] == (uint8_t)service, "a wrong address");
    expect(index_service_port(v, 0, &port) && port.name[0] == 4 && memcmp(port.name + 1, "http", 4) == 0,
           "a wrong port");
    for (size_t i = 0; index_slice(v, i, &n, &ports); i++) {
        struct index_endpoint e, first;
        expect(n > 0 && ports == 1, "an empty slice");
        expect(is_label(index_slice_cluster(v, i), imported ? "east" : ""), "a slice of another cluster");
        index_slice_endpoint(v, i, 0, &first);
        for (size_t j = 0; j < n; j++) {
            index_slice_endpoint(v, i, j, &e);
            expect(e.address.len == 4 && e.address.bytes[1] == (uint8_t)service, "another service's endpoint");
            expect(e.address.bytes[2] == first.address.bytes[2], "endpoints of two versions in one slice");
            expect(is_label(e.hostname, "host"), "a wrong hostname");
            expect(is_label(e.zone, imported ? "" : j % 2 == 0 ? "even" : "odd"), "a wrong zone");
            atomic_fetch_add(&seen[1], 1);
        }
    }
    atomic_fetch_add(&seen[0], 1);
}

static void check_reverse(unsigned service, unsigned version, unsigned i)
{
    struct kube_address a = address(service, version, i);
    struct index_reverse r;
    uint64_t cursor = 0;
    uint8_t label[64];
    name_of(service, label);
    while (index_by_endpoint_ip(store, &a, &cursor, &r)) {
        expect(memcmp(r.endpoint.address.bytes, a.bytes, 4) == 0, "an endpoint of another address");
        expect(memcmp(r.service_label, label, 1u + label[0]) == 0, "an address of another service");
        atomic_fetch_add(&seen[2], 1);
    }
}

static void *reader(void *arg)
{
    unsigned seed = *(unsigned *)arg;
    static const uint8_t ns[] = "\7default";
    rcu_thread_start();
    while (!atomic_load(&stop)) {
        unsigned service = next(&seed) % SERVICES;
        uint8_t label[64];
        name_of(service, label);
        rcu_section_begin();
        const struct index_service *v = index_service(store, ns, label);
        if (v != NULL)
            check_service(v, service, false);
        v = index_import(store, ns, label);
        if (v != NULL)
            check_service(v, service, true);
        check_reverse(service, next(&seed) % 4, next(&seed) % ENDPOINTS);
        struct kube_address ip = {.len = 4, .bytes = {172, (uint8_t)(service >> 8), (uint8_t)service, 1}};
        v = index_by_cluster_ip(store, &ip);
        if (v != NULL)
            check_service(v, service, false);
        index_pods(store, ns, &ip, SIZE_MAX);
        index_namespace(store, ns);
        index_serial(store);
        index_imports_serial(store);
        rcu_section_end();
    }
    rcu_thread_end();
    return NULL;
}

static void upsert_service(enum kube_kind kind, unsigned i)
{
    static const struct kube_port port = {"http", 80, KUBE_TCP};
    struct kube_address ips[] = {{.len = 4, .bytes = {172, (uint8_t)(i >> 8), (uint8_t)i, 1}},
                                 {.len = 4, .bytes = {172, (uint8_t)(i >> 8), (uint8_t)i, 2}}};
    static unsigned toggle;
    char name[64];
    snprintf(name, sizeof name, "service-%u", i);
    struct kube_object o = {.kind = kind, .namespace_ = "default", .name = name};
    o.service =
        (struct kube_service){.cluster_ips = ips, .ncluster_ips = 1 + ++toggle % 2, .ports = &port, .nports = 1};
    assert_int_equal(store_upsert(store, &o), 0);
}

static void upsert_slice(enum kube_kind kind, unsigned i, unsigned version, size_t n)
{
    static const struct kube_port port = {"http", 8080, KUBE_TCP};
    struct kube_endpoint e[ENDPOINTS];
    char service[64], name[64];
    snprintf(service, sizeof service, "service-%u", i);
    snprintf(name, sizeof name, "service-%u-%u", i, version % 2);
    for (unsigned j = 0; j < n; j++)
        e[j] = (struct kube_endpoint){.address = address(i, version, j),
                                      .canonical = true,
                                      .ready = true,
                                      .hostname = "host",
                                      .pod_name = "",
                                      .zone = j % 2 == 0 ? "even" : "odd"};
    struct kube_object o = {.kind = kind, .namespace_ = "default", .name = name};
    o.slice = (struct kube_slice){
        .service = service, .cluster = "East", .endpoints = e, .nendpoints = n, .ports = &port, .nports = 1};
    assert_int_equal(store_upsert(store, &o), 0);
}

static void upsert_pod(unsigned i, unsigned version)
{
    struct kube_address ip = {.len = 4, .bytes = {172, (uint8_t)(i >> 8), (uint8_t)i, (uint8_t)version}};
    char name[64];
    snprintf(name, sizeof name, "pod-%u", i);
    struct kube_object o = {.kind = KUBE_POD, .namespace_ = "default", .name = name};
    o.pod = (struct kube_pod){.ips = &ip, .nips = 1};
    assert_int_equal(store_upsert(store, &o), 0);
}

static void churn(void)
{
    unsigned seed = 1;
    const struct kube_object ns = {.kind = KUBE_NAMESPACE, .namespace_ = "", .name = "default"};
    for (unsigned i = 0, events = churn_events(EVENTS); i < events; i++) {
        unsigned service = next(&seed) % SERVICES, what = next(&seed) % 100;
        if (what < 20)
            upsert_service(what < 15 ? KUBE_SERVICE : KUBE_SERVICE_IMPORT, service);
        else if (what < 80)
            upsert_slice(what < 65 ? KUBE_ENDPOINTSLICE : KUBE_IMPORTED_SLICE, service, next(&seed) % 4,
                         next(&seed) % ENDPOINTS);
        else if (what < 90)
            upsert_pod(service, next(&seed) % 4);
        else if (what == 90)
            assert_int_equal(store_upsert(store, &ns), 0);
        else if (what == 91)
            store_delete(store, &ns);
        else if (i % 1000 == 999) { // everything goes: tables shrink
            enum kube_kind kind = (enum kube_kind)(next(&seed) % KUBE_KINDS);
            store_relist_begin(store, kind);
            store_relist_end(store, kind);
        }
        if (i % 50 == 0)
            store_commit(store);
    }
}

static void readers_during_churn(void **state)
{
    (void)state;
    pthread_t threads[READERS];
    unsigned seeds[READERS];
    store = store_new(&(struct store_options){.endpoints = true, .pods = true, .zones = true, .imports = true});
    store_set_synced(store);
    store_set_imports_synced(store);
    for (unsigned i = 0; i < READERS; i++) {
        seeds[i] = 100 + i;
        assert_int_equal(pthread_create(&threads[i], NULL, reader, &seeds[i]), 0);
    }
    churn();
    atomic_store(&stop, true);
    for (unsigned i = 0; i < READERS; i++)
        pthread_join(threads[i], NULL);
    store_free(store);
    for (int i = 0; i < 3; i++)
        assert_true(atomic_load(&seen[i]) > 0); // readers did run beside the writer
}

// --- one address of very many objects: what stays is never missed while others come and go beside it

#define CROWD 1000
#define STAYING 20

static const struct kube_address crowd_ip = {.len = 4, .bytes = {10, 9, 8, 7}};

static void *crowd_reader(void *arg)
{
    (void)arg;
    rcu_thread_start();
    while (!atomic_load(&stop)) {
        bool found[STAYING] = {0};
        uint64_t cursor = 0;
        struct index_reverse r;
        rcu_section_begin();
        while (index_by_endpoint_ip(store, &crowd_ip, &cursor, &r)) {
            char name[64] = "";
            memcpy(name, r.service_label + 1, r.service_label[0]);
            expect(strncmp(name, "service-", 8) == 0, "no service's name");
            unsigned long i = strtoul(name + 8, NULL, 10);
            expect(i < CROWD, "a service that never was");
            if (i < STAYING)
                found[i] = true;
            atomic_fetch_add(&seen[2], 1);
        }
        const struct index_service *v = index_by_cluster_ip(store, &crowd_ip);
        expect(v != NULL && memcmp(index_service_name(v), "\11service-0", 10) == 0, "not the oldest claim");
        rcu_section_end();
        for (int i = 0; i < STAYING; i++)
            expect(found[i], "one endpoint less");
    }
    rcu_thread_end();
    return NULL;
}

static void crowd_upsert(unsigned i, const char *hostname)
{
    char name[32];
    struct kube_endpoint e = {
        .address = crowd_ip, .canonical = true, .ready = true, .hostname = hostname, .pod_name = "", .zone = ""};
    snprintf(name, sizeof name, "service-%u", i);
    struct kube_object o = {.kind = KUBE_ENDPOINTSLICE, .namespace_ = "default", .name = name};
    o.slice = (struct kube_slice){.service = name, .endpoints = &e, .nendpoints = 1};
    assert_int_equal(store_upsert(store, &o), 0);
    o = (struct kube_object){.kind = KUBE_SERVICE, .namespace_ = "default", .name = name};
    o.service = (struct kube_service){.cluster_ips = &crowd_ip, .ncluster_ips = 1};
    assert_int_equal(store_upsert(store, &o), 0);
}

static void crowd_delete(unsigned i)
{
    char name[32];
    snprintf(name, sizeof name, "service-%u", i);
    store_delete(store, &(struct kube_object){.kind = KUBE_SERVICE, .namespace_ = "default", .name = name});
    store_delete(store, &(struct kube_object){.kind = KUBE_ENDPOINTSLICE, .namespace_ = "default", .name = name});
}

// The crowd comes, changes and goes in random order; then what stays is changed again.
static void crowd_churn(unsigned seed)
{
    for (unsigned i = 0; i < 8 * CROWD; i++) {
        unsigned who = next(&seed) % CROWD, what = next(&seed) % 4;
        if (who < STAYING || what > (i < 4 * CROWD ? 0u : 2u))
            crowd_upsert(who, what % 2 == 0 ? "a" : "b");
        else
            crowd_delete(who);
        if (i % 100 == 0)
            store_commit(store);
    }
    for (unsigned i = STAYING; i < CROWD; i++)
        crowd_delete(i);
    store_commit(store);
}

static void readers_of_one_address(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 5; round++) {
        pthread_t threads[READERS];
        atomic_store(&seen[2], 0);
        store = store_new(&(struct store_options){.endpoints = true});
        for (unsigned i = 0; i < STAYING; i++)
            crowd_upsert(i, "");
        atomic_store(&stop, false);
        for (unsigned i = 0; i < READERS; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, crowd_reader, NULL), 0);
        uint64_t deadline = clock_monotonic_ns() + UINT64_C(10000000000);
        while (atomic_load(&seen[2]) == 0 && clock_monotonic_ns() < deadline)
            sched_yield(); // the churn is short: it begins when the readers have
        crowd_churn(round);
        atomic_store(&stop, true);
        for (unsigned i = 0; i < READERS; i++)
            pthread_join(threads[i], NULL);
        store_free(store);
    }
    assert_true(atomic_load(&seen[2]) > 0);
}

int main(void)
{
    rcu_thread_start();
    const struct CMUnitTest tests[] = {cmocka_unit_test(readers_during_churn),
                                       cmocka_unit_test(readers_of_one_address)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rcu_thread_end();
    return failed;
}
