// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

// \file
// libldns as the other side. Over random replies it must find, byte for byte, the records that message_write() was
// given, and message_answer_read() those that libldns has written, or message_write(). Questions likewise. SEED=n
// repeats a run.
#include "dns/lower.h"
#include "dns/message.h"
#include <clusterdns/message.h>
#include <clusterdns/random.h>
#include <ldns/ldns.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPLIES 10000
#define RECORDS 1500 // at most, in a section

static uint64_t generator;

static uint32_t below(uint32_t bound)
{
    generator = generator * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((generator >> 32) * bound >> 32);
}

static struct arena *arena;

// A name of labels from a small stock, so that names share suffixes, some in another case, some with any bytes.
static const uint8_t *random_name(void)
{
    static const char *const stock[] = {"a", "B", "b", "web", "Web", "default", "svc", "Svc", "cluster", "local"};
    uint8_t *name = arena_alloc(arena, NAME_MAX_WIRE), label[NAME_MAX_LABEL];
    name[0] = 0;
    if (below(3) > 0) {
        static const uint8_t zone[] = "\3svc\7cluster\5local";
        memcpy(name, zone + (below(2) == 0 ? 4 : 0), sizeof zone - 4);
        if (name[0] == 3)
            memcpy(name, zone, sizeof zone);
    }
    for (uint32_t labels = below(below(40) == 0 ? 127 : 5); labels > 0; labels--) {
        size_t len;
        if (below(10) == 0) {
            len = 1 + below(below(10) == 0 ? 63 : 4);
            for (size_t i = 0; i < len; i++)
                label[i] = (uint8_t)below(256);
        } else {
            const char *text = stock[below(sizeof stock / sizeof stock[0])];
            len = strlen(text);
            memcpy(label, text, len);
        }
        if (name_prepend_label(label, len, name, name) < 0)
            break;
    }
    return name;
}

// Rdata that is sound for its type.
static struct record random_record(const uint8_t *qname)
{
    static const uint16_t types[] = {RR_A,     RR_A,   RR_AAAA, RR_NS, RR_CNAME, RR_PTR, RR_SOA, RR_SOA, RR_MX, RR_SRV,
                                     RR_DNAME, RR_TXT, 14,      65280, 17,       18,     21,     26,     36,    8};
    struct record rr = {.owner = below(3) == 0 ? qname : random_name(),
                        .ttl = below(UINT32_C(1) << 31),
                        .type = types[below(sizeof types / sizeof types[0])],
                        .class_ = CLASS_IN};
    uint8_t *rdata = arena_alloc(arena, 1024);
    bool numbered = rr.type == RR_MX || rr.type == 18 || rr.type == 21 || rr.type == 26 || rr.type == 36;
    size_t prefix = rr.type == RR_A ? 4 : rr.type == RR_AAAA ? 16 : numbered ? 2 : rr.type == RR_SRV ? 6 : 0;
    unsigned names = rr.type == RR_SOA || rr.type == 14 || rr.type == 17 || rr.type == 26   ? 2
                     : prefix == 4 || prefix == 16 || rr.type == RR_TXT || rr.type == 65280 ? 0
                                                                                            : 1;
    size_t n = prefix;
    for (size_t i = 0; i < prefix; i++)
        rdata[i] = (uint8_t)below(256);
    for (; names > 0; names--) {
        const uint8_t *name = below(4) == 0 ? qname : random_name();
        memcpy(rdata + n, name, name_length(name));
        n += name_length(name);
    }
    size_t tail = rr.type == RR_SOA ? 20 : rr.type == RR_TXT ? 1 + below(256) : rr.type == 65280 ? below(100) : 0;
    for (size_t i = 0; i < tail; i++)
        rdata[n + i] = (uint8_t)(rr.type == RR_TXT && i == 0 ? tail - 1 : below(256));
    rr.rdata = rdata;
    rr.rdlen = (uint16_t)(n + tail);
    return rr;
}

static struct records random_section(const uint8_t *qname, uint32_t most)
{
    struct records set = {.n = below(most + 1)};
    set.cap = set.n;
    set.rr = arena_calloc(arena, set.n + 1, sizeof *set.rr);
    for (uint32_t i = 0; i < set.n; i++)
        set.rr[i] = random_record(qname);
    return set;
}

