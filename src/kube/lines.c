// SPDX-License-Identifier: Apache-2.0
#include "kube/lines.h"
#include <stdlib.h>
#include <string.h>

#define KEPT 16384 // a larger buffer is freed as soon as its line is complete

void lines_init(struct lines *l, size_t max)
{
    *l = (struct lines){.max = max};
}

void lines_reset(struct lines *l)
{
    free(l->data);
    lines_init(l, l->max);
}

static int keep(struct lines *l, const char *data, size_t len)
{
    if (len > l->max - l->len)
        return CDNS_ELIMIT;
    if (len > l->cap - l->len) {
        size_t cap = l->cap < 1024 ? 1024 : l->cap;
        while (cap < l->len + len)
            cap *= 2;
        char *grown = realloc(l->data, cap);
        if (grown == NULL)
            return CDNS_ENOMEM;
        l->data = grown;
        l->cap = cap;
    }
    memcpy(l->data + l->len, data, len);
    l->len += len;
    return 0;
}

// Hands out the kept beginning of a line together with its end.
static int finish_kept(struct lines *l, const char *data, size_t len,
                       int (*line)(void *arg, const char *text, size_t len), void *arg)
{
    int r = keep(l, data, len);
    if (r == 0)
        r = line(arg, l->data, l->len);
    l->len = 0;
    if (l->cap > KEPT)
        lines_reset(l);
    return r;
}

int lines_feed(struct lines *l, const char *data, size_t len, int (*line)(void *arg, const char *text, size_t len),
               void *arg)
{
    while (len > 0) {
        const char *end = memchr(data, '\n', len);
        if (end == NULL)
            return keep(l, data, len);
        size_t n = (size_t)(end - data);
        int r = 0;
        if (l->len > 0)
            r = finish_kept(l, data, n, line, arg);
        else if (n > l->max)
            r = CDNS_ELIMIT;
        else if (n > 0)
            r = line(arg, data, n);
        if (r != 0)
            return r;
        data = end + 1;
        len -= n + 1;
    }
    return 0;
}

size_t lines_left(const struct lines *l)
{
    return l->len;
}
