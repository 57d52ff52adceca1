// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// One run of a load: opens the flows, starts the threads, watches them, and adds up what they have seen.
#include "dnsbench/report.h"
#include "dnsbench/worker.h"

#define RUN_ERROR_MAX 256

/// Runs the load, as `o` says, until its last question is answered or lost, and fills `results`, which the caller
/// frees, and `run`, which points to them. CDNS_ECONFIG: why it could not be made is in `error` (RUN_ERROR_MAX bytes),
/// and there are no results.
int run_load(struct load *load, const struct options *o, struct results *results, struct run *run,
             char *error) CDNS_MUSTCHECK;
/// From now on SIGINT and SIGTERM end a run early, with a report.
void run_catch_signals(void);
/// Has one of them come?
bool run_interrupted(void);
