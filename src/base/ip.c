// SPDX-License-Identifier: Apache-2.0
#include <clusterdns/ip.h>

#include <arpa/inet.h>
#include <string.h>

#define MAPPED_BITS 96 // of ::ffff:0:0/96

void ip_unmap(struct ip_address *a)
{
    static const uint8_t mapped[MAPPED_BITS / 8] = {[10] = 0xff, [11] = 0xff};
    if (a->len != 16 || memcmp(a->bytes, mapped, sizeof mapped) != 0)
        return;
    memmove(a->bytes, a->bytes + sizeof mapped, 4);
    a->len = 4;
}

static bool read_unmapped(const char *text, struct ip_address *out)
{
    *out = (struct ip_address){.len = strchr(text, ':') != NULL ? 16 : 4};
    return inet_pton(out->len == 16 ? AF_INET6 : AF_INET, text, out->bytes) == 1;
}

bool ip_read(const char *text, struct ip_address *out)
{
    if (!read_unmapped(text, out))
        return false;
    ip_unmap(out);
    return true;
}

// A decimal number of at most `max`; -1 for anything else.
static int read_bits(const char *text, int max)
{
    int value = 0;
    if (*text == '\0')
        return -1;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9' || value > max)
            return -1;
        value = value * 10 + (*text - '0');
    }
    return value <= max ? value : -1;
}

bool ip_network_read(const char *text, struct ip_network *out)
{
    char address[INET6_ADDRSTRLEN];
    size_t len = strcspn(text, "/");
    if (text[len] == '\0' || len >= sizeof address)
        return false;
    memcpy(address, text, len);
    address[len] = '\0';
    if (!read_unmapped(address, &out->address))
        return false;
    int bits = read_bits(text + len + 1, 8 * out->address.len);
    if (bits < 0)
        return false;
    out->bits = (uint8_t)bits;
    if (bits >= MAPPED_BITS) {
        ip_unmap(&out->address);
        if (out->address.len == 4)
            out->bits = (uint8_t)(bits - MAPPED_BITS);
    }
    return true;
}

bool ip_network_has(const struct ip_network *n, const struct ip_address *a)
{
    unsigned whole = n->bits / 8U, rest = n->bits % 8U;
    if (a->len != n->address.len || memcmp(a->bytes, n->address.bytes, whole) != 0)
        return false;
    return rest == 0 || (a->bytes[whole] ^ n->address.bytes[whole]) >> (8 - rest) == 0;
}
