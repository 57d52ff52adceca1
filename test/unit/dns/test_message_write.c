// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dns/message.h"
#include <string.h>

#define N(literal) ((const uint8_t *)(literal))
#define QNAME "\3Web\7default\3svc\7cluster\5local"
#define QUESTION QNAME "\0\0\1\0\1"

static const uint8_t qname[] = QNAME;
static uint8_t out[MESSAGE_MAX];

// A reply to "Web.default.svc.cluster.local. A IN" without EDNS.
static struct message_reply reply_to_question(void)
{
    return (struct message_reply){
        .id = 0x1234, .rd = true, .has_question = true, .qname = qname, .qtype = RR_A, .qclass = CLASS_IN};
}

static struct record a_record(const uint8_t *owner)
{
    return (struct record){owner, N("\x0a\x60\0\x0a"), 5, RR_A, CLASS_IN, 4};
}

// Writes and compares with `want`: header words behind the id, then the rest.
#define EXPECT_MESSAGE(reply, want) expect_message(reply, want, sizeof(want) - 1)
static void expect_message(const struct message_reply *reply, const char *want, size_t size)
{
    bool truncated = true;
    size_t n = message_write(reply, out, sizeof out, MESSAGE_MAX, &truncated);
    assert_false(truncated);
    assert_int_equal(n, size + 2);
    assert_memory_equal(out, "\x12\x34", 2);
    assert_memory_equal(out + 2, want, size);
}

static void usual_reply(void **state)
{
    (void)state;
    // One owner is the same pointer, one a copy.
    static const uint8_t copy[] = QNAME;
    struct record rr[] = {a_record(qname), a_record(copy)};
    struct records answer = {rr, 2, 2};
    struct message_reply r = reply_to_question();
    r.aa = true;
    r.answer = &answer;
    r.edns = true;
    r.do_ = true;
    r.edns_size = 1232;
    EXPECT_MESSAGE(&r, "\x85\x00\0\1\0\2\0\0\0\1" QUESTION "\xc0\x0c\0\1\0\1\0\0\0\5\0\4\x0a\x60\0\x0a"
                       "\xc0\x0c\0\1\0\1\0\0\0\5\0\4\x0a\x60\0\x0a"
                       "\0\0\x29\x04\xd0\0\0\x80\0\0\0");
}

static void header_bits(void **state)
{
    (void)state;
    struct message_reply r = {.id = 0x1234, .opcode = OPCODE_NOTIFY, .rcode = RCODE_REFUSED};
    EXPECT_MESSAGE(&r, "\xa0\x05\0\0\0\0\0\0\0\0");
    bool *const bits[] = {&r.aa, &r.tc, &r.rd, &r.ra, &r.ad, &r.cd};
    static const char *const want[] = {"\xa4\x05\0\0\0\0\0\0\0\0", "\xa2\x05\0\0\0\0\0\0\0\0",
                                       "\xa1\x05\0\0\0\0\0\0\0\0", "\xa0\x85\0\0\0\0\0\0\0\0",
                                       "\xa0\x25\0\0\0\0\0\0\0\0", "\xa0\x15\0\0\0\0\0\0\0\0"};
    for (int i = 0; i < 6; i++) {
        *bits[i] = true;
        expect_message(&r, want[i], 10);
        *bits[i] = false;
    }
}

static void extended_rcode_needs_opt(void **state)
{
    (void)state;
    struct message_reply r = {.id = 0x1234, .rcode = RCODE_BADVERS, .edns = true, .edns_size = 1232};
    EXPECT_MESSAGE(&r, "\x80\x00\0\0\0\0\0\0\0\1\0\0\x29\x04\xd0\1\0\0\0\0\0");
    r.rcode = 0xabc;
    EXPECT_MESSAGE(&r, "\x80\x0c\0\0\0\0\0\0\0\1\0\0\x29\x04\xd0\xab\0\0\0\0\0");
    r.edns = false;
    EXPECT_MESSAGE(&r, "\x80\x02\0\0\0\0\0\0\0\0");
}

static void options_are_copied(void **state)
{
    (void)state;
    struct message_reply r = {
        .id = 0x1234, .edns = true, .edns_size = 512, .options = N("\0\3\0\1x"), .options_len = 5};
    EXPECT_MESSAGE(&r, "\x80\x00\0\0\0\0\0\0\0\1\0\0\x29\2\0\0\0\0\0\0\5\0\3\0\1x");
}

static void options_without_room_are_left_out(void **state)
{
    (void)state;
    struct message_reply r = {
        .id = 0x1234, .edns = true, .edns_size = 512, .options = N("\0\3\0\1x"), .options_len = 5};
    assert_int_equal(message_write(&r, out, sizeof out, 28, NULL), 28);
    assert_int_equal(message_write(&r, out, sizeof out, 27, NULL), 23);
    assert_int_equal(out[22], 0); // no options
    assert_int_equal(message_write(&r, out, sizeof out, 22, NULL), 0);
}

