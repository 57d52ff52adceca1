// SPDX-License-Identifier: Apache-2.0
// Rules of the store that random events (test_store_model.c) do not reach: names, bounds, marks, the serial.
#include "base/clock.h"
#include "base/rcu.h"
#include "kube/index.h"
#include "kube/store.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t default_label[] = "\7default", web_label[] = "\3web";

static struct store *new_store(void)
{
    struct store *s = store_new(
        &(struct store_options){.endpoints = true, .pods = true, .pod_names = true, .zones = true, .imports = true});
    assert_non_null(s);
    return s;
}

static struct kube_object object(enum kube_kind kind, const char *name)
{
    return (struct kube_object){.kind = kind, .namespace_ = kind == KUBE_NAMESPACE ? "" : "default", .name = name};
}

static size_t changes(const struct store *s)
{
    struct store_stats st;
    store_stats(s, &st);
    return st.changes;
}

static const struct index_service *find_web(struct store *s)
{
    return index_service(s, default_label, web_label);
}

static void names_that_dns_cannot_have(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "a.b",
                                      "UPPER",
                                      "a b",
                                      "under_score",
                                      "\xc3\xa4",
                                      "0123456789012345678901234567890123456789012345678901234567890123"};
    struct store *s = new_store();
    char longest[255];
    memset(longest, 'x', 254);
    longest[254] = 0;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct kube_object o = object(KUBE_NAMESPACE, bad[i]);
        assert_int_equal(store_upsert(s, &o), CDNS_EINVAL);
        store_delete(s, &o);
        o = object(KUBE_SERVICE, bad[i]);
        assert_int_equal(store_upsert(s, &o), CDNS_EINVAL);
        store_delete(s, &o);
        o = object(KUBE_SERVICE_IMPORT, bad[i]);
        assert_int_equal(store_upsert(s, &o), CDNS_EINVAL);
        store_delete(s, &o);
        o = object(KUBE_SERVICE, "web");
        o.namespace_ = bad[i];
        assert_int_equal(store_upsert(s, &o), CDNS_EINVAL);
        store_delete(s, &o);
    }
    static const enum kube_kind others[] = {KUBE_ENDPOINTSLICE, KUBE_POD, KUBE_IMPORTED_SLICE};
    for (int i = 0; i < 3; i++) {
        struct kube_object o = object(others[i], longest);
        assert_int_equal(store_upsert(s, &o), CDNS_EINVAL);
        store_delete(s, &o);
    }
    assert_int_equal(changes(s), 0);
    struct kube_object o = object(KUBE_NAMESPACE, bad[6] + 1); // 63 bytes
    assert_int_equal(store_upsert(s, &o), 0);
    store_free(s);
}

// A slice of `n` endpoints of the service web.
static struct kube_endpoint *make_slice(struct kube_object *o, size_t n)
{
    struct kube_endpoint *e = calloc(n, sizeof *e);
    for (size_t i = 0; i < n; i++)
        e[i] = (struct kube_endpoint){
            .address = {.len = 4, .bytes = {10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i}},
            .canonical = true,
            .ready = true,
            .hostname = "",
            .pod_name = "",
            .zone = "",
        };
    *o = object(KUBE_ENDPOINTSLICE, "web-1");
    o->slice = (struct kube_slice){.service = "web", .endpoints = e, .nendpoints = n};
    return e;
}

static void slices_larger_than_any(void **state)
{
    (void)state;
    struct store *s = new_store();
    struct store_stats st;
    struct kube_object service = object(KUBE_SERVICE, "web"), o;
    struct kube_endpoint *e = make_slice(&o, 70000);
    assert_int_equal(store_upsert(s, &service), 0);
    assert_int_equal(store_upsert(s, &o), 0);
    store_stats(s, &st);
    assert_int_equal(st.endpoints, 65535);
    uint64_t cursor = 0;
    struct index_reverse r;
    assert_true(index_by_endpoint_ip(s, &e[65534].address, &cursor, &r));
    cursor = 0;
    assert_false(index_by_endpoint_ip(s, &e[65535].address, &cursor, &r));

    // Text runs out before addresses do: what fits is kept whole.
    static char names[4000][64];
    for (size_t i = 0; i < 4000; i++) {
        memset(names[i], 'h', 63);
        memcpy(names[i], &(char[]){(char)('a' + i / 100 % 10), (char)('a' + i / 10 % 10), (char)('a' + i % 10)}, 3);
        e[i].hostname = names[i];
    }
    o.slice.nendpoints = 4000;
    assert_int_equal(store_upsert(s, &o), 0);
    store_commit(s);
    size_t n, ports;
    const struct index_service *v = find_web(s);
    assert_true(index_slice(v, 0, &n, &ports));
    assert_true(n >= 2000 && n < 4000);
    struct index_endpoint last;
    index_slice_endpoint(v, 0, n - 1, &last);
    assert_int_equal(last.hostname[0], 63);
    assert_memory_equal(last.hostname + 1, names[n - 1], 63);
    free(e);
    store_free(s);
}

