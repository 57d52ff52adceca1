// SPDX-License-Identifier: Apache-2.0
#include "upstream_test.h"

struct test {
    uv_loop_t loop;
    union sockaddr_any address;
    int server;
    struct upstream *u;
    struct datagram d;
};

static struct test *open_at(const char *ip)
{
    struct test *t = calloc(1, sizeof(*t));
    assert_non_null(t);
    assert_int_equal(uv_loop_init(&t->loop), 0);
    t->server = serve_at(ip, SOCK_DGRAM, &t->address);
    struct upstream_options options = udp_options(&t->address);
    t->u = get_upstream(&options);
    return t;
}

static struct test *open_test(void)
{
    return open_at("127.0.0.1");
}

static void close_test(struct test *t)
{
    end_loop(&t->loop);
    upstream_put(t->u);
    close(t->server);
    free(t);
}

static void ask_udp(struct test *t, struct question *q, const char *text)
{
    ask(q, t->u, &t->loop, UPSTREAM_UDP, text, PATIENCE);
}

static void take(struct test *t)
{
    take_datagram(&t->loop, t->server, &t->d);
}

static void one_answer(void **state)
{
    (void)state;
    const char *const ips[] = {"127.0.0.1", "::1"};
    for (size_t i = 0; i < (have_ip6() ? 2 : 1); i++) {
        struct test *t = open_at(ips[i]);
        struct question q = {0};
        ask_udp(t, &q, "example");
        take(t);
        assert_int_equal(t->d.size, q.size);
        assert_memory_equal(t->d.data + 2, q.data + 2, q.size - 2);
        answer_datagram(t->server, &t->d);
        expect_answer(&q, &t->loop);
        assert_int_equal(q.flags, 0x80);
        assert_int_equal(q.answer_size, q.size);
        assert_true(q.duration_ns > 0);
        assert_false(q.reused || q.stale);
        assert_int_equal(counted(t->u).sent_udp, 1);
        assert_int_equal(counted(t->u).unexpected, 0);
        close_test(t);
    }
}

static void answers_out_of_order(void **state)
{
    (void)state;
    struct test *t = open_test();
    static struct question q[200];
    static struct datagram d[200];
    memset(q, 0, sizeof(q));
    for (unsigned i = 0; i < 200; i++) {
        char text[8];
        (void)snprintf(text, sizeof(text), "%u", i);
        ask_udp(t, &q[i], text);
        take_datagram(&t->loop, t->server, &d[i]);
    }
    for (unsigned i = 0; i < 200; i++)
        answer_datagram(t->server, &d[i * 77 % 200]);
    for (unsigned i = 0; i < 200; i++)
        expect_answer(&q[i], &t->loop);
    assert_int_equal(counted(t->u).unexpected, 0);
    close_test(t);
}

// What does not answer the question is passed over, and the right answer still counts.
static void wrong_answers(void **state)
{
    (void)state;
    struct test *t = open_test();
    struct question q = {0};
    ask_udp(t, &q, "right question");
    take(t);
    struct datagram *wrong = malloc(sizeof(*wrong));
    assert_non_null(wrong);
    *wrong = t->d;
    wrong->data[1] ^= 1; // id
    answer_datagram(t->server, wrong);
    *wrong = t->d;
    wrong->data[14] ^= 1; // question
    answer_datagram(t->server, wrong);
    *wrong = t->d;
    wrong->size = 11; // no header
    answer_datagram(t->server, wrong);
    wrong->size = 0;
    send_back(t->server, wrong);
    RUN_UNTIL(&t->loop, counted(t->u).unexpected == 4);
    assert_int_equal(q.ended, 0);
    answer_datagram(t->server, &t->d);
    expect_answer(&q, &t->loop);
    free(wrong);
    close_test(t);
}

static void wrong_port(void **state)
{
    (void)state;
    struct test *t = open_test();
    struct question q = {0};
    union sockaddr_any other;
    ask_udp(t, &q, "example");
    take(t);
    int third = serve_at("127.0.0.1", SOCK_DGRAM, &other), elsewhere = serve_at("127.0.0.2", SOCK_DGRAM, &other);
    answer_datagram(third, &t->d);
    answer_datagram(elsewhere, &t->d);
    run_for(&t->loop, 30);
    assert_int_equal(q.ended, 0);
    answer_datagram(t->server, &t->d);
    expect_answer(&q, &t->loop);
    assert_int_equal(counted(t->u).unexpected, 0); // the kernel keeps them away
    close(third);
    close(elsewhere);
    close_test(t);
}

