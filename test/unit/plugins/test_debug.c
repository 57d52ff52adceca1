// SPDX-License-Identifier: Apache-2.0
#include "plugin_test.h"

extern const struct plugin clusterdns_plugin_debug;
static const struct plugin *const plugin = &clusterdns_plugin_debug;

static void takes_no_argument(void **state)
{
    (void)state;
    static const struct setup_case cases[] = {
        {"debug", NULL},
        {"debug\ndebug", NULL},
        {"debug x y",
         "plugin/debug: Corefile:2 - Error during parsing: Wrong argument count or unexpected line ending after 'x'"},
        {"debug\ndebug x",
         "plugin/debug: Corefile:3 - Error during parsing: Wrong argument count or unexpected line ending after 'x'"},
        {"debug {\n}", "plugin/debug: Corefile:2 - Error during parsing: Unexpected token '{', expecting argument"},
    };
    check_setups(plugin, cases, COUNT(cases));
}

static void shows_debug_lines_while_it_runs(void **state)
{
    (void)state;
    log_begin(LOG_FORMAT_TEXT);
    log_write(LOG_LEVEL_DEBUG, "before");
    assert_int_equal(plugin->start(NULL, NULL), 0);
    log_write(LOG_LEVEL_DEBUG, "one");
    assert_int_equal(plugin->start(NULL, NULL), 0); // another block's, or a reload's
    plugin->stop(NULL);
    log_write(LOG_LEVEL_DEBUG, "two");
    plugin->stop(NULL);
    log_write(LOG_LEVEL_DEBUG, "after");
    assert_string_equal(log_end(), "[DEBUG] one\n[DEBUG] two\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_no_argument),
        cmocka_unit_test(shows_debug_lines_while_it_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
