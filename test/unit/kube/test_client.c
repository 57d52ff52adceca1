// SPDX-License-Identifier: Apache-2.0
// When requests are sent: the limits and the order. The server runs on the client's loop and answers when told to.
#include "base/clock.h"
#include "kube/client.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define REQUESTS_MAX 16
#define PATIENCE_MS 20000 // for what must come
#define HEAD "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"

// A connection of the server's, with the one request on it.
struct peer {
    uv_tcp_t tcp;
    char head[4096];
    size_t len;
    bool arrived; // the request is whole
};

static struct {
    uv_loop_t loop;
    uv_tcp_t listener;
    struct peer peers[REQUESTS_MAX];
    size_t npeers;
    struct credentials credentials;
    struct client *client;
    struct transfer *transfers[REQUESTS_MAX];
    unsigned sent[REQUESTS_MAX]; // numbers of requests, in the order in which they were sent
    size_t nmade, nsent, ndone;
    bool closed;
} t;

// ---- the server ----

static void on_room(uv_handle_t *handle, size_t wanted, uv_buf_t *buf)
{
    (void)wanted;
    struct peer *p = handle->data;
    *buf = uv_buf_init(p->head + p->len, (unsigned)(sizeof p->head - 1 - p->len));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    (void)buf;
    struct peer *p = stream->data;
    if (n < 0) {
        uv_read_stop(stream);
        return;
    }
    p->len += (size_t)n;
    p->arrived = p->arrived || strstr(p->head, "\r\n\r\n") != NULL;
}

static void on_connection(uv_stream_t *listener, int status)
{
    assert_int_equal(status, 0);
    assert_true(t.npeers < REQUESTS_MAX);
    struct peer *p = &t.peers[t.npeers++];
    *p = (struct peer){.len = 0};
    uv_tcp_init(&t.loop, &p->tcp);
    p->tcp.data = p;
    uv_accept(listener, (uv_stream_t *)&p->tcp);
    uv_read_start((uv_stream_t *)&p->tcp, on_room, on_read);
}

// ---- the client ----

static void on_sent(void *arg)
{
    t.sent[t.nsent++] = (unsigned)(uintptr_t)arg;
}

static int on_data(void *arg, const char *data, size_t len)
{
    (void)arg;
    (void)data;
    (void)len;
    return 0;
}

static void on_done(void *arg, const struct client_result *result)
{
    assert_int_equal(result->status, 200);
    t.transfers[(uintptr_t)arg] = NULL;
    t.ndone++;
}

static void make(size_t n)
{
    for (; n > 0; n--) {
        char path[16];
        struct client_handler handler = {
            .sent = on_sent, .data = on_data, .done = on_done, .arg = (void *)(uintptr_t)t.nmade};
        snprintf(path, sizeof path, "/%zu", t.nmade);
        assert_int_equal(client_get(t.client, path, "application/json", false, &handler, &t.transfers[t.nmade]), 0);
        t.nmade++;
    }
}

// ---- what happens between them ----

static void wake(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
}

// Runs the loop until the number at `count` is `n`.
static void run_until(const size_t *count, size_t n)
{
    bool late = false;
    uv_timer_t patience;
    uv_timer_init(&t.loop, &patience);
    patience.data = &late;
    uv_timer_start(&patience, wake, PATIENCE_MS, 0);
    while (*count < n && !late)
        uv_run(&t.loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&patience, NULL);
    uv_run(&t.loop, UV_RUN_NOWAIT);
    assert_int_equal(*count, n);
}

// The server's connection with request `number` on it, once that is whole.
static struct peer *wait_arrived(unsigned number)
{
    char line[32];
    snprintf(line, sizeof line, "GET /%u HTTP/1.1\r\n", number);
    for (uint64_t end = uv_hrtime() + PATIENCE_MS * UINT64_C(1000000); uv_hrtime() < end;) {
        for (size_t i = 0; i < t.npeers; i++)
            if (t.peers[i].arrived && strncmp(t.peers[i].head, line, strlen(line)) == 0)
                return &t.peers[i];
        uv_run(&t.loop, UV_RUN_ONCE);
    }
    fail_msg("request %u does not come", number);
    return NULL;
}

static void answer(unsigned number, const char *text, bool end)
{
    struct peer *p = wait_arrived(number);
    uv_buf_t buf = uv_buf_init((char *)(uintptr_t)text, (unsigned)strlen(text));
    assert_int_equal(uv_try_write((uv_stream_t *)&p->tcp, &buf, 1), (int)strlen(text));
    if (end)
        uv_close((uv_handle_t *)&p->tcp, NULL);
}

