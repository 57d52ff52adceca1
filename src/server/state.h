// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The running server. Main thread, but for `stopping`.
#include <stdatomic.h>
#include <stdbool.h>
#include <uv.h>

struct generation;
struct worker;

#define SERVER_SIGNALS 6

struct server_state {
    uv_loop_t loop; ///< main's
    struct generation *generation;
    struct worker *workers;
    unsigned nworkers, nstarted;
    atomic_bool stopping; ///< a termination signal came
    bool forced;          ///< and another one that does not wait
    uv_signal_t signals[SERVER_SIGNALS];
    uv_timer_t timer;   ///< lameduck, then the drain's bound
    uv_async_t drained; ///< a worker has nothing left in hand
};
