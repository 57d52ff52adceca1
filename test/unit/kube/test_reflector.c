// SPDX-License-Identifier: Apache-2.0
// A reflector against a scripted API server: what it asks for, what the store has in the end, what it says in trouble.
#include "base/clock.h"
#include "base/rcu.h"
#include "kube/index.h"
#include "kube/reflector.h"
#include "scripted.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>

#include <cmocka.h>

#define DEADLINE_NS UINT64_C(20000000000)

// ---- what the server sends ----

#define SERVICE(name, rv)                                                                                              \
    "{\"kind\":\"Service\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"" name                                       \
    "\",\"namespace\":\"shop\",\"resourceVersion\":\"" rv "\"},\"spec\":{\"clusterIP\":\"10.0.0.1\"}}"
#define EVENT(type, object) "{\"type\":\"" type "\",\"object\":" object "}\n"
#define ADDED(name, rv) EVENT("ADDED", SERVICE(name, rv))
#define MODIFIED(name, rv) EVENT("MODIFIED", SERVICE(name, rv))
#define DELETED(name, rv) EVENT("DELETED", SERVICE(name, rv))
#define BOOKMARK(rv, annotations)                                                                                      \
    EVENT("BOOKMARK", "{\"kind\":\"Service\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":\"" rv            \
                      "\",\"annotations\":{" annotations "}}}")
#define END(rv) BOOKMARK(rv, "\"k8s.io/initial-events-end\":\"true\"")
#define STATUS(code, reason, message, more)                                                                            \
    "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":\"Failure\",\"message\":\"" message                         \
    "\",\"reason\":\"" reason "\"," more "\"code\":" #code "}"
#define REFUSAL(code, reason, message)                                                                                 \
    "HTTP/1.1 " #code " No\r\nConnection: close\r\n\r\n" STATUS(code, reason, message, "")
#define LIST(rv, token, items)                                                                                         \
    OK "{\"kind\":\"ServiceList\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":\"" rv                       \
       "\",\"continue\":\"" token "\"},\"items\":[" items "]}\n"

#define WATCHLIST "sendInitialEvents=true"
#define UNSUPPORTED                                                                                                    \
    {                                                                                                                  \
        WATCHLIST, NULL, REFUSAL(422, "Invalid", "sendInitialEvents is forbidden"), false                              \
    }
#define QUIET_WATCH(rv)                                                                                                \
    {                                                                                                                  \
        "resourceVersion=" rv "&timeoutSeconds=", WATCHLIST, OK, true                                                  \
    }

// ---- the reflector's surroundings ----

static struct {
    uv_loop_t loop;
    struct store *store;
    struct feed feed;
    struct credentials credentials;
    struct client *client;
    struct reflector *reflector;
    struct scripted server;
    unsigned synced;
    char trouble[FEED_TROUBLE_MAX], last_trouble[FEED_TROUBLE_MAX];
    size_t least; // services that were there at any time since the first sync
} t;

static struct reflector_timing timing;

static void on_synced(void *arg)
{
    (void)arg;
    t.synced++;
}

static void on_trouble(void *arg, const char *text)
{
    (void)arg;
    snprintf(t.trouble, sizeof t.trouble, "%s", text);
    if (*text != '\0')
        snprintf(t.last_trouble, sizeof t.last_trouble, "%s", text);
}

static size_t services(void)
{
    struct store_stats stats;
    store_stats(t.store, &stats);
    return stats.services + stats.imports;
}

static void start_at(unsigned port, enum kube_kind kind)
{
    static const struct store_options options = {.imports = true};
    static const struct feed_listener listener = {.synced = on_synced, .trouble = on_trouble};
    char url[64];
    uv_loop_init(&t.loop);
    t.store = store_new(&options);
    feed_init(&t.feed, &t.loop, t.store, &options, &listener);
    t.feed.wanted = 1u << kind;
    snprintf(url, sizeof url, "http://127.0.0.1:%u", port);
    t.credentials.server = strdup(url);
    t.client = client_new(&t.loop, &t.credentials);
    t.reflector = reflector_new(&t.loop, t.client, &t.feed, kind, NULL, &timing);
    t.least = SIZE_MAX;
    t.synced = 0;
    t.trouble[0] = t.last_trouble[0] = '\0';
}

#define start_kind(script, kind)                                                                                       \
    (scripted_start(&t.server, script, sizeof(script) / sizeof(script)[0]), start_at(t.server.port, kind))
