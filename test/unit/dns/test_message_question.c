// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <clusterdns/message.h>
#include <clusterdns/name.h>
#include <stdlib.h>
#include <string.h>

static const struct message_question asked = {.qname = (const uint8_t *)"\3wWw\7example",
                                              .id = 0x1234,
                                              .qtype = RR_AAAA,
                                              .qclass = CLASS_IN,
                                              .rd = true,
                                              .edns = true,
                                              .do_ = true,
                                              .edns_size = 1232};

static void a_question_byte_for_byte(void **state)
{
    (void)state;
    static const uint8_t want[] = "\x12\x34\x01\0\0\1\0\0\0\0\0\1"
                                  "\3wWw\7example\0\0\x1c\0\1"
                                  "\0\0\x29\x04\xd0\0\0\x80\0\0";
    uint8_t out[MESSAGE_QUESTION_MAX];
    assert_int_equal(message_question_write(&asked, out, sizeof out), sizeof want);
    assert_memory_equal(out, want, sizeof want);
    struct message_question plain = asked;
    plain.edns = false;
    plain.rd = false;
    plain.ad = plain.cd = true;
    assert_int_equal(message_question_write(&plain, out, sizeof out), 29);
    assert_memory_equal(out, "\x12\x34\0\x30\0\1\0\0\0\0\0\0\3wWw", 16);
}

// No room of any size is written past, or taken for enough.
static void too_little_room(void **state)
{
    (void)state;
    uint8_t out[64];
    for (size_t cap = 0; cap < 40; cap++) {
        memset(out, 0xee, sizeof out);
        assert_int_equal(message_question_write(&asked, out, cap), 0);
        assert_int_equal(out[cap], 0xee);
    }
    assert_int_equal(message_question_write(&asked, out, 40), 40);
}

static void the_longest_name_fits(void **state)
{
    (void)state;
    uint8_t name[NAME_MAX_WIRE], out[MESSAGE_QUESTION_MAX];
    memset(name, 'x', sizeof name);
    name[0] = name[64] = name[128] = 63;
    name[192] = 61;
    name[254] = 0;
    struct message_question long_one = asked;
    long_one.qname = name;
    assert_int_equal(message_question_write(&long_one, out, sizeof out), 12 + 255 + 4 + 11);
}

// Is a message of exactly this size (a heap copy: sanitizers see reads past its end) the answer?
static bool answers(const void *message, size_t size)
{
    uint8_t *copy = malloc(size);
    memcpy(copy, message, size);
    bool yes = message_answers(&asked, copy, size);
    free(copy);
    return yes;
}

#define ANSWERS(text) answers(text, sizeof(text) - 1)
#define NAME "\3www\7EXAMPLE\0"
#define NO_RECORDS "\0\0\0\0\0\0"

static void what_is_an_answer(void **state)
{
    (void)state;
    assert_true(ANSWERS("\x12\x34\x81\x80\0\1" NO_RECORDS NAME "\0\x1c\0\1"));
    assert_true(ANSWERS("\x12\x34\x80\x03\0\1" NO_RECORDS NAME "\0\x1c\0\1")); // NXDOMAIN
    assert_true(ANSWERS("\x12\x34\x81\x80\0\1\0\1\0\0\0\0" NAME "\0\x1c\0\1rubbish"));
    // Errors without the question.
    assert_true(ANSWERS("\x12\x34\x80\x01\0\0" NO_RECORDS));
    assert_true(ANSWERS("\x12\x34\x80\x02\0\0" NO_RECORDS));
    assert_true(ANSWERS("\x12\x34\x80\x05\0\0" NO_RECORDS));
}

static void what_is_none(void **state)
{
    (void)state;
    static const char good[] = "\x12\x34\x81\x80\0\1" NO_RECORDS NAME "\0\x1c\0\1";
    for (size_t size = 0; size < sizeof good - 1; size++)
        assert_false(answers(good, size));
    assert_false(ANSWERS("\x12\x34\x01\x80\0\1" NO_RECORDS NAME "\0\x1c\0\1")); // a question
    assert_false(ANSWERS("\x12\x35\x81\x80\0\1" NO_RECORDS NAME "\0\x1c\0\1")); // id
    assert_false(ANSWERS("\x12\x34\x89\x80\0\1" NO_RECORDS NAME "\0\x1c\0\1")); // opcode
    assert_false(ANSWERS("\x12\x34\x81\x80\0\1" NO_RECORDS NAME "\0\1\0\1"));   // type
    assert_false(ANSWERS("\x12\x34\x81\x80\0\1" NO_RECORDS NAME "\0\x1c\0\3")); // class
    assert_false(ANSWERS("\x12\x34\x81\x80\0\1" NO_RECORDS "\3wwv\7example\0\0\x1c\0\1"));
    assert_false(ANSWERS("\x12\x34\x81\x80\0\1" NO_RECORDS "\3www\7example\1x\0\0\x1c\0\1"));
    assert_false(ANSWERS("\x12\x34\x81\x80\0\1" NO_RECORDS "\3www\xc0\x0c\0\x1c\0\1")); // a loop
    assert_false(ANSWERS("\x12\x34\x81\x80\0\2" NO_RECORDS NAME "\0\x1c\0\1" NAME "\0\x1c\0\1"));
    // Without the question only an error is one.
    assert_false(ANSWERS("\x12\x34\x80\x00\0\0" NO_RECORDS));
    assert_false(ANSWERS("\x12\x34\x80\x03\0\0" NO_RECORDS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_question_byte_for_byte),
        cmocka_unit_test(too_little_room),
        cmocka_unit_test(the_longest_name_fits),
        cmocka_unit_test(what_is_an_answer),
        cmocka_unit_test(what_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
