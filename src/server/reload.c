// SPDX-License-Identifier: Apache-2.0
#include "server/reload.h"

#include "base/clock.h"
#include "base/metrics.h"
#include "server/listen.h"
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DRAINED_NS UINT64_C(5000000000) // so long an address that is served no more may finish what was asked
#define RECLAIM_MS 50
#define DRAINED_MAX 4 // of more generations than this, the oldest ones' addresses are not waited for

static struct metric_family failed_total = {
    .name = "coredns_reload_failed_total",
    .help = "Reloads that left the configuration as it was because of an error.",
    .type = METRIC_COUNTER,
};

static struct metric_family version_info = {
    .name = "coredns_reload_version_info",
    .help = "1 for the hash of the Corefile that was loaded last, well or not.",
    .type = METRIC_GAUGE,
    .labels = {{.name = "hash"}, {.name = "value"}},
};

static const char default_corefile[] = ".\n{\nwhoami\nlog\n}\n";

static const char *corefile_path(const struct server_options *o)
{
    return o->corefile != NULL ? o->corefile : access("Corefile", F_OK) == 0 ? "Corefile" : NULL;
}

int reload_build(const struct server_options *o, generation_report report, void *arg, struct generation **out)
{
    const char *path = corefile_path(o);
    int rc = generation_build(path, "Corefile", default_corefile, o->port, report, arg, out);
    if (rc == 0 && (*out)->nblocks == 0) {
        generation_free(*out);
        log_write(LOG_LEVEL_WARNING,
                  "%s has no server block: the built-in Corefile (whoami, log) is served until it has one", path);
        rc = generation_build(NULL, "Corefile", default_corefile, o->port, report, arg, out);
    }
    return rc;
}

// The words that operators know, by who asked.
static void log_problem(void *arg, const char *text)
{
    const struct server_state *s = arg;
    log_write(LOG_LEVEL_ERROR, "Restart failed: %s", text);
    if (s->reloading == RELOAD_SIGNAL)
        log_write(LOG_LEVEL_ERROR, "SIGUSR1: %s", text);
    else
        log_plugin(LOG_LEVEL_ERROR, "reload", "Corefile changed but reload failed: %s", text);
}

void server_wake(struct server_state *s)
{
    uv_stop(&s->loop);
}

void server_reload_if_changed(const struct server_state *state)
{
    struct server_state *s = (struct server_state *)(uintptr_t)state; // plugins only hand it through
    uint8_t hash[COREFILE_HASH];
    char error[CONFIG_ERROR_MAX] = "";
    const char *path = corefile_path(s->options);
    if (path == NULL || s->reload != RELOAD_NONE || s->reloading != RELOAD_NONE)
        return;
    if (corefile_hash_file(path, hash, error) != 0) {
        if (strcmp(error, s->unreadable) != 0)
            log_plugin(LOG_LEVEL_WARNING, "reload", "Corefile parse failed: %s", error);
        snprintf(s->unreadable, sizeof s->unreadable, "%s", error);
        return;
    }
    s->unreadable[0] = '\0';
    if (memcmp(hash, s->hash, sizeof hash) == 0)
        return;
    s->reload = RELOAD_CHANGED;
    server_wake(s);
}

// A pipe gives its contents once, and opening one can wait for ever.
static bool can_be_read_again(struct server_state *s)
{
    char error[CONFIG_ERROR_MAX];
    struct stat st;
    const char *path = corefile_path(s->options);
    if (path == NULL || stat(path, &st) != 0 || S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) // others say the rest
        return true;
    snprintf(error, sizeof error, "%s is not a regular file: it cannot be read again; restart to load a new one", path);
    log_problem(s, error);
    return false;
}

// A generation that runs beside the present one, with sockets for all its addresses.
static int start_next(struct server_state *s, struct generation **out)
{
    char error[CONFIG_ERROR_MAX] = "";
    struct generation *g;
    if (!can_be_read_again(s))
        return CDNS_EINVAL;
    int rc = reload_build(s->options, log_problem, s, &g);
    if (rc != 0)
        return rc;
    rc = generation_start(g, &s->loop, s, error);
    if (rc == 0 && (rc = listen_open(s, g, error)) != 0)
        generation_stop(g);
    if (rc == 0 && server_stopping(s)) { // a signal came while a plugin waited for its first sync
        generation_stop(g);
        rc = CDNS_ECANCELED;
    }
    if (rc == 0) {
        *out = g;
        return 0;
    }
    if (error[0] != '\0')
        log_problem(s, error);
    listen_close(s, g);
    generation_free(g);
    return rc;
}

