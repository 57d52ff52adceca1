// SPDX-License-Identifier: Apache-2.0
// How much forward does, keeps and sends, whatever clients and upstreams do.
#include "forward_asking.h"

// A name is never asked for in so many ways that guessing an answer gets easier (RFC 5452 §5), whatever clients say.
static void few_ways_to_ask(void **state)
{
    (void)state;
    char question[64];
    serve("forward . 10.0.0.1 {\nmax_concurrent 2000\n}");
    uint64_t before = counted("clusterdns_forward_overload_rejects_total");
    struct asked *a = ask("www.example.org A edns=1232 ad"), *b = ask("www.example.org A edns=512");
    for (unsigned i = 512; i < 1300; i++) {
        snprintf(question, sizeof question, "www.example.org A edns=%u%s", i, i % 2 != 0 ? " ad" : "");
        assert_false(ask(question)->done);
    }
    assert_int_equal(nrequests, 1);
    ask("www.example.org A");
    ask("www.example.org A do");
    ask("www.example.org A cd");
    assert_int_equal(nrequests, 4);
    const struct asked *fifth = ask("WWW.example.org A nord");
    assert_int_equal(nrequests, 4);
    assert_int_equal(fifth->outcome.rcode, RCODE_SERVFAIL);
    assert_string_equal(fifth->fail, "this name and type is being asked for in 4 other ways already");
    assert_int_equal(counted("clusterdns_forward_overload_rejects_total"), before + 1);
    assert_false(ask("www.example.org A cd")->done); // one of the four
    assert_false(ask("www.example.org AAAA nord")->done);
    answer(&requests[1], 0, "\1");
    assert_false(ask("www.example.org A nord")->done);
    assert_int_equal(nrequests, 6);
    answer(&requests[0], FLAG_AD, "\1");
    uv_run(&worker.loop, UV_RUN_NOWAIT);
    assert_true(a->done && b->done && a->ad && !b->ad); // AD is for who has asked for it
    stop_serving();
}

static unsigned count_done(const struct asked *from, unsigned n)
{
    unsigned done = 0;
    for (unsigned i = 0; i < n; i++)
        done += from[i].done;
    return done;
}

// What many wait for is given to some in each turn of the loop; others are answered between.
static void many_land_in_turns(void **state)
{
    (void)state;
    serve("forward . 10.0.0.1");
    struct asked *first = ask("www.example.org A");
    for (int i = 1; i < 100; i++)
        ask(i == 50 ? "WWW.example.org A" : "www.example.org A");
    assert_int_equal(nrequests, 1);
    answer(latest(), FLAG_RA, "\7");
    assert_in_range(count_done(first, 100), 0, 32);
    struct asked *other = ask("www.example.org A"); // that flight has ended
    assert_int_equal(nrequests, 2);
    answer(latest(), 0, "\1");
    assert_string_equal(other->answer, "www.example.org. A 1");
    chain_expire(first[99].exchange);
    assert_string_equal(first[99].fail, "query timed out");
    for (unsigned turns = 0, last = 1; last < 100; turns++) {
        uv_run(&worker.loop, UV_RUN_NOWAIT);
        unsigned now = count_done(first, 100);
        assert_in_range(now, last + 1, last + 32);
        assert_true(turns < 100);
        last = now;
    }
    assert_string_equal(first[98].answer, "www.example.org. A 7");
    assert_string_equal(first[50].answer, "WWW.example.org. A 7");
    assert_true(first[98].ra && first[98].users == 0);
    stop_serving();
}

// … of which large messages are given to fewer, and only so many wait.
static void large_messages_land_in_turns(void **state)
{
    (void)state;
    static uint8_t message[65535];
    char question[64];
    serve("forward . 10.0.0.1 {\nforce_tcp\n}");
    for (unsigned i = 0; i < 70; i++)
        for (unsigned k = 0; k < 6; k++) {
            snprintf(question, sizeof question, "n%u.example A", i);
            ask(question);
        }
    assert_int_equal(nrequests, 70);
    uint64_t rejects = counted("clusterdns_forward_overload_rejects_total");
    for (unsigned i = 0; i < 70; i++) {
        make_answer(&requests[i], 0, "\1", message); // and zeroes behind its record
        end_request(&requests[i], (struct upstream_result){.message = message, .size = sizeof message});
    }
    unsigned before = count_done(asked, 420);
    assert_int_equal(counted("clusterdns_forward_overload_rejects_total"), rejects + before);
    assert_in_range(before, 6, 60); // for which there is no room
    assert_string_equal(asked[419].fail, "too many queries wait for a large answer");
    uv_run(&worker.loop, UV_RUN_NOWAIT);
    assert_in_range(count_done(asked, 420), before + 1, before + 4);
    assert_string_equal(asked[0].answer, "n0.example. A 1");
    chain_expire(asked[4].exchange); // nobody is left of the first one
    chain_expire(asked[5].exchange);
    uv_run(&worker.loop, UV_RUN_NOWAIT);
    uv_run(&worker.loop, UV_RUN_NOWAIT);
    assert_string_equal(asked[6].answer, "n1.example. A 1");
    stop_serving(); // with most of them waiting for their turn
    assert_int_equal(count_done(asked, 420), 420);
}

