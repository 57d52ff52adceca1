// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Searches, which run a load several times: --find-knee, --max.
#include "dnsbench/objective.h"
#include "dnsbench/run.h"
#include <jansson.h>

#define SEARCH_TRIALS 128

/// One run of a search.
struct trial {
    double rate;          ///< --find-knee: questions a second asked; --max: answered
    uint32_t outstanding; ///< --max
    struct measures measures;
    double busy;          ///< --max: report_busy()
    enum outcome outcome; ///< --find-knee
};

/// A search and what it has found.
struct search {
    struct options options; ///< those of the run that is reported
    struct load_run kept;   ///< that run
    struct trial trials[SEARCH_TRIALS];
    size_t n;
    unsigned silent; ///< trials in a row, the last ones, in which nothing was answered
    bool cut;        ///< it was interrupted, or the server stopped answering
    double rate;     ///< the knee, or what the best trial of --max answered; 0: none was found
    char ended[160]; ///< why it ended without finding it exactly; empty: it has
};

/// Searches as `o` says (o->knee or o->max), with a line for each trial to `file`. The run to report is then
/// s->kept.run: the last one that held the objective (if none did: the last one), or one with what --max has found. The
/// caller frees `s` with search_free(), after an error too. CDNS_ECONFIG: why a run could not be made is in `error`
/// (RUN_ERROR_MAX bytes).
int search_run(struct load *load, const struct options *o, struct search *s, FILE *file, char *error) CDNS_MUSTCHECK;
void search_free(struct search *s);
/// The section of the JSON report. NULL: no memory.
json_t *search_json(const struct search *s);
