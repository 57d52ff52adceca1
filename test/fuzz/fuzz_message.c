// SPDX-License-Identifier: Apache-2.0
// \file
// Any bytes as a query; if it can be answered, a reply whose records are made of what follows the question. The reply
// must keep its limit and be readable, and every record in it must be the one that was given.
#include "base/reader.h"
#include "dns/message.h"
#include "dns/name_wire.h"
#include <clusterdns/query.h>

#define RECORDS 256
#define RDATA (3 * NAME_MAX_WIRE)

static struct record rr[3][RECORDS];
static struct records sections[3];
static uint8_t owners[3][RECORDS][NAME_MAX_WIRE];
static uint8_t rdata[3][RECORDS][RDATA];
static uint8_t out[MESSAGE_MAX + 1];

// Shape of rdata that names may be compressed in, or point into: bytes before, names, bytes behind.
struct shape {
    uint16_t type;
    uint8_t prefix, names, rest;
};
static const struct shape shapes[] = {
    {RR_A, 4, 0, 0},   {RR_NS, 0, 1, 0},    {RR_CNAME, 0, 1, 0}, {RR_SOA, 0, 2, 20},
    {RR_MX, 2, 1, 0},  {RR_TXT, 0, 0, 200}, {RR_AAAA, 16, 0, 0}, {RR_SRV, 6, 1, 0},
    {RR_PTR, 0, 1, 0}, {14, 0, 2, 0},       {RR_DNAME, 0, 1, 0},
};

// A name of the question's labels, so that names share suffixes and labels stand before others than in the question:
// bit 0 is the case, bits 1 to 4 choose a suffix, bits 5 to 7 a label to go before it. Returns its length.
static size_t make_name(const struct message *m, unsigned choice, uint8_t *name)
{
    const uint8_t *question = choice & 1 ? m->qname : m->qname_asked;
    const uint8_t *suffix = name_skip(question, (choice >> 1 & 15) % (m->qname_labels + 1U));
    const uint8_t *label = name_skip(question, choice >> 5 & 7);
    int length = (choice >> 5 & 7) == 0 ? -1 : name_prepend_label(label + 1, *label, suffix, name);
    if (length > 0)
        return (size_t)length;
    memcpy(name, suffix, name_length(suffix));
    return name_length(suffix);
}

// One record by three bytes of the recipe; `raw`, the rest of the packet, is its rdata when that is to be any bytes.
static void add_record(const struct message *m, struct reader *r)
{
    unsigned op = reader_u8(r), owner = reader_u8(r), size = reader_u8(r), section = op % 3;
    const struct shape *s = &shapes[op / 3 % (sizeof shapes / sizeof shapes[0])];
    struct records *set = &sections[section];
    if (r->error != 0 || set->n == RECORDS)
        return;
    uint8_t *p = rdata[section][set->n];
    size_t n = s->prefix;
    memset(p, 0x55, RDATA);
    if (op >= 128) { // as the packet has it, sound or not
        n = size < reader_left(r) ? size : reader_left(r);
        memcpy(p, r->base + r->pos, n);
    } else {
        for (unsigned i = 0; i < s->names; i++) {
            n += make_name(m, size * (i + 1), p + n);
        }
        n += s->rest;
    }
    // The question's own name as it is in most replies: by its pointer.
    uint8_t *name = owners[section][set->n];
    make_name(m, owner, name);
    set->rr[set->n++] =
        (struct record){owner == 0 ? m->qname_asked : name, p, owner << 8 | size, s->type, CLASS_IN, (uint16_t)n};
}

// The rdata at `r`, `length` bytes, says what the record said: the same bytes, or the same with its names compressed.
static void check_rdata(struct reader *r, size_t length, const struct record *want)
{
    size_t end = r->pos + length, at = 0;
    INVARIANT(length <= want->rdlen);
    if (length < want->rdlen) {
        at = want->type == RR_MX ? 2 : 0;
        INVARIANT(memcmp(reader_bytes(r, at), want->rdata, at) == 0);
        for (unsigned names = want->type == RR_SOA || want->type == 14 ? 2 : 1; names > 0; names--) {
            uint8_t name[NAME_MAX_WIRE];
            size_t n = name_unpack(r, name);
            INVARIANT(n > 0 && n <= want->rdlen - at && memcmp(name, want->rdata + at, n) == 0);
            at += n;
        }
    }
    const uint8_t *rest = reader_bytes(r, want->rdlen - at);
    INVARIANT(rest != NULL && r->pos == end && memcmp(rest, want->rdata + at, want->rdlen - at) == 0);
}

static void check_record(struct reader *r, const struct record *want)
{
    uint8_t owner[NAME_MAX_WIRE];
    size_t n = name_unpack(r, owner);
    INVARIANT(n == name_length(want->owner) && memcmp(owner, want->owner, n) == 0);
    INVARIANT(reader_u16(r) == want->type);
    INVARIANT(reader_u16(r) == want->class_);
    INVARIANT(reader_u32(r) == want->ttl);
    check_rdata(r, reader_u16(r), want);
}

