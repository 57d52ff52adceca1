// SPDX-License-Identifier: Apache-2.0
#include "kube/metrics.h"

#include "base/clock.h"
#include <clusterdns/metrics.h>
#include <stdio.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))
#define HOST_MAX 256

// ---- any source ----

static const double request_bounds[] = {.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10};
static const char *const service_kinds[] = {"cluster_ip", "headless_with_selector"};

static struct metric_family programming_family = {
    .name = "coredns_kubernetes_dns_programming_duration_seconds",
    .help = "Time from a change of a Service's pods, as its EndpointSlice says, until it can be answered.",
    .type = METRIC_HISTOGRAM,
    .labels = {{.name = "service_kind", .values = service_kinds, .nvalues = COUNT(service_kinds)}},
    .buckets = {.first = 0.001, .factor = 2, .n = 20},
};
static struct metric_family request_family = {
    .name = "coredns_kubernetes_rest_client_request_duration_seconds",
    .help = "Time that requests to the API server took: lists until their end, watches until their first byte.",
    .type = METRIC_HISTOGRAM,
    .labels = {{.name = "verb"}, {.name = "host"}},
    .buckets = {.bounds = request_bounds, .n = COUNT(request_bounds)},
};
static struct metric_family limiter_family = {
    .name = "coredns_kubernetes_rest_client_rate_limiter_duration_seconds",
    .help = "Time that requests to the API server waited on this side before they were sent.",
    .type = METRIC_HISTOGRAM,
    .labels = {{.name = "verb"}, {.name = "host"}},
    .buckets = {.bounds = request_bounds, .n = COUNT(request_bounds)},
};
static struct metric_family requests_family = {
    .name = "coredns_kubernetes_rest_client_requests_total",
    .help = "Requests to the API server, by HTTP status.",
    .type = METRIC_COUNTER,
    .labels = {{.name = "code"}, {.name = "method"}, {.name = "host"}},
};

// The host and port of a URL.
static const char *host_of(const char *url, char out[HOST_MAX])
{
    const char *at = strstr(url, "://");
    at = at != NULL ? at + 3 : url;
    snprintf(out, HOST_MAX, "%.*s", (int)strcspn(at, "/"), at);
    return out;
}

void kube_count_request(const char *server, int status)
{
    char host[HOST_MAX], code[16] = "<error>";
    if (status >= 100 && status < 600) // no more series than there are statuses
        snprintf(code, sizeof code, "%d", status);
    const char *values[] = {code, "GET", host_of(server, host)};
    metric_count(metric_series(&requests_family, values), METRIC_ELSEWHERE, 0, 1);
}

static void observe(struct metric_family *family, const char *server, uint64_t ns)
{
    char host[HOST_MAX];
    const char *values[] = {"GET", host_of(server, host)};
    metric_observe(metric_series(family, values), METRIC_ELSEWHERE, 0, (double)ns * 1e-9);
}

void kube_count_request_time(const char *server, uint64_t ns)
{
    observe(&request_family, server, ns);
}

void kube_count_limiter_time(const char *server, uint64_t ns)
{
    observe(&limiter_family, server, ns);
}

void kube_count_programming(int64_t triggered_ns, enum kube_service_type type)
{
    if (triggered_ns == 0)
        return;
    double seconds = (double)(clock_realtime_ns() - triggered_ns) * 1e-9;
    // The trigger is by another machine's clock, which may be ahead; a sum must not go down.
    metric_observe(metric_series(&programming_family, NULL), METRIC_ELSEWHERE, type == KUBE_HEADLESS,
                   seconds > 0 ? seconds : 0);
}

// ---- a source ----

static const char *const resource_names[KUBE_KINDS] = {"namespaces", "services",       "endpointslices",
                                                       "pods",       "serviceimports", "imported_endpointslices"};
// What store_stats counts, in the order of their places in struct source_metrics.
static const char *const object_names[] = {"namespaces", "services",       "endpointslices",         "endpoints",
                                           "pods",       "serviceimports", "imported_endpointslices"};
#define OBJECTS COUNT(object_names)

