// SPDX-License-Identifier: Apache-2.0
// The weight file: read at the start, and again when it says something else.
#include "plugins/loadbalance/loadbalance.h"

#include <clusterdns/file.h>
#include <clusterdns/hash.h>
#include <clusterdns/rcu.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

// What the main loop holds; it outlives the instance until the loop has let go of it.
struct weights_watch {
    uv_timer_t timer;
    struct loadbalance *lb; // not after loadbalance_stop()
    uint64_t hash;          // of what was read last, well or not
    bool has_hash;
    int failed; // why the last reading did, as update() tells; 0: it did not
};

// Takes what the file says, if that is something else than before.
static int take(struct weights_watch *w, const char *text, size_t size, char *error)
{
    struct loadbalance *lb = w->lb;
    struct weights *fresh, *last = lb->weights;
    uint64_t hash = hash_bytes(text, size);
    if (w->has_hash && hash == w->hash)
        return 0;
    w->has_hash = true;
    w->hash = hash;
    int rc = weights_read(lb->path, text, size, &fresh, error);
    if (rc != 0)
        return rc;
    RCU_ASSIGN(lb->weights, fresh);
    if (last != NULL)
        rcu_wait();
    weights_free(last);
    log_plugin(LOG_LEVEL_INFO, "loadbalance", "Successfully reloaded weight file %s", lb->path);
    return 0;
}

// 0, or an error with its words: CDNS_EIO if the file could not be read.
static int update(struct weights_watch *w, char *error)
{
    char *text;
    size_t size;
    bool there = file_read(w->lb->path, true, WEIGHTS_BYTES_MAX, &text, &size, NULL) == 0;
    w->failed = there ? 0 : errno == EFBIG ? CDNS_ECONFIG : errno == ENOMEM ? CDNS_ENOMEM : CDNS_EIO;
    int rc = there ? take(w, text, size, error) : w->failed;
    if (there)
        free(text);
    if (w->failed == CDNS_ECONFIG)
        snprintf(error, CONFIG_ERROR_MAX, "weight file %s has more than %u bytes", w->lb->path, WEIGHTS_BYTES_MAX);
    else if (w->failed == CDNS_EIO)
        snprintf(error, CONFIG_ERROR_MAX, "weight file open error");
    else if (rc == CDNS_ENOMEM)
        snprintf(error, CONFIG_ERROR_MAX, "%s", error_text(rc));
    return rc;
}

// That the file cannot be read is told once, and again after it could be.
static void on_interval(uv_timer_t *timer)
{
    struct weights_watch *w = timer->data;
    char error[CONFIG_ERROR_MAX];
    int before = w->failed, rc = update(w, error);
    if (rc != 0 && (w->failed == 0 || w->failed != before))
        log_plugin(LOG_LEVEL_ERROR, "loadbalance", "%s", error);
}

static void on_closed(uv_handle_t *timer)
{
    free(timer->data);
}

// A file that is not there may come, if it is looked for again; one that is wrong stops the start.
static int first_time(struct weights_watch *w, const struct plugin_start *s)
{
    char error[CONFIG_ERROR_MAX], text[CONFIG_DURATION_MAX];
    int rc = update(w, error);
    if (rc == CDNS_EIO && w->lb->reload_ns != 0)
        log_plugin(LOG_LEVEL_WARNING, "loadbalance", "Failed to open weight file:%s. Will try again in %s", error,
                   config_duration_text(w->lb->reload_ns, text));
    else if (rc != 0)
        snprintf(s->error, CONFIG_ERROR_MAX, "plugin/loadbalance: %.*s", CONFIG_ERROR_MAX - 32, error);
    return rc == CDNS_EIO && w->lb->reload_ns != 0 ? 0 : rc;
}

int loadbalance_start(void *self, const struct plugin_start *s)
{
    struct loadbalance *lb = self;
    if (lb->path == NULL)
        return 0;
    struct weights_watch *w = calloc(1, sizeof *w);
    if (w == NULL)
        return CDNS_ENOMEM;
    w->lb = lb;
    int rc = first_time(w, s);
    if (rc != 0) {
        free(w);
        return rc;
    }
    uint64_t ms = ((uint64_t)lb->reload_ns + 999999) / 1000000;
    uv_timer_init(s->loop, &w->timer);
    w->timer.data = w;
    if (ms > 0)
        uv_timer_start(&w->timer, on_interval, ms, ms);
    lb->file = w;
    return 0;
}

void loadbalance_stop(void *self)
{
    struct loadbalance *lb = self;
    if (lb->file != NULL)
        uv_close((uv_handle_t *)&lb->file->timer, on_closed);
    lb->file = NULL;
}

void loadbalance_destroy(void *self)
{
    struct loadbalance *lb = self;
    weights_free(lb->weights);
}
