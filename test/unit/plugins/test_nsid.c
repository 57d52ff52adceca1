// SPDX-License-Identifier: Apache-2.0
#include "plugin_test.h"

extern const struct plugin clusterdns_plugin_nsid;
static const struct plugin *const plugin = &clusterdns_plugin_nsid;

static void reads_words(void **state)
{
    (void)state;
    static const struct setup_case cases[] = {
        {"nsid", NULL},
        {"nsid Use The Force", NULL},
        {"nsid \"\"", NULL},
        {"nsid a\nnsid b", "plugin/nsid: this plugin can only be used once per Server Block (Corefile:3)"},
        {"nsid a {\nb\n}", "plugin/nsid: this plugin can only be used once per Server Block (Corefile:2)"},
    };
    check_setups(plugin, cases, COUNT(cases));
}

// OPT's options in the reply to a question that has these.
static struct reply reply_to(const struct built *b, const char *options, uint16_t len, bool edns)
{
    struct query q = make_query(b->arena, "a.test.", RR_A);
    q.edns = edns;
    q.options = (const uint8_t *)options;
    q.options_len = len;
    assert_int_equal(plugin->reply(b->self, &q), VERDICT_NEXT);
    return q.reply;
}

static void tells_who_asks(void **state)
{
    (void)state;
    struct built b;
    assert_int_equal(build(plugin, "nsid Use  The Force", &b), 0);
    struct reply r = reply_to(&b, "\0\12\0\1x\0\3\0\0", 9, true);
    assert_int_equal(r.options_len, 4 + 13);
    assert_memory_equal(r.options, "\0\3\0\15Use The Force", 17);
    assert_int_equal(reply_to(&b, "\0\12\0\1x", 5, true).options_len, 0);
    assert_int_equal(reply_to(&b, NULL, 0, false).options_len, 0);
    unbuild(plugin, &b);
}

static void is_the_host_by_default(void **state)
{
    (void)state;
    char host[256];
    struct built b;
    assert_int_equal(gethostname(host, sizeof host), 0);
    assert_int_equal(build(plugin, "nsid", &b), 0);
    struct reply r = reply_to(&b, "\0\3\0\0", 4, true);
    assert_int_equal(r.options_len, 4 + strlen(host));
    assert_memory_equal(r.options + 4, host, strlen(host));
    unbuild(plugin, &b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_words),
        cmocka_unit_test(tells_who_asks),
        cmocka_unit_test(is_the_host_by_default),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