static void expect_sent(size_t n)
{
    assert_int_equal(t.nsent, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(t.sent[i], i);
}

static void start(const struct limits *limits)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int len = sizeof address;
    char url[64];
    memset(&t, 0, sizeof t);
    uv_loop_init(&t.loop);
    uv_tcp_init(&t.loop, &t.listener);
    assert_int_equal(uv_tcp_bind(&t.listener, (struct sockaddr *)&address, 0), 0);
    assert_int_equal(uv_listen((uv_stream_t *)&t.listener, 16, on_connection), 0);
    uv_tcp_getsockname(&t.listener, (struct sockaddr *)&address, &len);
    snprintf(url, sizeof url, "http://127.0.0.1:%u", ntohs(address.sin_port));
    t.credentials.server = strdup(url);
    t.client = client_new(&t.loop, &t.credentials, limits);
}

static void on_closed(void *arg)
{
    (void)arg;
    t.closed = true;
}

static void close_one(uv_handle_t *handle, void *arg)
{
    (void)arg;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

static void stop(void)
{
    client_close(t.client, on_closed, NULL);
    while (!t.closed)
        uv_run(&t.loop, UV_RUN_ONCE);
    uv_walk(&t.loop, close_one, NULL);
    uv_run(&t.loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&t.loop), 0);
    free(t.credentials.server);
    clock_set_for_test(0, 0);
}

// ---- tests ----

static void without_limits_all_follow_the_first(void **unused)
{
    (void)unused;
    start(&(struct limits){0});
    make(5);
    expect_sent(1); // does the server speak HTTP/2?
    answer(0, HEAD, false);
    run_until(&t.nsent, 5);
    expect_sent(5);
    make(1);
    expect_sent(6);
    for (unsigned i = 0; i < 6; i++)
        answer(i, i > 0 ? HEAD : "", true);
    run_until(&t.ndone, 6);
    stop();
}

// A watch counts until its answer begins, then it may last.
static void inflight_is_bounded(void **unused)
{
    (void)unused;
    start(&(struct limits){.inflight = 2});
    make(6);
    answer(0, HEAD, false);
    run_until(&t.nsent, 3);
    expect_sent(3); // 1 and 2 have no answer yet
    answer(2, HEAD, false);
    run_until(&t.nsent, 4);
    client_cancel(t.transfers[1]); // without an answer: its place is free at once
    expect_sent(5);
    client_cancel(t.transfers[5]); // before its turn
    make(1);
    answer(3, HEAD, true);
    run_until(&t.ndone, 1);
    assert_int_equal(t.nsent, 6);
    assert_int_equal(t.sent[5], 6); // 5 was never sent
    wait_arrived(6);
    stop();
}

// Whoever asks again at once does not get in front of those that wait.
static void a_request_that_ends_frees_its_place(void **unused)
{
    (void)unused;
    start(&(struct limits){.inflight = 1});
    make(3);
    expect_sent(1);
    answer(0, HEAD, true);
    run_until(&t.nsent, 2);
    make(1);
    expect_sent(2);
    answer(1, HEAD, true);
    answer(2, HEAD, true);
    answer(3, HEAD, true);
    run_until(&t.ndone, 4);
    expect_sent(4);
    stop();
}

#define SECOND UINT64_C(1000000000)

// The client's clock stands still, but for what the test adds.
static void requests_are_spread(void **unused)
{
    (void)unused;
    uint64_t now = 1000 * SECOND;
    clock_set_for_test(now, 1);
    start(&(struct limits){.qps = 100, .burst = 2});
    make(1);
    answer(0, HEAD, false);
    uv_run(&t.loop, UV_RUN_NOWAIT);
    make(5);
    answer(1, HEAD, false); // the burst
    expect_sent(2);
    for (size_t n = 3; n <= 6; n++) {
        clock_set_for_test(now += SECOND / 100 - 1, 1);
        make(1);
        assert_int_equal(t.nsent, n - 1);
        clock_set_for_test(now += 1, 1);
        run_until(&t.nsent, n); // by the client's own timer
        answer((unsigned)n - 1, HEAD, n % 2 == 0);
        expect_sent(n);
    }
    stop();
}

static void waiting_requests_can_be_cancelled(void **unused)
{
    (void)unused;
    clock_set_for_test(1000 * SECOND, 1);
    start(&(struct limits){.qps = 1000, .burst = 1});
    make(4);
    answer(0, HEAD, false);
    uv_run(&t.loop, UV_RUN_NOWAIT);
    expect_sent(1);
    client_cancel(t.transfers[1]);
    client_cancel(t.transfers[3]);
    expect_sent(1);
    clock_set_for_test(1001 * SECOND, 1);
    run_until(&t.nsent, 2);
    assert_int_equal(t.sent[1], 2);
    make(1); // waits when all is closed
    assert_int_equal(t.nsent, 2);
    stop();
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_limits_all_follow_the_first), cmocka_unit_test(inflight_is_bounded),
        cmocka_unit_test(a_request_that_ends_frees_its_place), cmocka_unit_test(requests_are_spread),
        cmocka_unit_test(waiting_requests_can_be_cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
