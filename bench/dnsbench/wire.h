// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// As much of a message (RFC 1035 §4) as a client has to look at: its records one after the other, in place. Pure.
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_HEADER 12 ///< bytes

/// A record; places are bytes from the message's beginning.
struct wire_record {
    unsigned section; ///< 0: answer, 1: authority, 2: additional
    size_t owner, rdata;
    uint16_t type, class_, rdata_size; ///< host order; all of the rdata is in the message
    uint32_t ttl;                      ///< host order
};

/// A walk over the records.
struct wire_walk {
    const uint8_t *message;
    size_t size, at;
    unsigned section, left[3];
};

/// A number of 16 bits.
static inline unsigned wire_u16(const uint8_t *p)
{
    return (unsigned)p[0] << 8 | p[1];
}

/// Begins behind the questions. False: there is no whole header, or the questions are malformed.
bool wire_begin(struct wire_walk *w, const uint8_t *message, size_t size);
/// The next record; false: there is none, or (`*malformed`, which may be NULL) it is cut off or none.
bool wire_next(struct wire_walk *w, struct wire_record *out, bool *malformed);
/// Reads a name at `*at`, compression undone, into `out` (255 bytes); `*at` is behind it then. Returns its length, 0 if
/// it is malformed.
size_t wire_name(const uint8_t *message, size_t size, size_t *at, uint8_t *out);
/// The rcode, with the OPT record's bits (RFC 6891 §6.1.3) if there is one.
unsigned wire_rcode(const uint8_t *message, size_t size);
