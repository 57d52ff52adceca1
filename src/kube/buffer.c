// SPDX-License-Identifier: Apache-2.0
#include "kube/buffer.h"
#include <stdlib.h>
#include <string.h>

#define KEPT 65536 // a larger one is freed when it is emptied

int buffer_append(struct buffer *b, size_t max, const void *data, size_t len)
{
    if (len > max - b->len)
        return CDNS_ELIMIT;
    if (len > b->cap - b->len) {
        size_t cap = b->cap < 1024 ? 1024 : b->cap;
        while (cap < b->len + len)
            cap *= 2;
        char *grown = realloc(b->data, cap);
        if (grown == NULL)
            return CDNS_ENOMEM;
        b->data = grown;
        b->cap = cap;
    }
    if (len > 0)
        memcpy(b->data + b->len, data, len);
    b->len += len;
    return 0;
}

void buffer_clear(struct buffer *b)
{
    b->len = 0;
    if (b->cap > KEPT)
        buffer_free(b);
}

void buffer_free(struct buffer *b)
{
    free(b->data);
    *b = (struct buffer){0};
}
