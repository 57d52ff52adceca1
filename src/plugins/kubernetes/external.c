// SPDX-License-Identifier: Apache-2.0
// Services of type ExternalName: their answer is another name, followed inside of the zone from the index, outside of
// it by a question to the whole server.
#include "plugins/kubernetes/kubernetes.h"
#include <string.h>

#define CHAIN_MAX 10 // names that are followed inside of the zone

// Nothing was found at the end of the chain: CoreDNS then shows no chain either.
static enum verdict dead_end(const struct ask *a)
{
    a->q->reply.answer.n = 0;
    return finish(a, FOUND_EMPTY, 0);
}

static int copy_answer(struct query *q, const struct records *from)
{
    for (uint32_t i = 0; i < from->n; i++) {
        const struct record *rr = &from->rr[i];
        const uint8_t *owner = arena_memdup(q->arena, rr->owner, name_length(rr->owner));
        const uint8_t *rdata = arena_memdup(q->arena, rr->rdata, rr->rdlen);
        if (owner == NULL || rdata == NULL ||
            records_add(&q->reply.answer, q->arena, owner, rr->type, rr->ttl, rdata, rr->rdlen) != 0)
            return CDNS_ENOMEM;
        q->reply.answer.rr[q->reply.answer.n - 1].class_ = rr->class_;
    }
    return 0;
}

// The target's answer is here. Whatever became of it, the chain up to it is true.
static void answered(void *arg, struct query *q, struct query *child, int failed)
{
    struct ask *a = arg; // in the parent's arena
    if (q == NULL)
        return;
    if (failed == CDNS_ECANCELED || (child == NULL && failed != CDNS_ETIMEOUT)) {
        query_resume(q, dead_end(a));
        return;
    }
    int e = 0;
    if (child != NULL) {
        e = copy_answer(q, &child->reply.answer);
        q->reply.tc |= child->reply.tc;
    }
    query_resume(q, finish(a, FOUND_EXTERNAL, e));
}

static enum verdict ask_server(const struct ask *a, const uint8_t *target)
{
    struct query *q = a->q;
    struct ask *kept = arena_memdup(q->arena, a, sizeof *a);
    struct question question = {
        .qname = target, .qtype = q->qtype, .qclass = CLASS_IN, .rd = q->rd, .cd = q->cd, .do_ = q->do_};
    if (kept == NULL || query_ask(q, a->k->placement, ASK_WHOLE, &question, 0, answered, kept) != 0)
        return dead_end(a);
    return VERDICT_WAIT;
}

enum verdict bad_external_name(const struct ask *a, const struct match *m)
{
    return query_fail(a->q, RCODE_SERVFAIL, "plugin/kubernetes: external name '%s' is not a domain name",
                      index_external_name(m->service));
}

static bool target_in_chain(const struct records *chain, const uint8_t *target)
{
    for (uint32_t i = 0; i < chain->n; i++)
        if (name_equal(chain->rr[i].rdata, target))
            return true;
    return false;
}

enum verdict answer_external(const struct ask *a, const struct match *found)
{
    struct query *q = a->q;
    struct match m = *found;
    struct section s = {.q = q, .set = &q->reply.answer, .ttl = a->k->ttl};
    const uint8_t *owner = q->qname_asked;
    uint8_t target[NAME_MAX_WIRE], lower[NAME_MAX_WIRE];
    while (m.found == FOUND_EXTERNAL) {
        if (name_from_text(index_external_name(m.service), target) != 0)
            return bad_external_name(a, &m);
        // A target at or below its own name, or one that was there before, is a loop.
        if (q->reply.answer.n > CHAIN_MAX || name_in_zone(target, owner) || target_in_chain(&q->reply.answer, target))
            return dead_end(a);
        int e = section_add(&s, owner, RR_CNAME, target, (uint16_t)name_length(target));
        if (e != 0)
            return finish(a, FOUND_EXTERNAL, e);
        owner = q->reply.answer.rr[q->reply.answer.n - 1].rdata;
        if (!name_in_zone(target, a->zone->name))
            return ask_server(a, owner);
        name_lower(target, lower);
        find(a->k, a->zone, lower, name_labels(lower) - a->zone->labels, &m);
    }
    uint32_t chain = q->reply.answer.n;
    int e = add_addresses(a, &m, owner);
    return e == 0 && q->reply.answer.n == chain ? dead_end(a) : finish(a, FOUND_EXTERNAL, e);
}
