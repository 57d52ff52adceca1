// SPDX-License-Identifier: Apache-2.0
#include "dns/message.h"

#include "dns/name_wire.h"
#include "dns/rdata_shape.h"

#define POINTER 0xc000
#define POINTER_MAX 0x3fff // largest offset that a pointer's 14 bits hold
#define SLOTS_MIN 256
#define SLOTS_MAX 2048
#define PROBES 8     // slots looked at for one label
#define OPT_FIXED 11 // bytes of an OPT without options
#define EDNS_DO 0x8000

// A suffix of a name that stands in the message: its first label is at `at`, the rest is the suffix at `parent` (0:
// the root). So suffixes are found label by label from the right, and a slot needs no copy of the name. `at` 0: free.
struct suffix {
    uint16_t at, parent;
};

// A message being written. The usual reply names the question only and never touches the table. It has a fixed number
// of slots and probes: names made to collide compress less, they do not cost more.
struct packer {
    struct writer w;
    const uint8_t *qname; // NULL when there is no question, or its name is the root
    size_t qname_len;
    const uint8_t *last_owner; // owner of the record before, if it is not the question's name
    uint16_t last_at;          // where that stands; 0: nowhere that a pointer reaches
    uint32_t records;          // in all sections
    uint32_t slots;            // in use of the table, a power of 2; 0 until it is needed
    struct suffix table[SLOTS_MAX];
};

// A name with the places of its labels.
struct labels {
    const uint8_t *name;
    size_t length;
    unsigned n;
    uint8_t at[NAME_MAX_LABELS];
};

static void split(struct labels *l, const uint8_t *name)
{
    size_t pos = 0;
    l->name = name;
    for (l->n = 0; name[pos] != 0; pos += name[pos] + 1U)
        l->at[l->n++] = (uint8_t)pos;
    l->length = pos + 1;
}

static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 32;
}

// Of a label, its length byte included, and of what follows it.
static uint64_t hash_label(const uint8_t *label, uint16_t parent)
{
    size_t left = *label + 1U;
    uint64_t hash = parent, word;
    for (; left >= 8; left -= 8, label += 8) {
        memcpy(&word, label, 8);
        hash = mix(hash, word);
    }
    for (word = left; left > 0; left--)
        word = word << 8 | *label++;
    return mix(hash, word);
}

// The slot of a label before `parent`, or a free one for it; NULL when neither is within reach. Case counts: a name is
// sent as it was given.
static struct suffix *find_suffix(struct packer *p, const uint8_t *label, uint16_t parent)
{
    uint64_t hash = hash_label(label, parent);
    for (unsigned i = 0; i < PROBES; i++) {
        struct suffix *s = &p->table[(hash + i) & (p->slots - 1)];
        const uint8_t *there = p->w.base + s->at;
        if (s->at == 0 || (s->parent == parent && *there == *label && memcmp(there, label, *label + 1U) == 0))
            return s;
    }
    return NULL;
}

// Notes that the first `n` labels stand in the message from `base`, followed by the suffix at `parent`.
static void add_suffixes(struct packer *p, const struct labels *l, unsigned n, uint16_t parent, size_t base)
{
    while (n-- > 0) {
        size_t at = base + l->at[n];
        struct suffix *s = find_suffix(p, l->name + l->at[n], parent);
        if (s == NULL || at > POINTER_MAX)
            return;
        *s = (struct suffix){.at = (uint16_t)at, .parent = parent};
        parent = (uint16_t)at;
    }
}

static void set_up_table(struct packer *p)
{
    p->slots = SLOTS_MIN;
    while (p->slots < SLOTS_MAX && p->slots < 8 * p->records)
        p->slots *= 2;
    memset(p->table, 0, p->slots * sizeof p->table[0]);
    if (p->qname != NULL) {
        struct labels l;
        split(&l, p->qname);
        add_suffixes(p, &l, l.n, 0, MESSAGE_HEADER);
    }
}

