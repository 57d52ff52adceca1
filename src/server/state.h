// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The running server. Main thread, but for `stopping`.
#include "corefile/corefile.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <uv.h>

struct generation;
struct metric;
struct worker;
struct server_options;

#define SERVER_SIGNALS 6

enum reload_reason { RELOAD_NONE, RELOAD_SIGNAL, RELOAD_CHANGED };

struct server_state {
    uv_loop_t loop; ///< main's
    const struct server_options *options;
    struct generation *generation; ///< that is served
    struct generation *retired;    ///< those that were, and may still have queries
    struct worker *workers;
    unsigned nworkers, nstarted;
    atomic_bool stopping;              ///< a termination signal came
    bool forced;                       ///< and another one that does not wait
    bool failed;                       ///< server_give_up() was called
    bool done;                         ///< main's loop has nothing left to do
    enum reload_reason reload;         ///< who asks for one, when the loop's present turn is over
    enum reload_reason reloading;      ///< who asked for the one under way
    uint8_t hash[COREFILE_HASH];       ///< of the Corefile that a configuration was last made of, well or not
    struct metric *version;            ///< shows the same; NULL before the first reload
    char unreadable[CONFIG_ERROR_MAX]; ///< why the Corefile could not be read last; "": it could
    uv_signal_t signals[SERVER_SIGNALS];
    uv_timer_t timer;   ///< lameduck, then the drain's bound
    uv_timer_t reclaim; ///< for `retired`
    uv_async_t drained; ///< a worker has nothing left in hand
};

/// Ends the loop's present turn; `s->done` and `s->reload` say what for.
void server_wake(struct server_state *s);
