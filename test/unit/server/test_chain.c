// SPDX-License-Identifier: Apache-2.0
// The plugin contract: which hooks run, in which order, for queries that are answered, fail, wait, are dropped or
// stream.
#include "chain_test.h"

static void test_in_and_out(void **state)
{
    (void)state;
    does[1].query = answer;
    ask("www.example.");
    assert_string_equal(trace, "q0 q1 r1 r0 d1 d0 ");
    assert_true(last.sent);
    assert_string_equal(last.origin, "one");
    assert_int_equal(worker.nactive, 0);
}

static void test_nobody_answers(void **state)
{
    (void)state;
    ask("www.example.");
    assert_string_equal(trace, "q0 q1 q2 r2 r1 r0 d2(plugin/two: no next plugin found) d1(plugin/two: no next plugin "
                               "found) d0(plugin/two: no next plugin found) ");
    assert_int_equal(last.rcode, RCODE_SERVFAIL);
}

static void test_fail(void **state)
{
    (void)state;
    does[1].query = refuse;
    ask("www.example.");
    assert_string_equal(trace, "q0 q1 r1 r0 d1(no way) d0(no way) ");
    assert_int_equal(last.rcode, RCODE_REFUSED);
    assert_string_equal(last.origin, "one");
}

static void test_drop(void **state)
{
    (void)state;
    does[1].query = drop;
    ask("www.example.");
    assert_string_equal(trace, "q0 q1 d1 d0 ");
    assert_false(last.sent);
}

static void test_wait_on_the_way_in(void **state)
{
    (void)state;
    does[1].query = park;
    does[2].query = answer;
    ask("www.example.");
    assert_false(delivered);
    assert_int_equal(atomic_load(&generation->pins), 1);
    query_resume(waiting, VERDICT_NEXT);
    assert_string_equal(trace, "q0 q1 q2 r2 r1 r0 d2 d1 d0 ");
    assert_int_equal(atomic_load(&generation->pins), 0);
}

static void test_wait_on_the_way_out(void **state)
{
    (void)state;
    does[2].query = answer;
    does[1].reply = park;
    ask("www.example.");
    assert_string_equal(trace, "q0 q1 q2 r2 r1 ");
    query_resume(waiting, VERDICT_NEXT);
    assert_string_equal(trace, "q0 q1 q2 r2 r1 r0 d2 d1 d0 ");
    assert_true(last.sent);
}

static void test_resumed_before_the_hook_returned(void **state)
{
    (void)state;
    does[1].query = resume_at_once;
    ask("www.example.");
    assert_string_equal(trace, "q0 q1 r1 r0 d1 d0 ");
    assert_true(last.sent);
}

static enum verdict reply_fails(struct query *q)
{
    return query_fail(q, RCODE_SERVFAIL, "late");
}

static void test_reply_can_fail_and_drop(void **state)
{
    (void)state;
    does[2].query = answer;
    does[1].reply = reply_fails;
    ask("www.example.");
    assert_string_equal(trace, "q0 q1 q2 r2 r1 r0 d2(late) d1(late) d0(late) ");
    trace[0] = '\0';
    does[1].reply = drop;
    ask("www.example.");
    assert_string_equal(trace, "q0 q1 q2 r2 r1 d2 d1 d0 ");
    assert_false(last.sent);
}

static void test_a_parked_query_times_out(void **state)
{
    (void)state;
    does[1].query = park_briefly;
    ask("www.example.");
    run_until_delivered();
    assert_string_equal(trace, "q0 q1 c1 r1 r0 d1(query timed out) d0(query timed out) ");
    assert_int_equal(last.rcode, RCODE_SERVFAIL);
    assert_null(waiting);
}

static const uint8_t with_nsid[] = {0, 0, 0, 10, 0, 2, 7, 7, 0, 3, 0, 1, 42};

static enum verdict park_with_options(struct query *q)
{
    const uint8_t *data = NULL;
    uint16_t len = 0;
    assert_true(query_option(q, EDNS_NSID, &data, &len));
    assert_ptr_equal(data, q->packet + sizeof with_nsid - 1);
    assert_int_equal(len, 1);
    return park(q);
}

// The packet is borrowed; who waits has a copy, and its options are there.
static void test_options_outlive_the_packet(void **state)
{
    (void)state;
    uint8_t packet[sizeof with_nsid];
    struct exchange *x = worker_exchange(&worker);
    memcpy(packet, with_nsid, sizeof packet);
    does[1].query = park_with_options;
    fill_question(x, "www.example.");
    x->q.packet = packet;
    x->q.request_size = sizeof packet;
    x->q.options = packet + 2;
    x->q.options_len = sizeof packet - 2;
    enter(x);
    memset(packet, 0xff, sizeof packet);
    const uint8_t *data = NULL;
    assert_true(query_option(waiting, EDNS_NSID, &data, NULL));
    assert_int_equal(*data, 42);
    query_resume(waiting, VERDICT_DONE);
    assert_true(last.sent);
}

