// SPDX-License-Identifier: Apache-2.0
#include "kube/stream.h"
#include "kube/lines.h"
#include "kube/list_splitter.h"
#include <stdlib.h>

struct stream {
    struct event_taker taker;
    struct lines lines;             // of a watch
    struct list_splitter *splitter; // of a list; NULL: the body is none
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
    list_splitter_free(s->splitter);
    s->splitter = NULL;
}

static int take_line(void *arg, const char *text, size_t len)
{
    const struct stream *s = arg;
    return event_from_json(&s->taker, text, len);
}

static int take_item(void *arg, const char *json, size_t len)
{
    const struct stream *s = arg;
    return event_from_json_item(&s->taker, json, len);
}

int stream_begin(struct stream *s, bool list)
{
    stream_end(s);
    if (!list)
        return 0;
    s->splitter = list_splitter_new(STREAM_OBJECT_MAX, take_item, s);
    return s->splitter != NULL ? 0 : CDNS_ENOMEM;
}

int stream_feed(struct stream *s, const char *data, size_t len)
{
    if (s->splitter != NULL)
        return list_splitter_feed(s->splitter, data, len);
    return lines_feed(&s->lines, data, len, take_line, s);
}

int stream_finish(struct stream *s, struct page *out)
{
    const char *envelope;
    size_t len;
    int result = list_splitter_finish(s->splitter, &envelope, &len);
    return result != 0 ? result : page_from_json(&s->taker, envelope, len, out);
}