// The record uncompressed, as it went in.
static size_t record_wire(const struct record *rr, uint8_t *out)
{
    size_t n = name_length(rr->owner);
    memcpy(out, rr->owner, n);
    const uint32_t fields[] = {rr->type, rr->class_, rr->ttl >> 16, rr->ttl & 0xffff, rr->rdlen};
    for (int i = 0; i < 5; i++, n += 2) {
        out[n] = (uint8_t)(fields[i] >> 8);
        out[n + 1] = (uint8_t)fields[i];
    }
    memcpy(out + n, rr->rdata, rr->rdlen);
    return n + rr->rdlen;
}

// The first records of `given` are those of `found`; returns how many.
static uint32_t compare_section(const struct records *given, const ldns_rr_list *found)
{
    size_t n = ldns_rr_list_rr_count(found);
    assert_true(n <= given->n);
    for (size_t i = 0; i < n; i++) {
        static uint8_t want[2048];
        size_t want_size = record_wire(&given->rr[i], want), got_size;
        uint8_t *got;
        assert_int_equal(ldns_rr2wire(&got, ldns_rr_list_rr(found, i), LDNS_SECTION_ANSWER, &got_size), LDNS_STATUS_OK);
        assert_int_equal(got_size, want_size);
        assert_memory_equal(got, want, want_size);
        free(got);
    }
    return (uint32_t)n;
}

static uint8_t out[MESSAGE_MAX + 1], again[1 << 20];

// libldns compresses names that differ in case.
static void assert_same_bytes(const uint8_t *a, const uint8_t *b, size_t n, bool exact)
{
    if (exact)
        assert_memory_equal(a, b, n);
    else
        assert_true(lower_same(a, b, n));
}

static void assert_same_records(const struct records *given, uint32_t kept, const struct records *read, bool exact)
{
    assert_int_equal(read->n, kept);
    for (uint32_t i = 0; i < kept; i++) {
        const struct record *want = &given->rr[i], *got = &read->rr[i];
        assert_int_equal(got->type, want->type);
        assert_int_equal(got->class_, want->class_);
        assert_int_equal(got->ttl, want->ttl);
        assert_int_equal(name_length(got->owner), name_length(want->owner));
        assert_same_bytes(got->owner, want->owner, name_length(want->owner), exact);
        assert_int_equal(got->rdlen, want->rdlen);
        assert_same_bytes(got->rdata, want->rdata, want->rdlen, exact);
    }
}

// `message` read by message_answer_read() holds the first `kept` records of the reply.
static void check_answer(const struct message_reply *reply, const uint32_t kept[3], bool tc, const uint8_t *message,
                         size_t size)
{
    struct arena *own = arena_new(0);
    struct message_answer a;
    assert_int_equal(message_answer_read(own, message, size, &a), 0);
    assert_same_records(reply->answer, kept[0], &a.answer, message == out);
    assert_same_records(reply->authority, kept[1], &a.authority, message == out);
    assert_same_records(reply->additional, kept[2], &a.additional, message == out);
    assert_int_equal(a.id, reply->id);
    assert_int_equal(a.rcode, reply->rcode);
    assert_int_equal(a.aa, reply->aa);
    assert_int_equal(a.tc, tc);
    assert_int_equal(a.edns, reply->edns);
    assert_int_equal(a.do_, reply->edns && reply->do_);
    assert_int_equal(a.edns_size, reply->edns ? reply->edns_size : 0);
    // What was read is written as it was; in no more bytes, if the writer has as many records as then: it makes its
    // table for these.
    struct message_reply same = *reply;
    struct message_answer once_more;
    same.answer = &a.answer;
    same.authority = &a.authority;
    same.additional = &a.additional;
    same.tc = tc;
    bool truncated;
    size_t written = message_write(&same, again, sizeof again, sizeof again, &truncated);
    assert_false(truncated);
    assert_true(message != out || tc || written <= size);
    assert_int_equal(message_answer_read(own, again, written, &once_more), 0);
    assert_same_records(&a.answer, a.answer.n, &once_more.answer, true);
    assert_same_records(&a.authority, a.authority.n, &once_more.authority, true);
    assert_same_records(&a.additional, a.additional.n, &once_more.additional, true);
    arena_free(own);
}

