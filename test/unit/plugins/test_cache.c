// SPDX-License-Identifier: Apache-2.0
// What is kept, for how long, and what is made of it.
#include "cache_test.h"

#include "../metrics_test.h"

#define SOA_300_60 "example.org. 300 IN SOA ns.example.org. root.example.org. 1 2 3 4 60\n"

static void an_answer_is_kept_and_counts_down(void **state)
{
    (void)state;
    serve("cache");
    upstream.ra = true;
    upstream.records = "a.example.org. 100 IN A 192.0.2.1\na.example.org. 50 IN A 192.0.2.2\n--\n"
                       "example.org. 60 IN NS ns.example.org.\n--\nns.example.org. 400 IN A 192.0.2.3\n";
#define ALL(ttl)                                                                                                       \
    "NOERROR ra\na.example.org. " ttl " IN A 192.0.2.1\na.example.org. " ttl " IN A 192.0.2.2\n--\nexample.org. " ttl  \
    " IN NS ns.example.org.\n--\nns.example.org. " ttl " IN A 192.0.2.3\n"
    assert_miss("a.example.org", ALL("50"));
    advance(9.9);
    assert_hit("a.example.org", ALL("41"));
    advance(40); // 49.9
    assert_hit("a.example.org", ALL("1"));
    advance(0.1);
    assert_miss("a.example.org", ALL("50"));
    serve_end();
}

static void owners_have_the_case_of_the_question(void **state)
{
    (void)state;
    serve("cache");
    upstream.records = "A.Example.ORG. 100 IN CNAME B.Example.ORG.\nB.Example.ORG. 100 IN A 192.0.2.1\n";
    assert_miss("A.Example.ORG",
                "NOERROR\nA.Example.ORG. 100 IN CNAME B.Example.ORG.\nB.Example.ORG. 100 IN A 192.0.2.1\n");
    assert_hit("a.eXAMPLE.org",
               "NOERROR\na.eXAMPLE.org. 100 IN CNAME B.Example.ORG.\nB.Example.ORG. 100 IN A 192.0.2.1\n");
    serve_end();
}

static void type_do_and_cd_are_apart(void **state)
{
    (void)state;
    serve("cache");
    upstream.records = "a.example.org. 100 IN A 192.0.2.1\na.example.org. 100 IN MX 1 b.example.org.\n";
    static const unsigned options[] = {0, Q_DO, Q_CD, Q_DO | Q_CD};
    for (unsigned round = 0; round < 2; round++)
        for (unsigned i = 0; i < 4; i++)
            for (unsigned t = 0; t < 2; t++) {
                ask("a.example.org", t == 0 ? RR_A : RR_MX, options[i]);
                assert_int_equal(upstream.asked, round == 0 ? i * 2 + t + 1 : 8);
            }
    ask("b.example.org", RR_A, 0);
    assert_int_equal(upstream.asked, 9);
    serve_end();
}

static void flags_and_rcode_are_kept(void **state)
{
    (void)state;
    serve("cache");
    upstream.records = "a.example.org. 100 IN A 192.0.2.1\n";
    upstream.aa = upstream.ra = upstream.ad = true;
#define REST "\na.example.org. 100 IN A 192.0.2.1\n"
    assert_asked("a.example.org", RR_A, 0, 1, "NOERROR aa ra" REST);
    assert_true(upstream.ad_seen); // to know it for the next one
    assert_asked("a.example.org", RR_A, 0, 0, "NOERROR aa ra" REST);
    assert_asked("a.example.org", RR_A, Q_AD, 0, "NOERROR aa ra ad" REST);
    assert_asked("a.example.org", RR_A, Q_DO, 1, "NOERROR aa ra ad" REST);
    assert_true(upstream.do_seen);
    assert_asked("a.example.org", RR_A, Q_DO, 0, "NOERROR aa ra ad" REST);
    serve_end();
}

