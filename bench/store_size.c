// SPDX-License-Identifier: Apache-2.0
// Memory and time of the store at scale: fills services with endpoints, as a list would bring them, and prints what
// they cost.  store_size [SERVICES [ENDPOINTS-A-SERVICE]]   (100,000 and 10)
#include "base/clock.h"
#include "base/rcu.h"
#include "kube/index.h"
#include "kube/store.h"
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool equal; // all addresses of a prefix are one

static struct kube_address address(unsigned prefix, unsigned n)
{
    n = equal ? 0 : n;
    return (struct kube_address){
        .len = 4, .bytes = {(uint8_t)(prefix + (n >> 24)), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n}};
}

// A line of /proc/self/status in KiB.
static long status_kib(const char *field)
{
    char line[256];
    long kib = -1;
    FILE *f = fopen("/proc/self/status", "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, field, strlen(field)) == 0)
            kib = strtol(line + strlen(field) + 1, NULL, 10);
    if (f != NULL)
        fclose(f);
    return kib;
}

static void apply(struct store *s, const struct kube_object *o, unsigned *batch)
{
    if (store_upsert(s, o) != 0)
        abort();
    if (++*batch % STORE_BATCH == 0)
        store_commit(s);
}

static void fill_services(struct store *s, unsigned services, unsigned *batch)
{
    static const struct kube_port port = {"http", 80, KUBE_TCP};
    for (unsigned i = 0; i < services; i++) {
        char ns[32], name[32];
        struct kube_address ip = address(172, i);
        snprintf(ns, sizeof ns, "ns-%u", i % 1000);
        snprintf(name, sizeof name, "service-%u", i);
        struct kube_object o = {.kind = KUBE_SERVICE, .namespace_ = ns, .name = name};
        o.service = (struct kube_service){.cluster_ips = &ip, .ncluster_ips = 1, .ports = &port, .nports = 1};
        if (i < 1000)
            apply(s, &(struct kube_object){.kind = KUBE_NAMESPACE, .namespace_ = "", .name = ns}, batch);
        apply(s, &o, batch);
    }
}

// One slice for each service, as the controller makes them up to 100 endpoints; `shift` moves all addresses.
static void fill_slices(struct store *s, unsigned services, unsigned endpoints, unsigned shift, unsigned *batch)
{
    static const struct kube_port port = {"http", 8080, KUBE_TCP};
    static const char *const zones[] = {"eu-central-1a", "eu-central-1b", "eu-central-1c"};
    struct kube_endpoint *e = calloc(endpoints + 1, sizeof *e);
    for (unsigned i = 0; e != NULL && i < services; i++) {
        char ns[32], service[32], name[64];
        snprintf(ns, sizeof ns, "ns-%u", i % 1000);
        snprintf(service, sizeof service, "service-%u", i);
        snprintf(name, sizeof name, "service-%u-x7k2q", i);
        for (unsigned j = 0; j < endpoints; j++)
            e[j] = (struct kube_endpoint){.address = address(10, i * endpoints + j + shift),
                                          .canonical = true,
                                          .ready = true,
                                          .hostname = "",
                                          .pod_name = "",
                                          .zone = zones[j % 3]};
        struct kube_object o = {.kind = KUBE_ENDPOINTSLICE, .namespace_ = ns, .name = name};
        o.slice = (struct kube_slice){
            .service = service, .endpoints = e, .nendpoints = endpoints, .ports = &port, .nports = 1};
        apply(s, &o, batch);
    }
    free(e);
}

static void report(struct store *s, const char *what, uint64_t since)
{
    struct store_stats st;
    store_commit(s);
    store_stats(s, &st);
    printf("%-22s %6.2f s  %7zu services %8zu endpoints  store %6.1f MB  RSS %6.1f MB  peak %6.1f MB\n", what,
           (double)(clock_monotonic_ns() - since) / 1e9, st.services, st.endpoints, (double)st.bytes / 1e6,
           (double)status_kib("VmRSS") * 1024 / 1e6, (double)status_kib("VmHWM") * 1024 / 1e6);
}

// How long look-ups of other addresses take beside very many equal ones, and of these themselves.
static void look_up(const struct store *s)
{
    uint64_t slowest = 0, cursor = 0, t;
    struct index_reverse r;
    size_t shown = 0;
    struct kube_address a = address(10, 0), other = a;
    rcu_section_begin();
    t = clock_monotonic_ns();
    while (index_by_endpoint_ip(s, &a, &cursor, &r))
        shown++;
    uint64_t all = clock_monotonic_ns() - t;
    for (unsigned i = 1; i < 2000; i++) {
        other.bytes[2] = (uint8_t)(i >> 8);
        other.bytes[3] = (uint8_t)i;
        cursor = 0;
        t = clock_monotonic_ns();
        if (index_by_endpoint_ip(s, &other, &cursor, &r) || index_by_cluster_ip(s, &other) != NULL)
            abort();
        t = clock_monotonic_ns() - t;
        slowest = t > slowest ? t : slowest;
    }
    rcu_section_end();
    printf("%-22s %zu of the address in %.0f us; others in at most %.1f us\n", "look-ups", shown, (double)all / 1e3,
           (double)slowest / 1e3);
}

// What topology zones cost who asks for them.
static void with_zones(unsigned services, unsigned endpoints, unsigned *batch)
{
    struct store *s = store_new(&(struct store_options){.endpoints = true, .zones = true});
    fill_services(s, services, batch);
    uint64_t t = clock_monotonic_ns();
    fill_slices(s, services, endpoints, 0, batch);
    report(s, "endpoints with zones", t);
    store_free(s);
}

// Every service has the same cluster address, every endpoint is the same pod.
static void equal_addresses(unsigned services, unsigned *batch)
{
    struct store *s = store_new(&(struct store_options){.endpoints = true});
    uint64_t t = clock_monotonic_ns();
    equal = true;
    fill_services(s, services, batch);
    report(s, "equal cluster IPs", t);
    t = clock_monotonic_ns();
    fill_slices(s, services, 1, 0, batch);
    report(s, "equal endpoints", t);
    look_up(s);
    t = clock_monotonic_ns();
    store_relist_begin(s, KUBE_ENDPOINTSLICE);
    store_relist_end(s, KUBE_ENDPOINTSLICE);
    store_relist_begin(s, KUBE_SERVICE);
    store_relist_end(s, KUBE_SERVICE);
    report(s, "empty lists", t);
    store_free(s);
}

int main(int argc, char **argv)
{
    unsigned services = argc > 1 ? (unsigned)atoi(argv[1]) : 100000, batch = 0;
    unsigned endpoints = argc > 2 ? (unsigned)atoi(argv[2]) : 10;
    struct store *s = store_new(&(struct store_options){.endpoints = true});
    rcu_thread_start();
    uint64_t t = clock_monotonic_ns();
    report(s, "empty", t);
    t = clock_monotonic_ns();
    fill_services(s, services, &batch);
    report(s, "services", t);
    t = clock_monotonic_ns();
    fill_slices(s, services, endpoints, 0, &batch);
    report(s, "endpoints", t);
    t = clock_monotonic_ns();
    store_relist_begin(s, KUBE_ENDPOINTSLICE);
    fill_slices(s, services, endpoints, 0, &batch);
    store_relist_end(s, KUBE_ENDPOINTSLICE);
    report(s, "the same list again", t);
    t = clock_monotonic_ns();
    fill_slices(s, services, endpoints, 1, &batch);
    report(s, "every slice changed", t);
    t = clock_monotonic_ns();
    for (int kind = 0; kind < KUBE_KINDS; kind++) {
        store_relist_begin(s, (enum kube_kind)kind);
        store_relist_end(s, (enum kube_kind)kind);
    }
    report(s, "empty lists", t);
    store_free(s);
    with_zones(services, endpoints, &batch);
    equal_addresses(services, &batch);
    rcu_thread_end();
    return 0;
}