static void on_reclaim(uv_timer_t *timer)
{
    reload_reclaim(timer->data);
}

#define HASH_TEXT (2 * COREFILE_HASH + 1)

static const char *hash_text(const uint8_t hash[COREFILE_HASH], char out[HASH_TEXT])
{
    for (size_t i = 0; i < COREFILE_HASH; i++)
        snprintf(out + 2 * i, 3, "%02x", hash[i]);
    return out;
}

void reload_announce(const struct generation *g)
{
    char text[HASH_TEXT];
    for (unsigned b = 0; b < g->nblocks; b++)
        for (unsigned i = 0; i < g->blocks[b].ninstances; i++)
            if (strcmp(g->blocks[b].instances[i].plugin->name, "reload") == 0) {
                log_plugin(LOG_LEVEL_INFO, "reload", "Running configuration SHA512 = %s", hash_text(g->hash, text));
                return;
            }
}

// A file that was tried is not tried again until it says something else.
static void remember(struct server_state *s)
{
    char error[CONFIG_ERROR_MAX], value[HASH_TEXT];
    const char *labels[] = {"sha512", value}, *path = corefile_path(s->options);
    if (path == NULL || corefile_hash_file(path, s->hash, error) != 0)
        return;
    hash_text(s->hash, value);
    if (s->version == NULL)
        s->version = metric_series(&version_info, labels);
    else
        metrics_rename(s->version, labels);
    metric_set(s->version, 0, 1);
}

void reload_init(struct server_state *s)
{
    INVARIANT(uv_timer_init(&s->loop, &s->reclaim) == 0);
    s->reclaim.data = s;
    (void)metric_series(&failed_total, NULL);
}

void reload_run(struct server_state *s)
{
    struct generation *next, *last = s->generation;
    s->reloading = s->reload; // a signal from here on asks for another one: the file has been read
    s->reload = RELOAD_NONE;
    log_write(LOG_LEVEL_INFO, "Reloading");
    remember(s);
    int rc = start_next(s, &next);
    s->reloading = RELOAD_NONE;
    if (rc == CDNS_ETIMEOUT) // the file may well be right: the next look is to try it again
        memset(s->hash, 0, sizeof s->hash);
    if (rc != 0) {
        metric_count(metric_series(&failed_total, NULL), METRIC_ELSEWHERE, 0, 1);
        return;
    }
    s->generation = next;
    listen_serve(s, next);
    generation_stop(last);
    last->retired_ns = clock_monotonic_ns();
    last->next = s->retired;
    s->retired = last;
    uv_timer_start(&s->reclaim, on_reclaim, RECLAIM_MS, RECLAIM_MS);
    reload_reclaim(s);
    reload_announce(next);
    log_write(LOG_LEVEL_INFO, "Reloading complete");
}

// Does the next generation serve all its addresses?
static bool addresses_kept(const struct server_state *s, const struct generation *g)
{
    for (unsigned l = 0; l < g->nlistens; l++)
        if (generation_listen(s->generation, &g->listens[l]) == NULL)
            return false;
    return true;
}

// Nothing looks at it any more, and its sockets are closed. That no query is parked in it (pins) is not enough: one
// that was just resumed may still be worked on, and whoever resumed it, as a flight of forward's, may use its instance
// behind query_resume(), outside of any RCU section. So each worker has to come by between two events (listen_close()
// waits for that) after the pins were gone: the first time it loses its sockets, so that nothing can begin there; the
// second time what began before has ended, or is parked.
static bool close_unused(struct server_state *s, const struct generation *g)
{
    for (int i = 0; i < 2; i++) {
        if (atomic_load(&g->pins) > 0)
            return false;
        listen_close(s, g);
    }
    return atomic_load(&g->pins) == 0;
}

void reload_reclaim(struct server_state *s)
{
    uint64_t now = clock_monotonic_ns();
    unsigned newer = 0;
    for (struct generation **at = &s->retired; *at != NULL; newer++) {
        struct generation *g = *at;
        bool drained = addresses_kept(s, g) || now - g->retired_ns >= DRAINED_NS || newer >= DRAINED_MAX;
        if (!drained || !close_unused(s, g)) {
            at = &g->next;
            continue;
        }
        *at = g->next;
        generation_free(g);
        malloc_trim(0);
    }
    if (s->retired == NULL)
        uv_timer_stop(&s->reclaim);
}

void reload_reclaim_all(struct server_state *s)
{
    while (s->retired != NULL) {
        struct generation *g = s->retired;
        s->retired = g->next;
        generation_free(g);
    }
}
