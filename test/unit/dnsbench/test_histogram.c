// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dnsbench/histogram.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

// Buckets follow each other without gap or overlap, and none is wider than a 512th of what is in it.
static void every_value_has_one_bucket(void **state)
{
    (void)state;
    struct histogram *h = histogram_new(HISTOGRAM_FINE);
    struct histogram_bucket b, last = {.high = UINT64_MAX};
    for (unsigned width = 0; width < 64; width++)
        for (uint64_t off = 0; off < 3; off++) {
            uint64_t value = (UINT64_C(1) << width) - 1 + off;
            size_t place = 0;
            histogram_reset(h);
            histogram_add(h, value);
            assert_true(histogram_next(h, &place, &b));
            assert_true(b.low <= value && value <= b.high && b.count == 1);
            assert_true(b.high - b.low <= value / 512);
            assert_false(histogram_next(h, &place, &b));
        }
    histogram_reset(h);
    for (uint64_t value = 0; value < 5000; value++)
        histogram_add(h, value);
    for (size_t place = 0; histogram_next(h, &place, &b); last = b) {
        assert_int_equal(b.low, last.high + 1);
        assert_true(b.count == b.high - b.low + 1 || b.high >= 4999);
    }
    histogram_add(h, UINT64_MAX);
    assert_int_equal(histogram_percentile(h, 100), UINT64_MAX);
    histogram_free(h);
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

// As sorting all values says, to one part in 500.
static void ranks(void **state)
{
    (void)state;
    enum { N = 20000 };
    static uint64_t values[N];
    static const double percents[] = {0, 1, 50, 90, 99, 99.9, 99.99, 100};
    struct histogram *h = histogram_new(HISTOGRAM_FINE), *other = histogram_new(HISTOGRAM_FINE);
    double sum = 0;
    srand48(1);
    for (size_t i = 0; i < N; i++) {
        values[i] = (uint64_t)(pow(10, 3 + 6 * drand48()));
        histogram_add(i % 3 == 0 ? other : h, values[i]);
        sum += (double)values[i];
    }
    histogram_merge(h, other);
    qsort(values, N, sizeof values[0], compare);
    assert_int_equal(histogram_count(h), N);
    assert_int_equal(histogram_min(h), values[0]);
    assert_int_equal(histogram_max(h), values[N - 1]);
    assert_true(fabs(histogram_mean(h) - sum / N) < 1);
    for (size_t i = 0; i < sizeof percents / sizeof percents[0]; i++) {
        size_t rank = (size_t)ceil(percents[i] / 100 * N - 1e-6);
        double exact = (double)values[rank > 0 ? rank - 1 : 0], found = (double)histogram_percentile(h, percents[i]);
        assert_true(found >= exact && found <= exact * 1.001 + 1);
        assert_true(histogram_count_to(h, (uint64_t)found) >= rank);
    }
    histogram_free(h);
    histogram_free(other);
}

static void coarse(void **state)
{
    (void)state;
    struct histogram *h = histogram_new(HISTOGRAM_COARSE);
    for (uint64_t i = 1; i <= 100000; i++)
        histogram_add(h, i * 1000);
    assert_in_range(histogram_percentile(h, 99), 99000000, 99000000 + 99000000 / 64);
    assert_int_equal(histogram_max(h), 100000000);
    histogram_free(h);
}

static void nothing_counted(void **state)
{
    (void)state;
    struct histogram *h = histogram_new(HISTOGRAM_FINE);
    assert_int_equal(histogram_min(h), 0);
    assert_int_equal(histogram_percentile(h, 99), 0);
    assert_true(histogram_mean(h) == 0 && histogram_deviation(h) == 0);
    histogram_free(h);
}

static void hgrm(void **state)
{
    (void)state;
    struct histogram *h = histogram_new(HISTOGRAM_FINE);
    char *text;
    size_t size;
    for (uint64_t i = 1; i <= 1000; i++)
        histogram_add(h, i * 1000000);
    FILE *file = open_memstream(&text, &size);
    assert_int_equal(histogram_write_hgrm(h, file), 0);
    fclose(file);
    assert_ptr_equal(strstr(text, "       Value     Percentile TotalCount 1/(1-Percentile)\n\n"), text);
    assert_non_null(strstr(text, "    1000.000 1.000000000000       1000            inf\n"));
    assert_non_null(strstr(text, " 0.500000000000        500           2.00\n"));
    assert_non_null(strstr(text, "#[Max     =     1000.000, Total count    =         1000]\n"));
    free(text);
    histogram_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_value_has_one_bucket),
        cmocka_unit_test(ranks),
        cmocka_unit_test(coarse),
        cmocka_unit_test(nothing_counted),
        cmocka_unit_test(hgrm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
