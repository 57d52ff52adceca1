// SPDX-License-Identifier: Apache-2.0
// What upstreams are asked, which of them, how often, and what clients get.
#include "forward_asking.h"
#include <clusterdns/forward.h>

static void a_question_and_its_answer(void **state)
{
    (void)state;
    serve("forward . 10.0.0.1");
    struct asked *a = ask("Www.example.org A");
    assert_false(a->done);
    assert_string_equal(went(), "10.0.0.1:53 udp");
    const struct upstream_request *r = latest();
    assert_int_equal(r->size, 12 + 17 + 4);
    assert_memory_equal(r->message + 2, "\1\0\0\1\0\0\0\0\0\0\3Www\7example\3org\0\0\1\0\1", 31);
    answer(latest(), FLAG_AA | FLAG_RA | FLAG_AD, "\1\2");
    assert_true(a->done);
    assert_int_equal(a->outcome.rcode, RCODE_NOERROR);
    assert_string_equal(a->outcome.origin, "forward");
    assert_string_equal(a->answer, "Www.example.org. A 1; Www.example.org. A 2");
    assert_true(a->aa && a->ra && a->ad && !a->tc);
    a = ask("nx.example.org AAAA");
    answer(latest(), RCODE_NXDOMAIN, "");
    assert_int_equal(a->outcome.rcode, RCODE_NXDOMAIN);
    assert_true(!a->aa && !a->ra && !a->ad);
    stop_serving();
}

// Header bits and OPT go on, with a size of our own.
static void header_bits(void **state)
{
    (void)state;
    static const struct {
        const char *question;
        uint8_t flags[2];
        unsigned opt, edns_size;
    } cases[] = {
        {"a.example A", {1, 0}, 0, 0},
        {"a.example A nord", {0, 0}, 0, 0},
        {"a.example A cd ad", {1, 0x30}, 0, 0},
        {"a.example A edns=512", {1, 0}, 1, 512},
        {"a.example A edns=100", {1, 0}, 1, 512},
        {"a.example A edns=1000", {1, 0}, 1, 1000},
        {"a.example A edns=4096", {1, 0}, 1, 1232},
        {"a.example A edns=4096 do", {1, 0}, 0x8001, 1232},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        serve("forward . 10.0.0.1");
        ask(cases[i].question);
        const struct upstream_request *r = latest();
        assert_memory_equal(r->message + 2, cases[i].flags, 2);
        size_t end = 12 + 11 + 4;
        assert_int_equal(r->message[11], cases[i].opt & 1);
        assert_int_equal(r->size, end + (cases[i].opt != 0 ? 11 : 0));
        if (cases[i].opt != 0) {
            assert_int_equal(r->message[end + 3] << 8 | r->message[end + 4], cases[i].edns_size);
            assert_int_equal(r->message[end + 7], cases[i].opt >> 8);
        }
        stop_serving();
    }
}

