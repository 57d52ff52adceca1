// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Threads of the process beside main.
#include <clusterdns/error.h>
#include <pthread.h>

/// Starts a thread that runs `run(arg)`, with all signals blocked: they are the main thread's, and a broken connection
/// is an error code, not SIGPIPE. `name` is what top and gdb show (at most 15 bytes). To be joined or detached.
/// CDNS_EIO. Any thread.
int thread_start(pthread_t *thread, const char *name, void *(*run)(void *arg), void *arg) CDNS_MUSTCHECK;
/// Prepares a condition whose timed waits go by the monotonic clock. Any thread.
void thread_condition_init(pthread_cond_t *condition);
