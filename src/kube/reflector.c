// SPDX-License-Identifier: Apache-2.0
#include "kube/reflector.h"
#include "base/clock.h"
#include "kube/plan.h"
#include "kube/resource.h"
#include "kube/stream.h"
#include <clusterdns/log.h>
#include <clusterdns/random.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VERSION_MAX 128                          // bytes of a resource version
#define KEY(r, n) ((int)(r)->kind * 10000 + (n)) // log key of a trouble of this kind alone

struct reflector {
    struct client *client;
    struct feed *feed;
    enum kube_kind kind;
    const struct resource *resource;
    const char *labels; // selector of the objects wanted
    struct reflector_timing timing;
    uv_timer_t timer; // before a request: the wait; during one: the watchdog

    // The request under way.
    struct transfer *transfer; // NULL: waiting
    enum purpose purpose;
    enum step step;            // of the request to come
    uint64_t started, heard;   // monotonic, ns: the request, its latest byte
    unsigned agreed_seconds;   // when the server is to end the watch
    bool measured;             // its time was counted
    bool fresh;                // the next request goes over a new connection
    bool json;                 // protobuf is not asked for
    bool bookmarks;            // they have come on this stream
    struct api_status refusal; // of an ERROR event; code 0: none
    struct stream *stream;
    char strange[80]; // Content-Type of an answer that is in no known format

    // Where we stand.
    char version[VERSION_MAX];      // the state the store has; "": none yet
    char list_version[VERSION_MAX]; // of the list under way: its first page's
    char *token;                    // of the list's next page; NULL: the first one
    unsigned pages;                 // of the list under way that have come
    bool anew, unpaged;             // of the list under way: newest state; in one page
    enum relist reason;             // of the next list
    bool unsure;                    // the server was away: it may come back with an older state, from a backup
    unsigned failures;              // in a row
    enum reach reach;               // of the latest request that did not end well
    bool away;                      // nobody answered that one
    uint64_t back;                  // when it was refused after that, monotonic, ns; 0: it was not
    bool troubled;                  // a trouble was reported and is not over
    bool told;                      // and the log has a line about it
    int refusal_told;               // status of a refusal that the log has and that is not over; 0: none
    void (*closed)(void *arg);
    void *closed_arg;
};

static void begin(struct reflector *r);

// ---- events ----

// Copies a resource version that can be used; returns whether there was one.
static bool take_version(const char *version, char out[VERSION_MAX])
{
    if (version[0] == '\0' || strlen(version) >= VERSION_MAX)
        return false;
    snprintf(out, VERSION_MAX, "%s", version);
    return true;
}

// The trouble that was reported last, if any, is over. No line about a trouble is left without one about its end.
static void recovered(struct reflector *r)
{
    if (r->told)
        log_plugin(LOG_LEVEL_INFO, "kubernetes", "%s: the API server answers again", r->resource->plural);
    else if (r->troubled)
        feed_log(r->feed, KEY(r, 4), LOG_LEVEL_INFO, "%s: the API server answers again", r->resource->plural);
    r->troubled = r->told = false;
    r->refusal_told = 0;
    feed_trouble(r->feed, r->kind, "");
}

// All objects of the kind are in the store now, and it is in the state `r->version`.
static void synced(struct reflector *r)
{
    feed_relist_end(r->feed, r->kind);
    recovered(r);
    r->anew = r->unpaged = r->unsure = false;
}

static void take_bookmark(struct reflector *r, const struct event *e)
{
    if (r->purpose == PURPOSE_WATCH) {
        r->bookmarks = true;
        (void)take_version(e->version, r->version);
    } else if (e->initial_end && take_version(e->version, r->version)) {
        r->purpose = PURPOSE_WATCH;
        synced(r);
    }
}

// An EndpointSlice was applied. As CoreDNS, each that a watch brings is counted; of a list, unlike CoreDNS, only what
// is new since an earlier list: the rest was answered long before.
static void count_programming(const struct reflector *r, const struct kube_object *o, bool initial, bool changed)
{
    bool listed = (r->feed->listed >> r->kind & 1) != 0;
    if (o->kind != KUBE_ENDPOINTSLICE || (initial && (!listed || !changed)))
        return;
    int type = store_service_type(r->feed->store, o->namespace_, o->slice.service);
    if (type >= 0)
        kube_count_programming(o->slice.triggered_ns, (enum kube_service_type)type);
}

