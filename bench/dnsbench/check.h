// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Are answers right? Worker threads compare each answer's digest with the one that is expected; what differs is judged
/// by a thread of the check's own, which looks again at the source of right answers: what has become right meanwhile is
/// right, what was right until a while ago is stale, what was never right is wrong. Sources: a cluster (its manifests,
/// or its API, listed again and again), a reference server, or answers beside the questions.
#include "dnsbench/questions.h"
#include <clusterdns/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHECK_STALE_NS UINT64_C(1000000000) ///< an answer may be behind its source for so long
#define CHECK_EXAMPLES 5
#define CHECK_EXAMPLE_MAX 320

/// What answers came to.
struct check_counts {
    uint64_t right;
    uint64_t wrong;    ///< neither what is expected nor what was
    uint64_t stale;    ///< right once, more than CHECK_STALE_NS ago
    uint64_t unjudged; ///< truncated, nothing is known of the question, or too many differed at once
    unsigned examples;
    char example[CHECK_EXAMPLES][CHECK_EXAMPLE_MAX]; ///< "wrong: name. TYPE", the first ones
};

struct check;

/// Where right answers come from. Called on the check's thread, by check_new() on the caller's.
struct check_source {
    /// Tells by check_expect() what the answers have to be: of all questions, or at least of those in `asked` (`n` of
    /// them), for which answers came that differ. `first`: nothing is known yet. CDNS_ECONFIG: `error`
    /// (QUESTIONS_ERROR_MAX bytes) says why it cannot be told; later on what was told stays.
    int (*look)(void *arg, struct check *c, bool first, const uint32_t *asked, size_t n, char *error);
    void *arg;
};

/// A check for the answers of `threads` workers; has its source looked at, and starts its thread. CDNS_ENOMEM; what
/// `look` returns.
int check_new(const struct questions *set, unsigned threads, const struct check_source *source, struct check **out,
              char *error) CDNS_MUSTCHECK;
/// Judges what is left, which takes a few seconds if answers differed, ends the thread, and frees everything. `counts`
/// gets the sum.
void check_end(struct check *c, struct check_counts *counts);
/// The expectation of a question, from now on. For `look`.
void check_expect(struct check *c, uint32_t question, uint64_t digest);
/// An answer that came to worker `part`, at a monotonic time. On the worker's thread.
void check_answer(struct check *c, unsigned part, uint32_t question, const uint8_t *message, size_t size, uint64_t at);