static const char *const reasons[] = {"start", "expired", "refused", "failed", "corrupt", "unsupported"};
static const char *const event_names[] = {"initial", "added", "modified", "deleted", "bookmark", "passed_over"};
// HTTP statuses that API servers give, and what is none.
static const int codes[] = {400,
                            401,
                            403,
                            404,
                            408,
                            409,
                            410,
                            422,
                            429,
                            500,
                            502,
                            503,
                            504,
                            TROUBLE_UNREACHABLE,
                            TROUBLE_SILENT,
                            TROUBLE_CORRUPT};
static const char *const code_names[] = {"400", "401", "403", "404", "408",         "409",    "410",     "422",  "429",
                                         "500", "502", "503", "504", "unreachable", "silent", "corrupt", "other"};

static struct metric_family age_family = {
    .name = "clusterdns_kubernetes_watch_age_seconds",
    .help = "Time since the API server last sent anything about a resource: an event, a bookmark, a part of a list.",
    .type = METRIC_GAUGE,
    .labels = {{.name = "source"}, {.name = "resource"}},
};
static struct metric_family objects_family = {
    .name = "clusterdns_kubernetes_objects",
    .help = "Objects kept, by kind; endpoints: ready addresses.",
    .type = METRIC_GAUGE,
    .labels = {{.name = "source"}, {.name = "kind", .values = object_names, .nvalues = OBJECTS}},
};
static struct metric_family bytes_family = {
    .name = "clusterdns_kubernetes_index_bytes",
    .help = "Memory of all that is kept about the cluster.",
    .type = METRIC_GAUGE,
    .labels = {{.name = "source"}},
};
static struct metric_family synced_family = {
    .name = "clusterdns_kubernetes_synced",
    .help = "1 when every resource has been listed once.",
    .type = METRIC_GAUGE,
    .labels = {{.name = "source"}},
};
static struct metric_family relists_family = {
    .name = "clusterdns_kubernetes_relists_total",
    .help = "Lists begun, by resource and reason.",
    .type = METRIC_COUNTER,
    .labels = {{.name = "source"},
               {.name = "resource"},
               {.name = "reason", .values = reasons, .nvalues = COUNT(reasons)}},
};
static struct metric_family events_family = {
    .name = "clusterdns_kubernetes_events_total",
    .help = "Events of watches, and objects of lists (initial), by resource and type.",
    .type = METRIC_COUNTER,
    .labels = {{.name = "source"},
               {.name = "resource"},
               {.name = "type", .values = event_names, .nvalues = COUNT(event_names)}},
};
static struct metric_family errors_family = {
    .name = "clusterdns_kubernetes_errors_total",
    .help = "Requests that failed, by resource and HTTP status, or what was there in place of one.",
    .type = METRIC_COUNTER,
    .labels = {{.name = "source"},
               {.name = "resource"},
               {.name = "code", .values = code_names, .nvalues = COUNT(code_names)}},
};
static struct metric_family last_error_family = {
    .name = "clusterdns_kubernetes_last_error_timestamp_seconds",
    .help = "When a request last failed so, Unix time.",
    .type = METRIC_GAUGE,
    .labels = {{.name = "source"},
               {.name = "resource"},
               {.name = "code", .values = code_names, .nvalues = COUNT(code_names)}},
};

struct source_metrics {
    struct metric *age[KUBE_KINDS], *relists[KUBE_KINDS], *events[KUBE_KINDS], *errors[KUBE_KINDS],
        *last_error[KUBE_KINDS]; // NULL for kinds that are not watched
    struct metric *objects, *bytes, *synced;
    unsigned wanted;              // bits by place in object_names
    uint64_t heard[KUBE_KINDS];   // monotonic ns; written by the kube thread, as all below
    uint64_t stored[OBJECTS + 1]; // and the bytes
};

