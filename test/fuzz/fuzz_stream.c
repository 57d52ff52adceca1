// SPDX-License-Identifier: Apache-2.0
// \file
// An answer's body, in either format, in pieces (the first byte says how large) gives the events that the whole gives;
// every object that is decoded holds what it may. The second byte says which kind is wanted, and of what the body is.
#include "kube/stream.h"
#include "objects.h"
#include <stdint.h>
#include <stdlib.h>

// What came out: a running sum over all events.
struct sum {
    uint64_t hash;
    size_t count;
};

static void add(struct sum *s, const void *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        s->hash = (s->hash ^ ((const uint8_t *)data)[i]) * UINT64_C(1099511628211);
}

static void add_text(struct sum *s, const char *text)
{
    add(s, text, strlen(text) + 1);
}

static int take(void *arg, const struct event *e)
{
    struct sum *s = arg;
    s->count++;
    add(s, &e->type, sizeof e->type);
    add_text(s, e->version);
    add_text(s, e->reason);
    add_text(s, e->status.message);
    INVARIANT(e->type != EVENT_ERROR || e->status.code != 0);
    INVARIANT(e->result == 0 || e->reason[0] != '\0');
    if (e->result != 0 || !e->wanted || e->type > EVENT_DELETED)
        return 0;
    check_object(&e->object);
    add_text(s, e->object.name);
    add_text(s, e->object.namespace_);
    if (e->object.kind == KUBE_ENDPOINTSLICE)
        add(s, e->object.slice.endpoints, e->object.slice.nendpoints > 0 ? sizeof(struct kube_address) : 0);
    return 0;
}

static int feed(enum kube_kind kind, bool list, const char *type, const uint8_t *body, size_t len, size_t step,
                struct sum *sum)
{
    struct page page;
    struct stream *s = stream_new(kind, take, sum);
    INVARIANT(s != NULL && stream_begin(s, list, type) == 0);
    int r = 0;
    for (size_t i = 0, n; r == 0 && i < len; i += n) {
        n = len - i < step ? len - i : step;
        char *piece = malloc(n); // of exactly its size, so that a sanitizer sees the first byte read past it
        INVARIANT(piece != NULL);
        memcpy(piece, body + i, n);
        r = stream_feed(s, piece, n);
        free(piece);
    }
    if (r == 0 && list)
        r = stream_finish(s, &page);
    if (r == 0 && list) {
        add_text(sum, page.version);
        add_text(sum, page.token);
    }
    stream_free(s);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    const uint8_t *body = data + 2;
    size_t len = size - 2, step = data[0] % 61 + 1;
    enum kube_kind kind = (enum kube_kind)(data[1] % KUBE_KINDS);
    bool list = (data[1] & 0x40) != 0;
    const char *type = (data[1] & 0x80) != 0 ? STREAM_PROTOBUF : STREAM_JSON;
    struct sum whole = {0}, pieces = {0};
    int a = feed(kind, list, type, body, len, len + 1, &whole), b = feed(kind, list, type, body, len, step, &pieces);
    INVARIANT(a == b && whole.hash == pieces.hash && whole.count == pieces.count);
    return 0;
}
