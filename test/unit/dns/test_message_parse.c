// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/writer.h"
#include "dns/message.h"
#include <stdlib.h>
#include <string.h>

#define QUESTION "\3Web\7default\3svc\7cluster\5local\0\0\x1c\0\1" // AAAA IN
#define QUESTION_END (12 + 31 + 4)

// A packet: `flags` is the header's second word.
struct packet {
    uint8_t bytes[1024];
    struct writer w;
};

static struct packet begin(uint16_t flags, uint16_t qd, uint16_t an, uint16_t ns, uint16_t ar)
{
    struct packet p = {.w = {.size = sizeof p.bytes}};
    const uint16_t words[] = {0x1234, flags, qd, an, ns, ar};
    for (int i = 0; i < 6; i++) {
        p.bytes[2 * i] = (uint8_t)(words[i] >> 8);
        p.bytes[2 * i + 1] = (uint8_t)words[i];
    }
    p.w.pos = 12;
    return p;
}

// Appends the bytes of a string literal, which may have NULs inside.
#define ADD(p, literal) add(p, literal, sizeof(literal) - 1)
static void add(struct packet *p, const void *bytes, size_t n)
{
    p->w.base = p->bytes;
    writer_bytes(&p->w, bytes, n);
    assert_int_equal(p->w.error, 0);
}

// Parses the first `size` bytes from a heap copy of exactly that size, so that sanitizers see a read past it. Offsets
// into the packet are gone afterwards.
static int parse(const struct packet *p, size_t size, struct message *m)
{
    uint8_t *copy = malloc(size + 1);
    assert_non_null(copy);
    memcpy(copy + 1, p->bytes, size);
    memset(m, 0xee, sizeof *m);
    int rc = message_parse(copy + 1, size, m);
    free(copy);
    return rc;
}

static int parse_all(const struct packet *p, struct message *m)
{
    return parse(p, p->w.pos, m);
}

#define OPT "\0\0\x29\x04\xd0\0\0\x80\0\0\0" // payload 1232, DO

static void plain_query(void **state)
{
    (void)state;
    struct packet p = begin(0x0100, 1, 0, 0, 0);
    ADD(&p, QUESTION);
    struct message m;
    assert_int_equal(parse_all(&p, &m), 0);
    assert_int_equal(m.id, 0x1234);
    assert_int_equal(m.opcode, OPCODE_QUERY);
    assert_true(m.rd);
    assert_false(m.qr || m.aa || m.tc || m.ra || m.ad || m.cd || m.edns || m.do_);
    assert_int_equal(m.qtype, RR_AAAA);
    assert_int_equal(m.qclass, CLASS_IN);
    assert_int_equal(m.qname_len, 31);
    assert_int_equal(m.qname_labels, 5);
    assert_memory_equal(m.qname_asked, "\3Web\7default\3svc\7cluster\5local", 31);
    assert_memory_equal(m.qname, "\3web\7default\3svc\7cluster\5local", 31);
    assert_int_equal(m.question_end, QUESTION_END);
}

static void every_header_bit_is_where_it_belongs(void **state)
{
    (void)state;
    static const uint16_t bits[] = {0x0400, 0x0200, 0x0100, 0x0080, 0x0020, 0x0010};
    for (unsigned i = 0; i < 6; i++) {
        struct packet p = begin(bits[i], 1, 0, 0, 0);
        ADD(&p, QUESTION);
        struct message m;
        assert_int_equal(parse_all(&p, &m), 0);
        const bool flags[] = {m.aa, m.tc, m.rd, m.ra, m.ad, m.cd};
        for (unsigned j = 0; j < 6; j++)
            assert_int_equal(flags[j], i == j);
    }
}

