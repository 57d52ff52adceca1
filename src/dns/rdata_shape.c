// SPDX-License-Identifier: Apache-2.0
#include "dns/rdata_shape.h"

#include <clusterdns/record.h>

#define ONE_NAME                                                                                                       \
    {                                                                                                                  \
        .names = 1, .written = RDATA_COMPRESSED                                                                        \
    }

const struct rdata_shape rdata_shapes[RDATA_SHAPES_COUNT] = {
    [RR_NS] = ONE_NAME,
    [3] = ONE_NAME, // MD
    [4] = ONE_NAME, // MF
    [RR_CNAME] = ONE_NAME,
    [RR_SOA] = {.names = 2, .rest = 20, .written = RDATA_COMPRESSED},
    [7] = ONE_NAME, // MB
    [8] = ONE_NAME, // MG
    [9] = ONE_NAME, // MR
    [RR_PTR] = ONE_NAME,
    [14] = {.names = 2, .written = RDATA_COMPRESSED}, // MINFO
    [RR_MX] = {.prefix = 2, .names = 1, .written = RDATA_COMPRESSED},
    [17] = {.names = 2},                                  // RP (RFC 1183 §2.2)
    [18] = {.prefix = 2, .names = 1},                     // AFSDB (RFC 1183 §1)
    [21] = {.prefix = 2, .names = 1},                     // RT (RFC 1183 §3.3)
    [24] = {.prefix = 18, .names = 1, .rest = RDATA_ANY}, // SIG (RFC 2535 §4.1)
    [26] = {.prefix = 2, .names = 2},                     // PX (RFC 2163 §4)
    [30] = {.names = 1, .rest = RDATA_ANY},               // NXT (RFC 2535 §5.2)
    [RR_SRV] = {.prefix = 6, .names = 1, .written = RDATA_NOTED},
    [RR_NAPTR] = {.prefix = 4, .strings = RDATA_STRINGS, .names = 1},
    [36] = {.prefix = 2, .names = 1}, // KX (RFC 2230 §3.1)
    [RR_DNAME] = {.names = 1, .written = RDATA_NOTED},
    [RR_RRSIG] = {.prefix = 18, .names = 1, .rest = RDATA_ANY},
    [RR_NSEC] = {.names = 1, .rest = RDATA_ANY},
};