static void more_ports_than_any(void **state)
{
    (void)state;
    struct store *s = new_store();
    static struct kube_port ports[1100];
    static char names[1100][80];
    for (int i = 0; i < 1100; i++) {
        snprintf(names[i], sizeof names[i], "port-%04d-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", i);
        ports[i] = (struct kube_port){names[i], (uint16_t)(i + 1), KUBE_UDP};
    }
    struct kube_object o = object(KUBE_SERVICE, "web");
    o.service = (struct kube_service){.type = KUBE_EXTERNALNAME, .external_name = "a.example", .ports = ports};
    o.service.nports = 1100;
    assert_int_equal(store_upsert(s, &o), 0);
    struct index_port p;
    const struct index_service *v = find_web(s);
    assert_false(index_service_port(v, 1000, &p));
    assert_true(index_service_port(v, 999, &p));
    assert_int_equal(p.number, 1000);
    assert_memory_equal(p.name + 1, names[999], p.name[0]);
    assert_string_equal(index_external_name(v), "a.example");
    store_free(s);
}

static void serial_is_the_last_change(void **state)
{
    (void)state;
    struct store *s = new_store();
    struct kube_object o = object(KUBE_SERVICE, "web");
    clock_set_for_test(1, 1000 * INT64_C(1000000000));
    assert_int_equal(store_upsert(s, &o), 0);
    assert_int_equal(index_serial(s), 0);
    assert_false(index_synced(s));
    store_set_synced(s);
    assert_true(index_synced(s));
    assert_int_equal(index_serial(s), 1000);
    clock_set_for_test(1, 2000 * INT64_C(1000000000));
    assert_int_equal(store_upsert(s, &o), 0);
    assert_int_equal(index_serial(s), 1000);
    store_delete(s, &o);
    assert_int_equal(index_serial(s), 2000);
    clock_set_for_test(0, 0);
    store_free(s);
}

// What is imported and what is not are zones of their own; namespaces are of both.
static void serials_of_two_zones(void **state)
{
    (void)state;
    struct store *s = new_store();
    struct kube_object service = object(KUBE_SERVICE, "web"), import = object(KUBE_SERVICE_IMPORT, "web"), slice;
    struct kube_endpoint *e = make_slice(&slice, 1);
    clock_set_for_test(1, 1000 * INT64_C(1000000000));
    assert_int_equal(store_upsert(s, &service), 0);
    assert_int_equal(store_upsert(s, &import), 0);
    store_set_synced(s);
    assert_int_equal(index_serial(s), 1000);
    assert_int_equal(index_imports_serial(s), 0);
    assert_false(index_imports_synced(s));
    store_set_imports_synced(s);
    assert_true(index_imports_synced(s));
    assert_int_equal(index_imports_serial(s), 1000);
    clock_set_for_test(1, 2000 * INT64_C(1000000000));
    slice.kind = KUBE_IMPORTED_SLICE;
    slice.slice.cluster = "east";
    assert_int_equal(store_upsert(s, &slice), 0);
    assert_int_equal(index_serial(s), 1000);
    assert_int_equal(index_imports_serial(s), 2000);
    clock_set_for_test(1, 3000 * INT64_C(1000000000));
    store_delete(s, &service);
    assert_int_equal(index_serial(s), 3000);
    assert_int_equal(index_imports_serial(s), 2000);
    clock_set_for_test(1, 4000 * INT64_C(1000000000));
    struct kube_object ns = object(KUBE_NAMESPACE, "default");
    assert_int_equal(store_upsert(s, &ns), 0);
    assert_int_equal(index_serial(s), 4000);
    assert_int_equal(index_imports_serial(s), 4000);
    clock_set_for_test(0, 0);
    free(e);
    store_free(s);
}

