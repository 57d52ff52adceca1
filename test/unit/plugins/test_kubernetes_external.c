// SPDX-License-Identifier: Apache-2.0
// Services of type ExternalName: chains inside of the zone, questions to the whole server outside of it.
#include "kubernetes_test.h"

static const char *const cluster[] = {
    "ns default",
    "svc default/web cluster 10.96.0.10 fd00:10::10 http:80/TCP",
    "svc default/db headless sql:5432/TCP",
    "slice default/db-1 db sql:5432/TCP 10.244.1.1=db-0",
    "svc default/out external WWW.Example.org http:80/TCP",
    "svc default/dotted external www.example.org.",
    "svc default/in external web.default.svc.cluster.local",
    "svc default/in2 external In.default.svc.cluster.local",
    "svc default/pod external 1-2-3-4.default.pod.cluster.local",
    "svc default/host external db-0.db.default.svc.cluster.local",
    "svc default/in-out external out.default.svc.cluster.local",
    "svc default/server external ns.dns.cluster.local",
    "svc default/apex external cluster.local",
    "svc default/dangling external nosuch.default.svc.cluster.local",
    "svc default/self external self.default.svc.cluster.local",
    "svc default/below external x.below.default.svc.cluster.local",
    "svc default/loop1 external loop2.default.svc.cluster.local",
    "svc default/loop2 external loop1.default.svc.cluster.local",
    "svc default/literal external 10.0.0.1",
    "svc default/literal6 external fd00::1",
    "svc default/bad external a..b",
    "svc default/c0 external c1.default.svc.cluster.local",
    "svc default/c1 external c2.default.svc.cluster.local",
    "svc default/c2 external c3.default.svc.cluster.local",
    "svc default/c3 external c4.default.svc.cluster.local",
    "svc default/c4 external c5.default.svc.cluster.local",
    "svc default/c5 external c6.default.svc.cluster.local",
    "svc default/c6 external c7.default.svc.cluster.local",
    "svc default/c7 external c8.default.svc.cluster.local",
    "svc default/c8 external c9.default.svc.cluster.local",
    "svc default/c9 external c10.default.svc.cluster.local",
    "svc default/c10 external c11.default.svc.cluster.local",
    "svc default/c11 external web.default.svc.cluster.local",
};

#define SVC(name) name ".default.svc.cluster.local."

static const struct answer_case inside[] = {
    {"in.default.svc.cluster.local A", "NOERROR AN @ 5 CNAME " SVC("web") "; " SVC("web") " 5 A 10.96.0.10"},
    {"IN.default.svc.cluster.local AAAA", "NOERROR AN @ 5 CNAME " SVC("web") "; " SVC("web") " 5 AAAA fd00:10::10"},
    {"in2.default.svc.cluster.local A",
     "NOERROR AN @ 5 CNAME " SVC("In") "; " SVC("In") " 5 CNAME " SVC("web") "; " SVC("web") " 5 A 10.96.0.10"},
    {"pod.default.svc.cluster.local A", "NOERROR AN @ 5 CNAME 1-2-3-4.default.pod.cluster.local.; "
                                        "1-2-3-4.default.pod.cluster.local. 5 A 1.2.3.4"},
    {"pod.default.svc.cluster.local AAAA", "NOERROR"}, // the other family: no chain either
    {"host.default.svc.cluster.local A", "NOERROR AN @ 5 CNAME db-0." SVC("db") "; db-0." SVC("db") " 5 A 10.244.1.1"},
    {"server.default.svc.cluster.local A",
     "NOERROR AN @ 5 CNAME ns.dns.cluster.local.; ns.dns.cluster.local. 5 A 192.168.0.1"},
    {"apex.default.svc.cluster.local A", "NOERROR"},
    {"dangling.default.svc.cluster.local A", "NOERROR"},
    {"dangling.default.svc.cluster.local CNAME", "NOERROR AN @ 5 CNAME " SVC("nosuch")},
    {"self.default.svc.cluster.local A", "NOERROR"},
    {"self.default.svc.cluster.local CNAME", "NOERROR AN @ 5 CNAME " SVC("self")},
    {"below.default.svc.cluster.local A", "NOERROR"},
    {"loop1.default.svc.cluster.local A", "NOERROR"},
    {"literal.default.svc.cluster.local A", "NXDOMAIN"},
    {"literal6.default.svc.cluster.local CNAME", "NXDOMAIN"},
    {"out.default.svc.cluster.local CNAME", "NOERROR AN @ 5 CNAME WWW.Example.org."},
    {"out.default.svc.cluster.local SRV", "NOERROR"},
    {"out.default.svc.cluster.local MX", "NOERROR"},
    {"out.default.svc.cluster.local TXT", "NOERROR"},
    {"out.default.svc.cluster.local HTTPS", "NOERROR"},
    {"_http._tcp.out.default.svc.cluster.local A", "NXDOMAIN"},
    {"x.out.default.svc.cluster.local A", "NXDOMAIN"},
    {"bad.default.svc.cluster.local A", "FAIL SERVFAIL plugin/kubernetes: external name 'a..b' is not a domain name"},
    {"bad.default.svc.cluster.local CNAME",
     "FAIL SERVFAIL plugin/kubernetes: external name 'a..b' is not a domain name"},
    {"c0.default.svc.cluster.local A", "NOERROR"}, // twelve names are too many
};

