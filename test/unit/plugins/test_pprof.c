// SPDX-License-Identifier: Apache-2.0
#include "plugin_test.h"

extern const struct plugin clusterdns_plugin_pprof;
static const struct plugin *const plugin = &clusterdns_plugin_pprof;

static void reads_what_coredns_reads(void **state)
{
    (void)state;
    static const struct setup_case cases[] = {
        {"pprof", NULL},
        {"pprof :1234", NULL},
        {"pprof 1.2.3.4:1234 {\nblock\nblock 20\nblock -1\n}", NULL},
        {"pprof /foo", "plugin/pprof: Corefile:2 - Error during parsing: address /foo: missing port in address"},
        {"pprof :1234 -1",
         "plugin/pprof: Corefile:2 - Error during parsing: Wrong argument count or unexpected line ending after '-1'"},
        {"pprof {\nblock 20 30\n}",
         "plugin/pprof: Corefile:3 - Error during parsing: Wrong argument count or unexpected line ending after '30'"},
        {"pprof {\nblock x\n}",
         "plugin/pprof: Corefile:3 - Error during parsing: property 'block' invalid integer value 'x'"},
        {"pprof {\nunknown\n}", "plugin/pprof: Corefile:3 - Error during parsing: unknown property 'unknown'"},
        {"pprof\npprof a b", "plugin/pprof: this plugin can only be used once per Server Block (Corefile:3)"},
    };
    check_setups(plugin, cases, COUNT(cases));
}

static void says_once_that_there_is_nothing(void **state)
{
    (void)state;
    log_begin(LOG_FORMAT_TEXT);
    assert_int_equal(plugin->start(NULL, NULL), 0);
    assert_int_equal(plugin->start(NULL, NULL), 0);
    assert_string_equal(log_end(),
                        "[WARNING] plugin/pprof: there is no Go runtime to profile: no endpoint is opened; use perf\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_coredns_reads),
        cmocka_unit_test(says_once_that_there_is_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