static void test_an_expired_query_cannot_wait_again(void **state)
{
    (void)state;
    does[1].query = park_briefly;
    does[0].reply = park;
    ask("www.example.");
    run_until_delivered();
    assert_string_equal(trace, "q0 q1 c1 r1 r0 c0 d1(query timed out) d0(query timed out) ");
}

static void test_shutdown_cancels(void **state)
{
    (void)state;
    does[1].query = park;
    chain_cancel(ask("www.example."));
    assert_string_equal(trace, "q0 q1 c1 d1 d0 ");
    assert_false(last.sent);
}

static void test_exchanges_are_bounded(void **state)
{
    (void)state;
    for (int i = 0; i < WORKER_EXCHANGES; i++)
        assert_non_null(worker_exchange(&worker));
    assert_null(worker_exchange(&worker));
    while (worker.active != NULL)
        worker_release(&worker, worker.active);
    assert_int_equal(worker.nactive, 0);
    assert_int_equal(worker.nidle, WORKER_IDLE);
}

// Streams.

static int to_produce;

static int produce(struct query *q, void *arg)
{
    assert_ptr_equal(arg, &to_produce);
    assert_int_equal(q->reply.answer.n, 0);
    answer(q);
    return to_produce > 0 ? (--to_produce > 0 ? 1 : 0) : CDNS_EIO;
}

static enum verdict start_stream(struct query *q)
{
    query_exchange(q)->stream_send = stream_send;
    assert_int_equal(query_stream(q, produce, &to_produce), 0);
    return VERDICT_STREAM;
}

static void test_stream_pauses_while_the_socket_is_full(void **state)
{
    (void)state;
    does[1].query = start_stream;
    to_produce = 5;
    messages = 0;
    room = 2;
    struct exchange *x = ask("www.example.");
    assert_int_equal(messages, 2);
    assert_false(delivered);
    room = 100;
    chain_stream_drained(x, false);
    assert_int_equal(messages, 5);
    assert_true(delivered);
    assert_int_equal(last.size, 500);
    assert_string_equal(trace, "q0 q1 d1 d0 ");
}

static void test_stream_of_a_query_that_had_waited(void **state)
{
    (void)state;
    does[1].query = park_briefly;
    struct exchange *x = ask("www.example.");
    to_produce = 2;
    messages = 0;
    room = 1;
    query_resume(waiting, start_stream(waiting));
    assert_int_equal(messages, 1);
    for (uint64_t end = x->deadline_ns + 10000000; clock_monotonic_ns() < end;)
        uv_run(&worker.loop, UV_RUN_NOWAIT);
    assert_false(delivered); // the deadline was for its answer to begin
    chain_stream_drained(x, false);
    assert_true(delivered && last.sent);
    assert_int_equal(messages, 2);
    assert_string_equal(trace, "q0 q1 d1 d0 ");
}

static void test_stream_whose_connection_goes(void **state)
{
    (void)state;
    does[1].query = start_stream;
    to_produce = 5;
    room = 1;
    chain_stream_drained(ask("www.example."), true);
    assert_true(delivered);
    assert_false(last.sent);
}

static void test_stream_that_fails(void **state)
{
    (void)state;
    does[1].query = start_stream;
    to_produce = 0;
    room = 10;
    ask("www.example.");
    assert_true(delivered);
    assert_false(last.sent);
}

static void test_no_stream_over_udp(void **state)
{
    (void)state;
    struct exchange *x = worker_exchange(&worker);
    assert_int_equal(query_stream(&x->q, produce, NULL), CDNS_EINVAL);
    worker_release(&worker, x);
}

// Configuration.

static bool never(const struct query *q)
{
    return q->qname_labels == 0;
}

static void test_match_chooses_the_block(void **state)
{
    (void)state;
    uint8_t name[NAME_MAX_WIRE];
    struct query q = {.qname = name, .qname_labels = 3, .qtype = RR_A};
    assert_int_equal(name_from_text("a.other.example.", name), 0);
    const struct route *r;
    assert_non_null(route_query(&generation->listens[0], &q, &r));
    assert_string_equal(r->zone_text, "other.example.");
    does[0].match = never;
    assert_null(route_query(&generation->listens[0], &q, &r));
}

static void test_interfaces_are_joined(void **state)
{
    (void)state;
    assert_int_equal(joined, 2 * 42);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, build, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_in_and_out),
        CASE(test_nobody_answers),
        CASE(test_fail),
        CASE(test_drop),
        CASE(test_wait_on_the_way_in),
        CASE(test_wait_on_the_way_out),
        CASE(test_resumed_before_the_hook_returned),
        CASE(test_reply_can_fail_and_drop),
        CASE(test_a_parked_query_times_out),
        CASE(test_options_outlive_the_packet),
        CASE(test_an_expired_query_cannot_wait_again),
        CASE(test_shutdown_cancels),
        CASE(test_exchanges_are_bounded),
        CASE(test_stream_pauses_while_the_socket_is_full),
        CASE(test_stream_of_a_query_that_had_waited),
        CASE(test_stream_whose_connection_goes),
        CASE(test_stream_that_fails),
        CASE(test_no_stream_over_udp),
        CASE(test_match_chooses_the_block),
        CASE(test_interfaces_are_joined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
