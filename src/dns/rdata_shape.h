// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Where the names are in the rdata of a type that has some. Any thread; pure.
#include <stddef.h>
#include <stdint.h>

#define RDATA_ANY UINT8_MAX    ///< rest: any number of bytes
#define RDATA_STRINGS 3        ///< character-strings of NAPTR behind its `prefix` (RFC 3403 §4.1)
#define RDATA_SHAPES_COUNT 48U ///< types below this number are in the table

/// What becomes of the names when a message is written.
enum rdata_names {
    RDATA_COPIED,     ///< nothing: the rdata is copied
    RDATA_NOTED,      ///< never compressed, but records behind may point to them
    RDATA_COMPRESSED, ///< only RFC 1035's own types (RFC 3597 §4)
};

/// `prefix` bytes, then (`strings`) RDATA_STRINGS character-strings, `names` names, `rest` bytes.
struct rdata_shape {
    uint8_t prefix, strings, names, rest;
    uint8_t written; ///< enum rdata_names
};

extern const struct rdata_shape rdata_shapes[RDATA_SHAPES_COUNT];

/// The shape of a type whose rdata may have come with its names compressed: RFC 1035's own, those that RFC 3597 §4
/// wants uncompressed, and of the later ones DNAME, KX, RRSIG, NSEC, where no sender may compress and some have.
/// NULL: none; the rdata is bytes.
static inline const struct rdata_shape *rdata_shape(uint16_t type)
{
    return type < RDATA_SHAPES_COUNT && rdata_shapes[type].names > 0 ? &rdata_shapes[type] : NULL;
}