// An answer whose records take more than 1 MiB: NS records, all of them of and with a name of 255 bytes.
static size_t make_huge_answer(const struct upstream_request *r, uint8_t *out)
{
    size_t size = make_answer(r, 0, "", out), name = size;
    unsigned n = 0;
    for (unsigned i = 0; i < 4; i++) {
        unsigned label = i < 3 ? 63 : 61;
        out[size++] = (uint8_t)label;
        memset(out + size, 'a', label);
        size += label;
    }
    out[size++] = 0;
    for (; size + 14 < 65535; n++) {
        const uint8_t record[14] = {0xc0, (uint8_t)name, 0, 2, 0, 1, 0, 0, 0, 60, 0, 2, 0xc0, (uint8_t)name};
        size_t skip = n == 0 ? 2 : 0; // the first one's owner is the name itself
        memcpy(out + size, record + skip, sizeof record - skip);
        size += sizeof record - skip;
    }
    out[6] = (uint8_t)(n >> 8);
    out[7] = (uint8_t)n;
    return size;
}

static void too_large(void **state)
{
    (void)state;
    static uint8_t message[65535];
    serve("forward . 10.0.0.1 10.0.0.2 {\npolicy sequential\nforce_tcp\nhealth_check 20ms\n}");
    const struct asked *a = ask("a.example A");
    size_t size = make_huge_answer(latest(), message);
    end_request(latest(), (struct upstream_result){.message = message, .size = size});
    assert_string_equal(went(), "10.0.0.2:53 tcp");
    answer(latest(), 0, "\1"); // for which there is room
    assert_string_equal(a->answer, "a.example. A 1");
    a = ask("b.example A");
    for (unsigned i = 0; i < 2; i++) {
        assert_false(a->done);
        size = make_huge_answer(latest(), message);
        end_request(latest(), (struct upstream_result){.message = message, .size = size});
    }
    assert_int_equal(nrequests, 4); // asked once each
    assert_int_equal(a->outcome.rcode, RCODE_SERVFAIL);
    assert_string_equal(a->fail, "read tcp 10.0.0.2:53: answer too large");
    a = ask("c.example A");
    size = make_huge_answer(latest(), message) * 4 / 5; // cut off: malformed, after nearly 1 MiB
    end_request(latest(), (struct upstream_result){.message = message, .size = size});
    assert_string_equal(went(), "10.0.0.2:53 tcp");
    answer(latest(), 0, "\1");
    assert_string_equal(a->answer, "c.example. A 1"); // nothing of the bad one takes its room
    stop_serving();
}

// What is no fault of an upstream has no checks follow.
static void too_large_is_no_failure(void **state)
{
    (void)state;
    static uint8_t message[65535];
    serve("forward . 10.0.0.1 {\nforce_tcp\nhealth_check 20ms\n}");
    const struct asked *a = ask("a.example A");
    size_t size = make_huge_answer(latest(), message);
    end_request(latest(), (struct upstream_result){.message = message, .size = size});
    assert_string_equal(a->fail, "read tcp 10.0.0.1:53: answer too large");
    turn_main();
    assert_int_equal(nrequests, 1);
    stop_serving();
}

static void answer_of_size(size_t size, uint8_t *message)
{
    make_answer(latest(), 0, "\1", message);
    end_request(latest(), (struct upstream_result){.message = message, .size = size});
}

