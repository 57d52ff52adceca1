// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dnsbench/digest.h"
#include <clusterdns/name.h>
#include <clusterdns/record.h>
#include <string.h>

#define HEAD(rcode, nquestions, nanswers) "\0\7\x80" rcode "\0" nquestions "\0" nanswers "\0\0\0\0"
#define QUESTION "\3www\7example\0\0\1\0\1"
#define FIXED(type, size) "\0" type "\0\1\0\0\0\x1e\0" size

// The digest of a message that is whole.
static uint64_t digest(const char *message, size_t size)
{
    uint64_t out = 0;
    assert_true(digest_of_message((const uint8_t *)message, size, &out));
    return out;
}
#define DIGEST(text) digest(text, sizeof(text) - 1)

static bool is_read(const char *message, size_t size)
{
    uint64_t out;
    return digest_of_message((const uint8_t *)message, size, &out);
}
#define IS_READ(text) is_read(text, sizeof(text) - 1)

static uint64_t with(uint64_t before, const char *owner, uint16_t type, const char *rdata, size_t size)
{
    return digest_with(before, (const uint8_t *)owner, type, (const uint8_t *)rdata, size);
}

static void what_is_the_same(void **state)
{
    (void)state;
    uint64_t two =
        DIGEST(HEAD("\0", "\1", "\2") QUESTION "\xc0\x0c" FIXED("\1", "\4") "\12\0\0\1"
                                                                            "\xc0\x0c" FIXED("\1", "\4") "\12\0\0\2");
    // another order, another TTL, other letters, no compression, no question, other flags
    assert_true(two == DIGEST(HEAD("\0", "\1", "\2") QUESTION
                              "\xc0\x0c" FIXED("\1", "\4") "\12\0\0\2"
                                                           "\xc0\x0c" FIXED("\1", "\4") "\12\0\0\1"));
    assert_true(two == DIGEST("\1\1\xff\xf0\0\0\0\2\0\0\0\0"
                              "\3wWw\7EXAMPLE\0\0\1\0\1\0\0\1\0\0\4\12\0\0\1"
                              "\3WWW\7example\0" FIXED("\1", "\4") "\12\0\0\2"));
    assert_true(two == with(with(digest_of_rcode(0), "\3www\7example", RR_A, "\12\0\0\2", 4), "\3WWW\7exAmple", RR_A,
                            "\12\0\0\1", 4));
    // what stands behind the answer section is not looked at
    assert_true(digest_of_rcode(3) == DIGEST("\0\7\x80\3\0\1\0\0\0\1\0\0" QUESTION "\xff"));
}

static void what_is_not(void **state)
{
    (void)state;
    uint64_t one = with(0, "\1a", RR_A, "\12\0\0\1", 4);
    assert_true(one != with(0, "\1b", RR_A, "\12\0\0\1", 4));
    assert_true(one != with(0, "\1a", RR_A, "\12\0\0\2", 4));
    assert_true(one != with(0, "\1a", RR_A, "\12\0\0\1\0", 5));
    assert_true(one != with(0, "\1a", RR_AAAA, "\12\0\0\1", 4));
    assert_true(one != 0 && one != with(one, "\1a", RR_A, "\12\0\0\1", 4)); // one that is there twice counts
    assert_true(digest_of_rcode(0) != digest_of_rcode(3) && digest_of_rcode(2) != digest_of_rcode(3));
    // letters' case counts where there is no name: a TXT, an address
    assert_true(with(0, "\1a", RR_TXT, "\1x", 2) != with(0, "\1a", RR_TXT, "\1X", 2));
    assert_true(with(0, "\1a", RR_A, "aaaa", 4) != with(0, "\1a", RR_A, "aaaA", 4));
    // … and of a port that looks like a letter, not of the target behind it
    assert_true(with(0, "\1a", RR_SRV, "\0\0\0\1\0A\1t", 9) != with(0, "\1a", RR_SRV, "\0\0\0\1\0a\1t", 9));
    assert_true(with(0, "\1a", RR_SRV, "\0\0\0\1\0A\1t", 9) == with(0, "\1a", RR_SRV, "\0\0\0\1\0A\1T", 9));
}

