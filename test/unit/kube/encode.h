// SPDX-License-Identifier: Apache-2.0
// Protobuf messages for tests, field by field; what the API server would never write, too.
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct message {
    size_t len;
    uint8_t data[8192];
};

static inline void put_bytes(struct message *m, const void *data, size_t len)
{
    assert_true(len <= sizeof m->data - m->len);
    memcpy(m->data + m->len, data, len);
    m->len += len;
}

static inline void put_varint(struct message *m, uint64_t value)
{
    do {
        uint8_t byte = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        put_bytes(m, &byte, 1);
        value >>= 7;
    } while (value > 0);
}

static inline void put_integer(struct message *m, unsigned number, int64_t value)
{
    put_varint(m, number << 3);
    put_varint(m, (uint64_t)value);
}

static inline void put_data(struct message *m, unsigned number, const void *data, size_t len)
{
    put_varint(m, number << 3 | 2);
    put_varint(m, len);
    put_bytes(m, data, len);
}

static inline void put_text(struct message *m, unsigned number, const char *text)
{
    put_data(m, number, text, strlen(text));
}

static inline void put_message(struct message *m, unsigned number, const struct message *inner)
{
    put_data(m, number, inner->data, inner->len);
}

// An entry of a map of texts.
static inline void put_entry(struct message *m, unsigned number, const char *key, const char *value)
{
    struct message entry = {0};
    put_text(&entry, 1, key);
    put_text(&entry, 2, value);
    put_message(m, number, &entry);
}

// runtime.Unknown with "k8s\0" before it.
static inline void put_object(struct message *m, const char *version, const char *kind, const struct message *raw)
{
    struct message type = {0};
    put_text(&type, 1, version);
    put_text(&type, 2, kind);
    put_bytes(m, "k8s", 4);
    put_message(m, 1, &type);
    put_message(m, 2, raw);
    put_text(m, 3, "");
    put_text(m, 4, "");
}

// ObjectMeta's name, namespace and version.
static inline void put_metadata(struct message *m, const char *namespace_, const char *name, const char *version)
{
    struct message metadata = {0};
    put_text(&metadata, 1, name);
    put_text(&metadata, 2, "");
    put_text(&metadata, 3, namespace_);
    put_text(&metadata, 6, version);
    put_message(m, 1, &metadata);
}

// A watch's frame: a WatchEvent about an object of this kind.
static inline void put_frame(struct message *m, const char *type, const char *version, const char *kind,
                             const struct message *raw)
{
    struct message object = {0}, extension = {0}, event = {0};
    put_object(&object, version, kind, raw);
    put_message(&extension, 1, &object);
    put_text(&event, 1, type);
    put_message(&event, 2, &extension);
    put_bytes(m,
              (uint8_t[]){(uint8_t)(event.len >> 24), (uint8_t)(event.len >> 16), (uint8_t)(event.len >> 8),
                          (uint8_t)event.len},
              4);
    put_bytes(m, event.data, event.len);
}
