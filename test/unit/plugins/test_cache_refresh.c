// SPDX-License-Identifier: Apache-2.0
// prefetch, serve_stale and its policy.
#include "cache_test.h"

#include "../metrics_test.h"

#define A1(ttl) "NOERROR\na. " ttl " IN A 192.0.2.1\n"
#define A2(ttl) "NOERROR\na. " ttl " IN A 192.0.2.2\n"
#define LABELS "{server=\"dns://:53\",zones=\".\",view=\"\"}"

static void first_answer(void)
{
    upstream.records = "a. 100 IN A 192.0.2.1\n";
    ask("a", RR_A, 0);
    upstream.records = "a. 100 IN A 192.0.2.2\n";
}

static double counted(const char *series)
{
    double n = metrics_value_of(series);
    return n > 0 ? n : 0;
}

static void popular_entries_are_fetched_before_they_run_out(void **state)
{
    (void)state;
    serve("cache {\n prefetch 3 1m 20%\n}");
    double before = counted("coredns_cache_prefetch_total" LABELS);
    first_answer();
    for (unsigned i = 0; i < 5; i++)
        assert_hit("a", A1("100")); // popular, but fresh
    advance(40);
    assert_hit("a", A1("60"));
    advance(39);
    assert_hit("a", A1("21"));
    advance(1);
    ask("a", RR_A, Q_AD);
    assert_string_equal(answered, A1("20"));
    assert_int_equal(upstream.asked, 2);
    assert_true(upstream.ad_seen && upstream.rd_seen);
    assert_hit("a", A2("100"));
    // The new entry is as popular as the old one was.
    advance(50);
    assert_hit("a", A2("50"));
    advance(40);
    assert_asked("a", RR_A, 0, 1, A2("10"));
    assert_metric("coredns_cache_prefetch_total" LABELS, before + 2);
    serve_end();
}

static void a_gap_ends_popularity(void **state)
{
    (void)state;
    serve("cache {\n prefetch 3 1m 20%\n}");
    first_answer();
    for (unsigned i = 0; i < 3; i++)
        assert_hit("a", A1("100"));
    advance(85);
    assert_hit("a", A1("15")); // the first of three
    assert_hit("a", A1("15"));
    assert_asked("a", RR_A, 0, 1, A1("15"));
    serve_end();
}

static void one_refresh_at_a_time(void **state)
{
    (void)state;
    serve("cache {\n prefetch 1 1m 20%\n}");
    first_answer();
    advance(90);
    upstream.park = true;
    assert_asked("a", RR_A, 0, 1, A1("10"));
    for (unsigned i = 0; i < 100; i++)
        assert_hit("a", A1("10"));
    upstream_goes_on();
    upstream.park = false;
    assert_hit("a", A2("100"));
    assert_int_equal(worker.nactive, 0);
    serve_end();
}

static void refreshes_are_bounded(void **state)
{
    (void)state;
    char name[16];
    serve("cache {\n prefetch 1 1m 20%\n success 4096\n}");
    for (unsigned i = 0; i < STORE_REFRESHES + 50; i++) {
        snprintf(name, sizeof name, "n%u", i);
        ask(name, RR_A, 0); // empty: 5 s
    }
    advance(4);
    upstream.park = true;
    upstream.asked = 0;
    for (unsigned i = 0; i < STORE_REFRESHES + 50; i++) {
        snprintf(name, sizeof name, "n%u", i);
        ask(name, RR_A, 0);
        assert_string_equal(answered, "NOERROR\n");
    }
    assert_int_equal(upstream.asked, STORE_REFRESHES);
    assert_int_equal(worker.nactive, STORE_REFRESHES);
    serve_end();
}

static void stale_answers_at_once(void **state)
{
    (void)state;
    serve("cache {\n serve_stale 30s\n}");
    double before = counted("coredns_cache_served_stale_total" LABELS);
    first_answer();
    advance(110);
    upstream.park = true;
    assert_asked("a", RR_A, 0, 1, A1("0"));
    assert_asked("a", RR_A, 0, 0, A1("0"));
    upstream_goes_on();
    upstream.park = false;
    assert_hit("a", A2("100"));
    assert_metric("coredns_cache_served_stale_total" LABELS, before + 2);
    advance(130); // too old
    assert_miss("a", A2("100"));
    serve_end();
}

static void what_is_worse_does_not_replace_what_is_stale(void **state)
{
    (void)state;
    serve("cache {\n serve_stale 1h immediate 30s 10s\n}");
    first_answer();
    advance(110);
    upstream.rcode = RCODE_SERVFAIL;
    upstream.records = "";
    assert_asked("a", RR_A, 0, 1, A1("30"));
    assert_asked("a", RR_A, 0, 0, A1("30")); // not again so soon
    advance(11);
    upstream.fail = "no answer";
    assert_asked("a", RR_A, 0, 1, A1("30"));
    advance(11);
    upstream.fail = NULL;
    upstream.rcode = RCODE_NXDOMAIN;
    upstream.records = "--\nexample.org. 300 IN SOA ns. root. 1 2 3 4 60\n";
    assert_asked("a", RR_A, 0, 1, A1("30"));
    assert_hit("a", "NXDOMAIN\n--\nexample.org. 60 IN SOA ns. root. 1 2 3 4 60\n");
    serve_end();
}

