// SPDX-License-Identifier: Apache-2.0
// forward: asks other servers. The way in, and the instance's life.
#include "plugins/forward/flight.h"
#include <clusterdns/forward.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define DEADLINE_NS UINT64_C(5000000000)     // for all attempts of a question
#define DEADLINE_MAX_NS UINT64_C(9900000000) // … however long read_timeout is: before the server gives up itself
#define LOOK_MS 2000                         // files that name upstreams are looked at so often

static struct metric_family rejects_family = {
    .name = "coredns_forward_max_concurrent_rejects_total",
    .help = "Questions refused because max_concurrent was reached.",
    .type = METRIC_COUNTER,
};
static struct metric_family overload_family = {
    .name = "clusterdns_forward_overload_rejects_total",
    .help = "Questions that failed because of a bound: on those that wait, on one name's, on answers kept for many.",
    .type = METRIC_COUNTER,
};

static struct metric *rejects, *overload;

// --- queries

static bool in_zones(const uint8_t *name, const uint8_t *const *zones, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (name_in_zone(name, zones[i]))
            return true;
    return false;
}

static bool matches(const struct stanza *s, const uint8_t *qname)
{
    if (!in_zones(qname, s->from, s->nfrom))
        return false;
    for (size_t i = 0; i < s->nfrom; i++)
        if (name_equal(qname, s->from[i]))
            return true; // FROM itself cannot be excepted
    return !in_zones(qname, s->except, s->nexcept);
}

// Has a loop had it switched off? The question by which loop finds out whether it is gone is let through.
static bool is_off(const struct stanza *s, const struct query *q)
{
    const uint8_t *probe = atomic_load_explicit(&s->off, memory_order_acquire);
    return probe != NULL && !name_in_zone(q->qname, probe);
}

// Counts the query with those of the stanza. False: there are too many.
static bool count_concurrent(struct stanza *s)
{
    if (s->max_concurrent == 0)
        return true;
    if (atomic_fetch_add(&s->concurrent, 1) < s->max_concurrent)
        return true;
    atomic_fetch_sub(&s->concurrent, 1);
    return false;
}

static void describe(struct flight *x, struct forward *f, struct stanza *s, const struct query *q)
{
    bool edns = q->edns || q->do_;
    *x = (struct flight){
        .forward = f,
        .stanza = s,
        .stream = s->force_tcp || (!s->prefer_udp && q->transport == TRANSPORT_TCP),
        .question = {.qname = q->qname_asked,
                     .qtype = q->qtype,
                     .qclass = q->qclass,
                     .rd = q->rd,
                     .cd = q->cd,
                     .ad = q->ad,
                     .edns = edns,
                     .do_ = q->do_,
                     .edns_size = edns ? FORWARD_EDNS_SIZE : 0},
    };
    flight_hash(x, q);
}

// A question that nobody has asked yet takes off.
static void take_off(struct flight *x, const struct query *q)
{
    uint64_t time = (uint64_t)x->stanza->read_timeout_ns, last = q->received_ns + DEADLINE_MAX_NS;
    x->deadline_ns = uv_hrtime() + (time > DEADLINE_NS ? time : DEADLINE_NS);
    if (x->deadline_ns > last)
        x->deadline_ns = last;
    policy_order(x->stanza, x->set, x->of->worker, x->order);
    ask_next(x);
}

void forward_overloaded(unsigned worker, unsigned n)
{
    metric_count(overload, worker, 0, n);
}

// Is there no place for one more of the stanza's? Whose upstreams are dead leaves some to the others.
static bool is_full(const struct flights *all, const struct stanza *s)
{
    unsigned left = all->waiting < FORWARD_WAITING ? FORWARD_WAITING - all->waiting : 0;
    return all->flying >= FORWARD_WAITING || s->workers[all->worker].waiting >= FORWARD_SHARE * left;
}

static enum verdict crowded(struct query *q)
{
    forward_overloaded(q->worker, 1);
    return query_fail_local(q, RCODE_SERVFAIL, "this name and type is being asked for in %u other ways already",
                            FORWARD_SAME);
}

static enum verdict wait_for(struct forward *f, struct stanza *s, struct query *q)
{
    struct flights *all = flights_of(q->worker);
    struct flight like;
    describe(&like, f, s, q);
    like.set = set_enter(s, q->worker);
    unsigned others;
    struct flight *x = flight_find(all, &like, &others);
    bool is_new = x == NULL;
    if (is_new && others < FORWARD_SAME)
        x = flight_add(all, &like);
    else
        set_leave(like.set, q->worker);
    if (x == NULL || flight_join(x, q) != 0) {
        if (s->max_concurrent > 0)
            atomic_fetch_sub(&s->concurrent, 1);
        if (is_new && x != NULL)
            flight_free(x);
        if (x == NULL)
            return crowded(q);
        return query_fail_local(q, RCODE_SERVFAIL, "out of memory");
    }
    if (is_new)
        take_off(x, q);
    return VERDICT_WAIT;
}

enum verdict forward_from(struct forward *f, struct query *q, size_t first)
{
    struct stanza *s = NULL;
    for (size_t i = first; i < f->n && s == NULL; i++)
        if (matches(&f->stanzas[i], q->qname))
            s = &f->stanzas[i];
    if (s == NULL)
        return VERDICT_NEXT;
    if (q->opcode != OPCODE_QUERY)
        return query_fail(q, RCODE_NOTIMP, "only queries are forwarded");
    if (is_off(s, q))
        return query_fail_local(q, RCODE_SERVFAIL, "plugin/forward: switched off, since a loop was detected");
    const struct flights *all = flights_of(q->worker);
    if (is_full(all, s)) {
        forward_overloaded(q->worker, 1);
        return query_fail_local(q, RCODE_SERVFAIL, "%u queries are waiting for upstreams already", all->waiting);
    }
    if (!count_concurrent(s)) {
        metric_count(rejects, q->worker, 0, 1);
        return query_fail(q, RCODE_REFUSED, "concurrent queries exceeded maximum %lld", (long long)s->max_concurrent);
    }
    return wait_for(f, s, q);
}