#define start(script) start_kind(script, KUBE_SERVICE)

static void wake(uv_timer_t *timer)
{
    (void)timer;
}

// Runs the loop until `n` requests have come and `names` services are there.
static void run_until(size_t n, size_t names)
{
    uv_timer_t tick;
    uint64_t end = clock_monotonic_ns() + DEADLINE_NS;
    uv_timer_init(&t.loop, &tick);
    uv_timer_start(&tick, wake, 5, 5);
    while (scripted_done(&t.server) < n || services() != names) {
        uv_run(&t.loop, UV_RUN_ONCE);
        if (t.synced > 0 && services() < t.least)
            t.least = services();
        if (clock_monotonic_ns() > end)
            fail_msg("%zu requests, %zu services; trouble: %s; server: %s", scripted_done(&t.server), services(),
                     t.trouble, t.server.trouble);
    }
    uv_close((uv_handle_t *)&tick, NULL);
    uv_run(&t.loop, UV_RUN_NOWAIT);
}

static void done(void *arg)
{
    (void)arg;
}

static void stop(void)
{
    reflector_close(t.reflector, done, NULL);
    client_close(t.client, done, NULL);
    feed_close(&t.feed, done, NULL);
    uv_run(&t.loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&t.loop), 0);
    scripted_stop(&t.server);
    store_free(t.store);
    free(t.credentials.server);
    if (t.server.trouble[0] != '\0')
        fail_msg("%s", t.server.trouble);
}

// ---- the protocol ----

static void watchlist_then_changes(void **unused)
{
    (void)unused;
    static const struct scripted_step script[] = {
        {"GET /api/v1/services?allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan&sendInitialEvents=true&"
         "timeoutSeconds=",
         NULL,
         OK ADDED("a", "90") ADDED("b", "7") ADDED("c", "50") END("100") ADDED("d", "101") DELETED("a", "102")
             MODIFIED("b", "103"),
         false},
        {"GET /api/v1/services?allowWatchBookmarks=true&resourceVersion=103&timeoutSeconds=", WATCHLIST,
         OK DELETED("b", "105") BOOKMARK("120", ""), false},
        {"resourceVersion=120&", WATCHLIST, OK DELETED("c", "121"), true},
    };
    start(script);
    run_until(3, 1);
    assert_int_equal(t.synced, 1);
    stop();
}

static void headers(void **unused)
{
    (void)unused;
    static const struct scripted_step script[] = {
        {"Accept: application/json\r\n", "gzip", OK END("1"), false},
        {"User-Agent: clusterdns/" CDNS_VERSION "\r\n", "Authorization", OK, true},
    };
    start(script);
    run_until(2, 0);
    stop();
}

// Initial events come in no order: a version among them must not be taken for the state that was reached.
static void cut_among_initial_events(void **unused)
{
    (void)unused;
    static const struct scripted_step script[] = {
        {WATCHLIST, "resourceVersion=", OK ADDED("a", "90") ADDED("b", "7") BOOKMARK("8", ""), false},
        {"limit=500&resourceVersion=0 ", NULL, LIST("100", "", SERVICE("a", "90")), false},
        QUIET_WATCH("100"),
    };
    start(script);
    run_until(3, 1);
    assert_int_equal(t.synced, 1);
    stop();
}

static void paged_list(void **unused)
{
    (void)unused;
    static const struct scripted_step script[] = {
        UNSUPPORTED,
        {"GET /api/v1/services?limit=500&resourceVersion=0 ", NULL, LIST("100", "t/1=", SERVICE("a", "1")), false},
        {"GET /api/v1/services?continue=t%2F1%3D&limit=500 ", NULL, LIST("100", "t2", SERVICE("b", "1")), false},
        {"continue=t2&limit=500 ", "resourceVersion", LIST("100", "", SERVICE("c", "1")), false},
        {"resourceVersion=100&timeoutSeconds=", WATCHLIST, OK ADDED("d", "101"), true},
    };
    start(script);
    run_until(5, 4);
    assert_int_equal(t.synced, 1);
    assert_string_equal(t.last_trouble, "");
    stop();
}

static void expired_token(void **unused)
{
    (void)unused;
    static const struct scripted_step script[] = {
        UNSUPPORTED,
        {"limit=500&resourceVersion=0 ", NULL, LIST("100", "t1", SERVICE("gone", "1")), false},
        {"continue=t1", NULL, REFUSAL(410, "Expired", "The provided continue parameter is too old"), false},
        {"GET /api/v1/services ", NULL, LIST("200", "", SERVICE("a", "1") "," SERVICE("b", "2")), false},
        QUIET_WATCH("200"),
    };
    start(script);
    run_until(5, 2);
    stop();
}

