// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Socket addresses: IPv4 or IPv6 with a port, link-local ones with their interface. Any thread; pure, but for looking
/// up interfaces by name and number.
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/// An IPv4 or IPv6 socket address; `sa.sa_family` says which, AF_UNSPEC: none.
union sockaddr_any {
    struct sockaddr sa;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
};

#define ADDRESS_HOST_MAX 64 ///< bytes of an address with its interface, NUL included
#define ADDRESS_TEXT_MAX 80 ///< of one with its port, too

/// Reads "10.0.0.1", "fd00::1" or, of an interface that there is, "fe80::1%eth0"; an IPv4 address inside of IPv6 is
/// that, as for Go. `port` in host order. False: it is none.
bool address_read(const char *text, uint16_t port, union sockaddr_any *out);
/// Writes "127.0.0.1", "::1", "fe80::1%eth0", "" for AF_UNSPEC. Returns `out`.
const char *address_host(const union sockaddr_any *a, char out[ADDRESS_HOST_MAX]);
/// Writes "127.0.0.1:53", "[::1]:53", ":0" for AF_UNSPEC, as Go's net.JoinHostPort. Returns `out`.
const char *address_text(const union sockaddr_any *a, char out[ADDRESS_TEXT_MAX]);
/// The port, in host order; 0 for AF_UNSPEC.
uint16_t address_port(const union sockaddr_any *a);
/// Sets it; not of AF_UNSPEC.
void address_set_port(union sockaddr_any *a, uint16_t port);
/// Bytes of the family's sockaddr; 0 for AF_UNSPEC.
socklen_t address_size(const union sockaddr_any *a);
/// Is it 0.0.0.0 or "::"?
bool address_is_any(const union sockaddr_any *a);
/// Is it the same address? Interfaces of link-local ones count, ports do not. Two AF_UNSPEC are.
bool address_equal(const union sockaddr_any *a, const union sockaddr_any *b);
/// The same, with the port.
bool address_port_equal(const union sockaddr_any *a, const union sockaddr_any *b);
