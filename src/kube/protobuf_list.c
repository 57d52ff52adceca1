// SPDX-License-Identifier: Apache-2.0
#include "kube/protobuf_list.h"
#include "base/reader.h"
#include "kube/buffer.h"
#include "kube/protobuf.h"
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

// What the next byte belongs to.
enum state {
    MAGIC,  // what stands before the envelope
    TAG,    // a field's number and type
    VALUE,  // an integer, passed over
    LENGTH, // of a field
    KEPT,   // the bytes of a field that is wanted
    PASSED, // … and of one that is not
};

struct protobuf_list {
    const char *kind;
    size_t max_object;
    int (*item)(void *arg, const char *data, size_t len);
    void *arg;
    int error; // sticky
    enum state state;
    bool good;          // the envelope says that it is a list of the kind
    bool inside, begun; // we are in the list itself; it has begun
    uint64_t left;      // bytes of the list that have not come
    uint64_t number;    // the varint under way …
    unsigned shift;     // … and where its next bits belong
    uint64_t tag;       // of the field under way
    uint64_t need;      // its bytes that have not come …
    struct buffer part; // … and those that have, where they are wanted
    struct buffer metadata;
};

struct protobuf_list *protobuf_list_new(const char *kind, size_t max_object,
                                        int (*item)(void *arg, const char *data, size_t len), void *arg)
{
    struct protobuf_list *l = calloc(1, sizeof *l);
    if (l == NULL)
        return NULL;
    l->kind = kind;
    l->max_object = max_object;
    l->item = item;
    l->arg = arg;
    l->need = sizeof PROTOBUF_MAGIC;
    return l;
}

void protobuf_list_free(struct protobuf_list *l)
{
    if (l == NULL)
        return;
    buffer_free(&l->part);
    buffer_free(&l->metadata);
    free(l);
}

// Does the envelope's TypeMeta say that it is a list of the kind?
static bool is_list(const struct protobuf_list *l, const char *data, size_t len)
{
    bool broken = false;
    struct protobuf_field kind = protobuf_kind(data, len, &broken);
    size_t n = strlen(l->kind);
    if (broken || kind.len < n || memcmp(kind.data, l->kind, n) != 0)
        return false;
    kind.data += n;
    kind.len -= n;
    return protobuf_equals(&kind, "List");
}

static void begin_tag(struct protobuf_list *l)
{
    l->state = TAG;
    l->number = l->shift = 0;
    if (l->left == 0)
        l->inside = false;
}

// The field under way, which is wanted, is complete.
static void take_field(struct protobuf_list *l, const char *data, size_t len)
{
    if (!l->inside) {
        l->good = is_list(l, data, len);
        l->error = l->good ? 0 : CDNS_ESYNTAX;
    } else if (l->tag == PROTOBUF_BYTES(2)) {
        l->error = l->item(l->arg, data, len);
    } else {
        buffer_clear(&l->metadata);
        l->error = buffer_append(&l->metadata, l->max_object, data, len);
    }
    begin_tag(l);
}

static void begin_list(struct protobuf_list *l, uint64_t size)
{
    l->error = l->good && !l->begun ? 0 : CDNS_ESYNTAX;
    l->inside = l->begun = true;
    l->left = size;
    begin_tag(l);
}

// The bytes of a field follow, `size` of them.
static void begin_bytes(struct protobuf_list *l, uint64_t size)
{
    bool wanted = l->tag == PROTOBUF_BYTES(1) || (l->inside && l->tag == PROTOBUF_BYTES(2));
    l->state = wanted ? KEPT : PASSED;
    l->need = size;
    if (l->inside && size > l->left)
        l->error = CDNS_ESYNTAX;
    else if (wanted && size > l->max_object)
        l->error = CDNS_ELIMIT;
    else if (!l->inside && l->tag == PROTOBUF_BYTES(2))
        begin_list(l, size);
    else if (wanted && size == 0)
        take_field(l, "", 0);
    else if (size == 0)
        begin_tag(l);
}

static void begin_value(struct protobuf_list *l, uint64_t tag)
{
    l->tag = tag;
    l->state = VALUE;
    l->number = l->shift = 0;
    if (tag > UINT32_MAX || tag >> 3 == 0)
        l->error = CDNS_ESYNTAX;
    else if (PROTOBUF_TYPE(tag) == PROTOBUF_BYTES(0))
        l->state = LENGTH;
    else if (PROTOBUF_TYPE(tag) == PROTOBUF_FIXED32(0))
        begin_bytes(l, 4);
    else if (PROTOBUF_TYPE(tag) == PROTOBUF_FIXED64(0))
        begin_bytes(l, 8);
    else if (PROTOBUF_TYPE(tag) != PROTOBUF_INTEGER(0))
        l->error = CDNS_ESYNTAX;
}

// A byte of a varint.
static void varint_byte(struct protobuf_list *l, uint8_t c)
{
    if (l->inside)
        l->left--;
    if (l->shift > 63 || (l->shift == 63 && c > 1)) {
        l->error = CDNS_ESYNTAX;
        return;
    }
    l->number |= (uint64_t)(c & 0x7f) << l->shift;
    l->shift += 7;
    if ((c & 0x80) == 0 && l->state == TAG)
        begin_value(l, l->number);
    else if ((c & 0x80) == 0 && l->state == LENGTH)
        begin_bytes(l, l->number);
    else if ((c & 0x80) == 0)
        begin_tag(l);
    if (l->inside && l->left == 0 && l->error == 0) // the list ends inside a field
        l->error = CDNS_ESYNTAX;
}

static void magic_byte(struct protobuf_list *l, uint8_t c)
{
    if (c != (uint8_t)PROTOBUF_MAGIC[sizeof PROTOBUF_MAGIC - l->need])
        l->error = CDNS_ESYNTAX;
    else if (--l->need == 0)
        begin_tag(l);
}

// As many of a field's bytes as have come.
static void take_bytes(struct protobuf_list *l, struct reader *r)
{
    size_t n = l->need < reader_left(r) ? (size_t)l->need : reader_left(r);
    const char *data = (const char *)reader_bytes(r, n);
    l->need -= n;
    if (l->inside)
        l->left -= n;
    if (l->state == PASSED) {
        if (l->need == 0)
            begin_tag(l);
    } else if (l->need == 0 && l->part.len == 0) {
        take_field(l, data, n);
    } else {
        l->error = buffer_append(&l->part, l->max_object, data, n);
        if (l->error == 0 && l->need == 0) {
            take_field(l, l->part.data, l->part.len);
            buffer_clear(&l->part);
        }
    }
}

int protobuf_list_feed(struct protobuf_list *l, const char *data, size_t len)
{
    struct reader r = reader_init(data, len);
    while (l->error == 0 && reader_left(&r) > 0) {
        if (l->state == KEPT || l->state == PASSED)
            take_bytes(l, &r);
        else if (l->state == MAGIC)
            magic_byte(l, reader_u8(&r));
        else
            varint_byte(l, reader_u8(&r));
    }
    return l->error;
}

int protobuf_list_finish(struct protobuf_list *l, const char **metadata, size_t *len)
{
    bool complete = l->begun && !l->inside && l->state == TAG && l->shift == 0;
    *metadata = l->metadata.len > 0 ? l->metadata.data : "";
    *len = l->metadata.len;
    return l->error == 0 && !complete ? CDNS_ETRUNC : l->error;
}
