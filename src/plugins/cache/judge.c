// SPDX-License-Identifier: Apache-2.0
// What kind of answer is it, does it answer the question, and for how long does it hold?
#include "base/reader.h"
#include "plugins/cache/cache.h"
#include <clusterdns/clock.h>

#define TTL_OTHERWISE 5 // seconds, of answers that say nothing of it
#define CHAIN_MAX 16    // CNAMEs followed: work is bounded by this times the records

static bool has_type(const struct records *set, uint16_t type)
{
    for (uint32_t i = 0; i < set->n; i++)
        if (set->rr[i].type == type)
            return true;
    return false;
}

// --- signatures: of times in them that are compared as serial numbers (RFC 4034 §3.1.5)

static bool has_invalid_signature(const struct records *set, uint32_t now)
{
    for (uint32_t i = 0; i < set->n; i++) {
        const struct record *rr = &set->rr[i];
        struct reader rdata = reader_init(rr->rdata, rr->rdlen);
        reader_seek(&rdata, 8); // behind type covered, algorithm, labels, TTL
        uint32_t expiration = reader_u32(&rdata), inception = reader_u32(&rdata);
        if (rr->type == RR_RRSIG && rdata.error == 0 &&
            ((int32_t)(now - inception) < 0 || (int32_t)(expiration - now) < 0))
            return true;
    }
    return false;
}

static bool is_expired(const struct reply *r)
{
    if (!has_type(&r->answer, RR_RRSIG) && !has_type(&r->authority, RR_RRSIG) && !has_type(&r->additional, RR_RRSIG))
        return false;
    uint32_t now = (uint32_t)(clock_realtime_ns() / (int64_t)SECOND);
    return has_invalid_signature(&r->answer, now) || has_invalid_signature(&r->authority, now) ||
           has_invalid_signature(&r->additional, now);
}

// --- chains

// Where the CNAME of `owner` leads: NULL when it has none. False: to several names, which is no DNS (RFC 2181 §10.1).
static bool find_target(const struct records *answer, const uint8_t *owner, const uint8_t **target)
{
    *target = NULL;
    for (uint32_t i = 0; i < answer->n; i++) {
        const struct record *rr = &answer->rr[i];
        if (rr->type != RR_CNAME || !name_equal(rr->owner, owner))
            continue;
        if (*target != NULL && !name_equal(*target, rr->rdata))
            return false;
        *target = rr->rdata;
    }
    return true;
}

// The name at the end of the chain of CNAMEs; NULL: it has none, since it is broken, too long or a loop.
static const uint8_t *find_end(const struct records *answer, const uint8_t *name)
{
    for (unsigned i = 0; i <= CHAIN_MAX; i++) {
        const uint8_t *target;
        if (!find_target(answer, name, &target))
            return NULL;
        if (target == NULL)
            return name;
        name = target;
    }
    return NULL;
}

static bool has_record(const struct records *set, const uint8_t *owner, uint16_t type)
{
    for (uint32_t i = 0; i < set->n; i++)
        if ((type == RR_ANY || set->rr[i].type == type) && name_equal(set->rr[i].owner, owner))
            return true;
    return false;
}

static bool answers_question(const struct query *q)
{
    const struct records *answer = &q->reply.answer;
    const uint8_t *target;
    if (q->reply.rcode != RCODE_NOERROR || answer->n == 0)
        return false;
    if (q->qtype == RR_ANY)
        return has_record(answer, q->qname, RR_ANY);
    if (q->qtype == RR_CNAME)
        return find_target(answer, q->qname, &target) && target != NULL;
    const uint8_t *end = find_end(answer, q->qname);
    return end != NULL && has_record(answer, end, q->qtype);
}

// --- kinds of answers: CoreDNS's plugin/pkg/response

