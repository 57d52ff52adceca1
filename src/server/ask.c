// SPDX-License-Identifier: Apache-2.0
// Child questions: a query of the server to itself.
#include "base/clock.h"
#include "server/chain.h"

#include <string.h>

// A child's reply goes to its callback alone.
static void deliver_nothing(struct exchange *x, struct outcome *o)
{
    o->sent = !x->dropped;
    o->tc = x->q.reply.tc;
}

static bool set_names(struct message *m, const struct question *question)
{
    size_t len = name_length(question->qname);
    if (len > NAME_MAX_WIRE)
        return false;
    *m = (struct message){0};
    memcpy(m->qname_asked, question->qname, len);
    name_lower(question->qname, m->qname);
    m->qname_len = (uint8_t)len;
    m->qname_labels = (uint8_t)name_labels(question->qname);
    m->qtype = question->qtype;
    m->qclass = question->qclass;
    m->rd = question->rd;
    m->cd = question->cd;
    m->ad = question->ad;
    m->edns = m->do_ = question->do_;
    m->edns_size = MESSAGE_MAX;
    return true;
}

static const struct listen_address *listen_of_block(const struct block *block)
{
    const struct generation *g = block->generation;
    for (unsigned l = 0; l < g->nlistens; l++)
        for (unsigned r = 0; r < g->listens[l].nroutes; r++)
            for (unsigned b = 0; b < g->listens[l].routes[r].nblocks; b++)
                if (g->listens[l].routes[r].blocks[b] == block)
                    return &g->listens[l];
    return NULL;
}

// Counts the child with its top-level query. False: too many, or too deep.
static bool count_child(struct exchange *parent)
{
    if (parent == NULL)
        return true;
    if (parent->q.depth >= QUERY_MAX_DEPTH)
        return false;
    while (parent->parent != NULL)
        parent = parent->parent;
    if (parent->descendants >= QUERY_MAX_CHILDREN)
        return false;
    parent->descendants++;
    return true;
}

static void adopt(struct exchange *parent, struct exchange *x)
{
    x->parent = parent;
    x->sibling_next = parent->children;
    if (x->sibling_next != NULL)
        x->sibling_next->sibling_prev = x;
    parent->children = x;
    x->q.depth = (uint8_t)(parent->q.depth + 1);
    x->q.client = parent->q.client;
    x->q.local = parent->q.local;
}

// Sends the child into the rest of the asker's block, or through the whole server.
static void place(struct exchange *x, const struct placement *at, enum ask_scope scope)
{
    const struct block *block = at->block;
    const struct route *route;
    if (scope == ASK_REST) {
        x->block = block;
        x->first = x->at = x->entered = at->index + 1;
        x->q.zone = x->parent != NULL ? x->parent->q.zone : (const uint8_t *)"";
        x->q.zone_text = x->parent != NULL ? x->parent->q.zone_text : ".";
        return;
    }
    const struct block *found = x->listen != NULL ? route_query(x->listen, &x->q, &route) : NULL;
    if (found != NULL) {
        chain_enter(x, route, found, 0);
        return;
    }
    x->block = block;
    x->q.reply.rcode = RCODE_REFUSED;
    x->phase = PHASE_END;
}

int query_ask(struct query *parent, const struct placement *at, enum ask_scope scope, const struct question *question,
              uint64_t timeout_ns, query_ask_cb callback, void *arg)
{
    struct worker *w = worker_current();
    struct exchange *px = parent != NULL ? query_exchange(parent) : NULL;
    if (!EXPECT(w != NULL) || !count_child(px))
        return CDNS_ELIMIT;
    struct exchange *x = worker_exchange(w);
    if (x == NULL)
        return CDNS_ELIMIT;
    if (!set_names(&x->m, question)) {
        worker_release(w, x);
        return CDNS_EINVAL;
    }
    chain_question(x);
    x->q.transport = TRANSPORT_INTERNAL;
    x->q.received_ns = clock_monotonic_ns();
    x->deadline_ns = x->q.received_ns + (timeout_ns != 0 ? timeout_ns : QUERY_TIMEOUT_NS);
    x->deliver = deliver_nothing;
    x->callback = callback;
    x->callback_arg = arg;
    x->listen = px != NULL ? px->listen : listen_of_block(at->block);
    x->q.server = at->block->server;
    if (px != NULL)
        adopt(px, x);
    place(x, at, scope);
    chain_start(x);
    return 0;
}
