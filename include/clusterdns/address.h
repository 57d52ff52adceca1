// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Socket addresses.
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

/// An IPv4 or IPv6 socket address; `sa.sa_family` says which.
union sockaddr_any {
    struct sockaddr sa;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
};

/// Is it the same address? Interfaces of link-local ones count, ports do not. Any thread; pure.
bool address_equal(const union sockaddr_any *a, const union sockaddr_any *b);
