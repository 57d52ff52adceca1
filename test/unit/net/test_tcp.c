// SPDX-License-Identifier: Apache-2.0
#include "tcp_test.h"

#include "base/siphash.h"
#include "net/connection.h"

static void idle_connection_is_closed(void **state)
{
    (void)state;
    struct tcp_limits limits = tcp_limits_default;
    limits.idle_ns = 60 * MS;
    struct script *s = open_script("127.0.0.1", &limits);
    int silent = client_to(s), fd = client_to(s);
    put_message(s, fd, "once");
    expect_message(s, fd, "once");
    expect_end(s, silent);
    expect_end(s, fd);
    assert_int_equal(COUNTED(s, tcp_timeouts), 2);
    close(silent);
    close(fd);
    RUN_UNTIL(&s->loop, COUNTED(s, tcp_open) == 0);
    close_script(s);
}

static void a_peer_that_never_closes_is_closed(void **state)
{
    (void)state;
    struct tcp_limits limits = tcp_limits_default;
    limits.idle_ns = 10 * MS;
    struct script *s = open_script("127.0.0.1", &limits);
    int fd = client_to(s); // sees our end close, and keeps its own open
    RUN_UNTIL(&s->loop, COUNTED(s, tcp_timeouts) == 1);
    RUN_UNTIL(&s->loop, COUNTED(s, tcp_open) == 0);
    assert_int_equal(COUNTED(s, tcp_timeouts), 1);
    close(fd);
    close_script(s);
}

static void no_idle_timeout_while_a_question_is_in_flight(void **state)
{
    (void)state;
    struct tcp_limits limits = tcp_limits_default;
    limits.idle_ns = 20 * MS;
    struct script *s = open_script("127.0.0.1", &limits);
    int waiting = client_to(s), idle = client_to(s);
    put_message(s, waiting, "H");
    RUN_UNTIL(&s->loop, s->nheld == 1);
    for (int i = 0; i < 3; i++) { // several times as long as an idle one may live
        expect_end(s, idle);
        close(idle);
        idle = client_to(s);
    }
    close(idle);
    assert_int_equal(release(s, 0, "late"), 0);
    expect_message(s, waiting, "late");
    expect_end(s, waiting); // its time runs from its answer
    close(waiting);
    close_script(s);
}

static void begun_message_must_end(void **state)
{
    (void)state;
    struct tcp_limits limits = tcp_limits_default;
    limits.read_ns = 60 * MS;
    struct script *s = open_script("127.0.0.1", &limits);
    int half = client_to(s), prefix = client_to(s), whole = client_to(s);
    put_message(s, half, "H");
    put(s, half, "\0\7begun", 7);
    put(s, prefix, "\0", 1);
    put_message(s, whole, "whole");
    expect_message(s, whole, "whole");
    expect_end(s, prefix);
    RUN_UNTIL(&s->loop, COUNTED(s, tcp_timeouts) == 2);
    // What was asked before is still answered.
    assert_int_equal(release(s, 0, "late"), 0);
    expect_message(s, half, "late");
    expect_end(s, half);
    put_message(s, whole, "still here");
    expect_message(s, whole, "still here");
    close(half);
    close(prefix);
    close(whole);
    close_script(s);
}

static void drip_does_not_extend_the_time(void **state)
{
    (void)state;
    struct tcp_limits limits = tcp_limits_default;
    limits.read_ns = 60 * MS;
    struct script *s = open_script("127.0.0.1", &limits);
    int fd = client_to(s);
    uint64_t until = test_now_ms() + DEADLINE_MS;
    put(s, fd, "\xff\xff", 2);
    while (COUNTED(s, tcp_timeouts) == 0 && test_now_ms() < until) {
        (void)!send(fd, "x", 1, MSG_NOSIGNAL);
        run_a_bit(&s->loop);
    }
    assert_int_equal(COUNTED(s, tcp_timeouts), 1);
    close(fd);
    close_script(s);
}

static void no_read_timeout_while_reading_is_paused(void **state)
{
    (void)state;
    struct tcp_limits limits = tcp_limits_default;
    limits.read_ns = 20 * MS;
    limits.in_flight = 1;
    struct script *s = open_script("127.0.0.1", &limits);
    int fd = client_to(s), other = client_to(s);
    put(s, fd, "\0\1H\0\4be", 7);
    RUN_UNTIL(&s->loop, s->nheld == 1);
    put(s, other, "\0", 1);
    expect_end(s, other); // longer than a begun message may take
    put(s, fd, "en", 2);
    assert_int_equal(release(s, 0, "late"), 0);
    expect_message(s, fd, "late");
    expect_message(s, fd, "been");
    close(fd);
    close(other);
    close_script(s);
}

