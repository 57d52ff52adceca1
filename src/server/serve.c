// SPDX-License-Identifier: Apache-2.0
#include "server/serve.h"

#include "base/clock.h"
#include "base/rcu.h"
#include "server/chain.h"
#include "server/counters.h"

// Writes q.reply to `out`. Returns the length.
static size_t write_reply(struct exchange *x, uint8_t *out, size_t cap, bool *truncated)
{
    const struct query *q = &x->q;
    const struct reply *r = &q->reply;
    size_t limit = q->transport == TRANSPORT_UDP ? q->udp_size : MESSAGE_MAX;
    if (q->transport == TRANSPORT_UDP && limit > NET_UDP_PAYLOAD)
        limit = NET_UDP_PAYLOAD; // a client may say more than a datagram holds
    struct message_reply m = {
        .id = q->id,
        .rcode = r->rcode,
        .opcode = q->opcode,
        .aa = r->aa,
        .tc = r->tc,
        .ra = r->ra,
        .ad = r->ad,
        // CoreDNS's library copies RD and CD for queries only (RFC 1996 has no use for them).
        .rd = q->rd && q->opcode == OPCODE_QUERY,
        .cd = q->cd && q->opcode == OPCODE_QUERY,
        .has_question = x->m.question_end != 0,
        .qname = x->m.qname_asked,
        .qtype = x->m.qtype,
        .qclass = x->m.qclass,
        .answer = &r->answer,
        .authority = &r->authority,
        .additional = &r->additional,
        .edns = q->edns,
        .do_ = q->do_ && r->rcode != RCODE_BADVERS, // flags of a version that is not understood
        .edns_size = MESSAGE_EDNS_DEFAULT,
        .options = r->options,
        .options_len = r->options_len,
    };
    return message_write(&m, out, cap, limit < cap ? limit : cap, truncated);
}

// Writes q.reply into the batch, or into the worker's scratch when it is late: then `*late` is the message.
static size_t put_reply(struct exchange *x, struct outcome *o, const uint8_t **late)
{
    struct prompt_answer *p = x->client.prompt;
    *late = p == NULL ? x->worker->scratch : NULL;
    o->size =
        (uint32_t)write_reply(x, p != NULL ? p->out : x->worker->scratch, p != NULL ? p->cap : MESSAGE_MAX, &o->tc);
    if (p != NULL)
        p->written = o->size;
    return o->size;
}

// What the answer goes through stays until then, whatever becomes of its socket.
static void hold(struct client_path *c)
{
    if (c->held)
        return;
    if (c->tcp != NULL)
        tcp_hold(c->tcp);
    else
        udp_hold(c->udp);
    c->held = true;
}

static void deliver_udp(struct exchange *x, struct outcome *o)
{
    const uint8_t *late;
    if (!x->dropped) {
        size_t n = put_reply(x, o, &late);
        if (late != NULL && n > 0)
            udp_send(x->client.udp, &x->client.peer, late, n);
        o->sent = n > 0;
    }
    if (x->client.held)
        udp_release(x->client.udp);
    if (x->client.prompt != NULL)
        x->client.prompt->finished = true;
}

static void end_without_answer(struct exchange *x)
{
    struct client_path *c = &x->client;
    hold(c);
    if (x->produce != NULL) {
        tcp_on_drain(c->tcp, NULL, NULL);
        if (x->dropped)
            tcp_abort(c->tcp);
    }
    tcp_discard(c->tcp);
}

static void deliver_tcp(struct exchange *x, struct outcome *o)
{
    const uint8_t *late;
    if (x->dropped || x->produce != NULL) {
        end_without_answer(x);
    } else {
        size_t n = put_reply(x, o, &late);
        o->sent = late == NULL || tcp_send(x->client.tcp, late, n, true) != CDNS_ECANCELED;
    }
    if (x->client.prompt != NULL)
        x->client.prompt->finished = true;
}

static void on_drain(void *arg, struct tcp_connection *connection, bool closed)
{
    (void)connection;
    chain_stream_drained(arg, closed);
}

static int stream_send(struct exchange *x, bool last)
{
    struct client_path *c = &x->client;
    bool truncated;
    hold(c);
    size_t n = write_reply(x, x->worker->scratch, MESSAGE_MAX, &truncated);
    x->streamed += (uint32_t)n;
    int rc = tcp_send(c->tcp, x->worker->scratch, n, false);
    if (rc == CDNS_EAGAIN && !last)
        tcp_on_drain(c->tcp, on_drain, x);
    return rc;
}

