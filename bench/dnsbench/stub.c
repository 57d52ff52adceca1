// SPDX-License-Identifier: Apache-2.0
#include "dnsbench/stub.h"

#include "dnsbench/wire.h"
#include <clusterdns/record.h>
#include <stdlib.h>

#define POOL_FIRST 1024
#define NOBODY UINT32_MAX
#define SINGLE_MAX 2

// What became of one question of two; of both together the smaller one counts.
enum answer {
    WAITING,
    ADDRESS,
    EMPTY, // records, but no address
    FATAL, // an rcode that is asked no more
    NXDOMAIN,
    NODATA,
    ERROR, // an rcode that is asked again
    LOST
};

enum result { NONE, FOUND, NOT_FOUND, FAILED };

struct lookup {
    uint64_t due, asked; // when the look-up, and when its last questions were wanted
    uint32_t name;
    uint32_t serial;    // of the candidate
    uint32_t next;      // in the list that it is in
    uint16_t questions; // sent so far
    uint8_t candidate;
    uint8_t attempt, round;        // tries of the candidate that had no answer; … all tries
    uint8_t single;                // times that one question of two was lost: from then on AAAA waits for A's answer
    uint8_t outcome[2];            // of A and AAAA
    uint8_t as_is;                 // enum result of the name as it is, when that was tried first
    bool queued, over;             // in the queue; … for nothing
    bool servfail;                 // the candidate had one
    bool any_nodata, any_servfail; // some candidate of the search list had
};

struct stub {
    const struct candidates *names;
    unsigned attempts;
    bool stopped;
    struct lookups *results;
    struct lookup *pool;
    uint32_t npool, unused;           // the first of a list
    uint32_t queue_first, queue_last; // those that have something to send
    size_t active;
};

// --- life

static bool grow(struct stub *s)
{
    uint32_t n = s->npool > 0 ? 2 * s->npool : POOL_FIRST;
    struct lookup *pool = n < s->npool ? NULL : realloc(s->pool, n * sizeof *pool);
    if (pool == NULL)
        return false;
    for (uint32_t i = s->npool; i < n; i++)
        pool[i] = (struct lookup){.next = i + 1 < n ? i + 1 : NOBODY};
    s->unused = s->npool;
    s->pool = pool;
    s->npool = n;
    return true;
}

struct stub *stub_new(const struct candidates *names, unsigned attempts, struct lookups *results)
{
    struct stub *s = malloc(sizeof *s);
    if (s == NULL)
        return NULL;
    *s = (struct stub){.names = names,
                       .attempts = attempts,
                       .results = results,
                       .unused = NOBODY,
                       .queue_first = NOBODY,
                       .queue_last = NOBODY};
    if (grow(s))
        return s;
    free(s);
    return NULL;
}

void stub_free(struct stub *s)
{
    if (s != NULL)
        free(s->pool);
    free(s);
}

size_t stub_active(const struct stub *s)
{
    return s->active;
}

// --- beginning and end of a look-up

static void release(struct stub *s, uint32_t place)
{
    s->pool[place].next = s->unused;
    s->unused = place;
}

// Its tickets are worth nothing from now on.
static void leave(struct stub *s, uint32_t place)
{
    struct lookup *l = &s->pool[place];
    l->serial++;
    s->active--;
    if (l->queued)
        l->over = true;
    else
        release(s, place);
}

static void end(struct stub *s, uint32_t place, enum result result, uint64_t at)
{
    const struct lookup *l = &s->pool[place];
    struct lookups *r = s->results;
    r->found += result == FOUND;
    r->not_found += result == NOT_FOUND;
    r->failed += result == FAILED;
    r->questions += l->questions;
    r->questions_max = l->questions > r->questions_max ? l->questions : r->questions_max;
    histogram_add(r->latency, at > l->due ? at - l->due : 0);
    leave(s, place);
}

// --- asking