static void longest_idle_gives_way(void **state)
{
    (void)state;
    struct tcp_limits limits = tcp_limits_default;
    limits.connections = 3;
    struct script *s = open_script("127.0.0.1", &limits);
    int a = client_to(s), b = client_to(s), c = client_to(s);
    put_message(s, a, "H"); // the oldest, but at work
    put_message(s, b, "b");
    expect_message(s, b, "b");
    put_message(s, c, "c");
    expect_message(s, c, "c");
    put_message(s, b, "newer than c");
    expect_message(s, b, "newer than c");
    int d = client_to(s);
    put_message(s, d, "d");
    expect_message(s, d, "d");
    expect_end(s, c);
    put_message(s, b, "H");
    put_message(s, d, "H");
    RUN_UNTIL(&s->loop, s->nheld == 3);
    assert_int_equal(COUNTED(s, tcp_rejected), 0);
    int e = client_to(s); // all are at work
    RUN_UNTIL(&s->loop, COUNTED(s, tcp_rejected) == 1);
    expect_end(s, e);
    assert_int_equal(COUNTED(s, tcp_open), 3);
    assert_int_equal(COUNTED(s, tcp_accepted), 4);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(release(s, i, "late"), 0);
    expect_message(s, a, "late");
    expect_message(s, b, "late");
    expect_message(s, d, "late");
    const int fds[] = {a, b, c, d, e};
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
        close(fds[i]);
    close_script(s);
}

// Addresses that are of different crowds, 127.0.0.1 first: crowds are told apart by a hash whose key is the process's
// own.
static void addresses_apart(char out[][INET_ADDRSTRLEN], unsigned n)
{
    uint64_t seen[CROWDS / 64] = {0};
    for (unsigned i = 0, host = 1; i < n; host++) {
        struct in_addr address = {.s_addr = htonl(INADDR_LOOPBACK - 1 + host)};
        uint64_t crowd = siphash13(siphash_process_key(), &address, sizeof(address)) % CROWDS;
        if ((seen[crowd / 64] >> crowd % 64 & 1) == 0)
            inet_ntop(AF_INET, &address, out[i++], INET_ADDRSTRLEN);
        seen[crowd / 64] |= UINT64_C(1) << crowd % 64;
    }
}

// A client that waits for answers on all connections does not keep others out: each may have an eighth.
static void a_crowd_gives_way(void **state)
{
    (void)state;
    enum { CONNECTIONS = 16, PART = 2 };
    struct tcp_limits limits = tcp_limits_default;
    limits.connections = CONNECTIONS;
    struct script *s = open_script("127.0.0.1", &limits);
    int crowd[CONNECTIONS], others[PART];
    char from[2][INET_ADDRSTRLEN];
    addresses_apart(from, 2);
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        crowd[i] = client_to(s);
        put_message(s, crowd[i], "H");
        RUN_UNTIL(&s->loop, s->nheld == i + 1);
    }
    for (unsigned i = 0; i < PART; i++) {
        others[i] = client_from(s, from[1]);
        put_message(s, others[i], "H");
        RUN_UNTIL(&s->loop, s->nheld == CONNECTIONS + i + 1);
        expect_reset(s, crowd[i]);
    }
    assert_int_equal(COUNTED(s, tcp_rejected), 0);
    int more = client_from(s, from[1]), again = client_to(s);
    RUN_UNTIL(&s->loop, COUNTED(s, tcp_rejected) == 2);
    expect_end(s, more);
    expect_end(s, again);
    assert_int_equal(COUNTED(s, tcp_open), CONNECTIONS);
    for (unsigned i = 0; i < CONNECTIONS + PART; i++)
        assert_int_equal(release(s, i, "late"), i < PART ? CDNS_ECANCELED : 0);
    expect_message(s, crowd[PART], "late");
    expect_message(s, others[0], "late");
    // As soon as one of them is idle there is room.
    int next = client_to(s);
    put_message(s, next, "next");
    expect_message(s, next, "next");
    for (unsigned i = 0; i < CONNECTIONS; i++)
        close(crowd[i]);
    close(others[0]);
    close(others[1]);
    close(more);
    close(again);
    close(next);
    close_script(s);
}

