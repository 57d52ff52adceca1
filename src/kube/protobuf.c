// SPDX-License-Identifier: Apache-2.0
#include "kube/protobuf.h"
#include <string.h>

struct protobuf protobuf_init(const void *data, size_t len, bool *broken)
{
    return (struct protobuf){.in = reader_init(data, len), .broken = broken};
}

// Read in line, not by a library that takes each byte through a call: these two functions are half of what decoding a
// large list costs.

// An integer of at most 64 bits, seven in each byte, the lowest first; what is longer is an error.
static inline uint64_t varint(struct reader *r)
{
    uint8_t byte = reader_u8(r);
    uint64_t value = byte & 0x7f;
    for (unsigned shift = 7; byte >= 0x80; shift += 7) {
        byte = reader_u8(r);
        if (shift > 63 || (shift == 63 && byte > 1)) {
            reader_fail(r, CDNS_ESYNTAX);
            return 0;
        }
        value |= (uint64_t)(byte & 0x7f) << shift;
    }
    return value;
}

bool protobuf_next(struct protobuf *m, struct protobuf_field *field)
{
    struct reader *r = &m->in;
    if (*m->broken || reader_left(r) == 0)
        return false;
    uint64_t tag = varint(r);
    *field = (struct protobuf_field){.tag = (uint32_t)tag};
    switch (PROTOBUF_TYPE(tag)) {
    case PROTOBUF_BYTES(0):
        field->len = varint(r);
        field->data = reader_bytes(r, field->len);
        break;
    case PROTOBUF_INTEGER(0):
        field->integer = varint(r);
        break;
    case PROTOBUF_FIXED64(0):
        (void)reader_bytes(r, 8);
        break;
    case PROTOBUF_FIXED32(0):
        (void)reader_bytes(r, 4);
        break;
    default:
        reader_fail(r, CDNS_ESYNTAX);
        break;
    }
    *m->broken = r->error != 0 || tag > UINT32_MAX || tag >> 3 == 0;
    return !*m->broken;
}

struct protobuf protobuf_inside(const struct protobuf *m, const struct protobuf_field *field)
{
    return protobuf_init(field->data, field->len, m->broken);
}

bool protobuf_equals(const struct protobuf_field *field, const char *text)
{
    size_t len = strlen(text);
    return field->len == len && (len == 0 || memcmp(field->data, text, len) == 0);
}

char *protobuf_copy(const struct protobuf_field *field, struct arena *a)
{
    return arena_strndup(a, field->len > 0 ? (const char *)field->data : "", field->len);
}

bool protobuf_is_object(const void *data, size_t len)
{
    return len >= sizeof PROTOBUF_MAGIC && memcmp(data, PROTOBUF_MAGIC, sizeof PROTOBUF_MAGIC) == 0;
}

struct protobuf_field protobuf_kind(const void *data, size_t len, bool *broken)
{
    struct protobuf m = protobuf_init(data, len, broken);
    struct protobuf_field field, kind = {0};
    while (protobuf_next(&m, &field))
        if (field.tag == PROTOBUF_BYTES(2))
            kind = field;
    return kind;
}

int protobuf_open(const void *data, size_t len, struct protobuf_object *out)
{
    bool broken = false;
    struct protobuf_field field;
    *out = (struct protobuf_object){0};
    if (!protobuf_is_object(data, len))
        return CDNS_ESYNTAX;
    struct protobuf m =
        protobuf_init((const uint8_t *)data + sizeof PROTOBUF_MAGIC, len - sizeof PROTOBUF_MAGIC, &broken);
    while (protobuf_next(&m, &field)) {
        if (field.tag == PROTOBUF_BYTES(1))
            out->kind = protobuf_kind(field.data, field.len, &broken);
        else if (field.tag == PROTOBUF_BYTES(2))
            out->raw = field;
    }
    return broken ? CDNS_ESYNTAX : 0;
}
