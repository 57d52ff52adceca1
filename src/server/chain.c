// SPDX-License-Identifier: Apache-2.0
#include "server/chain.h"

#include "base/clock.h"
#include "base/rcu.h"
#include "server/counters.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void chain_question(struct exchange *x)
{
    struct query *q = &x->q;
    const struct message *m = &x->m;
    q->qname = m->qname;
    q->qname_asked = m->qname_asked;
    q->qname_len = m->qname_len;
    q->qname_labels = m->qname_labels;
    q->qtype = m->qtype;
    q->qclass = m->qclass;
    q->id = m->id;
    q->opcode = m->opcode;
    q->rd = m->rd;
    q->cd = m->cd;
    q->ad = q->ad_asked = m->ad;
    q->edns = m->edns;
    q->do_ = m->do_;
    q->udp_size = m->edns && m->edns_size > MESSAGE_UDP_MIN ? m->edns_size : MESSAGE_UDP_MIN;
    q->worker = x->worker->id;
}

void chain_enter(struct exchange *x, const struct route *route, const struct block *block, unsigned first)
{
    x->route = route;
    x->block = block;
    x->first = x->at = x->entered = first;
    x->q.zone = route->zone;
    x->q.zone_text = route->zone_text;
}

enum verdict query_fail(struct query *q, uint16_t rcode, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    const char *copy = arena_strndup(q->arena, text, strlen(text));
    q->reply.answer.n = q->reply.authority.n = q->reply.additional.n = 0;
    q->reply.rcode = rcode;
    q->reply.aa = q->reply.ra = q->reply.ad = q->reply.tc = false;
    q->reply.fail_text = copy != NULL ? copy : "out of memory";
    return VERDICT_FAIL;
}

int query_stream(struct query *q, query_stream_cb produce, void *arg)
{
    struct exchange *x = query_exchange(q);
    if (x->stream_send == NULL)
        return CDNS_EINVAL;
    x->produce = produce;
    x->produce_arg = arg;
    return 0;
}

// The instance whose hook is being called, or which holds the parked query.
static const struct instance *holder(const struct exchange *x)
{
    return &x->block->instances[x->phase == PHASE_OUT ? x->at - 1 : x->at];
}

static enum verdict call(struct exchange *x, enum verdict (*hook)(void *, struct query *))
{
    if (hook == NULL)
        return VERDICT_NEXT;
    x->in_hook = true;
    x->resumed = false;
    enum verdict v = hook(holder(x)->self, &x->q);
    x->in_hook = false;
    return v == VERDICT_WAIT && x->resumed ? x->resumed_with : v;
}

static void turn_back(struct exchange *x)
{
    x->phase = PHASE_OUT;
    x->at = x->entered;
}

// Moves the query on by what a hook said; not WAIT.
static void apply(struct exchange *x, enum verdict v)
{
    if (v == VERDICT_DROP) {
        x->dropped = true;
        x->phase = PHASE_END;
    } else if (x->phase == PHASE_OUT) {
        x->at--;
    } else if (v == VERDICT_NEXT) {
        x->at++;
    } else {
        x->q.reply.origin = holder(x)->plugin->name;
        if (v == VERDICT_STREAM && EXPECT(x->produce != NULL))
            x->phase = PHASE_STREAM;
        else
            turn_back(x);
    }
}

// Nobody answered: CoreDNS's plugin.NextOrFailure.
static void fell_off(struct exchange *x)
{
    const struct block *b = x->block;
    query_fail(&x->q, RCODE_SERVFAIL, "plugin/%s: no next plugin found",
               b->ninstances > 0 ? b->instances[b->ninstances - 1].plugin->name : "server");
    turn_back(x);
}

static void forget(struct exchange *x)
{
    const struct instance *in = holder(x);
    if (in->plugin->cancel != NULL)
        in->plugin->cancel(in->self, &x->q);
}

static bool set_parked(struct exchange *x)
{
    if (!worker_park(x->worker, x))
        return false;
    x->parked = true;
    atomic_fetch_add(&x->block->generation->pins, 1);
    return true;
}

static void unpark(struct exchange *x)
{
    worker_unpark(x->worker, x);
    x->parked = false;
    atomic_fetch_sub(&x->block->generation->pins, 1);
}

static void orphan_children(struct exchange *x)
{
    for (struct exchange *c = x->children; c != NULL; c = c->sibling_next)
        c->parent = NULL;
    x->children = NULL;
}

static bool own_packet(struct exchange *x)
{
    const uint8_t *own = arena_memdup(x->q.arena, x->q.packet, x->q.request_size);
    if (own == NULL)
        return false;
    x->q.packet = own;
    x->packet_owned = true;
    return true;
}

// Copies what is borrowed, pins the generation and sets the deadline. Returns why it must not or cannot wait, or NULL.
static const char *try_to_park(struct exchange *x)
{
    if (x->expired)
        return "query timed out";
    if (x->q.packet != NULL && !x->packet_owned && !own_packet(x))
        return "out of memory";
    if (!set_parked(x))
        return "too many queries are waiting";
    if (worker_set_deadline(x->worker, x, x->deadline_ns != 0 ? x->deadline_ns : x->q.received_ns + QUERY_TIMEOUT_NS) ==
        0)
        return NULL;
    unpark(x);
    return "out of memory";
}

