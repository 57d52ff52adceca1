// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What to do when a request of a reflector has ended: one pure function, so that the protocol's rules (Kubernetes API
/// concepts; client-go's reflector behaves alike) can be read and tested in one place.
#include "kube/status.h"
#include <stdbool.h>
#include <stdint.h>

/// What a request was for.
enum purpose {
    PURPOSE_WATCHLIST, ///< initial events are under way: they name all objects
    PURPOSE_LIST,      ///< a page of a list
    PURPOSE_WATCH,     ///< changes (also behind a WatchList's initial events)
    PURPOSE_CHECK,     ///< before them: has the server's state come as far as the last resource version?
};

/// How far a request came.
enum reach {
    REACH_NOBODY,  ///< no server answered
    REACH_REFUSAL, ///< one did, but refuses us
    REACH_ANSWER, ///< … and serves us, if not what was asked for: a 200, or word that a version is too old or too new
};

/// How it ended.
struct ending {
    enum purpose purpose;
    struct api_status status; ///< code 0: not refused
    bool failed;              ///< the connection failed, was cut or gave no data for too long
    bool silent;              ///< … the last of these
    bool unheard;             ///< … before any server answered
    bool answered;            ///< a 200 had come
    bool corrupt;             ///< what came was in no known format, broken, or too large
    bool protobuf;            ///< the request asked for protobuf, JSON being as good
    bool optional;            ///< a cluster may do without the kind
    bool returning;           ///< the server was away until less than PLAN_EARLY_MS ago
    bool has_version;         ///< the request asked for a state not older than one seen before
    bool next_page;           ///< the request had a continue token
    uint64_t lived_ms;        ///< how long it took
    unsigned failures;        ///< how many requests before it ended badly, without a good one in between
};

/// What comes next.
enum step {
    STEP_WATCH,     ///< changes since the last resource version, behind a check if the server was away
    STEP_SYNC,      ///< all objects, not older than the last resource version
    STEP_SYNC_ANEW, ///< all objects, of the newest state: the last resource version is of no use
    STEP_LIST,      ///< all objects by list: WatchList is not to be had
    STEP_LIST_ANEW, ///< all objects by one unpaged list of the newest state: paging took too long
};

struct plan {
    enum step step;
    uint64_t wait_ms; ///< before it
    bool good;        ///< nothing went wrong: the count of failures starts afresh
    bool quiet;       ///< not worth a word in the log
    bool normal;      ///< the protocol's usual course: the count of failures stays
    bool json;        ///< from now on, protobuf is not to be asked for
    bool refused;     ///< an optional kind is not to be had now
    bool early;       ///< refused by a server that has just come back and may not know its roles yet: not for the log
};

#define PLAN_BACKOFF_FIRST_MS 800  ///< the first wait is up to twice this
#define PLAN_BACKOFF_LAST_MS 30000 ///< no wait is longer …
#define PLAN_CHEAP_LAST_MS 3000  ///< … nor this, when nobody answered, or answers are cut: that burdens no API server
#define PLAN_LIVED_MS 1000       ///< a watch that lived so long was a good one, if it was not refused after all …
#define PLAN_LIVED_LONG_MS 5000  ///< … in which case it has to have lived so long, for what follows costs more
#define PLAN_FREE 2              ///< so many failures in a row do not lengthen the wait; an answered watch has none
#define PLAN_RETRY_AFTER_LAST 30 ///< seconds that a Retry-After is followed at most
#define PLAN_RETRY_AFTER_TIMES 10 ///< how often in a row
#define PLAN_WATCH_FAILURES 5     ///< so many refused watches in a row, and the state is fetched anew
#define PLAN_EARLY_MS 5000        ///< a server that was away for so long may refuse who it knows later
#define PLAN_OPTIONAL_FAILURES 5  ///< so many failures in a row, and an optional kind counts as refused

/// How far a request came that ended so.
enum reach plan_reach(const struct ending *e);
/// The failures that count when a request has come as far as `now` and the one before it as far as `before`: how long
/// the server was away, or refused, says nothing about how it is now, and waiting as long again would keep old answers.
unsigned plan_failures(unsigned failures, enum reach before, enum reach now);
/// `random` is a uniform 32-bit number, for the jitter.
struct plan plan_next(const struct ending *e, uint32_t random);
