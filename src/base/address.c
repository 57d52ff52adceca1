// SPDX-License-Identifier: Apache-2.0
#include <clusterdns/address.h>

bool address_equal(const union sockaddr_any *a, const union sockaddr_any *b)
{
    if (a->sa.sa_family != b->sa.sa_family)
        return false;
    if (a->sa.sa_family == AF_INET)
        return a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
    return IN6_ARE_ADDR_EQUAL(&a->in6.sin6_addr, &b->in6.sin6_addr) && a->in6.sin6_scope_id == b->in6.sin6_scope_id;
}