// Applies an object; one that cannot be decoded is passed over, for the others must not wait for it.
static void take_object(struct reflector *r, const struct event *e)
{
    bool initial = r->purpose != PURPOSE_WATCH, good = e->type != EVENT_UNKNOWN && e->result == 0;
    uint64_t changes = store_changes(r->feed->store);
    if (e->type == EVENT_UNKNOWN)
        feed_log(r->feed, KEY(r, 3), LOG_LEVEL_WARNING, "%s: event of unknown type passed over", r->resource->plural);
    else if (e->result != 0)
        feed_log(r->feed, KEY(r, 1), LOG_LEVEL_WARNING, "%s: object passed over: %s", r->resource->plural, e->reason);
    else if (e->type == EVENT_DELETED)
        feed_delete(r->feed, &e->object);
    else
        feed_upsert(r->feed, &e->object, initial);
    if (good)
        count_programming(r, &e->object, initial, store_changes(r->feed->store) != changes);
    if (!initial) // initial events come in no order: their versions say nothing
        (void)take_version(e->version, r->version);
}

static enum counted what_came(const struct reflector *r, const struct event *e)
{
    static const enum counted of_watch[] = {
        [EVENT_ADDED] = COUNTED_ADDED, [EVENT_MODIFIED] = COUNTED_MODIFIED, [EVENT_DELETED] = COUNTED_DELETED};
    if (!e->wanted || e->type == EVENT_UNKNOWN || e->result != 0)
        return COUNTED_PASSED_OVER;
    if (e->type == EVENT_BOOKMARK)
        return COUNTED_BOOKMARK;
    return r->purpose == PURPOSE_WATCH ? of_watch[e->type] : COUNTED_INITIAL;
}

static int take_event(void *arg, const struct event *e)
{
    struct reflector *r = arg;
    if (e->type == EVENT_ERROR) {
        r->refusal = e->status;
        return CDNS_ECANCELED; // nothing follows
    }
    source_metrics_event(r->feed->metrics, r->kind, what_came(r, e));
    if (!e->wanted)
        feed_log(r->feed, KEY(r, 2), LOG_LEVEL_WARNING, "%s: event passed over: it is about no %s", r->resource->plural,
                 r->resource->kind);
    else if (e->type == EVENT_BOOKMARK)
        take_bookmark(r, e);
    else
        take_object(r, e);
    return 0;
}

// The end of a page: takes the token of the next one, or ends the list.
static int finish_page(struct reflector *r)
{
    struct page page;
    int result = stream_finish(r->stream, &page);
    if (result != 0)
        return result;
    // A list that never ends would be asked for without a pause.
    bool endless = ++r->pages > LIST_PAGES_MAX || (r->token != NULL && strcmp(r->token, page.token) == 0);
    bool good = !endless && (r->token != NULL || take_version(page.version, r->list_version));
    bool more = good && page.token[0] != '\0';
    free(r->token);
    r->token = more ? strdup(page.token) : NULL;
    if (!good)
        return CDNS_ESYNTAX;
    if (more)
        return r->token != NULL ? 0 : CDNS_ENOMEM;
    snprintf(r->version, sizeof r->version, "%s", r->list_version);
    synced(r);
    return 0;
}

// ---- requests ----

// Bytes have come.
static void heard(struct reflector *r)
{
    r->heard = clock_monotonic_ns();
    source_metrics_heard(r->feed->metrics, r->kind);
}

// The request has been answered: a list at its end, a watch when its answer begins.
static void measure(struct reflector *r)
{
    if (!r->measured)
        kube_count_request_time(client_server(r->client), clock_monotonic_ns() - r->started);
    r->measured = true;
}

static void on_watch_over(uv_timer_t *timer);

// The request was sent: how long it had waited for that does not count.
static void on_sent(void *arg)
{
    struct reflector *r = arg;
    r->started = r->heard = clock_monotonic_ns();
    uv_timer_start(&r->timer, on_watch_over, r->timing.silence_ms, 0);
}

