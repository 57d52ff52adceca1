// SPDX-License-Identifier: Apache-2.0
// \file
// Any bytes as another server's reply: an error, or records that are sound and that message_write() writes so that
// they are read again as they were. If the bytes are a question, it is asked: with QR set it answers itself.
#include "dns/message.h"
#include "dns/name_wire.h"
#include <clusterdns/message.h>
#include <stdlib.h>

static struct arena *first, *second;
static uint8_t out[MESSAGE_MAX];

// Are there `n` names at `at`, and behind them `rest` bytes (-1: any number)?
static bool names_are_there(const struct record *rr, size_t at, unsigned n, int rest)
{
    for (; n > 0; n--) {
        size_t length = at <= rr->rdlen ? name_check(rr->rdata + at, rr->rdlen - at) : 0;
        if (length == 0)
            return false;
        at += length;
    }
    return rest < 0 || rr->rdlen - at == (size_t)rest;
}

static bool rdata_is_sound(const struct record *rr)
{
    switch (rr->type) {
    case RR_A:
        return rr->class_ != CLASS_IN || rr->rdlen == 4;
    case RR_AAAA:
        return rr->class_ != CLASS_IN || rr->rdlen == 16;
    case RR_NS:
    case RR_CNAME:
    case RR_PTR:
    case RR_DNAME:
        return names_are_there(rr, 0, 1, 0);
    case RR_MX:
        return names_are_there(rr, 2, 1, 0);
    case RR_SRV:
        return names_are_there(rr, 6, 1, 0);
    case RR_SOA:
        return names_are_there(rr, 0, 2, 20);
    case RR_RRSIG:
        return names_are_there(rr, 18, 1, -1);
    case RR_NSEC:
        return names_are_there(rr, 0, 1, -1);
    default:
        return rr->type != RR_OPT;
    }
}

// Touches every byte.
static void check_records(const struct records *set)
{
    volatile uint8_t sum = 0;
    INVARIANT(set->n <= set->cap);
    for (uint32_t i = 0; i < set->n; i++) {
        const struct record *rr = &set->rr[i];
        INVARIANT(name_check(rr->owner, name_length(rr->owner)) > 0 && rdata_is_sound(rr));
        for (unsigned k = 0; k < rr->rdlen; k++)
            sum = (uint8_t)(sum + rr->rdata[k]);
    }
}

static void compare(const struct records *a, const struct records *b, bool truncated)
{
    INVARIANT(b->n == a->n || (truncated && b->n < a->n));
    for (uint32_t i = 0; i < b->n; i++) {
        const struct record *x = &a->rr[i], *y = &b->rr[i];
        size_t length = name_length(x->owner);
        INVARIANT(x->type == y->type && x->class_ == y->class_ && x->ttl == y->ttl && x->rdlen == y->rdlen);
        INVARIANT(name_length(y->owner) == length && memcmp(x->owner, y->owner, length) == 0);
        INVARIANT(memcmp(x->rdata, y->rdata, x->rdlen) == 0);
    }
}

static void round_trip(const struct message_answer *a)
{
    struct message_answer b;
    bool truncated = false;
    struct message_reply reply = {.id = a->id,
                                  .rcode = a->rcode,
                                  .opcode = a->opcode,
                                  .aa = a->aa,
                                  .tc = a->tc,
                                  .rd = a->rd,
                                  .ra = a->ra,
                                  .ad = a->ad,
                                  .cd = a->cd,
                                  .answer = &a->answer,
                                  .authority = &a->authority,
                                  .additional = &a->additional,
                                  .edns = a->edns,
                                  .do_ = a->do_,
                                  .edns_size = a->edns_size};
    size_t size = message_write(&reply, out, sizeof out, sizeof out, &truncated);
    INVARIANT(size >= MESSAGE_HEADER && message_answer_read(second, out, size, &b) == 0);
    INVARIANT(b.id == a->id && b.rcode == a->rcode && b.opcode == a->opcode && b.aa == a->aa);
    INVARIANT(b.tc == (a->tc || truncated) && b.rd == a->rd && b.ra == a->ra && b.ad == a->ad && b.cd == a->cd);
    INVARIANT(b.edns == a->edns && b.do_ == a->do_ && b.edns_size == a->edns_size);
    compare(&a->answer, &b.answer, truncated);
    compare(&a->authority, &b.authority, truncated);
    compare(&a->additional, &b.additional, truncated);
}

static void ask_it(const uint8_t *data, size_t size)
{
    struct message m;
    if (message_parse(data, size, &m) != 0 || m.question_end == 0)
        return;
    struct message_question q = {.qname = m.qname_asked,
                                 .id = m.id,
                                 .qtype = m.qtype,
                                 .qclass = m.qclass,
                                 .rd = m.rd,
                                 .edns = m.edns,
                                 .edns_size = m.edns_size};
    size_t n = message_question_write(&q, out, sizeof out);
    INVARIANT(n > 0 && n <= MESSAGE_QUESTION_MAX && !message_answers(&q, out, n));
    out[2] |= 0x80;
    INVARIANT(message_answers(&q, out, n));
    (void)message_answers(&q, data, size);
    out[1] ^= 1;
    INVARIANT(!message_answers(&q, out, n));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (first == NULL) {
        first = arena_new(0);
        second = arena_new(0);
        INVARIANT(first != NULL && second != NULL);
    }
    struct message_answer a;
    arena_reset(first);
    arena_reset(second);
    int rc = message_answer_read(first, data, size, &a);
    INVARIANT(rc == 0 || rc == CDNS_ETRUNC || rc == CDNS_ESYNTAX);
    INVARIANT(arena_used(first) <= 75 * size + 1024);
    if (rc == 0) {
        check_records(&a.answer);
        check_records(&a.authority);
        check_records(&a.additional);
        round_trip(&a);
    }
    ask_it(data, size);
    return 0;
}
