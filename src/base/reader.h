// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The only way in for bytes from outside: a cursor over a buffer with a sticky error. After an error every read gives
/// zero (or NULL) and changes nothing, so a parser checks once at its end. Any thread; nothing is allocated.
#include <clusterdns/error.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct reader {
    const uint8_t *base; ///< start of the buffer (not owned)
    size_t size;         ///< bytes in the buffer
    size_t pos;          ///< next byte to be read, at most `size`
    int error;           ///< 0, or the first error
};

static inline struct reader reader_init(const void *data, size_t size)
{
    return (struct reader){.base = data, .size = size};
}

/// Bytes left; 0 after an error.
static inline size_t reader_left(const struct reader *r)
{
    return r->error != 0 ? 0 : r->size - r->pos;
}

/// Sets the error unless there is one already.
static inline void reader_fail(struct reader *r, int error)
{
    if (r->error == 0)
        r->error = error;
}

/// A pointer to the next `n` bytes, which are consumed; NULL (CDNS_ETRUNC) when there are fewer.
static inline const uint8_t *reader_bytes(struct reader *r, size_t n)
{
    if (n > reader_left(r)) {
        reader_fail(r, CDNS_ETRUNC);
        return NULL;
    }
    if (r->error != 0)
        return NULL;
    const uint8_t *p = r->base + r->pos;
    r->pos += n;
    return p;
}

/// One byte; 0 after an error.
static inline uint8_t reader_u8(struct reader *r)
{
    const uint8_t *p = reader_bytes(r, 1);
    return p != NULL ? p[0] : 0;
}

/// 16 bits in network order; 0 after an error.
static inline uint16_t reader_u16(struct reader *r)
{
    const uint8_t *p = reader_bytes(r, 2);
    if (p == NULL)
        return 0;
    return (uint16_t)(p[0] << 8 | p[1]);
}

/// 32 bits in network order; 0 after an error.
static inline uint32_t reader_u32(struct reader *r)
{
    const uint8_t *p = reader_bytes(r, 4);
    if (p == NULL)
        return 0;
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/// Moves to an absolute position; CDNS_ETRUNC beyond the end.
static inline void reader_seek(struct reader *r, size_t pos)
{
    if (pos > r->size)
        reader_fail(r, CDNS_ETRUNC);
    else if (r->error == 0)
        r->pos = pos;
}
