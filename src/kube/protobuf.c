// SPDX-License-Identifier: Apache-2.0
#include "kube/protobuf.h"
#include <string.h>

struct protobuf protobuf_init(const void *data, size_t len, bool *broken)
{
    // nanopb wants a pointer that is not NULL.
    const uint8_t *start = len > 0 ? data : (const uint8_t *)"";
    return (struct protobuf){.stream = pb_istream_from_buffer(start, len), .end = start + len, .broken = broken};
}

// Takes the bytes of a field.
static bool take_bytes(struct protobuf *m, struct protobuf_field *field)
{
    uint32_t len;
    if (!pb_decode_varint32(&m->stream, &len) || len > m->stream.bytes_left)
        return false;
    field->data = m->end - m->stream.bytes_left;
    field->len = len;
    return pb_read(&m->stream, NULL, len);
}

bool protobuf_next(struct protobuf *m, struct protobuf_field *field)
{
    pb_wire_type_t type;
    uint32_t number;
    bool end, good;
    if (*m->broken)
        return false;
    *field = (struct protobuf_field){0};
    if (!pb_decode_tag(&m->stream, &type, &number, &end)) {
        *m->broken = !end;
        return false;
    }
    field->tag = number << 3 | type;
    if (type == PB_WT_STRING)
        good = take_bytes(m, field);
    else if (type == PB_WT_VARINT)
        good = pb_decode_varint(&m->stream, &field->integer);
    else
        good = pb_skip_field(&m->stream, type);
    *m->broken = !good || number == 0;
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