struct source_metrics *source_metrics_new(const char *name, const struct store_options *options, bool api)
{
    const unsigned kinds = store_kinds(options);
    struct source_metrics *m = calloc(1, sizeof *m);
    if (m == NULL)
        return NULL;
    const char *values[] = {name, NULL};
    for (unsigned i = 0; i < KUBE_KINDS && api; i++) {
        if ((kinds >> i & 1) == 0)
            continue;
        values[1] = resource_names[i];
        m->age[i] = metric_series(&age_family, values);
        m->relists[i] = metric_series(&relists_family, values);
        m->events[i] = metric_series(&events_family, values);
        m->errors[i] = metric_series(&errors_family, values);
        m->last_error[i] = metric_series(&last_error_family, values);
        m->heard[i] = clock_monotonic_ns();
    }
    // As `kinds`, with the endpoints in between.
    m->wanted = (kinds & 7) | (options->endpoints ? 1u << 3 : 0) | (kinds & ~7u) << 1;
    m->objects = metric_series(&objects_family, values);
    m->bytes = metric_series(&bytes_family, values);
    m->synced = metric_series(&synced_family, values);
    return m;
}

void source_metrics_show(struct source_metrics *m, bool synced)
{
    uint64_t now = clock_monotonic_ns();
    for (unsigned i = 0; i < KUBE_KINDS; i++) {
        uint64_t heard = __atomic_load_n(&m->heard[i], __ATOMIC_RELAXED);
        if (m->age[i] != NULL)
            metric_set(m->age[i], 0, now > heard ? (double)(now - heard) * 1e-9 : 0);
    }
    for (unsigned i = 0; i < OBJECTS; i++)
        if (m->wanted >> i & 1)
            metric_set(m->objects, i, (double)__atomic_load_n(&m->stored[i], __ATOMIC_RELAXED));
    uint64_t bytes = __atomic_load_n(&m->stored[OBJECTS], __ATOMIC_RELAXED);
    metric_set(m->bytes, 0, (double)bytes);
    metric_set(m->synced, 0, synced);
}

void source_metrics_hide(struct source_metrics *m)
{
    for (unsigned i = 0; i < KUBE_KINDS; i++)
        if (m->age[i] != NULL)
            metric_unset(m->age[i], 0);
    for (unsigned i = 0; i < OBJECTS; i++)
        metric_unset(m->objects, i);
    metric_unset(m->bytes, 0);
    metric_unset(m->synced, 0);
}

void source_metrics_free(struct source_metrics *m)
{
    free(m);
}

void source_metrics_heard(struct source_metrics *m, enum kube_kind kind)
{
    if (m != NULL)
        __atomic_store_n(&m->heard[kind], clock_monotonic_ns(), __ATOMIC_RELAXED);
}

void source_metrics_relist(struct source_metrics *m, enum kube_kind kind, enum relist reason)
{
    if (m != NULL && EXPECT(m->relists[kind] != NULL))
        metric_count(m->relists[kind], METRIC_ELSEWHERE, reason, 1);
}

void source_metrics_event(struct source_metrics *m, enum kube_kind kind, enum counted what)
{
    if (m != NULL && EXPECT(m->events[kind] != NULL))
        metric_count(m->events[kind], METRIC_ELSEWHERE, what, 1);
}

void source_metrics_trouble(struct source_metrics *m, enum kube_kind kind, int code)
{
    unsigned place = 0;
    while (place < COUNT(codes) && codes[place] != code)
        place++;
    if (m == NULL || !EXPECT(m->errors[kind] != NULL))
        return;
    metric_count(m->errors[kind], METRIC_ELSEWHERE, place, 1);
    metric_set(m->last_error[kind], place, (double)clock_realtime_ns() * 1e-9);
}

void source_metrics_stored(struct source_metrics *m, const struct store *store)
{
    struct store_stats s;
    if (m == NULL)
        return;
    store_stats(store, &s);
    const size_t now[OBJECTS + 1] = {s.namespaces, s.services, s.slices,          s.endpoints,
                                     s.pods,       s.imports,  s.imported_slices, s.bytes};
    for (unsigned i = 0; i <= OBJECTS; i++)
        __atomic_store_n(&m->stored[i], now[i], __ATOMIC_RELAXED);
}