static void pods_that_end(void **state)
{
    (void)state;
    struct store *s = new_store();
    struct kube_address ip = {.len = 4, .bytes = {10, 0, 0, 1}};
    struct kube_object o = object(KUBE_POD, "p");
    o.pod = (struct kube_pod){.ips = &ip, .nips = 1, .deleting = true};
    assert_int_equal(store_upsert(s, &o), 0);
    assert_int_equal(index_pods(s, default_label, &ip, SIZE_MAX), 0); // ending when it was first seen
    o.pod.deleting = false;
    assert_int_equal(store_upsert(s, &o), 0);
    assert_int_equal(index_pods(s, default_label, &ip, SIZE_MAX), 1);
    o.pod.deleting = true;
    store_relist_begin(s, KUBE_POD);
    assert_int_equal(store_upsert(s, &o), 0);
    store_relist_end(s, KUBE_POD);
    assert_int_equal(index_pods(s, default_label, &ip, SIZE_MAX), 1); // until it is gone
    o.pod.deleting = false;
    o.pod.terminated = true;
    assert_int_equal(store_upsert(s, &o), 0);
    assert_int_equal(index_pods(s, default_label, &ip, SIZE_MAX), 0);
    store_free(s);
}

static void kinds_that_are_not_kept(void **state)
{
    (void)state;
    struct store *s = store_new(&(struct store_options){0});
    struct kube_object o;
    struct kube_address ip = {.len = 4, .bytes = {10, 0, 0, 1}};
    struct kube_endpoint *e = make_slice(&o, 1);
    assert_int_equal(store_upsert(s, &o), 0);
    o.kind = KUBE_IMPORTED_SLICE;
    assert_int_equal(store_upsert(s, &o), 0);
    o = object(KUBE_SERVICE_IMPORT, "web");
    assert_int_equal(store_upsert(s, &o), 0);
    o = object(KUBE_POD, "p");
    o.pod = (struct kube_pod){.ips = &ip, .nips = 1};
    assert_int_equal(store_upsert(s, &o), 0);
    assert_int_equal(changes(s), 0);
    free(e);
    store_free(s);
}

static void names_in_any_case(void **state)
{
    (void)state;
    struct store *s = new_store();
    struct kube_object service = object(KUBE_SERVICE, "web"), o;
    struct kube_endpoint *e = make_slice(&o, 3);
    e[0].hostname = "MiXeD";
    e[0].pod_name = "Pod.With.Dots";
    e[1].hostname = "no.label";
    e[1].pod_name = "0123456789012345678901234567890123456789012345678901234567890123"; // too long for one
    e[2].hostname = "\xc3\xa4";
    assert_int_equal(store_upsert(s, &service), 0);
    assert_int_equal(store_upsert(s, &o), 0);
    struct index_endpoint out;
    index_slice_endpoint(find_web(s), 0, 0, &out);
    assert_memory_equal(out.hostname, "\5mixed", 6);
    assert_memory_equal(out.pod_name, "\15pod.with.dots", 14);
    for (size_t i = 1; i < 3; i++) {
        index_slice_endpoint(find_web(s), 0, i, &out);
        assert_int_equal(out.hostname[0] + out.pod_name[0], 0);
    }
    free(e);
    store_free(s);
}

// Nobody checks an endpoint's zone.
static void zones_of_any_text(void **state)
{
    (void)state;
    struct store *s = new_store();
    struct kube_object service = object(KUBE_SERVICE, "web"), o;
    static char longest[254], longer[255];
    memset(longest, 'z', 253);
    memset(longer, 'z', 254);
    static const struct {
        const char *text, *kept;
    } cases[] = {{"Eu-West-1.A", "eu-west-1.a"},
                 {longest, longest},
                 {longer, ""},
                 {"", ""},
                 {"\xc3\xa4", ""},
                 {"a b", ""},
                 {"a\\.b", ""},
                 {"(a)", ""},
                 {"@", ""},
                 {"..", ".."}};
    enum { N = sizeof cases / sizeof cases[0] };
    struct kube_endpoint *e = make_slice(&o, N);
    for (size_t i = 0; i < N; i++)
        e[i].zone = cases[i].text;
    assert_int_equal(store_upsert(s, &service), 0);
    assert_int_equal(store_upsert(s, &o), 0);
    for (size_t i = 0; i < N; i++) {
        struct index_endpoint out;
        index_slice_endpoint(find_web(s), 0, i, &out);
        assert_int_equal(out.zone[0], strlen(cases[i].kept));
        assert_memory_equal(out.zone + 1, cases[i].kept, out.zone[0]);
    }
    free(e);
    store_free(s);
}

