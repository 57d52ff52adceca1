// SPDX-License-Identifier: Apache-2.0
#include "dnsbench/digest.h"

#include "base/splitmix.h"
#include "dnsbench/wire.h"
#include <clusterdns/name.h>
#include <clusterdns/record.h>
#include <ctype.h>
#include <string.h>

uint64_t digest_of_rcode(unsigned rcode)
{
    return rcode * UINT64_C(0x9e3779b97f4a7c15);
}

// FNV-1a, mixed at the end: records add up, so that their order says nothing.
static uint64_t hash(uint64_t h, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        h = (h ^ data[i]) * UINT64_C(0x100000001b3);
    return h;
}

static uint64_t hash_lower(uint64_t h, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        h = (h ^ (uint8_t)tolower(data[i])) * UINT64_C(0x100000001b3);
    return h;
}

// Bytes before the name in these types' rdata; -1: there is none, or none that may be compressed.
static int before_name(uint16_t type)
{
    switch (type) {
    case RR_CNAME:
    case RR_NS:
    case RR_PTR:
        return 0;
    case RR_MX:
        return 2;
    case RR_SRV:
        return 6;
    default:
        return -1;
    }
}

uint64_t digest_with(uint64_t digest, const uint8_t *owner, uint16_t type, const uint8_t *rdata, size_t rdata_size)
{
    const uint8_t head[2] = {(uint8_t)(type >> 8), (uint8_t)type};
    int before = before_name(type);
    size_t fixed = before < 0 || (size_t)before > rdata_size ? rdata_size : (size_t)before;
    uint64_t h = hash(UINT64_C(0xcbf29ce484222325), head, sizeof head);
    h = hash_lower(h, owner, name_length(owner));
    h = hash(h, rdata, fixed);
    h = hash_lower(h, rdata + fixed, rdata_size - fixed);
    return digest + splitmix_mix(h);
}

// The rdata of a record without compression; false: malformed.
static bool plain_rdata(const uint8_t *message, size_t size, size_t at, size_t length, uint16_t type, uint8_t *out,
                        size_t *out_size)
{
    int before = before_name(type);
    if (before < 0)
        return false;
    size_t name_at = at + (size_t)before;
    if ((size_t)before >= length)
        return false;
    memcpy(out, message + at, (size_t)before);
    size_t n = wire_name(message, size, &name_at, out + before);
    *out_size = (size_t)before + n;
    return n > 0 && name_at == at + length;
}

bool digest_of_message(const uint8_t *message, size_t size, uint64_t *digest)
{
    uint8_t owner[NAME_MAX_WIRE], plain[8 + NAME_MAX_WIRE];
    struct wire_walk walk;
    struct wire_record r;
    bool malformed;
    if (!wire_begin(&walk, message, size))
        return false;
    uint64_t sum = digest_of_rcode(wire_rcode(message, size));
    while (wire_next(&walk, &r, &malformed) && r.section == 0) {
        size_t rdata_size = r.rdata_size;
        const uint8_t *rdata = message + r.rdata;
        if (r.class_ != CLASS_IN || wire_name(message, size, &r.owner, owner) == 0)
            return false;
        if (before_name(r.type) >= 0) {
            if (!plain_rdata(message, size, r.rdata, r.rdata_size, r.type, plain, &rdata_size))
                return false;
            rdata = plain;
        }
        sum = digest_with(sum, owner, r.type, rdata, rdata_size);
    }
    *digest = sum;
    return !malformed || r.section > 0;
}
