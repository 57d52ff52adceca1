// SPDX-License-Identifier: Apache-2.0
#include "plugins/forward/flight.h"

#include <clusterdns/hash.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(struct flight) <= 400, "docs/plugins/forward.md says what a question takes");

#define SCRATCH_MAX ((size_t)1 << 20) // as a query's arena

static struct flights **all; // by worker
static unsigned users;

static void free_all(void)
{
    for (unsigned i = 0; all != NULL && i < worker_count(); i++) {
        if (all[i] != NULL)
            arena_free(all[i]->scratch);
        free(all[i]);
    }
    free(all);
    all = NULL;
}

int flights_get(void)
{
    if (users++ > 0)
        return 0;
    all = calloc(worker_count(), sizeof(struct flights *));
    for (unsigned i = 0; all != NULL && i < worker_count(); i++) {
        all[i] = calloc(1, sizeof *all[i]); // what is never used is never touched
        if (all[i] == NULL || (all[i]->scratch = arena_new(SCRATCH_MAX)) == NULL) {
            free_all();
            break;
        }
        all[i]->worker = i;
    }
    if (all == NULL)
        users = 0;
    return all != NULL ? 0 : CDNS_ENOMEM;
}

void flights_put(void)
{
    if (--users == 0)
        free_all();
}

struct flights *flights_of(unsigned worker)
{
    return all[worker];
}

// --- the table

// What of the header and OPT makes a question another one. Not AD: who asks first says whether it is sent.
static uint8_t flags_of(const struct flight *x)
{
    const struct message_question *q = &x->question;
    return (uint8_t)(q->rd | q->cd << 1 | q->edns << 2 | q->do_ << 3 | x->stream << 4);
}

void flight_hash(struct flight *x, const struct query *q)
{
    uint8_t key[NAME_MAX_WIRE + 5];
    memcpy(key, q->qname, q->qname_len);
    uint8_t *end = key + q->qname_len;
    *end++ = (uint8_t)(q->qtype >> 8);
    *end++ = (uint8_t)q->qtype;
    *end++ = (uint8_t)(q->qclass >> 8);
    *end++ = (uint8_t)q->qclass;
    x->hash = hash_bytes(key, (size_t)(end - key));
}

static bool same_name(const struct flight *a, const struct flight *b)
{
    const struct message_question *p = &a->question, *q = &b->question;
    return a->hash == b->hash && p->qtype == q->qtype && p->qclass == q->qclass && name_equal(p->qname, q->qname);
}

struct flight *flight_find(struct flights *f, const struct flight *like, unsigned *others)
{
    *others = 0;
    for (struct flight *x = f->buckets[like->hash % FORWARD_WAITING]; x != NULL; x = x->next)
        if (same_name(x, like)) {
            if (x->stanza == like->stanza && x->set == like->set && flags_of(x) == flags_of(like))
                return x;
            ++*others;
        }
    return NULL;
}

struct flight *flight_add(struct flights *f, const struct flight *like)
{
    struct flight *x = f->idle;
    if (x != NULL)
        f->idle = x->next;
    else
        x = &f->all[f->used++];
    f->flying++;
    *x = *like;
    x->of = f;
    x->waiters = NULL;
    x->last = &x->waiters;
    struct flight **bucket = &f->buckets[x->hash % FORWARD_WAITING];
    x->next = *bucket;
    *bucket = x;
    return x;
}

void flight_close(struct flight *x)
{
    struct flight **at = &x->of->buckets[x->hash % FORWARD_WAITING];
    if (x->ending)
        return;
    while (*at != x)
        at = &(*at)->next;
    *at = x->next;
    x->ending = true;
}

void flight_free(struct flight *x)
{
    flight_close(x);
    if (x->request != NULL)
        upstream_cancel(x->request);
    x->request = NULL;
    set_leave(x->set, x->of->worker);
    if (x->landing != NULL)
        flight_landed(x->landing);
    x->of->flying--;
    x->next = x->of->idle;
    x->of->idle = x;
}

// --- waiters

int flight_join(struct flight *x, struct query *q)
{
    struct flights *f = x->of;
    struct waiter *w = arena_alloc(q->arena, sizeof *w);
    if (w == NULL)
        return CDNS_ENOMEM;
    *w = (struct waiter){.q = q, .flight = x, .link = x->last, .worker_next = f->waiters, .worker_link = &f->waiters};
    *x->last = w;
    x->last = &w->next;
    if (f->waiters != NULL)
        f->waiters->worker_link = &w->worker_next;
    f->waiters = w;
    f->waiting++;
    x->stanza->workers[f->worker].waiting++;
    return 0;
}

void flight_remove(struct waiter *w)
{
    struct flight *x = w->flight;
    *w->link = w->next;
    if (w->next != NULL)
        w->next->link = w->link;
    else
        x->last = w->link;
    *w->worker_link = w->worker_next;
    if (w->worker_next != NULL)
        w->worker_next->worker_link = w->worker_link;
    x->of->waiting--;
    x->stanza->workers[x->of->worker].waiting--;
    if (x->stanza->max_concurrent > 0)
        atomic_fetch_sub(&x->stanza->concurrent, 1);
    if (x->waiters != NULL) // whoever waits longest is the one who asks
        x->question.qname = x->waiters->q->qname_asked;
}

struct flight *flight_leave(struct flights *f, const struct query *q)
{
    for (struct waiter *w = f->waiters; w != NULL; w = w->worker_next)
        if (w->q == q) {
            struct flight *x = w->flight;
            flight_remove(w);
            return x;
        }
    return NULL;
}