// Over UDP: another upstream is asked; else it is as if it had been truncated.
static void larger_than_asked_for(void **state)
{
    (void)state;
    static uint8_t message[65535];
    static const struct {
        const char *question;
        size_t size;
        bool again;
    } cases[] = {
        {"a.example A", 513, false}, {"b.example A edns=1232", 1233, false}, {"c.example A edns=4096", 1233, true}};
    serve("forward . 10.0.0.1 10.0.0.2 {\npolicy sequential\n}");
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct asked *a = ask(cases[i].question);
        answer_of_size(cases[i].size, message);
        assert_string_equal(went(), "10.0.0.2:53 udp"); // which may know better
        answer_of_size(cases[i].size, message);
        assert_int_equal(a->done, !cases[i].again);
        assert_int_equal(a->tc, !cases[i].again);
        assert_string_equal(a->answer, "");
        if (!cases[i].again)
            continue;
        assert_string_equal(went(), "10.0.0.2:53 tcp");
        answer(latest(), 0, "\2");
        assert_string_equal(a->answer, "c.example. A 2");
    }
    const struct asked *a = ask("d.example A");
    answer_of_size(513, message);
    answer_of_size(512, message);
    assert_string_equal(a->answer, "d.example. A 1");
    stop_serving();
}

// No client over UDP is sent more than 4096 bytes.
static void no_amplifier(void **state)
{
    (void)state;
    serve("forward . 10.0.0.1");
    const struct asked *a = ask("a.example A edns=65535"), *b = ask("b.example A edns=1400");
    answer(&requests[0], 0, "\1");
    answer(&requests[1], 0, "\1");
    assert_int_equal(a->udp_size, 4096);
    assert_int_equal(b->udp_size, 1400);
    stop_serving();
}

static void max_concurrent(void **state)
{
    (void)state;
    serve("forward . 10.0.0.1 {\nmax_concurrent 2\n}");
    uint64_t before = counted("coredns_forward_max_concurrent_rejects_total");
    struct asked *a = ask("a.example A"), *b = ask("a.example A"), *c = ask("c.example A");
    assert_false(a->done || b->done);
    assert_int_equal(c->outcome.rcode, RCODE_REFUSED);
    assert_string_equal(c->fail, "concurrent queries exceeded maximum 2");
    assert_int_equal(counted("coredns_forward_max_concurrent_rejects_total"), before + 1);
    answer(latest(), 0, "\1");
    c = ask("c.example A");
    assert_false(c->done);
    stop_serving();
}

// Of one directive, if no other has any.
#define ONE_MAX ((FORWARD_WAITING + 1) * FORWARD_SHARE / (FORWARD_SHARE + 1))

// Two questions for each of `n` names below `zone`.
static void fill(const char *zone, unsigned n)
{
    char question[64];
    for (unsigned i = 0; i < 2 * n; i++) {
        snprintf(question, sizeof question, "n%u.%s A", i / 2, zone);
        assert_false(ask(question)->done);
    }
}

static void only_so_many_wait(void **state)
{
    (void)state;
    serve("forward . 10.0.0.1");
    uint64_t before = counted("clusterdns_forward_overload_rejects_total");
    fill("example", ONE_MAX / 2);
    assert_int_equal(nrequests, ONE_MAX / 2);
    struct asked *a = ask("n0.example A");
    assert_int_equal(a->outcome.rcode, RCODE_SERVFAIL);
    assert_string_equal(a->fail, "1366 queries are waiting for upstreams already");
    assert_true(a->local);
    assert_int_equal(counted("clusterdns_forward_overload_rejects_total"), before + 1);
    answer(&requests[0], 0, "\1");
    assert_false(ask("n9999.example A")->done);
    assert_false(ask("n0.example A")->done);
    assert_true(ask("x.example A")->done);
    stop_serving();
}

// A directive whose upstream is dead leaves places to another.
static void dead_upstream_leaves_places(void **state)
{
    (void)state;
    serve("forward dead.example 10.0.0.1\nforward . 10.0.0.2");
    fill("dead.example", ONE_MAX / 2);
    assert_true(ask("x.dead.example A")->done);
    fill("example", (FORWARD_WAITING - ONE_MAX) / 4); // half of what is left
    assert_true(ask("x.dead.example A")->done);
    answer(latest(), 0, "\1");
    assert_false(ask("x.example A")->done);
    stop_serving();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(few_ways_to_ask),
        cmocka_unit_test(many_land_in_turns),
        cmocka_unit_test(large_messages_land_in_turns),
        cmocka_unit_test(too_large),
        cmocka_unit_test(too_large_is_no_failure),
        cmocka_unit_test(larger_than_asked_for),
        cmocka_unit_test(no_amplifier),
        cmocka_unit_test(max_concurrent),
        cmocka_unit_test(only_so_many_wait),
        cmocka_unit_test(dead_upstream_leaves_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
