// SPDX-License-Identifier: Apache-2.0
#include "upstream_test.h"

struct test {
    uv_loop_t loop;
    union sockaddr_any address;
    int listener;
    struct upstream_options options;
    struct upstream *u;
};

static struct test *open_with(void (*change)(struct upstream_options *))
{
    struct test *t = calloc(1, sizeof(*t));
    assert_non_null(t);
    assert_int_equal(uv_loop_init(&t->loop), 0);
    t->listener = serve_at("127.0.0.1", SOCK_STREAM, &t->address);
    assert_int_equal(listen(t->listener, 128), 0);
    t->options = udp_options(&t->address);
    if (change != NULL)
        change(&t->options);
    t->u = get_upstream(&t->options);
    return t;
}

static struct test *open_test(void)
{
    return open_with(NULL);
}

static void close_test(struct test *t)
{
    end_loop(&t->loop);
    upstream_put(t->u);
    close(t->listener);
    free(t);
}

static void ask_tcp(struct test *t, struct question *q, const char *text)
{
    ask(q, t->u, &t->loop, UPSTREAM_TCP, text, PATIENCE);
}

// ---- The server's side

static int take_connection(struct test *t)
{
    RUN_UNTIL(&t->loop, has_input(t->listener));
    int fd = accept4(t->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static void read_all(struct test *t, int fd, void *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        RUN_UNTIL(&t->loop, has_input(fd));
        ssize_t n = recv(fd, (char *)data + done, size - done, 0);
        assert_true(n > 0);
        done += (size_t)n;
    }
}

struct message {
    uint8_t frame[2 + 65535];
    size_t size; // of the message
};

static void take_message(struct test *t, int fd, struct message *m)
{
    read_all(t, fd, m->frame, 2);
    m->size = (size_t)m->frame[0] << 8 | m->frame[1];
    read_all(t, fd, m->frame + 2, m->size);
}

static void put_bytes(struct test *t, int fd, const void *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = send(fd, (const char *)data + done, size - done, MSG_NOSIGNAL);
        if (n > 0)
            done += (size_t)n;
        else
            run_a_bit(&t->loop);
    }
}

static void answer_message(struct test *t, int fd, struct message *m)
{
    m->frame[0] = (uint8_t)(m->size >> 8);
    m->frame[1] = (uint8_t)m->size;
    m->frame[4] |= 0x80;
    put_bytes(t, fd, m->frame, 2 + m->size);
}

// The client has closed the connection.
static void expect_closed(struct test *t, int fd)
{
    char unread[1024];
    ssize_t n;
    do {
        RUN_UNTIL(&t->loop, has_input(fd));
        n = recv(fd, unread, sizeof(unread), 0);
    } while (n > 0);
    close(fd);
}

static void exchange(struct test *t, int fd, struct question *q)
{
    struct message *m = malloc(sizeof(*m));
    assert_non_null(m);
    take_message(t, fd, m);
    answer_message(t, fd, m);
    expect_answer(q, &t->loop);
    free(m);
}

// ---- Tests

static void one_connection_for_all(void **state)
{
    (void)state;
    struct test *t = open_test();
    struct question q[3] = {0};
    ask_tcp(t, &q[0], "first");
    int fd = take_connection(t);
    exchange(t, fd, &q[0]);
    assert_false(q[0].reused);
    for (unsigned i = 1; i < 3; i++) {
        ask_tcp(t, &q[i], "next");
        exchange(t, fd, &q[i]);
        assert_true(q[i].reused);
    }
    struct upstream_counters c = counted(t->u);
    assert_int_equal(c.sent_stream, 3);
    assert_int_equal(c.conn_misses, 1);
    assert_int_equal(c.conn_hits, 2);
    assert_int_equal(c.unexpected, 0);
    close(fd);
    close_test(t);
}

