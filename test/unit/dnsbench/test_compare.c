// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dnsbench/compare.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static double noise(void)
{
    return drand48() + drand48() + drand48() - 1.5;
}

// Of runs that differ by chance only, about one in a hundred is told from the other.
static void chance_is_no_difference(void **state)
{
    (void)state;
    unsigned told = 0;
    srand48(3);
    for (int round = 0; round < 2000; round++) {
        double a[20], b[15];
        struct shift s;
        for (int i = 0; i < 20; i++)
            a[i] = 100 + noise();
        for (int i = 0; i < 15; i++)
            b[i] = 100 + noise();
        assert_int_equal(compare_shift(a, 20, b, 15, &s), 0);
        assert_true(s.low <= s.shift && s.shift <= s.high);
        told += s.low > 0 || s.high < 0;
    }
    assert_in_range(told, 3, 40);
}

static void a_difference_is_seen(void **state)
{
    (void)state;
    double a[20], b[20];
    struct shift s;
    srand48(4);
    for (int i = 0; i < 20; i++) {
        a[i] = 100 + noise();
        b[i] = 103 + noise();
    }
    a[7] = 5000; // one bad second is no difference
    assert_int_equal(compare_shift(a, 20, b, 20, &s), 0);
    assert_true(s.low > 2 && s.high < 4 && fabs(s.shift - 3) < 0.5);
    assert_true(compare_shares(10, 10000, 60, 10000) > 5);
    assert_true(fabs(compare_shares(10, 10000, 12, 10000)) < 1);
    assert_true(compare_shares(0, 10000, 0, 10000) == 0 && compare_shares(1, 0, 1, 5) == 0);
}

static void write_report(const char *path, double ms, unsigned lost, const char *valid)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file,
            "{\"format\": 1, \"valid\": %s, \"counts\": {\"sent\": 10000, \"lost\": %u, \"truncated\": 0, "
            "\"mismatched\": 0}, \"seconds\": [{}",
            valid, lost);
    for (int i = 0; i < 12; i++)
        fprintf(file, ",{\"p50\": %.0f, \"p99\": %.0f}", ms * 1e6 * (1 + noise() / 100), 3e6 * (1 + noise() / 100));
    fputs("]}", file);
    fclose(file);
}

static void reports(void **state)
{
    (void)state;
    char folder[] = "/tmp/dnsbench-compare-XXXXXX", error[COMPARE_ERROR_MAX], *text;
    enum compare_verdict v;
    size_t size;
    assert_non_null(mkdtemp(folder));
    assert_int_equal(chdir(folder), 0);
    write_report("a", 1, 1, "true");
    write_report("b", 1.2, 1, "true");
    write_report("c", 1, 100, "true");
    write_report("d", 1, 1, "false");
    FILE *file = open_memstream(&text, &size);
    assert_int_equal(compare_files("a", "b", 0.05, file, &v, error), 0);
    assert_int_equal(v, COMPARE_WORSE);
    assert_int_equal(compare_files("b", "a", 0.05, file, &v, error), 0);
    assert_int_equal(v, COMPARE_BETTER);
    assert_int_equal(compare_files("a", "b", 0.5, file, &v, error), 0);
    assert_int_equal(v, COMPARE_SAME);
    assert_int_equal(compare_files("a", "c", 0.05, file, &v, error), 0);
    assert_int_equal(v, COMPARE_WORSE);
    assert_int_equal(compare_files("a", "d", 0.05, file, &v, error), CDNS_ECONFIG);
    assert_string_equal(error, "d: this run was invalid: its figures are not the server's");
    assert_int_equal(compare_files("none", "d", 0.05, file, &v, error), CDNS_ECONFIG);
    fclose(file);
    assert_non_null(strstr(text, "WORSE"));
    free(text);
    for (const char *name = "abcd"; *name != '\0'; name++)
        unlink((char[]){*name, '\0'});
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chance_is_no_difference),
        cmocka_unit_test(a_difference_is_seen),
        cmocka_unit_test(reports),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
