// SPDX-License-Identifier: Apache-2.0
#include "kube/manifest_source.h"
#include "base/siphash.h"
#include "kube/manifest_files.h"
#include "kube/manifests.h"
#include "kube/selector.h"
#include <clusterdns/log.h>
#include <jansson.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define WATCHES_MAX 1000 // directories that are watched; changes in others are found by looking
#define KEY_WATCH (-3)

// A directory under watch.
struct watch {
    uv_fs_event_t event;
    struct manifest_source *source;
    struct watch *next;
};

struct manifest_source {
    uv_loop_t *loop;
    struct feed *feed;
    const struct source_options *options;
    const struct selector *selectors[KUBE_KINDS]; // NULL: all objects
    struct arena *arena;                          // of the selectors
    uint64_t seen[2];                             // fingerprint of the files that were read last
    uint64_t settling[2];                         // the latest one of files that are changing
    unsigned rounds;                              // how long they have been
    uint64_t looked;                              // when they were looked at last, in the loop's time
    json_t *named; // set of the namespaces that objects name; NULL: a Namespace object was seen
    struct watch *watches;
    size_t nwatches;
    uv_timer_t settle, look;
    size_t open; // libuv handles that are not closed yet
    void (*closed)(void *arg);
    void *arg;
};

// ---- reading ----

// Namespaces that are only named exist unless the manifests know better.
static int note_namespace(struct manifest_source *s, const struct kube_object *o)
{
    if (o->kind == KUBE_NAMESPACE) {
        json_decref(s->named);
        s->named = NULL;
    } else if (s->named != NULL && json_object_get(s->named, o->namespace_) == NULL) {
        return json_object_set_new(s->named, o->namespace_, json_true()) == 0 ? 0 : CDNS_ENOMEM;
    }
    return 0;
}

// What an object's selector looks at.
struct labelled {
    const struct kube_object *object;
    const json_t *labels; // NULL: none
};

static const char *find_label(const void *arg, const char *key)
{
    const struct labelled *l = arg;
    if (l->object->kind == KUBE_NAMESPACE && strcmp(key, "kubernetes.io/metadata.name") == 0)
        return l->object->name; // the API server's doing
    return json_string_value(json_object_get(l->labels, key));
}

static void apply(struct manifest_source *s, const struct kube_object *o, const json_t *labels)
{
    const struct selector *selector = s->selectors[o->kind];
    const struct labelled labelled = {o, labels};
    if (feed_wants(s->feed, o->kind) && (selector == NULL || selector_matches(selector, find_label, &labelled)))
        feed_upsert(s->feed, o, true);
}

static int take(void *arg, const struct kube_object *o, const json_t *labels)
{
    struct manifest_source *s = arg;
    int r = note_namespace(s, o); // one that is not selected is there too
    if (r == 0)
        apply(s, o, labels);
    return r;
}

static void add_named_namespaces(struct manifest_source *s)
{
    const char *name;
    json_t *unused;
    json_object_foreach(s->named, name, unused)
    {
        struct kube_object o = {.kind = KUBE_NAMESPACE, .namespace_ = "", .name = name};
        apply(s, &o, NULL);
    }
    json_decref(s->named);
    s->named = NULL;
}

// Reads all paths; `callback` NULL: only to see whether they can be read.
static int read_paths(struct manifest_source *s, manifest_cb callback, char *error, size_t error_size)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < s->options->nmanifests; i++)
        r = manifests_read(s->options->manifests[i], callback, s, error, error_size);
    return r;
}

// Makes the store what the files say.
static int load(struct manifest_source *s, char *error, size_t error_size)
{
    for (size_t i = 0; i < KUBE_KINDS; i++)
        feed_relist_begin(s->feed, (enum kube_kind)i);
    s->named = json_object();
    int r = s->named != NULL ? read_paths(s, take, error, error_size) : CDNS_ENOMEM;
    if (r == 0)
        add_named_namespaces(s);
    json_decref(s->named);
    s->named = NULL;
    for (size_t i = 0; r == 0 && i < KUBE_KINDS; i++)
        feed_relist_end(s->feed, (enum kube_kind)i);
    return r;
}