static void enqueue(struct stub *s, uint32_t place)
{
    struct lookup *l = &s->pool[place];
    if (l->queued)
        return;
    l->queued = true;
    l->next = NOBODY;
    if (s->queue_first == NOBODY)
        s->queue_first = place;
    else
        s->pool[s->queue_last].next = place;
    s->queue_last = place;
}

static uint32_t dequeue(struct stub *s)
{
    uint32_t place = s->queue_first;
    if (place != NOBODY) {
        s->queue_first = s->pool[place].next;
        s->pool[place].queued = false;
    }
    return place;
}

// Asks what waits for an answer.
static void ask(struct stub *s, uint32_t place, uint64_t at)
{
    s->pool[place].asked = at;
    if (s->stopped)
        leave(s, place);
    else
        enqueue(s, place);
}

void stub_begin(struct stub *s, size_t name, uint64_t due)
{
    s->results->due++;
    if (s->unused == NOBODY && !grow(s)) {
        s->results->failed++;
        return;
    }
    uint32_t place = s->unused, serial = s->pool[place].serial;
    s->unused = s->pool[place].next;
    s->pool[place] = (struct lookup){.due = due, .name = (uint32_t)name, .serial = serial};
    s->active++;
    ask(s, place, due);
}

bool stub_asks(const struct stub *s)
{
    return s->queue_first != NOBODY;
}

// Does AAAA wait for A?
static bool is_held(const struct lookup *l)
{
    return l->single > 0 && l->outcome[0] == WAITING;
}

bool stub_next(struct stub *s, struct stub_ask *out)
{
    for (uint32_t place; (place = dequeue(s)) != NOBODY;) {
        struct lookup *l = &s->pool[place];
        if (l->over) {
            release(s, place);
            continue;
        }
        uint32_t first = s->names->names[l->name].first + 2U * l->candidate;
        *out = (struct stub_ask){
            .ticket = {.lookup = place, .serial = l->serial & 0xfffffff, .round = (uint32_t)l->round & 15},
            .due = l->asked};
        for (uint32_t i = 0; i < 2; i++)
            if (l->outcome[i] == WAITING && !(i == 1 && is_held(l)))
                out->questions[out->n++] = first + i;
        l->questions = (uint16_t)(l->questions + out->n);
        return true;
    }
    return false;
}

void stub_stop(struct stub *s)
{
    s->stopped = true;
    for (uint32_t place; (place = dequeue(s)) != NOBODY;)
        if (s->pool[place].over)
            release(s, place);
        else
            leave(s, place);
}

// --- what follows

// What getaddrinfo() says when no candidate has given an answer; `last`: of the last one.
static enum result result_of(const struct lookup *l, enum result last)
{
    if (l->as_is != NONE)
        return l->as_is;
    return l->any_nodata ? NOT_FOUND : l->any_servfail ? FAILED : last;
}

// The candidate has come to nothing.
static void go_on(struct stub *s, uint32_t place, enum answer why, uint64_t at)
{
    struct lookup *l = &s->pool[place];
    const struct candidate_list *list = &s->names->names[l->name];
    bool first = list->as_is_first && l->candidate == 0, last = list->as_is_last && l->candidate + 1 == list->n;
    bool negative = why == NXDOMAIN || why == NODATA, servfail = why == ERROR && l->servfail;
    if (first) {
        l->as_is = negative ? NOT_FOUND : FAILED;
    } else if (!last) {
        l->any_nodata |= why == NODATA;
        l->any_servfail |= servfail;
    }
    l->candidate++;
    if (!negative && !servfail && !first && !last)
        l->candidate = (uint8_t)(list->n - list->as_is_last);
    if (l->candidate == list->n) {
        end(s, place, result_of(l, negative ? NOT_FOUND : FAILED), at);
        return;
    }
    l->serial++;
    l->attempt = l->round = 0;
    l->servfail = false;
    l->outcome[0] = l->outcome[1] = WAITING;
    ask(s, place, at);
}

