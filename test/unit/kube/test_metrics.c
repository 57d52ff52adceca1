// SPDX-License-Identifier: Apache-2.0
// What a source counts: a reflector of EndpointSlices against a scripted API server, and sources of manifests.
#include "base/clock.h"
#include "base/rcu.h"
#include "kube/metrics.h"
#include "kube/reflector.h"
#include "kube/source.h"
#include "metrics_test.h"
#include "scripted.h"
#include <signal.h>

#define DEADLINE_NS UINT64_C(20000000000)

#define LONG_AGO "2000-01-01T00:00:00Z"
#define TO_COME "2200-01-01T00:00:00.5Z" // by a clock that is ahead
#define SLICE(name, service, address, trigger)                                                                         \
    "{\"kind\":\"EndpointSlice\",\"apiVersion\":\"discovery.k8s.io/v1\",\"metadata\":{\"name\":\"" name                \
    "\",\"namespace\":\"shop\",\"resourceVersion\":\"7\",\"labels\":{\"kubernetes.io/service-name\":\"" service        \
    "\"},\"annotations\":{" trigger "}},\"addressType\":\"IPv4\",\"endpoints\":[{\"addresses\":[\"" address "\"]}]}"
#define AT(time) "\"endpoints.kubernetes.io/last-change-trigger-time\":\"" time "\""
#define EVENT(type, object) "{\"type\":\"" type "\",\"object\":" object "}\n"
#define END                                                                                                            \
    EVENT("BOOKMARK", "{\"kind\":\"EndpointSlice\",\"apiVersion\":\"discovery.k8s.io/v1\",\"metadata\":{"              \
                      "\"resourceVersion\":\"9\",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}}}")
#define REFUSAL(code, reason)                                                                                          \
    "HTTP/1.1 " #code " No\r\nConnection: close\r\n\r\n{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":"         \
    "\"Failure\",\"message\":\"no\",\"reason\":\"" reason "\",\"code\":" #code "}"

static struct {
    uv_loop_t loop;
    struct store *store;
    struct feed feed;
    struct source_metrics *metrics;
    struct credentials credentials;
    struct client *client;
    struct reflector *reflector;
    struct scripted server;
} t;

static void ignore(void *arg)
{
    (void)arg;
}

static void ignore_text(void *arg, const char *text)
{
    (void)arg, (void)text;
}

static void add_service(const char *name, enum kube_service_type type)
{
    static const struct kube_address ip = {.bytes = {10, 0, 0, 1}, .len = 4};
    struct kube_object o = {.kind = KUBE_SERVICE, .namespace_ = "shop", .name = name, .service = {.type = type}};
    if (type == KUBE_CLUSTERIP) {
        o.service.cluster_ips = &ip;
        o.service.ncluster_ips = 1;
    }
    feed_upsert(&t.feed, &o, false);
}

static void start(const struct scripted_step *script, size_t n)
{
    static const struct store_options options = {.endpoints = true};
    static const struct feed_listener listener = {.synced = ignore, .trouble = ignore_text};
    static struct reflector_timing timing = REFLECTOR_TIMING;
    timing.hurry = 200;
    scripted_start(&t.server, script, n);
    uv_loop_init(&t.loop);
    t.store = store_new(&options);
    feed_init(&t.feed, &t.loop, t.store, &options, &listener);
    t.metrics = t.feed.metrics = source_metrics_new("here", &options, true);
    add_service("web", KUBE_CLUSTERIP);
    add_service("db", KUBE_HEADLESS);
    assert_true(asprintf(&t.credentials.server, "http://127.0.0.1:%u", t.server.port) > 0);
    t.client = client_new(&t.loop, &t.credentials, &(struct limits){0});
    t.reflector = reflector_new(&t.loop, t.client, &t.feed, KUBE_ENDPOINTSLICE, NULL, &timing);
}

static void stop(void)
{
    reflector_close(t.reflector, ignore, NULL);
    client_close(t.client, ignore, NULL);
    feed_close(&t.feed, ignore, NULL);
    uv_run(&t.loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&t.loop), 0);
    scripted_stop(&t.server);
    store_free(t.store);
    source_metrics_hide(t.metrics);
    source_metrics_free(t.metrics);
    free(t.credentials.server);
    if (t.server.trouble[0] != '\0')
        fail_msg("%s", t.server.trouble);
}

static void wake(uv_timer_t *timer)
{
    (void)timer;
}

// Runs the loop until a series has this value.
static void run_until(const char *series, double value)
{
    uv_timer_t tick;
    uint64_t end = clock_monotonic_ns() + DEADLINE_NS;
    uv_timer_init(&t.loop, &tick);
    uv_timer_start(&tick, wake, 5, 5);
    while (metrics_value_of(series) != value) {
        uv_run(&t.loop, UV_RUN_ONCE);
        if (clock_monotonic_ns() > end)
            fail_msg("%s does not become %g; server: %s; shown:\n%s", series, value, t.server.trouble, metrics_shown);
    }
    uv_close((uv_handle_t *)&tick, NULL);
    uv_run(&t.loop, UV_RUN_NOWAIT);
}

