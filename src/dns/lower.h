// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// ASCII lower case over whole wire names: a length byte (at most 63) is below 'A', so no label walk is needed. Any
/// thread; pure.
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint8_t lower_byte(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

/// Eight bytes at once; in each lane bit 7 of `from_a ^ past_z` says 'A' ≤ c ≤ 'Z'.
static inline uint64_t lower_word(uint64_t v)
{
    const uint64_t lanes = UINT64_C(0x0101010101010101);
    uint64_t low = v & 0x7f * lanes;
    uint64_t from_a = low + (0x80 - 'A') * lanes;
    uint64_t past_z = low + (0x7f - 'Z') * lanes;
    uint64_t upper = (from_a ^ past_z) & ~v & 0x80 * lanes;
    return v | upper >> 2;
}

/// Copies `n` bytes in lower case.
static inline void lower_copy(uint8_t *out, const uint8_t *in, size_t n)
{
    for (; n >= 8; n -= 8, in += 8, out += 8) {
        uint64_t v;
        memcpy(&v, in, 8);
        v = lower_word(v);
        memcpy(out, &v, 8);
    }
    for (; n > 0; n--)
        *out++ = lower_byte(*in++);
}

/// True if `n` bytes are the same but for case.
static inline int lower_same(const uint8_t *a, const uint8_t *b, size_t n)
{
    for (; n >= 8; n -= 8, a += 8, b += 8) {
        uint64_t x, y;
        memcpy(&x, a, 8);
        memcpy(&y, b, 8);
        if (x != y && lower_word(x) != lower_word(y))
            return 0;
    }
    for (; n > 0; n--)
        if (lower_byte(*a++) != lower_byte(*b++))
            return 0;
    return 1;
}