// What to do with a message that message_parse() had `parsed` to say of: an rcode to answer with, 0: look for its
// block, or -1: no answer.
static int judge(const struct message *m, int parsed)
{
    if (parsed == CDNS_ETRUNC || m->qr)
        return -1;
    if (m->opcode != OPCODE_QUERY && m->opcode != OPCODE_NOTIFY)
        return RCODE_NOTIMP;
    return parsed != 0 ? RCODE_FORMERR : 0;
}

// Finds the block for the question and enters it; false: x->q.reply has the server's own answer.
static bool route(struct exchange *x)
{
    struct query *q = &x->q;
    q->reply.rcode = RCODE_REFUSED;
    if (x->m.question_end == 0) {
        q->reply.rcode = RCODE_SERVFAIL; // as CoreDNS for a header without its question
        return false;
    }
    if (q->qclass != CLASS_IN && !x->listen->any_class)
        return false;
    if (q->edns && x->m.edns_version != 0) {
        q->reply.rcode = RCODE_BADVERS;
        return false;
    }
    const struct route *found;
    const struct block *block = route_query(x->listen, q, &found);
    if (block == NULL || block->ninstances == 0)
        return false;
    q->reply.rcode = RCODE_NOERROR;
    chain_enter(x, found, block, 0);
    return true;
}

// The server's own answer, or none.
static void answer_without_block(struct exchange *x)
{
    struct outcome o = {.rcode = x->q.reply.rcode};
    x->deliver(x, &o);
    o.duration_ns = clock_monotonic_ns() - x->q.received_ns;
    if (o.rcode == RCODE_BADVERS)
        counters_rejected(x->worker, o.rcode);
    else
        counters_dropped(x, &o);
    worker_release(x->worker, x);
}

// Answers `x` from its packet, through a chain or without one. Returns the bytes to send now; 0: none, or later.
static size_t answer(struct exchange *x, uint8_t *out, size_t cap)
{
    struct prompt_answer prompt = {.out = out, .cap = cap};
    x->client.prompt = &prompt;
    rcu_section_begin();
    chain_question(x);
    if (route(x))
        chain_start(x);
    else
        answer_without_block(x);
    if (!prompt.finished) {
        x->client.prompt = NULL;
        hold(&x->client);
    }
    rcu_section_end();
    return prompt.written;
}

// What both transports do first. Returns an exchange to answer, or NULL with `*written` set: an answer that needs none
// (its length), or 0.
static struct exchange *receive(struct worker_socket *s, const uint8_t *packet, size_t size, uint8_t *out, size_t cap,
                                size_t *written)
{
    *written = 0;
    struct exchange *x = worker_exchange(s->worker);
    if (x == NULL) { // everything is in hand already: the client asks again
        counters_unanswered(s->worker, UNANSWERED_OVERLOAD);
        return NULL;
    }
    int parsed = message_parse(packet, size, &x->m);
    int rcode = judge(&x->m, parsed);
    if (rcode != 0) {
        if (rcode > 0) {
            *written = message_write_error(&x->m, (uint16_t)rcode, out, cap);
            counters_rejected(s->worker, (uint16_t)rcode);
        } else {
            counters_unanswered(s->worker, UNANSWERED_IGNORED);
        }
        worker_release(s->worker, x);
        return NULL;
    }
    x->listen = s->listen;
    x->q.packet = packet;
    x->q.request_size = (uint16_t)size;
    x->q.server = s->listen->server;
    x->q.received_ns = clock_monotonic_ns();
    return x;
}

size_t serve_udp(void *arg, struct udp_listener *listener, const struct udp_peer *peer, const uint8_t *packet,
                 size_t size, uint8_t *out, size_t cap)
{
    struct worker_socket *s = arg;
    size_t written;
    struct exchange *x = receive(s, packet, size, out, cap, &written);
    if (x == NULL)
        return written;
    x->q.transport = TRANSPORT_UDP;
    x->q.client = peer->client;
    x->q.local = peer->local;
    x->client.udp = listener;
    x->client.peer = *peer;
    x->deliver = deliver_udp;
    return answer(x, out, cap);
}

long serve_tcp(void *arg, struct tcp_connection *connection, const uint8_t *packet, size_t size, uint8_t *out,
               size_t cap)
{
    struct worker_socket *s = arg;
    size_t written;
    struct exchange *x = receive(s, packet, size, out, cap, &written);
    if (x == NULL) {
        if (written == 0) {
            tcp_hold(connection);
            tcp_discard(connection);
        }
        return (long)written;
    }
    x->q.transport = TRANSPORT_TCP;
    tcp_peer(connection, &x->q.client, &x->q.local);
    x->client.tcp = connection;
    x->deliver = deliver_tcp;
    x->stream_send = stream_send;
    return (long)answer(x, out, cap);
}
