// SPDX-License-Identifier: Apache-2.0
#include "kube/source.h"

#include "base/clock.h"
#include "base/rcu.h"
#include "base/thread.h"
#include "kube/api_source.h"
#include "kube/credentials.h"
#include "kube/feed.h"
#include "kube/identity.h"
#include "kube/manifest_source.h"
#include "kube/manifests.h"
#include "kube/metrics.h"
#include "kube/thread.h"
#include <clusterdns/log.h>
#include <clusterdns/metrics.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SOURCE_NAME_MAX 256

struct source {
    // The main thread's.
    struct source *next;
    unsigned references;
    struct source_options *options;
    char *server; // of an API; NULL: manifests
    char name[SOURCE_NAME_MAX];
    struct store *store;
    struct source_metrics *metrics;

    // The kube thread's.
    struct credentials *credentials; // until they are handed on
    struct feed feed;
    struct api_source *api;
    struct manifest_source *manifests;

    pthread_mutex_t lock; // of all below
    pthread_cond_t changed;
    bool started, synced;
    int result; // of the start
    char error[FEED_TROUBLE_MAX], trouble[FEED_TROUBLE_MAX];
};

static struct source *sources; // those that are held. Main thread

// ---- kube thread ----

static void on_synced(void *arg)
{
    struct source *s = arg;
    pthread_mutex_lock(&s->lock);
    s->synced = true;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

static void on_trouble(void *arg, const char *text)
{
    struct source *s = arg;
    pthread_mutex_lock(&s->lock);
    snprintf(s->trouble, sizeof s->trouble, "%s", text);
    pthread_mutex_unlock(&s->lock);
}

static void run_start(uv_loop_t *loop, void *arg)
{
    struct source *s = arg;
    const struct source_options *o = s->options;
    const struct feed_listener listener = {.synced = on_synced, .trouble = on_trouble, .arg = s};
    char error[FEED_TROUBLE_MAX] = "";
    int r = 0;
    feed_init(&s->feed, loop, s->store, &o->store, &listener);
    s->feed.metrics = s->metrics;
    if (s->credentials != NULL) {
        s->api = api_source_start(loop, &s->feed, s->credentials, o, &REFLECTOR_TIMING);
        s->credentials = NULL;
        r = s->api != NULL ? 0 : CDNS_ENOMEM;
    } else {
        r = manifest_source_start(loop, &s->feed, o, &s->manifests, error, sizeof error);
    }
    pthread_mutex_lock(&s->lock);
    s->started = true;
    s->result = r;
    snprintf(s->error, sizeof s->error, "%s", error);
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

static void source_free(struct source *s)
{
    store_free(s->store);
    source_metrics_free(s->metrics);
    credentials_free(s->credentials);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->changed);
    free(s->options);
    free(s->server);
    free(s);
}

static void on_feed_closed(void *arg)
{
    rcu_wait(); // a worker may still be inside a section that began before the release
    source_free(arg);
}

static void on_fed(void *arg)
{
    struct source *s = arg;
    feed_close(&s->feed, on_feed_closed, s);
}

static void run_stop(uv_loop_t *loop, void *arg)
{
    (void)loop;
    struct source *s = arg;
    if (s->api != NULL)
        api_source_close(s->api, on_fed, s);
    else if (s->manifests != NULL)
        manifest_source_close(s->manifests, on_fed, s);
    else
        on_fed(s);
}

// ---- main thread ----

static int load_credentials(const struct source_options *options, struct credentials **out, char *error, size_t size)
{
    *out = NULL;
    return options->nmanifests > 0 ? 0 : credentials_load(options, out, error, size);
}

// The source of this identity. The server's address is part of it: a kubeconfig can come to mean another cluster.
static struct source *find(const struct source_options *options, const struct credentials *credentials)
{
    for (struct source *s = sources; s != NULL; s = s->next)
        if (options_equal(s->options, options) &&
            (credentials == NULL || (s->server != NULL && strcmp(s->server, credentials->server) == 0)))
            return s;
    return NULL;
}

// What a source is called in metrics: where its facts are from, and its number if there are several of the place.
static void name_source(struct source *s)
{
    const struct source_options *o = s->options;
    unsigned same = 1;
    const char *place = s->server != NULL ? s->server : o->manifests[0];
    snprintf(s->name, sizeof s->name, "%s", place);
    for (const struct source *other = sources; other != NULL;)
        if (strcmp(other->name, s->name) == 0) {
            snprintf(s->name, sizeof s->name, "%.*s#%u", SOURCE_NAME_MAX - 16, place, ++same);
            other = sources;
        } else {
            other = other->next;
        }
}

// A source that does not run yet; takes the credentials over.
static struct source *source_new(const struct source_options *options, struct credentials *credentials)
{
    struct source *s = calloc(1, sizeof *s);
    if (s == NULL) {
        credentials_free(credentials);
        return NULL;
    }
    s->credentials = credentials;
    s->references = 1;
    s->options = options_copy(options);
    s->server = credentials != NULL ? strdup(credentials->server) : NULL;
    s->store = store_new(&options->store);
    if (s->options != NULL && (credentials == NULL || s->server != NULL)) {
        name_source(s);
        s->metrics = source_metrics_new(s->name, &options->store, credentials != NULL);
    }
    pthread_mutex_init(&s->lock, NULL);
    thread_condition_init(&s->changed);
    if (s->store != NULL && s->metrics != NULL)
        return s;
    source_free(s);
    return NULL;
}

static void forget(struct source *s)
{
    for (struct source **p = &sources; *p != NULL; p = &(*p)->next) {
        if (*p == s) {
            *p = s->next;
            return;
        }
    }
}

static void show_all(void *unused)
{
    (void)unused;
    for (struct source *s = sources; s != NULL; s = s->next) {
        pthread_mutex_lock(&s->lock);
        bool synced = s->synced;
        pthread_mutex_unlock(&s->lock);
        source_metrics_show(s->metrics, synced);
    }
}

static struct metrics_collector collector = {.collect = show_all};

// Waits for the start's result; manifests have been read then.
static int wait_started(struct source *s, char *error, size_t error_size)
{
    pthread_mutex_lock(&s->lock);
    while (!s->started)
        pthread_cond_wait(&s->changed, &s->lock);
    int r = s->result;
    if (r == CDNS_ECONFIG)
        snprintf(error, error_size, "%s", s->error);
    pthread_mutex_unlock(&s->lock);
    return r;
}

int source_acquire(const struct source_options *options, struct source **source, char *error, size_t error_size)
{
    struct credentials *credentials;
    int r = load_credentials(options, &credentials, error, error_size);
    if (r != 0)
        return r;
    struct source *s = find(options, credentials);
    if (s != NULL) {
        credentials_free(credentials);
        s->references++;
        *source = s;
        return 0;
    }
    s = source_new(options, credentials);
    if (s == NULL)
        return CDNS_ENOMEM;
    r = kube_thread_run(run_start, s);
    if (r != 0) {
        source_free(s);
        return r;
    }
    if (sources == NULL)
        metrics_collector_add(&collector);
    s->next = sources;
    sources = s;
    r = wait_started(s, error, error_size);
    if (r != 0)
        source_release(s);
    else
        *source = s;
    return r;
}

void source_release(struct source *s)
{
    if (--s->references > 0)
        return;
    forget(s);
    source_metrics_hide(s->metrics);
    if (sources == NULL)
        metrics_collector_remove(&collector);
    // Without memory for the request it is left as it is: the process is at its end anyway.
    if (kube_thread_run(run_stop, s) != 0)
        log_plugin(LOG_LEVEL_ERROR, "kubernetes", "a source cannot be stopped: out of memory");
}

bool source_shared(const struct source *source)
{
    return source->references > 1;
}

const struct store *source_store(const struct source *source)
{
    return source->store;
}

int source_wait_synced(struct source *s, uint64_t timeout_ns)
{
    uint64_t end = clock_monotonic_ns();
    end = timeout_ns > UINT64_MAX - end ? UINT64_MAX : end + timeout_ns;
    struct timespec until = clock_timespec(end);
    int r = 0;
    pthread_mutex_lock(&s->lock);
    while (!s->synced && r == 0)
        r = pthread_cond_timedwait(&s->changed, &s->lock, &until);
    bool synced = s->synced;
    pthread_mutex_unlock(&s->lock);
    return synced ? 0 : CDNS_ETIMEOUT;
}

void source_trouble(const struct source *source, char *out, size_t size)
{
    struct source *s = (struct source *)(uintptr_t)source; // the lock is not part of what is const
    pthread_mutex_lock(&s->lock);
    snprintf(out, size, "%s", s->trouble);
    pthread_mutex_unlock(&s->lock);
}

int source_check(const struct source_options *options, char *error, size_t error_size)
{
    struct credentials *credentials;
    int r = load_credentials(options, &credentials, error, error_size);
    // Manifests that are in use already were checked when they were read; broken new contents do not stop a reload.
    if (r == 0 && find(options, credentials) == NULL)
        for (size_t i = 0; r == 0 && i < options->nmanifests; i++)
            r = manifests_read(options->manifests[i], NULL, NULL, error, error_size);
    credentials_free(credentials);
    return r;
}

void source_shutdown(void)
{
    kube_thread_end();
}
