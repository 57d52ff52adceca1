// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The only way out for bytes: a cursor over a buffer with a sticky error. After an error nothing more is written.
/// Any thread; nothing is allocated.
#include <clusterdns/error.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct writer {
    uint8_t *base; ///< start of the buffer (not owned)
    size_t size;   ///< bytes it has room for
    size_t pos;    ///< bytes written
    int error;     ///< 0, or CDNS_ENOSPC from the first write that did not fit
};

static inline struct writer writer_init(void *data, size_t size)
{
    return (struct writer){.base = data, .size = size};
}

/// Room for `n` bytes, counted as written; NULL (CDNS_ENOSPC) when they do not fit.
static inline uint8_t *writer_reserve(struct writer *w, size_t n)
{
    if (w->error != 0)
        return NULL;
    if (n > w->size - w->pos) {
        w->error = CDNS_ENOSPC;
        return NULL;
    }
    uint8_t *p = w->base + w->pos;
    w->pos += n;
    return p;
}

static inline void writer_bytes(struct writer *w, const void *src, size_t n)
{
    uint8_t *p = writer_reserve(w, n);
    if (p != NULL && n > 0)
        memcpy(p, src, n);
}

static inline void writer_u8(struct writer *w, uint8_t v)
{
    uint8_t *p = writer_reserve(w, 1);
    if (p != NULL)
        p[0] = v;
}

/// 16 bits in network order.
static inline void writer_u16(struct writer *w, uint16_t v)
{
    uint8_t *p = writer_reserve(w, 2);
    if (p != NULL) {
        p[0] = (uint8_t)(v >> 8);
        p[1] = (uint8_t)v;
    }
}

/// 32 bits in network order.
static inline void writer_u32(struct writer *w, uint32_t v)
{
    uint8_t *p = writer_reserve(w, 4);
    if (p != NULL) {
        p[0] = (uint8_t)(v >> 24);
        p[1] = (uint8_t)(v >> 16);
        p[2] = (uint8_t)(v >> 8);
        p[3] = (uint8_t)v;
    }
}

/// Goes back to `pos` (at most the present position) and forgets the error: the bytes behind it were not written.
static inline void writer_rewind(struct writer *w, size_t pos)
{
    w->pos = pos;
    w->error = 0;
}
