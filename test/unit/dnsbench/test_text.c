// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dnsbench/text.h"
#include <stdio.h>

static void only_what_can_be_shown_stays(void **state)
{
    (void)state;
    static const struct {
        const char *text, *clean;
    } all[] = {
        {"", ""},
        {"plain text, \tline\nline", "plain text, \tline\nline"},
        {"\x1b]0;title\a\x1b[31m", "?]0;title??[31m"},
        {"\x7f\r\x01", "???"},
        {"Grüße, 名前, 🙂", "Grüße, 名前, 🙂"},
        {"cut \xc3", "cut ?"},
        {"cut \xe5\x90", "cut ??"},
        {"\xff\xfe\x80", "???"},
        {"\xc0\xaf \xe0\x80\xaf", "?? ???"},           // longer than need be
        {"\xed\xa0\x80 \xf4\x90\x80\x80", "??? ????"}, // surrogates, beyond the last character
        {"\xc2\x9b"
         "31m",
         "??31m"}, // CSI in one character
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        char text[64];
        snprintf(text, sizeof text, "%s", all[i].text);
        assert_ptr_equal(text_clean(text), text);
        assert_string_equal(text, all[i].clean);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(only_what_can_be_shown_stays)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
