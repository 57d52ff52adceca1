// SPDX-License-Identifier: Apache-2.0
#include "plugin_test.h"

extern const struct plugin clusterdns_plugin_whoami;
static const struct plugin *const whoami = &clusterdns_plugin_whoami;

static void takes_no_argument(void **state)
{
    (void)state;
    static const struct setup_case cases[] = {
        {"whoami", NULL},
        {"whoami\nwhoami", NULL},
        {"whoami x", "plugin/whoami: Corefile:2 - Error during parsing: Wrong argument count or unexpected line ending "
                     "after 'x'"},
        {"whoami {\nfoo\n}",
         "plugin/whoami: Corefile:2 - Error during parsing: Unexpected token '{', expecting argument"},
    };
    check_setups(whoami, cases, COUNT(cases));
}

static void check_record(const struct record *rr, const char *owner, uint16_t type, const void *rdata, size_t rdlen)
{
    char text[NAME_MAX_TEXT];
    name_to_text(rr->owner, text);
    assert_string_equal(text, owner);
    assert_int_equal(rr->type, type);
    assert_int_equal(rr->class_, CLASS_IN);
    assert_int_equal(rr->ttl, 0);
    assert_int_equal(rr->rdlen, rdlen);
    assert_memory_equal(rr->rdata, rdata, rdlen);
}

static void tells_the_client_in_additional(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct query q = make_query(a, "WhoAmI.Example.org.", RR_TXT);
    assert_int_equal(whoami->query(NULL, &q), VERDICT_DONE);
    assert_int_equal(q.reply.rcode, RCODE_NOERROR);
    assert_true(q.reply.aa);
    assert_int_equal(q.reply.answer.n + q.reply.authority.n, 0);
    assert_int_equal(q.reply.additional.n, 2);
    check_record(&q.reply.additional.rr[0], "WhoAmI.Example.org.", RR_A, "\x0a\0\0\1", 4);
    // 0 0 5353 and the root as target.
    check_record(&q.reply.additional.rr[1], "_udp.WhoAmI.Example.org.", RR_SRV, "\0\0\0\0\x14\xe9\0", 7);
    arena_free(a);
}

static void knows_ipv6_tcp_and_the_root(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct query q = make_query(a, ".", RR_AAAA);
    set_ipv6(&q.client, "fd00::1", 1);
    q.transport = TRANSPORT_TCP;
    assert_int_equal(whoami->query(NULL, &q), VERDICT_DONE);
    check_record(&q.reply.additional.rr[0], ".", RR_AAAA, "\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16);
    check_record(&q.reply.additional.rr[1], "_tcp.", RR_SRV, "\0\0\0\0\0\1\0", 7);

    q = make_query(a, "a.", RR_A);
    set_ipv6(&q.client, "::ffff:192.0.2.7", 2);
    assert_int_equal(whoami->query(NULL, &q), VERDICT_DONE);
    check_record(&q.reply.additional.rr[0], "a.", RR_A, "\xc0\0\2\7", 4);
    arena_free(a);
}

static void answers_in_the_class_asked(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct query q = make_query(a, "a.", RR_A);
    q.qclass = CLASS_CH;
    assert_int_equal(whoami->query(NULL, &q), VERDICT_DONE);
    assert_int_equal(q.reply.additional.rr[0].class_, CLASS_CH);
    assert_int_equal(q.reply.additional.rr[1].class_, CLASS_CH);
    arena_free(a);
}

// A name of 252 bytes has no room for "_udp."; a question of the server's own has no client.
static void leaves_out_what_cannot_be_said(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    char name[NAME_MAX_TEXT] = "";
    for (int i = 0; i < 125; i++)
        strcat(name, "a.");
    struct query q = make_query(a, name, RR_A);
    assert_int_equal(whoami->query(NULL, &q), VERDICT_DONE);
    assert_int_equal(q.reply.additional.n, 1);
    assert_int_equal(q.reply.additional.rr[0].type, RR_A);

    q = make_query(a, "a.", RR_A);
    q.transport = TRANSPORT_INTERNAL;
    q.client = (union sockaddr_any){0};
    assert_int_equal(whoami->query(NULL, &q), VERDICT_DONE);
    assert_int_equal(q.reply.additional.n, 1);
    check_record(&q.reply.additional.rr[0], "_udp.a.", RR_SRV, "\0\0\0\0\0\0\0", 7);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_no_argument),
        cmocka_unit_test(tells_the_client_in_additional),
        cmocka_unit_test(knows_ipv6_tcp_and_the_root),
        cmocka_unit_test(answers_in_the_class_asked),
        cmocka_unit_test(leaves_out_what_cannot_be_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
