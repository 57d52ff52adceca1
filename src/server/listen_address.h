// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Addresses that are listened on. Those that stand for all of the machine's (none given, 0.0.0.0, ::) are one: as for
/// CoreDNS, each of them takes IPv4 and IPv6. Pure functions, any thread.
#include <clusterdns/address.h>
#include <stdbool.h>
#include <stdint.h>

/// Does it stand for all addresses? `sa_family` AF_UNSPEC does, too.
bool listen_is_any(const union sockaddr_any *address);
/// Are two the same, interfaces of link-local ones included? Ports are not looked at.
bool listen_is_same(const union sockaddr_any *a, const union sockaddr_any *b);
/// "127.0.0.1:53", "[::1]:53", ":53", as address_text() but with this port. Returns `out`.
const char *listen_text(const union sockaddr_any *address, uint16_t port, char out[ADDRESS_TEXT_MAX]);