static void check_ldns_writing(const struct message_reply *reply, const uint32_t kept[3], bool tc, const ldns_pkt *pkt)
{
    uint8_t *wire;
    size_t size;
    // Its own compressor takes no notice of where a pointer's 14 bits end.
    if (ldns_pkt2wire(&wire, pkt, &size) != LDNS_STATUS_OK)
        return;
    if (size < 0x4000)
        check_answer(reply, kept, tc, wire, size);
    free(wire);
}

// With one record more than `kept` the message must be longer than `limit`.
static void check_one_more_does_not_fit(const struct message_reply *reply, const uint32_t kept[3], size_t limit)
{
    const struct records *given[] = {reply->answer, reply->authority, reply->additional};
    struct records sets[3];
    bool added = false;
    for (int i = 0; i < 3; i++) {
        sets[i] = *given[i];
        sets[i].n = kept[i];
        if (!added && kept[i] < given[i]->n) {
            sets[i].n++;
            added = true;
        }
    }
    assert_true(added);
    struct message_reply more = *reply;
    more.answer = &sets[0];
    more.authority = &sets[1];
    more.additional = &sets[2];
    assert_true(message_write(&more, again, sizeof again, sizeof again, NULL) > limit);
}

static void check_reply(const struct message_reply *reply, size_t limit)
{
    bool truncated;
    size_t size = message_write(reply, out, sizeof out, limit, &truncated);
    if (size == 0) {
        assert_true(12 + name_length(reply->qname) + 4 + 11 + reply->options_len > limit);
        return;
    }
    assert_true(size <= limit);
    ldns_pkt *pkt;
    assert_int_equal(ldns_wire2pkt(&pkt, out, size), LDNS_STATUS_OK);
    assert_int_equal(ldns_pkt_id(pkt), reply->id);
    assert_int_equal(ldns_pkt_qr(pkt), 1);
    assert_int_equal(ldns_pkt_aa(pkt), reply->aa);
    assert_int_equal(ldns_pkt_tc(pkt), truncated);
    assert_int_equal(ldns_pkt_get_rcode(pkt), reply->rcode & 0xf);
    assert_int_equal(ldns_pkt_edns(pkt), reply->edns);
    if (reply->edns) {
        assert_int_equal(ldns_pkt_edns_udp_size(pkt), reply->edns_size);
        assert_int_equal(ldns_pkt_edns_do(pkt), reply->do_);
        assert_int_equal(ldns_pkt_edns_extended_rcode(pkt), reply->rcode >> 4);
    }
    assert_int_equal(ldns_pkt_qdcount(pkt), 1);
    const ldns_rr *question = ldns_rr_list_rr(ldns_pkt_question(pkt), 0);
    assert_int_equal(ldns_rr_get_type(question), reply->qtype);
    const ldns_rdf *owner = ldns_rr_owner(question);
    assert_int_equal(ldns_rdf_size(owner), name_length(reply->qname));
    assert_memory_equal(ldns_rdf_data(owner), reply->qname, ldns_rdf_size(owner));

    const uint32_t kept[3] = {compare_section(reply->answer, ldns_pkt_answer(pkt)),
                              compare_section(reply->authority, ldns_pkt_authority(pkt)),
                              compare_section(reply->additional, ldns_pkt_additional(pkt))};
    check_answer(reply, kept, truncated, out, size);
    check_ldns_writing(reply, kept, truncated, pkt);
    ldns_pkt_free(pkt);
    bool all = kept[0] == reply->answer->n && kept[1] == reply->authority->n && kept[2] == reply->additional->n;
    assert_int_equal(truncated, !all);
    // Left out from the end: no section has a record behind one that is missing.
    assert_true(kept[0] == reply->answer->n || kept[1] + kept[2] == 0);
    assert_true(kept[1] == reply->authority->n || kept[2] == 0);
    if (!all)
        check_one_more_does_not_fit(reply, kept, limit);
}

