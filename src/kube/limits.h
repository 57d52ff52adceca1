// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// How many requests an API server is asked at most, and a token bucket that spreads them. Pure.
#include <stdint.h>

#define LIMITS_QPS 5    ///< client-go's default, when only a burst is given
#define LIMITS_BURST 10 ///< client-go's default, when only a rate is given

/// As configured; 0: not given. Without rate and burst requests are not spread.
struct limits {
    float qps;        ///< requests a second (apiserver_qps); at least 0
    int64_t burst;    ///< requests that may follow each other at once (apiserver_burst)
    int64_t inflight; ///< requests at a time that wait for their answer to begin (apiserver_max_inflight); 0: no limit
};

/// Holds up to `burst` tokens, full at first; `rate` new ones come in a second.
struct bucket {
    double rate, burst, tokens; ///< rate 0: there are always some
    uint64_t at;                ///< when there were so many, monotonic ns
};

struct bucket bucket_make(const struct limits *limits, uint64_t now);
/// Takes a token: 0. If there is none yet, nothing is taken, and how many ns to wait (at most an hour) is returned.
uint64_t bucket_take(struct bucket *b, uint64_t now);
