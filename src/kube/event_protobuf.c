// SPDX-License-Identifier: Apache-2.0
// Field numbers: generated.proto of k8s.io/apimachinery meta/v1 and runtime.
#include "kube/decode.h"
#include "kube/event.h"
#include "kube/protobuf.h"
#include "kube/resource.h"

static bool is_initial_end(struct protobuf m) // an entry of ObjectMeta.annotations
{
    bool key = false, value = false;
    struct protobuf_field f;
    while (protobuf_next(&m, &f)) {
        if (f.tag == PROTOBUF_BYTES(1))
            key = protobuf_equals(&f, EVENT_INITIAL_END);
        else if (f.tag == PROTOBUF_BYTES(2))
            value = protobuf_equals(&f, "true");
    }
    return key && value;
}

// What an event needs of its object's ObjectMeta. The version is copied.
static int read_metadata(struct event *e, struct arena *a, struct protobuf m)
{
    struct protobuf_field f;
    while (protobuf_next(&m, &f)) {
        if (f.tag == PROTOBUF_BYTES(6))
            e->version = protobuf_copy(&f, a);
        else if (f.tag == PROTOBUF_BYTES(12) && e->type == EVENT_BOOKMARK)
            e->initial_end = e->initial_end || is_initial_end(protobuf_inside(&m, &f));
    }
    return e->version != NULL ? 0 : CDNS_ENOMEM;
}

// Every object's first field is its metadata.
static int read_object(struct event *e, struct arena *a, const struct protobuf_object *object)
{
    bool broken = false;
    int result = 0;
    struct protobuf_field f;
    struct protobuf m = protobuf_init(object->raw.data, object->raw.len, &broken);
    while (result == 0 && protobuf_next(&m, &f))
        if (f.tag == PROTOBUF_BYTES(1))
            result = read_metadata(e, a, protobuf_inside(&m, &f));
    return broken ? CDNS_ESYNTAX : result;
}

static int decode(const struct event_taker *t, struct event *e, const void *data, size_t len)
{
    e->result = decode_protobuf(data, len, t->kind, t->arena, &e->object, e->reason, sizeof e->reason);
    return e->result == CDNS_ESYNTAX ? CDNS_ESYNTAX : 0;
}

// Opens the object of an event: RawExtension.
static int open_object(struct protobuf m, struct protobuf_object *out)
{
    struct protobuf_field f, raw = {0};
    while (protobuf_next(&m, &f))
        if (f.tag == PROTOBUF_BYTES(1))
            raw = f;
    return *m.broken ? CDNS_ESYNTAX : protobuf_open(raw.data, raw.len, out);
}

int event_from_protobuf(const struct event_taker *t, const void *data, size_t len)
{
    bool broken = false;
    struct event e = {.type = EVENT_UNKNOWN, .version = ""};
    struct protobuf_object object = {0};
    struct protobuf_field f;
    struct protobuf m = protobuf_init(data, len, &broken); // WatchEvent
    int result = 0;
    while (result == 0 && protobuf_next(&m, &f)) {
        if (f.tag == PROTOBUF_BYTES(1))
            e.type = event_type_of(f.data, f.len);
        else if (f.tag == PROTOBUF_BYTES(2))
            result = open_object(protobuf_inside(&m, &f), &object);
    }
    if (broken)
        result = CDNS_ESYNTAX;
    arena_reset(t->arena);
    e.wanted = protobuf_equals(&object.kind, resources[t->kind].kind);
    if (result == 0 && e.type == EVENT_ERROR)
        api_status_from_protobuf(object.raw.data, object.raw.len, &e.status);
    else if (result == 0 && e.wanted)
        result = read_object(&e, t->arena, &object);
    if (result == 0 && e.wanted && (e.type == EVENT_ADDED || e.type == EVENT_MODIFIED || e.type == EVENT_DELETED))
        result = decode(t, &e, object.raw.data, object.raw.len);
    return result != 0 ? result : t->take(t->arg, &e);
}

int event_from_protobuf_item(const struct event_taker *t, const void *data, size_t len)
{
    struct event e = {.type = EVENT_ADDED, .wanted = true, .version = ""};
    arena_reset(t->arena);
    int result = decode(t, &e, data, len);
    return result != 0 ? result : t->take(t->arg, &e);
}

int page_from_protobuf(const struct event_taker *t, const void *data, size_t len, struct page *out)
{
    bool broken = false;
    struct protobuf_field f, version = {0}, token = {0};
    struct protobuf m = protobuf_init(data, len, &broken); // ListMeta
    while (protobuf_next(&m, &f)) {
        if (f.tag == PROTOBUF_BYTES(2))
            version = f;
        else if (f.tag == PROTOBUF_BYTES(3))
            token = f;
    }
    if (broken)
        return CDNS_ESYNTAX;
    arena_reset(t->arena);
    out->version = protobuf_copy(&version, t->arena);
    out->token = protobuf_copy(&token, t->arena);
    return out->version != NULL && out->token != NULL ? 0 : CDNS_ENOMEM;
}
