// SPDX-License-Identifier: Apache-2.0
#include "tcp_test.h"

static void one_question_one_answer(void **state)
{
    (void)state;
    const char *const binds[] = {"127.0.0.1", "0.0.0.0", "::1", "::"};
    size_t count = have_ip6() ? 4 : 2;
    for (size_t i = 0; i < count; i++) {
        struct script *s = open_script(binds[i], &tcp_limits_default);
        int fd = client_to(s);
        put_message(s, fd, "question");
        expect_message(s, fd, "question");
        union sockaddr_any own, client, local;
        socklen_t size = sizeof(own);
        assert_int_equal(getsockname(fd, &own.sa, &size), 0);
        tcp_peer(s->last, &client, &local);
        assert_int_equal(address_port(&client), address_port(&own));
        assert_int_equal(address_port(&local), address_port(&s->address));
        assert_int_equal(local.sa.sa_family, s->address.sa.sa_family);
        assert_false(address_is_any(&local));
        assert_int_equal(COUNTED(s, tcp_open), 1);
        close(fd);
        RUN_UNTIL(&s->loop, COUNTED(s, tcp_open) == 0);
        assert_int_equal(COUNTED(s, tcp_accepted), 1);
        close_script(s);
    }
}

static void byte_by_byte(void **state)
{
    (void)state;
    struct script *s = open_default();
    int fd = client_to(s);
    const char stream[] = "\0\5first\0\0\0\6second";
    for (size_t i = 0; i < sizeof(stream) - 1; i++) {
        put(s, fd, stream + i, 1);
        run_a_bit(&s->loop);
    }
    expect_message(s, fd, "first");
    // An empty message is one too; the script's answer of no bytes is none.
    expect_message(s, fd, "second");
    assert_int_equal(s->calls, 3);
    close(fd);
    close_script(s);
}

static void many_in_one_write(void **state)
{
    (void)state;
    struct script *s = open_default();
    int fd = client_to(s);
    static uint8_t stream[40000];
    size_t size = 0;
    for (unsigned i = 0; i < 2000; i++) { // 2 + 2 … 17 bytes each, so that reads end anywhere
        size_t length = 2 + i % 16;
        stream[size] = 0;
        stream[size + 1] = (uint8_t)length;
        memset(stream + size + 2, 'e', length);
        stream[size + 2] = (uint8_t)(i >> 8) | 0x80;
        stream[size + 3] = (uint8_t)i;
        size += 2 + length;
    }
    put(s, fd, stream, size);
    for (unsigned i = 0; i < 2000; i++) {
        uint8_t data[32];
        assert_int_equal(get_message(s, fd, data, sizeof(data)), 2 + i % 16);
        assert_int_equal((data[0] & 0x7f) << 8 | data[1], i);
    }
    close(fd);
    close_script(s);
}

static void largest_message_both_ways(void **state)
{
    (void)state;
    static uint8_t stream[2 + 65535 + 4], data[65535];
    struct script *s = open_default();
    int fd = client_to(s);
    memset(stream, 'e', sizeof(stream));
    stream[0] = stream[1] = 0xff;
    memcpy(stream + 2 + 65535, "\0\2ok", 4);
    put(s, fd, stream, sizeof(stream));
    assert_int_equal(get_message(s, fd, data, sizeof(data)), 65535);
    assert_memory_equal(data, stream + 2, 65535);
    expect_message(s, fd, "ok");
    close(fd);
    close_script(s);
}

static void late_answers_in_any_order(void **state)
{
    (void)state;
    struct script *s = open_default();
    int fd = client_to(s);
    put_message(s, fd, "H1");
    put_message(s, fd, "H2");
    put_message(s, fd, "prompt");
    put_message(s, fd, "H3");
    put_message(s, fd, "Now"); // through tcp_send() inside the handler
    RUN_UNTIL(&s->loop, s->calls == 5);
    expect_message(s, fd, "Now");
    expect_message(s, fd, "prompt");
    assert_int_equal(release(s, 2, "three"), 0);
    assert_int_equal(release(s, 0, "one"), 0);
    assert_int_equal(release(s, 1, "two"), 0);
    expect_message(s, fd, "three");
    expect_message(s, fd, "one");
    expect_message(s, fd, "two");
    put_message(s, fd, "still open");
    expect_message(s, fd, "still open");
    close(fd);
    close_script(s);
}

