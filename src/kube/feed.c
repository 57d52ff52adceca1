// SPDX-License-Identifier: Apache-2.0
#include "kube/feed.h"
#include "base/clock.h"
#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define KEY_STORE (-1) // the store refused an object
#define IMPORTS (1u << KUBE_SERVICE_IMPORT | 1u << KUBE_IMPORTED_SLICE)

// After a turn of the loop: one grace period for all that its events replaced.
static void on_turn(uv_check_t *check)
{
    struct feed *f = check->data;
    if (f->due)
        feed_commit(f);
}

void feed_init(struct feed *f, uv_loop_t *loop, struct store *store, const struct store_options *options,
               const struct feed_listener *listener)
{
    *f = (struct feed){.store = store, .listener = *listener, .wanted = store_kinds(options)};
    uv_check_init(loop, &f->check);
    f->check.data = f;
    uv_check_start(&f->check, on_turn);
}

static void on_closed(uv_handle_t *handle)
{
    struct feed *f = handle->data;
    f->closed(f->closed_arg);
}

void feed_close(struct feed *f, void (*closed)(void *arg), void *arg)
{
    f->closed = closed;
    f->closed_arg = arg;
    uv_check_stop(&f->check);
    uv_close((uv_handle_t *)&f->check, on_closed);
}

bool feed_wants(const struct feed *f, enum kube_kind kind)
{
    return (f->wanted >> kind & 1) != 0;
}

bool feed_is_optional(enum kube_kind kind)
{
    return (IMPORTS >> kind & 1) != 0;
}

static void applied(struct feed *f)
{
    if (++f->pending >= STORE_BATCH)
        feed_commit(f);
}

void feed_upsert(struct feed *f, const struct kube_object *o, bool initial)
{
    int r = store_upsert(f->store, o);
    if (r != 0)
        feed_log(f, KEY_STORE, LOG_LEVEL_ERROR, "%s/%s cannot be kept: %s", o->namespace_, o->name, error_text(r));
    f->due = f->due || !initial;
    applied(f);
}

void feed_delete(struct feed *f, const struct kube_object *o)
{
    store_delete(f->store, o);
    f->due = true;
    applied(f);
}

void feed_relist_begin(struct feed *f, enum kube_kind kind)
{
    store_relist_begin(f->store, kind);
}

// Tells readers and the listener what is known now.
static void check_synced(struct feed *f)
{
    if ((f->listed & IMPORTS) == IMPORTS)
        store_set_imports_synced(f->store);
    if (f->synced || (f->wanted & ~(f->listed | f->refused)) != 0)
        return;
    f->synced = true;
    store_set_synced(f->store);
    f->listener.synced(f->listener.arg);
}

void feed_relist_end(struct feed *f, enum kube_kind kind)
{
    store_relist_end(f->store, kind);
    feed_commit(f);
    f->listed |= 1u << kind;
    check_synced(f);
    if (f->synced)
        malloc_trim(0); // what decoding a list took is not needed again soon
}

void feed_refused(struct feed *f, enum kube_kind kind, bool absent)
{
    if (absent)
        f->listed |= 1u << kind;
    f->refused |= 1u << kind;
    check_synced(f);
}

void feed_commit(struct feed *f)
{
    store_commit(f->store);
    source_metrics_stored(f->metrics, f->store);
    f->pending = 0;
    f->due = false;
}

void feed_trouble(struct feed *f, enum kube_kind kind, const char *text)
{
    if (strcmp(f->trouble[kind], text) == 0)
        return;
    snprintf(f->trouble[kind], sizeof f->trouble[kind], "%s", text);
    for (size_t i = 0; *text == '\0' && i < KUBE_KINDS; i++) // another kind's may be left
        text = f->trouble[i];
    f->listener.trouble(f->listener.arg, text);
}

// Is it time to log a key? Forgets the oldest one when there are too many.
static bool is_time(struct feed *f, int key)
{
    uint64_t now = clock_monotonic_ns();
    size_t place = 0;
    for (size_t i = 0; i < sizeof f->logged / sizeof f->logged[0]; i++) {
        if (f->logged[i].at != 0 && f->logged[i].key == key) {
            place = i;
            break;
        }
        if (f->logged[i].at < f->logged[place].at)
            place = i;
    }
    if (f->logged[place].at != 0 && f->logged[place].key == key && now - f->logged[place].at < FEED_QUIET_NS)
        return false;
    f->logged[place].key = key;
    f->logged[place].at = now != 0 ? now : 1;
    return true;
}

bool feed_log(struct feed *f, int key, enum log_level level, const char *fmt, ...)
{
    char text[1024];
    if (!is_time(f, key))
        return false;
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    log_plugin(level, "kubernetes", "%s", text);
    return true;
}
