// SPDX-License-Identifier: Apache-2.0
#include "kube/stream.h"
#include "kube/frames.h"
#include "kube/lines.h"
#include "kube/list_splitter.h"
#include "kube/protobuf_list.h"
#include "kube/resource.h"
#include <stdlib.h>
#include <string.h>

struct stream {
    struct event_taker taker;
    // What cuts the present body; one of these.
    enum { LINES, FRAMES, LIST_JSON, LIST_PROTOBUF } cut_by;
    struct lines lines;
    struct frames frames;
    struct list_splitter *json;
    struct protobuf_list *protobuf;
};

struct stream *stream_new(enum kube_kind kind, int (*take)(void *arg, const struct event *e), void *arg)
{
    struct stream *s = calloc(1, sizeof *s);
    if (s == NULL)
        return NULL;
    s->taker = (struct event_taker){.kind = kind, .arena = arena_new(STREAM_ARENA_MAX), .take = take, .arg = arg};
    if (s->taker.arena == NULL) {
        free(s);
        return NULL;
    }
    lines_init(&s->lines, STREAM_OBJECT_MAX);
    frames_init(&s->frames, STREAM_OBJECT_MAX);
    return s;
}

void stream_free(struct stream *s)
{
    if (s == NULL)
        return;
    stream_end(s);
    arena_free(s->taker.arena);
    free(s);
}

void stream_end(struct stream *s)
{
    lines_reset(&s->lines);
    frames_reset(&s->frames);
    list_splitter_free(s->json);
    s->json = NULL;
    protobuf_list_free(s->protobuf);
    s->protobuf = NULL;
}

static int take_line(void *arg, const char *text, size_t len)
{
    const struct stream *s = arg;
    return event_from_json(&s->taker, text, len);
}

static int take_frame(void *arg, const char *data, size_t len)
{
    const struct stream *s = arg;
    return event_from_protobuf(&s->taker, data, len);
}

static int take_json_item(void *arg, const char *text, size_t len)
{
    const struct stream *s = arg;
    return event_from_json_item(&s->taker, text, len);
}

static int take_protobuf_item(void *arg, const char *data, size_t len)
{
    const struct stream *s = arg;
    return event_from_protobuf_item(&s->taker, data, len);
}

// Is this Content-Type the media type `type`, with or without parameters?
static bool is_type(const char *content_type, const char *type)
{
    size_t len = strcspn(content_type, "; \t");
    return len == strlen(type) && strncasecmp(content_type, type, len) == 0;
}

int stream_begin(struct stream *s, bool list, const char *content_type)
{
    stream_end(s);
    bool protobuf = is_type(content_type, STREAM_PROTOBUF);
    if (!protobuf && !is_type(content_type, STREAM_JSON))
        return CDNS_EINVAL;
    if (!list) {
        s->cut_by = protobuf ? FRAMES : LINES;
        return 0;
    }
    s->cut_by = protobuf ? LIST_PROTOBUF : LIST_JSON;
    if (protobuf)
        s->protobuf = protobuf_list_new(resources[s->taker.kind].kind, STREAM_OBJECT_MAX, take_protobuf_item, s);
    else
        s->json = list_splitter_new(STREAM_OBJECT_MAX, take_json_item, s);
    return s->protobuf != NULL || s->json != NULL ? 0 : CDNS_ENOMEM;
}

int stream_feed(struct stream *s, const char *data, size_t len)
{
    switch (s->cut_by) {
    case LINES:
        return lines_feed(&s->lines, data, len, take_line, s);
    case FRAMES:
        return frames_feed(&s->frames, data, len, take_frame, s);
    case LIST_JSON:
        return list_splitter_feed(s->json, data, len);
    default:
        return protobuf_list_feed(s->protobuf, data, len);
    }
}

int stream_finish(struct stream *s, struct page *out)
{
    const char *said;
    size_t len;
    int result = s->cut_by == LIST_JSON ? list_splitter_finish(s->json, &said, &len)
                                        : protobuf_list_finish(s->protobuf, &said, &len);
    if (result != 0)
        return result;
    return s->cut_by == LIST_JSON ? page_from_json(&s->taker, said, len, out)
                                  : page_from_protobuf(&s->taker, said, len, out);
}