static enum verdict forward_query(void *self, struct query *q)
{
    return forward_from(self, q, 0);
}

static void forward_cancel(void *self, struct query *q)
{
    (void)self;
    struct flight *x = flight_leave(flights_of(q->worker), q);
    if (x != NULL && x->waiters == NULL && !x->serving)
        flight_free(x);
}

// --- what loop wants

static bool forward_switch_off(void *self, const uint8_t *probe, bool off)
{
    struct forward *f = self;
    for (size_t i = 0; i < f->n; i++)
        if (matches(&f->stanzas[i], probe)) {
            atomic_store_explicit(&f->stanzas[i].off, off ? probe : NULL, memory_order_release);
            return true;
        }
    return false;
}

static const struct forward_ops ops = {.switch_off = forward_switch_off};
static const struct plugin_interface provides[] = {{FORWARD_INTERFACE, &ops}, {0}};

// --- the instance's life

struct forward_watch {
    uv_timer_t timer;
    struct forward *forward;     // not after .stop
    char told[CONFIG_ERROR_MAX]; // why the last look was of no use; "" if it was
};

// Why the stanza's upstreams cannot be had, in `error`.
static int publish(struct stanza *s, struct uv_loop_s *loop, char *error)
{
    struct targets targets;
    const struct to *failed;
    error[0] = '\0';
    int rc = targets_expand(s->tos, s->ntos, &targets, &failed);
    if (rc == CDNS_EIO)
        snprintf(error, CONFIG_ERROR_MAX, "open %s: %s", failed->path, strerror(errno));
    else if (rc == CDNS_ELIMIT)
        snprintf(error, CONFIG_ERROR_MAX, "more than %d upstreams", FORWARD_UPSTREAMS);
    else if (targets.n == 0)
        snprintf(error, CONFIG_ERROR_MAX, "no valid upstream addresses found");
    if (rc == 0 && targets.n == 0)
        return CDNS_ENOENT;
    return rc == 0 ? set_publish(s, &targets, loop, error) : rc;
}

// What keeps files from being read is told once.
static void complain(struct forward_watch *watch, const char *why)
{
    if (strcmp(watch->told, why) == 0)
        return;
    log_plugin(LOG_LEVEL_WARNING, "forward", "upstreams stay as they are: %s", why);
    snprintf(watch->told, sizeof watch->told, "%s", why);
}

static void on_look(uv_timer_t *timer)
{
    struct forward_watch *watch = timer->data;
    char error[CONFIG_ERROR_MAX];
    bool failed = false;
    for (size_t i = 0; i < watch->forward->n; i++) {
        struct stanza *s = &watch->forward->stanzas[i];
        set_reclaim(s);
        if (!s->files || !targets_changed(s->tos, s->ntos))
            continue;
        int rc = publish(s, timer->loop, error);
        if (rc != 0)
            complain(watch, error[0] != '\0' ? error : error_text(rc));
        else
            log_plugin(LOG_LEVEL_INFO, "forward", "%u upstreams after a change of a file", atomic_load(&s->set)->n);
        failed = failed || rc != 0;
    }
    if (!failed)
        watch->told[0] = '\0';
}

// Files are looked at from now on.
static int watch_files(struct forward *f, struct uv_loop_s *loop)
{
    bool files = false;
    for (size_t i = 0; i < f->n; i++)
        files = files || f->stanzas[i].files;
    if (!files)
        return 0;
    f->watch = calloc(1, sizeof *f->watch);
    if (f->watch == NULL)
        return CDNS_ENOMEM;
    f->watch->forward = f;
    uv_timer_init(loop, &f->watch->timer);
    f->watch->timer.data = f->watch;
    uv_timer_start(&f->watch->timer, on_look, LOOK_MS, LOOK_MS);
    return 0;
}

static int forward_start(void *self, const struct plugin_start *s)
{
    struct forward *f = self;
    char error[CONFIG_ERROR_MAX] = "";
    int rc = flights_get();
    f->started = rc == 0;
    ask_init();
    rejects = metric_series(&rejects_family, NULL);
    overload = metric_series(&overload_family, NULL);
    for (size_t i = 0; rc == 0 && i < f->n; i++)
        rc = publish(&f->stanzas[i], s->loop, error);
    if (rc == 0)
        rc = watch_files(f, s->loop);
    if (rc == 0)
        return 0;
    snprintf(s->error, CONFIG_ERROR_MAX, "plugin/forward: %.*s", CONFIG_ERROR_MAX - 32,
             error[0] != '\0' ? error : error_text(rc));
    return rc;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void forward_stop(void *self)
{
    struct forward *f = self;
    if (f->watch != NULL)
        uv_close((uv_handle_t *)&f->watch->timer, on_closed);
    f->watch = NULL;
}

static void forward_destroy(void *self)
{
    struct forward *f = self;
    for (size_t i = 0; i < f->n; i++)
        set_free_all(&f->stanzas[i]);
    if (f->started)
        flights_put();
}

CLUSTERDNS_PLUGIN(forward, .any_class = true, .setup = forward_setup, .destroy = forward_destroy,
                  .start = forward_start, .stop = forward_stop, .query = forward_query, .cancel = forward_cancel,
                  .provides = provides);
