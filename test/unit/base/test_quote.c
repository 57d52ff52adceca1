// SPDX-License-Identifier: Apache-2.0
// Every expectation is what Go 1.26's strconv.Quote gives.
#include <clusterdns/quote.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void quotes(void **unused)
{
    (void)unused;
    static const struct {
        const char *text, *quoted;
    } cases[] = {
        {"", "\"\""},
        {"abc in (d)", "\"abc in (d)\""},
        {"\a\b\f\n\r\t\v\\'\"", "\"\\a\\b\\f\\n\\r\\t\\v\\\\'\\\"\""},
        {"\x01\x1b\x7f", "\"\\x01\\x1b\\x7f\""},
        {"é€\U0001F600", "\"é€\U0001F600\""},
        {"\u00a0\u00ad\u200b\u2028\u3000\ufeff\ue000\uffff",
         "\"\\u00a0\\u00ad\\u200b\\u2028\\u3000\\ufeff\\ue000\\uffff\""},
        {"\xc2\x85", "\"\\u0085\""},
        {"\U000e0001\U0010ffff", "\"\\U000e0001\\U0010ffff\""},
        {"\x80", "\"\\x80\""},
        {"\xc3", "\"\\xc3\""},
        {"\xc3z", "\"\\xc3z\""},
        {"\xed\xa0\x80", "\"\\xed\\xa0\\x80\""},          // half of a pair
        {"\xc0\x80", "\"\\xc0\\x80\""},                   // longer than need be
        {"\xf4\x90\x80\x80", "\"\\xf4\\x90\\x80\\x80\""}, // beyond Unicode
        {"\xff", "\"\\xff\""},
    };
    char out[200];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_string_equal(quote(cases[i].text, out, sizeof out), cases[i].quoted);
}

static void cuts(void **unused)
{
    (void)unused;
    char out[8];
    assert_string_equal(quote("abcdefghij", out, sizeof out), "\"abcdef");
    assert_string_equal(quote("abcde", out, sizeof out), "\"abcde\"");
    assert_string_equal(quote("abcde\n", out, sizeof out), "\"abcde"); // no half of an escape
    assert_string_equal(quote("abcde€", out, sizeof out), "\"abcde");
    assert_string_equal(quote("abc", out, 1), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(quotes), cmocka_unit_test(cuts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
