// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// One run of a load: opens the flows, starts the threads, watches them, and adds up what they have seen.
#include "dnsbench/beside.h"
#include "dnsbench/report.h"
#include "dnsbench/worker.h"

#define RUN_ERROR_MAX BESIDE_ERROR_MAX

/// A run that is over, with what its report points to.
struct load_run {
    struct run run;
    struct results results;
    struct beside beside;
    char left[BESIDE_ERROR_MAX]; ///< what it could not put right again, and what to do; empty: nothing
};

/// Runs the load, as `o` says, until its last question is answered or lost; the caller gives `out` to run_free().
/// CDNS_ECONFIG: why it could not be made is in `error` (RUN_ERROR_MAX bytes), and there is nothing to free.
int run_load(struct load *load, const struct options *o, struct load_run *out, char *error) CDNS_MUSTCHECK;
/// Of one that is all zero, too.
void run_free(struct load_run *r);
/// Makes `to`, which is free, what `from` is; that is free afterwards.
void run_move(struct load_run *to, struct load_run *from);
/// From now on SIGINT and SIGTERM end a run early, with a report; a second one ends the process.
void run_catch_signals(void);
/// Has one of them come?
bool run_interrupted(void);
