// SPDX-License-Identifier: Apache-2.0
// Lines cut anywhere come out whole; too long ones are refused.
#include "kube/lines.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static char seen[256];
static int answer;

static int take(void *arg, const char *text, size_t len)
{
    (void)arg;
    size_t at = strlen(seen);
    snprintf(seen + at, sizeof seen - at, "%.*s|", (int)len, text);
    return answer;
}

static int feed(struct lines *l, const char *text, size_t step)
{
    int r = 0;
    seen[0] = '\0';
    for (size_t i = 0, len = strlen(text); r == 0 && i < len; i += step)
        r = lines_feed(l, text + i, len - i < step ? len - i : step, take, NULL);
    return r;
}

static void any_cut(void **unused)
{
    (void)unused;
    for (size_t step = 1; step < 20; step++) {
        struct lines l;
        lines_init(&l, 100);
        assert_int_equal(feed(&l, "one\n\ntwo three\nfour", step), 0);
        assert_string_equal(seen, "one|two three|");
        assert_int_equal(l.begun.len, 4);
        lines_reset(&l);
        assert_int_equal(l.begun.len, 0);
    }
}

static void too_long(void **unused)
{
    (void)unused;
    for (size_t step = 1; step < 20; step++) {
        struct lines l;
        lines_init(&l, 5);
        assert_int_equal(feed(&l, "12345\n123456\n", step), CDNS_ELIMIT);
        assert_string_equal(seen, "12345|");
        lines_reset(&l);
    }
}

static void taker_ends_it(void **unused)
{
    (void)unused;
    struct lines l;
    lines_init(&l, 100);
    answer = CDNS_EGONE;
    assert_int_equal(feed(&l, "1\n2\n", 10), CDNS_EGONE);
    assert_string_equal(seen, "1|");
    answer = 0;
    lines_reset(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_cut),
        cmocka_unit_test(too_long),
        cmocka_unit_test(taker_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