static void ldns_finds_the_records_that_were_given(void **state)
{
    (void)state;
    static const size_t limits[] = {512, 1232, 4096, MESSAGE_MAX};
    arena = arena_new(0);
    for (int i = 0; i < REPLIES; i++) {
        arena_reset(arena);
        const uint8_t *qname = random_name();
        // One in a hundred is past 16 KiB, where pointers do not reach.
        uint32_t most = i % 100 == 0 ? RECORDS : 1 + below(12);
        struct records sections[3];
        for (int k = 0; k < 3; k++)
            sections[k] = random_section(qname, most);
        struct message_reply reply = {.id = (uint16_t)below(65536),
                                      .rcode = (uint16_t)below(16),
                                      .aa = below(2) != 0,
                                      .has_question = true,
                                      .qname = qname,
                                      .qtype = RR_A,
                                      .qclass = CLASS_IN,
                                      .answer = &sections[0],
                                      .authority = &sections[1],
                                      .additional = &sections[2],
                                      .edns = below(2) != 0,
                                      .do_ = below(2) != 0,
                                      .edns_size = (uint16_t)below(65536)};
        if (reply.edns)
            reply.rcode = (uint16_t)below(4096);
        check_reply(&reply, below(4) == 0 ? 12 + below(2000) : limits[below(4)]);
    }
    arena_free(arena);
}

static void ldns_reads_the_question(void **state)
{
    (void)state;
    uint8_t wire[MESSAGE_QUESTION_MAX];
    arena = arena_new(0);
    for (int i = 0; i < REPLIES; i++) {
        arena_reset(arena);
        struct message_question q = {.qname = random_name(),
                                     .id = (uint16_t)below(65536),
                                     .qtype = (uint16_t)(1 + below(60)),
                                     .qclass = CLASS_IN,
                                     .rd = below(2) != 0,
                                     .cd = below(2) != 0,
                                     .ad = below(2) != 0,
                                     .edns = below(2) != 0,
                                     .do_ = below(2) != 0,
                                     .edns_size = (uint16_t)below(65536)};
        size_t size = message_question_write(&q, wire, sizeof wire);
        ldns_pkt *pkt;
        assert_int_equal(ldns_wire2pkt(&pkt, wire, size), LDNS_STATUS_OK);
        assert_int_equal(ldns_pkt_id(pkt), q.id);
        assert_int_equal(ldns_pkt_get_opcode(pkt), LDNS_PACKET_QUERY);
        assert_false(ldns_pkt_qr(pkt) || ldns_pkt_aa(pkt) || ldns_pkt_tc(pkt) || ldns_pkt_ra(pkt));
        assert_int_equal(ldns_pkt_rd(pkt), q.rd);
        assert_int_equal(ldns_pkt_cd(pkt), q.cd);
        assert_int_equal(ldns_pkt_ad(pkt), q.ad);
        assert_int_equal(ldns_pkt_edns(pkt), q.edns);
        assert_int_equal(ldns_pkt_edns_do(pkt), q.edns && q.do_);
        assert_int_equal(ldns_pkt_edns_udp_size(pkt), q.edns ? q.edns_size : 0);
        const ldns_rr *question = ldns_rr_list_rr(ldns_pkt_question(pkt), 0);
        assert_int_equal(ldns_rr_get_type(question), q.qtype);
        assert_int_equal(ldns_rdf_size(ldns_rr_owner(question)), name_length(q.qname));
        assert_memory_equal(ldns_rdf_data(ldns_rr_owner(question)), q.qname, name_length(q.qname));
        // What libldns makes of it is an answer.
        uint8_t *reply;
        size_t reply_size;
        ldns_pkt_set_qr(pkt, true);
        assert_int_equal(ldns_pkt2wire(&reply, pkt, &reply_size), LDNS_STATUS_OK);
        assert_true(message_answers(&q, reply, reply_size));
        free(reply);
        ldns_pkt_free(pkt);
    }
    arena_free(arena);
}

int main(void)
{
    const char *seed = getenv("SEED");
    generator = seed != NULL ? strtoull(seed, NULL, 10) : random_u32();
    print_message("SEED=%llu\n", (unsigned long long)generator);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ldns_finds_the_records_that_were_given),
        cmocka_unit_test(ldns_reads_the_question),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