static void pipelined_out_of_order(void **state)
{
    (void)state;
    struct test *t = open_test();
    static struct question q[100];
    static struct message m[100];
    memset(q, 0, sizeof(q));
    for (unsigned i = 0; i < 100; i++) {
        char text[8];
        (void)snprintf(text, sizeof(text), "%u", i);
        ask_tcp(t, &q[i], text);
    }
    int fd = take_connection(t);
    for (unsigned i = 0; i < 100; i++)
        take_message(t, fd, &m[i]);
    for (unsigned i = 0; i < 100; i++)
        answer_message(t, fd, &m[i * 37 % 100]);
    for (unsigned i = 0; i < 100; i++)
        expect_answer(&q[i], &t->loop);
    assert_int_equal(counted(t->u).conn_misses, 1);
    close(fd);
    close_test(t);
}

static void more_than_a_pipeline(void **state)
{
    (void)state;
    struct test *t = open_test();
    static struct question q[UPSTREAM_PIPELINE * 2 + 1];
    memset(q, 0, sizeof(q));
    for (unsigned i = 0; i < UPSTREAM_PIPELINE * 2 + 1; i++)
        ask_tcp(t, &q[i], "many");
    int fds[3];
    for (unsigned i = 0; i < 3; i++)
        fds[i] = take_connection(t);
    struct message *m = malloc(sizeof(*m));
    assert_non_null(m);
    for (unsigned i = 0; i < UPSTREAM_PIPELINE * 2 + 1; i++) {
        int fd = fds[i / UPSTREAM_PIPELINE];
        take_message(t, fd, m);
        answer_message(t, fd, m);
    }
    for (unsigned i = 0; i < UPSTREAM_PIPELINE * 2 + 1; i++)
        expect_answer(&q[i], &t->loop);
    assert_int_equal(counted(t->u).conn_misses, 3);
    // The one used last is used first.
    struct question next = {0};
    ask_tcp(t, &next, "next");
    exchange(t, fds[2], &next);
    free(m);
    for (unsigned i = 0; i < 3; i++)
        close(fds[i]);
    close_test(t);
}

static void all_in_flight(void **state)
{
    (void)state;
    struct test *t = open_test();
    static struct question q[UPSTREAM_REQUESTS], more;
    static int fds[UPSTREAM_REQUESTS / UPSTREAM_PIPELINE];
    const unsigned connections = UPSTREAM_REQUESTS / UPSTREAM_PIPELINE;
    memset(q, 0, sizeof(q));
    for (unsigned i = 0; i < UPSTREAM_REQUESTS; i++)
        ask_tcp(t, &q[i], "in flight");
    assert_int_equal(try_ask(&more, t->u, &t->loop, UPSTREAM_TCP, "one more", PATIENCE), CDNS_ELIMIT);
    struct message *m = malloc(sizeof(*m));
    assert_non_null(m);
    for (unsigned i = 0; i < connections; i++)
        fds[i] = take_connection(t);
    for (unsigned i = 0; i < UPSTREAM_REQUESTS; i++) {
        take_message(t, fds[i % connections], m);
        answer_message(t, fds[i % connections], m);
    }
    for (unsigned i = 0; i < UPSTREAM_REQUESTS; i++)
        expect_answer(&q[i], &t->loop);
    assert_int_equal(counted(t->u).conn_misses, connections);
    for (unsigned i = 0; i < connections; i++)
        close(fds[i]);
    free(m);
    close_test(t);
}

static void answer_byte_by_byte(void **state)
{
    (void)state;
    struct test *t = open_test();
    struct question q[2] = {0};
    struct message *m = calloc(2, sizeof(*m));
    assert_non_null(m);
    ask_tcp(t, &q[0], "slowly");
    ask_tcp(t, &q[1], "followed");
    int fd = take_connection(t);
    take_message(t, fd, &m[0]);
    take_message(t, fd, &m[1]);
    m[0].frame[4] |= 0x80;
    for (size_t i = 0; i < 2 + m[0].size; i++) {
        assert_int_equal(q[0].ended, 0);
        put_bytes(t, fd, m[0].frame + i, 1);
        run_a_bit(&t->loop);
    }
    expect_answer(&q[0], &t->loop);
    // The rest of one and the begin of another in one piece.
    answer_message(t, fd, &m[1]);
    expect_answer(&q[1], &t->loop);
    free(m);
    close(fd);
    close_test(t);
}

