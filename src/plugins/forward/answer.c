// SPDX-License-Identifier: Apache-2.0
// The end of a flight: every waiter gets what came of it.
#include "plugins/forward/flight.h"

#include <string.h>

// The query that has waited longest, which from now on does not.
static struct query *take_first(struct flight *x)
{
    struct query *q = x->waiters->q;
    flight_remove(x->waiters);
    return q;
}

// A question asked in another case has its name, as it was asked, where the answer has it otherwise.
static void set_case(struct records *set, const struct query *q)
{
    for (uint32_t i = 0; i < set->n; i++)
        if (name_equal(set->rr[i].owner, q->qname))
            set->rr[i].owner = q->qname_asked;
}

// Is the answer's question, which stands behind its header, the query's byte for byte?
static bool same_case(const uint8_t *message, size_t size, const struct query *q)
{
    return size >= 12U + q->qname_len && memcmp(message + 12, q->qname_asked, q->qname_len) == 0;
}

static void answer_one(struct query *q, const struct message_answer *a, bool as_asked)
{
    struct reply *r = &q->reply;
    r->answer = a->answer;
    r->authority = a->authority;
    r->additional = a->additional;
    r->rcode = a->rcode;
    r->aa = a->aa;
    r->ra = a->ra;
    r->ad = a->ad;
    r->tc = a->tc;
    if (!as_asked) {
        set_case(&r->answer, q);
        set_case(&r->authority, q);
        set_case(&r->additional, q);
    }
    query_resume(q, VERDICT_DONE);
}

void answer_waiters(struct flight *x, const struct message_answer *answer, const uint8_t *message, size_t size)
{
    const struct message_answer *a = answer;
    flight_close(x);
    while (x->waiters != NULL) {
        struct message_answer own;
        struct query *q = take_first(x);
        int rc = a == NULL ? message_answer_read(q->arena, message, size, &own) : 0;
        if (rc != 0)
            query_resume(q, query_fail_local(q, RCODE_SERVFAIL, "%s", error_text(rc)));
        else
            answer_one(q, a != NULL ? a : &own, same_case(message, size, q));
        a = NULL;
    }
    flight_free(x);
}

void answer_failure(struct flight *x)
{
    flight_close(x);
    while (x->waiters != NULL) {
        struct query *q = take_first(x);
        if (x->truncated && q->transport == TRANSPORT_UDP) { // there is an answer: its client may get it over TCP
            q->reply.tc = true;
            query_resume(q, VERDICT_DONE);
            continue;
        }
        query_resume(q, query_fail(q, RCODE_SERVFAIL, "%s", x->why[0] != '\0' ? x->why : "no healthy proxies"));
    }
    flight_free(x);
}

void answer_elsewhere(struct flight *x)
{
    struct forward *f = x->forward;
    size_t next = (size_t)(x->stanza - f->stanzas) + 1;
    flight_close(x);
    while (x->waiters != NULL) {
        struct query *q = take_first(x);
        enum verdict v = forward_from(f, q, next);
        if (v != VERDICT_WAIT)
            query_resume(q, v);
    }
    flight_free(x);
}