static void duplicates(void **state)
{
    (void)state;
    struct test *t = open_test();
    for (unsigned i = 0; i < 100; i++) { // a server that says all twice is to be borne
        struct question q = {0};
        ask_udp(t, &q, "twice");
        take(t);
        answer_datagram(t->server, &t->d);
        answer_datagram(t->server, &t->d);
        expect_answer(&q, &t->loop);
    }
    close_test(t);
}

static void large_answer(void **state)
{
    (void)state;
    struct test *t = open_test();
    struct question q = {0};
    ask_udp(t, &q, "large");
    take(t);
    t->d.size = NET_UDP_PAYLOAD;
    answer_datagram(t->server, &t->d);
    expect_answer(&q, &t->loop);
    assert_int_equal(q.answer_size, NET_UDP_PAYLOAD);
    close_test(t);
}

static void largest_question(void **state)
{
    (void)state;
    struct test *t = open_test();
    struct question q = {0};
    char text[UPSTREAM_QUESTION_MAX - 12 + 1];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    ask_udp(t, &q, text);
    take(t);
    assert_int_equal(t->d.size, UPSTREAM_QUESTION_MAX);
    upstream_cancel(q.request);
    close_test(t);
}

// The server comes back.
static void reopen(struct test *t)
{
    union sockaddr_any bound;
    t->server = socket_open(&t->address, SOCK_DGRAM, &bound);
    assert_true(t->server >= 0);
}

static void refused(void **state)
{
    (void)state;
    struct test *t = open_test();
    close(t->server);
    struct question q[3] = {0};
    ask_udp(t, &q[0], "nobody");
    ask_udp(t, &q[1], "is");
    ask_udp(t, &q[2], "there");
    for (unsigned i = 0; i < 3; i++) {
        expect_failure(&q[i], &t->loop, CDNS_EIO, "connection refused");
        assert_false(q[i].stale);
    }
    reopen(t);
    for (unsigned i = 0; i < 20; i++) {
        struct question back = {0};
        ask_udp(t, &back, "back");
        take(t);
        answer_datagram(t->server, &t->d);
        expect_answer(&back, &t->loop);
    }
    close_test(t);
}

// Refused while the next question is asked on the same socket: only what was asked before has failed.
static void refused_before(void **state)
{
    (void)state;
    struct test *t = open_test();
    close(t->server);
    static struct question q[100];
    memset(q, 0, sizeof(q));
    for (unsigned i = 0; i < 100; i++) // the ICMP messages come at once, the loop looks later
        ask_udp(t, &q[i], "nobody");
    for (unsigned i = 0; i < 100; i++)
        expect_failure(&q[i], &t->loop, CDNS_EIO, "connection refused");
    assert_int_equal(counted(t->u).sent_udp, 100);
    reopen(t);
    close_test(t);
}

static void deadline(void **state)
{
    (void)state;
    struct test *t = open_test();
    struct question q[3] = {0};
    ask(&q[0], t->u, &t->loop, UPSTREAM_UDP, "slow", 400 * MS);
    ask(&q[1], t->u, &t->loop, UPSTREAM_UDP, "fast", 20 * MS);
    ask(&q[2], t->u, &t->loop, UPSTREAM_UDP, "answered", PATIENCE);
    for (unsigned i = 0; i < 3; i++)
        take(t);
    answer_datagram(t->server, &t->d);
    expect_answer(&q[2], &t->loop);
    expect_failure(&q[1], &t->loop, CDNS_ETIMEOUT, "no answer");
    assert_int_equal(q[0].ended, 0);
    expect_failure(&q[0], &t->loop, CDNS_ETIMEOUT, "no answer");
    assert_true(q[0].duration_ns >= 400 * MS);
    close_test(t);
}

static struct test *again_test;

static void ask_again(struct question *q)
{
    if (q->arg != NULL)
        assert_int_equal(try_ask(q->arg, again_test->u, &again_test->loop, UPSTREAM_UDP, "again", 0), 0);
}