static void largest_answers(void **state)
{
    (void)state;
    struct test *t = open_test();
    struct question q[4] = {0};
    struct message *m = calloc(4, sizeof(*m));
    assert_non_null(m);
    for (unsigned i = 0; i < 4; i++)
        ask_tcp(t, &q[i], "large");
    int fd = take_connection(t);
    for (unsigned i = 0; i < 4; i++)
        take_message(t, fd, &m[i]);
    for (unsigned i = 0; i < 4; i++) {
        m[i].size = 65535;
        answer_message(t, fd, &m[i]);
    }
    for (unsigned i = 0; i < 4; i++) {
        expect_answer(&q[i], &t->loop);
        assert_int_equal(q[i].answer_size, 65535);
    }
    free(m);
    close(fd);
    close_test(t);
}

static void wrong_answers(void **state)
{
    (void)state;
    struct test *t = open_test();
    struct question q = {0};
    struct message *m = calloc(2, sizeof(*m));
    assert_non_null(m);
    ask_tcp(t, &q, "right question");
    int fd = take_connection(t);
    take_message(t, fd, &m[0]);
    m[1] = m[0];
    m[1].frame[3] ^= 1; // id
    answer_message(t, fd, &m[1]);
    m[1] = m[0];
    m[1].frame[16] ^= 1; // question
    answer_message(t, fd, &m[1]);
    RUN_UNTIL(&t->loop, counted(t->u).unexpected == 2);
    assert_int_equal(q.ended, 0);
    answer_message(t, fd, &m[0]);
    expect_answer(&q, &t->loop);
    answer_message(t, fd, &m[0]); // a duplicate, on an idle connection
    RUN_UNTIL(&t->loop, counted(t->u).unexpected == 3);
    free(m);
    close(fd);
    close_test(t);
}

static void garbage_ends_the_connection(void **state)
{
    (void)state;
    struct test *t = open_test();
    static const uint8_t garbage[] = "\0\0HTTP/1.1 400 Bad Request";
    struct question q = {0};
    ask_tcp(t, &q, "garbage");
    int fd = take_connection(t);
    put_bytes(t, fd, garbage, sizeof(garbage));
    expect_failure(&q, &t->loop, CDNS_EIO, "malformed answer");
    assert_false(q.stale);
    close(fd);
    // A length that nothing follows.
    struct question half = {0};
    ask(&half, t->u, &t->loop, UPSTREAM_TCP, "half", 50 * MS);
    fd = take_connection(t);
    put_bytes(t, fd, "\xff\xffHTTP", 6);
    expect_failure(&half, &t->loop, CDNS_ETIMEOUT, "no answer");
    expect_closed(t, fd);
    close_test(t);
}

static void flood_of_wrong_answers(void **state)
{
    (void)state;
    struct test *t = open_test();
    struct question q = {0};
    struct message *m = calloc(1, sizeof(*m));
    assert_non_null(m);
    ask_tcp(t, &q, "flood");
    int fd = take_connection(t);
    take_message(t, fd, m);
    m->frame[16] ^= 1;
    for (unsigned i = 0; i < 65; i++)
        answer_message(t, fd, m);
    expect_failure(&q, &t->loop, CDNS_EIO, "too many unexpected answers");
    free(m);
    close(fd);
    close_test(t);
}

