// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include <time.h>

static void clocks_run(void **state)
{
    (void)state;
    uint64_t before = clock_monotonic_ns();
    assert_true(before > 0);
    assert_true(clock_monotonic_ns() >= before);
    int64_t distance = clock_realtime_ns() / 1000000000 - time(NULL);
    assert_in_range(distance + 2, 0, 4);
}

static void test_values_hold_until_taken_back(void **state)
{
    (void)state;
    clock_set_for_test(5, 7);
    assert_int_equal(clock_monotonic_ns(), 5);
    assert_int_equal(clock_realtime_ns(), 7);
    clock_set_for_test(0, 0);
    assert_true(clock_monotonic_ns() > 5);
    assert_true(clock_realtime_ns() > 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clocks_run),
        cmocka_unit_test(test_values_hold_until_taken_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
