// SPDX-License-Identifier: Apache-2.0
#include "plugins/duration.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

// Expected texts are what Go 1.26 prints.
static void prints_as_go(void **state)
{
    (void)state;
    static const struct {
        int64_t ns;
        const char *text;
    } cases[] = {
        {0, "0s"},
        {1, "1ns"},
        {999, "999ns"},
        {1000, "1µs"},
        {1500, "1.5µs"},
        {1000000, "1ms"},
        {300000000, "300ms"},
        {999999999, "999.999999ms"},
        {1000000000, "1s"},
        {1500000000, "1.5s"},
        {-1500000000, "-1.5s"},
        {60000000000, "1m0s"},
        {300000000000, "5m0s"},
        {3600000000000, "1h0m0s"},
        {5400100000000, "1h30m0.1s"},
        {INT64_MAX, "2562047h47m16.854775807s"},
        {INT64_MIN, "-2562047h47m16.854775808s"},
    };
    char text[DURATION_TEXT_MAX];
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        assert_string_equal(duration_text(cases[i].ns, text), cases[i].text);
}

static void explains_as_go(void **state)
{
    (void)state;
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"", "time: invalid duration \"\""},
        {"-", "time: invalid duration \"-\""},
        {"abc", "time: invalid duration \"abc\""},
        {".s", "time: invalid duration \".s\""},
        {"3", "time: missing unit in duration \"3\""},
        {"1.5", "time: missing unit in duration \"1.5\""},
        {"1h2", "time: missing unit in duration \"1h2\""},
        {"5d", "time: unknown unit \"d\" in duration \"5d\""},
        {"1s5 s", "time: unknown unit \" s\" in duration \"1s5 s\""},
        {"1h-2m", "time: unknown unit \"h-\" in duration \"1h-2m\""},
        {"99999999999h", "time: invalid duration \"99999999999h\""},
    };
    char error[DURATION_ERROR_MAX];
    int64_t ns;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        assert_int_not_equal(duration_parse(cases[i].text, &ns, error), 0);
        assert_string_equal(error, cases[i].error);
    }
    assert_int_equal(duration_parse("1h2m.5s", &ns, error), 0);
    assert_true(ns == 3720500000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prints_as_go),
        cmocka_unit_test(explains_as_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
