// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Look-ups under way, as glibc's getaddrinfo() does them (res_search(3), res_send): A and AAAA of a candidate are
/// asked together and both are awaited. An address in either ends the look-up; so does an answer with records but no
/// address (a CNAME alone), without one. No such name, or no such data: the next candidate, at once. What is not
/// answered in time is asked again, up to a number of tries; SERVFAIL, REFUSED and NOTIMP for both likewise, one of
/// them beside an answer is passed over. When all tries are used up, SERVFAIL makes it go on with the next candidate,
/// all else (a time-out) with the name as it is. The look-up's result is that of the name as it is when that was tried
/// first, else it is "not found" if some candidate had no such data, "failed" if some candidate had SERVFAIL, or else
/// the last one's. An answer that comes after its time still counts while its question is asked again: glibc asks with
/// the same id.
///
/// Where it is not glibc: it does not ask again over TCP (a truncated answer without an address is an error), a
/// time-out of one question of two repeats that one within the same tries (glibc: both, one after the other, up to two
/// times more), and an ICMP error is waited for as a loss. One thread at a time.
#include "dnsbench/candidates.h"
#include "dnsbench/results.h"
#include <clusterdns/error.h>
#include <stdbool.h>
#include <stdint.h>

struct stub;

/// Whose a question is, for as long as anybody may answer it.
struct stub_ticket {
    uint32_t lookup;                   ///< place in the pool
    uint32_t serial : 28, attempt : 4; ///< of the candidate: those of candidates that are done with are not heard
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