// A deadline that is over ends the request after upstream_ask() has returned, also when a callback asked.
static void deadline_in_the_past(void **state)
{
    (void)state;
    struct test *t = again_test = open_test();
    struct question second = {0}, first = {.then = ask_again, .arg = &second};
    ask(&first, t->u, &t->loop, UPSTREAM_UDP, "late", 0);
    expect_failure(&first, &t->loop, CDNS_ETIMEOUT, "no answer");
    assert_int_equal(second.ended, 0);
    expect_failure(&second, &t->loop, CDNS_ETIMEOUT, "no answer");
    close_test(t);
}

static void late_answer_is_unexpected(void **state)
{
    (void)state;
    struct test *t = open_test();
    struct question q = {0};
    ask(&q, t->u, &t->loop, UPSTREAM_UDP, "slow", 10 * MS);
    take(t);
    expect_failure(&q, &t->loop, CDNS_ETIMEOUT, "no answer");
    answer_datagram(t->server, &t->d);
    RUN_UNTIL(&t->loop, counted(t->u).unexpected == 1);
    close_test(t);
}

static void cancelled(void **state)
{
    (void)state;
    struct test *t = open_test();
    struct question q = {0}, other = {0};
    ask_udp(t, &q, "cancelled");
    ask_udp(t, &other, "other");
    take(t);
    upstream_cancel(q.request);
    answer_datagram(t->server, &t->d);
    take(t);
    answer_datagram(t->server, &t->d);
    expect_answer(&other, &t->loop);
    RUN_UNTIL(&t->loop, counted(t->u).unexpected == 1);
    assert_int_equal(q.ended, 0);
    close_test(t);
}

// A callback cancels what else is answered in the same batch.
static void cancel_other(struct question *q)
{
    struct question *other = q->arg;
    if (other->ended == 0)
        upstream_cancel(other->request);
}

static void cancelled_in_callback(void **state)
{
    (void)state;
    struct test *t = open_test();
    for (unsigned i = 0; i < 50; i++) { // some pairs leave from one socket
        struct question a = {.then = cancel_other}, b = {.then = cancel_other, .arg = &a};
        a.arg = &b;
        ask_udp(t, &a, "a");
        ask_udp(t, &b, "b");
        for (unsigned k = 0; k < 2; k++) {
            take(t);
            answer_datagram(t->server, &t->d);
        }
        RUN_UNTIL(&t->loop, a.ended + b.ended > 0);
        run_a_bit(&t->loop);
        assert_int_equal(a.ended + b.ended, 1);
    }
    close_test(t);
}

static void closed_with_requests_in_flight(void **state)
{
    (void)state;
    struct test *t = open_test();
    struct question q[20] = {0};
    for (unsigned i = 0; i < 20; i++)
        ask_udp(t, &q[i], "open");
    upstream_close_loop(&t->loop);
    run_for(&t->loop, 5);
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(q[i].ended, 0);
    ask_udp(t, &q[0], "the loop can be used again");
    close_test(t);
}

static void put_while_in_flight(void **state)
{
    (void)state;
    struct test *t = open_test();
    struct upstream_options options = udp_options(&t->address);
    struct question q = {0};
    ask_udp(t, &q, "last");
    take(t);
    upstream_put(t->u);
    answer_datagram(t->server, &t->d);
    expect_answer(&q, &t->loop);
    t->u = get_upstream(&options); // its sockets are still there, so it is the same
    assert_int_equal(counted(t->u).sent_udp, 1);
    close_test(t);
}

static int compare_ports(const void *a, const void *b)
{
    return *(const uint16_t *)a - *(const uint16_t *)b;
}

#define MANY 4000

