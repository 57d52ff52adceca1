// SPDX-License-Identifier: Apache-2.0
// The end of a flight: every waiter gets what came of it; where that is much work, a few in each turn of the loop.
#include "plugins/forward/flight.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define TURN_WAITERS 32                     // are served in one turn of the loop
#define TURN_BYTES ((size_t)256 << 10)      // … or fewer: so many bytes of messages are read in one
#define LANDING_BYTES_MAX ((size_t)4 << 20) // messages of all flights whose waiters have to wait for a turn

// Gives the query what came of the flight, of which it is no waiter any more.
typedef void serve_fn(struct flight *x, struct query *q, const uint8_t *message, size_t size);

// A flight whose waiters have to wait for a turn.
struct landing {
    uv_idle_t idle; // runs while this is the first of its worker
    struct landing *next;
    struct flight *flight;
    serve_fn *serve;
    size_t size;
    uint8_t message[];
};

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

static void answer_one(struct flight *x, struct query *q, const uint8_t *message, size_t size)
{
    struct reply *r = &q->reply;
    if (q->udp_size > QUERY_UDP_FOREIGN)
        q->udp_size = QUERY_UDP_FOREIGN;
    struct message_answer a;
    int rc = message_answer_read(q->arena, message, size, &a);
    if (rc != 0) {
        query_resume(q, query_fail_local(q, RCODE_SERVFAIL, "%s", error_text(rc)));
        return;
    }
    r->answer = a.answer;
    r->authority = a.authority;
    r->additional = a.additional;
    r->rcode = a.rcode;
    r->aa = a.aa;
    r->ra = a.ra;
    r->ad = a.ad && (q->ad || q->do_ || !x->question.ad); // RFC 6840 §5.8
    r->tc = a.tc;
    if (!same_case(message, size, q)) {
        set_case(&r->answer, q);
        set_case(&r->authority, q);
        set_case(&r->additional, q);
    }
    query_resume(q, VERDICT_DONE);
}

static void fail_one(struct flight *x, struct query *q, const uint8_t *message, size_t size)
{
    (void)message, (void)size;
    if (x->truncated && q->transport == TRANSPORT_UDP) { // there is an answer: its client may get it over TCP
        q->reply.tc = true;
        q->reply.aa = x->truncated_aa;
        q->reply.ra = x->truncated_ra;
        query_resume(q, VERDICT_DONE);
        return;
    }
    query_resume(q, query_fail(q, RCODE_SERVFAIL, "%s", x->why[0] != '\0' ? x->why : "no healthy proxies"));
}

static void send_on(struct flight *x, struct query *q, const uint8_t *message, size_t size)
{
    (void)message, (void)size;
    enum verdict v = forward_from(x->forward, q, (size_t)(x->stanza - x->forward->stanzas) + 1);
    if (v != VERDICT_WAIT)
        query_resume(q, v);
}

// The last waiter pins the configuration, and all that the flight is of: when it goes on the flight has to be gone.
static void serve_last(struct flight *x, serve_fn *one, const uint8_t *message, size_t size)
{
    struct query *q = take_first(x);
    struct flight copy = *x;
    flight_free(x);
    one(&copy, q, message, size);
}

// Serves as many waiters as one turn may, or all.
static void serve(struct flight *x, serve_fn *one, const uint8_t *message, size_t size, bool all)
{
    size_t bytes = 0;
    x->serving = true; // whoever is cancelled meanwhile does not end the flight
    for (unsigned n = 0; x->waiters != NULL; n++, bytes += size) {
        if (!all && (n == TURN_WAITERS || bytes + size > TURN_BYTES)) {
            x->serving = false;
            return;
        }
        if (x->waiters->next == NULL) {
            serve_last(x, one, message, size);
            return;
        }
        one(x, take_first(x), message, size);
    }
    flight_free(x);
}

static bool takes_one_turn(const struct flight *x, size_t size)
{
    unsigned n = 0;
    for (const struct waiter *w = x->waiters; w != NULL; w = w->next)
        if (++n > TURN_WAITERS || n * size > TURN_BYTES)
            return false;
    return true;
}

static void on_turn(uv_idle_t *idle)
{
    struct landing *l = idle->data;
    serve(l->flight, l->serve, l->message, l->size, false);
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void flight_landed(struct landing *l)
{
    struct flights *f = l->flight->of;
    struct landing **at = &f->landings;
    while (*at != l)
        at = &(*at)->next;
    *at = l->next;
    f->landing_bytes -= sizeof *l + l->size;
    uv_close((uv_handle_t *)&l->idle, on_closed);
    if (f->landings != NULL)
        uv_idle_start(&f->landings->idle, on_turn);
}

// Has the waiters served in turns. False: no memory.
static bool land(struct flight *x, serve_fn *one, const uint8_t *message, size_t size)
{
    struct flights *f = x->of;
    struct landing **last = &f->landings, *l = NULL;
    if (sizeof *l + size <= LANDING_BYTES_MAX - f->landing_bytes)
        l = malloc(sizeof *l + size);
    if (l == NULL)
        return false;
    *l = (struct landing){.flight = x, .serve = one, .size = size};
    if (size > 0)
        memcpy(l->message, message, size);
    uv_idle_init(worker_loop(), &l->idle);
    l->idle.data = l;
    while (*last != NULL)
        last = &(*last)->next;
    *last = l;
    uv_idle_start(&f->landings->idle, on_turn);
    f->landing_bytes += sizeof *l + size;
    x->landing = l;
    return true;
}

// The query would have to wait for its turn with an answer for which there is no room.
static void refuse_one(struct flight *x, struct query *q, const uint8_t *message, size_t size)
{
    (void)x, (void)message, (void)size;
    forward_overloaded(q->worker, 1);
    query_resume(q, query_fail(q, RCODE_SERVFAIL, "too many queries wait for a large answer"));
}

// Ends the flight.
static void give(struct flight *x, serve_fn *one, const uint8_t *message, size_t size)
{
    flight_close(x);
    if (takes_one_turn(x, size))
        serve(x, one, message, size, true);
    else if (!land(x, one, message, size))
        serve(x, message != NULL ? refuse_one : one, NULL, 0, true);
}

void answer_waiters(struct flight *x, const uint8_t *message, size_t size)
{
    give(x, answer_one, message, size);
}

void answer_failure(struct flight *x)
{
    give(x, fail_one, NULL, 0);
}

void answer_elsewhere(struct flight *x)
{
    give(x, send_on, NULL, 0);
}
