// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Life of the HTTP endpoints behind <clusterdns/http.h>. Main thread.
#include <clusterdns/http.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

/// Bounds of every listener; read when it opens and (lifetime_ms) when a connection comes. Only tests change them.
struct http_limits {
    unsigned connections; ///< open at a time on one listener (128)
    unsigned per_address; ///< of them from one address (32), so that one pod cannot keep the kubelet's probes out
    unsigned idle_s;      ///< seconds without a byte in either direction (5, as CoreDNS's servers)
    uint64_t lifetime_ms; ///< of a connection in all (15,000): a byte now and then does not hold it for ever
};
extern struct http_limits http_limits;

/// Names the loop that drives the listeners; before the first http_open(). `main_loop` is not owned and has to outlive
/// them.
void http_init(uv_loop_t *main_loop);
/// Closes every listener that is still open and forgets the loop; endpoints that nobody closed are freed, so their
/// pointers are dead. The loop frees the listeners' memory: run it once more before uv_loop_close().
void http_shutdown(void);
