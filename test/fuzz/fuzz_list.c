// SPDX-License-Identifier: Apache-2.0
// \file
// A list's body cut into pieces (the first byte says how large) is split as the whole is, and a watch stream's lines
// and frames likewise.
#include "kube/frames.h"
#include "kube/lines.h"
#include "kube/list_splitter.h"
#include "kube/protobuf_list.h"
#include <stdint.h>
#include <string.h>

#define MAX 300 // bytes of one element, line or frame: small, so that the bound is met

// What came out: a running sum over all elements.
struct sum {
    uint64_t hash;
    size_t count;
};

static int add(void *arg, const char *text, size_t len)
{
    struct sum *s = arg;
    INVARIANT(len <= MAX);
    for (size_t i = 0; i < len; i++)
        s->hash = (s->hash ^ (uint8_t)text[i]) * UINT64_C(1099511628211);
    s->hash = (s->hash ^ 256) * UINT64_C(1099511628211);
    s->count++;
    return 0;
}

static int split(const char *text, size_t len, size_t step, struct sum *s)
{
    struct list_splitter *l = list_splitter_new(MAX, add, s);
    INVARIANT(l != NULL);
    int r = 0;
    for (size_t i = 0; r == 0 && i < len; i += step)
        r = list_splitter_feed(l, text + i, len - i < step ? len - i : step);
    const char *envelope = "";
    size_t size = 0;
    if (r == 0)
        r = list_splitter_finish(l, &envelope, &size);
    INVARIANT(size <= MAX);
    (void)add(s, envelope, size);
    list_splitter_free(l);
    return r;
}

static int split_protobuf(const char *text, size_t len, size_t step, struct sum *s)
{
    struct protobuf_list *l = protobuf_list_new("Service", MAX, add, s);
    INVARIANT(l != NULL);
    int r = 0;
    for (size_t i = 0; r == 0 && i < len; i += step)
        r = protobuf_list_feed(l, text + i, len - i < step ? len - i : step);
    const char *metadata = "";
    size_t size = 0;
    if (r == 0)
        r = protobuf_list_finish(l, &metadata, &size);
    (void)add(s, metadata, size);
    protobuf_list_free(l);
    return r;
}

static int cut_frames(const char *text, size_t len, size_t step, struct sum *s)
{
    struct frames f;
    frames_init(&f, MAX);
    int r = 0;
    for (size_t i = 0; r == 0 && i < len; i += step)
        r = frames_feed(&f, text + i, len - i < step ? len - i : step, add, s);
    frames_reset(&f);
    return r;
}

static int cut_lines(const char *text, size_t len, size_t step, struct sum *s)
{
    struct lines l;
    lines_init(&l, MAX);
    int r = 0;
    for (size_t i = 0; r == 0 && i < len; i += step)
        r = lines_feed(&l, text + i, len - i < step ? len - i : step, add, s);
    lines_reset(&l);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const char *text = (const char *)data + 1;
    size_t len = size - 1, step = data[0] % 61 + 1;
    struct sum whole = {0}, pieces = {0};
    int a = split(text, len, len + 1, &whole), b = split(text, len, step, &pieces);
    // Broken and too long: which of both is met first depends on the pieces.
    INVARIANT((a == 0) == (b == 0) && (a != 0 || (whole.hash == pieces.hash && whole.count == pieces.count)));
    static int (*const cutters[])(const char *, size_t, size_t, struct sum *) = {cut_lines, cut_frames, split_protobuf};
    for (size_t i = 0; i < sizeof cutters / sizeof cutters[0]; i++) {
        whole = pieces = (struct sum){0};
        a = cutters[i](text, len, len + 1, &whole);
        b = cutters[i](text, len, step, &pieces);
        INVARIANT(a == b && whole.hash == pieces.hash && whole.count == pieces.count);
    }
    return 0;
}