// Ports and ids of many questions: spread over all that there are, sockets replaced after their questions.
static void ports_and_ids(void **state)
{
    (void)state;
    struct test *t = open_test();
    static uint16_t ports[MANY], ids[MANY];
    unsigned high_ports = 0, high_ids = 0, different_ports = 0, different_ids = 0, row = 0, longest = 0;
    for (unsigned i = 0; i < MANY; i++) {
        struct question q = {0};
        ask_udp(t, &q, "port");
        take(t);
        ports[i] = address_port(&t->d.from);
        ids[i] = (uint16_t)(t->d.data[0] << 8 | t->d.data[1]);
        assert_true(ports[i] >= 1024);
        high_ports += ports[i] >= 33280; // the middle
        high_ids += ids[i] >= 32768;
        answer_datagram(t->server, &t->d);
        expect_answer(&q, &t->loop);
    }
    qsort(ports, MANY, sizeof(ports[0]), compare_ports);
    qsort(ids, MANY, sizeof(ids[0]), compare_ports);
    for (unsigned i = 0; i < MANY; i++) {
        row = i > 0 && ports[i] == ports[i - 1] ? row + 1 : 1;
        longest = row > longest ? row : longest;
        different_ports += row == 1;
        different_ids += i == 0 || ids[i] != ids[i - 1];
    }
    // At least one socket for 64 questions; 62 to 70 sockets in all, of which two may by chance have one port.
    assert_in_range(different_ports, MANY / 64 - 2, MANY / 64 + 8);
    assert_true(longest <= 128);
    assert_in_range(different_ids, MANY - 400, MANY); // 4,000 of 65,536: some 120 are drawn twice
    assert_in_range(high_ids, MANY / 2 - 250, MANY / 2 + 250);
    assert_in_range(high_ports, MANY / 10, MANY - MANY / 10);
    close_test(t);
}

// A socket is not used for long, however little is asked.
static void sockets_grow_old(void **state)
{
    (void)state;
    struct test *t = open_test();
    struct question q = {0};
    ask_udp(t, &q, "young");
    take(t);
    answer_datagram(t->server, &t->d);
    expect_answer(&q, &t->loop);
    struct question late = {0};
    ask(&late, t->u, &t->loop, UPSTREAM_UDP, "late", 20 * MS);
    run_a_bit(&t->loop);
    assert_true(uv_loop_alive(&t->loop));
    // When the loop looks at that deadline, it is six seconds later.
    clock_set_for_test(clock_monotonic_ns() + 6000 * MS, clock_realtime_ns());
    expect_failure(&late, &t->loop, CDNS_ETIMEOUT, "no answer");
    RUN_UNTIL(&t->loop, !uv_loop_alive(&t->loop)); // nothing is open
    clock_set_for_test(0, 0);
    close_test(t);
}

// Somebody who has found the port and guesses ids ends the socket, not the question's name.
static void guessing_ends_the_socket(void **state)
{
    (void)state;
    struct test *t = open_test();
    struct question q = {0};
    ask_udp(t, &q, "guess");
    take(t);
    uint8_t right = t->d.data[0];
    for (unsigned i = 1; i <= 200; i++) {
        t->d.data[0] = (uint8_t)(right ^ i);
        answer_datagram(t->server, &t->d);
    }
    expect_failure(&q, &t->loop, CDNS_EIO, "too many unexpected answers");
    assert_in_range(counted(t->u).unexpected, 60, 80);
    // The next question leaves from another port.
    uint16_t port = address_port(&t->d.from);
    for (unsigned i = 0; i < 50; i++) {
        struct question next = {0};
        ask_udp(t, &next, "next");
        take(t);
        assert_int_not_equal(address_port(&t->d.from), port);
        answer_datagram(t->server, &t->d);
        expect_answer(&next, &t->loop);
    }
    close_test(t);
}

static void all_in_flight(void **state)
{
    (void)state;
    struct test *t = open_test();
    static struct question q[UPSTREAM_REQUESTS], more;
    memset(q, 0, sizeof(q));
    assert_true(socket_set(t->server, SOL_SOCKET, SO_RCVBUF, 8 << 20));
    for (unsigned i = 0; i < UPSTREAM_REQUESTS; i++) {
        ask_udp(t, &q[i], "in flight");
        if (i % 64 == 63)
            run_a_bit(&t->loop);
    }
    unsigned sockets = t->loop.active_handles;
    assert_in_range(sockets, UPSTREAM_REQUESTS / 64, UPSTREAM_REQUESTS / 64 + 10);
    assert_int_equal(try_ask(&more, t->u, &t->loop, UPSTREAM_UDP, "one more", PATIENCE), CDNS_ELIMIT);
    unsigned answered = 0;
    while (has_input(t->server)) {
        take(t);
        answer_datagram(t->server, &t->d);
        answered++;
        uv_run(&t->loop, UV_RUN_NOWAIT);
    }
    assert_true(answered > 0);
    unsigned ended = 0;
    for (unsigned i = 0; i < UPSTREAM_REQUESTS; i++)
        ended += q[i].ended;
    assert_int_equal(ended, answered);
    ask(&more, t->u, &t->loop, UPSTREAM_UDP, "room again", PATIENCE);
    close_test(t);
}

