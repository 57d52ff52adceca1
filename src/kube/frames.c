// SPDX-License-Identifier: Apache-2.0
#include "kube/frames.h"
#include "base/reader.h"
#include <stdint.h>

#define HEADER 4 // bytes of a length

void frames_init(struct frames *f, size_t max)
{
    *f = (struct frames){.max = max};
}

void frames_reset(struct frames *f)
{
    buffer_free(&f->begun);
}

// Bytes of the frame that begins here, with its length. There are at least HEADER.
static size_t frame_size(const void *data)
{
    struct reader r = reader_init(data, HEADER);
    return HEADER + (size_t)reader_u32(&r);
}

// Adds to the frame that has begun as much as belongs to it, and hands it out when it is complete. `*used` bytes of
// `data` were of use.
static int go_on(struct frames *f, const char *data, size_t len, size_t *used,
                 int (*frame)(void *arg, const char *data, size_t len), void *arg)
{
    struct buffer *b = &f->begun;
    size_t want = (b->len < HEADER ? HEADER : frame_size(b->data)) - b->len;
    *used = want < len ? want : len;
    int r = buffer_append(b, HEADER + f->max, data, *used);
    if (r != 0 || b->len < HEADER)
        return r;
    if (frame_size(b->data) > HEADER + f->max)
        return CDNS_ELIMIT;
    if (b->len < frame_size(b->data))
        return 0;
    r = frame(arg, b->data + HEADER, b->len - HEADER);
    buffer_clear(b);
    return r;
}

int frames_feed(struct frames *f, const char *data, size_t len, int (*frame)(void *arg, const char *data, size_t len),
                void *arg)
{
    int r = 0;
    while (r == 0 && len > 0) {
        size_t used;
        if (f->begun.len > 0 || len < HEADER || frame_size(data) > len) {
            r = go_on(f, data, len, &used, frame, arg);
        } else if ((used = frame_size(data)) > HEADER + f->max) {
            r = CDNS_ELIMIT;
        } else {
            r = frame(arg, data + HEADER, used - HEADER);
        }
        data += used;
        len -= used;
    }
    return r;
}
