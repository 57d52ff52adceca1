// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Changes that were written, and when an answer showed them. Changes have numbers, one after the other; an answer that
/// shows a number shows all before it, too. Pure; the caller locks. Times are nanoseconds of the monotonic clock.
#include "dnsbench/histogram.h"
#include <stdbool.h>
#include <stdint.h>

#define TRACK_BITS 17        ///< of a number that an answer shows
#define TRACK_WAITING 16384U ///< changes that may be waited for at a time

/// What the changes came to. changes = seen + lost + unsettled.
struct track_results {
    uint64_t planned;               ///< by the rate
    uint64_t changes;               ///< that the API has acknowledged
    uint64_t api_errors;            ///< … that it has not
    uint64_t seen, lost;            ///< shown by an answer; not within the time-out
    uint64_t unsettled;             ///< still waited for when the run was ended early
    uint64_t before;                ///< of those seen: before the API had acknowledged them
    uint64_t asked, answered;       ///< questions for the changing name
    uint64_t stale;                 ///< answers with an older number, asked after a newer one was seen
    uint64_t wrong;                 ///< answers without a number that was written
    struct histogram *sent;         ///< from just before the write to the first answer that shows it
    struct histogram *acknowledged; ///< from the API's answer to the write; 0 if that came after
};

struct track_change {
    uint64_t sent, acknowledged, seen; ///< 0: not yet
    bool failed;
};

struct track {
    struct track_results results;
    uint64_t patience; ///< a change that is not seen for so long after it was acknowledged is lost
    uint32_t next;     ///< number of the next change; 0 was there at first
    uint32_t first;    ///< … of the oldest change that is not settled
    uint32_t newest;   ///< … that an answer has shown
    struct track_change waiting[TRACK_WAITING];
};

/// No changes. CDNS_ENOMEM.
int track_init(struct track *t, uint64_t patience) CDNS_MUSTCHECK;
void track_clear(struct track *t);
/// Forgets what the changes came to so far; those that are waited for stay.
void track_restart(struct track *t);
/// How many changes are waited for.
uint32_t track_waiting(const struct track *t);
/// When the oldest of them was sent; 0: there is none.
uint64_t track_oldest(const struct track *t);
/// A change is about to be written. Returns its number. Only if track_waiting() is below TRACK_WAITING.
uint32_t track_send(struct track *t, uint64_t at);
/// The API has acknowledged the change, or has not (it may have taken it all the same).
void track_acknowledge(struct track *t, uint32_t number, uint64_t at);
void track_fail(struct track *t, uint32_t number);
/// An answer shows the lowest TRACK_BITS of a number; `newest` was track.newest when the question was sent.
void track_show(struct track *t, uint32_t bits, uint32_t newest, uint64_t at);
/// Settles what is seen or lost by now.
void track_settle(struct track *t, uint64_t now);