static void check_reply(const struct message_reply *reply, size_t size, size_t limit, bool truncated)
{
    struct reader r = reader_init(out, size);
    INVARIANT(reader_u16(&r) == reply->id);
    uint16_t bits = reader_u16(&r);
    INVARIANT((bits & 0x8000) != 0 && ((bits & 0x0200) != 0) == (truncated || reply->tc));
    INVARIANT(reader_u16(&r) == 1);
    unsigned counts[3], left = 0;
    for (int i = 0; i < 3; i++)
        counts[i] = reader_u16(&r);
    uint8_t qname[NAME_MAX_WIRE];
    size_t n = name_unpack(&r, qname);
    INVARIANT(n == name_length(reply->qname) && memcmp(qname, reply->qname, n) == 0);
    reader_u32(&r);
    INVARIANT(!reply->edns || counts[2] > 0);
    counts[2] -= reply->edns;
    for (int i = 0; i < 3; i++) {
        INVARIANT(counts[i] <= sections[i].n && (left == 0 || counts[i] == 0));
        left += sections[i].n - counts[i];
        for (unsigned k = 0; k < counts[i]; k++)
            check_record(&r, &sections[i].rr[k]);
    }
    INVARIANT(truncated == (left > 0));
    // The options are there, or there was no room for them.
    size_t left_bytes = reader_left(&r), fixed = MESSAGE_HEADER + n + 4U + 11U;
    INVARIANT(left_bytes == (!reply->edns ? 0U : fixed + reply->options_len <= limit ? 11U + reply->options_len : 11U));
}

// The header's id chooses the limit; the packet's bytes behind the question are the recipe.
static void answer(const struct message *m, const uint8_t *packet, size_t size)
{
    struct reader recipe = reader_init(packet, size);
    for (int i = 0; i < 3; i++)
        sections[i] = (struct records){rr[i], 0, RECORDS};
    reader_seek(&recipe, m->question_end);
    while (reader_left(&recipe) > 0)
        add_record(m, &recipe);
    struct message_reply reply = {
        .id = m->id,
        .rcode = m->edns ? RCODE_BADVERS : RCODE_NXDOMAIN,
        .tc = m->tc,
        .rd = m->rd,
        .has_question = true,
        .qname = m->qname_asked,
        .qtype = m->qtype,
        .qclass = m->qclass,
        .answer = &sections[0],
        .authority = &sections[1],
        .additional = &sections[2],
        .edns = m->edns,
        .edns_size = MESSAGE_EDNS_DEFAULT,
        .options = m->edns_options,
        .options_len = m->edns_options_len,
    };
    size_t limit = m->id >= 0x8000 ? MESSAGE_MAX : m->id & 0x1fff;
    bool truncated = false;
    out[limit] = 0xee;
    size_t n = message_write(&reply, out, sizeof out, limit, &truncated);
    INVARIANT(n <= limit && out[limit] == 0xee);
    if (n == 0)
        INVARIANT(MESSAGE_HEADER + m->qname_len + 4U + (m->edns ? 11U : 0) > limit);
    else
        check_reply(&reply, n, limit, truncated);
}

static void check_question(const struct message *m)
{
    char text[NAME_MAX_TEXT];
    uint8_t name[NAME_MAX_WIRE], address[16];
    INVARIANT(name_check(m->qname_asked, m->qname_len) == m->qname_len && name_labels(m->qname) == m->qname_labels);
    INVARIANT(name_equal(m->qname, m->qname_asked) && name_in_zone(m->qname_asked, m->qname));
    INVARIANT(name_to_text(m->qname_asked, text) == strlen(text));
    INVARIANT(name_from_text(text, name) == 0 && memcmp(name, m->qname_asked, m->qname_len) == 0);
    (void)name_to_address(name, address);
}

// Looking for an option reads all of them, whole or not.
static void check_options(const struct message *m, const uint8_t *packet, size_t size)
{
    const struct query whole = {.edns = true, .options = m->edns_options, .options_len = m->edns_options_len};
    const struct query any = {.edns = true, .options = packet, .options_len = (uint16_t)size};
    const uint8_t *data;
    uint16_t len;
    if (query_option(&whole, EDNS_NSID, &data, &len))
        INVARIANT(data >= m->edns_options && data + len <= m->edns_options + m->edns_options_len);
    if (query_option(&any, EDNS_NSID, &data, &len))
        INVARIANT(data >= packet && data + len <= packet + size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct message m;
    int result = message_parse(data, size, &m);
    INVARIANT(result == 0 || result == CDNS_ESYNTAX || (result == CDNS_ETRUNC && size < MESSAGE_HEADER));
    if (result == CDNS_ETRUNC)
        return 0;
    check_question(&m);
    check_options(&m, data, size);
    size_t n = message_write_error(&m, RCODE_FORMERR, out, sizeof out);
    INVARIANT(n == MESSAGE_HEADER + (m.question_end != 0 ? m.qname_len + 4U : 0));
    if (result == 0 && m.question_end != 0)
        answer(&m, data, size);
    return 0;
}
