// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dns/name_wire.h"

#include <stdlib.h>
#include <string.h>

// Reads the name at `at` of a message of exactly `size` bytes (a heap copy: sanitizers see reads past its end).
// Returns the name's length, or the negative error; `*next` is where the reader stands afterwards.
static int unpack(const void *message, size_t size, size_t at, uint8_t *out, size_t *next)
{
    uint8_t *copy = malloc(size);
    assert_non_null(copy);
    memcpy(copy, message, size);
    struct reader r = reader_init(copy, size);
    reader_seek(&r, at);
    size_t length = name_unpack(&r, out);
    *next = r.pos;
    free(copy);
    return length > 0 ? (int)length : r.error;
}

#define HEADER "hhhhhhhhhhhh" // 12 bytes

static void plain_name_and_root(void **state)
{
    (void)state;
    uint8_t out[NAME_MAX_WIRE];
    size_t next;
    static const char message[] = HEADER "\3Web\7example\0rest";
    assert_int_equal(unpack(message, sizeof message - 1, 12, out, &next), 13);
    assert_memory_equal(out, "\3Web\7example", 13);
    assert_int_equal(next, 25);
    assert_int_equal(unpack(message, sizeof message - 1, 24, out, &next), 1);
    assert_int_equal(out[0], 0);
    assert_int_equal(next, 25);
}

static void pointers_lead_backwards(void **state)
{
    (void)state;
    uint8_t out[NAME_MAX_WIRE];
    size_t next;
    //                              12        20 24       27
    static const char message[] = HEADER "\7example\0\3web\xc0\x0c\xc0\x15!";
    assert_int_equal(unpack(message, sizeof message - 1, 21, out, &next), 13);
    assert_memory_equal(out, "\3web\7example", 13);
    assert_int_equal(next, 27);
    assert_int_equal(unpack(message, sizeof message - 1, 27, out, &next), 13);
    assert_memory_equal(out, "\3web\7example", 13);
    assert_int_equal(next, 29);
}

static void pointers_that_lead_nowhere_good(void **state)
{
    (void)state;
    static const struct {
        const char *what, *name;
        size_t size;
        int error;
    } cases[] = {
        {"itself", "\xc0\x0c", 2, CDNS_ESYNTAX},
        {"its own label", "\1a\xc0\x0c", 4, CDNS_ESYNTAX},
        {"the byte before itself", "\1a\xc0\x0d", 4, CDNS_ESYNTAX},
        {"forward", "\xc0\x0e\1a\0", 5, CDNS_ESYNTAX},
        {"past the end", "\xff\xff", 2, CDNS_ESYNTAX},
        {"into the header", "\xc0\x04", 2, CDNS_ESYNTAX},
        {"the header's last byte", "\xc0\x0b", 2, CDNS_ESYNTAX},
        {"cut in half", "\xc0", 1, CDNS_ETRUNC},
        {"reserved 01",
         "\x41"
         "a\0",
         3, CDNS_ESYNTAX},
        {"reserved 10",
         "\x80"
         "a\0",
         3, CDNS_ESYNTAX},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t out[NAME_MAX_WIRE], message[64] = HEADER;
        size_t next;
        memcpy(message + 12, cases[i].name, cases[i].size);
        int rc = unpack(message, 12 + cases[i].size, 12, out, &next);
        if (rc != cases[i].error)
            fail_msg("pointer to %s: %d", cases[i].what, rc);
    }
}

static void loop_of_two_pointers_is_refused(void **state)
{
    (void)state;
    uint8_t out[NAME_MAX_WIRE];
    size_t next;
    // 12 points to 14, 14 points to 12.
    static const char message[] = HEADER "\xc0\x0e\xc0\x0c";
    assert_int_equal(unpack(message, 16, 12, out, &next), CDNS_ESYNTAX);
    assert_int_equal(unpack(message, 16, 14, out, &next), CDNS_ESYNTAX);
}

