// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/reader.h"

static const uint8_t bytes[] = {1, 2, 3, 4, 5, 6, 7, 8};

static void numbers_are_in_network_order(void **state)
{
    (void)state;
    struct reader r = reader_init(bytes, sizeof bytes);
    assert_int_equal(reader_u8(&r), 0x01);
    assert_int_equal(reader_u16(&r), 0x0203);
    assert_int_equal(reader_u32(&r), 0x04050607);
    assert_int_equal(reader_left(&r), 1);
    assert_int_equal(r.error, 0);
}

static void last_byte_is_read_and_one_more_is_not(void **state)
{
    (void)state;
    struct reader r = reader_init(bytes, sizeof bytes);
    assert_ptr_equal(reader_bytes(&r, 8), bytes);
    assert_int_equal(r.error, 0);
    assert_null(reader_bytes(&r, 1));
    assert_int_equal(r.error, CDNS_ETRUNC);
}

static void length_near_the_largest_number_is_too_long(void **state)
{
    (void)state;
    struct reader r = reader_init(bytes, sizeof bytes);
    reader_u8(&r);
    assert_null(reader_bytes(&r, SIZE_MAX));
    assert_int_equal(r.error, CDNS_ETRUNC);
    assert_int_equal(r.pos, 1);
}

static void error_sticks_and_the_first_one_stays(void **state)
{
    (void)state;
    struct reader r = reader_init(bytes, 1);
    assert_int_equal(reader_u16(&r), 0);
    reader_fail(&r, CDNS_ESYNTAX);
    assert_int_equal(r.error, CDNS_ETRUNC);
    assert_int_equal(reader_u8(&r), 0);
    assert_null(reader_bytes(&r, 0));
    reader_seek(&r, 1);
    assert_int_equal(r.pos, 0);
    assert_int_equal(reader_left(&r), 0);
}

static void seek_reaches_the_end_and_not_beyond(void **state)
{
    (void)state;
    struct reader r = reader_init(bytes, sizeof bytes);
    reader_seek(&r, 8);
    assert_int_equal(reader_left(&r), 0);
    assert_int_equal(r.error, 0);
    reader_seek(&r, 9);
    assert_int_equal(r.error, CDNS_ETRUNC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_in_network_order),
        cmocka_unit_test(last_byte_is_read_and_one_more_is_not),
        cmocka_unit_test(length_near_the_largest_number_is_too_long),
        cmocka_unit_test(error_sticks_and_the_first_one_stays),
        cmocka_unit_test(seek_reaches_the_end_and_not_beyond),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
