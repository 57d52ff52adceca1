// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The kube thread: one libuv loop for all sources of the process. It is registered as an RCU reader, and blocks all
/// signals. Main thread, but for what runs on it.
#include <clusterdns/error.h>
#include <uv.h>

/// Runs `task` on the kube thread, which is started if it does not run yet; in the order of the calls. CDNS_ENOMEM,
/// CDNS_EIO (no thread can be started).
int kube_thread_run(void (*task)(uv_loop_t *loop, void *arg), void *arg) CDNS_MUSTCHECK;
/// Waits until the loop has nothing left (every source is closed) and ends the thread. Nothing to do: returns.
void kube_thread_end(void);
