// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <clusterdns/random.h>
#include <pthread.h>
#include <string.h>

static void every_length_is_filled_to_its_end_and_no_further(void **state)
{
    (void)state;
    // Around the thread's buffer of 256 bytes and past it. 32 draws leave a byte zero by chance once in 2^256.
    static const size_t lengths[] = {1, 2, 255, 256, 257, 1000};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        size_t len = lengths[i];
        uint8_t seen_first = 0, seen_last = 0, out[1001];
        for (int draw = 0; draw < 32; draw++) {
            memset(out, 0, sizeof out);
            random_bytes(out, len);
            seen_first |= out[0];
            seen_last |= out[len - 1];
            assert_int_equal(out[len], 0);
        }
        assert_int_not_equal(seen_first, 0);
        assert_int_not_equal(seen_last, 0);
    }
}

static void bytes_are_not_handed_out_twice(void **state)
{
    (void)state;
    uint64_t drawn[256];
    for (int i = 0; i < 256; i++)
        random_bytes(&drawn[i], sizeof drawn[i]);
    for (int i = 0; i < 256; i++)
        for (int j = 0; j < i; j++)
            assert_true(drawn[i] != drawn[j]);
}

static void stays_below_and_reaches_all(uint32_t (*below)(uint32_t bound))
{
    assert_int_equal(below(0), 0);
    assert_int_equal(below(1), 0);
    unsigned seen[10] = {0};
    for (int i = 0; i < 10000; i++) {
        uint32_t v = below(10);
        assert_true(v < 10);
        seen[v]++;
    }
    // 1000 expected, standard deviation 30.
    for (int i = 0; i < 10; i++)
        assert_in_range(seen[i], 700, 1300);
}

static void below_stays_below_and_reaches_all(void **state)
{
    (void)state;
    stays_below_and_reaches_all(random_below);
    stays_below_and_reaches_all(random_quick_below);
}

// A bound just above 2^31 throws away nearly half of the draws: with a plain modulo the lower half would be twice as
// frequent.
static void below_has_no_modulo_bias(void **state)
{
    (void)state;
    const uint32_t bound = UINT32_C(0xc0000000);
    unsigned low = 0;
    for (int i = 0; i < 30000; i++)
        low += random_below(bound) < bound / 3;
    assert_in_range(low, 9400, 10600);
}

static void *draw(void *out)
{
    random_bytes(out, 32);
    return NULL;
}

static void threads_draw_different_bytes(void **state)
{
    (void)state;
    uint8_t a[32], b[32];
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, draw, a), 0);
    draw(b);
    pthread_join(thread, NULL);
    assert_memory_not_equal(a, b, 32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_length_is_filled_to_its_end_and_no_further),
        cmocka_unit_test(bytes_are_not_handed_out_twice),
        cmocka_unit_test(below_stays_below_and_reaches_all),
        cmocka_unit_test(below_has_no_modulo_bias),
        cmocka_unit_test(threads_draw_different_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