static void chains_inside_of_the_zone(void **state)
{
    (void)state;
    struct instance in;
    struct query q;
    set_up(&in, "cluster.local {\npods insecure\n}", cluster, COUNT(cluster));
    add_local(&in, "192.168.0.1");
    check_answers(&in, inside, COUNT(inside));
    assert_int_equal(ask(&in, "c1.default.svc.cluster.local A", &q), VERDICT_DONE);
    assert_int_equal(q.reply.answer.n, 12); // eleven are not
    tear_down(&in);
}

// A child's reply with an A record, in memory that is gone afterwards.
static void reply(struct query *q, uint16_t rcode, bool address, int failed)
{
    struct arena *a = arena_new(0);
    struct query child = {.arena = a, .reply.rcode = rcode};
    uint8_t owner[NAME_MAX_WIRE];
    memcpy(owner, chain.qname, sizeof owner);
    uint8_t *ip = arena_memdup(a, "\1\2\3\4", 4);
    if (address)
        assert_int_equal(records_add(&child.reply.answer, a, owner, RR_A, 77, ip, 4), 0);
    chain.callback(chain.arg, q, failed != 0 ? NULL : &child, failed);
    memset(owner, 0xff, sizeof owner);
    memset(ip, 0xff, 4);
    arena_free(a);
}

static void asks_the_server_outside(void **state)
{
    (void)state;
    struct instance in;
    struct query q;
    set_up(&in, "cluster.local", cluster, COUNT(cluster));
    static const struct {
        const char *question;
        uint16_t rcode;
        bool address;
        int failed;
        const char *answer;
    } cases[] = {
        {"out.default.svc.cluster.local A", RCODE_NOERROR, true, 0,
         "NOERROR AN @ 5 CNAME WWW.Example.org.; WWW.Example.org. 77 A 1.2.3.4"},
        {"in-out.default.svc.cluster.local A", RCODE_NOERROR, true, 0,
         "NOERROR AN @ 5 CNAME " SVC("out") "; " SVC("out") " 5 CNAME WWW.Example.org.; WWW.Example.org. 77 A 1.2.3.4"},
        {"out.default.svc.cluster.local AAAA", RCODE_NOERROR, false, 0, "NOERROR AN @ 5 CNAME WWW.Example.org."},
        {"out.default.svc.cluster.local A", RCODE_NXDOMAIN, false, 0, "NOERROR AN @ 5 CNAME WWW.Example.org."},
        {"out.default.svc.cluster.local A", RCODE_SERVFAIL, false, 0, "NOERROR AN @ 5 CNAME WWW.Example.org."},
        {"out.default.svc.cluster.local A", 0, false, CDNS_ETIMEOUT, "NOERROR AN @ 5 CNAME WWW.Example.org."},
        {"out.default.svc.cluster.local A", 0, false, CDNS_ECANCELED, "NOERROR"},
        {"dotted.default.svc.cluster.local A", RCODE_NOERROR, true, 0,
         "NOERROR AN @ 5 CNAME www.example.org.; www.example.org. 77 A 1.2.3.4"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(ask(&in, cases[i].question, &q), VERDICT_WAIT);
        assert_true(chain.asked && !chain.resumed);
        assert_true(name_equal(chain.qname, (const uint8_t *)"\3www\7example\3org"));
        assert_int_equal(chain.question.qtype, q.qtype);
        assert_int_equal(chain.question.qclass, CLASS_IN);
        assert_true(chain.question.rd);
        reply(&q, cases[i].rcode, cases[i].address, cases[i].failed);
        assert_true(chain.resumed);
        assert_string_equal(answer_text(&q, chain.verdict), cases[i].answer);
    }
    assert_int_equal(ask(&in, "out.default.svc.cluster.local A", &q), VERDICT_WAIT);
    chain.callback(chain.arg, NULL, NULL, CDNS_ECANCELED); // the parent has ended: nothing is touched
    assert_false(chain.resumed);
    tear_down(&in);
}

static void too_deep(void **state)
{
    (void)state;
    struct instance in;
    struct query q;
    set_up(&in, "cluster.local", cluster, COUNT(cluster));
    for (int refused = 0; refused < 2; refused++) {
        arena_reset(in.arena);
        memset(&chain, 0, sizeof chain);
        chain.result = refused ? CDNS_ELIMIT : 0;
        q = make_query(in.arena, "out.default.svc.cluster.local", RR_A);
        enum verdict v = kubernetes->query(in.k, &q);
        assert_string_equal(answer_text(&q, v), refused ? "NOERROR" : "WAIT");
    }
    tear_down(&in);
}

int main(void)
{
    rcu_thread_start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chains_inside_of_the_zone),
        cmocka_unit_test(asks_the_server_outside),
        cmocka_unit_test(too_deep),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rcu_thread_end();
    return failed;
}
