// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The check that the command line asks for, with its source: a reference server, the cluster that names come from, or
/// the answers beside the questions.
#include "dnsbench/check.h"
#include "dnsbench/options.h"

struct checker {
    struct check *check; ///< NULL: answers are not checked
    // Its source's:
    const struct options *options;
    const struct questions *set;
    struct reference *reference;
};

/// Nothing is left to do if no check is asked for. CDNS_ECONFIG: `error` (OPTIONS_ERROR_MAX bytes) says why there is
/// none.
int checker_begin(struct checker *j, const struct options *o, const struct questions *set, char *error) CDNS_MUSTCHECK;
/// After check_end().
void checker_end(struct checker *j);