static void refused(void **state)
{
    (void)state;
    struct test *t = open_test();
    close(t->listener);
    struct question q[2] = {0};
    ask_tcp(t, &q[0], "nobody");
    ask_tcp(t, &q[1], "there");
    for (unsigned i = 0; i < 2; i++) {
        expect_failure(&q[i], &t->loop, CDNS_EIO, "connection refused");
        assert_false(q[i].stale);
    }
    t->listener = dup(0);
    close_test(t);
}

static void unreachable(void **state)
{
    (void)state;
    struct test *t = open_test();
    union sockaddr_any nowhere = ip4("255.255.255.255", 53); // connect() itself refuses it
    struct upstream_options options = udp_options(&nowhere);
    struct upstream *u = get_upstream(&options);
    struct question q = {0};
    ask(&q, u, &t->loop, UPSTREAM_TCP, "nowhere", PATIENCE);
    RUN_UNTIL(&t->loop, q.ended == 1);
    assert_int_equal(q.error, CDNS_EIO);
    assert_string_not_equal(q.reason, "");
    RUN_UNTIL(&t->loop, !uv_loop_alive(&t->loop));
    upstream_put(u);
    close_test(t);
}

static void closed_mid_answer(void **state)
{
    (void)state;
    struct test *t = open_test();
    struct question q[2] = {0};
    struct message *m = calloc(1, sizeof(*m));
    assert_non_null(m);
    ask_tcp(t, &q[0], "half");
    ask_tcp(t, &q[1], "none");
    int fd = take_connection(t);
    take_message(t, fd, m);
    put_bytes(t, fd, m->frame, 10);
    close(fd); // with a question unread: a reset
    for (unsigned i = 0; i < 2; i++) {
        RUN_UNTIL(&t->loop, q[i].ended == 1);
        assert_int_equal(q[i].error, CDNS_EIO);
        assert_false(q[i].stale); // it was a new connection
    }
    free(m);
    close_test(t);
}

static void idle_connection_closed_by_server(void **state)
{
    (void)state;
    struct test *t = open_test();
    struct question q = {0};
    ask_tcp(t, &q, "first");
    int fd = take_connection(t);
    exchange(t, fd, &q);
    close(fd);
    RUN_UNTIL(&t->loop, !uv_loop_alive(&t->loop)); // noticed; nothing to tell
    struct question next = {0};
    ask_tcp(t, &next, "next");
    fd = take_connection(t);
    exchange(t, fd, &next);
    assert_false(next.reused);
    close(fd);
    close_test(t);
}

static void stale_connection(void **state)
{
    (void)state;
    struct test *t = open_test();
    struct question q = {0};
    ask_tcp(t, &q, "first");
    int fd = take_connection(t);
    exchange(t, fd, &q);
    struct question next = {0};
    close(fd); // the client does not know yet
    ask_tcp(t, &next, "next");
    RUN_UNTIL(&t->loop, next.ended == 1);
    assert_int_equal(next.error, CDNS_EIO);
    assert_true(next.reused);
    assert_true(next.stale);
    close_test(t);
}

static void short_expiry(struct upstream_options *options)
{
    options->expire_ns = 300 * MS;
}

static void idle_connections_expire(void **state)
{
    (void)state;
    struct test *t = open_with(short_expiry);
    struct question q = {0};
    ask_tcp(t, &q, "first");
    int fd = take_connection(t);
    exchange(t, fd, &q);
    uint64_t began = test_now_ms();
    expect_closed(t, fd);
    assert_true(test_now_ms() - began >= 250);
    RUN_UNTIL(&t->loop, !uv_loop_alive(&t->loop));
    close_test(t);
}

static void use_defers_expiry(void **state)
{
    (void)state;
    struct test *t = open_with(short_expiry);
    struct question q = {0}, slow = {0};
    ask_tcp(t, &q, "first");
    int fd = take_connection(t);
    exchange(t, fd, &q);
    ask_tcp(t, &slow, "longer than an idle connection stays");
    run_for(&t->loop, 350);
    exchange(t, fd, &slow);
    assert_true(slow.reused);
    expect_closed(t, fd);
    close_test(t);
}