// Many clients that are all at work: nobody has more than its part, and the new one has to wait.
static void no_crowd_no_room(void **state)
{
    (void)state;
    struct tcp_limits limits = tcp_limits_default;
    limits.connections = 8;
    struct script *s = open_script("127.0.0.1", &limits);
    char from[9][INET_ADDRSTRLEN];
    int fds[9];
    addresses_apart(from, 9);
    for (unsigned i = 0; i < 9; i++) {
        fds[i] = client_from(s, from[i]);
        put_message(s, fds[i], "H");
        RUN_UNTIL(&s->loop, s->nheld == i + 1 || COUNTED(s, tcp_rejected) == 1);
    }
    assert_int_equal(s->nheld, 8);
    assert_int_equal(COUNTED(s, tcp_rejected), 1);
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(release(s, i, "late"), 0);
    for (unsigned i = 0; i < 9; i++)
        close(fds[i]);
    close_script(s);
}

static void stuck_gives_way(void **state)
{
    (void)state;
    struct tcp_limits limits = tcp_limits_default;
    limits.connections = 2;
    struct script *s = open_script("127.0.0.1", &limits);
    s->big = 60000;
    int stuck[2];
    for (int i = 0; i < 2; i++) {
        stuck[i] = client_to(s);
        assert_true(socket_set(stuck[i], SOL_SOCKET, SO_RCVBUF, 4096));
        for (int k = 0; k < 100; k++) // far more than the kernel and the queue hold
            put_message(s, stuck[i], "Big");
        unsigned before = s->calls, calls;
        RUN_UNTIL(&s->loop, s->calls > before);
        do {
            calls = s->calls;
            run_a_bit(&s->loop);
        } while (calls != s->calls);
    }
    uint64_t end = test_now_ms() + limits.write_ns / MS / 2;
    for (bool served = false; !served;) {
        char data[16];
        int fd = client_to(s);
        put_message(s, fd, "served");
        RUN_UNTIL(&s->loop, has_input(fd));
        served = recv(fd, data, sizeof(data), 0) > 0;
        assert_true(test_now_ms() < end); // long before the time for writing is over
        close(fd);
    }
    close(stuck[0]);
    close(stuck[1]);
    close_script(s);
}

static unsigned tcp_calls, tcp_calls_before_udp;

static long take_long(void *arg, struct tcp_connection *connection, const uint8_t *packet, size_t size, uint8_t *out,
                      size_t cap)
{
    (void)arg, (void)connection, (void)cap;
    tcp_calls++;
    for (uint64_t end = uv_hrtime() + 3 * MS; uv_hrtime() < end;)
        ;
    memcpy(out, packet, size);
    return (long)size;
}

static size_t note_calls(void *arg, struct udp_listener *listener, const struct udp_peer *peer, const uint8_t *packet,
                         size_t size, uint8_t *out, size_t cap)
{
    (void)listener, (void)peer, (void)packet, (void)size, (void)out, (void)cap;
    tcp_calls_before_udp = tcp_calls;
    *(bool *)arg = true;
    return 0;
}

static void datagrams_do_not_wait_for_all_connections(void **state)
{
    (void)state;
    enum { CLIENTS = 20 };
    uv_loop_t loop;
    struct tcp_listener *tcp;
    struct udp_listener *udp;
    bool done = false;
    union sockaddr_any at = ip4("127.0.0.1", 0), udp_at;
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(tcp_listen(&loop, &at, &tcp_limits_default, take_long, NULL, &tcp), 0);
    assert_int_equal(udp_listen(&loop, &at, note_calls, &done, &udp), 0);
    tcp_address(tcp, &at);
    udp_address(udp, &udp_at);
    int fds[CLIENTS], fd = socket(AF_INET, SOCK_DGRAM, 0);
    for (int i = 0; i < CLIENTS; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM, 0);
        assert_int_equal(connect(fds[i], &at.sa, address_size(&at)), 0);
    }
    RUN_UNTIL(&loop, net_counters(&loop)->tcp_open == CLIENTS);
    run_a_bit(&loop); // they are polled now, so that their events come before the datagram's
    for (int i = 0; i < CLIENTS; i++)
        assert_int_equal(send(fds[i], "\0\1x", 3, 0), 3);
    assert_int_equal(sendto(fd, "x", 1, 0, &udp_at.sa, address_size(&udp_at)), 1);
    RUN_UNTIL(&loop, done && tcp_calls == CLIENTS);
    assert_true(tcp_calls_before_udp < CLIENTS / 2);
    for (int i = 0; i < CLIENTS; i++)
        close(fds[i]);
    close(fd);
    tcp_close(tcp);
    udp_close(udp);
    finish_loop(&loop);
}