static void source_address(void **state)
{
    (void)state;
    struct test *t = open_test();
    struct upstream_options options = udp_options(&t->address);
    options.source = ip4("127.0.0.7", 0);
    struct upstream *u = get_upstream(&options);
    assert_ptr_not_equal(u, t->u);
    struct question q = {0};
    ask(&q, u, &t->loop, UPSTREAM_UDP, "from", PATIENCE);
    take(t);
    assert_int_equal(t->d.from.in.sin_addr.s_addr, options.source.in.sin_addr.s_addr);
    answer_datagram(t->server, &t->d);
    expect_answer(&q, &t->loop);
    upstream_put(u);
    options.source = ip4("192.0.2.1", 0); // not ours
    u = get_upstream(&options);
    assert_int_equal(try_ask(&q, u, &t->loop, UPSTREAM_UDP, "from", PATIENCE), CDNS_EIO);
    assert_int_equal(errno, EADDRNOTAVAIL);
    upstream_put(u);
    close_test(t);
}

// Without descriptors the sockets that are there serve on.
static void no_descriptors(void **state)
{
    (void)state;
    struct test *t = open_test();
    struct rlimit before, none;
    struct question q = {0};
    ask_udp(t, &q, "first");
    take(t);
    answer_datagram(t->server, &t->d);
    expect_answer(&q, &t->loop);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = (struct rlimit){.rlim_cur = 3, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    for (unsigned i = 0; i < 200; i++) {
        struct question more = {0};
        ask_udp(t, &more, "more");
        take(t);
        answer_datagram(t->server, &t->d);
        expect_answer(&more, &t->loop);
    }
    upstream_close_loop(&t->loop);
    assert_int_equal(try_ask(&q, t->u, &t->loop, UPSTREAM_UDP, "none", PATIENCE), CDNS_EIO);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    close_test(t);
}

static void same_options_same_upstream(void **state)
{
    (void)state;
    union sockaddr_any address = ip4("127.0.0.1", 5300), other = ip4("127.0.0.1", 5301), v6 = ip6("fe80::1", 53);
    struct upstream_options options = udp_options(&address), link;
    struct upstream *a = get_upstream(&options), *b = get_upstream(&options);
    assert_ptr_equal(a, b);
    upstream_put(b);
    options.expire_ns++;
    b = get_upstream(&options);
    assert_ptr_not_equal(a, b);
    upstream_put(b);
    options = udp_options(&other);
    b = get_upstream(&options);
    assert_ptr_not_equal(a, b);
    upstream_put(b);
    upstream_put(a);
    link = udp_options(&v6);
    link.address.in6.sin6_scope_id = 1;
    a = get_upstream(&link);
    link.address.in6.sin6_scope_id = 2;
    b = get_upstream(&link);
    assert_ptr_not_equal(a, b);
    upstream_put(a);
    upstream_put(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_answer),
        cmocka_unit_test(answers_out_of_order),
        cmocka_unit_test(wrong_answers),
        cmocka_unit_test(wrong_port),
        cmocka_unit_test(duplicates),
        cmocka_unit_test(large_answer),
        cmocka_unit_test(largest_question),
        cmocka_unit_test(refused),
        cmocka_unit_test(refused_before),
        cmocka_unit_test(deadline),
        cmocka_unit_test(deadline_in_the_past),
        cmocka_unit_test(late_answer_is_unexpected),
        cmocka_unit_test(cancelled),
        cmocka_unit_test(cancelled_in_callback),
        cmocka_unit_test(closed_with_requests_in_flight),
        cmocka_unit_test(put_while_in_flight),
        cmocka_unit_test(ports_and_ids),
        cmocka_unit_test(sockets_grow_old),
        cmocka_unit_test(guessing_ends_the_socket),
        cmocka_unit_test(all_in_flight),
        cmocka_unit_test(source_address),
        cmocka_unit_test(no_descriptors),
        cmocka_unit_test(same_options_same_upstream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