static void root_is_never_a_pointer(void **state)
{
    (void)state;
    struct record rr[] = {{N(""), N(""), 5, RR_NS, CLASS_IN, 1}, {N(""), N("\1a"), 5, RR_NS, CLASS_IN, 3}};
    struct records answer = {rr, 2, 2};
    struct message_reply r = reply_to_question();
    r.qname = N("");
    r.qtype = RR_NS;
    r.answer = &answer;
    EXPECT_MESSAGE(&r, "\x81\x00\0\1\0\2\0\0\0\0\0\0\2\0\1"
                       "\0\0\2\0\1\0\0\0\5\0\1\0"
                       "\0\0\2\0\1\0\0\0\5\0\3\1a\0");
}

static void without_question_the_first_owner_is_whole(void **state)
{
    (void)state;
    struct record rr[] = {a_record(N("\1a\1b")), a_record(N("\1b")), a_record(N("\1a\1b"))};
    struct records answer = {rr, 3, 3};
    struct message_reply r = {.id = 0x1234, .answer = &answer};
    EXPECT_MESSAGE(&r, "\x80\x00\0\0\0\3\0\0\0\0"
                       "\1a\1b\0\0\1\0\1\0\0\0\5\0\4\x0a\x60\0\x0a"
                       "\xc0\x0e\0\1\0\1\0\0\0\5\0\4\x0a\x60\0\x0a"
                       "\xc0\x0c\0\1\0\1\0\0\0\5\0\4\x0a\x60\0\x0a");
}

static void suffixes_are_shared_with_owners_and_soa(void **state)
{
    (void)state;
    // cluster.local stands at 12 + 4 + 8 + 4 = 28.
    struct record soa = {N("\7cluster\5local"),
                         N("\2ns\3dns\7cluster\5local\0\12hostmaster\7cluster\5local\0"
                           "12341234123412341234"),
                         5,
                         RR_SOA,
                         CLASS_IN,
                         22 + 26 + 20};
    struct records authority = {&soa, 1, 1};
    struct message_reply r = reply_to_question();
    r.rcode = RCODE_NXDOMAIN;
    r.authority = &authority;
    EXPECT_MESSAGE(&r, "\x81\x03\0\1\0\0\0\1\0\0" QUESTION "\xc0\x1c\0\6\0\1\0\0\0\5\0\x2a"
                       "\2ns\3dns\xc0\x1c\12hostmaster\xc0\x1c"
                       "12341234123412341234");
}

// Names keep their case: a suffix that differs in case is written again.
static void case_is_kept(void **state)
{
    (void)state;
    struct record rr[] = {a_record(N("\3web\7default\3svc\7cluster\5local")), a_record(N("\1x\7Cluster\5local")),
                          a_record(N("\1y\7Cluster\5local"))};
    struct records answer = {rr, 3, 3};
    struct message_reply r = reply_to_question();
    r.answer = &answer;
    // local stands at 36; the first record at 47, the second at 67, its Cluster at 69.
    EXPECT_MESSAGE(&r, "\x81\x00\0\1\0\3\0\0\0\0" QUESTION "\3web\xc0\x10\0\1\0\1\0\0\0\5\0\4\x0a\x60\0\x0a"
                       "\1x\7Cluster\xc0\x24\0\1\0\1\0\0\0\5\0\4\x0a\x60\0\x0a"
                       "\1y\xc0\x45\0\1\0\1\0\0\0\5\0\4\x0a\x60\0\x0a");
}

static void srv_target_is_whole_and_additional_points_to_it(void **state)
{
    (void)state;
    struct record srv = {qname, N("\0\0\0\x64\0\x50\1a" QNAME), 5, RR_SRV, CLASS_IN, 6 + 2 + 31};
    struct record address = a_record(N("\1a" QNAME));
    struct records answer = {&srv, 1, 1}, additional = {&address, 1, 1};
    struct message_reply r = reply_to_question();
    r.answer = &answer;
    r.additional = &additional;
    // 12 + 35 question, 12 record header, 6: the target stands at 65.
    EXPECT_MESSAGE(&r, "\x81\x00\0\1\0\1\0\0\0\1" QUESTION "\xc0\x0c\0\x21\0\1\0\0\0\5\0\x27\0\0\0\x64\0\x50\1a" QNAME
                       "\0\xc0\x41\0\1\0\1\0\0\0\5\0\4\x0a\x60\0\x0a");
}

