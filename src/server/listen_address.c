// SPDX-License-Identifier: Apache-2.0
#include "server/listen_address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

bool listen_is_any(const union sockaddr_any *address)
{
    switch (address->sa.sa_family) {
    case AF_INET:
        return address->in.sin_addr.s_addr == htonl(INADDR_ANY);
    case AF_INET6:
        return IN6_IS_ADDR_UNSPECIFIED(&address->in6.sin6_addr);
    default:
        return true;
    }
}

bool listen_is_same(const union sockaddr_any *a, const union sockaddr_any *b)
{
    if (listen_is_any(a) || listen_is_any(b))
        return listen_is_any(a) && listen_is_any(b);
    return address_equal(a, b);
}

const char *listen_host(const union sockaddr_any *address, char out[LISTEN_HOST_MAX])
{
    char host[INET6_ADDRSTRLEN] = "", interface[IF_NAMESIZE] = "";
    uint32_t scope = address->sa.sa_family == AF_INET6 ? address->in6.sin6_scope_id : 0;
    if (address->sa.sa_family == AF_INET)
        inet_ntop(AF_INET, &address->in.sin_addr, host, sizeof host);
    else if (address->sa.sa_family == AF_INET6)
        inet_ntop(AF_INET6, &address->in6.sin6_addr, host, sizeof host);
    if (scope != 0 && if_indextoname(scope, interface) == NULL)
        snprintf(interface, sizeof interface, "%u", scope);
    snprintf(out, LISTEN_HOST_MAX, "%s%s%s", host, scope != 0 ? "%" : "", interface);
    return out;
}

const char *listen_text(const union sockaddr_any *address, uint16_t port, char out[LISTEN_TEXT_MAX])
{
    char host[LISTEN_HOST_MAX];
    bool v6 = address->sa.sa_family == AF_INET6;
    snprintf(out, LISTEN_TEXT_MAX, "%s%s%s:%u", v6 ? "[" : "", listen_host(address, host), v6 ? "]" : "", port);
    return out;
}
