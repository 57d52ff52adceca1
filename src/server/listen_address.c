// SPDX-License-Identifier: Apache-2.0
#include "server/listen_address.h"

#include <stdio.h>

bool listen_is_any(const union sockaddr_any *address)
{
    return address->sa.sa_family == AF_UNSPEC || address_is_any(address);
}

bool listen_is_same(const union sockaddr_any *a, const union sockaddr_any *b)
{
    if (listen_is_any(a) || listen_is_any(b))
        return listen_is_any(a) && listen_is_any(b);
    return address_equal(a, b);
}

const char *listen_text(const union sockaddr_any *address, uint16_t port, char out[ADDRESS_TEXT_MAX])
{
    union sockaddr_any with_port = *address;
    if (address->sa.sa_family == AF_UNSPEC) {
        snprintf(out, ADDRESS_TEXT_MAX, ":%u", port);
        return out;
    }
    address_set_port(&with_port, port);
    return address_text(&with_port, out);
}