static enum answer_type type_of(const struct query *q, bool soa, bool answers)
{
    const struct reply *r = &q->reply;
    if (q->qtype == RR_AXFR || q->qtype == RR_IXFR || (q->do_ && is_expired(r)))
        return ANSWER_OTHER;
    switch (r->rcode) {
    case RCODE_NOERROR:
        if (r->answer.n > 0) // perhaps a chain that leads nowhere (RFC 2308 §2.2)
            return soa && !answers ? ANSWER_NODATA : ANSWER_POSITIVE;
        if (soa)
            return ANSWER_NODATA;
        return has_type(&r->authority, RR_NS) ? ANSWER_DELEGATION : ANSWER_POSITIVE;
    case RCODE_NXDOMAIN:
        return r->answer.n > 0 ? ANSWER_OTHER : ANSWER_NXDOMAIN;
    case RCODE_SERVFAIL:
    case RCODE_NOTIMP:
        return ANSWER_FAILURE;
    default:
        return ANSWER_OTHER;
    }
}

// --- TTLs

static uint32_t least_ttl(const struct records *set, uint32_t least)
{
    for (uint32_t i = 0; i < set->n; i++)
        if (set->rr[i].ttl < least)
            least = set->rr[i].ttl;
    return least;
}

// What an SOA says of absence: its last number (RFC 2308 §4), whatever TTL it came with.
static uint32_t least_minimum(const struct records *authority, uint32_t least)
{
    for (uint32_t i = 0; i < authority->n; i++) {
        const struct record *rr = &authority->rr[i];
        struct reader rdata = reader_init(rr->rdata, rr->rdlen);
        reader_seek(&rdata, rr->rdlen < 4 ? 0 : (size_t)rr->rdlen - 4);
        uint32_t minimum = reader_u32(&rdata);
        if (rr->type == RR_SOA && rdata.error == 0 && minimum < least)
            least = minimum;
    }
    return least;
}

static uint32_t ttl_of(const struct cache *c, const struct reply *r, enum answer_type type, enum kind kind)
{
    const struct limits *l = &c->limits[kind];
    uint32_t ttl = TTL_OTHERWISE;
    if (type == ANSWER_FAILURE)
        return c->servfail;
    if (type != ANSWER_DELEGATION && type != ANSWER_OTHER && r->answer.n + r->authority.n + r->additional.n > 0) {
        ttl = least_ttl(&r->answer, l->ttl_max);
        ttl = least_ttl(&r->authority, ttl);
        ttl = least_ttl(&r->additional, ttl);
        if (kind == KIND_DENIAL)
            ttl = least_minimum(&r->authority, ttl);
    }
    if (ttl < l->ttl_min)
        ttl = l->ttl_min;
    return ttl < l->ttl_max ? ttl : l->ttl_max;
}

// May the answer be kept, as far as it alone says?
static bool is_keepable(const struct query *q, const struct judgement *j, bool soa)
{
    const struct reply *r = &q->reply;
    if (r->tc || j->ttl == 0 || j->type == ANSWER_OTHER)
        return false;
    // Without SOA nobody knows how long nothing is there (RFC 2308 §5).
    if (!soa && (j->type == ANSWER_NXDOMAIN || (j->type == ANSWER_POSITIVE && r->answer.n > 0 && !j->answers)))
        return false;
    // What a server answers from what it happens to know is nothing for those who want it to look.
    return q->rd || r->aa;
}

struct judgement cache_judge(const struct cache *c, const struct query *q)
{
    const struct reply *r = &q->reply;
    bool soa = has_type(&r->authority, RR_SOA);
    struct judgement j = {.answers = answers_question(q)};
    j.type = type_of(q, soa, j.answers);
    j.kind =
        j.type == ANSWER_NXDOMAIN || j.type == ANSWER_NODATA || j.type == ANSWER_FAILURE ? KIND_DENIAL : KIND_SUCCESS;
    j.ttl = ttl_of(c, r, j.type, j.kind);
    j.keep = is_keepable(q, &j, soa) && !cache_zones_hold(&c->limits[j.kind].except, q->qname);
    return j;
}