// Writes a name, its tail as a pointer if `compress`. Returns where the whole name can be pointed to, or 0.
static uint16_t write_name(struct packer *p, const uint8_t *name, bool compress)
{
    if (*name == 0) {
        writer_u8(&p->w, 0);
        return 0;
    }
    if (p->slots == 0)
        set_up_table(p);
    struct labels l;
    split(&l, name);
    uint16_t tail = 0;
    unsigned fresh = l.n; // labels that are not in the message yet
    for (; fresh > 0; fresh--) {
        const struct suffix *s = find_suffix(p, name + l.at[fresh - 1], tail);
        if (s == NULL || s->at == 0)
            break;
        tail = s->at;
    }
    size_t base = p->w.pos;
    if (compress && tail != 0) {
        writer_bytes(&p->w, name, fresh < l.n ? l.at[fresh] : l.length - 1);
        writer_u16(&p->w, (uint16_t)(POINTER | tail));
    } else {
        writer_bytes(&p->w, name, l.length);
    }
    if (fresh == 0)
        return tail;
    if (p->w.error != 0)
        return 0;
    add_suffixes(p, &l, fresh, tail, base);
    return base <= POINTER_MAX ? (uint16_t)base : 0;
}

static void write_owner(struct packer *p, const uint8_t *owner)
{
    if (p->last_at != 0 && owner == p->last_owner) {
        writer_u16(&p->w, (uint16_t)(POINTER | p->last_at));
    } else if (p->qname != NULL && (owner == p->qname || (name_length(owner) == p->qname_len &&
                                                          memcmp(owner, p->qname, p->qname_len) == 0))) {
        writer_u16(&p->w, POINTER | MESSAGE_HEADER);
    } else {
        p->last_at = write_name(p, owner, true);
        p->last_owner = owner;
    }
}

// Writes the rdata of a type with names. Rdata that is not so is copied as it is.
static void write_named_rdata(struct packer *p, const struct record *rr, const struct rdata_shape *shape)
{
    size_t end[3] = {shape->prefix};
    bool sound = shape->prefix <= rr->rdlen;
    for (unsigned i = 0; i < shape->names && sound; i++) {
        size_t length = name_check(rr->rdata + end[i], rr->rdlen - end[i]);
        end[i + 1] = end[i] + length;
        sound = length != 0;
    }
    if (!sound) {
        writer_bytes(&p->w, rr->rdata, rr->rdlen);
        return;
    }
    writer_bytes(&p->w, rr->rdata, shape->prefix);
    for (unsigned i = 0; i < shape->names; i++)
        write_name(p, rr->rdata + end[i], shape->written == RDATA_COMPRESSED);
    writer_bytes(&p->w, rr->rdata + end[shape->names], rr->rdlen - end[shape->names]);
}

static void write_rdata(struct packer *p, const struct record *rr)
{
    const struct rdata_shape *shape = rdata_shape(rr->type);
    if (shape != NULL && shape->written != RDATA_COPIED)
        write_named_rdata(p, rr, shape);
    else
        writer_bytes(&p->w, rr->rdata, rr->rdlen);
}

// Writes whole records until one does not fit; returns their number.
static uint32_t write_section(struct packer *p, const struct records *set)
{
    for (uint32_t i = 0; i < set->n; i++) {
        const struct record *rr = &set->rr[i];
        size_t start = p->w.pos;
        write_owner(p, rr->owner);
        writer_u16(&p->w, rr->type);
        writer_u16(&p->w, rr->class_);
        writer_u32(&p->w, rr->ttl);
        uint8_t *rdlen = writer_reserve(&p->w, 2);
        size_t rdata = p->w.pos;
        write_rdata(p, rr);
        if (p->w.error != 0) {
            writer_rewind(&p->w, start);
            return i;
        }
        size_t length = p->w.pos - rdata;
        rdlen[0] = (uint8_t)(length >> 8);
        rdlen[1] = (uint8_t)length;
    }
    return set->n;
}

