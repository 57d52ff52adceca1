// SPDX-License-Identifier: Apache-2.0
#include <clusterdns/address.h>

#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

static void unmap(union sockaddr_any *a)
{
    struct in6_addr v6 = a->in6.sin6_addr;
    uint16_t port = a->in6.sin6_port;
    if (!IN6_IS_ADDR_V4MAPPED(&v6))
        return;
    *a = (union sockaddr_any){.in = {.sin_family = AF_INET, .sin_port = port}};
    memcpy(&a->in.sin_addr, v6.s6_addr + 12, sizeof a->in.sin_addr);
}

bool address_read(const char *text, uint16_t port, union sockaddr_any *out)
{
    char host[INET6_ADDRSTRLEN];
    const char *zone = strchr(text, '%');
    size_t len = zone != NULL ? (size_t)(zone - text) : strlen(text);
    *out = (union sockaddr_any){.in6 = {.sin6_family = AF_UNSPEC}};
    if (len >= sizeof host)
        return false;
    memcpy(host, text, len);
    host[len] = '\0';
    if (zone == NULL && inet_pton(AF_INET, host, &out->in.sin_addr) == 1)
        out->sa.sa_family = AF_INET;
    else if (inet_pton(AF_INET6, host, &out->in6.sin6_addr) == 1)
        out->sa.sa_family = AF_INET6;
    else
        return false;
    address_set_port(out, port);
    if (zone != NULL) {
        out->in6.sin6_scope_id = if_nametoindex(zone + 1);
        return out->in6.sin6_scope_id != 0 && IN6_IS_ADDR_LINKLOCAL(&out->in6.sin6_addr);
    }
    if (out->sa.sa_family == AF_INET6)
        unmap(out);
    return true;
}

const char *address_host(const union sockaddr_any *a, char out[ADDRESS_HOST_MAX])
{
    char host[INET6_ADDRSTRLEN] = "", interface[IF_NAMESIZE] = "";
    uint32_t scope = a->sa.sa_family == AF_INET6 ? a->in6.sin6_scope_id : 0;
    if (a->sa.sa_family == AF_INET)
        inet_ntop(AF_INET, &a->in.sin_addr, host, sizeof host);
    else if (a->sa.sa_family == AF_INET6)
        inet_ntop(AF_INET6, &a->in6.sin6_addr, host, sizeof host);
    if (scope != 0 && if_indextoname(scope, interface) == NULL)
        snprintf(interface, sizeof interface, "%u", scope);
    snprintf(out, ADDRESS_HOST_MAX, "%s%s%s", host, scope != 0 ? "%" : "", interface);
    return out;
}

const char *address_text(const union sockaddr_any *a, char out[ADDRESS_TEXT_MAX])
{
    char host[ADDRESS_HOST_MAX];
    bool v6 = a->sa.sa_family == AF_INET6;
    snprintf(out, ADDRESS_TEXT_MAX, "%s%s%s:%u", v6 ? "[" : "", address_host(a, host), v6 ? "]" : "", address_port(a));
    return out;
}

uint16_t address_port(const union sockaddr_any *a)
{
    return a->sa.sa_family == AF_INET    ? ntohs(a->in.sin_port)
           : a->sa.sa_family == AF_INET6 ? ntohs(a->in6.sin6_port)
                                         : 0;
}

void address_set_port(union sockaddr_any *a, uint16_t port)
{
    if (a->sa.sa_family == AF_INET6)
        a->in6.sin6_port = htons(port);
    else
        a->in.sin_port = htons(port);
}

socklen_t address_size(const union sockaddr_any *a)
{
    return a->sa.sa_family == AF_INET ? sizeof a->in : a->sa.sa_family == AF_INET6 ? sizeof a->in6 : 0;
}

bool address_is_any(const union sockaddr_any *a)
{
    if (a->sa.sa_family == AF_INET)
        return a->in.sin_addr.s_addr == htonl(INADDR_ANY);
    return a->sa.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&a->in6.sin6_addr);
}

bool address_equal(const union sockaddr_any *a, const union sockaddr_any *b)
{
    if (a->sa.sa_family != b->sa.sa_family)
        return false;
    if (a->sa.sa_family == AF_INET)
        return a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
    return a->sa.sa_family != AF_INET6 ||
           (IN6_ARE_ADDR_EQUAL(&a->in6.sin6_addr, &b->in6.sin6_addr) && a->in6.sin6_scope_id == b->in6.sin6_scope_id);
}

bool address_port_equal(const union sockaddr_any *a, const union sockaddr_any *b)
{
    return address_equal(a, b) && address_port(a) == address_port(b);
}
