// SPDX-License-Identifier: Apache-2.0
#include "plugin_test.h"

extern const struct plugin clusterdns_plugin_bufsize;
static const struct plugin *const plugin = &clusterdns_plugin_bufsize;

static void reads_a_size(void **state)
{
    (void)state;
    static const struct setup_case cases[] = {
        {"bufsize", NULL},
        {"bufsize 512", NULL},
        {"bufsize 4096", NULL},
        {"bufsize +1000", NULL},
        {"bufsize 512 {\nx\n}", NULL},
        {"bufsize 512\nbufsize 1 2", NULL},
        {"bufsize 511", "plugin/bufsize: plugin/bufsize: Corefile:2 - Error during parsing: Wrong argument count or "
                        "unexpected line ending after '511'"},
        {"bufsize 4097", "plugin/bufsize: plugin/bufsize: Corefile:2 - Error during parsing: Wrong argument count or "
                         "unexpected line ending after '4097'"},
        {"bufsize 1k", "plugin/bufsize: plugin/bufsize: Corefile:2 - Error during parsing: Wrong argument count or "
                       "unexpected line ending after '1k'"},
        {"bufsize 1000 2000", "plugin/bufsize: plugin/bufsize: Corefile:2 - Error during parsing: Wrong argument count "
                              "or unexpected line ending after '2000'"},
    };
    check_setups(plugin, cases, COUNT(cases));
}

// What a question's size becomes.
static uint16_t capped(const char *directive, bool edns, uint16_t size)
{
    struct built b;
    assert_int_equal(build(plugin, directive, &b), 0);
    struct query q = {.edns = edns, .udp_size = size};
    assert_int_equal(plugin->query(b.self, &q), VERDICT_NEXT);
    unbuild(plugin, &b);
    return q.udp_size;
}

static void makes_sizes_smaller_only(void **state)
{
    (void)state;
    assert_int_equal(capped("bufsize", true, 4096), 1232);
    assert_int_equal(capped("bufsize 700", true, 701), 700);
    assert_int_equal(capped("bufsize 700", true, 700), 700);
    assert_int_equal(capped("bufsize 700", true, 512), 512);
    assert_int_equal(capped("bufsize 700", false, 512), 512);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_size),
        cmocka_unit_test(makes_sizes_smaller_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
