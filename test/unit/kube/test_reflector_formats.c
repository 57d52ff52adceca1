// SPDX-License-Identifier: Apache-2.0
// A reflector and the format of what it gets: protobuf, JSON, neither.
#include "encode.h"
#include "reflector_test.h"

// The answer with a body in protobuf, in `space`.
static const char *protobuf_answer(char space[9000], int status, const char *type, const struct message *body)
{
    int n =
        snprintf(space, 9000, "HTTP/1.1 %d X\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
                 status, type, body->len);
    memcpy(space + n, body->data, body->len);
    return space;
}

#define PROTOBUF "application/vnd.kubernetes.protobuf"

static struct message service_message(const char *name, const char *version)
{
    struct message m = {0};
    put_metadata(&m, "shop", name, version);
    return m;
}

// WatchList, an ERROR event, pages of a list, refusals: all in protobuf.
static void protobuf(void **unused)
{
    (void)unused;
    char initial[9000], expired[9000], refusal[9000], page_1[9000], page_2[9000], changes[9000];
    struct message m = {0}, end = {0}, metadata = {0}, error = {0}, list = {0}, a = service_message("a", "90"),
                   b = service_message("b", "91");
    put_frame(&m, "ADDED", "v1", "Service", &a);
    put_text(&metadata, 6, "100");
    put_entry(&metadata, 12, "k8s.io/initial-events-end", "true");
    put_message(&end, 1, &metadata);
    put_frame(&m, "BOOKMARK", "v1", "Service", &end);
    b = service_message("b", "101");
    put_frame(&m, "ADDED", "v1", "Service", &b);
    protobuf_answer(initial, 200, PROTOBUF ";stream=watch", &m);

    m.len = 0;
    put_text(&error, 4, "Expired");
    put_integer(&error, 6, 410);
    put_frame(&m, "ERROR", "v1", "Status", &error);
    protobuf_answer(expired, 200, PROTOBUF ";stream=watch", &m);

    m.len = error.len = 0;
    put_text(&error, 3, "sendInitialEvents is forbidden");
    put_integer(&error, 6, 422);
    put_object(&m, "v1", "Status", &error);
    protobuf_answer(refusal, 422, PROTOBUF, &m);

    m.len = metadata.len = 0;
    put_text(&metadata, 2, "200");
    put_text(&metadata, 3, "t1");
    put_message(&list, 1, &metadata);
    put_message(&list, 2, &b);
    put_object(&m, "v1", "ServiceList", &list);
    protobuf_answer(page_1, 200, PROTOBUF, &m);

    struct message c = service_message("c", "150");
    m.len = metadata.len = list.len = 0;
    put_text(&metadata, 2, "200");
    put_message(&list, 1, &metadata);
    put_message(&list, 2, &c);
    put_object(&m, "v1", "ServiceList", &list);
    protobuf_answer(page_2, 200, PROTOBUF, &m);

    m.len = 0;
    put_frame(&m, "DELETED", "v1", "Service", &c);
    protobuf_answer(changes, 200, PROTOBUF ";stream=watch", &m);

    const struct scripted_step script[] = {
        {WATCHLIST, NULL, initial, false},
        {"resourceVersion=101&timeoutSeconds=", WATCHLIST, expired, false},
        {"resourceVersion=101&resourceVersionMatch", NULL, refusal, false},
        {"?resourceVersion=101 ", NULL, page_1, false},
        {"continue=t1", NULL, page_2, false},
        {"resourceVersion=200&timeoutSeconds=", WATCHLIST, changes, false},
        QUIET_WATCH("150"),
    };
    start(script);
    run_until(7, 1);
    assert_int_equal(t.synced, 1);
    assert_int_equal(t.least, 1);
    assert_string_equal(t.last_trouble, "");
    stop();
}

// A server that does not speak protobuf says so, or just answers in JSON; after it said so it is not asked again.
static void no_protobuf(void **unused)
{
    (void)unused;
    static const struct scripted_step script[] = {
        {"Accept: " PROTOBUF ",application/json\r\n", NULL, REFUSAL(406, "NotAcceptable", "only JSON"), false},
        {WATCHLIST, PROTOBUF, OK ADDED("a", "1") END("100"), false},
        {"resourceVersion=100&", PROTOBUF, OK ADDED("b", "101"), true},
    };
    start(script);
    run_until(3, 2);
    assert_string_equal(t.last_trouble, "");
    stop();
}

static void custom_resources_have_no_protobuf(void **unused)
{
    (void)unused;
    static const struct scripted_step script[] = {
        {"Accept: application/json\r\n", PROTOBUF, OK EVENT("ADDED", IMPORT("a", "7")) IMPORTS_END("8"), true},
    };
    start_kind(script, KUBE_SERVICE_IMPORT);
    run_until(1, 1);
    stop();
}

static void other_formats(void **unused)
{
    (void)unused;
    static const struct scripted_step script[] = {
        {WATCHLIST, NULL, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<html>", false},
        {WATCHLIST, NULL, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" ADDED("a", "1") END("9"), false},
        {WATCHLIST, NULL, three, false},
        {"resourceVersion=100&", WATCHLIST, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n",
         false},
        {"resourceVersion=100&resourceVersionMatch", NULL, three, true},
    };
    start(script);
    run_until(1, 0);
    while (t.trouble[0] == '\0')
        uv_run(&t.loop, UV_RUN_ONCE);
    assert_string_equal(t.trouble,
                        "services: the answer is neither JSON nor protobuf (its content type: text/html): that "
                        "is no API server, or a proxy answers in its place");
    run_until(2, 0);
    while (strstr(t.trouble, "(its content type: none)") == NULL)
        uv_run(&t.loop, UV_RUN_ONCE);
    run_until(5, 3);
    assert_int_equal(t.least, 3);
    stop();
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    rcu_thread_start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(protobuf, setup),
        cmocka_unit_test_setup(no_protobuf, setup),
        cmocka_unit_test_setup(custom_resources_have_no_protobuf, setup),
        cmocka_unit_test_setup(other_formats, setup),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rcu_thread_end();
    return failed;
}
