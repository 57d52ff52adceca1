// SPDX-License-Identifier: Apache-2.0
// \file
// A reply taken apart. Each record takes 11 bytes of the message at least, and each name at most 127 labels, 126
// pointers and 255 bytes: that bounds work and memory.
#include <clusterdns/message.h>

#include "base/writer.h"
#include "dns/message.h"
#include "dns/name_wire.h"
#include "dns/rdata_shape.h"

#define RECORD_MIN 11 // bytes of a record: the root, type, class, TTL, length
#define POINTER 0xc0
#define KNOWN 16 // owners that are shared by the records that point to them
#define NAMES 2  // at most, in rdata

// An owner that was read: it stands, or begins behind a pointer, at `at`. `name` NULL: free.
struct known {
    size_t at;
    const uint8_t *name;
};

struct unpacker {
    struct reader r;
    struct arena *arena;
    struct message m; // header and OPT
    struct known known[KNOWN];
};

static void *alloc(struct unpacker *u, size_t size)
{
    void *p = arena_alloc(u->arena, size);
    if (p == NULL)
        reader_fail(&u->r, CDNS_ENOMEM);
    return p;
}

// Where the name at the reader begins: there, or where its pointer leads if it is nothing else.
static size_t name_begins(const struct reader *r)
{
    struct reader at = *r;
    uint8_t c = reader_u8(&at), low = reader_u8(&at);
    return at.error == 0 && c >= POINTER ? (size_t)(c & 0x3f) << 8 | low : r->pos;
}

// Most records of a reply have the same few owners, by pointers to the same places.
static const uint8_t *read_owner(struct unpacker *u)
{
    size_t at = name_begins(&u->r);
    struct known *k = &u->known[at % KNOWN];
    if (k->name != NULL && k->at == at) {
        reader_bytes(&u->r, 2);
        return k->name;
    }
    uint8_t name[NAME_MAX_WIRE];
    size_t length = name_unpack(&u->r, name);
    uint8_t *copy = length > 0 ? alloc(u, length) : NULL;
    if (copy == NULL)
        return NULL;
    memcpy(copy, name, length);
    *k = (struct known){.at = at, .name = copy};
    return copy;
}

// Passes over what stands before the names.
static void skip_prefix(struct reader *r, const struct rdata_shape *shape)
{
    reader_bytes(r, shape->prefix);
    for (unsigned i = 0; i < shape->strings; i++)
        reader_bytes(r, reader_u8(r));
}

// The rdata of a type with names; `rr->rdlen` bytes are there. Pointers lead backwards, so nothing of it is behind its
// end.
static void read_named_rdata(struct unpacker *u, const struct rdata_shape *shape, struct record *rr)
{
    uint8_t names[NAMES * NAME_MAX_WIRE];
    struct reader in = reader_init(u->r.base, u->r.pos + rr->rdlen);
    reader_seek(&in, u->r.pos);
    skip_prefix(&in, shape);
    size_t prefix = in.pos - u->r.pos, length = 0;
    for (unsigned i = 0; i < shape->names; i++)
        length += name_unpack(&in, names + length);
    size_t rest = reader_left(&in), whole = prefix + length + rest;
    if (in.error != 0 || (shape->rest != RDATA_ANY && rest != shape->rest) || whole > UINT16_MAX) {
        reader_fail(&u->r, CDNS_ESYNTAX);
        return;
    }
    struct writer w = writer_init(alloc(u, whole), whole);
    if (w.base == NULL)
        return;
    writer_bytes(&w, reader_bytes(&u->r, prefix), prefix);
    writer_bytes(&w, names, length);
    writer_bytes(&w, reader_bytes(&in, rest), rest);
    reader_seek(&u->r, in.pos);
    rr->rdata = w.base;
    rr->rdlen = (uint16_t)whole;
}

