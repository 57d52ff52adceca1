// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Between the sockets and the chain: what a message must be to get into a chain (the answers CoreDNS and its DNS
/// library give to all others), and how a reply gets out. Worker thread.
#include "net/net.h"

/// A udp_handler and a tcp_handler; `arg` is a struct worker_socket.
size_t serve_udp(void *arg, struct udp_listener *listener, const struct udp_peer *peer, const uint8_t *packet,
                 size_t size, uint8_t *out, size_t cap);
long serve_tcp(void *arg, struct tcp_connection *connection, const uint8_t *packet, size_t size, uint8_t *out,
               size_t cap);
