// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Protocol buffers as the Kubernetes API writes them: a walk over the fields of one message in memory, and the
/// envelope that every object comes in. No generated code: the few fields that are wanted are picked by number, all
/// others passed over. (https://protobuf.dev/programming-guides/encoding; groups, which the API does not use, count as
/// broken.) Private to the decoders. Pure.
#include "base/reader.h"
#include <clusterdns/arena.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// Tags: a field's number with its wire type. A field of another type than expected has another tag, and so is passed
/// over as an unknown one.
#define PROTOBUF_INTEGER(number) ((number) << 3) ///< int32, int64, bool
#define PROTOBUF_FIXED64(number) ((number) << 3 | 1)
#define PROTOBUF_BYTES(number) ((number) << 3 | 2) ///< text, bytes, a message
#define PROTOBUF_FIXED32(number) ((number) << 3 | 5)
#define PROTOBUF_TYPE(tag) ((tag)&7) ///< what the macros give for number 0

/// A message that is walked over.
struct protobuf {
    struct reader in;
    bool *broken; ///< shared by a message and those in it
};

struct protobuf_field {
    uint32_t tag;
    const uint8_t *data; ///< of PROTOBUF_BYTES: borrowed from the message
    size_t len;
    uint64_t integer; ///< of PROTOBUF_INTEGER
};

/// Begins a walk; `*broken` becomes true as soon as something is no protobuf, and all walks that share it end.
struct protobuf protobuf_init(const void *data, size_t len, bool *broken);
/// The next field, and whether there was one.
bool protobuf_next(struct protobuf *m, struct protobuf_field *field);
/// Begins a walk over the message in a field.
struct protobuf protobuf_inside(const struct protobuf *m, const struct protobuf_field *field);
/// Does a field hold exactly this text?
bool protobuf_equals(const struct protobuf_field *field, const char *text);
/// A NUL-terminated copy of a field's text; NULL when memory is short.
char *protobuf_copy(const struct protobuf_field *field, struct arena *a);
/// The value of an int32 or int64 field.
static inline int64_t protobuf_signed(const struct protobuf_field *field)
{
    return (int64_t)field->integer;
}

#define PROTOBUF_MAGIC "k8s" ///< with its NUL byte, an object begins with this

/// What stands in the envelope (runtime.Unknown) of an object; fields that are absent have length 0.
struct protobuf_object {
    struct protobuf_field kind; ///< text: "Service"
    struct protobuf_field raw;  ///< the object's own message
};

/// Does this begin like an object?
bool protobuf_is_object(const void *data, size_t len);
/// Reads an object's envelope. CDNS_ESYNTAX: it is none.
int protobuf_open(const void *data, size_t len, struct protobuf_object *out) CDNS_MUSTCHECK;
/// Reads runtime.TypeMeta.
struct protobuf_field protobuf_kind(const void *data, size_t len, bool *broken);