// A server that gives the same page for ever is not asked for ever.
static void list_without_end(void **unused)
{
    (void)unused;
    static const struct scripted_step script[] = {
        UNSUPPORTED,
        {"limit=500&resourceVersion=0 ", NULL, LIST("100", "t1", SERVICE("a", "1")), false},
        {"continue=t1", NULL, LIST("100", "t1", SERVICE("a", "1")), false},
        {WATCHLIST, NULL, OK ADDED("a", "1") ADDED("b", "2") END("200"), true},
    };
    start(script);
    run_until(4, 2);
    assert_non_null(strstr(t.last_trouble, "cannot be understood"));
    stop();
}

// One that pages a list nobody wanted in pages, and forgets them, does not start a race of requests.
static void unwanted_pages_that_expire(void **unused)
{
    (void)unused;
    static const struct scripted_step script[] = {
        UNSUPPORTED,
        {"limit=500&resourceVersion=0 ", NULL, LIST("100", "t1", SERVICE("a", "1")), false},
        {"continue=t1", NULL, REFUSAL(410, "Expired", "too old"), false},
        {"GET /api/v1/services ", NULL, LIST("200", "t2", SERVICE("a", "1")), false},
        {"continue=t2", NULL, REFUSAL(410, "Expired", "too old"), false},
        {WATCHLIST, NULL, OK ADDED("a", "1") ADDED("b", "2") END("300"), true},
    };
    start(script);
    run_until(6, 2);
    stop();
}

static const char three[] = OK ADDED("a", "1") ADDED("b", "2") ADDED("c", "3") END("100");

static void expired_watch_as_http(void **unused)
{
    (void)unused;
    static const struct scripted_step script[] = {
        {WATCHLIST, NULL, three, false},
        {"resourceVersion=100&", WATCHLIST, REFUSAL(410, "Expired", "too old"), false},
        {"resourceVersion=100&resourceVersionMatch=NotOlderThan&" WATCHLIST, NULL, REFUSAL(410, "Gone", "too old"),
         false},
        {WATCHLIST, "resourceVersion=", OK ADDED("b", "2") ADDED("c", "3") END("200"), true},
    };
    start(script);
    run_until(4, 2);
    assert_int_equal(t.least, 2); // a diff: b and c were never away
    assert_int_equal(t.synced, 1);
    stop();
}

static void expired_watch_as_event(void **unused)
{
    (void)unused;
    static const struct scripted_step script[] = {
        {WATCHLIST, NULL, three, false},
        {"resourceVersion=100&", WATCHLIST, OK EVENT("ERROR", STATUS(410, "Expired", "too old", "")) ADDED("x", "9"),
         false},
        {"resourceVersion=100&resourceVersionMatch", NULL, OK ADDED("b", "2") ADDED("d", "150") END("200"), false},
        QUIET_WATCH("200"),
    };
    start(script);
    run_until(4, 2);
    assert_int_equal(t.least, 2);
    stop();
}

static void version_too_large(void **unused)
{
    (void)unused;
    static const struct scripted_step script[] = {
        {WATCHLIST, NULL, three, false},
        {"resourceVersion=100&", NULL, REFUSAL(410, "Expired", "too old"), false},
        UNSUPPORTED,
        {"GET /api/v1/services?resourceVersion=100 ", NULL,
         "HTTP/1.1 504 Gateway Timeout\r\nRetry-After: 20\r\nConnection: close\r\n\r\n" STATUS(
             504, "Timeout", "Too large resource version: 100, current: 7",
             "\"details\":{\"causes\":[{\"reason\":\"ResourceVersionTooLarge\"}],\"retryAfterSeconds\":20},"),
         false},
        UNSUPPORTED,
        {"GET /api/v1/services?limit=500 ", NULL, LIST("7", "", SERVICE("a", "1")), false},
        QUIET_WATCH("7"),
    };
    start(script);
    run_until(7, 1);
    stop();
}

static void cut_inside_an_object(void **unused)
{
    (void)unused;
    static const struct scripted_step script[] = {
        {WATCHLIST, NULL,
         OK ADDED("a", "1") END("100") ADDED("b", "101") "{\"type\":\"DELETED\",\"object\":{\"kind\":\"Se", false},
        {"resourceVersion=101&", WATCHLIST, OK ADDED("c", "102"), true},
    };
    start(script);
    run_until(2, 3);
    assert_int_equal(t.least, 2);
    stop();
}

