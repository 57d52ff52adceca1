// SPDX-License-Identifier: Apache-2.0
#include "plugin_test.h"

extern const struct plugin clusterdns_plugin_chaos;
static const struct plugin *const plugin = &clusterdns_plugin_chaos;

static void reads_version_and_authors(void **state)
{
    (void)state;
    static const struct setup_case cases[] = {
        {"chaos", NULL},
        {"chaos V1", NULL},
        {"chaos V1 a b", NULL},
        {"chaos {\n}", NULL},
        {"chaos V1\nchaos V2 {\nx\n}", NULL},
        {"chaos V1 {\nx y\n}", "plugin/chaos: Corefile:3 - Error during parsing: unknown property 'x'"},
    };
    check_setups(plugin, cases, COUNT(cases));
}

// The texts that a question is answered with, a blank behind each; NULL: it is passed on.
static const char *answer(const char *directive, const char *name, uint16_t qtype, uint16_t qclass)
{
    static char texts[1024];
    struct built b;
    assert_int_equal(build(plugin, directive, &b), 0);
    struct query q = make_query(b.arena, name, qtype);
    q.qclass = qclass;
    enum verdict v = plugin->query(b.self, &q);
    size_t len = 0;
    for (uint32_t i = 0; i < q.reply.answer.n; i++) {
        const struct record *rr = &q.reply.answer.rr[i];
        assert_true(rr->type == RR_TXT && rr->class_ == CLASS_CH && rr->ttl == 0);
        assert_ptr_equal(rr->owner, q.qname_asked);
        assert_int_equal(rr->rdlen, 1 + rr->rdata[0]);
        len += (size_t)snprintf(texts + len, sizeof texts - len, "%.*s ", rr->rdata[0], (const char *)rr->rdata + 1);
    }
    assert_int_equal(v, q.reply.answer.n > 0 ? VERDICT_DONE : VERDICT_NEXT);
    assert_false(q.reply.aa);
    unbuild(plugin, &b);
    return v == VERDICT_DONE ? texts : NULL;
}

static void answers_five_names(void **state)
{
    (void)state;
    char host[256];
    assert_int_equal(gethostname(host, sizeof host - 1), 0);
    strcat(host, " ");
    assert_string_equal(answer("chaos V1", "version.bind.", RR_TXT, CLASS_CH), "V1 ");
    assert_string_equal(answer("chaos V1", "VERSION.Server.", RR_TXT, CLASS_CH), "V1 ");
    assert_string_equal(answer("chaos", "version.server.", RR_TXT, CLASS_CH), "clusterdns-" CDNS_VERSION " ");
    assert_string_equal(answer("chaos V1 zoe amy zoe", "authors.bind.", RR_TXT, CLASS_CH), "amy zoe ");
    assert_string_equal(answer("chaos V1", "authors.bind.", RR_TXT, CLASS_CH), "The clusterdns authors ");
    assert_string_equal(answer("chaos", "hostname.bind.", RR_TXT, CLASS_CH), host);
    assert_string_equal(answer("chaos", "id.server.", RR_TXT, CLASS_CH), host);
}

static void passes_on_what_it_does_not_know(void **state)
{
    (void)state;
    assert_null(answer("chaos", "version.bind.", RR_A, CLASS_CH));
    assert_null(answer("chaos", "version.bind.", RR_ANY, CLASS_CH));
    assert_null(answer("chaos", "version.bind.", RR_TXT, CLASS_IN));
    assert_null(answer("chaos", "version.bind.", RR_TXT, CLASS_HS));
    assert_null(answer("chaos", "x.version.bind.", RR_TXT, CLASS_CH));
    assert_null(answer("chaos", ".", RR_TXT, CLASS_CH));
}

static void texts_are_cut_at_255_bytes(void **state)
{
    (void)state;
    char directive[600] = "chaos ", text[257];
    memset(directive + 6, 'v', 300);
    strcpy(directive + 306, " a");
    memset(text, 'v', 255);
    strcpy(text + 255, " ");
    assert_string_equal(answer(directive, "version.bind.", RR_TXT, CLASS_CH), text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_version_and_authors),
        cmocka_unit_test(answers_five_names),
        cmocka_unit_test(passes_on_what_it_does_not_know),
        cmocka_unit_test(texts_are_cut_at_255_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