// Both have to be asked again, if they may. That one of two is lost uses up no try: some servers and firewalls do not
// take two questions at once, so glibc asks twice more, one after the other.
static bool try_again(struct stub *s, uint32_t place, bool half, uint64_t at)
{
    struct lookup *l = &s->pool[place];
    if (half ? l->single == SINGLE_MAX : l->attempt + 1U >= s->attempts)
        return false;
    l->single = (uint8_t)(l->single + half);
    l->attempt = (uint8_t)(l->attempt + !half);
    l->round++;
    l->outcome[0] = l->outcome[1] = WAITING;
    ask(s, place, at);
    return true;
}

// Is there an answer, of both questions together? Then it is followed.
static void settle(struct stub *s, uint32_t place, uint64_t at)
{
    const struct lookup *l = &s->pool[place];
    enum answer a = l->outcome[0], b = l->outcome[1], best = a < b ? a : b;
    if (best == WAITING)
        return;
    if ((a == LOST || b == LOST || best == ERROR) && try_again(s, place, best < ERROR, at))
        return;
    if (best == ADDRESS)
        end(s, place, FOUND, at);
    else if (best == EMPTY)
        end(s, place, NOT_FOUND, at);
    else
        go_on(s, place, best, at);
}

static void note(struct stub *s, uint32_t place, unsigned which, enum answer outcome, uint64_t at)
{
    struct lookup *l = &s->pool[place];
    bool held = is_held(l) && which == 0 && l->outcome[1] == WAITING;
    l->outcome[which] = (uint8_t)outcome;
    if (held && outcome != LOST)
        ask(s, place, at);
    else if (held)
        l->outcome[1] = LOST; // it was not asked
    settle(s, place, at);
}

// --- answers

// Is there an address in the answer section, or in what is left of it?
static bool has_address(const uint8_t *message, size_t size)
{
    struct wire_walk walk;
    struct wire_record r;
    bool there = wire_begin(&walk, message, size);
    while (there && wire_next(&walk, &r, NULL) && r.section == 0)
        if ((r.type == RR_A && r.rdata_size == 4) || (r.type == RR_AAAA && r.rdata_size == 16))
            return true;
    return false;
}

static enum answer outcome_of(const uint8_t *message, size_t size)
{
    bool aa = (message[2] & 4) != 0, tc = (message[2] & 2) != 0, ra = (message[3] & 0x80) != 0;
    switch (message[3] & 15) {
    case RCODE_NOERROR:
        break;
    case RCODE_NXDOMAIN:
        return NXDOMAIN;
    case RCODE_SERVFAIL:
    case RCODE_NOTIMP:
    case RCODE_REFUSED:
        return ERROR;
    default:
        return FATAL;
    }
    if (has_address(message, size))
        return ADDRESS;
    if (tc)
        return ERROR;
    if (wire_u16(message + 6) > 0)
        return EMPTY;
    // Without all of these glibc takes it for a referral, which is no answer.
    return aa || ra || wire_u16(message + 10) > 0 ? NODATA : ERROR;
}

static bool is_heard(const struct stub *s, struct stub_ticket ticket, uint32_t question)
{
    const struct lookup *l = &s->pool[ticket.lookup];
    return (l->serial & 0xfffffff) == ticket.serial && l->outcome[question & 1] == WAITING;
}

void stub_answered(struct stub *s, struct stub_ticket ticket, uint32_t question, const uint8_t *message, size_t size,
                   uint64_t at)
{
    if (!is_heard(s, ticket, question))
        return;
    s->pool[ticket.lookup].servfail |= (message[3] & 15) == RCODE_SERVFAIL;
    note(s, ticket.lookup, question & 1, outcome_of(message, size), at);
}

void stub_lost(struct stub *s, struct stub_ticket ticket, uint32_t question, uint64_t at)
{
    if (is_heard(s, ticket, question) && ticket.round == s->pool[ticket.lookup].round)
        note(s, ticket.lookup, question & 1, LOST, at);
}