static void memory_of_all_is_bounded(void **state)
{
    (void)state;
    struct tcp_limits limits = tcp_limits_default;
    limits.queued_bytes = 60000;
    limits.buffered_bytes = 600000; // of 128 or 256 KiB for each connection
    struct script *s = open_script("127.0.0.1", &limits);
    s->big = 60000;
    int fds[8];
    for (int i = 0; i < 8; i++) {
        fds[i] = client_to(s);
        for (int k = 0; k < 100; k++) // each alone stays below its own bound
            put_message(s, fds[i], "Big");
    }
    int reader = client_to(s);
    RUN_UNTIL(&s->loop, COUNTED(s, tcp_timeouts) >= 4); // long before the time for writing is over
    put_message(s, reader, "served");
    expect_message(s, reader, "served");
    assert_true(COUNTED(s, tcp_open) >= 2); // not all had to go
    for (int i = 0; i < 8; i++)
        close(fds[i]);
    close(reader);
    close_script(s);
}

static void out_of_descriptors(void **state)
{
    (void)state;
    struct script *s = open_default();
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    struct rlimit old, none;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    none = old;
    none.rlim_cur = 0;
    assert_int_equal(connect(fd, &s->address.sa, address_size(&s->address)), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    put_message(s, fd, "patience");
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    unsigned wakeups = 0;
    for (uint64_t until = test_now_ms() + 30; test_now_ms() < until; wakeups++) {
        struct pollfd wait = {.fd = uv_backend_fd(&s->loop), .events = POLLIN};
        uv_run(&s->loop, UV_RUN_NOWAIT);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0); // poll() refuses more descriptors than the limit
        (void)poll(&wait, 1, 30);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_true(wakeups < 10); // the waiting connection does not keep the loop spinning
    assert_int_equal(COUNTED(s, tcp_accepted), 0);
    expect_message(s, fd, "patience");
    close(fd);
    close_script(s);
}

static void drain_answers_what_was_received(void **state)
{
    (void)state;
    struct script *s = open_default();
    int idle = client_to(s), held = client_to(s), begun = client_to(s);
    put_message(s, held, "H");
    put(s, begun, "\0\5beg", 5);
    put_message(s, idle, "idle");
    expect_message(s, idle, "idle");
    RUN_UNTIL(&s->loop, s->nheld == 1);
    int fresh = client_to(s); // neither accepted nor read yet
    put_message(s, fresh, "one");
    put_message(s, fresh, "two");
    put_message(s, held, "three");
    tcp_drain(s->listener);
    int late = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(late, &s->address.sa, address_size(&s->address)), -1);
    assert_int_equal(errno, ECONNREFUSED);
    close(late);
    expect_message(s, fresh, "one");
    expect_message(s, fresh, "two");
    expect_end(s, fresh);
    expect_end(s, idle);
    expect_message(s, held, "three");
    put(s, begun, "un", 2);
    expect_message(s, begun, "begun");
    expect_end(s, begun);
    put_message(s, held, "too late"); // and yet no reset takes away what follows
    assert_int_equal(release(s, 0, "late"), 0);
    expect_message(s, held, "late");
    expect_end(s, held);
    const int fds[] = {idle, held, begun, fresh};
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
        close(fds[i]);
    RUN_UNTIL(&s->loop, COUNTED(s, tcp_open) == 0);
    close_script(s);
}

static void drain_does_not_spin(void **state)
{
    (void)state;
    struct script *s = open_default();
    int begun = client_to(s);
    put(s, begun, "\0\5beg", 5);
    RUN_UNTIL(&s->loop, COUNTED(s, tcp_open) == 1);
    tcp_drain(s->listener);
    for (int i = 0; i < 5; i++)
        run_a_bit(&s->loop);
    struct pollfd wait = {.fd = uv_backend_fd(&s->loop), .events = POLLIN};
    assert_int_equal(poll(&wait, 1, 20), 0); // nothing to do until the rest comes
    close(begun);
    close_script(s);
}

