// SPDX-License-Identifier: Apache-2.0
// A reflector against a scripted API server: what it asks for, what the store has in the end, what it says in trouble.
#include "kube/plan.h"
#include "reflector_test.h"

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
        {"Accept: application/vnd.kubernetes.protobuf,application/json\r\n", NULL, OK END("1"), false},
        {"User-Agent: clusterdns/" CDNS_VERSION "\r\n", "Authorization", OK, false},
        {"Accept-Encoding: gzip\r\n", NULL, OK, true},
    };
    start(script);
    run_until(3, 0);
    stop();
    static const struct scripted_step uncompressed[] = {{"Accept: ", "Accept-Encoding", OK, true}};
    t.credentials.uncompressed = true;
    start(uncompressed);
    run_until(1, 0);
    stop();
    t.credentials.uncompressed = false;
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

// A server without WatchList whose every watch is too old: refusing the one and serving the list between them does not
// make each attempt look like the first.
static void expired_again_and_again(void **unused)
{
    (void)unused;
#define EXPIRED_WATCH                                                                                                  \
    UNSUPPORTED, {"?limit=500&resourceVersion=0 ", NULL, LIST("100", "", SERVICE("a", "1")), false},                   \
    {                                                                                                                  \
        "resourceVersion=100&", WATCHLIST, OK EVENT("ERROR", STATUS(410, "Expired", "too old", "")), false             \
    }
#define EXPIRED_AGAIN                                                                                                  \
    UNSUPPORTED, {"?resourceVersion=100 ", NULL, LIST("100", "", SERVICE("a", "1")), false},                           \
    {                                                                                                                  \
        "resourceVersion=100&", WATCHLIST, OK EVENT("ERROR", STATUS(410, "Expired", "too old", "")), false             \
    }
    static const struct scripted_step script[] = {
        EXPIRED_WATCH, EXPIRED_AGAIN, EXPIRED_AGAIN, EXPIRED_AGAIN, {WATCHLIST, NULL, OK, true}};
    timing.hurry = 4;
    uint64_t started = clock_monotonic_ns();
    start(script);
    run_until(13, 1);
    assert_true(clock_monotonic_ns() - started >= (uint64_t)2 * PLAN_BACKOFF_FIRST_MS / 4 * 1000000);
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
        {CHECK, NULL, REFUSAL(500, "InternalError", "etcd"), false},
        {CHECK, NULL, LIST("103", "more", SERVICE("a", "1")), false},
        {"resourceVersion=100&", WATCHLIST, REFUSAL(401, "Unauthorized", "Unauthorized"), false},
        {"resourceVersion=100&", WATCHLIST, OK EVENT("ERROR", STATUS(500, "InternalError", "etcd", "")), false},
        {"resourceVersion=100&", WATCHLIST, "", false},
        {CHECK, NULL, "", false},
        {CHECK, NULL, OK, false},
        {"resourceVersion=100&", WATCHLIST, OK, true},
    };
    start(script);
    run_until(11, 3);
    assert_int_equal(t.least, 3);
    while (t.trouble[0] != '\0') // ends when the last watch is answered
        uv_run(&t.loop, UV_RUN_ONCE);
    stop();
}

// A server that was away comes back with a state from a backup: it would say nothing to a watch from the future.
static void restored_from_a_backup(void **unused)
{
    (void)unused;
    static const struct scripted_step script[] = {
        {WATCHLIST, NULL, three, false},
        {"resourceVersion=100&", WATCHLIST, "", false},
        {CHECK, NULL,
         "HTTP/1.1 504 Gateway Timeout\r\nRetry-After: 20\r\nConnection: close\r\n\r\n" STATUS(
             504, "Timeout", "Too large resource version: 100, current: 7",
             "\"details\":{\"causes\":[{\"reason\":\"ResourceVersionTooLarge\"}],\"retryAfterSeconds\":20},"),
         false},
        {WATCHLIST, "resourceVersion=", OK ADDED("a", "5") END("7"), true},
        QUIET_WATCH("7"),
    };
    start(script);
    run_until(4, 1);
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

// Waiting for one's turn is no silence of the server's.
static void slower_than_silence(void **unused)
{
    (void)unused;
    static const struct scripted_step script[] = {
        UNSUPPORTED,
        {"limit=500&resourceVersion=0 ", NULL, LIST("100", "", SERVICE("a", "90")), false},
        QUIET_WATCH("100"),
    };
    limits = (struct limits){.qps = 1, .burst = 1};
    timing.silence_ms = 700;
    start(script);
    run_until(3, 1);
    assert_string_equal(t.last_trouble, "");
    stop();
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
        cmocka_unit_test_setup(slower_than_silence, setup),
        cmocka_unit_test_setup(expired_token, setup),
        cmocka_unit_test_setup(list_without_end, setup),
        cmocka_unit_test_setup(unwanted_pages_that_expire, setup),
        cmocka_unit_test_setup(expired_watch_as_http, setup),
        cmocka_unit_test_setup(expired_again_and_again, setup),
        cmocka_unit_test_setup(expired_watch_as_event, setup),
        cmocka_unit_test_setup(version_too_large, setup),
        cmocka_unit_test_setup(cut_inside_an_object, setup),
        cmocka_unit_test_setup(errors_of_a_watch, setup),
        cmocka_unit_test_setup(restored_from_a_backup, setup),
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
