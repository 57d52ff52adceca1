// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What a load came to: each thread fills results of its own, afterwards they add up.
#include "dnsbench/histogram.h"
#include <clusterdns/error.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RESULTS_RCODES 24 ///< those that have a name, 0 to 23; what is above is counted together

/// Counts of questions and of what came back. Every question that was due is sent, or has failed to be; every one that
/// was sent ends as answered or lost, or is cut off when the run is ended early.
struct counts {
    uint64_t due;      ///< by the schedule
    uint64_t sent;     ///< to the kernel
    uint64_t unsent;   ///< that the kernel did not take, that had no id left, or for which there was no connection
    uint64_t late;     ///< of those sent: later than RESULTS_LATE_NS after they were due
    uint64_t answered; ///< in time, by a message that answers the question
    uint64_t lost;     ///< not answered in time
    uint64_t truncated;
    uint64_t rcodes[RESULTS_RCODES + 1]; ///< of those answered
    // What came, but is no answer in time:
    uint64_t tardy;                      ///< answers after their time
    uint64_t duplicates;                 ///< further answers to a question
    uint64_t mismatched;                 ///< answers with an id that was sent, but another question
    uint64_t strange;                    ///< no answers at all: too short, not a response, an id that was never sent
    uint64_t refused;                    ///< nobody listens there, or TLS came to nothing
    uint64_t closed;                     ///< connections that ended, and were made anew
    uint64_t bytes_sent, bytes_received; ///< of messages
};

#define RESULTS_LATE_NS UINT64_C(1000000)

/// Of the questions that were due in one second.
struct second {
    uint64_t due, answered, lost;
    struct histogram *latency; ///< coarse; NULL: none has ended
};

/// What the main thread may look at while a load goes on; `lost`: those that were not sent, too.
struct live {
    _Atomic uint64_t due, answered, lost, odd; ///< odd: everything that is no answer in time
    atomic_bool waits;                         ///< for an answer
};

/// Of whole look-ups (stub.h): each that was due ends in one of three ways, but for those that the end of the run cut
/// off.
struct lookups {
    uint64_t due;
    uint64_t found;            ///< an address
    uint64_t not_found;        ///< no candidate has one
    uint64_t failed;           ///< no answer, or none but errors
    uint64_t questions;        ///< of those that have ended, repeated ones included
    uint64_t questions_max;    ///< … of one
    struct histogram *latency; ///< from when one was due to its end, however it ended
};

struct results {
    struct counts counts;
    struct lookups lookups;
    struct histogram *latency; ///< from when a question was due to its answer; lost ones count with the time-out
    struct histogram *service; ///< from when it was sent
    struct histogram *lag;     ///< from when it was due to when it was sent
    uint64_t sending_ns;       ///< for how long questions were begun
    uint64_t answered_while;   ///< answers that came until then
    uint64_t over_ns;          ///< after the start: when the last question had ended
    char refusal[96];          ///< why there was no connection, the first time; empty: there always was one
    struct second *seconds;
    size_t nseconds;
    uint64_t generator_cpu_ns;  ///< CPU time of the threads
    uint64_t generator_wait_ns; ///< for how long they could have run, but had no CPU; 0 where the kernel does not tell
    struct live live;
};

/// Empty results for a load of `duration_ns`. CDNS_ENOMEM: nothing is left.
int results_init(struct results *r, uint64_t duration_ns) CDNS_MUSTCHECK;
void results_free(struct results *r);
/// Adds those of another thread, made for the same duration. CDNS_ENOMEM.
int results_merge(struct results *r, const struct results *from) CDNS_MUSTCHECK;
/// How many seconds there are to tell of: up to the last one in which a question was due, at least one.
size_t results_seconds(const struct results *r);
/// The second in which something was due `at_ns` after the start.
struct second *results_second(struct results *r, uint64_t at_ns);
/// Counts an answer: due `due_ns` after the start, with these delays.
void results_answer(struct results *r, uint64_t due_ns, uint64_t latency_ns, uint64_t service_ns);
/// Counts a loss, which took `latency_ns` from when it was due.
void results_loss(struct results *r, uint64_t due_ns, uint64_t latency_ns);
/// Shows the counts to whoever looks, and whether an answer is waited for.
void results_show(struct results *r, bool waits);
