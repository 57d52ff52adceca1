// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Look-ups under way, as glibc's getaddrinfo() does them:
/// - A and AAAA of a candidate are asked together, and both answers are awaited. An address in either ends the look-up;
///   records without one (a CNAME alone) end it too, as not found. NXDOMAIN or no data: the next candidate, at once.
/// - What is not answered in time is asked again, `attempts` times in all; so are SERVFAIL, REFUSED and NOTIMP when
///   both questions have them. One of these beside an answer is passed over. An answer that comes after its time
///   counts while its question is asked again: glibc asks with the same id.
/// - If only one question is lost, both are asked again, and from then on one after the other, which uses up no
///   attempt; after two such tries what the other one was answered is taken.
/// - When a candidate's attempts are used up, SERVFAIL makes it go on with the next candidate, all else with the name
///   as it is, if that is still to come.
/// - The result is that of the name as it is if it was tried first; else "not found" if a candidate had no data,
///   "failed" if one had SERVFAIL, or that of the last candidate.
///
/// Each look-up is that of a new process: glibc goes on asking one after the other for good. A truncated answer counts
/// if an address is in it, else as an error: it is not asked again over TCP. An ICMP error is waited for as a loss. One
/// thread at a time.
#include "dnsbench/candidates.h"
#include "dnsbench/results.h"
#include <clusterdns/error.h>
#include <stdbool.h>
#include <stdint.h>

struct stub;

/// Whose a question is, for as long as anybody may answer it.
struct stub_ticket {
    uint32_t lookup;                 ///< place in the pool
    uint32_t serial : 28, round : 4; ///< of the candidate, whose try it is; no serial but the look-up's is heard
};

/// Questions that are to be sent together, by one flow.
struct stub_ask {
    struct stub_ticket ticket;
    uint64_t due;          ///< when they were wanted, nanoseconds after the start
    unsigned n;            ///< 1 or 2
    uint32_t questions[2]; ///< places in the candidates' set
};

/// None under way yet. `attempts`: tries of a question, at least one; what look-ups come to is added to `results`.
/// NULL: no memory.
struct stub *stub_new(const struct candidates *names, unsigned attempts, struct lookups *results);
/// NULL is allowed.
void stub_free(struct stub *s);
/// Begins the look-up of a name that was due at a time.
void stub_begin(struct stub *s, size_t name, uint64_t due);
/// Look-ups under way.
size_t stub_active(const struct stub *s);
/// Is there anything to be sent?
bool stub_asks(const struct stub *s);
/// What is to be sent next. False: nothing.
bool stub_next(struct stub *s, struct stub_ask *out);
/// Question `question` (its place in the set) was answered at a time, in time or not.
void stub_answered(struct stub *s, struct stub_ticket ticket, uint32_t question, const uint8_t *message, size_t size,
                   uint64_t at);
/// It was not answered in time, or could not be sent.
void stub_lost(struct stub *s, struct stub_ticket ticket, uint32_t question, uint64_t at);
/// Nothing more is asked: look-ups that would have to are dropped, without a result.
void stub_stop(struct stub *s);
