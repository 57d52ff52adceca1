// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <clusterdns/record.h>

static void types_have_their_mnemonics(void **state)
{
    (void)state;
    char buf[16];
    assert_string_equal(rr_type_text(RR_A, buf), "A");
    assert_string_equal(rr_type_text(RR_AAAA, buf), "AAAA");
    assert_string_equal(rr_type_text(RR_HTTPS, buf), "HTTPS");
    assert_string_equal(rr_type_text(RR_ANY, buf), "ANY");
    assert_string_equal(rr_type_text(RR_CAA, buf), "CAA");
    assert_string_equal(rr_type_text(23, buf), "NSAP-PTR");
    assert_string_equal(rr_type_text(32769, buf), "DLV");
    assert_string_equal(rr_type_text(54, buf), "TYPE54");
    assert_string_equal(rr_type_text(65535, buf), "Reserved");
    assert_string_equal(rr_type_text(0, buf), "None");
}

static void classes_and_rcodes_too(void **state)
{
    (void)state;
    char buf[16];
    assert_string_equal(rr_class_text(CLASS_IN, buf), "IN");
    assert_string_equal(rr_class_text(CLASS_CH, buf), "CH");
    assert_string_equal(rr_class_text(42, buf), "CLASS42");
    assert_string_equal(rr_class_text(65535, buf), "CLASS65535");
    assert_string_equal(rcode_text(RCODE_NXDOMAIN, buf), "NXDOMAIN");
    assert_string_equal(rcode_text(RCODE_BADVERS, buf), "BADVERS");
    assert_string_equal(rcode_text(12, buf), "RCODE12");
    assert_string_equal(rcode_text(4095, buf), "RCODE4095");
}

// Every number has a text, and the text is that number's.
static void all_numbers_make_the_round_trip(void **state)
{
    (void)state;
    char buf[16];
    for (unsigned n = 0; n <= UINT16_MAX; n++) {
        assert_int_equal(rr_type_from_text(rr_type_text((uint16_t)n, buf)), n);
        assert_int_equal(rr_class_from_text(rr_class_text((uint16_t)n, buf)), n);
        assert_int_equal(rcode_from_text(rcode_text((uint16_t)n, buf)), n);
    }
}

static void text_is_read_without_case_and_in_number_form(void **state)
{
    (void)state;
    assert_int_equal(rr_type_from_text("aaaa"), RR_AAAA);
    assert_int_equal(rr_type_from_text("type1"), RR_A);
    assert_int_equal(rr_type_from_text("TYPE65535"), 65535);
    assert_int_equal(rr_class_from_text("class3"), CLASS_CH);
    assert_int_equal(rcode_from_text("nxdomain"), RCODE_NXDOMAIN);
    assert_int_equal(rcode_from_text("BADSIG"), 16);
}

static void other_text_is_unknown(void **state)
{
    (void)state;
    static const char *const cases[] = {"", "AA", "TYPE", "TYPE65536", "TYPE-1", "TYPE1x", "TYPE000001", "TYPE 1"};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(rr_type_from_text(cases[i]), -1);
    assert_int_equal(rr_class_from_text("IM"), -1);
    assert_int_equal(rcode_from_text("NXDOMAI"), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_have_their_mnemonics),
        cmocka_unit_test(classes_and_rcodes_too),
        cmocka_unit_test(all_numbers_make_the_round_trip),
        cmocka_unit_test(text_is_read_without_case_and_in_number_form),
        cmocka_unit_test(other_text_is_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