static void short_life(struct upstream_options *options)
{
    options->max_age_ns = 600000 * MS;
}

static void pass_ten_minutes(void)
{
    clock_set_for_test(clock_monotonic_ns() + 600000 * MS, clock_realtime_ns());
}

static void connections_grow_old(void **state)
{
    (void)state;
    struct test *t = open_with(short_life);
    struct question q = {0}, waiting = {0}, next = {0};
    ask_tcp(t, &q, "first");
    int fd = take_connection(t);
    exchange(t, fd, &q);
    ask(&waiting, t->u, &t->loop, UPSTREAM_TCP, "in flight when it grows old", 10000000 * MS);
    pass_ten_minutes();
    ask_tcp(t, &next, "next");
    int second = take_connection(t);
    exchange(t, second, &next);
    assert_false(next.reused);
    exchange(t, fd, &waiting); // and then it goes
    expect_closed(t, fd);
    pass_ten_minutes();
    struct question last = {0};
    ask_tcp(t, &last, "the second is old and idle");
    expect_closed(t, second);
    fd = take_connection(t);
    exchange(t, fd, &last);
    close(fd);
    clock_set_for_test(0, 0);
    close_test(t);
}

static void one_idle(struct upstream_options *options)
{
    options->max_idle = 1;
}

static void idle_connections_are_few(void **state)
{
    (void)state;
    struct test *t = open_with(one_idle);
    static struct question q[UPSTREAM_PIPELINE + 1];
    struct message *m = malloc(sizeof(*m));
    assert_non_null(m);
    memset(q, 0, sizeof(q));
    for (unsigned i = 0; i < UPSTREAM_PIPELINE + 1; i++)
        ask_tcp(t, &q[i], "two connections");
    int first = take_connection(t), second = take_connection(t);
    exchange(t, second, &q[UPSTREAM_PIPELINE]);
    for (unsigned i = 0; i < UPSTREAM_PIPELINE; i++) {
        take_message(t, first, m);
        answer_message(t, first, m);
    }
    for (unsigned i = 0; i < UPSTREAM_PIPELINE; i++)
        expect_answer(&q[i], &t->loop);
    expect_closed(t, first); // used before the other
    free(m);
    close(second);
    close_test(t);
}

static void cancelled(void **state)
{
    (void)state;
    struct test *t = open_test();
    struct question q = {0}, other = {0};
    ask_tcp(t, &q, "before it is connected");
    upstream_cancel(q.request);
    RUN_UNTIL(&t->loop, !uv_loop_alive(&t->loop));
    ask_tcp(t, &q, "in flight");
    int dead = take_connection(t), fd = take_connection(t);
    close(dead);
    struct message *m = calloc(1, sizeof(*m));
    assert_non_null(m);
    take_message(t, fd, m);
    upstream_cancel(q.request);
    ask_tcp(t, &other, "kept for the next");
    answer_message(t, fd, m);
    exchange(t, fd, &other);
    assert_true(other.reused);
    assert_int_equal(q.ended, 0);
    assert_int_equal(counted(t->u).unexpected, 1);
    ask_tcp(t, &q, "never written");
    upstream_cancel(q.request);
    free(m);
    close(fd);
    close_test(t);
}

static void deadline_while_connecting(void **state)
{
    (void)state;
    struct test *t = open_test();
    // A listener whose queue is full answers no SYN.
    assert_int_equal(listen(t->listener, 0), 0);
    int filler[4];
    for (unsigned i = 0; i < 4; i++) {
        filler[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)connect(filler[i], &t->address.sa, address_size(&t->address));
    }
    struct question q = {0};
    ask(&q, t->u, &t->loop, UPSTREAM_TCP, "nobody listens", 30 * MS);
    expect_failure(&q, &t->loop, CDNS_ETIMEOUT, "connection timed out");
    RUN_UNTIL(&t->loop, !uv_loop_alive(&t->loop));
    for (unsigned i = 0; i < 4; i++)
        close(filler[i]);
    close_test(t);
}

