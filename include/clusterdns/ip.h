// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// IP addresses and networks. An IPv6 address that stands for an IPv4 one (::ffff:10.0.0.1, RFC 4291 §2.5.5.2) is that,
/// as in Go. Any thread; pure.
#include <clusterdns/error.h>
#include <stdbool.h>
#include <stdint.h>

/// An address in network order.
struct ip_address {
    uint8_t bytes[16]; ///< `len` of them
    uint8_t len;       ///< 4 or 16
};

/// Reads an address as Go's net.ParseIP does: "10.0.0.1" (four decimal numbers without leading zeros) or "fd00::1",
/// without a zone ("%eth0"). False: it is none.
bool ip_read(const char *text, struct ip_address *out);
/// Makes it the IPv4 address that it stands for, if it does.
void ip_unmap(struct ip_address *a);

/// The addresses whose first `bits` bits are those of `address`.
struct ip_network {
    struct ip_address address;
    uint8_t bits;
};

/// Reads "10.9.20.0/24" or "fd00::/8" as Go's net.ParseCIDR does; bits behind the first `bits` do not count. False: it
/// is none.
bool ip_network_read(const char *text, struct ip_network *out);
/// Is the address in the network?
bool ip_network_has(const struct ip_network *n, const struct ip_address *a);