static void ttls_are_clamped(void **state)
{
    (void)state;
    serve("cache");
    upstream.records = "a.example.org. 90000 IN A 192.0.2.1\n";
    assert_miss("a.example.org", "NOERROR\na.example.org. 3600 IN A 192.0.2.1\n");
    upstream.records = "b.example.org. 0 IN A 192.0.2.1\n";
    assert_miss("b.example.org", "NOERROR\nb.example.org. 5 IN A 192.0.2.1\n");
    upstream.records = "--\nexample.org. 90000 IN SOA ns.example.org. root.example.org. 1 2 3 4 80000\n";
    assert_miss("c.example.org",
                "NOERROR\n--\nexample.org. 1800 IN SOA ns.example.org. root.example.org. 1 2 3 4 80000\n");
    upstream.records = "--\nexample.org. 3 IN SOA ns.example.org. root.example.org. 1 2 3 4 80000\n";
    assert_miss("d.example.org",
                "NOERROR\n--\nexample.org. 5 IN SOA ns.example.org. root.example.org. 1 2 3 4 80000\n");
    serve_end();
    serve("cache 20 {\n success 1024 30 0\n denial 1024 40 10\n}");
    upstream.records = "a.example.org. 0 IN A 192.0.2.1\n";
    assert_miss("a.example.org", "NOERROR\na.example.org. 0 IN A 192.0.2.1\n");
    assert_miss("a.example.org", "NOERROR\na.example.org. 0 IN A 192.0.2.1\n"); // not kept
    upstream.records = "b.example.org. 90 IN A 192.0.2.1\n";
    assert_miss("b.example.org", "NOERROR\nb.example.org. 30 IN A 192.0.2.1\n");
    upstream.records = "--\n" SOA_300_60;
    assert_miss("c.example.org", "NOERROR\n--\nexample.org. 40 IN SOA ns.example.org. root.example.org. 1 2 3 4 60\n");
    serve_end();
}

static void absence_lasts_as_long_as_the_soa_says(void **state)
{
    (void)state;
    serve("cache");
    upstream.records = "--\n" SOA_300_60;
    for (unsigned i = 0; i < 2; i++) {
        upstream.rcode = i == 0 ? RCODE_NXDOMAIN : RCODE_NOERROR;
        const char *name = i == 0 ? "a.example.org" : "b.example.org";
        ask(name, RR_A, 0);
        advance(59.9);
        unsigned before = upstream.asked;
        ask(name, RR_A, 0);
        assert_int_equal(upstream.asked, before);
        assert_non_null(strstr(answered, "example.org. 1 IN SOA"));
        assert_non_null(strstr(answered, i == 0 ? "NXDOMAIN\n" : "NOERROR\n"));
        advance(0.2);
        ask(name, RR_A, 0);
        assert_int_equal(upstream.asked, before + 1);
    }
    serve_end();
}

// Is the answer that the plugin behind gives kept?
static bool is_kept(const char *name, uint16_t qtype, unsigned options)
{
    ask(name, qtype, options);
    unsigned before = upstream.asked;
    ask(name, qtype, options);
    return upstream.asked == before;
}

