// SPDX-License-Identifier: Apache-2.0
// Asking: upstream after upstream, as CoreDNS does it, until one answers or the question's time or attempts are used
// up.
#include "plugins/forward/flight.h"

#include <clusterdns/random.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#define ATTEMPTS_MAX (2 * FORWARD_UPSTREAMS) // whatever max_connect_attempts says
#define STALE_MAX 2 // times that a connection which was closed meanwhile is made up for by another

_Static_assert(MESSAGE_QUESTION_MAX == UPSTREAM_QUESTION_MAX, "every question can be sent");

static struct metric_family broken_family = {
    .name = "coredns_forward_healthcheck_broken_total",
    .help = "Questions for which all upstreams were down.",
    .type = METRIC_COUNTER,
};

static struct metric *broken;

void ask_init(void)
{
    broken = metric_series(&broken_family, NULL);
}

static bool may_ask_again(const struct flight *x)
{
    const struct stanza *s = x->stanza;
    uint32_t max = s->has_max_connect_attempts ? s->max_connect_attempts : 2 * x->set->n;
    if (max == 0 || max > ATTEMPTS_MAX)
        max = ATTEMPTS_MAX;
    return x->attempts < max && uv_hrtime() < x->deadline_ns;
}

// The upstream to ask now; NULL: none is up, and none is to be tried all the same.
static struct peer *choose(struct flight *x)
{
    const struct upstream_set *set = x->set;
    for (;;) {
        if (x->at >= set->n)
            x->at = x->fails = 0;
        struct peer *p = set->peers[x->order[x->at++]];
        if (!peer_is_down(p))
            return p;
        if (++x->fails < set->n)
            continue;
        metric_count(broken, x->of->worker, 0, 1);
        return x->stanza->failfast ? NULL : set->peers[random_quick_below(set->n)];
    }
}

static const char *proto_of(const struct flight *x)
{
    return !x->over_tcp ? "udp" : x->peer->tls ? "tcp-tls" : "tcp";
}

// Keeps why an attempt failed. False: it was the last one.
static bool note_failure(struct flight *x, int error, const char *why)
{
    if (error == CDNS_ETIMEOUT)
        snprintf(x->why, sizeof x->why, "read %s %s: i/o timeout", proto_of(x), x->peer->to);
    else
        snprintf(x->why, sizeof x->why, "%s %s %s: %s", error == CDNS_EDENIED ? "dial" : "read", proto_of(x),
                 x->peer->to, why);
    if (error != CDNS_ELIMIT && error != CDNS_ENOMEM) // which are ours
        peer_failed(x->peer);
    x->attempts++;
    return x->fails < x->set->n;
}

static void attempt_failed(struct flight *x, int error, const char *why)
{
    if (note_failure(x, error, why))
        ask_next(x);
    else
        answer_failure(x);
}

static bool is_answer(void *arg, const uint8_t *message, size_t size)
{
    const struct flight *x = arg;
    return message_answers(&x->question, message, size);
}

static void on_result(void *arg, const struct upstream_result *result);

static int ask_peer(struct flight *x, struct peer *p)
{
    uint8_t message[MESSAGE_QUESTION_MAX];
    uint64_t now = uv_hrtime(), until = now + (uint64_t)x->stanza->read_timeout_ns;
    x->peer = p;
    x->over_tcp = x->stream || x->truncated || p->tls;
    x->asked_ns = now;
    x->request = NULL;
    size_t size = message_question_write(&x->question, message, sizeof message);
    return upstream_ask(p->upstream, worker_loop(), x->over_tcp ? UPSTREAM_TCP : UPSTREAM_UDP, message, size,
                        until < x->deadline_ns ? until : x->deadline_ns, is_answer, on_result, x, &x->request);
}

void ask_next(struct flight *x)
{
    while (may_ask_again(x)) {
        struct peer *p = choose(x);
        int rc = p != NULL ? ask_peer(x, p) : CDNS_ENOENT;
        if (rc == 0)
            return;
        if (p == NULL || !note_failure(x, rc, error_text(rc)))
            break;
    }
    answer_failure(x);
}

// Asks the same upstream once more; that does not count.
static void ask_same(struct flight *x)
{
    int rc = ask_peer(x, x->peer);
    if (rc != 0)
        attempt_failed(x, rc, error_text(rc));
}

// Bytes of the largest answer that was asked for over UDP.
static unsigned size_asked(const struct flight *x)
{
    return x->question.edns ? x->question.edns_size : 512;
}

