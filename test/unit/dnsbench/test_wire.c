// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dnsbench/wire.h"
#include <clusterdns/record.h>

#define HEAD(flags, answers, authorities, additionals) "\0\1" flags "\0\1\0" answers "\0" authorities "\0" additionals
#define QUESTION "\1a\0\0\1\0\1"
#define A "\xc0\x0c\0\1\0\1\0\0\0\5\0\4\300\0\2\1"
#define OPT(upper) "\0\0\x29\4\xd0" upper "\0\0\0\0\0"

#define BYTES(text) ((const uint8_t *)(text)), sizeof(text) - 1

static void records_in_their_sections(void **state)
{
    (void)state;
    struct wire_walk w;
    struct wire_record r;
    bool malformed = true;
    static const char message[] = HEAD("\x80\0", "\2", "\0", "\1") QUESTION A A OPT("\0");
    assert_true(wire_begin(&w, BYTES(message)));
    for (unsigned i = 0; i < 2; i++) {
        assert_true(wire_next(&w, &r, &malformed));
        assert_false(malformed);
        assert_int_equal(r.section, 0);
        assert_int_equal(r.type, RR_A);
        assert_int_equal(r.class_, CLASS_IN);
        assert_int_equal(r.ttl, 5);
        assert_int_equal(r.rdata_size, 4);
        assert_int_equal(message[r.rdata + 3], 1);
    }
    assert_true(wire_next(&w, &r, &malformed));
    assert_int_equal(r.section, 2);
    assert_int_equal(r.type, RR_OPT);
    assert_false(wire_next(&w, &r, &malformed));
    assert_false(malformed);
}

static void what_is_cut_is_malformed(void **state)
{
    (void)state;
    static const char message[] = HEAD("\x80\0", "\1", "\0", "\0") QUESTION A;
    for (size_t n = 0; n < sizeof message - 1; n++) {
        struct wire_walk w;
        struct wire_record r;
        bool malformed = false;
        if (wire_begin(&w, (const uint8_t *)message, n))
            assert_true(!wire_next(&w, &r, &malformed) && malformed);
        else
            assert_true(n < WIRE_HEADER + sizeof QUESTION - 1);
    }
}

static void rcodes_with_the_upper_bits(void **state)
{
    (void)state;
    assert_int_equal(wire_rcode(BYTES(HEAD("\x80\3", "\0", "\0", "\0") QUESTION)), 3);
    assert_int_equal(wire_rcode(BYTES(HEAD("\x80\0", "\0", "\0", "\1") QUESTION OPT("\1"))), 16);
    assert_int_equal(wire_rcode(BYTES(HEAD("\x80\7", "\1", "\0", "\1") QUESTION A OPT("\1"))), 23);
    assert_int_equal(wire_rcode(BYTES(HEAD("\x80\2", "\1", "\0", "\1") QUESTION OPT("\1"))), 2); // no additional one
    assert_int_equal(wire_rcode(BYTES(HEAD("\x80\2", "\0", "\0", "\1") "\1")), 2);               // malformed
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_in_their_sections),
        cmocka_unit_test(what_is_cut_is_malformed),
        cmocka_unit_test(rcodes_with_the_upper_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