#define PROGRAMMING(part, kind)                                                                                        \
    "coredns_kubernetes_dns_programming_duration_seconds_" part "{service_kind=\"" kind "\"}"
#define CLUSTER_IP PROGRAMMING("count", "cluster_ip")
#define HEADLESS PROGRAMMING("count", "headless_with_selector")
#define RELISTS(reason)                                                                                                \
    "clusterdns_kubernetes_relists_total{source=\"here\",resource=\"endpointslices\",reason=\"" reason "\"}"

#define EVENTS(type) "clusterdns_kubernetes_events_total{source=\"here\",resource=\"endpointslices\",type=\"" type "\"}"

static void programming_latency(void **unused)
{
    (void)unused;
    static const struct scripted_step script[] = {
        // The first list: its changes were answered by whoever was here before.
        {"sendInitialEvents", NULL,
         OK EVENT("ADDED", SLICE("web-1", "web", "10.1.0.1", AT(LONG_AGO)))
             END EVENT("MODIFIED", SLICE("web-1", "web", "10.1.0.2", AT(LONG_AGO)))
                 EVENT("MODIFIED", SLICE("web-1", "web", "10.1.0.2", AT(TO_COME)))
                     EVENT("ADDED", SLICE("db-1", "db", "10.1.0.3", AT(TO_COME)))
                         EVENT("ADDED", SLICE("db-2", "db", "10.1.0.4", ""))
                             EVENT("ADDED", SLICE("db-3", "db", "10.1.0.5", AT("yesterday")))
                                 EVENT("ADDED", SLICE("who-1", "who", "10.1.0.6", AT(LONG_AGO)))
                                     EVENT("DELETED", SLICE("web-1", "web", "10.1.0.2", AT(TO_COME))),
         false},
        {"watch=", NULL, REFUSAL(410, "Expired"), false},
        // A later one: only db-1 has changed meanwhile.
        {"sendInitialEvents", NULL,
         OK EVENT("ADDED", SLICE("db-1", "db", "10.1.0.33", AT(LONG_AGO)))
             EVENT("ADDED", SLICE("db-2", "db", "10.1.0.4", AT(LONG_AGO))) END,
         true},
    };
    start(script, 3);
    run_until(CLUSTER_IP, 3);
    run_until(RELISTS("expired"), 1);
    run_until(HEADLESS, 2);
    assert_metric(CLUSTER_IP, 3);
    assert_true(metrics_value_of(PROGRAMMING("sum", "cluster_ip")) > 25 * 365 * 86400.0);
    assert_metric(
        "coredns_kubernetes_dns_programming_duration_seconds_bucket{service_kind=\"cluster_ip\",le=\"0.001\"}", 2);
    assert_metric(
        "coredns_kubernetes_dns_programming_duration_seconds_bucket{service_kind=\"cluster_ip\",le=\"524.288\"}", 2);
    assert_metric(RELISTS("start"), 1);
    assert_metric(EVENTS("initial"), 3);
    assert_metric(EVENTS("added"), 4);
    assert_metric(EVENTS("modified"), 2);
    assert_metric(EVENTS("deleted"), 1);
    assert_metric(EVENTS("bookmark"), 2);
    assert_metric(EVENTS("passed_over"), -1);
    stop();
}

#define ERRORS(code) "clusterdns_kubernetes_errors_total{source=\"here\",resource=\"endpointslices\",code=\"" code "\"}"
#define LAST_ERROR(code)                                                                                               \
    "clusterdns_kubernetes_last_error_timestamp_seconds{source=\"here\",resource=\"endpointslices\",code=\"" code "\"" \
    "}"

static double requests(const char *code)
{
    char series[200];
    snprintf(series, sizeof series,
             "coredns_kubernetes_rest_client_requests_total{code=\"%s\",method=\"GET\",host=\"127.0.0.1:%u\"}", code,
             t.server.port);
    return metrics_value_of(series);
}

