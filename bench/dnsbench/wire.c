// SPDX-License-Identifier: Apache-2.0
#include "dnsbench/wire.h"

#include "dns/name_wire.h"
#include <clusterdns/record.h>

#define FIXED 10 // bytes of a record between owner and rdata

size_t wire_name(const uint8_t *message, size_t size, size_t *at, uint8_t *out)
{
    struct reader r = reader_init(message, size);
    reader_seek(&r, *at);
    size_t n = name_unpack(&r, out);
    *at = r.pos;
    return n;
}

// False: it is cut off, or has a label of no known form.
static bool skip_name(const uint8_t *message, size_t size, size_t *at)
{
    while (*at < size && message[*at] != 0 && message[*at] < 0x40)
        *at += 1U + message[*at];
    if (*at >= size || (message[*at] != 0 && message[*at] < 0xc0))
        return false;
    *at += message[*at] != 0 ? 2 : 1;
    return *at <= size;
}

bool wire_begin(struct wire_walk *w, const uint8_t *message, size_t size)
{
    uint8_t name[NAME_MAX_WIRE];
    *w = (struct wire_walk){.message = message, .size = size, .at = WIRE_HEADER};
    if (size < WIRE_HEADER)
        return false;
    for (unsigned i = 0; i < 3; i++)
        w->left[i] = wire_u16(message + 6 + 2 * i);
    for (unsigned i = wire_u16(message + 4); i > 0; i--, w->at += 4)
        if (wire_name(message, size, &w->at, name) == 0)
            return false;
    return w->at <= size;
}

bool wire_next(struct wire_walk *w, struct wire_record *out, bool *malformed)
{
    while (w->section < 3 && w->left[w->section] == 0)
        w->section++;
    if (malformed != NULL)
        *malformed = false;
    if (w->section == 3)
        return false;
    out->section = w->section;
    out->owner = w->at;
    bool whole = skip_name(w->message, w->size, &w->at) && w->at + FIXED <= w->size;
    if (whole) {
        const uint8_t *fixed = w->message + w->at;
        out->type = (uint16_t)wire_u16(fixed);
        out->class_ = (uint16_t)wire_u16(fixed + 2);
        out->ttl = (uint32_t)wire_u16(fixed + 4) << 16 | wire_u16(fixed + 6);
        out->rdata_size = (uint16_t)wire_u16(fixed + 8);
        out->rdata = w->at + FIXED;
        w->at = out->rdata + out->rdata_size;
        w->left[w->section]--;
        whole = w->at <= w->size;
    }
    if (!whole && malformed != NULL)
        *malformed = true;
    return whole;
}

unsigned wire_rcode(const uint8_t *message, size_t size)
{
    struct wire_walk walk;
    struct wire_record r;
    unsigned rcode = message[3] & 15;
    if (wire_u16(message + 10) == 0 || !wire_begin(&walk, message, size))
        return rcode;
    while (wire_next(&walk, &r, NULL))
        if (r.section == 2 && r.type == RR_OPT)
            return rcode | (r.ttl >> 24) << 4;
    return rcode;
}