static void names_in_rdata(void **state)
{
    (void)state;
    assert_true(DIGEST(HEAD("\0", "\1", "\1") "\1a\3www\7example\0\0\5\0\1" // CNAME www.example
                                              "\xc0\x0c" FIXED("\5", "\2") "\xc0\x0e") ==
                with(0, "\1a\3www\7example", RR_CNAME, "\3www\7example", 13));
    assert_true(DIGEST(HEAD("\0", "\1", "\1") QUESTION // 0 33 8080 Db.example
                       "\xc0\x0c" FIXED("\x21", "\13") "\0\0\0\x21\x1f\x90\2Db\xc0\x10") ==
                with(0, "\3www\7example", RR_SRV, "\0\0\0\x21\x1f\x90\2db\7example", 18));
    assert_true(DIGEST(HEAD("\0", "\0", "\1") "\1p\0" FIXED("\14", "\1") "\0") == with(0, "\1p", RR_PTR, "", 1));
}

static void malformed(void **state)
{
    (void)state;
    static const char good[] = HEAD("\0", "\1", "\1") QUESTION "\xc0\x0c" FIXED("\14", "\5") "\2db\xc0\x0c";
    assert_true(IS_READ(good));
    for (size_t n = 0; n < sizeof good - 1; n++)
        assert_false(is_read(good, n));                                          // wherever it is cut
    assert_false(IS_READ(HEAD("\0", "\1", "\0") "\xc0\x0c\0\1\0\1"));            // a pointer to itself
    assert_false(IS_READ(HEAD("\0", "\1", "\0") "\1a\xc0\x0c\0\1\0\1"));         // … and with a label on the way
    assert_false(IS_READ(HEAD("\0", "\1", "\0") "\xc0\x0e\xc0\x0c\0\1\0\1"));    // two that point to each other
    assert_false(IS_READ(HEAD("\0", "\1", "\0") "\xff\xff\0\1\0\1"));            // out of the message
    assert_false(IS_READ(HEAD("\0", "\1", "\0") "\x41x\0\0\1\0\1"));             // a label of no known kind
    assert_false(IS_READ(HEAD("\0", "\0", "\1") "\0" FIXED("\14", "\2") "\0"));  // rdata that is cut
    assert_false(IS_READ(HEAD("\0", "\0", "\1") "\0" FIXED("\14", "\2") "\0x")); // … and that goes on behind its name
    assert_false(IS_READ(HEAD("\0", "\0", "\1") "\0" FIXED("\14", "\1") "\1a\0")); // a name that ends outside of it
    assert_false(IS_READ(HEAD("\0", "\0", "\1") "\0" FIXED("\x21", "\6") "\0\0\0\0\0\0")); // no target
    assert_false(IS_READ(HEAD("\0", "\0", "\1") "\0" FIXED("\5", "\0")));                  // no name
    assert_false(IS_READ(HEAD("\0", "\0", "\2") "\0" FIXED("\1", "\0")));                  // fewer than it says
}

// A name of more than 255 bytes, put together by pointers.
static void too_long(void **state)
{
    (void)state;
    char message[12 + 5 * 66] = HEAD("\0", "\5", "\0");
    size_t at = 12, before = 0;
    for (unsigned i = 0; i < 5; i++) {
        size_t here = at;
        message[at++] = 60;
        at += 60;
        message[at] = (char)(before > 0 ? 0xc0 : 0);
        message[at + 1] = (char)before;
        at += before > 0 ? 2 : 1;
        at += 4;
        before = here;
        message[5] = (char)(i + 1);
        assert_int_equal(is_read(message, at), i < 4 ? 1 : 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_the_same), cmocka_unit_test(what_is_not), cmocka_unit_test(names_in_rdata),
        cmocka_unit_test(malformed),        cmocka_unit_test(too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