// Could somebody who waits be given more than that? (It is less than QUERY_UDP_FOREIGN.) `prefer_udp` does not ask.
static bool more_is_of_use(const struct flight *x)
{
    unsigned asked = size_asked(x);
    if (x->stanza->prefer_udp)
        return true;
    for (const struct waiter *w = x->waiters; w != NULL; w = w->next)
        if (w->q->transport != TRANSPORT_UDP || w->q->udp_size > asked)
            return true;
    return false;
}

static void count_answer(struct flight *x, uint16_t rcode)
{
    unsigned place = rcode < FORWARD_RCODES ? rcode : FORWARD_RCODES, worker = x->of->worker;
    double seconds = (double)(uv_hrtime() - x->asked_ns) * 1e-9;
    metric_observe(x->peer->duration, worker, place, seconds);
    metric_observe(x->peer->old_duration, worker, place, seconds);
    metric_count(x->peer->requests, worker, 0, 1);
    metric_count(x->peer->responses, worker, place, 1);
}

static bool is_last_stanza(const struct flight *x)
{
    return x->stanza == &x->forward->stanzas[x->forward->n - 1];
}

// Is there another upstream to ask, after an answer that cannot be used and would be the same again? That it is too
// large is no reason to call its upstream down.
static bool may_ask_another(struct flight *x, const char *why)
{
    bool more = note_failure(x, CDNS_ENOMEM, why);
    return more && ++x->failovers < x->set->n && may_ask_again(x);
}

static void note_truncated(struct flight *x, bool aa, bool ra)
{
    x->truncated = true;
    x->truncated_aa = aa;
    x->truncated_ra = ra;
}

// Over UDP, more than what was asked for: where nobody knows better it is as good as truncated.
static void answered_too_much(struct flight *x, const uint8_t *message)
{
    if (may_ask_another(x, "answer larger than asked for")) {
        ask_next(x);
        return;
    }
    note_truncated(x, (message[2] & 0x04) != 0, (message[3] & 0x80) != 0); // RFC 1035 4.1.1
    if (more_is_of_use(x))
        ask_same(x);
    else
        answer_failure(x);
}

// Its records take more than a query may hold.
static void answer_is_too_large(struct flight *x)
{
    if (may_ask_another(x, "answer too large"))
        ask_next(x);
    else
        answer_failure(x);
}

static void answered(struct flight *x, const uint8_t *message, size_t size)
{
    const struct stanza *s = x->stanza;
    struct message_answer a;
    if (!x->over_tcp && size > size_asked(x)) {
        answered_too_much(x, message);
        return;
    }
    // Not in a query's arena: of an answer that is not the last word nothing is kept while it goes on waiting.
    int rc = message_answer_read(x->of->scratch, message, size, &a);
    arena_reset(x->of->scratch);
    if (rc == CDNS_ENOMEM) {
        answer_is_too_large(x);
        return;
    }
    if (rc != 0) {
        attempt_failed(x, CDNS_EIO, "malformed answer");
        return;
    }
    uint32_t bit = a.rcode < FORWARD_RCODES ? 1U << a.rcode : 0;
    count_answer(x, a.rcode);
    peer_answered(x->peer);
    if (a.tc && !x->over_tcp && more_is_of_use(x)) {
        note_truncated(x, a.aa, a.ra);
        ask_same(x);
    } else if ((s->failover_rcodes & bit) != 0 && ++x->failovers < x->set->n && may_ask_again(x)) {
        ask_next(x);
    } else if (!is_last_stanza(x) &&
               ((s->next_rcodes & bit) != 0 || (s->next_on_nodata && a.rcode == RCODE_NOERROR && a.answer.n == 0))) {
        answer_elsewhere(x);
    } else {
        answer_waiters(x, message, size);
    }
}

static void on_result(void *arg, const struct upstream_result *result)
{
    struct flight *x = arg;
    unsigned proto = !x->over_tcp ? PEER_UDP : x->peer->tls ? PEER_TLS : PEER_TCP;
    x->request = NULL;
    metric_count(result->reused ? x->peer->hits : x->peer->misses, x->of->worker, proto, 1);
    if (result->error == 0)
        answered(x, result->message, result->size);
    else if (result->stale && x->stale++ < STALE_MAX)
        ask_same(x);
    else
        attempt_failed(x, result->error, result->reason);
}