// More zones, with more text, than any slice has: some endpoints stay without, none gets another's.
static void zones_without_end(void **state)
{
    (void)state;
    struct store *s = new_store();
    struct kube_object service = object(KUBE_SERVICE, "web"), o;
    static char names[3000][200];
    struct kube_endpoint *e = make_slice(&o, 6000);
    assert_int_equal(store_upsert(s, &service), 0);
    for (size_t len = 10; len < 200; len += 189) {
        for (size_t i = 0; i < 6000; i++) {
            snprintf(names[i % 3000], sizeof names[0], "%0*zu", (int)len, i % 3000);
            e[i].zone = names[i % 3000];
        }
        assert_int_equal(store_upsert(s, &o), 0);
        size_t with = 0;
        for (size_t i = 0; i < 6000; i++) {
            struct index_endpoint out;
            index_slice_endpoint(find_web(s), 0, i, &out);
            with += out.zone[0] > 0;
            if (out.zone[0] > 0)
                assert_memory_equal(out.zone + 1, names[i % 3000], len);
        }
        assert_true(with >= 600 && with < 6000);
    }
    free(e);
    store_free(s);
}

// Without the option a zone costs nothing.
static void zones_cost_only_who_wants_them(void **state)
{
    (void)state;
    size_t bytes[2][2];
    for (int wanted = 0; wanted < 2; wanted++) {
        for (int given = 0; given < 2; given++) {
            struct store *s = store_new(&(struct store_options){.endpoints = true, .zones = wanted});
            struct store_stats st;
            struct kube_object o;
            struct kube_endpoint *e = make_slice(&o, 1000);
            for (size_t i = 0; given && i < 1000; i++)
                e[i].zone = i % 2 == 0 ? "eu-west-1a" : "eu-west-1b";
            assert_int_equal(store_upsert(s, &o), 0);
            store_commit(s);
            store_stats(s, &st);
            bytes[wanted][given] = st.bytes;
            free(e);
            store_free(s);
        }
    }
    assert_int_equal(bytes[0][0], bytes[0][1]);
    assert_in_range(bytes[1][0] - bytes[0][0], 0, 5000); // the buffer that slices are built in
    assert_in_range(bytes[1][1] - bytes[1][0], 2000, 13000);
}

// --- very many objects with one address

#define CROWD 6000

static const struct kube_address crowd_ip = {.len = 4, .bytes = {10, 9, 8, 7}};

static void crowd_upsert(struct store *s, enum kube_kind kind, unsigned i, const char *hostname)
{
    struct kube_endpoint e = {.address = crowd_ip, .canonical = true, .ready = true, .pod_name = "", .zone = ""};
    char name[32];
    snprintf(name, sizeof name, "n-%u", i);
    e.hostname = hostname;
    struct kube_object o = object(kind, name);
    if (kind == KUBE_SERVICE)
        o.service = (struct kube_service){.cluster_ips = &crowd_ip, .ncluster_ips = 1};
    else if (kind == KUBE_ENDPOINTSLICE)
        o.slice = (struct kube_slice){.service = name, .endpoints = &e, .nendpoints = 1};
    else
        o.pod = (struct kube_pod){.ips = &crowd_ip, .nips = 1};
    assert_int_equal(store_upsert(s, &o), 0);
}

static void crowd_delete(struct store *s, enum kube_kind kind, unsigned i)
{
    char name[32];
    snprintf(name, sizeof name, "n-%u", i);
    struct kube_object o = object(kind, name);
    store_delete(s, &o);
}

// How many endpoints of the address a walk gives; each once, of a service that `present` tells of.
static size_t crowd_count(const struct store *s, const bool *present)
{
    static bool seen[CROWD];
    uint64_t cursor = 0;
    struct index_reverse r;
    size_t n = 0;
    memset(seen, 0, sizeof seen);
    while (index_by_endpoint_ip(s, &crowd_ip, &cursor, &r)) {
        char name[64] = "";
        memcpy(name, r.service_label + 1, r.service_label[0]);
        unsigned long i = strtoul(name + 2, NULL, 10);
        assert_true(i < CROWD && present[i] && !seen[i]);
        seen[i] = true;
        n++;
    }
    return n;
}

