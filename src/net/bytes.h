// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Bytes of a stream that wait: received and not whole, or not taken by the kernel yet. Private to this room.
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// Zero-initialised it is empty and takes no memory.
struct bytes {
    uint8_t *data;
    size_t pos;  ///< bytes done with
    size_t len;  ///< bytes in all
    size_t size; ///< bytes allocated
};

static inline size_t bytes_left(const struct bytes *b)
{
    return b->len - b->pos;
}

/// Appends, with at most `most` bytes allocated. The memory doubles, so that a message that comes byte by byte is
/// copied a few times only, and so that what is announced takes no memory before it is there. False: that is too
/// little, or out of memory; nothing changed.
bool bytes_append(struct bytes *b, const void *data, size_t size, size_t most);
/// Forgets what is in it and gives the memory back.
void bytes_free(struct bytes *b);
