// SPDX-License-Identifier: Apache-2.0
#include "kube/lines.h"
#include <string.h>

void lines_init(struct lines *l, size_t max)
{
    *l = (struct lines){.max = max};
}

void lines_reset(struct lines *l)
{
    buffer_free(&l->begun);
}

// Hands out the kept beginning of a line together with its end.
static int finish_begun(struct lines *l, const char *data, size_t len,
                        int (*line)(void *arg, const char *text, size_t len), void *arg)
{
    int r = buffer_append(&l->begun, l->max, data, len);
    if (r == 0)
        r = line(arg, l->begun.data, l->begun.len);
    buffer_clear(&l->begun);
    return r;
}

int lines_feed(struct lines *l, const char *data, size_t len, int (*line)(void *arg, const char *text, size_t len),
               void *arg)
{
    while (len > 0) {
        const char *end = memchr(data, '\n', len);
        if (end == NULL)
            return buffer_append(&l->begun, l->max, data, len);
        size_t n = (size_t)(end - data);
        int r = 0;
        if (l->begun.len > 0)
            r = finish_begun(l, data, n, line, arg);
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
