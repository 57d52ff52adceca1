// SPDX-License-Identifier: Apache-2.0
// The token bucket, in a time of its own.
#include "kube/limits.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SECOND UINT64_C(1000000000)

static struct bucket make(float qps, int64_t burst)
{
    return bucket_make(&(struct limits){.qps = qps, .burst = burst}, 7 * SECOND);
}

static void spreads_what_exceeds_the_burst(void **unused)
{
    (void)unused;
    struct bucket b = make(4, 3);
    uint64_t now = 7 * SECOND;
    for (int i = 0; i < 3; i++)
        assert_int_equal(bucket_take(&b, now), 0);
    assert_int_equal(bucket_take(&b, now), SECOND / 4 + 1);
    assert_int_equal(bucket_take(&b, now + SECOND / 8), SECOND / 8 + 1);
    now += SECOND / 4;
    assert_int_equal(bucket_take(&b, now), 0);
    assert_int_equal(bucket_take(&b, now), SECOND / 4 + 1);
    now += 100 * SECOND; // no more than the burst is saved up
    for (int i = 0; i < 3; i++)
        assert_int_equal(bucket_take(&b, now), 0);
    assert_int_equal(bucket_take(&b, now), SECOND / 4 + 1);
}

// Whoever waits as long as it was told gets its token, whatever the rate.
static void waiting_suffices(void **unused)
{
    (void)unused;
    static const float rates[] = {0.3f, 1, 3, 7.7f, 1000, 3e6f};
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        struct bucket b = make(rates[i], 1);
        uint64_t now = 7 * SECOND, waited = 0;
        for (int n = 0; n < 1000; n++)
            for (uint64_t wait; (wait = bucket_take(&b, now)) != 0; now += wait)
                waited++;
        assert_in_range(waited, 1, 2000); // rounding costs a second look at most
        assert_true(fabs((double)(now - 7 * SECOND) / 1e9 - 999 / (double)rates[i]) <
                    0.001 + 999 / (double)rates[i] * 0.001);
    }
}

static void defaults(void **unused)
{
    (void)unused;
    struct bucket none = make(0, 0), endless = make(INFINITY, 1);
    for (int i = 0; i < 100000; i++)
        assert_true(bucket_take(&none, 7 * SECOND) == 0 && bucket_take(&endless, 7 * SECOND) == 0);
    struct bucket rate = make(2, 0), burst = make(0, 1);
    for (int i = 0; i < LIMITS_BURST; i++)
        assert_int_equal(bucket_take(&rate, 7 * SECOND), 0);
    assert_int_equal(bucket_take(&rate, 7 * SECOND), SECOND / 2 + 1);
    assert_int_equal(bucket_take(&burst, 7 * SECOND), 0);
    assert_int_equal(bucket_take(&burst, 7 * SECOND), SECOND / LIMITS_QPS + 1);
}

static void absurd_limits(void **unused)
{
    (void)unused;
    struct bucket slow = make(1e-38f, 1), wide = make(1, INT64_MAX);
    assert_int_equal(bucket_take(&slow, 7 * SECOND), 0);
    assert_int_equal(bucket_take(&slow, 7 * SECOND), 3600 * SECOND);
    assert_int_equal(bucket_take(&slow, UINT64_MAX), 3600 * SECOND);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(bucket_take(&wide, 7 * SECOND), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spreads_what_exceeds_the_burst),
        cmocka_unit_test(waiting_suffices),
        cmocka_unit_test(defaults),
        cmocka_unit_test(absurd_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