static int on_answer(void *arg)
{
    struct reflector *r = arg;
    heard(r);
    r->away = false;
    r->back = 0;
    if (r->purpose != PURPOSE_LIST)
        measure(r);
    const char *type = client_content_type(r->transfer);
    int result = stream_begin(r->stream, r->purpose == PURPOSE_LIST, type);
    if (result == CDNS_EINVAL)
        snprintf(r->strange, sizeof r->strange, "%s", type[0] != '\0' ? type : "none");
    if (result == 0 && r->purpose == PURPOSE_WATCH)
        recovered(r);
    return result;
}

static int on_data(void *arg, const char *data, size_t len)
{
    struct reflector *r = arg;
    heard(r);
    return r->purpose == PURPOSE_CHECK ? 0 : stream_feed(r->stream, data, len);
}

static void stop_request(struct reflector *r)
{
    stream_end(r->stream);
    r->transfer = NULL;
    uv_timer_stop(&r->timer);
}

static void on_wait_over(uv_timer_t *timer)
{
    begin(timer->data);
}

static void wait_for(struct reflector *r, enum step step, uint64_t ms)
{
    r->step = step;
    uv_timer_start(&r->timer, on_wait_over, ms, 0);
}

// What a person needs to know about a refused request.
static void describe_status(const struct reflector *r, const struct api_status *s, char *text, size_t size)
{
    const char *what = r->resource->plural;
    const char *message = s->message[0] != '\0' ? s->message : s->reason[0] != '\0' ? s->reason : "no reason given";
    if (s->code == 403)
        snprintf(text, size,
                 "%s: 403 Forbidden: %s; this server's role needs the verbs list and watch for resource \"%s\" of API "
                 "group \"%s\"",
                 what, message, what, r->resource->group);
    else if (s->code == 401)
        snprintf(text, size,
                 "%s: 401 Unauthorized: %s; the token or client certificate is not, or no longer, accepted; it is read "
                 "again for each attempt",
                 what, message);
    else if (s->code == 404 && feed_is_optional(r->kind))
        snprintf(text, size,
                 "%s: 404 Not Found: the API server has no resource \"%s\" of API group \"%s\": its custom resource "
                 "definition is not installed",
                 what, what, r->resource->group);
    else if (s->code >= 300 && s->code < 400)
        snprintf(text, size, "%s: HTTP status %d; redirects are not followed", what, s->code);
    else
        snprintf(text, size, "%s: HTTP status %d: %s", what, s->code, message);
}

// Logs why a request failed and keeps it as the kind's trouble.
static void report(struct reflector *r, const struct ending *e, const struct client_result *result,
                   const struct plan *plan)
{
    char text[FEED_TROUBLE_MAX];
    int key = KEY(r, 1000 + e->status.code);
    if (e->status.code != 0) {
        describe_status(r, &e->status, text, sizeof text);
    } else if (r->strange[0] != '\0') {
        snprintf(
            text, sizeof text,
            "%s: the answer is neither JSON nor protobuf (its content type: %s): that is no API server, or a proxy "
            "answers in its place",
            r->resource->plural, r->strange);
    } else if (e->corrupt) {
        snprintf(text, sizeof text, "%s: what the API server sends cannot be understood: %s", r->resource->plural,
                 error_text(result->error));
    } else if (result->cause != 0) {
        snprintf(text, sizeof text, "the API server cannot be reached: %s", result->reason);
        key = -100 - result->cause; // the same for all kinds: one line is enough
    } else {
        snprintf(text, sizeof text, "%s: no data from the API server for too long", r->resource->plural);
    }
    r->troubled = true;
    source_metrics_trouble(r->feed->metrics, r->kind,
                           e->status.code != 0  ? e->status.code
                           : e->corrupt         ? TROUBLE_CORRUPT
                           : result->cause != 0 ? TROUBLE_UNREACHABLE
                                                : TROUBLE_SILENT);
    feed_trouble(r->feed, r->kind, text);
    // A cluster may well have been meant to do without: it is said once.
    if (plan->early || (plan->refused && r->refusal_told == e->status.code))
        return;
    r->told |= feed_log(r->feed, key, LOG_LEVEL_ERROR, "Failed to watch: %s", text);
    r->refusal_told = plan->refused ? e->status.code : 0;
}

// Takes the resource in another version of its API, if there is one that was not tried.
static bool take_other_version(struct reflector *r)
{
    const struct resource *first = &resources[r->kind];
    r->resource = r->resource->other != NULL ? r->resource->other : first;
    return r->resource != first;
}

