// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Names that are looked up, and what a stub resolver asks for each: candidates, in the order in which glibc's
/// getaddrinfo() tries them (resolv.conf(5): search, ndots). A name with a final dot is tried as it is. One with at
/// least ndots dots is tried as it is, then with each domain of the search list behind it; one with fewer the other way
/// round. A candidate that is no name because it is too long ends the search list, as it does in glibc.
#include "dnsbench/options.h"
#include "dnsbench/questions.h"
#include <clusterdns/error.h>

#define CANDIDATES_ERROR_MAX 512
#define CANDIDATES_SEARCH_MAX 32 ///< domains of a search list, as many as Kubernetes allows

/// A name's candidates: `n`, at least one, each with two questions side by side, A and AAAA.
struct candidate_list {
    uint32_t first; ///< place of the first question in the set
    uint8_t n;
    bool as_is_first, as_is_last; ///< the first or the last one is the name as it is; never both
};

/// All names of a set; immutable after it was made. Any thread.
struct candidates {
    struct questions questions;
    struct candidate_list *names; ///< in the order in which they came first
    size_t n;
};

/// The names of `set`, each once, whatever the type; messages are like those of the set. Uses o->ndots and o->search,
/// or for want of it o->namespace_ and o->zone as a pod of that namespace has them. CDNS_ECONFIG: what is wrong and
/// what to do is in `error` (CANDIDATES_ERROR_MAX bytes); CDNS_ENOMEM. On an error nothing is left.
int candidates_make(const struct questions *set, const struct options *o, struct candidates *out,
                    char *error) CDNS_MUSTCHECK;
/// Zeroed ones are allowed.
void candidates_free(struct candidates *c);