static void edns_is_read(void **state)
{
    (void)state;
    static const char options[] = "\0\x0a\0\x08"
                                  "12345678"
                                  "\xff\xff\0\0";
    struct packet p = begin(0x0120, 1, 0, 0, 1);
    ADD(&p, QUESTION "\0\0\x29\x02\x01\x01\x02\x80\0\0\x10");
    ADD(&p, options);
    struct message m;
    assert_int_equal(message_parse(p.bytes, p.w.pos, &m), 0);
    assert_true(m.edns && m.do_ && m.ad);
    assert_int_equal(m.edns_size, 513);
    assert_int_equal(m.edns_version, 2);
    assert_int_equal(m.edns_options_len, 16);
    assert_ptr_equal(m.edns_options, p.bytes + p.w.pos - 16);
}

static void shorter_than_a_header_is_not_answerable(void **state)
{
    (void)state;
    struct packet p = begin(0x0100, 1, 0, 0, 0);
    struct message m;
    for (size_t size = 0; size < MESSAGE_HEADER; size++)
        assert_int_equal(parse(&p, size, &m), CDNS_ETRUNC);
}

// CoreDNS answers SERVFAIL to it.
static void header_alone_passes_without_question(void **state)
{
    (void)state;
    struct packet p = begin(0x0100, 1, 0, 0, 0);
    struct message m;
    assert_int_equal(parse_all(&p, &m), 0);
    assert_int_equal(m.question_end, 0);
    assert_int_equal(m.qname_len, 1);
    assert_int_equal(m.qname[0], 0);
    assert_int_equal(m.qname_asked[0], 0);
}

static void responses_and_other_opcodes_are_left_to_the_header(void **state)
{
    (void)state;
    for (unsigned opcode = 0; opcode < 16; opcode++) {
        if (opcode == OPCODE_QUERY || opcode == OPCODE_NOTIFY)
            continue;
        struct packet p = begin((uint16_t)(0x0100 | opcode << 11), 2, 3, 4, 5);
        ADD(&p, "\xff");
        struct message m;
        assert_int_equal(parse_all(&p, &m), 0);
        assert_int_equal(m.opcode, opcode);
        assert_int_equal(m.question_end, 0);
    }
    struct packet p = begin(0x8180, 0, 9, 9, 9);
    ADD(&p, "\xff");
    struct message m;
    assert_int_equal(parse_all(&p, &m), 0);
    assert_true(m.qr);
}

