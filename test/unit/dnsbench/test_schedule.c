// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dnsbench/schedule.h"
#include <math.h>
#include <stdlib.h>

#define SECOND UINT64_C(1000000000)
#define MOST 400000

static uint64_t times[MOST];

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

// All times of a plan in `parts` parts, in order.
static size_t all_times(const struct schedule_plan *plan, unsigned parts)
{
    size_t n = 0;
    for (unsigned part = 0; part < parts; part++) {
        struct schedule s;
        uint64_t last = 0;
        schedule_begin(&s, plan, part, parts);
        while (schedule_next(&s, &times[n])) {
            assert_true(times[n] >= last && times[n] < plan->duration_ns);
            last = times[n++];
            assert_true(n < MOST);
        }
    }
    qsort(times, n, sizeof times[0], compare);
    return n;
}

static size_t between(size_t n, uint64_t from, uint64_t to)
{
    size_t found = 0;
    for (size_t i = 0; i < n; i++)
        found += times[i] >= from && times[i] < to;
    return found;
}

static void constant(void **state)
{
    (void)state;
    const struct schedule_plan plan = {.form = SCHEDULE_CONSTANT, .rate = 1000, .duration_ns = 3 * SECOND};
    for (unsigned parts = 1; parts <= 3; parts++) {
        assert_int_equal(all_times(&plan, parts), 3000);
        for (size_t i = 0; i < 3000; i++)
            assert_in_range(times[i], i * 1000000 - (i > 0), i * 1000000 + 1);
    }
}

// Mean and deviation of the gaps are both 1 / rate; a seed repeats it, another one does not.
static void poisson(void **state)
{
    (void)state;
    struct schedule_plan plan = {.form = SCHEDULE_POISSON, .rate = 10000, .duration_ns = 20 * SECOND, .seed = 7};
    size_t n = all_times(&plan, 2);
    double sum = 0, squares = 0;
    assert_in_range(n, 198000, 202000);
    for (size_t i = 1; i < n; i++) {
        double gap = (double)(times[i] - times[i - 1]);
        sum += gap;
        squares += gap * gap;
    }
    double mean = sum / (double)(n - 1), deviation = sqrt(squares / (double)(n - 1) - mean * mean);
    assert_true(fabs(mean - 1e5) < 1e3 && fabs(deviation - 1e5) < 2e3);
    uint64_t first = times[0], middle = times[n / 2];
    assert_int_equal(all_times(&plan, 2), n);
    assert_true(times[0] == first && times[n / 2] == middle);
    plan.seed = 8;
    all_times(&plan, 2);
    assert_true(times[0] != first);
}

static void burst(void **state)
{
    (void)state;
    const struct schedule_plan plan = {.form = SCHEDULE_BURST, .rate = 1000, .burst = 50, .duration_ns = SECOND};
    assert_int_equal(all_times(&plan, 2), 1000);
    for (size_t i = 0; i < 1000; i++)
        assert_in_range(times[i], i / 50 * 50000000 - (i >= 50), i / 50 * 50000000 + 1);
}

static void ramp(void **state)
{
    (void)state;
    struct schedule_plan plan = {.form = SCHEDULE_RAMP, .rate = 1000, .to_rate = 9000, .duration_ns = 10 * SECOND};
    size_t n = all_times(&plan, 2);
    assert_in_range(n, 49999, 50001);
    assert_in_range(between(n, 0, SECOND), 1398, 1402); // 1,000 and half of 800
    assert_in_range(between(n, 9 * SECOND, 10 * SECOND), 8598, 8602);
    plan.rate = 9000; // downwards
    plan.to_rate = 1000;
    n = all_times(&plan, 1);
    assert_in_range(n, 49999, 50001);
    assert_in_range(between(n, 9 * SECOND, 10 * SECOND), 1398, 1402);
}

static void step(void **state)
{
    (void)state;
    const struct schedule_plan plan = {
        .form = SCHEDULE_STEP, .rate = 1000, .to_rate = 5000, .steps = 5, .duration_ns = 10 * SECOND};
    size_t n = all_times(&plan, 2);
    assert_in_range(n, 29999, 30001);
    for (uint64_t i = 0; i < 5; i++)
        assert_in_range(between(n, 2 * i * SECOND, 2 * (i + 1) * SECOND), 2000 * (i + 1) - 2, 2000 * (i + 1) + 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(constant), cmocka_unit_test(poisson), cmocka_unit_test(burst),
        cmocka_unit_test(ramp),     cmocka_unit_test(step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