// False: it has a failure instead.
static bool park(struct exchange *x)
{
    const char *why = try_to_park(x);
    if (why == NULL)
        return true;
    forget(x);
    orphan_children(x);
    apply(x, query_fail(&x->q, RCODE_SERVFAIL, "%s", why));
    return false;
}

static void unlink_child(struct exchange *x)
{
    if (x->parent == NULL)
        return;
    if (x->sibling_prev != NULL)
        x->sibling_prev->sibling_next = x->sibling_next;
    else
        x->parent->children = x->sibling_next;
    if (x->sibling_next != NULL)
        x->sibling_next->sibling_prev = x->sibling_prev;
}

static void end(struct exchange *x)
{
    worker_clear_deadline(x->worker, x);
    struct outcome o = {.rcode = x->q.reply.rcode, .origin = x->q.reply.origin, .error = x->q.reply.fail_text};
    if (x->produce != NULL)
        o.sent = true, o.size = x->streamed;
    x->deliver(x, &o);
    counters_ended(x, &o);
    o.duration_ns = clock_monotonic_ns() - x->q.received_ns;
    for (unsigned i = x->entered; i-- > x->first;) {
        const struct instance *in = &x->block->instances[i];
        if (in->plugin->done != NULL)
            in->plugin->done(in->self, &x->q, &o);
    }
    orphan_children(x);
    unlink_child(x);
    if (x->callback != NULL) {
        if (x->failed == 0 && x->dropped)
            x->failed = CDNS_ECANCELED;
        x->callback(x->callback_arg, x->parent != NULL ? &x->parent->q : NULL, &x->q, x->failed);
    }
    worker_release(x->worker, x);
}

// Produces messages until the socket is full (false: parked until it drains) or the stream ends.
static bool stream(struct exchange *x)
{
    struct arena *own = x->q.arena;
    if (x->stream_arena == NULL)
        x->stream_arena = arena_new(EXCHANGE_ARENA_LIMIT);
    int more = x->stream_arena != NULL ? 1 : CDNS_ENOMEM;
    while (more == 1) {
        const char *origin = x->q.reply.origin;
        arena_reset(x->stream_arena);
        x->q.arena = x->stream_arena;
        x->q.reply = (struct reply){.origin = origin};
        more = x->produce(&x->q, x->produce_arg);
        int rc = more >= 0 ? x->stream_send(x, more == 0) : more;
        x->q.arena = own;
        if (rc == CDNS_EAGAIN && more == 1) {
            if (set_parked(x))
                return false;
            rc = CDNS_ELIMIT;
        }
        if (rc != 0 && rc != CDNS_EAGAIN)
            more = rc;
    }
    x->dropped = more < 0;
    x->phase = PHASE_END;
    x->q.reply.answer.n = x->q.reply.authority.n = x->q.reply.additional.n = 0;
    return true;
}

static void run(struct exchange *x)
{
    for (;;) {
        enum verdict v = VERDICT_NEXT;
        switch (x->phase) {
        case PHASE_IN:
            if (x->at == x->block->ninstances) {
                fell_off(x);
                continue;
            }
            x->entered = x->at + 1;
            v = call(x, holder(x)->plugin->query);
            break;
        case PHASE_OUT:
            if (x->at == x->first) {
                x->phase = PHASE_END;
                continue;
            }
            v = call(x, holder(x)->plugin->reply);
            break;
        case PHASE_STREAM:
            if (!stream(x))
                return;
            continue;
        case PHASE_END:
            end(x);
            return;
        }
        if (v != VERDICT_WAIT)
            apply(x, v);
        else if (park(x))
            return;
    }
}

void chain_start(struct exchange *x)
{
    rcu_section_begin();
    run(x);
    rcu_section_end();
}

void query_resume(struct query *q, enum verdict verdict)
{
    struct exchange *x = query_exchange(q);
    INVARIANT(verdict != VERDICT_WAIT);
    if (x->in_hook) {
        INVARIANT(!x->resumed);
        x->resumed = true;
        x->resumed_with = verdict;
        return;
    }
    INVARIANT(x->parked);
    rcu_section_begin();
    unpark(x);
    apply(x, verdict);
    run(x);
    rcu_section_end();
}

void chain_expire(struct exchange *x)
{
    rcu_section_begin();
    x->expired = true;
    if (x->callback != NULL)
        x->failed = CDNS_ETIMEOUT;
    forget(x);
    orphan_children(x);
    unpark(x);
    apply(x, query_fail(&x->q, RCODE_SERVFAIL, "query timed out"));
    run(x);
    rcu_section_end();
}

void chain_cancel(struct exchange *x)
{
    rcu_section_begin();
    if (x->phase != PHASE_STREAM)
        forget(x);
    orphan_children(x);
    unpark(x);
    x->dropped = true;
    x->failed = CDNS_ECANCELED;
    x->phase = PHASE_END;
    run(x);
    rcu_section_end();
}

void chain_stream_drained(struct exchange *x, bool closed)
{
    rcu_section_begin();
    unpark(x);
    if (closed) {
        x->dropped = true;
        x->phase = PHASE_END;
    }
    run(x);
    rcu_section_end();
}