static void errors_of_a_watch(void **unused)
{
    (void)unused;
    static const struct scripted_step script[] = {
        {WATCHLIST, NULL, three, false},
        {"resourceVersion=100&", WATCHLIST,
         "HTTP/1.1 429 Too Many\r\nRetry-After: 1\r\nConnection: close\r\n\r\nslow down", false},
        {"resourceVersion=100&", WATCHLIST, REFUSAL(500, "InternalError", "etcd"), false},
        {"resourceVersion=100&", WATCHLIST, REFUSAL(401, "Unauthorized", "Unauthorized"), false},
        {"resourceVersion=100&", WATCHLIST, OK EVENT("ERROR", STATUS(500, "InternalError", "etcd", "")), false},
        {"resourceVersion=100&", WATCHLIST, "", false},
        {"resourceVersion=100&", WATCHLIST, OK, true},
    };
    start(script);
    run_until(7, 3);
    assert_int_equal(t.least, 3);
    while (t.trouble[0] != '\0') // ends when the last watch is answered
        uv_run(&t.loop, UV_RUN_ONCE);
    stop();
}

static void refusals_are_explained(void **unused)
{
    (void)unused;
    static const struct scripted_step script[] = {
        {WATCHLIST, NULL, REFUSAL(403, "Forbidden", "User x cannot list services"), false},
        {WATCHLIST, NULL, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", true},
        {WATCHLIST, NULL, OK, true},
    };
    start(script);
    run_until(1, 0);
    while (t.trouble[0] == '\0')
        uv_run(&t.loop, UV_RUN_ONCE);
    assert_string_equal(t.trouble, "services: 403 Forbidden: User x cannot list services; this server's role needs the "
                                   "verbs list and watch for resource \"services\" of API group \"\"");
    run_until(2, 0);
    while (strstr(t.trouble, "services: 401 Unauthorized: ") == NULL)
        uv_run(&t.loop, UV_RUN_ONCE);
    assert_int_equal(t.synced, 0);
    stop();
}

// ---- what no API server should send ----

static void never_emptied_by_nonsense(void **unused)
{
    (void)unused;
    static const struct scripted_step script[] = {
        {WATCHLIST, NULL, three, false},
        {"resourceVersion=100&", NULL, REFUSAL(410, "Expired", "too old"), false},
        UNSUPPORTED,
        {"?resourceVersion=100 ", NULL, OK "{}", false},
        UNSUPPORTED,
        {"?resourceVersion=100 ", NULL, OK "<html>Sign in</html>", false},
        UNSUPPORTED,
        {"?resourceVersion=100 ", NULL,
         OK "{\"kind\":\"PodList\",\"metadata\":{\"resourceVersion\":\"1\"},\"items\":[]}", false},
        UNSUPPORTED,
        {"?resourceVersion=100 ", NULL, OK "{\"kind\":\"ServiceList\",\"metadata\":{\"resourceVersion\":\"1\"}}",
         false},
        UNSUPPORTED,
        {"?resourceVersion=100 ", NULL, OK "{\"kind\":\"ServiceList\",\"metadata\":{},\"items\":[{]}", false},
        {WATCHLIST, NULL, "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nConnection: close\r\n\r\n", false},
        {WATCHLIST, NULL, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n", false},
        {WATCHLIST, NULL, OK ADDED("a", "1") END("300"), true},
    };
    start(script);
    run_until(15, 1);
    assert_int_equal(t.least, 1);
    stop();
}

static void undecodable_events_are_passed_over(void **unused)
{
    (void)unused;
    static const struct scripted_step script[] = {
        {WATCHLIST, NULL,
         OK ADDED("a", "1") ADDED("Bad.Name", "2") END("100") ADDED("Bad.Name", "101")
             EVENT("GUESS", SERVICE("x", "102")) "{}\n[]\n{\"type\":7}\n" EVENT("ADDED", "{\"kind\":\"Pod\"}")
                 EVENT("ADDED", "null") ADDED("b", "103"),
         false},
        {"resourceVersion=103&", WATCHLIST, OK ADDED("Bad.Name", "104"), false},
        {"resourceVersion=104&", WATCHLIST, OK, true},
    };
    start(script);
    run_until(3, 2);
    stop();
}

// What was lost in a line that is no JSON is not known: everything is fetched anew, and nothing vanishes meanwhile.
static void broken_line(void **unused)
{
    (void)unused;
    static const struct scripted_step script[] = {
        {WATCHLIST, NULL, three, false},
        {"resourceVersion=100&", WATCHLIST, OK "{\"type\":\"ADDED\",\"object\":{\"kind\":}}\n" DELETED("a", "102"),
         false},
        {"resourceVersion=100&resourceVersionMatch", NULL, OK ADDED("a", "1") "\x01\n", false},
        {"resourceVersion=100&resourceVersionMatch", NULL, OK ADDED("b", "1") ADDED("c", "1") END("200"), true},
    };
    start(script);
    run_until(4, 2);
    assert_int_equal(t.least, 2);
    stop();
}

// ---- silence ----

static void silence(void **unused)
{
    (void)unused;
    static const struct scripted_step script[] = {
        {WATCHLIST, NULL, "", true},                 // says nothing at all
        {WATCHLIST, NULL, OK ADDED("a", "1"), true}, // stalls among the initial events: perhaps it knows none
        {"limit=500&resourceVersion=0 ", NULL, LIST("100", "", SERVICE("a", "1")), false},
        {"resourceVersion=100&", WATCHLIST, OK BOOKMARK("101", ""), true}, // stops sending bookmarks
        {"resourceVersion=101&", WATCHLIST, OK, true},                     // goes on longer than agreed
        {"resourceVersion=101&", WATCHLIST, OK ADDED("b", "102"), true},
    };
    timing.silence_ms = timing.bookmark_ms = timing.overtime_ms = 150;
    timing.watch_seconds = 0;
    start(script);
    run_until(6, 2);
    stop();
}

static void nobody_listens(void **unused)
{
    (void)unused;
    static const struct scripted_step script[] = {{WATCHLIST, NULL, OK ADDED("a", "1") END("100"), true}};
    scripted_start(&t.server, script, 1);
    unsigned port = t.server.port;
    scripted_stop(&t.server);
    start_at(port, KUBE_SERVICE);
    while (t.trouble[0] == '\0')
        uv_run(&t.loop, UV_RUN_ONCE);
    assert_non_null(strstr(t.trouble, "the API server cannot be reached"));
    scripted_start(&t.server, script, 1);
    free(t.credentials.server);
    assert_true(asprintf(&t.credentials.server, "http://127.0.0.1:%u", t.server.port) > 0);
    run_until(1, 1);
    assert_string_equal(t.trouble, "");
    stop();
}

// ---- what a cluster may do without ----

#define IMPORTS(version) "GET /apis/multicluster.x-k8s.io/" version "/serviceimports?"
#define IMPORT(name, rv)                                                                                               \
    "{\"kind\":\"ServiceImport\",\"metadata\":{\"name\":\"" name "\",\"namespace\":\"shop\",\"resourceVersion\":\"" rv \
    "\"},\"spec\":{\"ports\":[]}}"
#define IMPORTS_END(rv)                                                                                                \
    EVENT("BOOKMARK", "{\"kind\":\"ServiceImport\",\"metadata\":{\"resourceVersion\":\"" rv                            \
                      "\",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}}}")
#define MISSING "HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n404 page not found\n"
#define MISSING_IN(version)                                                                                            \
    {IMPORTS(version), NULL, MISSING, false},                                                                          \
    {                                                                                                                  \
        IMPORTS(version) "limit=500", NULL, MISSING, false                                                             \
    }

static bool imports_synced(void)
{
    rcu_section_begin();
    bool synced = index_imports_synced(t.store);
    rcu_section_end();
    return synced;
}

// Without its CRD nothing is imported, which is soon known; when the CRD comes, so do the objects.
static void absent_resource(void **unused)
{
    (void)unused;
    static const struct scripted_step script[] = {
        MISSING_IN("v1alpha1"),
        MISSING_IN("v1beta1"),
        MISSING_IN("v1alpha1"),
        {IMPORTS("v1beta1"), NULL, OK EVENT("ADDED", IMPORT("a", "7")) IMPORTS_END("8"), true},
    };
    start_kind(script, KUBE_SERVICE_IMPORT);
    store_set_synced(t.store);
    t.feed.listed = 1u << KUBE_IMPORTED_SLICE;
    run_until(3, 0);
    assert_int_equal(t.synced, 0); // it may be there in the other version
    run_until(5, 0);
    assert_int_equal(t.synced, 1);
    assert_true(imports_synced());
    assert_non_null(strstr(t.trouble, "serviceimports: 404 Not Found"));
    run_until(7, 1);
    assert_string_equal(t.trouble, "");
    stop();
}

// Where the role does not say that imports may be seen, nobody knows whether there are any. What was seen once stays.
static void forbidden_resource(void **unused)
{
    (void)unused;
    static const struct scripted_step script[] = {
        {IMPORTS("v1alpha1"), NULL, REFUSAL(403, "Forbidden", "no"), false},
        {IMPORTS("v1alpha1"), NULL, REFUSAL(403, "Forbidden", "no"), false},
        {IMPORTS("v1alpha1"), NULL, OK EVENT("ADDED", IMPORT("a", "7")) IMPORTS_END("8"), false},
        {IMPORTS("v1alpha1"), WATCHLIST, REFUSAL(403, "Forbidden", "no"), false},
        {IMPORTS("v1alpha1"), WATCHLIST, OK EVENT("ADDED", IMPORT("b", "9")), true},
    };
    start_kind(script, KUBE_SERVICE_IMPORT);
    t.feed.listed = 1u << KUBE_IMPORTED_SLICE;
    run_until(2, 0);
    assert_int_equal(t.synced, 1);
    assert_false(imports_synced());
    assert_non_null(strstr(t.trouble, "\"serviceimports\" of API group \"multicluster.x-k8s.io\""));
    run_until(3, 1);
    assert_true(imports_synced());
    run_until(5, 2);
    assert_int_equal(t.least, 0);
    assert_string_equal(t.trouble, "");
    stop();
}

// An API server that cannot give a resource for another reason holds nothing up for long either.
static void broken_resource(void **unused)
{
    (void)unused;
    static const struct scripted_step script[] = {
        {NULL, NULL, REFUSAL(500, "InternalError", "webhook"), false},
        {NULL, NULL, REFUSAL(500, "InternalError", "webhook"), false},
        {NULL, NULL, REFUSAL(500, "InternalError", "webhook"), false},
        {NULL, NULL, REFUSAL(500, "InternalError", "webhook"), false},
        {NULL, NULL, REFUSAL(500, "InternalError", "webhook"), false},
        {NULL, NULL, REFUSAL(500, "InternalError", "webhook"), false},
        {NULL, NULL, OK EVENT("ADDED", IMPORT("a", "7")) IMPORTS_END("8"), true},
    };
    start_kind(script, KUBE_SERVICE_IMPORT);
    t.feed.listed = 1u << KUBE_IMPORTED_SLICE;
    run_until(5, 0);
    assert_int_equal(t.synced, 0);
    run_until(6, 0);
    uv_run(&t.loop, UV_RUN_NOWAIT);
    run_until(7, 1);
    assert_int_equal(t.synced, 1);
    assert_int_equal(t.least, 0);
    stop();
}

static int setup(void **unused)
{
    (void)unused;
    timing = REFLECTOR_TIMING;
    timing.hurry = 200;
    return 0;
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    rcu_thread_start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(watchlist_then_changes, setup),
        cmocka_unit_test_setup(headers, setup),
        cmocka_unit_test_setup(cut_among_initial_events, setup),
        cmocka_unit_test_setup(paged_list, setup),
        cmocka_unit_test_setup(expired_token, setup),
        cmocka_unit_test_setup(list_without_end, setup),
        cmocka_unit_test_setup(unwanted_pages_that_expire, setup),
        cmocka_unit_test_setup(expired_watch_as_http, setup),
        cmocka_unit_test_setup(expired_watch_as_event, setup),
        cmocka_unit_test_setup(version_too_large, setup),
        cmocka_unit_test_setup(cut_inside_an_object, setup),
        cmocka_unit_test_setup(errors_of_a_watch, setup),
        cmocka_unit_test_setup(refusals_are_explained, setup),
        cmocka_unit_test_setup(never_emptied_by_nonsense, setup),
        cmocka_unit_test_setup(undecodable_events_are_passed_over, setup),
        cmocka_unit_test_setup(broken_line, setup),
        cmocka_unit_test_setup(silence, setup),
        cmocka_unit_test_setup(nobody_listens, setup),
        cmocka_unit_test_setup(absent_resource, setup),
        cmocka_unit_test_setup(forbidden_resource, setup),
        cmocka_unit_test_setup(broken_resource, setup),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rcu_thread_end();
    return failed;
}