static void counts_that_no_query_has(void **state)
{
    (void)state;
    static const struct {
        uint16_t qd, an, ns, ar;
        int rc;
    } cases[] = {
        {0, 0, 0, 0, CDNS_ESYNTAX},
        {2, 0, 0, 0, CDNS_ESYNTAX},
        {1, 2, 0, 0, CDNS_ESYNTAX},
        {1, 0, 2, 0, CDNS_ESYNTAX},
        {1, 0, 0, 3, CDNS_ESYNTAX},
        {65535, 65535, 65535, 65535, CDNS_ESYNTAX},
        {1, 1, 1, 2, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct packet p = begin(0x0100, cases[i].qd, cases[i].an, cases[i].ns, cases[i].ar);
        ADD(&p, QUESTION QUESTION);
        p.w.pos = cases[i].rc == 0 ? QUESTION_END : p.w.pos;
        struct message m;
        assert_int_equal(parse_all(&p, &m), cases[i].rc);
        assert_int_equal(m.question_end, cases[i].rc == 0 ? QUESTION_END : 0);
        assert_int_equal(m.id, 0x1234);
        assert_int_equal(m.qdcount, cases[i].qd);
        assert_int_equal(m.arcount, cases[i].ar);
    }
}

// A NOTIFY with its SOA, an IXFR with its SOA, a query with OPT and TSIG.
static void records_of_a_query_are_walked(void **state)
{
    (void)state;
    struct packet p = begin(0x2000, 1, 1, 1, 2);
    ADD(&p, QUESTION);
    ADD(&p, "\xc0\x0c\0\x06\0\1\0\0\0\5\0\x16\xc0\x10\xc0\x10"
            "123456789012345678");
    ADD(&p, "\xc0\x10\0\x06\0\1\0\0\0\5\0\0");
    ADD(&p, OPT "\3key\0\0\xfa\0\xff\0\0\0\0\0\3abc");
    struct message m;
    assert_int_equal(parse_all(&p, &m), 0);
    assert_int_equal(m.opcode, OPCODE_NOTIFY);
    assert_true(m.edns);
    assert_int_equal(m.question_end, QUESTION_END);
}

// Cut at every byte: whole only where a record would begin, behind the name or the type, and at the header's end.
static void message_cut_at_every_byte(void **state)
{
    (void)state;
    struct packet p = begin(0x0100, 1, 1, 0, 1);
    ADD(&p, QUESTION "\xc0\x0c\0\1\0\1\0\0\0\5\0\4\1\2\3\4" OPT);
    size_t full = p.w.pos;
    for (size_t size = MESSAGE_HEADER; size <= full; size++) {
        struct message m;
        bool whole = size == MESSAGE_HEADER || size == QUESTION_END - 4 || size == QUESTION_END - 2 ||
                     size == QUESTION_END || size == QUESTION_END + 16 || size == full;
        if (parse(&p, size, &m) != (whole ? 0 : CDNS_ESYNTAX))
            fail_msg("cut to %zu bytes", size);
        assert_int_equal(m.edns, size == full);
        assert_int_equal(m.question_end, size < QUESTION_END - 4 || (!whole && size < QUESTION_END) ? 0
                                         : size < QUESTION_END                                      ? size
                                                                                                    : QUESTION_END);
        if (whole && size < QUESTION_END)
            assert_int_equal(m.qclass, 0);
    }
}

static void bytes_behind_the_message_are_ignored(void **state)
{
    (void)state;
    struct packet p = begin(0x0100, 1, 0, 0, 1);
    ADD(&p, QUESTION OPT "trailing");
    struct message m;
    assert_int_equal(parse_all(&p, &m), 0);
    assert_true(m.edns);
}

static void question_name_limits(void **state)
{
    (void)state;
    static const struct {
        unsigned count, len, last;
        int rc;
    } cases[] = {
        {1, 63, 0, 0},             // a label of 63 bytes
        {1, 64, 0, CDNS_ESYNTAX},  // of 64
        {3, 63, 61, 0},            // a name of 255 bytes
        {3, 63, 62, CDNS_ESYNTAX}, // of 256
        {127, 1, 0, 0},            // 127 labels
        {127, 1, 1, CDNS_ESYNTAX}, // 128
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct packet p = begin(0x0100, 1, 0, 0, 0);
        uint8_t label[65] = {0};
        unsigned count = cases[i].count + (cases[i].last > 0);
        for (unsigned l = 0; l < count; l++) {
            label[0] = (uint8_t)(l < cases[i].count ? cases[i].len : cases[i].last);
            add(&p, label, label[0] + 1U);
        }
        ADD(&p, "\0\0\1\0\1");
        struct message m;
        assert_int_equal(parse_all(&p, &m), cases[i].rc);
        if (cases[i].rc == 0) {
            assert_int_equal(m.qname_labels, count);
            assert_int_equal(m.qname_len, p.w.pos - 12 - 4);
        }
    }
}

static void pointer_in_the_question_is_malformed(void **state)
{
    (void)state;
    static const char *const names[] = {"\xc0\x0c\0\1\0\1", "\xc0\x10\0\1\0\1", "\1a\xc0\x0c\0\1\0\1",
                                        "\xc0\x02\0\1\0\1"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct packet p = begin(0x0100, 1, 0, 0, 0);
        add(&p, names[i], i == 2 ? 8 : 6);
        ADD(&p, "\3web\0\0\1\0\1");
        struct message m;
        assert_int_equal(parse_all(&p, &m), CDNS_ESYNTAX);
        assert_int_equal(m.question_end, 0);
    }
}

static void pointer_loop_in_a_record_is_malformed(void **state)
{
    (void)state;
    struct packet p = begin(0x0100, 1, 0, 0, 1);
    ADD(&p, QUESTION "\xc0\x2f\0\1\0\1\0\0\0\5\0\0"); // offset 47: itself
    struct message m;
    assert_int_equal(parse_all(&p, &m), CDNS_ESYNTAX);
    assert_int_equal(m.question_end, QUESTION_END);
}

static void rdata_past_the_end_is_malformed(void **state)
{
    (void)state;
    struct packet p = begin(0x0100, 1, 0, 0, 1);
    ADD(&p, QUESTION "\0\0\1\0\1\0\0\0\5\0\5\1\2\3\4");
    struct message m;
    assert_int_equal(parse_all(&p, &m), CDNS_ESYNTAX);
}

static void opt_rules(void **state)
{
    (void)state;
    static const struct {
        const char *what, *records;
        size_t size;
        uint16_t an, ns, ar;
        int rc;
        bool edns;
    } cases[] = {
        {"two", OPT OPT, 22, 0, 0, 2, CDNS_ESYNTAX, true},
        {"owner not the root", "\1a" OPT, 13, 0, 0, 1, CDNS_ESYNTAX, false},
        {"owner a pointer",
         "\xc0\x0c"
         "\0\x29\x04\xd0\0\0\0\0\0\0",
         12, 0, 0, 1, CDNS_ESYNTAX, false},
        {"owner a pointer to the root",
         "\xc0\x2a"
         "\0\x29\x04\xd0\0\0\0\0\0\0",
         12, 0, 0, 1, 0, true},
        {"in the answer", OPT, 11, 1, 0, 0, 0, false},
        {"in the authority", OPT, 11, 0, 1, 0, 0, false},
        {"option's length cut", "\0\0\x29\x04\xd0\0\0\0\0\0\3\0\x0a\0", 14, 0, 0, 1, CDNS_ESYNTAX, true},
        {"option longer than OPT", "\0\0\x29\x04\xd0\0\0\0\0\0\4\0\x0a\0\1", 15, 0, 0, 1, CDNS_ESYNTAX, true},
        {"empty option", "\0\0\x29\x04\xd0\0\0\0\0\0\4\0\x0a\0\0", 15, 0, 0, 1, 0, true},
        {"rdata cut", "\0\0\x29\x04\xd0\0\0\0\0\0\4\0\x0a\0", 14, 0, 0, 1, CDNS_ESYNTAX, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct packet p = begin(0x0100, 1, cases[i].an, cases[i].ns, cases[i].ar);
        ADD(&p, QUESTION);
        add(&p, cases[i].records, cases[i].size);
        struct message m;
        int rc = parse_all(&p, &m);
        if (rc != cases[i].rc || m.edns != cases[i].edns)
            fail_msg("OPT, %s: %d", cases[i].what, rc);
        assert_int_equal(m.question_end, QUESTION_END);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_query),
        cmocka_unit_test(every_header_bit_is_where_it_belongs),
        cmocka_unit_test(edns_is_read),
        cmocka_unit_test(shorter_than_a_header_is_not_answerable),
        cmocka_unit_test(header_alone_passes_without_question),
        cmocka_unit_test(responses_and_other_opcodes_are_left_to_the_header),
        cmocka_unit_test(counts_that_no_query_has),
        cmocka_unit_test(records_of_a_query_are_walked),
        cmocka_unit_test(message_cut_at_every_byte),
        cmocka_unit_test(bytes_behind_the_message_are_ignored),
        cmocka_unit_test(question_name_limits),
        cmocka_unit_test(pointer_in_the_question_is_malformed),
        cmocka_unit_test(pointer_loop_in_a_record_is_malformed),
        cmocka_unit_test(rdata_past_the_end_is_malformed),
        cmocka_unit_test(opt_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
