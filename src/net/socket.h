// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Sockets with the options that both transports need. Private to this room. Any thread.
#include <clusterdns/address.h>
#include <clusterdns/error.h>
#include <stdbool.h>
#include <stdint.h>

/// A non-blocking, close-on-exec socket of `type` (SOCK_DGRAM, SOCK_STREAM) bound to `address` with SO_REUSEPORT; IPv6
/// sockets never take IPv4. `*bound` is the address with its port filled in. The descriptor, or -1 with errno.
int socket_open(const union sockaddr_any *address, int type, union sockaddr_any *bound) CDNS_MUSTCHECK;
/// Sets an integer option. False with errno.
bool socket_set(int fd, int level, int option, int value) CDNS_MUSTCHECK;
/// Closes, keeping errno.
void socket_close(int fd);
