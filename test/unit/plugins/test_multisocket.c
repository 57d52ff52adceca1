// SPDX-License-Identifier: Apache-2.0
#include "plugin_test.h"

extern const struct plugin clusterdns_plugin_multisocket;
static const struct plugin *const plugin = &clusterdns_plugin_multisocket;

static void reads_a_number(void **state)
{
    (void)state;
    static const struct setup_case cases[] = {
        {"multisocket", NULL},
        {"multisocket 1", NULL},
        {"multisocket 1024", NULL},
        {"multisocket 0", "plugin/multisocket: num sockets can not be zero or negative: 0 (Corefile:2)"},
        {"multisocket -1", "plugin/multisocket: num sockets can not be zero or negative: -1 (Corefile:2)"},
        {"multisocket 1025", "plugin/multisocket: num sockets exceeds maximum (1024): 1025 (Corefile:2)"},
        {"multisocket x",
         "plugin/multisocket: invalid num sockets: strconv.Atoi: parsing \"x\": invalid syntax (Corefile:2)"},
        {"multisocket 1 2", "plugin/multisocket: Corefile:2 - Error during parsing: Wrong argument count or unexpected "
                            "line ending after '2'"},
        {"multisocket x\nmultisocket", "plugin/multisocket: Corefile:3 - Error during parsing: Wrong argument count or "
                                       "unexpected line ending after 'multisocket'"},
        {"multisocket 1 {\nx\n}",
         "plugin/multisocket: Corefile:2 - Error during parsing: Unexpected token '{', expecting argument"},
    };
    check_setups(plugin, cases, COUNT(cases));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
