// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The workers' listening sockets and the generations they serve. Main thread; the workers' threads do the work.
#include <clusterdns/error.h>

struct generation;
struct server_state;

/// Opens sockets, in every worker, for the addresses of a generation that have none yet. An error leaves the sockets
/// as they were: its text goes to `error` (CONFIG_ERROR_MAX bytes).
int listen_open(struct server_state *s, const struct generation *g, char *error) CDNS_MUSTCHECK;
/// Lets every worker serve this generation from now on; sockets of addresses that it has not are drained.
void listen_serve(struct server_state *s, const struct generation *g);
/// Closes the sockets that are still a former generation's.
void listen_close(struct server_state *s, const struct generation *g);
