// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What the tests of upstream.h share: a loop that asks, and servers that the test itself plays, one step after
/// another.
#include "net_test.h"

#include "base/clock.h"
#include "net/upstream.h"
#include <clusterdns/config.h>
#include <stdio.h>

#define MS UINT64_C(1000000)
#define PATIENCE (DEADLINE_MS * MS) // a deadline that only a failing test reaches
#define OWN_ID 0xabcd

/// A question and what became of it.
struct question {
    struct upstream_request *request;
    uint8_t data[UPSTREAM_QUESTION_MAX];
    size_t size;
    unsigned ended;
    int error;
    char reason[200];
    size_t answer_size;
    uint8_t flags; // third byte of the answer
    uint64_t duration_ns;
    bool reused, stale;
    void (*then)(struct question *q); // called at the end
    void *arg;
};

static inline struct upstream_options udp_options(const union sockaddr_any *address)
{
    return (struct upstream_options){.address = *address, .expire_ns = PATIENCE};
}

static inline struct upstream *get_upstream(const struct upstream_options *options)
{
    char error[CONFIG_ERROR_MAX] = "";
    struct upstream *u = NULL;
    int rc = upstream_get(options, &u, error);
    if (rc != 0)
        print_message("upstream_get: %s\n", error);
    assert_int_equal(rc, 0);
    return u;
}

static inline struct upstream_counters counted(const struct upstream *u)
{
    struct upstream_counters c;
    upstream_counters(u, &c);
    return c;
}

/// The answer repeats the question behind its header.
static inline bool accepts(void *arg, const uint8_t *message, size_t size)
{
    const struct question *q = arg;
    return size >= q->size && memcmp(message + 12, q->data + 12, q->size - 12) == 0;
}

static inline void on_end(void *arg, const struct upstream_result *result)
{
    struct question *q = arg;
    q->ended++;
    q->error = result->error;
    q->duration_ns = result->duration_ns;
    q->reused = result->reused;
    q->stale = result->stale;
    (void)snprintf(q->reason, sizeof(q->reason), "%s", result->error != 0 ? result->reason : "");
    q->answer_size = result->error != 0 ? 0 : result->size;
    if (result->error == 0) {
        assert_int_equal(result->message[0] << 8 | result->message[1], OWN_ID);
        q->flags = result->message[2];
    }
    if (q->then != NULL)
        q->then(q);
}

static inline void make_question(struct question *q, const char *text)
{
    q->size = 12 + strlen(text);
    assert_true(q->size <= sizeof(q->data));
    memset(q->data, 0, 12);
    q->data[0] = OWN_ID >> 8;
    q->data[1] = OWN_ID & 0xff;
    memcpy(q->data + 12, text, strlen(text));
}

static inline int try_ask(struct question *q, struct upstream *u, uv_loop_t *loop, enum upstream_way way,
                          const char *text, uint64_t patience_ns)
{
    make_question(q, text);
    return upstream_ask(u, loop, way, q->data, q->size, clock_monotonic_ns() + patience_ns, accepts, on_end, q,
                        &q->request);
}

static inline void ask(struct question *q, struct upstream *u, uv_loop_t *loop, enum upstream_way way, const char *text,
                       uint64_t patience_ns)
{
    assert_int_equal(try_ask(q, u, loop, way, text, patience_ns), 0);
    assert_int_equal(q->ended, 0);
}

/// Waits for the end: an answer.
static inline void expect_answer(struct question *q, uv_loop_t *loop)
{
    uv_run(loop, UV_RUN_NOWAIT); // it may be there already
    RUN_UNTIL(loop, q->ended > 0);
    assert_int_equal(q->ended, 1);
    assert_string_equal(q->reason, "");
    assert_int_equal(q->error, 0);
}

static inline void expect_failure(struct question *q, uv_loop_t *loop, int error, const char *reason)
{
    RUN_UNTIL(loop, q->ended > 0);
    assert_int_equal(q->ended, 1);
    assert_string_equal(q->reason, reason);
    assert_int_equal(q->error, error);
}

/// Runs the loop for a moment in which nothing is to happen.
static inline void run_for(uv_loop_t *loop, unsigned ms)
{
    for (uint64_t until = test_now_ms() + ms; test_now_ms() < until;)
        run_a_bit(loop);
}

/// Closes what the loop has open, and checks that nothing is left.
static inline void end_loop(uv_loop_t *loop)
{
    upstream_close_loop(loop);
    finish_loop(loop);
}

// ---- A server of datagrams

struct datagram {
    uint8_t data[65536];
    size_t size;
    union sockaddr_any from;
};

static inline int serve_at(const char *ip, int type, union sockaddr_any *address)
{
    union sockaddr_any at = strchr(ip, ':') != NULL ? ip6(ip, 0) : ip4(ip, 0);
    int fd = socket_open(&at, type, address);
    assert_true(fd >= 0);
    return fd;
}

/// The next question that comes; the loop runs until it does.
static inline void take_datagram(uv_loop_t *loop, int fd, struct datagram *d)
{
    socklen_t size = sizeof(d->from);
    RUN_UNTIL(loop, has_input(fd));
    ssize_t n = recvfrom(fd, d->data, sizeof(d->data), 0, &d->from.sa, &size);
    assert_true(n >= 12);
    d->size = (size_t)n;
}

static inline void send_back(int fd, const struct datagram *d)
{
    assert_int_equal(sendto(fd, d->data, d->size, 0, &d->from.sa, address_size(&d->from)), d->size);
}

static inline void answer_datagram(int fd, struct datagram *d)
{
    d->data[2] |= 0x80;
    send_back(fd, d);
}