static void verified_answers_are_fresh_ones(void **state)
{
    (void)state;
    serve("cache {\n serve_stale 1h verify\n}");
    first_answer();
    advance(110);
    assert_asked("A", RR_A, 0, 1, "NOERROR\nA. 100 IN A 192.0.2.2\n");
    assert_hit("a", A2("100"));
    advance(110);
    upstream.fail = "no answer";
    assert_asked("a", RR_A, 0, 1, A2("0"));
    assert_asked("a", RR_A, 0, 1, A2("0"));
    upstream.fail = NULL;
    upstream.park = true;
    assert_asked("a", RR_A, 0, 1, "");
    upstream_goes_on();
    assert_string_equal(answered, A2("100"));
    serve_end();
}

// The server's timers do not run in this test.
static void the_child_times_out(void)
{
    struct query *child = upstream.waiting;
    upstream.waiting = NULL;
    chain_expire(query_exchange(child));
}

static void verifying_has_its_time(void **state)
{
    (void)state;
    serve("cache {\n serve_stale 1h verify 100ms 7s\n}");
    first_answer();
    advance(110);
    upstream.park = true;
    assert_asked("a", RR_A, 0, 1, "");
    assert_int_equal(query_exchange(upstream.waiting)->deadline_ns - now_ns, 100000000);
    struct query *first = upstream.waiting;
    assert_asked("a", RR_A, 0, 0, A1("7")); // others do not wait
    upstream.waiting = first;
    answered[0] = '\0';
    the_child_times_out();
    assert_string_equal(answered, A1("7"));
    // Asked again, with nobody waiting.
    assert_int_equal(upstream.asked, 3);
    assert_asked("a", RR_A, 0, 0, A1("7"));
    upstream_goes_on();
    assert_hit("a", A2("100"));
    assert_int_equal(worker.nactive, 0);
    serve_end();
}

static void a_failed_verification_is_over(void **state)
{
    (void)state;
    serve("cache {\n serve_stale 1h verify 100ms\n}");
    first_answer();
    advance(110);
    upstream.fail = "no answer";
    assert_asked("a", RR_A, 0, 1, A1("0"));
    assert_asked("a", RR_A, 0, 1, A1("0"));
    upstream.fail = NULL;
    assert_asked("a", RR_A, 0, 1, A2("100"));
    serve_end();
}

static void a_client_that_is_gone_does_not_end_the_verification(void **state)
{
    (void)state;
    serve("cache {\n serve_stale 1h verify\n}");
    first_answer();
    advance(110);
    upstream.park = true;
    struct exchange *x = worker.active;
    assert_null(x);
    assert_asked("a", RR_A, 0, 1, "");
    for (x = worker.active; x->parent != NULL; x = x->active_next) {
    }
    chain_expire(x); // the parent
    assert_string_equal(answered, "SERVFAIL fail\n");
    upstream_goes_on();
    upstream.park = false;
    assert_hit("a", A2("100"));
    serve_end();
}

static void a_name_that_the_index_has_got_meanwhile(void **state)
{
    (void)state;
    serve("cache {\n serve_stale 1h verify\n}");
    first_answer();
    advance(110);
    upstream.origin = "kubernetes";
    upstream.records = "a. 1 IN A 192.0.2.3\n";
    assert_asked("a", RR_A, 0, 2, "NOERROR\na. 1 IN A 192.0.2.3\n");
    serve_end();
}

static void a_positive_answer_is_preferred(void **state)
{
    (void)state;
    serve("cache {\n serve_stale 1h\n serve_stale_policy prefer_positive\n}");
    first_answer();
    advance(110);
    upstream.rcode = RCODE_NXDOMAIN;
    upstream.records = "--\nexample.org. 300 IN SOA ns. root. 1 2 3 4 60\n";
    assert_asked("a", RR_A, 0, 1, A1("0"));
    assert_asked("a", RR_A, 0, 1, A1("0"));
    upstream.rcode = RCODE_NOERROR;
    upstream.records = ""; // says nothing
    assert_asked("a", RR_A, 0, 1, A1("0"));
    upstream.records = "a. 100 IN A 192.0.2.2\n";
    assert_asked("a", RR_A, 0, 1, A1("0"));
    assert_hit("a", A2("100"));
    serve_end();
    serve("cache {\n serve_stale 1h verify\n serve_stale_policy prefer_positive\n}");
    first_answer();
    advance(110);
    upstream.rcode = RCODE_NXDOMAIN;
    assert_asked("a", RR_A, 0, 1, A1("0"));
    upstream.rcode = RCODE_NOERROR;
    assert_asked("a", RR_A, 0, 1, A2("100"));
    serve_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(popular_entries_are_fetched_before_they_run_out),
        cmocka_unit_test(a_gap_ends_popularity),
        cmocka_unit_test(one_refresh_at_a_time),
        cmocka_unit_test(refreshes_are_bounded),
        cmocka_unit_test(stale_answers_at_once),
        cmocka_unit_test(what_is_worse_does_not_replace_what_is_stale),
        cmocka_unit_test(verified_answers_are_fresh_ones),
        cmocka_unit_test(verifying_has_its_time),
        cmocka_unit_test(a_failed_verification_is_over),
        cmocka_unit_test(a_client_that_is_gone_does_not_end_the_verification),
        cmocka_unit_test(a_name_that_the_index_has_got_meanwhile),
        cmocka_unit_test(a_positive_answer_is_preferred),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