// ---- changes ----

// Mixes a file's place and state into the fingerprint.
static int mix_file(void *arg, const char *path, const struct stat *st)
{
    uint64_t *print = arg;
    uint64_t state[] = {print[0],
                        print[1],
                        siphash13(siphash_process_key(), path, strlen(path)),
                        (uint64_t)st->st_dev,
                        (uint64_t)st->st_ino,
                        (uint64_t)st->st_size,
                        (uint64_t)st->st_mtim.tv_sec,
                        (uint64_t)st->st_mtim.tv_nsec,
                        (uint64_t)st->st_ctim.tv_sec,
                        (uint64_t)st->st_ctim.tv_nsec};
    siphash24_128(siphash_process_key(), state, sizeof state, print);
    return 0;
}

// A number that changes when a file changes, comes or goes. A path that cannot be read counts as one without files.
static void fingerprint(const struct manifest_source *s, uint64_t print[2])
{
    char unused[256];
    struct manifest_walk walk = {.file = mix_file, .arg = print};
    print[0] = print[1] = 0;
    for (size_t i = 0; i < s->options->nmanifests; i++)
        (void)!manifest_files(s->options->manifests[i], &walk, unused, sizeof unused);
}

static void watch_all(struct manifest_source *s);

// Reads the files again.
static void reload(struct manifest_source *s)
{
    char error[FEED_TROUBLE_MAX] = "";
    watch_all(s);
    int r = read_paths(s, NULL, error, sizeof error);
    if (r == 0)
        r = load(s, error, sizeof error);
    if (r != 0 && error[0] == '\0')
        snprintf(error, sizeof error, "%s", error_text(r));
    if (r != 0)
        log_plugin(LOG_LEVEL_ERROR, "kubernetes", "%s; the objects read before stay in use", error);
    else
        log_plugin(LOG_LEVEL_INFO, "kubernetes", "manifests have changed and were read again");
    feed_trouble(s->feed, KUBE_NAMESPACE, r != 0 ? error : "");
}

static void on_settled(uv_timer_t *timer);

// Reads the files again once they have kept still: half a file can be whole YAML.
static void look(struct manifest_source *s)
{
    uint64_t now[2];
    s->looked = uv_now(s->loop);
    fingerprint(s, now); // before reading: what changes meanwhile is seen at the next look
    if (memcmp(now, s->seen, sizeof now) == 0) {
        s->rounds = 0;
        return;
    }
    bool still = s->rounds > 0 && memcmp(now, s->settling, sizeof now) == 0;
    if (!still && s->rounds < MANIFEST_SETTLE_ROUNDS) {
        memcpy(s->settling, now, sizeof now);
        s->rounds++;
        uv_timer_start(&s->settle, on_settled, MANIFEST_SETTLE_MS, 0);
        return;
    }
    s->rounds = 0;
    memcpy(s->seen, now, sizeof now);
    reload(s);
}

static void on_settled(uv_timer_t *timer)
{
    look(timer->data);
}

// Something may have changed. What is settling already is looked at in its time, and so is what was looked at just
// now: events come for every file of a directory, and a log may be written there.
static void suspect(struct manifest_source *s)
{
    uint64_t since = uv_now(s->loop) - s->looked;
    if (uv_is_active((uv_handle_t *)&s->settle))
        return;
    if (since < MANIFEST_SETTLE_MS)
        uv_timer_start(&s->settle, on_settled, MANIFEST_SETTLE_MS - since, 0);
    else
        look(s);
}

static void on_look(uv_timer_t *timer)
{
    suspect(timer->data);
}

// ---- watches ----

static void source_free(struct manifest_source *s)
{
    arena_free(s->arena);
    free(s);
}

static void handle_closed(struct manifest_source *s)
{
    if (--s->open > 0) // the timers close last, when the source does
        return;
    void (*closed)(void *arg) = s->closed;
    void *arg = s->arg;
    source_free(s);
    closed(arg);
}

static void on_watch_closed(uv_handle_t *handle)
{
    struct watch *w = handle->data;
    struct manifest_source *s = w->source;
    free(w);
    handle_closed(s);
}

