// SPDX-License-Identifier: Apache-2.0
#include "kube/decode.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#define GROUPS 8 // 16-bit groups of an IPv6 address

// The start of the first longest run of at least two zero groups (RFC 5952 §4.2); `*len` 0: none.
static size_t zero_run(const uint16_t group[GROUPS], size_t *len)
{
    size_t best = 0;
    *len = 0;
    for (size_t i = 0; i < GROUPS; i++) {
        size_t n = 0;
        while (i + n < GROUPS && group[i + n] == 0)
            n++;
        if (n >= 2 && n > *len) {
            best = i;
            *len = n;
        }
        i += n;
    }
    return best;
}

// RFC 5952 text without the mixed notation of its §5: that is how Go, and so CoreDNS, writes addresses.
static void ipv6_text(const uint8_t bytes[16], char out[INET6_ADDRSTRLEN])
{
    uint16_t group[GROUPS];
    for (size_t i = 0; i < GROUPS; i++)
        group[i] = (uint16_t)(bytes[2 * i] << 8 | bytes[2 * i + 1]);
    size_t len;
    size_t run = zero_run(group, &len);
    int at = 0;
    for (size_t i = 0; i < GROUPS;) {
        if (len > 0 && i == run) {
            at += snprintf(out + at, (size_t)(INET6_ADDRSTRLEN - at), i == 0 ? "::" : ":");
            i += len;
            continue;
        }
        at += snprintf(out + at, (size_t)(INET6_ADDRSTRLEN - at), i + 1 < GROUPS ? "%x:" : "%x", (unsigned)group[i]);
        i++;
    }
}

int decode_address(const char *text, struct kube_address *out, bool *canonical)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    bool as_written = true; // inet_pton takes exactly four decimal numbers without leading zeros
    *out = (struct kube_address){.len = 4};
    if (inet_pton(AF_INET, text, out->bytes) != 1) {
        if (inet_pton(AF_INET6, text, out->bytes) != 1)
            return CDNS_EINVAL;
        char written[INET6_ADDRSTRLEN];
        ipv6_text(out->bytes, written);
        as_written = strcmp(written, text) == 0;
        out->len = 16;
    }
    if (out->len == 16 && memcmp(out->bytes, mapped, sizeof mapped) == 0) {
        const uint8_t *v4 = out->bytes + sizeof mapped;
        *out = (struct kube_address){.bytes = {v4[0], v4[1], v4[2], v4[3]}, .len = 4};
        as_written = false;
    }
    if (canonical != NULL)
        *canonical = as_written;
    return 0;
}
