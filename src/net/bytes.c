// SPDX-License-Identifier: Apache-2.0
#include "net/bytes.h"
#include <stdlib.h>
#include <string.h>

#define BUFFER_MIN 512u // first allocation, enough for most questions

// Moves what is left to the begin.
static void compact(struct bytes *b)
{
    if (b->pos > 0)
        memmove(b->data, b->data + b->pos, bytes_left(b));
    b->len -= b->pos;
    b->pos = 0;
}

static bool grow(struct bytes *b, size_t need, size_t most)
{
    size_t size = b->size > 0 ? b->size : BUFFER_MIN;
    while (size < need)
        size *= 2;
    if (size > most)
        size = most;
    if (size < need)
        return false;
    uint8_t *data = realloc(b->data, size);
    if (data == NULL)
        return false;
    b->data = data;
    b->size = size;
    return true;
}

bool bytes_append(struct bytes *b, const void *data, size_t size, size_t most)
{
    if (b->len + size > b->size)
        compact(b);
    if (b->len + size > b->size && !grow(b, b->len + size, most))
        return false;
    memcpy(b->data + b->len, data, size);
    b->len += size;
    return true;
}

void bytes_free(struct bytes *b)
{
    free(b->data);
    *b = (struct bytes){0};
}
