// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What --find-knee is to hold, as "p99<5ms,lost<0.1%", and the search for the highest rate that does. Pure.
#include "dnsbench/histogram.h"
#include "dnsbench/results.h"
#include <clusterdns/error.h>
#include <stdbool.h>

#define OBJECTIVE_TIMES (PERCENTILES + 1) ///< the last one is the largest latency
#define OBJECTIVE_ERROR_MAX 256

struct objective {
    uint64_t below_ns[OBJECTIVE_TIMES]; ///< bounds of latencies; 0: any will do
    double lost;                        ///< percent of the questions sent, below which losses are; 0: any will do
};

/// What a run has of it.
struct measures {
    uint64_t ns[OBJECTIVE_TIMES]; ///< latencies
    double lost;                  ///< percent of those that were due, those that were not sent included
};

/// CDNS_ECONFIG: what is wrong and what to do is in `error` (OBJECTIVE_ERROR_MAX bytes).
int objective_read(const char *text, struct objective *out, char *error) CDNS_MUSTCHECK;
/// "p50" … "p99.99", "max".
const char *objective_name(unsigned i);
void objective_measure(const struct results *r, struct measures *out);
/// Without an answer it does not hold.
bool objective_holds(const struct objective *o, const struct measures *m, uint64_t answered);

enum outcome {
    OUTCOME_HOLDS,
    OUTCOME_FAILS,
    OUTCOME_LATE, ///< the generator could not keep to its schedule: the server was not asked what it was to be
};

enum knee_end {
    KNEE_OPEN,      ///< the search goes on
    KNEE_FOUND,     ///< between `low` and `high`
    KNEE_SAFE,      ///< `low` is the highest rate that is allowed, and holds
    KNEE_GENERATOR, ///< `low` holds, and for `rate` the generator is too slow
    KNEE_NONE,      ///< no rate holds
};

/// A search: doubles while the objective holds, then bisects. What fails is tried once more, for a hiccup.
struct knee {
    double rate;        ///< to be tried now
    double low, high;   ///< the highest that held, the lowest that did not; 0: none yet
    double least, most; ///< none below and above these is tried, but for the first one
    bool again;         ///< it is a second try
    enum knee_end end;
};

void knee_begin(struct knee *k, double rate, double least, double most);
/// Takes what came of k->rate, and sets the next one, or k->end.
void knee_note(struct knee *k, enum outcome outcome);
