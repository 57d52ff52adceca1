// SPDX-License-Identifier: Apache-2.0
#include "kube/decode.h"
#include "kube/event.h"
#include "kube/resource.h"
#include <jansson.h>
#include <string.h>

static const json_t *metadata_of(const json_t *object)
{
    return json_object_get(object, "metadata");
}

static int hand_out(const struct event_taker *t, struct event *e, const json_t *object)
{
    const json_t *metadata = metadata_of(object);
    e->version = api_text(metadata, "resourceVersion");
    if (e->type == EVENT_ERROR) {
        api_status_decode(object, &e->status);
    } else if (e->type == EVENT_BOOKMARK) {
        const char *end = api_text(json_object_get(metadata, "annotations"), EVENT_INITIAL_END);
        e->initial_end = strcmp(end, "true") == 0;
    } else if (e->wanted && e->type != EVENT_UNKNOWN) {
        arena_reset(t->arena);
        e->result = decode_json(object, (int)t->kind, t->arena, &e->object, e->reason, sizeof e->reason);
    }
    return t->take(t->arg, e);
}

int event_from_json(const struct event_taker *t, const char *text, size_t len)
{
    json_t *json = json_loadb(text, len, JSON_ALLOW_NUL, NULL);
    if (json == NULL)
        return CDNS_ESYNTAX;
    const json_t *object = json_object_get(json, "object");
    const char *type = api_text(json, "type");
    struct event e = {.type = event_type_of(type, strlen(type)),
                      .wanted = strcmp(api_text(object, "kind"), resources[t->kind].kind) == 0};
    int result = hand_out(t, &e, object);
    json_decref(json);
    return result;
}

int event_from_json_item(const struct event_taker *t, const char *text, size_t len)
{
    json_t *object = json_loadb(text, len, JSON_ALLOW_NUL | JSON_DECODE_ANY, NULL);
    if (object == NULL)
        return CDNS_ESYNTAX;
    struct event e = {.type = EVENT_ADDED, .wanted = true};
    int result = hand_out(t, &e, object);
    json_decref(object);
    return result;
}

static bool is_list(const json_t *envelope, const char *kind)
{
    const char *given = api_text(envelope, "kind");
    size_t len = strlen(kind);
    return strncmp(given, kind, len) == 0 && strcmp(given + len, "List") == 0 &&
           json_object_get(envelope, "items") != NULL;
}

int page_from_json(const struct event_taker *t, const char *text, size_t len, struct page *out)
{
    json_t *envelope = json_loadb(text, len, JSON_ALLOW_NUL, NULL);
    const json_t *metadata = metadata_of(envelope);
    const char *version = api_text(metadata, "resourceVersion"), *token = api_text(metadata, "continue");
    bool good = is_list(envelope, resources[t->kind].kind);
    arena_reset(t->arena);
    out->version = arena_strndup(t->arena, version, strlen(version));
    out->token = arena_strndup(t->arena, token, strlen(token));
    json_decref(envelope);
    if (!good)
        return CDNS_ESYNTAX;
    return out->version != NULL && out->token != NULL ? 0 : CDNS_ENOMEM;
}