// Why a request that ended so is followed by a list, if it is.
static enum relist relist_reason(const struct ending *e, enum step next)
{
    bool instead = e->purpose == PURPOSE_WATCHLIST && next == STEP_LIST;
    return e->corrupt                                 ? RELIST_CORRUPT
           : e->status.expired || e->status.too_large ? RELIST_EXPIRED
           : instead                                  ? RELIST_UNSUPPORTED
           : e->status.code != 0                      ? RELIST_REFUSED
                                                      : RELIST_FAILED;
}

// Goes on after a request that is over.
static void go_on(struct reflector *r, const struct client_result *result, bool silent)
{
    bool unheard = result->status == 0 && !silent;
    uint64_t now = clock_monotonic_ns();
    if (r->away && !unheard)
        r->back = now;
    r->away = unheard;
    struct ending e = {
        .purpose = r->purpose,
        .status = r->refusal,
        .failed = silent || result->error == CDNS_EIO || result->status == 0,
        .silent = silent,
        .unheard = unheard,
        .answered = result->status == 200,
        .protobuf = !r->json,
        .optional = feed_is_optional(r->kind),
        .returning = r->back != 0 && now - r->back < PLAN_EARLY_MS * UINT64_C(1000000),
        .has_version = r->version[0] != '\0' && !r->anew,
        .next_page = r->token != NULL && !r->unpaged, // pages nobody asked for are no reason to ask again at once
        .lived_ms = (now - r->started) / 1000000,
    };
    e.corrupt = !e.failed && result->error != 0 && result->error != CDNS_ECANCELED;
    if (result->status != 0 && result->status != 200)
        api_status_from_http(result->status, result->body, result->body_len, result->retry_after, &e.status);
    enum reach reach = plan_reach(&e);
    e.failures = plan_failures(r->failures, r->reach, reach);
    struct plan plan = plan_next(&e, random_u32());
    if (!plan.normal) // what an old server refuses, it would refuse at its best
        r->reach = reach;
    r->json = r->json || plan.json;
    r->reason = relist_reason(&e, plan.step);
    bool absent = plan.refused && e.status.code == 404;
    if (absent) // that there is none is news too: nothing is old
        source_metrics_heard(r->feed->metrics, r->kind);
    if (absent && take_other_version(r)) {
        wait_for(r, STEP_SYNC, 0);
        return;
    }
    r->failures = plan.good ? 0 : e.failures + !plan.normal;
    // A watch for changes of the future is no error for the server: it says nothing until its state is there again.
    r->unsure = r->unsure || (e.purpose == PURPOSE_WATCH && (unheard || result->status >= 500));
    if (!plan.quiet)
        report(r, &e, result, &plan);
    if (plan.refused)
        feed_refused(r->feed, r->kind, absent);
    wait_for(r, plan.step, plan.wait_ms / r->timing.hurry);
}

static void on_done(void *arg, const struct client_result *result)
{
    struct reflector *r = arg;
    struct client_result judged = *result;
    measure(r);
    bool check = r->purpose == PURPOSE_CHECK;
    bool complete = (check || r->purpose == PURPOSE_LIST) && result->status == 200 && result->error == 0;
    if (complete && check)
        r->unsure = false;
    else if (complete)
        judged.error = finish_page(r);
    stop_request(r);
    if (complete && judged.error == 0) {
        wait_for(r, r->token != NULL ? STEP_LIST : STEP_WATCH, 0);
        return;
    }
    go_on(r, &judged, false);
}

// When the request under way has been silent for too long, in monotonic ns.
static uint64_t deadline(const struct reflector *r)
{
    bool answered = client_status(r->transfer) == 200;
    if (r->purpose != PURPOSE_WATCH || !answered)
        return r->heard + r->timing.silence_ms * UINT64_C(1000000);
    if (r->bookmarks)
        return r->heard + r->timing.bookmark_ms * UINT64_C(1000000);
    return r->started + (r->agreed_seconds * UINT64_C(1000) + r->timing.overtime_ms) * UINT64_C(1000000);
}

