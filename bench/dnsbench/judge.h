// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The check that the command line asks for, with its source: a reference server, or the cluster that names come from.
#include "dnsbench/check.h"
#include "dnsbench/options.h"

struct judge {
    struct check *check; ///< NULL: answers are not checked
    // Its source's:
    const struct options *options;
    const struct questions *set;
    struct reference *reference;
};

/// Nothing is left to do if no check is asked for. CDNS_ECONFIG: `error` (OPTIONS_ERROR_MAX bytes) says why there is
/// none.
int judge_begin(struct judge *j, const struct options *o, const struct questions *set, char *error) CDNS_MUSTCHECK;
/// After check_end().
void judge_end(struct judge *j);