static void silent_connection_is_given_up(void **state)
{
    (void)state;
    struct test *t = open_test();
    struct question q = {0}, slow = {0}, impatient = {0}, next = {0};
    ask_tcp(t, &q, "first");
    int fd = take_connection(t);
    exchange(t, fd, &q);
    ask_tcp(t, &slow, "patient");
    ask(&impatient, t->u, &t->loop, UPSTREAM_TCP, "impatient", 20 * MS);
    expect_failure(&impatient, &t->loop, CDNS_ETIMEOUT, "no answer");
    assert_false(impatient.stale);
    ask_tcp(t, &next, "over another");
    int second = take_connection(t);
    exchange(t, second, &next);
    exchange(t, fd, &slow); // the first may still answer
    expect_closed(t, fd);
    close(second);
    close_test(t);
}

// Slow with one name, answering others: no reason to leave.
static void slow_with_one_name(void **state)
{
    (void)state;
    struct test *t = open_test();
    struct question slow = {0}, q = {0};
    struct message *m = calloc(1, sizeof(*m));
    assert_non_null(m);
    ask(&slow, t->u, &t->loop, UPSTREAM_TCP, "slow", 500 * MS);
    int fd = take_connection(t);
    take_message(t, fd, m);
    ask_tcp(t, &q, "quick");
    exchange(t, fd, &q);
    expect_failure(&slow, &t->loop, CDNS_ETIMEOUT, "no answer");
    memset(&q, 0, sizeof(q));
    ask_tcp(t, &q, "still here");
    exchange(t, fd, &q);
    assert_true(q.reused);
    free(m);
    close(fd);
    close_test(t);
}

// A server that reads nothing: what waits for it is bounded, and ends.
static void server_never_reads(void **state)
{
    (void)state;
    struct test *t = open_test();
    char text[UPSTREAM_QUESTION_MAX - 12 + 1];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    assert_true(socket_set(t->listener, SOL_SOCKET, SO_RCVBUF, 4096));
    static struct question q[3000];
    memset(q, 0, sizeof(q));
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 1000; i++) {
            unsigned n = round * 1000 + i;
            int rc = try_ask(&q[n], t->u, &t->loop, UPSTREAM_TCP, text, i % 2 == 0 ? PATIENCE : 30 * MS);
            assert_int_equal(rc, 0);
            if (i % 64 == 0)
                run_a_bit(&t->loop);
        }
        for (unsigned i = 0; i < 1000; i += 2)
            upstream_cancel(q[round * 1000 + i].request);
    }
    for (unsigned i = 1; i < 3000; i += 2)
        RUN_UNTIL(&t->loop, q[i].ended == 1);
    RUN_UNTIL(&t->loop, !uv_loop_alive(&t->loop)); // all gave it up
    close_test(t);
}

static void source_address(struct upstream_options *options)
{
    options->source = ip4("127.0.0.7", 0);
}

static void asked_from_source(void **state)
{
    (void)state;
    struct test *t = open_with(source_address);
    struct question q = {0};
    union sockaddr_any peer;
    socklen_t size = sizeof(peer);
    ask_tcp(t, &q, "from");
    int fd = take_connection(t);
    assert_int_equal(getpeername(fd, &peer.sa, &size), 0);
    assert_int_equal(peer.in.sin_addr.s_addr, t->options.source.in.sin_addr.s_addr);
    exchange(t, fd, &q);
    close(fd);
    close_test(t);
}

