// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What goes on beside a load, if it is asked for: changes through an API (--churn), and a look at the server's process
/// (--pid). Main thread.
#include "dnsbench/churn.h"
#include "dnsbench/process.h"
#include "dnsbench/report.h"

#define BESIDE_ERROR_MAX CHURN_ERROR_MAX

struct json_t; // jansson.h

struct beside {
    struct churn *churn;     ///< NULL: none
    struct process *process; ///< NULL: none
};

/// Prepares both; afterwards beside_end() and beside_free() are called in any case. `*interrupted` ends the waiting for
/// the server. CDNS_ECONFIG: what is wrong and what to do is in `error` (BESIDE_ERROR_MAX bytes); CDNS_ENOMEM.
int beside_open(struct beside *b, const struct options *o, const struct load *load,
                const volatile sig_atomic_t *interrupted, char *error) CDNS_MUSTCHECK;
/// The load's start is known. CDNS_EIO: there can be no thread.
int beside_begin(struct beside *b) CDNS_MUSTCHECK;
/// Looks at the process, `at_ns` after the start. `load`: the schedule is not over.
void beside_sample(struct beside *b, uint64_t at_ns, bool load);
/// The load is over, or ended `early`. CDNS_ECONFIG as above: something is left behind.
int beside_end(struct beside *b, bool early, char *error) CDNS_MUSTCHECK;
void beside_free(struct beside *b);

/// What the changes came to; NULL: there were none. `b` may be NULL.
const struct track_results *beside_churn(const struct beside *b);
/// The parts of the reports that tell of it.
void beside_text(const struct run *run, FILE *file);
void beside_json(const struct run *run, struct json_t *report);
void beside_html(const struct run *run, FILE *file);
