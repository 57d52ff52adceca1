// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Questions that are being asked, by worker. Identical ones are asked once: a flight is one question to upstreams, its
/// waiters are the queries that want the answer. All memory is there from the start. Worker thread.
#include "plugins/forward/forward.h"
#include <clusterdns/message.h>

/// A query that waits; in its arena.
struct waiter {
    struct query *q;
    struct flight *flight;
    struct waiter *next, **link;               ///< of the flight
    struct waiter *worker_next, **worker_link; ///< of the worker
};

/// One question on its way.
struct flight {
    struct flight *next; ///< in its bucket, or free
    struct flights *of;
    struct waiter *waiters; ///< the first one's question is the one that is sent
    struct waiter **last;
    uint64_t hash;           ///< of name, type and class
    bool ending;             ///< nobody joins any more; waiters are served
    bool serving;            ///< … now: it stays when none is left
    struct landing *landing; ///< waiters are served in turns; or NULL

    struct forward *forward;
    struct stanza *stanza;
    struct upstream_set *set;
    struct message_question question;
    bool stream; ///< over TCP from the start

    // What ask.c is at.
    struct upstream_request *request; ///< or NULL
    struct peer *peer;                ///< being asked
    uint64_t asked_ns, deadline_ns;
    uint32_t attempts;  ///< that have failed
    unsigned at, fails; ///< in `order`; upstreams passed over as down
    unsigned failovers, stale;
    bool over_tcp;                   ///< this attempt's way
    bool truncated;                  ///< an answer was: from now on over TCP
    bool truncated_aa, truncated_ra; ///< flags of that one
    uint8_t order[FORWARD_UPSTREAMS];
    char why[160]; ///< the last attempt failed; "" if none has
};

/// A worker's flights.
struct flights {
    unsigned worker;
    struct arena *scratch; ///< of answers that may not be the last word
    unsigned waiting;      ///< waiters, at most FORWARD_WAITING
    unsigned flying;       ///< flights, at most FORWARD_WAITING
    unsigned used;         ///< of `all`, ever
    struct flight *idle;
    struct waiter *waiters;
    struct landing *landings; ///< in the order in which they are served
    size_t landing_bytes;     ///< that these take
    struct flight *buckets[FORWARD_WAITING];
    struct flight all[FORWARD_WAITING];
};

// --- flight.c

/// Every worker's flights are there until as many flights_put() as flights_get(). CDNS_ENOMEM. Main thread.
int flights_get(void) CDNS_MUSTCHECK;
void flights_put(void);
/// The worker's.
struct flights *flights_of(unsigned worker);

/// The flight of an identical question, or NULL: then `*others` are on their way with its name, type and class.
struct flight *flight_find(struct flights *f, const struct flight *like, unsigned *others);
/// Takes `like` (with its question, stanza, set) into the worker's table; there is room whenever a waiter may be added.
struct flight *flight_add(struct flights *f, const struct flight *like);
/// Has the query wait for the flight. CDNS_ENOMEM.
int flight_join(struct flight *x, struct query *q) CDNS_MUSTCHECK;
/// The query waits no more; returns its flight. NULL: it did not wait.
struct flight *flight_leave(struct flights *f, const struct query *q);
/// The same for a waiter.
void flight_remove(struct waiter *w);
/// No question joins the flight from now on.
void flight_close(struct flight *x);
/// Forgets a flight without waiters.
void flight_free(struct flight *x);
/// Fills `hash` of a flight that has its question.
void flight_hash(struct flight *x, const struct query *q);

// --- ask.c

/// Makes what is counted. Main thread.
void ask_init(void);
/// Asks the next upstream, or ends the flight.
void ask_next(struct flight *x);

// --- answer.c

/// The flight has failed: every waiter is told `x->why`.
void answer_failure(struct flight *x);
/// Gives every waiter the answer, which can be read, and ends the flight. This and the other two serve few waiters at
/// once, many in turns of the loop: then the flight is there for some time, and its waiters can still leave.
void answer_waiters(struct flight *x, const uint8_t *message, size_t size);
/// Sends every waiter on to the directives after the flight's, and ends the flight.
void answer_elsewhere(struct flight *x);
/// The flight's turns are over, or nobody waits for them.
void flight_landed(struct landing *l);

// --- forward.c

/// Counts queries that fail because of a bound of ours.
void forward_overloaded(unsigned worker, unsigned n);
/// The way in, from stanza `first` on.
enum verdict forward_from(struct forward *f, struct query *q, size_t first);