static void on_event(uv_fs_event_t *event, const char *name, int events, int status)
{
    (void)name;
    (void)events;
    (void)status;
    struct watch *w = event->data;
    suspect(w->source);
}

static int watch_directory(void *arg, const char *path)
{
    struct manifest_source *s = arg;
    if (s->nwatches == WATCHES_MAX)
        return 0;
    struct watch *w = calloc(1, sizeof *w);
    if (w == NULL)
        return CDNS_ENOMEM;
    w->source = s;
    w->next = s->watches;
    s->watches = w;
    s->nwatches++;
    s->open++;
    uv_fs_event_init(s->loop, &w->event);
    w->event.data = w;
    int r = uv_fs_event_start(&w->event, on_event, path, 0);
    if (r != 0)
        feed_log(s->feed, KEY_WATCH, LOG_LEVEL_WARNING, "%s cannot be watched: %s; it is looked at every %d s", path,
                 uv_strerror(r), MANIFEST_LOOK_MS / 1000);
    return 0;
}

static int no_file(void *arg, const char *path, const struct stat *st)
{
    (void)arg;
    (void)path;
    (void)st;
    return 0;
}

static void unwatch_all(struct manifest_source *s)
{
    for (struct watch *w = s->watches, *next; w != NULL; w = next) {
        next = w->next;
        uv_close((uv_handle_t *)&w->event, on_watch_closed);
    }
    s->watches = NULL;
    s->nwatches = 0;
}

// Watches the directories as they are now; of a file the one it stands in, for editors and ConfigMaps replace files.
static void watch_all(struct manifest_source *s)
{
    char unused[256], parent[PATH_MAX];
    struct manifest_walk walk = {.file = no_file, .directory = watch_directory, .arg = s};
    struct stat st;
    unwatch_all(s);
    for (size_t i = 0; i < s->options->nmanifests; i++) {
        if (stat(s->options->manifests[i], &st) == 0 && S_ISDIR(st.st_mode)) {
            (void)!manifest_files(s->options->manifests[i], &walk, unused, sizeof unused);
        } else {
            snprintf(parent, sizeof parent, "%s", s->options->manifests[i]);
            (void)!watch_directory(s, dirname(parent));
        }
    }
}

// ---- life ----

static void on_timer_closed(uv_handle_t *handle)
{
    handle_closed(handle->data);
}

static int parse_selectors(struct manifest_source *s, char *error, size_t error_size)
{
    int r = s->arena != NULL ? 0 : CDNS_ENOMEM;
    for (size_t i = 0; r == 0 && i < KUBE_KINDS; i++)
        if (s->options->selectors[i] != NULL)
            r = selector_parse(s->options->selectors[i], s->arena, &s->selectors[i], error, error_size);
    return r;
}

int manifest_source_start(uv_loop_t *loop, struct feed *feed, const struct source_options *options,
                          struct manifest_source **out, char *error, size_t error_size)
{
    struct manifest_source *s = calloc(1, sizeof *s);
    if (s == NULL)
        return CDNS_ENOMEM;
    s->loop = loop;
    s->feed = feed;
    s->options = options;
    s->arena = arena_new(0);
    fingerprint(s, s->seen);
    int r = parse_selectors(s, error, error_size);
    if (r == 0)
        r = load(s, error, error_size);
    if (r != 0) {
        source_free(s);
        return r;
    }
    uv_timer_init(loop, &s->settle);
    uv_timer_init(loop, &s->look);
    s->settle.data = s->look.data = s;
    s->open = 2;
    uv_timer_start(&s->look, on_look, MANIFEST_LOOK_MS, MANIFEST_LOOK_MS);
    watch_all(s);
    *out = s;
    return 0;
}

void manifest_source_close(struct manifest_source *s, void (*closed)(void *arg), void *arg)
{
    s->closed = closed;
    s->arg = arg;
    unwatch_all(s);
    uv_close((uv_handle_t *)&s->settle, on_timer_closed);
    uv_close((uv_handle_t *)&s->look, on_timer_closed);
}