// Connections of all upstreams together: past the bound idle ones give way, then nothing more is opened.
static void connections_are_bounded(void **state)
{
    (void)state;
    struct test *t = open_test();
    static struct upstream *u[130];
    static struct question q[130];
    static int fds[130];
    memset(q, 0, sizeof(q));
    for (unsigned i = 0; i < 130; i++) {
        struct upstream_options options = t->options;
        options.expire_ns -= i + 1; // another upstream each
        u[i] = get_upstream(&options);
    }
    for (unsigned i = 0; i < 128; i++) {
        ask(&q[i], u[i], &t->loop, UPSTREAM_TCP, "many", PATIENCE);
        fds[i] = take_connection(t);
    }
    assert_int_equal(try_ask(&q[128], u[128], &t->loop, UPSTREAM_TCP, "too many", PATIENCE), CDNS_ELIMIT);
    exchange(t, fds[5], &q[5]);
    ask(&q[128], u[128], &t->loop, UPSTREAM_TCP, "in its place", PATIENCE);
    expect_closed(t, fds[5]);
    fds[5] = take_connection(t);
    exchange(t, fds[5], &q[128]);
    for (unsigned i = 0; i < 128; i++)
        close(fds[i]);
    upstream_close_loop(&t->loop);
    for (unsigned i = 0; i < 130; i++)
        upstream_put(u[i]);
    close_test(t);
}

static struct test *again_test;

static void ask_again(struct question *q)
{
    if (q->arg != NULL)
        assert_int_equal(try_ask(q->arg, again_test->u, &again_test->loop, UPSTREAM_TCP, "again", PATIENCE), 0);
}

// What fails asks again in its callback: over a new connection, not the one that fails.
static void asks_again_in_callback(void **state)
{
    (void)state;
    struct test *t = again_test = open_test();
    struct question second[3] = {0}, first[3] = {0};
    for (unsigned i = 0; i < 3; i++) {
        first[i] = (struct question){.then = ask_again, .arg = &second[i]};
        ask_tcp(t, &first[i], "again");
    }
    int fd = take_connection(t);
    close(fd);
    fd = take_connection(t);
    for (unsigned i = 0; i < 3; i++)
        exchange(t, fd, &second[2 - i]);
    close(fd);
    close_test(t);
}

static void closed_with_requests_in_flight(void **state)
{
    (void)state;
    struct test *t = open_test();
    struct question q[3] = {0};
    ask_tcp(t, &q[0], "sent");
    int fd = take_connection(t);
    run_for(&t->loop, 5);
    ask_tcp(t, &q[1], "not written yet");
    upstream_close_loop(&t->loop);
    run_for(&t->loop, 5);
    assert_int_equal(q[0].ended + q[1].ended, 0);
    close(fd);
    close_test(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_connection_for_all),
        cmocka_unit_test(pipelined_out_of_order),
        cmocka_unit_test(more_than_a_pipeline),
        cmocka_unit_test(all_in_flight),
        cmocka_unit_test(answer_byte_by_byte),
        cmocka_unit_test(largest_answers),
        cmocka_unit_test(wrong_answers),
        cmocka_unit_test(garbage_ends_the_connection),
        cmocka_unit_test(flood_of_wrong_answers),
        cmocka_unit_test(refused),
        cmocka_unit_test(unreachable),
        cmocka_unit_test(closed_mid_answer),
        cmocka_unit_test(idle_connection_closed_by_server),
        cmocka_unit_test(stale_connection),
        cmocka_unit_test(idle_connections_expire),
        cmocka_unit_test(use_defers_expiry),
        cmocka_unit_test(connections_grow_old),
        cmocka_unit_test(idle_connections_are_few),
        cmocka_unit_test(cancelled),
        cmocka_unit_test(deadline_while_connecting),
        cmocka_unit_test(silent_connection_is_given_up),
        cmocka_unit_test(slow_with_one_name),
        cmocka_unit_test(server_never_reads),
        cmocka_unit_test(asked_from_source),
        cmocka_unit_test(connections_are_bounded),
        cmocka_unit_test(asks_again_in_callback),
        cmocka_unit_test(closed_with_requests_in_flight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
