// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

// \file
// Replies made by hand, sound and hostile. test_message_ldns.c has those that libldns makes.
#include "base/writer.h"
#include "dns/message.h"
#include <clusterdns/message.h>
#include <stdlib.h>

static struct arena *arena;
static struct message_answer got;

static int setup(void **state)
{
    (void)state;
    arena = arena_new(0);
    return arena == NULL;
}

static int teardown(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

// Reads a copy of exactly that size: sanitizers see reads past its end, and uses after it is gone.
static int read_message(const void *message, size_t size)
{
    uint8_t *copy = malloc(size);
    memcpy(copy, message, size);
    arena_reset(arena);
    int rc = message_answer_read(arena, copy, size, &got);
    free(copy);
    return rc;
}

#define READ(text) read_message(text, sizeof(text) - 1)

// A reply with the question example. (at 12; its type at 21) and these counts; records begin at 25 (0x19).
#define REPLY(an, ns, ar) "\x12\x34\x81\x80\0\1\0" an "\0" ns "\0" ar "\7example\0\0\1\0\1"
#define TRUNCATED(an, ns, ar) "\x12\x34\x83\x80\0\1\0" an "\0" ns "\0" ar "\7example\0\0\1\0\1"
#define IN_60 "\0\1\0\0\0\x3c" // class IN, TTL 60
#define Q "\xc0\x0c"           // a pointer to the question's name

static void flags_counts_and_records(void **state)
{
    (void)state;
    assert_int_equal(READ("\x12\x34\x87\xb3\0\1\0\2\0\1\0\1\7exAmple\0\0\1\0\1" //
                          Q "\0\1" IN_60 "\0\4\xc0\0\2\1"                       //
                          "\3www" Q "\0\x10\0\3\0\0\0\0\0\2\1x"                 //
                          Q "\0\x1c\0\1\xff\xff\xff\xff\0\x10"
                          "0123456789abcdef"
                          "\3www" Q "\0\5" IN_60 "\0\4\1b" Q),
                     0);
    assert_int_equal(got.id, 0x1234);
    assert_int_equal(got.rcode, RCODE_NXDOMAIN);
    assert_int_equal(got.opcode, OPCODE_QUERY);
    assert_true(got.aa && got.tc && got.rd && got.ra && got.ad && got.cd);
    assert_false(got.edns || got.do_);
    assert_int_equal(got.answer.n, 2);
    const struct record *rr = got.answer.rr;
    assert_memory_equal(rr[0].owner, "\7exAmple", 9);
    assert_int_equal(rr[0].type, RR_A);
    assert_int_equal(rr[0].ttl, 60);
    assert_int_equal(rr[0].rdlen, 4);
    assert_memory_equal(rr[0].rdata, "\xc0\0\2\1", 4);
    assert_memory_equal(rr[1].owner, "\3www\7exAmple", 13);
    assert_int_equal(rr[1].class_, CLASS_CH);
    assert_memory_equal(rr[1].rdata, "\1x", 2);
    assert_int_equal(got.authority.n, 1);
    assert_int_equal(got.authority.rr[0].ttl, UINT32_MAX);
    assert_memory_equal(got.authority.rr[0].rdata, "0123456789abcdef", 16);
    assert_int_equal(got.additional.n, 1);
    assert_int_equal(got.additional.rr[0].rdlen, 11);
    assert_memory_equal(got.additional.rr[0].rdata, "\1b\7exAmple", 11);
    assert_ptr_equal(rr[0].owner, got.authority.rr[0].owner); // shared
}

// The message that a reply with one answer of `type` is; its rdata has `size` bytes.
static int read_rdata(uint16_t type, const void *rdata, size_t size)
{
    uint8_t message[1024];
    struct writer w = writer_init(message, sizeof message);
    writer_bytes(&w, REPLY("\1", "\0", "\0"), 25);
    writer_bytes(&w, Q, 2);
    writer_u16(&w, type);
    writer_bytes(&w, IN_60, 6);
    writer_u16(&w, (uint16_t)size);
    writer_bytes(&w, rdata, size);
    return read_message(message, w.pos);
}

#define P18 "0123456789abcdefgh"
#define E "\7example\0"

// Every type that may have come compressed is uncompressed, each name of it.
static void names_inside_rdata(void **state)
{
    (void)state;
    static const struct {
        uint16_t type;
        size_t size;
        const char *sent;
        size_t rdlen;
        const char *read;
    } cases[] = {
#define CASE(type, sent, read) {type, sizeof(sent) - 1, sent, sizeof(read) - 1, read}
        CASE(RR_NS, Q, E),
        CASE(3, "\1a" Q, "\1a" E),
        CASE(4, Q, E),
        CASE(RR_CNAME, Q, E),
        CASE(RR_SOA, Q "\1m" Q "01234567890123456789", E "\1m" E "01234567890123456789"),
        CASE(7, Q, E),
        CASE(8, Q, E),
        CASE(9, Q, E),
        CASE(RR_PTR, Q, E),
        CASE(14, Q Q, E E),
        CASE(RR_MX, "\0\1" Q, "\0\1" E),
        CASE(17, "\1a" Q Q, "\1a" E E),
        CASE(18, "\0\1" Q, "\0\1" E),
        CASE(21, "\0\1" Q, "\0\1" E),
        CASE(24, P18 Q "signature", P18 E "signature"),
        CASE(26, "\0\1" Q Q, "\0\1" E E),
        CASE(30, Q "bitmap", E "bitmap"),
        CASE(RR_SRV, "\0\1\0\2\0\3" Q, "\0\1\0\2\0\3" E),
        CASE(RR_NAPTR, "\0\1\0\2\1S\3SIP\0" Q, "\0\1\0\2\1S\3SIP\0" E),
        CASE(36, "\0\1" Q, "\0\1" E),
        CASE(RR_DNAME, Q, E),
        CASE(RR_RRSIG, P18 Q, P18 E),
        CASE(RR_NSEC, "\1b" Q "\0\1\x40", "\1b" E "\0\1\x40"),
        // A pointer into the rdata itself, behind its own name.
        CASE(14, "\1a" Q "\xc0\x25", "\1a" E "\1a" E),
        // Bytes that only look like pointers.
        CASE(RR_TXT, "\2" Q, "\2" Q),
        CASE(65280, Q, Q),
        CASE(RR_HTTPS, "\0\1\0", "\0\1\0"),
        CASE(RR_A, "1234", "1234"),
        CASE(RR_TXT, "", ""),
#undef CASE
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        print_message("type %u\n", cases[i].type);
        assert_int_equal(read_rdata(cases[i].type, cases[i].sent, cases[i].size), 0);
        assert_int_equal(got.answer.n, 1);
        assert_int_equal(got.answer.rr[0].rdlen, cases[i].rdlen);
        assert_memory_equal(got.answer.rr[0].rdata, cases[i].read, cases[i].rdlen);
    }
}

static void rdata_that_is_not_as_its_type_says(void **state)
{
    (void)state;
    static const struct {
        uint16_t type;
        size_t size;
        const char *rdata;
    } cases[] = {
#define CASE(type, rdata) {type, sizeof(rdata) - 1, rdata}
        CASE(RR_A, "123"),
        CASE(RR_A, "12345"),
        CASE(RR_A, ""),
        CASE(RR_AAAA, "0123456789abcde"),
        CASE(RR_TXT, "\5four"),
        CASE(RR_TXT, "\4four\1"),
        CASE(RR_HINFO, "\3cpu\2o"),
        CASE(RR_TSIG, "whatever"),
        CASE(RR_ANY, "whatever"),
        CASE(RR_NS, ""),
        CASE(RR_NS, "\1"),
        CASE(RR_NS, "\1a"),
        CASE(RR_NS, "\xc0"),
        CASE(RR_NS, Q "x"),
        CASE(RR_NS, "\1a\0x"),
        CASE(RR_MX, "\0"),
        CASE(RR_MX, "\0\1"),
        CASE(RR_SOA, Q Q "0123456789012345678"),
        CASE(RR_SOA, Q Q "012345678901234567890"),
        CASE(RR_SOA, Q),
        CASE(14, Q),
        CASE(RR_SRV, "\0\1\0\2\0"),
        CASE(RR_NAPTR, "\0\1\0\2\1S\3SIP" Q),
        CASE(RR_NAPTR, "\0\1\0\2\xff"),
        CASE(RR_RRSIG, "0123456789abcdefg"),
        // Pointers to itself, forward, into the header, to each other, past the end.
        CASE(RR_CNAME, "\xc0\x25"),
        CASE(RR_CNAME, "\xc0\x27\0"),
        CASE(RR_CNAME, "\xc0\x04"),
        CASE(RR_CNAME, "\1a\xc0\x25"),
        CASE(14, "\xc0\x27\xc0\x25"),
        CASE(RR_CNAME, "\xff\xff"),
        CASE(RR_CNAME, "\x40\0"),
        CASE(RR_CNAME, "\x80\0"),
        // To a byte whose label goes past the end of the rdata: the class's 0, then the TTL's, are roots; 0x3c is 60.
        CASE(RR_CNAME, "\xc0\x22"),
#undef CASE
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        print_message("case %zu\n", i);
        assert_int_equal(read_rdata(cases[i].type, cases[i].rdata, cases[i].size), CDNS_ESYNTAX);
    }
    // In another class an A record is something else.
    assert_int_equal(READ(REPLY("\1", "\0", "\0") Q "\0\1\0\3\0\0\0\0\0\3\0\1\2"), 0);
    assert_int_equal(got.answer.rr[0].rdlen, 3);
}

static void opt(void **state)
{
    (void)state;
#define OPT "\0\0\x29\x04\xd0\1\0\x80\0\0\0" // of 1232 bytes, BADVERS, DO
    assert_int_equal(READ(REPLY("\0", "\0", "\1") OPT), 0);
    assert_true(got.edns && got.do_);
    assert_int_equal(got.rcode, RCODE_BADVERS);
    assert_int_equal(got.edns_size, 1232);
    assert_int_equal(got.additional.n, 0);
    // Between others it leaves no gap.
    assert_int_equal(READ(REPLY("\0", "\0", "\3") Q "\0\x10" IN_60 "\0\1\0" OPT Q "\0\1" IN_60 "\0\0041234"), 0);
    assert_int_equal(got.additional.n, 2);
    assert_int_equal(got.additional.rr[1].type, RR_A);
    // With options, whole and cut.
    assert_int_equal(READ(REPLY("\0", "\0", "\1") "\0\0\x29\x04\xd0\0\0\0\0\0\6\0\3\0\2id"), 0);
    assert_int_equal(READ(REPLY("\0", "\0", "\1") "\0\0\x29\x04\xd0\0\0\0\0\0\6\0\3\0\3id"), CDNS_ESYNTAX);
    // Twice, with an owner, in the wrong section.
    assert_int_equal(READ(REPLY("\0", "\0", "\2") OPT OPT), CDNS_ESYNTAX);
    assert_int_equal(READ(REPLY("\0", "\0", "\1") Q "\0\x29\x04\xd0\0\0\0\0\0\0"), CDNS_ESYNTAX);
    assert_int_equal(READ(REPLY("\1", "\0", "\0") OPT), CDNS_ESYNTAX);
    assert_int_equal(READ(REPLY("\0", "\1", "\0") OPT), CDNS_ESYNTAX);
}

static void counts_that_lie(void **state)
{
    (void)state;
    static const char one[] = Q "\0\1" IN_60 "\0\0041234";
    assert_int_equal(READ(REPLY("\2", "\0", "\0") Q "\0\1" IN_60 "\0\0041234"), CDNS_ETRUNC);
    assert_int_equal(READ(REPLY("\1", "\1", "\0") Q "\0\1" IN_60 "\0\0041234"), CDNS_ETRUNC);
    assert_int_equal(READ(REPLY("\0", "\0", "\0") Q "\0\1" IN_60 "\0\0041234"), 0); // bytes behind the last record
    assert_int_equal(got.answer.n, 0);
    // As many as there can be, and 65,535: memory goes by the bytes.
    uint8_t message[64] = REPLY("\0", "\0", "\0");
    memset(message + 6, 0xff, 6);
    memcpy(message + 25, one, sizeof one - 1);
    assert_int_equal(read_message(message, 25 + sizeof one - 1), CDNS_ETRUNC);
    assert_true(arena_used(arena) < 256);
    // No question; two.
    assert_int_equal(READ("\x12\x34\x81\x80\0\0\0\1\0\0\0\0\0\0\1" IN_60 "\0\0041234"), 0);
    assert_int_equal(got.answer.n, 1);
    assert_int_equal(READ("\x12\x34\x81\x80\0\2\0\0\0\0\0\0\0\0\1\0\1\0\0\1\0\1"), CDNS_ESYNTAX);
}

// Cut behind each byte: an error, or with TC what is whole.
static void cut_anywhere(void **state)
{
    (void)state;
    static const char message[] = TRUNCATED("\2", "\1", "\1") Q "\0\1" IN_60 "\0\0041234"       // 16 bytes, from 25
        Q "\0\5" IN_60 "\0\4\1a" Q                                                              // 16 bytes, from 41
            Q "\0\2" IN_60 "\0\2" Q                                                             // 14 bytes, from 57
                                                                "\0\0\x29\x04\xd0\0\0\0\0\0\0"; // 11 bytes, from 71
    for (size_t size = 0; size < sizeof message; size++) {
        uint8_t copy[sizeof message];
        memcpy(copy, message, sizeof message);
        int rc = read_message(copy, size);
        assert_int_equal(rc, size < 12 ? CDNS_ETRUNC : 0);
        if (rc == 0) {
            assert_int_equal(got.answer.n, size >= 57 ? 2 : size >= 41 ? 1 : 0);
            assert_int_equal(got.authority.n, size >= 71 ? 1 : 0);
            assert_int_equal(got.edns, size >= 82);
            assert_int_equal(got.edns_size, size >= 82 ? 1232 : 0);
            assert_true(got.tc);
        }
        copy[2] &= 0xfd; // TC
        assert_int_equal(read_message(copy, size), size < 82 ? CDNS_ETRUNC : 0);
    }
    // With TC, too, what is broken is no answer.
    assert_int_equal(READ(TRUNCATED("\1", "\0", "\0") "\xc0\x19\0\1" IN_60 "\0\0041234"), CDNS_ESYNTAX);
}

static uint8_t large[MESSAGE_MAX], again[MESSAGE_MAX];

// A reply of as many records as there is room for, each of 16 bytes, and each with three names of 255 bytes by
// pointers. `chain`: an owner leads to the owner before it.
static size_t expanding(bool chain)
{
    struct writer w = writer_init(large, sizeof large);
    uint16_t n = (sizeof large - 12 - 255 - 4) / 16;
    writer_bytes(&w, "\x12\x34\x81\x80\0\1", 6);
    writer_u16(&w, n);
    writer_u32(&w, 0);
    for (int i = 0; i < 4; i++) {
        uint8_t length = i < 3 ? 63 : 61;
        writer_u8(&w, length);
        memset(writer_reserve(&w, length), 'x', length);
    }
    writer_u8(&w, 0);
    writer_u32(&w, 0x00010001);
    for (uint16_t i = 0; i < n; i++) {
        writer_u16(&w, (uint16_t)(0xc000 | (chain && i > 0 && w.pos < 0x4000 ? w.pos - 16 : 12)));
        writer_bytes(&w, "\0\x0e\0\1\0\0\0\0\0\4" Q Q, 14); // MINFO
    }
    return w.pos;
}

static void expansion_is_bounded(void **state)
{
    (void)state;
    // More than 126 pointers are no name.
    size_t size = expanding(true);
    assert_int_equal(read_message(large, size), CDNS_ESYNTAX);
    // All of it, in the bytes that the header promises.
    size = expanding(false);
    assert_int_equal(read_message(large, size), 0);
    assert_int_equal(got.answer.n, (sizeof large - 12 - 255 - 4) / 16);
    assert_int_equal(got.answer.rr[got.answer.n - 1].rdlen, 510);
    assert_true(arena_used(arena) < (5u << 20));
    // In an arena that is too small: an error.
    for (size_t limit = 1u << 20; limit >= 64; limit /= 8) {
        struct arena *small = arena_new(limit);
        assert_int_equal(message_answer_read(small, large, size, &got), CDNS_ENOMEM);
        arena_free(small);
    }
}

// What was read is written, and read again, as it was.
static void round_trip(void **state)
{
    (void)state;
    assert_int_equal(READ(REPLY("\3", "\1", "\2") Q "\0\5" IN_60 "\0\4\1a" Q "\1a" Q "\0\x21" IN_60
                                                    "\0\x0a\0\1\0\2\0\3\1b" Q "\1A" Q "\0\x10" IN_60 "\0\3\2hi" Q
                                                    "\0\6" IN_60 "\0\x18" Q Q "01234567890123456789" Q "\0\x2e" IN_60
                                                    "\0\x14" P18 Q "\0\0\x29\x04\xd0\0\0\x80\0\0\0"),
                     0);
    struct message_answer first = got;
    struct arena *kept = arena; // what `first` points to
    struct message_reply reply = {.id = first.id,
                                  .rd = first.rd,
                                  .ra = first.ra,
                                  .has_question = true,
                                  .qname = (const uint8_t *)"\7example",
                                  .qtype = RR_A,
                                  .qclass = CLASS_IN,
                                  .answer = &first.answer,
                                  .authority = &first.authority,
                                  .additional = &first.additional,
                                  .edns = first.edns,
                                  .do_ = first.do_,
                                  .edns_size = first.edns_size};
    size_t size = message_write(&reply, large, sizeof large, sizeof large, NULL);
    arena = arena_new(0);
    assert_int_equal(read_message(large, size), 0);
    reply.answer = &got.answer;
    reply.authority = &got.authority;
    reply.additional = &got.additional;
    assert_int_equal(message_write(&reply, again, sizeof again, sizeof again, NULL), size);
    assert_memory_equal(again, large, size);
    const struct records *sets[2][3] = {{&first.answer, &first.authority, &first.additional},
                                        {&got.answer, &got.authority, &got.additional}};
    for (int s = 0; s < 3; s++) {
        assert_int_equal(sets[0][s]->n, sets[1][s]->n);
        for (uint32_t i = 0; i < sets[0][s]->n; i++) {
            const struct record *a = &sets[0][s]->rr[i], *b = &sets[1][s]->rr[i];
            assert_memory_equal(a->owner, b->owner, name_length(a->owner));
            assert_int_equal(a->rdlen, b->rdlen);
            assert_memory_equal(a->rdata, b->rdata, a->rdlen);
        }
    }
    arena_free(arena);
    arena = kept;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flags_counts_and_records),
        cmocka_unit_test(names_inside_rdata),
        cmocka_unit_test(rdata_that_is_not_as_its_type_says),
        cmocka_unit_test(opt),
        cmocka_unit_test(counts_that_lie),
        cmocka_unit_test(cut_anywhere),
        cmocka_unit_test(expansion_is_bounded),
        cmocka_unit_test(round_trip),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