static void questions_without_answer(void **state)
{
    (void)state;
    struct script *s = open_default();
    int fd = client_to(s);
    put_message(s, fd, "H");
    put_message(s, fd, "Dropped");
    put_message(s, fd, "Zero");
    put_message(s, fd, "answered");
    expect_message(s, fd, "answered");
    tcp_discard(s->held[0]);
    put_message(s, fd, "answered too");
    expect_message(s, fd, "answered too");
    close(fd);
    close_script(s);
}

static void in_flight_bound_pauses_reading(void **state)
{
    (void)state;
    struct tcp_limits limits = tcp_limits_default;
    limits.in_flight = 2;
    struct script *s = open_script("127.0.0.1", &limits);
    int fd = client_to(s);
    for (int i = 0; i < 6; i++)
        put_message(s, fd, (char[]){'H', (char)('0' + (char)i), '\0'});
    put_message(s, fd, "end");
    for (unsigned done = 0; done < 6; done++) {
        RUN_UNTIL(&s->loop, s->nheld == (done + 2 < 6 ? done + 2 : 6));
        for (int i = 0; i < 3; i++)
            run_a_bit(&s->loop);
        assert_true(s->nheld <= done + 2);
        assert_int_equal(s->names[done], '0' + done);
        assert_int_equal(release(s, done, (char[]){(char)('0' + (char)done), '\0'}), 0);
        if (done == 5) // came as soon as there was room
            expect_message(s, fd, "end");
        expect_message(s, fd, (char[]){(char)('0' + (char)done), '\0'});
    }
    close(fd);
    close_script(s);
}

static void question_bound_ends_in_good_order(void **state)
{
    (void)state;
    struct tcp_limits limits = tcp_limits_default;
    limits.queries = 3;
    struct script *s = open_script("127.0.0.1", &limits);
    int fd = client_to(s);
    put_message(s, fd, "one");
    put_message(s, fd, "H");
    put_message(s, fd, "three");
    put_message(s, fd, "four");
    put_message(s, fd, "five");
    expect_message(s, fd, "one");
    expect_message(s, fd, "three");
    put_message(s, fd, "six");
    assert_int_equal(release(s, 0, "two"), 0);
    expect_message(s, fd, "two");
    expect_end(s, fd); // and not a reset, though questions were left unread
    assert_int_equal(s->calls, 3);
    close(fd);
    RUN_UNTIL(&s->loop, COUNTED(s, tcp_open) == 0);
    close_script(s);
}

static void slow_reader_gets_all_and_pauses_reading(void **state)
{
    (void)state;
    static uint8_t data[65535];
    struct tcp_limits limits = tcp_limits_default;
    limits.queued_bytes = 100000;
    struct script *s = open_script("127.0.0.1", &limits);
    s->big = 60000;
    int fd = client_to(s);
    for (int i = 0; i < 400; i++) // 24 MB of answers
        put_message(s, fd, "Big");
    unsigned calls;
    do {
        calls = s->calls;
        for (int i = 0; i < 5; i++)
            run_a_bit(&s->loop);
    } while (s->calls != calls);
    assert_true(calls > 0 && calls < 400);
    for (int i = 0; i < 400; i++)
        assert_int_equal(get_message(s, fd, data, sizeof(data)), 60000);
    assert_int_equal(s->calls, 400);
    close(fd);
    close_script(s);
}

static void peer_that_never_reads_is_reset(void **state)
{
    (void)state;
    struct tcp_limits limits = tcp_limits_default;
    limits.queued_bytes = 100000;
    limits.write_ns = 100 * MS;
    struct script *s = open_script("127.0.0.1", &limits);
    s->big = 60000;
    int fd = client_to(s);
    for (int i = 0; i < 400; i++)
        put_message(s, fd, "Big");
    RUN_UNTIL(&s->loop, COUNTED(s, tcp_timeouts) == 1);
    assert_int_equal(COUNTED(s, tcp_open), 0);
    static uint8_t data[65535];
    ssize_t n;
    do // what was underway, then the reset
        n = recv(fd, data, sizeof(data), 0);
    while (n > 0);
    assert_true(n < 0 && errno == ECONNRESET);
    close(fd);
    close_script(s);
}

