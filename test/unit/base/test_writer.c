// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/writer.h"

static void numbers_are_in_network_order(void **state)
{
    (void)state;
    uint8_t out[8];
    struct writer w = writer_init(out, sizeof out);
    writer_u8(&w, 0x01);
    writer_u16(&w, 0x0203);
    writer_u32(&w, 0x04050607);
    writer_bytes(&w, "\x08", 1);
    assert_int_equal(w.error, 0);
    assert_int_equal(w.pos, 8);
    assert_memory_equal(out, "\1\2\3\4\5\6\7\x08", 8);
}

static void what_does_not_fit_is_not_begun_and_the_error_sticks(void **state)
{
    (void)state;
    uint8_t out[4] = {0};
    struct writer w = writer_init(out, 3);
    writer_u16(&w, 0x0102);
    writer_u16(&w, 0x0304);
    assert_int_equal(w.error, CDNS_ENOSPC);
    writer_u8(&w, 0x05); // would fit
    assert_int_equal(w.pos, 2);
    assert_memory_equal(out, "\1\2\0\0", 4);
    assert_null(writer_reserve(&w, 0));
}

static void rewind_forgets_the_error(void **state)
{
    (void)state;
    uint8_t out[3];
    struct writer w = writer_init(out, 3);
    writer_u16(&w, 0x0102);
    writer_u32(&w, 0);
    writer_rewind(&w, 1);
    writer_u16(&w, 0x0809);
    assert_int_equal(w.error, 0);
    assert_memory_equal(out, "\1\x08\x09", 3);
}

static void length_near_the_largest_number_does_not_fit(void **state)
{
    (void)state;
    uint8_t out[3];
    struct writer w = writer_init(out, 3);
    writer_u8(&w, 1);
    assert_null(writer_reserve(&w, SIZE_MAX));
    assert_int_equal(w.error, CDNS_ENOSPC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_in_network_order),
        cmocka_unit_test(what_does_not_fit_is_not_begun_and_the_error_sticks),
        cmocka_unit_test(rewind_forgets_the_error),
        cmocka_unit_test(length_near_the_largest_number_does_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
