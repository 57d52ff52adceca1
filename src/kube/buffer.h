// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Bytes that come in pieces, put together up to a bound. One thread at a time.
#include <clusterdns/error.h>
#include <stddef.h>

/// Zeroed: empty.
struct buffer {
    char *data;
    size_t len, cap;
};

/// Appends `len` bytes. CDNS_ELIMIT: it would hold more than `max`; CDNS_ENOMEM.
int buffer_append(struct buffer *b, size_t max, const void *data, size_t len) CDNS_MUSTCHECK;
/// Empties it for the next thing of its kind. One that was huge does not keep its memory.
void buffer_clear(struct buffer *b);
/// Empties it and frees its memory.
void buffer_free(struct buffer *b);