static void half_closed_peer_gets_its_answers(void **state)
{
    (void)state;
    struct script *s = open_default();
    int fd = client_to(s);
    put_message(s, fd, "H");
    put_message(s, fd, "prompt");
    put(s, fd, "\0\7begun", 7); // never ends
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    expect_message(s, fd, "prompt");
    for (int i = 0; i < 5; i++)
        run_a_bit(&s->loop);
    assert_int_equal(COUNTED(s, tcp_open), 1);
    assert_int_equal(release(s, 0, "late"), 0);
    expect_message(s, fd, "late");
    expect_end(s, fd);
    RUN_UNTIL(&s->loop, COUNTED(s, tcp_open) == 0);
    close(fd);
    close_script(s);
}

static void half_closed_while_paused(void **state)
{
    (void)state;
    struct tcp_limits limits = tcp_limits_default;
    limits.in_flight = 1;
    struct script *s = open_script("127.0.0.1", &limits);
    int fd = client_to(s);
    put(s, fd, "\0\1H\0\3one\0\1H\0\3two", 16);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    RUN_UNTIL(&s->loop, s->nheld == 1);
    assert_int_equal(release(s, 0, "first"), 0);
    expect_message(s, fd, "first");
    expect_message(s, fd, "one");
    RUN_UNTIL(&s->loop, s->nheld == 2);
    tcp_discard(s->held[1]);
    expect_message(s, fd, "two");
    expect_end(s, fd);
    close(fd);
    close_script(s);
}

static void reset_in_the_middle(void **state)
{
    (void)state;
    struct script *s = open_default();
    int fd = client_to(s);
    put_message(s, fd, "H");
    put(s, fd, "\0\7begun", 7);
    RUN_UNTIL(&s->loop, s->nheld == 1);
    reset(fd);
    RUN_UNTIL(&s->loop, COUNTED(s, tcp_open) == 0);
    // The query that is still under way learns it, and the memory is there until then.
    assert_int_equal(tcp_send(s->held[0], (const uint8_t *)"more", 4, false), CDNS_ECANCELED);
    assert_int_equal(release(s, 0, "late"), CDNS_ECANCELED);
    close_script(s);
}

static void handler_ends_the_connection(void **state)
{
    (void)state;
    struct script *s = open_default();
    int fd = client_to(s);
    put(s, fd, "\0\1H\0\6before\0\1X\0\5after", 21);
    expect_message(s, fd, "before");
    assert_int_equal(s->calls, 3);
    assert_int_equal(release(s, 0, "late"), 0);
    expect_message(s, fd, "late");
    expect_end(s, fd);
    close(fd);
    close_script(s);
}

static void handler_aborts_the_connection(void **state)
{
    (void)state;
    struct script *s = open_default();
    int fd = client_to(s);
    put(s, fd, "\0\1H\0\6before\0\1A\0\5after", 21);
    expect_reset(s, fd);
    assert_int_equal(s->calls, 3);
    assert_int_equal(release(s, 0, "late"), CDNS_ECANCELED);
    close(fd);
    // The same out of a kept buffer: the message was begun before.
    fd = client_to(s);
    put(s, fd, "\0\5A", 3);
    for (int i = 0; i < 3; i++)
        run_a_bit(&s->loop);
    put(s, fd, "bort\0\1e", 7);
    expect_reset(s, fd);
    assert_int_equal(COUNTED(s, tcp_open), 0);
    close(fd);
    close_script(s);
}

// A stream: as many messages as the queue takes, then again when it has room.

#define STREAM_MESSAGES 100
#define STREAM_SIZE 50000

struct stream {
    struct script *script;
    struct tcp_connection *connection;
    unsigned sent, drains;
    bool closed;
};