void message_write_opt(struct writer *w, const struct message_reply *reply, uint16_t options_len)
{
    writer_u8(w, 0);
    writer_u16(w, RR_OPT);
    writer_u16(w, reply->edns_size);
    writer_u32(w, (uint32_t)(reply->rcode >> 4) << 24 | (reply->do_ ? EDNS_DO : 0));
    writer_u16(w, options_len);
    writer_bytes(w, reply->options, options_len);
}

static uint16_t header_bits(uint8_t opcode, bool aa, bool tc, bool rd, bool ra, bool ad, bool cd, uint16_t rcode)
{
    return (uint16_t)(0x8000 | opcode << 11 | aa << 10 | tc << 9 | rd << 8 | ra << 7 | ad << 5 | cd << 4 |
                      (rcode & 0xf));
}

// Room for the header, which is filled in at the end and returned, and the question. Field by field: the table is not
// to be cleared.
static uint8_t *start(struct packer *p, const struct message_reply *reply, uint8_t *out, size_t room)
{
    p->w = writer_init(out, room);
    p->qname = NULL;
    p->qname_len = 0;
    p->last_owner = NULL;
    p->last_at = 0;
    p->slots = 0;
    uint8_t *header = writer_reserve(&p->w, MESSAGE_HEADER);
    if (reply->has_question) {
        p->qname_len = name_length(reply->qname);
        p->qname = p->qname_len > 1 ? reply->qname : NULL;
        writer_bytes(&p->w, reply->qname, p->qname_len);
        writer_u16(&p->w, reply->qtype);
        writer_u16(&p->w, reply->qclass);
    }
    return header;
}

size_t message_write(const struct message_reply *reply, uint8_t *out, size_t cap, size_t limit, bool *truncated)
{
    static const struct records none;
    const struct records *sections[3] = {
        reply->answer != NULL ? reply->answer : &none,
        reply->authority != NULL ? reply->authority : &none,
        reply->additional != NULL ? reply->additional : &none,
    };
    size_t room = limit < cap ? limit : cap;
    size_t opt = reply->edns ? OPT_FIXED + (size_t)reply->options_len : 0;
    if (opt > room)
        return 0;
    struct packer p;
    uint8_t *header = start(&p, reply, out, room - opt);
    if (p.w.error != 0)
        return 0;

    uint32_t written[3] = {0};
    bool fits = true;
    p.records = sections[0]->n + sections[1]->n + sections[2]->n;
    for (int i = 0; i < 3 && fits; i++) {
        written[i] = write_section(&p, sections[i]);
        fits = written[i] == sections[i]->n;
    }
    if (reply->edns) {
        p.w.size = room; // its place was kept
        message_write_opt(&p.w, reply, reply->options_len);
        written[2]++;
    }

    // Without OPT there is no place for the upper bits of an rcode.
    uint16_t rcode = reply->rcode > 0xf && !reply->edns ? RCODE_SERVFAIL : reply->rcode;
    struct writer h = writer_init(header, MESSAGE_HEADER);
    writer_u16(&h, reply->id);
    writer_u16(&h, header_bits(reply->opcode, reply->aa, reply->tc || !fits, reply->rd, reply->ra, reply->ad, reply->cd,
                               rcode));
    writer_u16(&h, reply->has_question);
    for (int i = 0; i < 3; i++)
        writer_u16(&h, (uint16_t)written[i]);
    if (truncated != NULL)
        *truncated = !fits;
    return p.w.pos;
}

size_t message_write_error(const struct message *m, uint16_t rcode, uint8_t *out, size_t cap)
{
    struct writer w = writer_init(out, cap);
    bool question = m->question_end != 0 && MESSAGE_HEADER + m->qname_len + 4U <= cap;
    writer_u16(&w, m->id);
    writer_u16(&w, header_bits(m->opcode, false, m->tc, m->rd, m->ra, m->ad, m->cd, rcode));
    writer_u16(&w, question);
    writer_u16(&w, 0);
    writer_u32(&w, 0);
    if (question) {
        writer_bytes(&w, m->qname_asked, m->qname_len);
        writer_u16(&w, m->qtype);
        writer_u16(&w, m->qclass);
    }
    return w.error == 0 ? w.pos : 0;
}
