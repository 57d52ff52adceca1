// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dnsbench/questions.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static int read_text(const char *text, const struct question_options *o, struct questions *out, char *error)
{
    FILE *file = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
    assert_non_null(file);
    int rc = questions_read(file, "names", o, out, error);
    fclose(file);
    return rc;
}

static void lines(void **state)
{
    (void)state;
    static const struct question_options plain = {.rd = true}, edns = {.edns = true, .do_ = true, .edns_size = 1232};
    struct questions set;
    char error[QUESTIONS_ERROR_MAX], text[1200];
    assert_int_equal(read_text("; a comment\n\nwww.Example.org A\n# another\n  \tx. \tTYPE65 \r\nptr.example PTR\n",
                               &plain, &set, error),
                     0);
    assert_int_equal(set.n, 3);
    assert_int_equal(set.all[0].size, 12 + 17 + 4);
    assert_int_equal(set.all[0].name_size, 17);
    assert_memory_equal(set.all[0].wire, "\0\0\1\0\0\1\0\0\0\0\0\0\3www\7Example\3org\0\0\1\0\1", 33);
    assert_string_equal(question_text(&set.all[0], text, sizeof text), "www.Example.org. A");
    assert_string_equal(question_text(&set.all[1], text, sizeof text), "x. HTTPS");
    questions_free(&set);
    assert_int_equal(read_text("a AAAA\n", &edns, &set, error), 0);
    assert_int_equal(set.all[0].size, 12 + 3 + 4 + 11);
    assert_memory_equal(set.all[0].wire + 19, "\0\0\x29\4\xd0\0\0\x80\0\0\0", 11);
    questions_free(&set);
}

static void mistakes(void **state)
{
    (void)state;
    static const struct question_options plain = {.rd = true};
    static const char *const cases[][2] = {
        {"a A\nb\n", "names:2: a line has to be NAME TYPE, here is no type: b"},
        {"a..b A\n", "names:1: this is no domain name: a..b"},
        {"\n\na FOO\n", "names:3: no such record type (TYPE123 says it by number): FOO"},
        {"; nothing\n", "names:1: there is no question in this file"},
    };
    struct questions set;
    char error[QUESTIONS_ERROR_MAX], text[3000];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(read_text(cases[i][0], &plain, &set, error), CDNS_ECONFIG);
        assert_string_equal(error, cases[i][1]);
    }
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = '\0';
    assert_int_equal(read_text(text, &plain, &set, error), CDNS_ECONFIG);
    assert_string_equal(error, "names:1: this line is longer than any question");
}

// Threads side by side take each question as often.
static void in_turn(void **state)
{
    (void)state;
    unsigned seen[7] = {0};
    for (unsigned part = 0; part < 3; part++) {
        struct picker p;
        picker_begin(&p, PICK_IN_TURN, NULL, 7, part, 3, 1);
        for (int i = 0; i < 700; i++)
            seen[picker_next(&p)]++;
    }
    for (int i = 0; i < 7; i++)
        assert_int_equal(seen[i], 300);
    struct picker one; // more threads than questions
    picker_begin(&one, PICK_IN_TURN, NULL, 1, 5, 8, 1);
    assert_int_equal(picker_next(&one) + picker_next(&one), 0);
}

static void by_chance(void **state)
{
    (void)state;
    enum { N = 1000, DRAWS = 1000000 };
    static unsigned seen[N];
    struct alias *table = picker_zipf_table(N, 1);
    struct picker p;
    double sum = 0;
    picker_begin(&p, PICK_UNIFORM, NULL, N, 0, 1, 42);
    for (int i = 0; i < DRAWS; i++)
        seen[picker_next(&p)]++;
    for (int i = 0; i < N; i++)
        assert_in_range(seen[i], 800, 1200);
    memset(seen, 0, sizeof seen);
    picker_begin(&p, PICK_ZIPF, table, N, 0, 1, 42);
    for (int i = 0; i < DRAWS; i++)
        seen[picker_next(&p)]++;
    for (int i = 1; i <= N; i++)
        sum += 1.0 / i;
    for (int i = 0; i < N; i++) {
        double expected = DRAWS / sum / (i + 1);
        assert_true(fabs(seen[i] - expected) < 6 * sqrt(expected));
    }
    free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines),
        cmocka_unit_test(mistakes),
        cmocka_unit_test(in_turn),
        cmocka_unit_test(by_chance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