static void drain_while_paused(void **state)
{
    (void)state;
    struct tcp_limits limits = tcp_limits_default;
    limits.in_flight = 1;
    struct script *s = open_script("127.0.0.1", &limits);
    int fd = client_to(s);
    put_message(s, fd, "H");
    RUN_UNTIL(&s->loop, s->nheld == 1);
    put_message(s, fd, "in the kernel");
    tcp_drain(s->listener);
    for (int i = 0; i < 5; i++)
        run_a_bit(&s->loop);
    assert_int_equal(s->calls, 1);
    assert_int_equal(release(s, 0, "late"), 0);
    expect_message(s, fd, "late");
    expect_message(s, fd, "in the kernel");
    expect_end(s, fd);
    close(fd);
    close_script(s);
}

static void paused_listener_waits(void **state)
{
    (void)state;
    struct script *s = open_default();
    tcp_pause(s->listener);
    int fd = client_to(s);
    put_message(s, fd, "early");
    run_a_bit(&s->loop);
    assert_int_equal(COUNTED(s, tcp_accepted), 0);
    tcp_resume(s->listener);
    RUN_UNTIL(&s->loop, s->calls == 1);
    close(fd);
    close_script(s);
}

static void close_with_questions_in_flight(void **state)
{
    (void)state;
    struct script *s = open_default();
    int fd = client_to(s);
    put_message(s, fd, "H");
    put_message(s, fd, "H");
    RUN_UNTIL(&s->loop, s->nheld == 2);
    tcp_close(s->listener);
    s->listener = NULL;
    assert_int_equal(release(s, 0, "late"), CDNS_ECANCELED);
    uv_run(&s->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&s->loop), 0);
    tcp_discard(s->held[1]); // after the loop: only memory is touched
    assert_int_equal(COUNTED(s, tcp_open), 0);
    close(fd);
    free(s);
}

static struct tcp_listener *to_close;

static long close_all(void *arg, struct tcp_connection *connection, const uint8_t *packet, size_t size, uint8_t *out,
                      size_t cap)
{
    (void)arg, (void)connection, (void)cap;
    tcp_drain(to_close);
    tcp_close(to_close);
    memcpy(out, packet, size); // still there
    return (long)size;
}

static void close_from_a_handler(void **state)
{
    (void)state;
    uv_loop_t loop;
    union sockaddr_any at = ip4("127.0.0.1", 0);
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(tcp_listen(&loop, &at, &tcp_limits_default, close_all, NULL, &to_close), 0);
    tcp_address(to_close, &at);
    int fd = socket(AF_INET, SOCK_STREAM, 0), other = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, &at.sa, address_size(&at)), 0);
    assert_int_equal(connect(other, &at.sa, address_size(&at)), 0);
    assert_int_equal(send(fd, "\0\1c\0\1d", 6, 0), 6);
    finish_loop(&loop);
    close(fd);
    close(other);
}

static void errors_of_listen(void **state)
{
    (void)state;
    uv_loop_t loop;
    struct tcp_listener *listener;
    assert_int_equal(uv_loop_init(&loop), 0);
    union sockaddr_any nowhere = ip4("192.0.2.1", 0);
    assert_int_equal(tcp_listen(&loop, &nowhere, &tcp_limits_default, play, NULL, &listener), CDNS_EIO);
    assert_int_equal(errno, EADDRNOTAVAIL);
    finish_loop(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(idle_connection_is_closed),
        cmocka_unit_test(a_peer_that_never_closes_is_closed),
        cmocka_unit_test(no_idle_timeout_while_a_question_is_in_flight),
        cmocka_unit_test(begun_message_must_end),
        cmocka_unit_test(drip_does_not_extend_the_time),
        cmocka_unit_test(no_read_timeout_while_reading_is_paused),
        cmocka_unit_test(longest_idle_gives_way),
        cmocka_unit_test(a_crowd_gives_way),
        cmocka_unit_test(no_crowd_no_room),
        cmocka_unit_test(stuck_gives_way),
        cmocka_unit_test(datagrams_do_not_wait_for_all_connections),
        cmocka_unit_test(memory_of_all_is_bounded),
        cmocka_unit_test(out_of_descriptors),
        cmocka_unit_test(drain_answers_what_was_received),
        cmocka_unit_test(drain_does_not_spin),
        cmocka_unit_test(drain_while_paused),
        cmocka_unit_test(paused_listener_waits),
        cmocka_unit_test(close_with_questions_in_flight),
        cmocka_unit_test(close_from_a_handler),
        cmocka_unit_test(errors_of_listen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
