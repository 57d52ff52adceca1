// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Asks this process's own /health once a second, as CoreDNS does: how long it takes says how long a kubelet would
/// wait. Counted in coredns_health_request_duration_seconds and coredns_health_request_failures_total. Main thread.
#include <clusterdns/address.h>
#include <uv.h>

#define PROBE_INTERVAL_MS 1000
#define PROBE_PATIENCE_MS 3000 ///< then it has failed (seen at the next interval)

struct probe;

/// Starts to ask `address`, called `name` in the log (copied). NULL: out of memory.
struct probe *probe_start(uv_loop_t *loop, const union sockaddr_any *address, const char *name);
/// Stops; the loop frees it. NULL is allowed.
void probe_stop(struct probe *p);