static void ways(void **state)
{
    (void)state;
    static const struct {
        const char *corefile, *question, *way;
    } cases[] = {
        {"forward . 10.0.0.1", "a.example A", "10.0.0.1:53 udp"},
        {"forward . 10.0.0.1", "a.example A tcp", "10.0.0.1:53 tcp"},
        {"forward . 10.0.0.1", "a.example A child", "10.0.0.1:53 udp"},
        {"forward . 10.0.0.1 {\nforce_tcp\n}", "a.example A", "10.0.0.1:53 tcp"},
        {"forward . 10.0.0.1 {\nprefer_udp\n}", "a.example A tcp", "10.0.0.1:53 udp"},
        {"forward . 10.0.0.1 {\nforce_tcp\nprefer_udp\n}", "a.example A", "10.0.0.1:53 tcp"},
        {"forward . tls://10.0.0.1", "a.example A", "10.0.0.1:853 tcp"},
        {"forward . tls://10.0.0.1 {\nprefer_udp\n}", "a.example A", "10.0.0.1:853 tcp"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        serve(cases[i].corefile);
        ask(cases[i].question);
        assert_string_equal(went(), cases[i].way);
        stop_serving();
    }
}

static void whose_names(void **state)
{
    (void)state;
    serve("forward example.org 10.0.0.1 {\nexcept no.example.org\n}\nforward 10.2.0.0/15 10.0.0.2\n"
          "forward net 10.0.0.3 {\nexcept net\n}\nwhoami");
    ask("a.example.org A");
    assert_string_equal(went(), "10.0.0.1:53 udp");
    ask("1.2.4.10.in-addr.arpa PTR"); // not 10.2.0.0/15
    assert_int_equal(nrequests, 1);
    ask("1.2.2.10.in-addr.arpa PTR");
    assert_string_equal(went(), "10.0.0.2:53 udp");
    ask("4.3.3.10.in-addr.arpa PTR");
    assert_int_equal(nrequests, 3);
    assert_string_equal(went(), "10.0.0.2:53 udp");
    ask("NET A"); // FROM itself is never excepted
    assert_string_equal(went(), "10.0.0.3:53 udp");
    assert_string_equal(ask("a.net A")->outcome.origin, "whoami");
    struct asked *a = ask("x.no.example.org A");
    assert_true(a->done);
    assert_string_equal(a->outcome.origin, "whoami");
    a = ask("other.com A");
    assert_string_equal(a->outcome.origin, "whoami");
    stop_serving();
}

// What loop has a forward do: the one that its probe goes to asks nobody anything else.
static void switched_off(void **state)
{
    (void)state;
    static const uint8_t probe[] = "\2"
                                   "42";
    serve("forward example.org 10.0.0.1\nforward . 10.0.0.2 {\nexcept example.net\n}");
    const struct instance *in = &generation->blocks[0].instances[0];
    const struct plugin_interface *offered = in->plugin->provides;
    const struct forward_ops *ops = offered->ops;
    assert_string_equal(offered->name, FORWARD_INTERFACE);
    assert_true(ops->switch_off(in->self, probe, true));
    const struct asked *a = ask("www.example.com A");
    assert_int_equal(a->outcome.rcode, RCODE_SERVFAIL);
    assert_string_equal(a->fail, "plugin/forward: switched off, since a loop was detected");
    assert_int_equal(nrequests, 0);
    ask("1.42 HINFO");
    assert_string_equal(went(), "10.0.0.2:53 udp");
    ask("www.example.org A");
    assert_string_equal(went(), "10.0.0.1:53 udp");
    assert_true(ops->switch_off(in->self, probe, false));
    ask("www.example.com A");
    assert_int_equal(nrequests, 3);
    assert_false(ops->switch_off(in->self, (const uint8_t *)"\1a\7example\3net", true));
    stop_serving();
}

static void only_queries(void **state)
{
    (void)state;
    serve("forward . 10.0.0.1");
    const struct asked *a = ask("example.org SOA notify");
    assert_int_equal(a->outcome.rcode, RCODE_NOTIMP);
    assert_int_equal(nrequests, 0);
    stop_serving();
}

// --- identical questions

static void asked_once(void **state)
{
    (void)state;
    serve("forward . 10.0.0.1");
    struct asked *a = ask("www.example.org A"), *b = ask("WWW.example.ORG A"), *c = ask("www.example.org A");
    assert_int_equal(nrequests, 1);
    static const char *const others[] = {
        "www.example.org AAAA",       "www.example.org A tcp", "www.example.org A nord",
        "www.example.org A cd",       "www.example.org A ad",  "www.example.org A edns=1232",
        "www.example.org A edns=512", "www.example.org A do",  "ww.example.org A",
    };
    for (unsigned i = 0; i < COUNT(others); i++) {
        ask(others[i]);
        assert_int_equal(nrequests, 2 + i);
    }
    answer(&requests[0], FLAG_RA, "\7");
    assert_string_equal(a->answer, "www.example.org. A 7");
    assert_string_equal(b->answer, "WWW.example.ORG. A 7");
    assert_string_equal(c->answer, "www.example.org. A 7");
    assert_true(a->ra && b->ra && c->ra);
    unsigned before = nrequests;
    ask("www.example.org A"); // that flight has ended
    assert_int_equal(nrequests, before + 1);
    stop_serving();
}

static void the_first_goes_away(void **state)
{
    (void)state;
    serve("forward . 10.0.0.1 10.0.0.2 {\npolicy sequential\n}");
    struct asked *a = ask("www.example.org A"), *b = ask("WWW.example.org A");
    chain_expire(a->exchange);
    assert_string_equal(a->fail, "query timed out");
    assert_true(requests[0].under_way);
    fails(&requests[0], CDNS_ETIMEOUT, "timed out");
    assert_memory_equal(latest()->message + 12, "\3WWW", 4); // in the name of who is left
    answer(latest(), 0, "\7");
    assert_string_equal(b->answer, "WWW.example.org. A 7");
    a = ask("x.example.org A");
    chain_expire(a->exchange);
    assert_false(latest()->under_way); // nobody waits: nothing is asked any more
    stop_serving();
}

// --- failures

static void the_next_upstream(void **state)
{
    (void)state;
    serve("forward . 10.0.0.1 10.0.0.2 {\npolicy sequential\n}");
    uint64_t now = uv_hrtime();
    struct asked *a = ask("www.example.org A");
    assert_in_range(latest()->deadline_ns - now, 1900000000, 2100000000);
    fails(latest(), CDNS_ETIMEOUT, "timed out");
    assert_string_equal(went(), "10.0.0.2:53 udp");
    answer(latest(), RCODE_SERVFAIL, ""); // an answer all the same
    assert_int_equal(a->outcome.rcode, RCODE_SERVFAIL);
    assert_string_equal(a->fail, "");
    stop_serving();
}

static void all_attempts_fail(void **state)
{
    (void)state;
    static const struct {
        const char *corefile, *why;
        unsigned attempts;
        int error;
        const char *reason;
    } cases[] = {
        {"forward . 10.0.0.1", "read udp 10.0.0.1:53: i/o timeout", 2, CDNS_ETIMEOUT, "timed out"},
        {"forward . 10.0.0.1 10.0.0.2 {\npolicy sequential\n}", "read udp 10.0.0.2:53: connection refused", 4, CDNS_EIO,
         "connection refused"},
        {"forward . 10.0.0.1 {\nmax_connect_attempts 1\nforce_tcp\n}", "read tcp 10.0.0.1:53: connection refused", 1,
         CDNS_EIO, "connection refused"},
        {"forward . 10.0.0.1 {\nmax_connect_attempts 0\n}", "read udp 10.0.0.1:53: connection refused", 128, CDNS_EIO,
         "connection refused"},
        {"forward . tls://[fd00::1]", "dial tcp-tls [fd00::1]:853: the certificate is for another name", 2,
         CDNS_EDENIED, "the certificate is for another name"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        serve(cases[i].corefile);
        struct asked *a = ask("www.example.org A");
        for (unsigned n = 0; n < cases[i].attempts; n++) {
            assert_false(a->done);
            assert_int_equal(nrequests, n + 1);
            fails(latest(), cases[i].error, cases[i].reason);
        }
        assert_true(a->done);
        assert_int_equal(a->outcome.rcode, RCODE_SERVFAIL);
        assert_string_equal(a->fail, cases[i].why);
        stop_serving();
    }
}

static void nothing_can_be_sent(void **state)
{
    (void)state;
    serve("forward . 10.0.0.1 10.0.0.2 {\npolicy sequential\nmax_connect_attempts 0\n}");
    refuse = CDNS_EIO;
    struct asked *a = ask("www.example.org A");
    assert_true(a->done);
    assert_int_equal(a->outcome.rcode, RCODE_SERVFAIL);
    stop_serving();
    serve("forward . 10.0.0.3");
    refuse = CDNS_ELIMIT; // our own bound: no fault of the upstream
    a = ask("www.example.org A");
    assert_int_equal(a->outcome.rcode, RCODE_SERVFAIL);
    refuse = 0;
    turn_main();
    assert_int_equal(nrequests, 0);
    a = ask("www.example.org A");
    answer(latest(), 0, "\1");
    assert_string_equal(a->answer, "www.example.org. A 1");
    stop_serving();
}

static void a_connection_was_closed(void **state)
{
    (void)state;
    serve("forward . 10.0.0.1 10.0.0.2 {\npolicy sequential\nforce_tcp\nmax_connect_attempts 1\n}");
    struct asked *a = ask("www.example.org A");
    end_request(latest(), (struct upstream_result){.error = CDNS_EIO, .reason = "closed", .stale = true});
    assert_string_equal(went(), "10.0.0.1:53 tcp"); // the same, and it is not an attempt
    answer(latest(), 0, "\1");
    assert_string_equal(a->answer, "www.example.org. A 1");
    a = ask("a.example.org A");
    for (int i = 0; i < 3; i++)
        end_request(latest(), (struct upstream_result){.error = CDNS_EIO, .reason = "closed", .stale = true});
    assert_string_equal(a->fail, "read tcp 10.0.0.1:53: closed");
    stop_serving();
}

static void malformed(void **state)
{
    (void)state;
    uint8_t message[512];
    serve("forward . 10.0.0.1 10.0.0.2 {\npolicy sequential\n}");
    struct asked *a = ask("www.example.org A");
    struct upstream_request *r = latest();
    size_t size = make_answer(r, 0, "\1", message);
    end_request(r, (struct upstream_result){.message = message, .size = size - 1});
    assert_string_equal(went(), "10.0.0.2:53 udp");
    answer(latest(), 0, "\1");
    assert_string_equal(a->answer, "www.example.org. A 1");
    stop_serving();
}

static void other_answers(void **state)
{
    (void)state;
    uint8_t message[512];
    serve("forward . 10.0.0.1");
    ask("www.example.org A");
    struct upstream_request *r = latest();
    size_t size = make_answer(r, 0, "\1", message);
    assert_true(r->accept(r->arg, message, size));
    message[14] ^= 1; // another name
    assert_false(r->accept(r->arg, message, size));
    message[14] ^= 1;
    message[2] &= 0x7f; // a question
    assert_false(r->accept(r->arg, message, size));
    stop_serving();
}

// --- truncated answers

static void truncated(void **state)
{
    (void)state;
    static const struct {
        const char *question;
        bool again;
    } cases[] = {
        {"a.example A", false},          {"a.example A edns=1232", false}, {"a.example A edns=512", false},
        {"a.example A edns=1233", true}, {"a.example A child", true},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        serve("forward . 10.0.0.1");
        struct asked *a = ask(cases[i].question);
        answer(latest(), FLAG_TC, "\1");
        assert_int_equal(nrequests, 1 + cases[i].again);
        assert_int_equal(a->done, !cases[i].again);
        if (cases[i].again) {
            assert_string_equal(went(), "10.0.0.1:53 tcp");
            answer(latest(), 0, "\1\2\3");
            assert_string_equal(a->answer, "a.example. A 1; a.example. A 2; a.example. A 3");
        }
        assert_int_equal(a->tc, !cases[i].again);
        stop_serving();
    }
}

static void truncated_and_no_tcp(void **state)
{
    (void)state;
    serve("forward . 10.0.0.1 {\nprefer_udp\n}");
    struct asked *a = ask("a.example A edns=4096"), *b = ask("b.example A tcp");
    answer(&requests[0], FLAG_TC, "");
    fails(latest(), CDNS_EIO, "connection refused");
    fails(latest(), CDNS_EIO, "connection refused");
    assert_true(a->tc); // its client may try TCP
    assert_int_equal(a->outcome.rcode, RCODE_NOERROR);
    answer(&requests[1], FLAG_TC, "");
    assert_string_equal(went(), "10.0.0.1:53 tcp");
    fails(latest(), CDNS_EIO, "connection refused");
    fails(latest(), CDNS_EIO, "connection refused");
    assert_int_equal(b->outcome.rcode, RCODE_SERVFAIL);
    stop_serving();
}

// --- rcodes

static void failover(void **state)
{
    (void)state;
    serve("forward . 10.0.0.1 10.0.0.2 10.0.0.3 {\npolicy sequential\nfailover SERVFAIL REFUSED\n}");
    struct asked *a = ask("a.example A");
    answer(latest(), RCODE_SERVFAIL, "");
    assert_string_equal(went(), "10.0.0.2:53 udp");
    answer(latest(), RCODE_REFUSED, "");
    assert_string_equal(went(), "10.0.0.3:53 udp");
    answer(latest(), RCODE_SERVFAIL, ""); // the last one's answer stands
    assert_int_equal(a->outcome.rcode, RCODE_SERVFAIL);
    assert_string_equal(a->fail, "");
    a = ask("b.example A");
    answer(latest(), RCODE_NXDOMAIN, "");
    assert_int_equal(a->outcome.rcode, RCODE_NXDOMAIN);
    stop_serving();
}

static void next_directive(void **state)
{
    (void)state;
    serve("forward . 10.0.0.1 {\nnext NXDOMAIN\nnext_on_nodata\n}\nforward other 10.0.0.2\n"
          "forward example 10.0.0.3 {\nnext NXDOMAIN\n}\nwhoami");
    struct asked *a = ask("a.example A"), *b = ask("A.example A");
    answer(latest(), RCODE_NXDOMAIN, "");
    assert_string_equal(went(), "10.0.0.3:53 udp"); // the next one that takes the name
    assert_int_equal(nrequests, 2);
    answer(latest(), RCODE_NXDOMAIN, ""); // of the last one next means nothing
    assert_int_equal(a->outcome.rcode, RCODE_NXDOMAIN);
    assert_int_equal(b->outcome.rcode, RCODE_NXDOMAIN);
    a = ask("b.example A");
    answer(latest(), 0, "");
    assert_string_equal(went(), "10.0.0.3:53 udp");
    answer(latest(), 0, "\5");
    assert_string_equal(a->answer, "b.example. A 5");
    a = ask("c.example A");
    answer(latest(), RCODE_SERVFAIL, "");
    assert_int_equal(a->outcome.rcode, RCODE_SERVFAIL);
    a = ask("a.net A");
    answer(latest(), RCODE_NXDOMAIN, ""); // no other directive takes it: the next plugin
    assert_string_equal(a->outcome.origin, "whoami");
    stop_serving();
}

// --- bounds

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

static void only_so_many_wait(void **state)
{
    (void)state;
    char question[64];
    serve("forward . 10.0.0.1");
    uint64_t before = counted("clusterdns_forward_overload_rejects_total");
    for (unsigned i = 0; i < FORWARD_WAITING; i++) {
        snprintf(question, sizeof question, "n%u.example A", i / 2);
        assert_false(ask(question)->done);
    }
    assert_int_equal(nrequests, FORWARD_WAITING / 2);
    struct asked *a = ask("n0.example A");
    assert_int_equal(a->outcome.rcode, RCODE_SERVFAIL);
    assert_string_equal(a->fail, "2048 queries are waiting for upstreams already");
    assert_int_equal(counted("clusterdns_forward_overload_rejects_total"), before + 1);
    answer(&requests[0], 0, "\1");
    assert_false(ask("n9999.example A")->done);
    assert_false(ask("n0.example A")->done);
    assert_true(ask("x.example A")->done);
    stop_serving();
}

// --- health

static void checked_until_it_answers(void **state)
{
    (void)state;
    log_begin(LOG_FORMAT_TEXT);
    serve("forward . 10.0.0.1 10.0.0.2 {\npolicy sequential\nhealth_check 20ms no_rec domain Check.example\n"
          "max_fails 1\n}");
    static const char gauge[] = "clusterdns_forward_upstream_healthy{to=\"10.0.0.1:53\"}";
    uint64_t failed = counted("coredns_forward_healthcheck_failures_total{to=\"10.0.0.1:53\"}");
    assert_int_equal(counted(gauge), 1);
    ask("a.example A");
    fails(latest(), CDNS_ETIMEOUT, "timed out");
    answer(latest(), 0, "\1");
    assert_int_equal(nrequests, 2);
    turn_main();
    assert_int_equal(nrequests, 3); // a check, at once
    assert_ptr_equal(latest()->loop, &main_loop);
    assert_string_equal(went(), "10.0.0.1:53 udp");
    assert_memory_equal(latest()->message + 2, "\0\0\0\1\0\0\0\0\0\0\5check\7example\0\0\2\0\1", 29);
    until_asked(5); // again and again, whether the one before has ended or not
    fails(&requests[2], CDNS_ETIMEOUT, "timed out");
    assert_int_equal(counted(gauge), 1);
    fails(&requests[3], CDNS_ETIMEOUT, "timed out");
    assert_int_equal(counted(gauge), 0);
    assert_int_equal(counted("coredns_forward_healthcheck_failures_total{to=\"10.0.0.1:53\"}"), failed + 2);
    assert_int_equal(counted("coredns_proxy_healthcheck_failures_total{proxy_name=\"forward\",to=\"10.0.0.1:53\"}"),
                     failed + 2);
    struct asked *a = ask("b.example A");
    assert_string_equal(went(), "10.0.0.2:53 udp");
    answer(latest(), 0, "\2");
    assert_true(a->done);
    unsigned before = nrequests;
    until_asked(before + 1);
    answer(latest(), RCODE_REFUSED, ""); // any answer will do
    assert_int_equal(counted(gauge), 1);
    for (unsigned i = 0; i < nrequests; i++)
        assert_false(requests[i].under_way);
    ask("c.example A");
    assert_string_equal(went(), "10.0.0.1:53 udp");
    stop_serving();
    const char *log = log_end();
    assert_non_null(strstr(log, "[WARNING] plugin/forward: upstream 10.0.0.1:53 is down: timed out\n"));
    assert_non_null(strstr(log, "[INFO] plugin/forward: upstream 10.0.0.1:53 answers again\n"));
}

// Makes an upstream that has failed a question fail its checks too.
static void bring_down(const char *address)
{
    char text[TARGET_TEXT];
    for (unsigned from = 0, n = 0; n < 3; from++) {
        until_asked(from + 1);
        struct upstream_request *r = &requests[from];
        if (r->loop == &main_loop && strcmp(target_text(&r->upstream->options.address, text), address) == 0) {
            fails(r, CDNS_ETIMEOUT, "timed out");
            n++;
        }
    }
}

static void all_down(void **state)
{
    (void)state;
    for (int failfast = 0; failfast <= 1; failfast++) {
        log_begin(LOG_FORMAT_TEXT);
        serve(failfast ? "forward . 10.0.0.1 10.0.0.2 {\nhealth_check 20ms\nfailfast_all_unhealthy_upstreams\n}"
                       : "forward . 10.0.0.1 10.0.0.2 {\nhealth_check 20ms\n}");
        uint64_t broken = counted("coredns_forward_healthcheck_broken_total");
        ask("a.example A");
        for (int i = 0; i < 4; i++)
            fails(latest(), CDNS_ETIMEOUT, "timed out");
        bring_down("10.0.0.1:53");
        bring_down("10.0.0.2:53");
        unsigned before = nrequests;
        struct asked *a = ask("b.example A");
        assert_int_equal(counted("coredns_forward_healthcheck_broken_total"), broken + 1);
        if (failfast) {
            assert_string_equal(a->fail, "no healthy proxies");
            assert_int_equal(a->outcome.rcode, RCODE_SERVFAIL);
        } else {
            assert_int_equal(nrequests, before + 1); // any one, once
            fails(latest(), CDNS_ETIMEOUT, "timed out");
            assert_non_null(strstr(a->fail, "i/o timeout"));
            assert_int_equal(nrequests, before + 1);
            ask("c.example A");
            struct upstream_request *r = latest();
            answer(r, 0, "\1"); // it lives, whatever the checks say
            char gauge[128], text[TARGET_TEXT];
            snprintf(gauge, sizeof gauge, "clusterdns_forward_upstream_healthy{to=\"%s\"}",
                     target_text(&r->upstream->options.address, text));
            assert_int_equal(counted(gauge), 1);
        }
        stop_serving();
        log_end();
    }
}

static void never_checked(void **state)
{
    (void)state;
    serve("forward . 10.0.0.1 {\nhealth_check 20ms\nmax_fails 0\n}");
    ask("a.example A");
    fails(latest(), CDNS_ETIMEOUT, "timed out");
    fails(latest(), CDNS_ETIMEOUT, "timed out");
    turn_main();
    assert_int_equal(nrequests, 2);
    stop_serving();
}

static void checks_take_the_upstreams_way(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"forward . tls://10.0.0.1", "10.0.0.1:853 tcp"},
        {"forward . 10.0.0.1 {\nforce_tcp\n}", "10.0.0.1:53 tcp"},
        {"forward . 10.0.0.1", "10.0.0.1:53 udp"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        serve(cases[i][0]);
        ask("a.example A");
        fails(latest(), CDNS_ETIMEOUT, "timed out");
        turn_main();
        assert_ptr_equal(latest()->loop, &main_loop);
        assert_string_equal(went(), cases[i][1]);
        assert_memory_equal(latest()->message + 2, "\1\0\0\1\0\0\0\0\0\0\0\0\2\0\1", 15); // . NS
        stop_serving();
    }
}

// --- numbers

static void numbers(void **state)
{
    (void)state;
    serve("forward . 10.7.0.1");
    struct upstream_request *r;
    ask("a.example A");
    answer(latest(), RCODE_NXDOMAIN, "");
    ask("a.example A tcp");
    r = latest();
    fails(r, CDNS_EIO, "refused");
#define TO "to=\"10.7.0.1:53\""
    assert_int_equal(counted("coredns_forward_requests_total{" TO "}"), 1);
    assert_int_equal(counted("coredns_forward_responses_total{" TO ",rcode=\"NXDOMAIN\"}"), 1);
    assert_int_equal(counted("coredns_forward_request_duration_seconds_count{" TO ",rcode=\"NXDOMAIN\"}"), 1);
    assert_int_equal(
        counted("coredns_proxy_request_duration_seconds_count{proxy_name=\"forward\"," TO ",rcode=\"NXDOMAIN\"}"), 1);
    assert_int_equal(counted("coredns_proxy_conn_cache_hits_total{proxy_name=\"forward\"," TO ",proto=\"udp\"}"), 1);
    assert_int_equal(counted("coredns_proxy_conn_cache_misses_total{proxy_name=\"forward\"," TO ",proto=\"tcp\"}"), 1);
    stop_serving();
}

// --- other upstreams

static void a_reload_keeps_what_is_known(void **state)
{
    (void)state;
    log_begin(LOG_FORMAT_TEXT);
    serve("forward . 10.0.0.1 10.0.0.2 {\npolicy sequential\nhealth_check 20ms\n}");
    ask("a.example A");
    fails(latest(), CDNS_ETIMEOUT, "timed out");
    bring_down("10.0.0.1:53");
    struct asked *a = ask("b.example A"); // waits over the reload
    struct generation *last = generation;
    generation =
        start_block("forward . 10.0.0.1 10.0.0.2 {\npolicy sequential\nhealth_check 20ms\nmax_concurrent 9\n}");
    generation_stop(last);
    ask("c.example A");
    assert_string_equal(went(), "10.0.0.2:53 udp"); // the first is still down
    for (unsigned i = 0; i < nrequests; i++)
        if (requests[i].under_way && requests[i].loop != &main_loop)
            answer(&requests[i], 0, "\3");
    assert_string_equal(a->answer, "b.example. A 3");
    generation_free(last);
    assert_non_null(upstream_at("10.0.0.1:53"));
    ask("d.example A");
    stop_serving();
    log_end();
}

static void write_file(const char *path, const char *text)
{
    char other[64];
    snprintf(other, sizeof other, "%s.new", path);
    FILE *f = fopen(other, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(rename(other, path), 0);
}

static void a_file_says_something_else(void **state)
{
    (void)state;
    char path[] = "/tmp/forward-XXXXXX", body[128];
    close(mkstemp(path));
    write_file(path, "nameserver 10.0.0.1\nnameserver 10.0.0.2\n");
    log_begin(LOG_FORMAT_TEXT);
    snprintf(body, sizeof body, "forward . %s {\npolicy sequential\n}", path);
    serve(body);
    struct asked *a = ask("a.example A");
    write_file(path, "nameserver 10.0.0.2\nnameserver 10.0.0.3\n");
    uint64_t end = uv_hrtime() + UINT64_C(10000000000);
    while (upstream_at("10.0.0.3:53") == NULL && uv_hrtime() < end)
        uv_run(&main_loop, UV_RUN_ONCE);
    ask("a.example A"); // asked of others: not the same question
    assert_string_equal(went(), "10.0.0.2:53 udp");
    assert_non_null(upstream_at("10.0.0.1:53")); // in use
    fails(&requests[0], CDNS_ETIMEOUT, "timed out");
    assert_string_equal(went(), "10.0.0.2:53 udp");
    answer(latest(), 0, "\1");
    assert_true(a->done);
    write_file(path, "# nothing\n");
    while (upstream_at("10.0.0.1:53") != NULL && uv_hrtime() < end)
        uv_run(&main_loop, UV_RUN_ONCE);
    assert_null(upstream_at("10.0.0.1:53")); // given back
    assert_false(ask("b.example A")->done);  // an empty file changes nothing
    assert_string_equal(went(), "10.0.0.2:53 udp");
    stop_serving();
    unlink(path);
    const char *log = log_end();
    assert_non_null(strstr(log, "plugin/forward: 2 upstreams after a change of a file\n"));
    assert_non_null(strstr(log, "plugin/forward: upstreams stay as they are: no valid upstream addresses found\n"));
}

static void bad_certificates(void **state)
{
    (void)state;
    char error[CONFIG_ERROR_MAX] = "";
    serve("whoami");
    struct generation *g;
    assert_int_equal(generation_build(NULL, "Corefile",
                                      ".:1053 {\nforward . 10.0.0.1 tls://10.0.0.2 {\ntls /dev/null\n}\n}\n", 53,
                                      report, NULL, &g),
                     0);
    assert_int_not_equal(generation_start(g, &main_loop, NULL, error), 0);
    assert_string_equal(error, "plugin/forward: no certificate");
    generation_free(g);
    stop_serving();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_question_and_its_answer),
        cmocka_unit_test(header_bits),
        cmocka_unit_test(ways),
        cmocka_unit_test(whose_names),
        cmocka_unit_test(switched_off),
        cmocka_unit_test(only_queries),
        cmocka_unit_test(asked_once),
        cmocka_unit_test(the_first_goes_away),
        cmocka_unit_test(the_next_upstream),
        cmocka_unit_test(all_attempts_fail),
        cmocka_unit_test(nothing_can_be_sent),
        cmocka_unit_test(a_connection_was_closed),
        cmocka_unit_test(malformed),
        cmocka_unit_test(other_answers),
        cmocka_unit_test(truncated),
        cmocka_unit_test(truncated_and_no_tcp),
        cmocka_unit_test(failover),
        cmocka_unit_test(next_directive),
        cmocka_unit_test(max_concurrent),
        cmocka_unit_test(only_so_many_wait),
        cmocka_unit_test(checked_until_it_answers),
        cmocka_unit_test(all_down),
        cmocka_unit_test(never_checked),
        cmocka_unit_test(checks_take_the_upstreams_way),
        cmocka_unit_test(numbers),
        cmocka_unit_test(a_reload_keeps_what_is_known),
        cmocka_unit_test(a_file_says_something_else),
        cmocka_unit_test(bad_certificates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
