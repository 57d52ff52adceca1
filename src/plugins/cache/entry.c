// SPDX-License-Identifier: Apache-2.0
#include "plugins/cache/cache.h"
#include <clusterdns/hash.h>
#include <stdlib.h>
#include <string.h>

#define MALLOC_OWN 16 // bytes that malloc takes for itself

static const struct records *section(const struct reply *r, unsigned i)
{
    return i == 0 ? &r->answer : i == 1 ? &r->authority : &r->additional;
}

static unsigned question_flags(const struct query *q)
{
    return (q->do_ ? ENTRY_DO : 0) | (q->cd ? ENTRY_CD : 0);
}

uint64_t cache_question_hash(const struct query *q)
{
    uint8_t key[NAME_MAX_WIRE + 5];
    size_t n = q->qname_len;
    memcpy(key, q->qname, n);
    memcpy(key + n, &q->qtype, 2);
    memcpy(key + n + 2, &q->qclass, 2);
    key[n + 4] = (uint8_t)question_flags(q);
    return hash_bytes(key, n + 5);
}

static uint8_t *bytes_of(const struct entry *e)
{
    return (uint8_t *)&e->packed[e->counts[0] + e->counts[1] + e->counts[2]];
}

bool cache_entry_is_of(const struct entry *e, uint64_t hash, const struct query *q)
{
    return e->hash == hash && e->qname_len == q->qname_len && e->qtype == q->qtype && e->qclass == q->qclass &&
           (e->flags & (ENTRY_DO | ENTRY_CD)) == question_flags(q) && memcmp(bytes_of(e), q->qname, q->qname_len) == 0;
}

int64_t cache_entry_ttl_left(const struct entry *e, uint64_t now_ns)
{
    uint64_t age = now_ns > e->stored_ns ? now_ns - e->stored_ns : 0;
    return (int64_t)e->ttl - (int64_t)(age / SECOND);
}

// Names and rdata on their way into an entry.
struct packer {
    const struct query *q;
    uint8_t *out; // NULL: to find out how many bytes there will be
    size_t at;
    const uint8_t *owner; // the last one that was put down, and where
    size_t owner_len, owner_at;
};

static size_t put(struct packer *p, const uint8_t *bytes, size_t n)
{
    size_t at = p->at;
    if (p->out != NULL && n > 0)
        memcpy(p->out + at, bytes, n);
    p->at += n;
    return at;
}

// Records of one owner mostly follow each other.
static size_t put_owner(struct packer *p, const uint8_t *owner)
{
    if (owner == p->q->qname_asked || name_equal(owner, p->q->qname))
        return 0;
    size_t len = name_length(owner);
    if (p->owner == NULL || p->owner_len != len || memcmp(p->owner, owner, len) != 0) {
        p->owner = owner;
        p->owner_len = len;
        p->owner_at = put(p, owner, len);
    }
    return p->owner_at;
}

static void pack(struct packer *p, struct packed *to)
{
    put(p, p->q->qname, p->q->qname_len);
    for (unsigned s = 0; s < 3; s++) {
        const struct records *set = section(&p->q->reply, s);
        for (uint32_t i = 0; i < set->n; i++) {
            const struct record *rr = &set->rr[i];
            struct packed one = {.type = rr->type, .class_ = rr->class_, .rdlen = rr->rdlen};
            one.owner = (uint32_t)put_owner(p, rr->owner);
            one.rdata = (uint32_t)put(p, rr->rdata, rr->rdlen);
            if (to != NULL)
                *to++ = one;
        }
    }
}

struct entry *cache_entry_new(const struct query *q, uint32_t ttl, unsigned flags, uint64_t now_ns)
{
    const struct reply *r = &q->reply;
    struct packer measure = {.q = q};
    if (r->answer.n > UINT16_MAX || r->authority.n > UINT16_MAX || r->additional.n > UINT16_MAX)
        return NULL;
    pack(&measure, NULL);
    size_t n = (size_t)r->answer.n + r->authority.n + r->additional.n;
    size_t size = sizeof(struct entry) + n * sizeof(struct packed) + measure.at;
    struct entry *e = size < UINT32_MAX / 2 ? malloc(size) : NULL;
    if (e == NULL)
        return NULL;
    *e = (struct entry){
        .hash = cache_question_hash(q),
        .stored_ns = now_ns,
        .ttl = ttl,
        .size = (uint32_t)size + MALLOC_OWN,
        .used = tick_of(now_ns),
        .qtype = q->qtype,
        .qclass = q->qclass,
        .rcode = r->rcode,
        .counts = {(uint16_t)r->answer.n, (uint16_t)r->authority.n, (uint16_t)r->additional.n},
        .flags = (uint8_t)(flags | question_flags(q) | (r->aa ? ENTRY_AA : 0) | (r->ra ? ENTRY_RA : 0) |
                           (r->ad ? ENTRY_AD : 0)),
        .qname_len = q->qname_len,
        .nbytes = (uint32_t)measure.at,
    };
    struct packer p = {.q = q, .out = bytes_of(e)};
    pack(&p, e->packed);
    return e;
}

int cache_entry_reply(const struct entry *e, uint32_t ttl, struct query *q)
{
    size_t n = (size_t)e->counts[0] + e->counts[1] + e->counts[2], own = e->nbytes - e->qname_len;
    struct record *rr = arena_alloc(q->arena, n * sizeof *rr + own);
    if (rr == NULL)
        return CDNS_ENOMEM;
    uint8_t *copy = (uint8_t *)(rr + n);
    if (own > 0)
        memcpy(copy, bytes_of(e) + e->qname_len, own);
    for (size_t i = 0; i < n; i++) {
        const struct packed *p = &e->packed[i];
        rr[i] = (struct record){
            .owner = p->owner == 0 ? q->qname_asked : copy + (p->owner - e->qname_len),
            .rdata = copy + (p->rdata - e->qname_len),
            .ttl = ttl,
            .type = p->type,
            .class_ = p->class_,
            .rdlen = p->rdlen,
        };
    }
    struct records *const sections[3] = {&q->reply.answer, &q->reply.authority, &q->reply.additional};
    for (unsigned s = 0; s < 3; s++) {
        *sections[s] = (struct records){.rr = rr, .n = e->counts[s], .cap = e->counts[s]};
        rr += e->counts[s];
    }
    q->reply.rcode = e->rcode;
    q->reply.aa = (e->flags & ENTRY_AA) != 0;
    q->reply.ra = (e->flags & ENTRY_RA) != 0;
    // Who did not ask for it must not be told that the data are authentic (RFC 6840 §5.8).
    q->reply.ad = (e->flags & ENTRY_AD) != 0 && (q->do_ || q->ad_asked);
    q->reply.tc = false;
    if (q->udp_size > QUERY_UDP_FOREIGN)
        q->udp_size = QUERY_UDP_FOREIGN;
    return 0;
}