// The watchdog: a peer that is there but says nothing is not found by TCP.
static void on_watch_over(uv_timer_t *timer)
{
    struct reflector *r = timer->data;
    uint64_t now = clock_monotonic_ns(), end = deadline(r);
    if (now < end) {
        uv_timer_start(timer, on_watch_over, (end - now) / 1000000 + 1, 0);
        return;
    }
    struct client_result silent = {.status = client_status(r->transfer), .error = CDNS_EIO, .reason = "", .body = ""};
    measure(r);
    client_cancel(r->transfer);
    stop_request(r);
    r->fresh = true;
    go_on(r, &silent, true);
}

static void start_list(struct reflector *r)
{
    r->pages = 0;
    source_metrics_relist(r->feed->metrics, r->kind, r->reason);
    feed_relist_begin(r->feed, r->kind);
}

// The path of the request that `r->step` asks for; sets the purpose.
static char *prepare(struct reflector *r)
{
    r->agreed_seconds = r->timing.watch_seconds + random_below(r->timing.watch_seconds + 1);
    if (r->step == STEP_WATCH && r->unsure) {
        r->purpose = PURPOSE_CHECK;
        return resource_check_path(r->resource, r->version);
    }
    if (r->step == STEP_WATCH) {
        r->purpose = PURPOSE_WATCH;
        return resource_watch_path(r->resource, r->labels, r->version, r->agreed_seconds);
    }
    if (r->step != STEP_LIST) {
        free(r->token);
        r->token = NULL;
    }
    r->anew = r->anew || r->step == STEP_SYNC_ANEW || r->step == STEP_LIST_ANEW;
    r->unpaged = r->unpaged || r->step == STEP_LIST_ANEW;
    if (r->token == NULL)
        start_list(r);
    if (r->step == STEP_SYNC || r->step == STEP_SYNC_ANEW) {
        r->purpose = PURPOSE_WATCHLIST;
        return resource_watchlist_path(r->resource, r->labels, r->anew ? "" : r->version, r->agreed_seconds);
    }
    r->purpose = PURPOSE_LIST;
    // A version that was seen is asked for unpaged: the server then answers from its cache, not from etcd.
    bool first = r->version[0] == '\0', paged = !r->unpaged && (first || r->anew || r->token != NULL);
    return resource_list_path(r->resource, r->labels,
                              r->anew ? ""
                              : first ? "0"
                                      : r->version,
                              r->token, paged ? LIST_PAGE : 0);
}

// Starts the request that is due.
static void begin(struct reflector *r)
{
    const struct client_handler handler = {
        .sent = on_sent, .answer = on_answer, .data = on_data, .done = on_done, .arg = r};
    r->refusal = (struct api_status){0};
    r->strange[0] = '\0';
    r->bookmarks = r->measured = false;
    const char *accept = r->json ? STREAM_JSON : STREAM_PROTOBUF "," STREAM_JSON;
    char *path = prepare(r);
    if (path == NULL || client_get(r->client, path, accept, r->fresh, &handler, &r->transfer) != 0) {
        stop_request(r);
        wait_for(r, r->step, PLAN_BACKOFF_LAST_MS / r->timing.hurry);
    } else {
        r->fresh = false;
    }
    free(path);
}

// ---- life ----

struct reflector *reflector_new(uv_loop_t *loop, struct client *client, struct feed *feed, enum kube_kind kind,
                                const char *labels, const struct reflector_timing *timing)
{
    struct reflector *r = calloc(1, sizeof *r);
    if (r == NULL)
        return NULL;
    r->stream = stream_new(kind, take_event, r);
    if (r->stream == NULL) {
        free(r);
        return NULL;
    }
    r->client = client;
    r->feed = feed;
    r->kind = kind;
    r->resource = &resources[kind];
    r->labels = labels != NULL ? labels : "";
    r->json = r->resource->json_only;
    r->timing = *timing;
    uv_timer_init(loop, &r->timer);
    r->timer.data = r;
    wait_for(r, STEP_SYNC, 0);
    return r;
}

static void on_closed(uv_handle_t *handle)
{
    struct reflector *r = handle->data;
    void (*closed)(void *arg) = r->closed;
    void *arg = r->closed_arg;
    stream_free(r->stream);
    free(r->token);
    free(r);
    closed(arg);
}

void reflector_close(struct reflector *r, void (*closed)(void *arg), void *arg)
{
    if (r->transfer != NULL)
        client_cancel(r->transfer);
    stop_request(r);
    r->closed = closed;
    r->closed_arg = arg;
    uv_close((uv_handle_t *)&r->timer, on_closed);
}