static void rdata_names_are_compressed_by_type(void **state)
{
    (void)state;
    static const struct {
        uint16_t type;
        size_t prefix;
        unsigned names;
        bool compressed;
    } cases[] = {
        {RR_NS, 0, 1, true}, {RR_CNAME, 0, 1, true}, {RR_PTR, 0, 1, true}, {RR_MX, 2, 1, true}, {RR_SOA, 0, 2, true},
        {3, 0, 1, true},     {4, 0, 1, true},        {7, 0, 1, true},      {8, 0, 1, true},     {9, 0, 1, true},
        {14, 0, 2, true},    {RR_SRV, 6, 1, false},  {18, 2, 1, false},    {17, 0, 2, false},   {RR_DNAME, 0, 1, false},
        {36, 2, 1, false},   {RR_SVCB, 2, 1, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t rdata[128] = {0};
        size_t n = cases[i].prefix;
        for (unsigned k = 0; k < cases[i].names; k++, n += sizeof qname)
            memcpy(rdata + n, qname, sizeof qname);
        n += cases[i].type == RR_SOA ? 20 : 0;
        struct record rr = {qname, rdata, 5, cases[i].type, CLASS_IN, (uint16_t)n};
        struct records answer = {&rr, 1, 1};
        struct message_reply r = reply_to_question();
        r.answer = &answer;
        size_t saved = cases[i].compressed ? cases[i].names * (sizeof qname - 2) : 0;
        size_t head = 12 + sizeof qname + 4 + 12;
        assert_int_equal(message_write(&r, out, sizeof out, MESSAGE_MAX, NULL), head + n - saved);
        assert_int_equal(out[head - 2] << 8 | out[head - 1], n - saved);
    }
}

static void unsound_rdata_is_copied(void **state)
{
    (void)state;
    static const struct {
        uint16_t type, len;
        const char *rdata;
    } cases[] = {
        {RR_CNAME, 0, ""},    {RR_CNAME, 3, "\5ab"},    {RR_CNAME, 2, "\xc0\x0c"},
        {RR_MX, 1, "x"},      {RR_MX, 4, "xx\1a"},      {RR_SOA, 3, "\1a"},
        {RR_SRV, 5, "12345"}, {RR_SRV, 8, "123456\3a"}, {RR_SOA, 5, "\1a\0\1b"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct record rr = {qname, N(cases[i].rdata), 5, cases[i].type, CLASS_IN, cases[i].len};
        struct records answer = {&rr, 1, 1};
        struct message_reply r = reply_to_question();
        r.answer = &answer;
        size_t head = 12 + sizeof qname + 4 + 12;
        assert_int_equal(message_write(&r, out, sizeof out, MESSAGE_MAX, NULL), head + cases[i].len);
        assert_memory_equal(out + head, cases[i].rdata, cases[i].len);
    }
}

#define MANY 100
static struct record many[MANY];

// Header, question, `n` A records of 16 bytes.
static size_t size_of(unsigned n)
{
    return 12 + sizeof qname + 4 + 16 * (size_t)n;
}

// At exactly the size that `n` records need they are there and TC is clear; a byte less costs one record and sets TC.
static void check_edge(size_t limit, bool edns)
{
    struct message_reply r = reply_to_question();
    r.edns = edns;
    size_t opt = edns ? 11 : 0;
    unsigned n = (unsigned)((limit - opt - size_of(0)) / 16);
    struct records answer = {many, n, MANY};
    r.answer = &answer;
    bool truncated;
    for (size_t room = limit; room + 16 > limit; room--) {
        memset(out, 0xee, MESSAGE_MAX);
        size_t size = message_write(&r, out, sizeof out, room, &truncated);
        unsigned kept = size_of(n) + opt <= room ? n : n - 1;
        assert_int_equal(size, size_of(kept) + opt);
        assert_int_equal(out[6] << 8 | out[7], kept);
        assert_int_equal(truncated, kept < n);
        assert_int_equal((out[2] & 2) != 0, kept < n);
        assert_int_equal(out[11], edns);
        assert_int_equal(out[room], 0xee);
        if (edns)
            assert_memory_equal(out + size - 11, "\0\0\x29\0\0\0\0\0\0\0\0", 11);
    }
}

static void truncation_at_512_and_1232_bytes(void **state)
{
    (void)state;
    check_edge(512, false);
    check_edge(512, true);
    check_edge(1232, true);
}

static void later_sections_go_first_and_nothing_slips_in_behind_a_gap(void **state)
{
    (void)state;
    // Answer: 16 bytes; authority: 92 and 16; additional: 16.
    static const uint8_t long_text[80] = {79};
    struct record an[] = {a_record(qname)};
    struct record ns[] = {{qname, long_text, 5, RR_TXT, CLASS_IN, 80}, a_record(qname)};
    struct record ar[] = {a_record(qname)};
    struct records answer = {an, 1, 1}, authority = {ns, 2, 2}, additional = {ar, 1, 1};
    struct message_reply r = reply_to_question();
    r.answer = &answer;
    r.authority = &authority;
    r.additional = &additional;
    static const struct {
        size_t more;
        uint8_t counts[3];
    } cases[] = {
        {16 + 92 + 16 + 16, {1, 2, 1}},
        {16 + 92 + 16 + 15, {1, 2, 0}},
        {16 + 92 + 15, {1, 1, 0}},
        {16 + 91, {1, 0, 0}}, // the records of 16 bytes behind the one of 92 would fit
        {15, {0, 0, 0}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool truncated;
        assert_true(message_write(&r, out, sizeof out, size_of(0) + cases[i].more, &truncated) > 0);
        assert_int_equal(truncated, i > 0);
        const uint8_t counts[] = {out[7], out[9], out[11]};
        assert_memory_equal(counts, cases[i].counts, 3);
    }
}

static void tc_that_was_set_stays(void **state)
{
    (void)state;
    struct message_reply r = reply_to_question();
    r.tc = true;
    bool truncated;
    message_write(&r, out, sizeof out, 512, &truncated);
    assert_true((out[2] & 2) != 0);
    assert_false(truncated);
}

static void nothing_is_written_when_question_and_opt_do_not_fit(void **state)
{
    (void)state;
    struct message_reply r = reply_to_question();
    r.edns = true;
    size_t least = size_of(0) + 11;
    assert_int_equal(message_write(&r, out, sizeof out, least, NULL), least);
    for (size_t limit = 0; limit < least; limit++)
        assert_int_equal(message_write(&r, out, sizeof out, limit, NULL), 0);
}

static void buffer_smaller_than_the_limit_is_respected(void **state)
{
    (void)state;
    struct records answer = {many, MANY, MANY};
    struct message_reply r = reply_to_question();
    r.answer = &answer;
    bool truncated;
    memset(out, 0xee, sizeof out);
    size_t n = message_write(&r, out, 100, 512, &truncated);
    assert_true(n > 0 && n <= 100);
    assert_true(truncated);
    assert_int_equal(out[100], 0xee);
}

static void error_reply_echoes_the_question(void **state)
{
    (void)state;
    static const uint8_t query[] = "\x12\x34\x21\x30\0\1\0\0\0\0\0\1" QUESTION "\xff";
    struct message m;
    assert_int_equal(message_parse(query, sizeof query - 1, &m), CDNS_ESYNTAX);
    size_t n = message_write_error(&m, RCODE_FORMERR, out, sizeof out);
    static const uint8_t want[] = "\x12\x34\xa1\x31\0\1\0\0\0\0\0\0" QUESTION;
    assert_int_equal(n, sizeof want - 1);
    assert_memory_equal(out, want, n);
    // Too little room: without the question; less than a header: nothing.
    assert_int_equal(message_write_error(&m, RCODE_FORMERR, out, n - 1), 12);
    assert_memory_equal(out, "\x12\x34\xa1\x31\0\0\0\0\0\0\0\0", 12);
    assert_int_equal(message_write_error(&m, RCODE_FORMERR, out, 11), 0);
}

static void error_reply_without_a_question(void **state)
{
    (void)state;
    static const uint8_t query[] = "\x12\x34\x29\x00\0\2\0\0\0\0\0\0" QUESTION QUESTION;
    struct message m;
    assert_int_equal(message_parse(query, sizeof query - 1, &m), 0);
    assert_int_equal(message_write_error(&m, RCODE_NOTIMP, out, sizeof out), 12);
    assert_memory_equal(out, "\x12\x34\xa9\x04\0\0\0\0\0\0\0\0", 12);
}

int main(void)
{
    for (int i = 0; i < MANY; i++)
        many[i] = a_record(qname);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(usual_reply),
        cmocka_unit_test(header_bits),
        cmocka_unit_test(extended_rcode_needs_opt),
        cmocka_unit_test(options_are_copied),
        cmocka_unit_test(options_without_room_are_left_out),
        cmocka_unit_test(root_is_never_a_pointer),
        cmocka_unit_test(without_question_the_first_owner_is_whole),
        cmocka_unit_test(suffixes_are_shared_with_owners_and_soa),
        cmocka_unit_test(case_is_kept),
        cmocka_unit_test(srv_target_is_whole_and_additional_points_to_it),
        cmocka_unit_test(rdata_names_are_compressed_by_type),
        cmocka_unit_test(unsound_rdata_is_copied),
        cmocka_unit_test(truncation_at_512_and_1232_bytes),
        cmocka_unit_test(later_sections_go_first_and_nothing_slips_in_behind_a_gap),
        cmocka_unit_test(tc_that_was_set_stays),
        cmocka_unit_test(nothing_is_written_when_question_and_opt_do_not_fit),
        cmocka_unit_test(buffer_smaller_than_the_limit_is_respected),
        cmocka_unit_test(error_reply_echoes_the_question),
        cmocka_unit_test(error_reply_without_a_question),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