static void what_is_kept(void **state)
{
    (void)state;
    static const struct {
        const char *what, *records;
        uint16_t rcode, qtype;
        bool kept, tc;
        unsigned options;
    } cases[] = {
        {"nothing at all", "", .qtype = RR_A, .kept = true},
        {"truncated", "N. 9 IN A 192.0.2.1\n", .qtype = RR_A, .tc = true},
        {"NXDOMAIN without SOA", "", .rcode = RCODE_NXDOMAIN, .qtype = RR_A},
        {"NXDOMAIN", "--\n" SOA_300_60, .rcode = RCODE_NXDOMAIN, .qtype = RR_A, .kept = true},
        {"NXDOMAIN with an answer", "N. 9 IN CNAME m.\n--\n" SOA_300_60, .rcode = RCODE_NXDOMAIN, .qtype = RR_A},
        {"referral", "--\nexample.org. 9 IN NS ns.\n", .qtype = RR_A, .kept = true},
        {"SERVFAIL", "", .rcode = RCODE_SERVFAIL, .qtype = RR_A, .kept = true},
        {"NOTIMP", "", .rcode = RCODE_NOTIMP, .qtype = RR_A, .kept = true},
        {"REFUSED", "", .rcode = RCODE_REFUSED, .qtype = RR_A},
        {"FORMERR", "", .rcode = RCODE_FORMERR, .qtype = RR_A},
        {"chain", "N. 9 IN CNAME m.\nM. 9 IN A 192.0.2.1\n", .qtype = RR_A, .kept = true},
        {"chain upside down", "m. 9 IN A 192.0.2.1\nN. 9 IN CNAME m.\n", .qtype = RR_A, .kept = true},
        {"chain to nowhere", "N. 9 IN CNAME m.\n", .qtype = RR_A},
        {"chain to nothing", "N. 9 IN CNAME m.\n--\n" SOA_300_60, .qtype = RR_A, .kept = true},
        {"loop", "N. 9 IN CNAME m.\nm. 9 IN CNAME N.\n", .qtype = RR_A},
        {"two targets", "N. 9 IN CNAME o.\nN. 9 IN CNAME m.\nm. 9 IN A 192.0.2.1\n", .qtype = RR_A},
        {"the same target twice", "N. 9 IN CNAME m.\nN. 9 IN CNAME M.\nm. 9 IN A 192.0.2.1\n", .qtype = RR_A,
         .kept = true},
        {"another name's", "o. 9 IN A 192.0.2.1\n", .qtype = RR_A},
        {"another type's", "N. 9 IN AAAA ::1\n", .qtype = RR_A},
        {"CNAME asked for", "N. 9 IN CNAME m.\n", .qtype = RR_CNAME, .kept = true},
        {"CNAME asked for, another name's", "o. 9 IN CNAME m.\n", .qtype = RR_CNAME},
        {"ANY", "N. 9 IN A 192.0.2.1\n", .qtype = RR_ANY, .kept = true},
        {"AXFR", "N. 9 IN A 192.0.2.1\n", .qtype = RR_AXFR},
        {"not recursive", "N. 9 IN A 192.0.2.1\n", .qtype = RR_A, .options = Q_NORD},
        {"signature", "N. 9 IN A 192.0.2.1\nN. 9 IN RRSIG A 8 1 9 20260201000000 20251201000000 1 x. AAAA\n",
         .qtype = RR_A, .options = Q_DO, .kept = true},
        {"signature of the past",
         "N. 9 IN A 192.0.2.1\nN. 9 IN RRSIG A 8 1 9 20251231000000 20251201000000 1 x. AAAA\n", .qtype = RR_A,
         .options = Q_DO},
        {"signature of the future",
         "N. 9 IN A 192.0.2.1\nN. 9 IN RRSIG A 8 1 9 20260301000000 20260201000000 1 x. AAAA\n", .qtype = RR_A,
         .options = Q_DO},
        {"signature of the past, not asked for",
         "N. 9 IN A 192.0.2.1\nN. 9 IN RRSIG A 8 1 9 20251231000000 20251201000000 1 x. AAAA\n", .qtype = RR_A,
         .kept = true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        serve("cache");
        upstream.records = cases[i].records;
        upstream.rcode = cases[i].rcode;
        upstream.tc = cases[i].tc;
        if (is_kept("n", cases[i].qtype, cases[i].options) != cases[i].kept)
            fail_msg("%s is %skept", cases[i].what, cases[i].kept ? "not " : "");
        serve_end();
    }
}

static void failures_are_kept_for_a_while(void **state)
{
    (void)state;
    serve("cache");
    upstream.fail = "plugin/upstream: no answer";
    assert_miss("a.example.org", "SERVFAIL fail\n");
    advance(4.9);
    assert_hit("a.example.org", "SERVFAIL\n");
    advance(0.2);
    assert_miss("a.example.org", "SERVFAIL fail\n");
    serve_end();
    serve("cache {\n servfail 0\n}");
    upstream.fail = "plugin/upstream: no answer";
    assert_miss("a.example.org", "SERVFAIL fail\n");
    assert_miss("a.example.org", "SERVFAIL fail\n");
    serve_end();
}

// Too many wait: the next question for the name is to be asked.
static void failures_of_this_server_are_not_kept(void **state)
{
    (void)state;
    serve("cache");
    upstream.fail = "too many queries are waiting";
    upstream.fail_local = true;
    assert_miss("a.example.org", "SERVFAIL fail\n");
    assert_miss("a.example.org", "SERVFAIL fail\n");
    upstream.fail = NULL;
    upstream.records = "a.example.org. 100 IN A 192.0.2.1\n";
    assert_true(is_kept("a.example.org", RR_A, 0));
    serve_end();
}

// The server's own: a query that waits for too long.
static void a_query_that_times_out_is_not_kept(void **state)
{
    (void)state;
    serve("cache");
    upstream.park = true;
    assert_asked("a.example.org", RR_A, 0, 1, "");
    chain_expire(worker.active);
    assert_string_equal(answered, "SERVFAIL fail\n");
    upstream.park = false;
    upstream.records = "a.example.org. 100 IN A 192.0.2.1\n";
    assert_true(is_kept("a.example.org", RR_A, 0));
    serve_end();
}

static void zones_and_exceptions(void **state)
{
    (void)state;
    serve("cache example.org {\n disable success no.example.org\n disable denial\n}");
    upstream.records = "n. 1 IN A 192.0.2.1\n";
    assert_miss("n", "NOERROR\nn. 1 IN A 192.0.2.1\n"); // TTL not touched
    assert_miss("n", "NOERROR\nn. 1 IN A 192.0.2.1\n");
    upstream.records = "a.example.org. 1 IN A 192.0.2.1\n";
    assert_true(is_kept("a.example.org", RR_A, 0));
    upstream.records = "a.no.example.org. 1 IN A 192.0.2.1\n";
    assert_false(is_kept("a.no.example.org", RR_A, 0));
    assert_string_equal(answered, "NOERROR\na.no.example.org. 5 IN A 192.0.2.1\n");
    upstream.records = "--\n" SOA_300_60;
    assert_false(is_kept("b.example.org", RR_A, 0));
    serve_end();
}

static void kubernetes_answers_are_neither_kept_nor_changed(void **state)
{
    (void)state;
    serve("cache");
    upstream.origin = "kubernetes";
    upstream.records = "a.svc. 1 IN A 192.0.2.1\n";
    assert_miss("a.svc", "NOERROR\na.svc. 1 IN A 192.0.2.1\n");
    assert_miss("a.svc", "NOERROR\na.svc. 1 IN A 192.0.2.1\n");
    upstream.rcode = RCODE_SERVFAIL; // before its first sync
    upstream.records = "";
    assert_false(is_kept("b.svc", RR_A, 0));
    serve_end();
}

static void names_that_nothing_falls_through_from_pass_it_by(void **state)
{
    (void)state;
    serve("cache");
    upstream.passes_not = true;
    upstream.records = "a.svc. 1 IN A 192.0.2.1\n";
    double before = metrics_value_of("coredns_cache_requests_total{server=\"dns://:53\",zones=\".\",view=\"\"}");
    assert_miss("a.svc", "NOERROR\na.svc. 5 IN A 192.0.2.1\n"); // of `hosts`, say: bounded, not kept
    assert_miss("a.svc", "NOERROR\na.svc. 5 IN A 192.0.2.1\n");
    assert_metric("coredns_cache_requests_total{server=\"dns://:53\",zones=\".\",view=\"\"}", before);
    serve_end();
}

static void what_the_index_has_is_not_answered_from_the_cache(void **state)
{
    (void)state;
    serve("cache");
    upstream.records = "--\n" SOA_300_60;
    upstream.rcode = RCODE_NXDOMAIN;
    assert_true(is_kept("a.svc", RR_A, 0)); // it has fallen through
    upstream.index_has = true;              // now it is there
    upstream.origin = "kubernetes";
    upstream.rcode = RCODE_NOERROR;
    upstream.records = "a.svc. 1 IN A 192.0.2.1\n";
    assert_miss("a.svc", "NOERROR\na.svc. 1 IN A 192.0.2.1\n");
    serve_end();
}

static void the_newest_answer_counts(void **state)
{
    (void)state;
    serve("cache {\n prefetch 1 1m 90%\n serve_stale\n}");
    upstream.records = "a. 10 IN A 192.0.2.1\n";
    ask("a", RR_A, 0);
    advance(2);
    upstream.records = "--\n" SOA_300_60;
    upstream.rcode = RCODE_NXDOMAIN;
    ask("a", RR_A, 0); // is answered, and refreshed behind the client's back
    assert_string_equal(answered, "NOERROR\na. 8 IN A 192.0.2.1\n");
    assert_hit("a", "NXDOMAIN\n--\nexample.org. 60 IN SOA ns.example.org. root.example.org. 1 2 3 4 60\n");
    advance(20);
    upstream.records = "a. 10 IN A 192.0.2.2\n";
    upstream.rcode = RCODE_NOERROR;
    ask("a", RR_A, 0);
    assert_hit("a", "NOERROR\na. 10 IN A 192.0.2.2\n");
    serve_end();
}

static void a_failure_does_not_hide_an_answer(void **state)
{
    (void)state;
    serve("cache {\n prefetch 1 1m 90%\n}");
    upstream.records = "a. 10 IN A 192.0.2.1\n";
    ask("a", RR_A, 0);
    advance(2);
    upstream.records = "";
    upstream.rcode = RCODE_SERVFAIL;
    ask("a", RR_A, 0);
    assert_int_equal(upstream.asked, 2);
    advance(1);
    ask("a", RR_A, 0);
    assert_string_equal(answered, "NOERROR\na. 7 IN A 192.0.2.1\n");
    serve_end();
}

static void keepttl(void **state)
{
    (void)state;
    serve("cache {\n keepttl\n}");
    upstream.records = "a. 10 IN A 192.0.2.1\n";
    assert_miss("a", "NOERROR\na. 10 IN A 192.0.2.1\n");
    advance(9.5);
    assert_hit("a", "NOERROR\na. 10 IN A 192.0.2.1\n");
    advance(1);
    assert_miss("a", "NOERROR\na. 10 IN A 192.0.2.1\n");
    serve_end();
}

static void a_store_outlives_its_configuration(void **state)
{
    (void)state;
    serve("cache");
    upstream.records = "a. 100 IN A 192.0.2.1\n";
    ask("a", RR_A, 0);
    struct generation *same = make_generation("cache"), *other = make_generation("cache 30");
    end_generation(generation);
    ask_of(other, "a", RR_A, 0);
    assert_int_equal(upstream.asked, 2);
    ask_of(same, "a", RR_A, 0);
    assert_int_equal(upstream.asked, 2);
    end_generation(other);
    generation = make_generation("cache\n upstream elsewhere"); // what stands behind has changed
    ask("a", RR_A, 0);
    assert_int_equal(upstream.asked, 3);
    end_generation(same);
    serve_end();
}

static void metrics(void **state)
{
    (void)state;
    serve("cache a b");
    upstream.records = "x.a. 100 IN A 192.0.2.1\n";
    ask("x.a", RR_A, 0);
    ask("x.a", RR_A, 0);
    ask("x.c", RR_A, 0);
    upstream.records = "--\n" SOA_300_60;
    ask("y.b", RR_A, 0);
    ask("y.b", RR_A, 0);
    ask("y.b", RR_A, 0);
#define LABELS "{server=\"dns://:53\",zones=\"a.,b.\",view=\"\""
    assert_metric("coredns_cache_requests_total" LABELS "}", 5);
    assert_metric("coredns_cache_misses_total" LABELS "}", 2);
    assert_metric("coredns_cache_hits_total" LABELS ",type=\"success\"}", 1);
    assert_metric("coredns_cache_hits_total" LABELS ",type=\"denial\"}", 2);
    assert_metric("coredns_cache_entries" LABELS ",type=\"success\"}", 1);
    assert_metric("coredns_cache_entries" LABELS ",type=\"denial\"}", 1);
    assert_true(metrics_value_of("clusterdns_cache_bytes" LABELS ",type=\"success\"}") > 50);
    serve_end();
    assert_metric("coredns_cache_entries" LABELS ",type=\"success\"}", -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_kept_and_counts_down),
        cmocka_unit_test(owners_have_the_case_of_the_question),
        cmocka_unit_test(type_do_and_cd_are_apart),
        cmocka_unit_test(flags_and_rcode_are_kept),
        cmocka_unit_test(ttls_are_clamped),
        cmocka_unit_test(absence_lasts_as_long_as_the_soa_says),
        cmocka_unit_test(what_is_kept),
        cmocka_unit_test(failures_are_kept_for_a_while),
        cmocka_unit_test(failures_of_this_server_are_not_kept),
        cmocka_unit_test(a_query_that_times_out_is_not_kept),
        cmocka_unit_test(zones_and_exceptions),
        cmocka_unit_test(kubernetes_answers_are_neither_kept_nor_changed),
        cmocka_unit_test(names_that_nothing_falls_through_from_pass_it_by),
        cmocka_unit_test(what_the_index_has_is_not_answered_from_the_cache),
        cmocka_unit_test(the_newest_answer_counts),
        cmocka_unit_test(a_failure_does_not_hide_an_answer),
        cmocka_unit_test(keepttl),
        cmocka_unit_test(a_store_outlives_its_configuration),
        cmocka_unit_test(metrics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