static void one_address_of_thousands(void **state)
{
    (void)state;
    static bool present[CROWD];
    struct store *s = new_store();
    struct store_stats st;
    unsigned seed = 3, n = 0;
    for (unsigned round = 0; round < 30000; round++) {
        seed = seed * 1664525u + 1013904223u;
        unsigned i = (seed >> 8) % CROWD, what = seed >> 28;
        if (what < (round < 15000 ? 3u : 10u)) {
            crowd_delete(s, KUBE_ENDPOINTSLICE, i);
            crowd_delete(s, KUBE_POD, i);
            n -= present[i];
            present[i] = false;
        } else {
            crowd_upsert(s, KUBE_ENDPOINTSLICE, i, what % 2 == 0 ? "a" : "b");
            crowd_upsert(s, KUBE_POD, i, NULL);
            n += !present[i];
            present[i] = true;
        }
        if (round % 500 == 0) {
            assert_int_equal(crowd_count(s, present), n < INDEX_REVERSE_MAX ? n : INDEX_REVERSE_MAX);
            assert_int_equal(index_pods(s, default_label, &crowd_ip, SIZE_MAX), n);
            store_commit(s);
        }
    }
    store_relist_begin(s, KUBE_ENDPOINTSLICE); // one of seven stays
    for (unsigned i = n = 0; i < CROWD; i++) {
        present[i] = present[i] && i % 7 == 0;
        n += present[i];
        if (present[i])
            crowd_upsert(s, KUBE_ENDPOINTSLICE, i, "c");
    }
    store_relist_end(s, KUBE_ENDPOINTSLICE);
    assert_int_equal(crowd_count(s, present), n);
    store_relist_begin(s, KUBE_ENDPOINTSLICE);
    store_relist_end(s, KUBE_ENDPOINTSLICE);
    store_relist_begin(s, KUBE_POD);
    store_relist_end(s, KUBE_POD);
    store_commit(s);
    assert_int_equal(crowd_count(s, present), 0);
    assert_int_equal(index_pods(s, default_label, &crowd_ip, SIZE_MAX), 0);
    store_stats(s, &st);
    assert_true(st.bytes < 40000); // the retired list in the store itself, mostly
    store_free(s);
}

static void the_oldest_claim_of_a_cluster_ip_answers(void **state)
{
    (void)state;
    struct store *s = new_store();
    unsigned last = 0;
    for (unsigned i = 0; i < CROWD; i++) {
        crowd_upsert(s, KUBE_SERVICE, i, NULL);
        crowd_upsert(s, KUBE_ENDPOINTSLICE, i * 31 % (i + 1), "a"); // its view changes
        const struct index_service *v = index_by_cluster_ip(s, &crowd_ip);
        assert_memory_equal(index_service_name(v), "\3n-0", 4);
    }
    for (unsigned i = CROWD - 1; i > 2; i -= 3) // some of those behind go
        crowd_delete(s, KUBE_SERVICE, i);
    for (unsigned i = 0; i < CROWD; i++) {
        const struct index_service *v = index_by_cluster_ip(s, &crowd_ip);
        if (v == NULL)
            break;
        char name[64] = "";
        memcpy(name, index_service_name(v) + 1, index_service_name(v)[0]);
        unsigned first = (unsigned)strtoul(name + 2, NULL, 10);
        assert_true(first == 0 || first > last);
        last = first;
        crowd_delete(s, KUBE_SERVICE, first);
    }
    assert_int_equal(last, CROWD - 2);
    assert_null(index_by_cluster_ip(s, &crowd_ip));
    store_free(s);
}

// Hand-written slices may name an address many times.
static void one_address_throughout_a_slice(void **state)
{
    (void)state;
    struct store *s = new_store();
    struct kube_object o;
    struct kube_endpoint *e = make_slice(&o, 65535);
    struct index_reverse r;
    for (size_t n = 65535; n > 0; n = n * 2 / 3) {
        for (size_t i = 0; i < n; i++) {
            e[i].address = i % 16 == 0 ? (struct kube_address){.len = 4, .bytes = {1}} : crowd_ip;
            e[i].hostname = "";
        }
        o.slice.nendpoints = n;
        assert_int_equal(store_upsert(s, &o), 0);
        size_t found = 0, want = n - (n + 15) / 16;
        for (uint64_t cursor = 0; index_by_endpoint_ip(s, &crowd_ip, &cursor, &r);)
            found++;
        assert_int_equal(found, want < INDEX_REVERSE_MAX ? want : INDEX_REVERSE_MAX);
    }
    store_free(s);
    free(e);
}

int main(void)
{
    rcu_thread_start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_that_dns_cannot_have),
        cmocka_unit_test(slices_larger_than_any),
        cmocka_unit_test(more_ports_than_any),
        cmocka_unit_test(serial_is_the_last_change),
        cmocka_unit_test(pods_that_end),
        cmocka_unit_test(kinds_that_are_not_kept),
        cmocka_unit_test(names_in_any_case),
        cmocka_unit_test(serials_of_two_zones),
        cmocka_unit_test(zones_of_any_text),
        cmocka_unit_test(zones_without_end),
        cmocka_unit_test(zones_cost_only_who_wants_them),
        cmocka_unit_test(one_address_of_thousands),
        cmocka_unit_test(the_oldest_claim_of_a_cluster_ip_answers),
        cmocka_unit_test(one_address_throughout_a_slice),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rcu_thread_end();
    return failed;
}