static void produce(void *arg, struct tcp_connection *connection, bool closed)
{
    static uint8_t message[STREAM_SIZE];
    struct stream *stream = arg;
    stream->drains++;
    stream->closed = closed;
    if (closed) {
        tcp_discard(connection);
        return;
    }
    for (;;) {
        memset(message, (int)stream->sent, sizeof(message));
        stream->sent++;
        int result = tcp_send(connection, message, sizeof(message), stream->sent == STREAM_MESSAGES);
        if (stream->sent == STREAM_MESSAGES)
            return;
        if (result == CDNS_EAGAIN) {
            tcp_on_drain(connection, produce, stream);
            return;
        }
        assert_int_equal(result, 0);
    }
}

static void stream_goes_on_as_the_queue_drains(void **state)
{
    (void)state;
    static uint8_t data[65535];
    struct script *s = open_default();
    struct stream stream = {.script = s};
    int fd = client_to(s);
    put_message(s, fd, "H");
    RUN_UNTIL(&s->loop, s->nheld == 1);
    tcp_on_drain(s->held[0], produce, &stream); // called though the queue was never full
    put_message(s, fd, "meanwhile");
    unsigned messages = 0;
    while (messages < STREAM_MESSAGES + 1) {
        ssize_t size = get_message(s, fd, data, sizeof(data));
        if (size == 9) {
            assert_memory_equal(data, "meanwhile", 9);
        } else {
            assert_int_equal(size, STREAM_SIZE);
            assert_true(data[0] == data[STREAM_SIZE - 1]);
        }
        messages++;
    }
    assert_true(stream.drains > 2);
    assert_false(stream.closed);
    put_message(s, fd, "after");
    expect_message(s, fd, "after");
    close(fd);
    close_script(s);
}

static void stream_learns_of_the_end(void **state)
{
    (void)state;
    struct script *s = open_default();
    struct stream stream = {.script = s};
    int fd = client_to(s);
    put_message(s, fd, "H");
    RUN_UNTIL(&s->loop, s->nheld == 1);
    tcp_on_drain(s->held[0], produce, &stream);
    RUN_UNTIL(&s->loop, stream.drains == 1);
    reset(fd);
    RUN_UNTIL(&s->loop, stream.closed);
    assert_true(stream.sent < STREAM_MESSAGES);
    assert_int_equal(COUNTED(s, tcp_open), 0);
    close_script(s);
}

static void stream_can_be_given_up(void **state)
{
    (void)state;
    struct script *s = open_default();
    struct stream stream = {.script = s};
    int fd = client_to(s);
    put_message(s, fd, "H");
    RUN_UNTIL(&s->loop, s->nheld == 1);
    tcp_on_drain(s->held[0], produce, &stream);
    tcp_on_drain(s->held[0], NULL, NULL);
    tcp_abort(s->held[0]);
    tcp_on_drain(s->held[0], NULL, NULL);
    tcp_discard(s->held[0]);
    expect_reset(s, fd);
    assert_int_equal(stream.drains, 0);
    close(fd);
    // Asked for when the connection is gone already: told at once.
    fd = client_to(s);
    put_message(s, fd, "H");
    RUN_UNTIL(&s->loop, s->nheld == 2);
    tcp_abort(s->held[1]);
    tcp_on_drain(s->held[1], produce, &stream);
    assert_true(stream.closed);
    close(fd);
    close_script(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_question_one_answer),
        cmocka_unit_test(byte_by_byte),
        cmocka_unit_test(many_in_one_write),
        cmocka_unit_test(largest_message_both_ways),
        cmocka_unit_test(late_answers_in_any_order),
        cmocka_unit_test(questions_without_answer),
        cmocka_unit_test(in_flight_bound_pauses_reading),
        cmocka_unit_test(question_bound_ends_in_good_order),
        cmocka_unit_test(slow_reader_gets_all_and_pauses_reading),
        cmocka_unit_test(peer_that_never_reads_is_reset),
        cmocka_unit_test(half_closed_peer_gets_its_answers),
        cmocka_unit_test(half_closed_while_paused),
        cmocka_unit_test(reset_in_the_middle),
        cmocka_unit_test(handler_ends_the_connection),
        cmocka_unit_test(handler_aborts_the_connection),
        cmocka_unit_test(stream_goes_on_as_the_queue_drains),
        cmocka_unit_test(stream_learns_of_the_end),
        cmocka_unit_test(stream_can_be_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