static void troubles(void **unused)
{
    (void)unused;
    static const struct scripted_step script[] = {
        {NULL, NULL, REFUSAL(403, "Forbidden"), false},
        {NULL, NULL, REFUSAL(418, "Teapot"), false},
        {NULL, NULL, "", false}, // closes without a word
        {NULL, NULL, OK "no JSON\n", false},
        {NULL, NULL, REFUSAL(422, "Invalid"), false},
        {"limit=", NULL,
         OK "{\"kind\":\"EndpointSliceList\",\"apiVersion\":\"discovery.k8s.io/v1\",\"metadata\":{"
            "\"resourceVersion\":\"5\"},\"items\":[" SLICE("web-1", "web", "10.1.0.1", "") "]}",
         false},
        {"watch=", NULL, OK, true},
    };
    double before = (double)clock_realtime_ns() * 1e-9;
    start(script, 7);
    run_until(RELISTS("unsupported"), 1);
    while (requests("200") < 3)
        uv_run(&t.loop, UV_RUN_ONCE);
    assert_metric(ERRORS("403"), 1);
    assert_metric(ERRORS("other"), 1);
    assert_metric(ERRORS("unreachable"), 1);
    assert_metric(ERRORS("corrupt"), 1);
    assert_metric(ERRORS("422"), -1); // an old server's way: no trouble
    assert_true(metrics_value_of(LAST_ERROR("403")) >= before);
    assert_true(metrics_value_of(LAST_ERROR("corrupt")) >= metrics_shown_value(LAST_ERROR("403")));
    assert_metric(RELISTS("refused"), 2);
    assert_metric(RELISTS("failed"), 1);
    assert_metric(RELISTS("corrupt"), 1);
    assert_true(requests("403") == 1 && requests("418") == 1 && requests("<error>") == 1 && requests("422") == 1);
    char series[200];
    snprintf(series, sizeof series,
             "coredns_kubernetes_rest_client_request_duration_seconds_count{verb=\"GET\",host=\"127.0.0.1:%u\"}",
             t.server.port);
    assert_metric(series, 7);
    snprintf(series, sizeof series,
             "coredns_kubernetes_rest_client_rate_limiter_duration_seconds_count{verb=\"GET\",host=\"127.0.0.1:%u\"}",
             t.server.port);
    assert_metric(series, 7);

    // The gauges.
    source_metrics_show(t.metrics, true);
    assert_metric("clusterdns_kubernetes_objects{source=\"here\",kind=\"endpoints\"}", 1);
    assert_metric("clusterdns_kubernetes_objects{source=\"here\",kind=\"services\"}", 2);
    assert_metric("clusterdns_kubernetes_objects{source=\"here\",kind=\"pods\"}", -1); // nobody asked for them
    assert_metric("clusterdns_kubernetes_synced{source=\"here\"}", 1);
    assert_true(metrics_shown_value("clusterdns_kubernetes_index_bytes{source=\"here\"}") > 1000);
    const char age[] = "clusterdns_kubernetes_watch_age_seconds{source=\"here\",resource=\"endpointslices\"}";
    clock_set_for_test(clock_monotonic_ns() + UINT64_C(40000000000), clock_realtime_ns());
    source_metrics_show(t.metrics, true);
    double silent = metrics_value_of(age);
    clock_set_for_test(0, 0);
    assert_true(silent > 39 && silent < 60);
    stop();
    assert_metric(age, -1);
}

#define OBJECTS(source, kind) "clusterdns_kubernetes_objects{source=\"" source "\",kind=\"" kind "\"}"

static struct source *acquire(const char *path, bool pods)
{
    char error[600];
    struct source *s;
    const struct source_options o = {.manifests = &path, .nmanifests = 1, .store = {.endpoints = true, .pods = pods}};
    if (source_acquire(&o, &s, error, sizeof error) != 0)
        fail_msg("%s", error);
    return s;
}

// Two instances share a source, a third wants more of the same place.
static void sources_count_once(void **unused)
{
    (void)unused;
    char path[] = "/tmp/test_metrics.XXXXXX", series[200];
    int fd = mkstemp(path);
    static const char text[] = "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\n";
    assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
    close(fd);
    struct source *one = acquire(path, false), *same = acquire(path, false), *other = acquire(path, true);
    assert_ptr_equal(one, same);
    snprintf(series, sizeof series, OBJECTS("%s", "services"), path);
    assert_metric(series, 1);
    snprintf(series, sizeof series, OBJECTS("%s", "pods"), path);
    assert_metric(series, -1);
    snprintf(series, sizeof series, OBJECTS("%s#2", "pods"), path);
    assert_metric(series, 0);
    snprintf(series, sizeof series, "clusterdns_kubernetes_synced{source=\"%s\"}", path);
    assert_metric(series, 1);
    source_release(one);
    assert_metric(series, 1);
    source_release(same);
    assert_metric(series, -1);
    snprintf(series, sizeof series, OBJECTS("%s#2", "services"), path);
    assert_metric(series, 1);
    source_release(other);
    assert_metric(series, -1);
    source_shutdown();
    unlink(path);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    rcu_thread_start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(programming_latency),
        cmocka_unit_test(troubles),
        cmocka_unit_test(sources_count_once),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rcu_thread_end();
    return failed;
}