// A root, then `count` pointers, each to the one before.
static int chain(unsigned count)
{
    uint8_t message[1024] = HEADER, out[NAME_MAX_WIRE];
    message[12] = 0;
    size_t at = 13, target = 12, next;
    for (unsigned i = 0; i < count; i++, target = at, at += 2) {
        message[at] = (uint8_t)(0xc0 | target >> 8);
        message[at + 1] = (uint8_t)target;
    }
    return unpack(message, at, at - 2, out, &next);
}

static void chain_of_126_pointers_is_followed_and_127_is_not(void **state)
{
    (void)state;
    assert_int_equal(chain(126), 1);
    assert_int_equal(chain(127), CDNS_ESYNTAX);
}

static void label_or_root_that_is_missing(void **state)
{
    (void)state;
    uint8_t out[NAME_MAX_WIRE];
    size_t next;
    assert_int_equal(unpack(HEADER "\3we", 15, 12, out, &next), CDNS_ETRUNC);
    assert_int_equal(unpack(HEADER "\3web", 16, 12, out, &next), CDNS_ETRUNC);
    assert_int_equal(unpack(HEADER, 12, 12, out, &next), CDNS_ETRUNC);
}

// A name of three 63-byte labels, then one of `last` bytes, the last three through a pointer.
static int with_last_label(uint8_t last)
{
    uint8_t message[512] = HEADER, out[NAME_MAX_WIRE];
    size_t pos = 12, next;
    for (int i = 0; i < 3; i++, pos += 64)
        message[pos] = 63;
    message[pos++] = 0;
    size_t start = pos;
    message[pos] = last;
    pos += last + 1U;
    message[pos] = 0xc0;
    message[pos + 1] = 12;
    return unpack(message, pos + 2, start, out, &next);
}

static void name_of_255_bytes_is_read_and_256_is_not(void **state)
{
    (void)state;
    assert_int_equal(with_last_label(61), 255);
    assert_int_equal(with_last_label(62), CDNS_ERANGE);
}

static void name_of_127_labels_is_read_and_128_is_not(void **state)
{
    (void)state;
    uint8_t message[512] = HEADER, out[NAME_MAX_WIRE];
    size_t next;
    for (int i = 0; i < 127; i++)
        message[12 + 2 * i] = 1;
    assert_int_equal(unpack(message, 12 + 255, 12, out, &next), 255);
    assert_int_equal(name_labels(out), 127);
    message[12 + 2 * 127] = 1;
    assert_int_equal(unpack(message, 12 + 257, 12, out, &next), CDNS_ERANGE);
}

static void check_takes_whole_names_only(void **state)
{
    (void)state;
    static const uint8_t name[] = "\3web\7example";
    assert_int_equal(name_check(name, sizeof name), 13);
    assert_int_equal(name_check(name, 200), 13);
    for (size_t size = 0; size < 13; size++)
        assert_int_equal(name_check(name, size), 0);
    assert_int_equal(name_check((const uint8_t *)"", 1), 1);
    assert_int_equal(name_check((const uint8_t *)"\xc0\x0c", 3), 0);
    uint8_t longest[300] = {0};
    for (int i = 0; i < 127; i++)
        longest[2 * i] = 1;
    assert_int_equal(name_check(longest, sizeof longest), 255);
    longest[2 * 127] = 1;
    assert_int_equal(name_check(longest, sizeof longest), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_name_and_root),
        cmocka_unit_test(pointers_lead_backwards),
        cmocka_unit_test(pointers_that_lead_nowhere_good),
        cmocka_unit_test(loop_of_two_pointers_is_refused),
        cmocka_unit_test(chain_of_126_pointers_is_followed_and_127_is_not),
        cmocka_unit_test(label_or_root_that_is_missing),
        cmocka_unit_test(name_of_255_bytes_is_read_and_256_is_not),
        cmocka_unit_test(name_of_127_labels_is_read_and_128_is_not),
        cmocka_unit_test(check_takes_whole_names_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