static void read_plain_rdata(struct unpacker *u, struct record *rr)
{
    size_t address = rr->class_ != CLASS_IN ? 0 : rr->type == RR_A ? 4 : rr->type == RR_AAAA ? 16 : 0;
    const uint8_t *bytes = reader_bytes(&u->r, rr->rdlen);
    if (address != 0 && rr->rdlen != address)
        reader_fail(&u->r, CDNS_ESYNTAX);
    uint8_t *copy = u->r.error == 0 ? alloc(u, rr->rdlen) : NULL;
    if (copy == NULL)
        return;
    memcpy(copy, bytes, rr->rdlen);
    rr->rdata = copy;
}

// OPT: at most one, in the additional section, of the root (RFC 6891 §6.1.1, §6.1.2). The reader stands behind its
// type.
static void read_opt(struct unpacker *u, const uint8_t *owner, bool additional)
{
    if (!additional || u->m.edns || *owner != 0)
        reader_fail(&u->r, CDNS_ESYNTAX);
    else if (message_read_opt(&u->r, &u->m) != 0)
        reader_fail(&u->r, CDNS_ESYNTAX);
}

// Reads one record to the end of `set`, which has room for it, but for an OPT.
static void read_record(struct unpacker *u, bool additional, struct records *set)
{
    struct record rr = {.owner = read_owner(u)};
    rr.type = reader_u16(&u->r);
    if (rr.owner == NULL || u->r.error != 0)
        return;
    if (rr.type == RR_OPT) {
        read_opt(u, rr.owner, additional);
        return;
    }
    rr.class_ = reader_u16(&u->r);
    rr.ttl = reader_u32(&u->r);
    rr.rdlen = reader_u16(&u->r);
    if (rr.rdlen > reader_left(&u->r))
        reader_fail(&u->r, CDNS_ETRUNC);
    const struct rdata_shape *shape = rdata_shape(rr.type);
    if (u->r.error != 0)
        return;
    if (shape != NULL)
        read_named_rdata(u, shape, &rr);
    else
        read_plain_rdata(u, &rr);
    if (u->r.error == 0)
        set->rr[set->n++] = rr;
}

static void read_section(struct unpacker *u, uint32_t count, bool additional, struct records *set)
{
    // Room for what the message has bytes for, whatever it says.
    uint32_t most = (uint32_t)(reader_left(&u->r) / RECORD_MIN);
    *set = (struct records){.cap = count < most ? count : most};
    if (count == 0 || u->r.error != 0)
        return;
    set->rr = alloc(u, set->cap * sizeof *set->rr);
    while (count-- > 0 && u->r.error == 0)
        read_record(u, additional, set);
}

static void skip_question(struct reader *r, unsigned count)
{
    if (count > 1)
        reader_fail(r, CDNS_ESYNTAX);
    if (count == 0)
        return;
    uint8_t name[NAME_MAX_WIRE];
    name_unpack(r, name);
    reader_u32(r);
}

int message_answer_read(struct arena *arena, const uint8_t *message, size_t size, struct message_answer *out)
{
    struct unpacker u = {.r = reader_init(message, size), .arena = arena};
    *out = (struct message_answer){0};
    message_read_header(&u.r, &u.m);
    if (u.r.error != 0)
        return u.r.error;
    skip_question(&u.r, u.m.qdcount);
    read_section(&u, u.m.ancount, false, &out->answer);
    read_section(&u, u.m.nscount, false, &out->authority);
    read_section(&u, u.m.arcount, true, &out->additional);
    out->id = u.m.id;
    out->opcode = u.m.opcode;
    out->rcode = u.m.rcode;
    out->aa = u.m.aa;
    out->tc = u.m.tc;
    out->rd = u.m.rd;
    out->ra = u.m.ra;
    out->ad = u.m.ad;
    out->cd = u.m.cd;
    if (u.m.edns) { // whole
        out->edns = true;
        out->do_ = u.m.do_;
        out->edns_size = u.m.edns_size;
        out->rcode |= (uint16_t)(u.m.edns_rcode << 4);
    }
    if (u.r.error == CDNS_ETRUNC && out->tc)
        return 0;
    return u.r.error == CDNS_ERANGE ? CDNS_ESYNTAX : u.r.error;
}
