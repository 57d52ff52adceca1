// SPDX-License-Identifier: Apache-2.0
// Upstreams with their health and their numbers. A question that fails wakes main, which then asks the upstream itself
// once in every interval, whether the question before was answered or not, until an answer comes: of any kind, from the
// upstream or, meanwhile, to a client's question.
#include "plugins/forward/forward.h"

#include <clusterdns/message.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define CHECKS 4                           // under way at a time, of one upstream
#define CHECK_NS UINT64_C(1000000000)      // for an answer
#define INTERVAL_MIN_NS UINT64_C(20000000) // between two checks

static const char *const rcode_names[FORWARD_RCODES + 1] = {
    "NOERROR", "FORMERR", "SERVFAIL",  "NXDOMAIN", "NOTIMP",   "REFUSED",   "YXDOMAIN", "YXRRSET", "NXRRSET",
    "NOTAUTH", "NOTZONE", "DSOTYPENI", "12",       "13",       "14",        "15",       "BADSIG",  "BADKEY",
    "BADTIME", "BADMODE", "BADNAME",   "BADALG",   "BADTRUNC", "BADCOOKIE", "other"};
static const char *const protos[] = {"udp", "tcp", "tcp-tls"};

#define RCODE_LABEL                                                                                                    \
    {                                                                                                                  \
        .name = "rcode", .values = rcode_names, .nvalues = FORWARD_RCODES + 1                                          \
    }
#define PROTO_LABEL                                                                                                    \
    {                                                                                                                  \
        .name = "proto", .values = protos, .nvalues = 3                                                                \
    }
#define TIME_BUCKETS                                                                                                   \
    {                                                                                                                  \
        .first = 0.00025, .factor = 2, .n = 16                                                                         \
    }

static struct metric_family duration_family = {
    .name = "coredns_proxy_request_duration_seconds",
    .help = "Time until an upstream answered, by rcode.",
    .type = METRIC_HISTOGRAM,
    .labels = {{.name = "proxy_name"}, {.name = "to"}, RCODE_LABEL},
    .buckets = TIME_BUCKETS,
};
static struct metric_family old_duration_family = {
    .name = "coredns_forward_request_duration_seconds",
    .help = "As coredns_proxy_request_duration_seconds, under the name it had before CoreDNS 1.11.",
    .type = METRIC_HISTOGRAM,
    .labels = {{.name = "to"}, RCODE_LABEL},
    .buckets = TIME_BUCKETS,
};
static struct metric_family requests_family = {
    .name = "coredns_forward_requests_total",
    .help = "Questions that an upstream has answered.",
    .type = METRIC_COUNTER,
    .labels = {{.name = "to"}},
};
static struct metric_family responses_family = {
    .name = "coredns_forward_responses_total",
    .help = "Answers of an upstream, by rcode.",
    .type = METRIC_COUNTER,
    .labels = {{.name = "to"}, RCODE_LABEL},
};
static struct metric_family hits_family = {
    .name = "coredns_proxy_conn_cache_hits_total",
    .help = "Questions sent through a socket that was there.",
    .type = METRIC_COUNTER,
    .labels = {{.name = "proxy_name"}, {.name = "to"}, PROTO_LABEL},
};
static struct metric_family misses_family = {
    .name = "coredns_proxy_conn_cache_misses_total",
    .help = "Questions for which a socket had to be opened.",
    .type = METRIC_COUNTER,
    .labels = {{.name = "proxy_name"}, {.name = "to"}, PROTO_LABEL},
};
static struct metric_family check_failures_family = {
    .name = "coredns_proxy_healthcheck_failures_total",
    .help = "Health checks that an upstream has not answered.",
    .type = METRIC_COUNTER,
    .labels = {{.name = "proxy_name"}, {.name = "to"}},
};
static struct metric_family old_check_failures_family = {
    .name = "coredns_forward_healthcheck_failures_total",
    .help = "As coredns_proxy_healthcheck_failures_total, under the name it had before CoreDNS 1.11.",
    .type = METRIC_COUNTER,
    .labels = {{.name = "to"}},
};
static struct metric_family healthy_family = {
    .name = "clusterdns_forward_upstream_healthy",
    .help = "Whether an upstream is asked: 0 while its health checks fail.",
    .type = METRIC_GAUGE,
    .labels = {{.name = "to"}},
};

const char *rcode_name(unsigned rcode)
{
    return rcode < FORWARD_RCODES && (rcode < 12 || rcode > 15) ? rcode_names[rcode] : NULL;
}

int rcode_of_name(const char *name)
{
    for (unsigned i = 0; i < FORWARD_RCODES; i++)
        if (rcode_name(i) != NULL && strcasecmp(rcode_names[i], name) == 0)
            return (int)i;
    return strcasecmp(name, "NOTIMPL") == 0 ? RCODE_NOTIMP : -1;
}

// One health check.
struct check {
    struct peer *peer;
    struct upstream_request *request; // or NULL
};

// What main has of a peer; outlives it until the loop has let go.
struct peer_checks {
    struct peer *peer;
    uv_async_t wake;
    uv_timer_t timer;
    unsigned handles; // not closed yet
    bool running;     // checks are being made
    bool told;        // that it is down
    struct message_question question;
    struct check checks[CHECKS];
};

static struct peer *peers; // all of the process; main thread

bool peer_is_down(const struct peer *p)
{
    return p->health.max_fails != 0 && atomic_load_explicit(&p->fails, memory_order_relaxed) > p->health.max_fails;
}

bool peer_is_checked(const struct peer *p)
{
    return atomic_load_explicit(&p->wanted, memory_order_relaxed);
}

void peer_failed(struct peer *p)
{
    if (p->health.max_fails != 0 && !atomic_exchange(&p->wanted, true))
        uv_async_send(&p->checks->wake);
}

void peer_answered(struct peer *p)
{
    if (atomic_load_explicit(&p->fails, memory_order_relaxed) > 0)
        atomic_store_explicit(&p->fails, 0, memory_order_relaxed);
}

// --- checks

static void end_checks(struct peer_checks *c)
{
    uv_timer_stop(&c->timer);
    for (unsigned i = 0; i < CHECKS; i++) {
        if (c->checks[i].request != NULL)
            upstream_cancel(c->checks[i].request);
        c->checks[i].request = NULL;
    }
    c->running = false;
}

static void check_succeeded(struct peer *p)
{
    struct peer_checks *c = p->checks;
    end_checks(c);
    peer_answered(p);
    if (c->told)
        log_plugin(LOG_LEVEL_INFO, "forward", "upstream %s answers again", p->to);
    c->told = false;
    atomic_store(&p->wanted, false);
}

static void check_failed(struct peer *p, const char *why)
{
    metric_count(p->check_failures, METRIC_ELSEWHERE, 0, 1);
    metric_count(p->old_check_failures, METRIC_ELSEWHERE, 0, 1);
    if (atomic_load(&p->fails) < UINT32_MAX)
        atomic_fetch_add(&p->fails, 1);
    if (!peer_is_down(p) || p->checks->told)
        return;
    p->checks->told = true;
    log_plugin(LOG_LEVEL_WARNING, "forward", "upstream %s is down: %s", p->to, why);
}

static void on_checked(void *arg, const struct upstream_result *result)
{
    struct check *check = arg;
    check->request = NULL;
    if (result->error == 0)
        check_succeeded(check->peer);
    else
        check_failed(check->peer, result->reason);
}

static bool is_answer(void *arg, const uint8_t *message, size_t size)
{
    const struct check *check = arg;
    return message_answers(&check->peer->checks->question, message, size);
}

static void on_interval(uv_timer_t *timer)
{
    struct peer_checks *c = timer->data;
    struct peer *p = c->peer;
    uint8_t message[MESSAGE_QUESTION_MAX];
    struct check *check = c->checks;
    while (check < c->checks + CHECKS && check->request != NULL)
        check++;
    if (check == c->checks + CHECKS)
        return;
    size_t size = message_question_write(&c->question, message, sizeof message);
    int rc = upstream_ask(p->upstream, timer->loop, p->tls || p->health.tcp ? UPSTREAM_TCP : UPSTREAM_UDP, message,
                          size, uv_hrtime() + CHECK_NS, is_answer, on_checked, check, &check->request);
    if (rc != 0) {
        check->request = NULL;
        check_failed(p, error_text(rc));
    }
}

static void on_wake(uv_async_t *async)
{
    struct peer_checks *c = async->data;
    uint64_t ns = c->peer->health.interval_ns;
    if (c->running || !atomic_load(&c->peer->wanted))
        return;
    c->running = true;
    uv_update_time(async->loop);
    uv_timer_start(&c->timer, on_interval, 0, (ns > INTERVAL_MIN_NS ? ns : INTERVAL_MIN_NS) / 1000000);
}

// --- metrics

static void show_health(void *arg)
{
    (void)arg;
    metrics_unset_all(&healthy_family);
    // An address that is used in two ways is well only if both are: those that are down are set last.
    for (int down = 0; down <= 1; down++)
        for (const struct peer *p = peers; p != NULL; p = p->next)
            if (peer_is_down(p) == (down == 1))
                metric_set(metric_series(&healthy_family, (const char *[]){p->to}), 0, !down);
}

static struct metrics_collector collector = {.collect = show_health};

static void make_series(struct peer *p)
{
    const char *const labels[] = {"forward", p->to}, *const *old_labels = labels + 1;
    p->duration = metric_series(&duration_family, labels);
    p->old_duration = metric_series(&old_duration_family, old_labels);
    p->requests = metric_series(&requests_family, old_labels);
    p->responses = metric_series(&responses_family, old_labels);
    p->hits = metric_series(&hits_family, labels);
    p->misses = metric_series(&misses_family, labels);
    p->check_failures = metric_series(&check_failures_family, labels);
    p->old_check_failures = metric_series(&old_check_failures_family, old_labels);
}

// --- the registry

static bool same_health(const struct health_options *a, const struct health_options *b)
{
    return a->interval_ns == b->interval_ns && a->max_fails == b->max_fails && a->rec == b->rec && a->tcp == b->tcp &&
           name_equal(a->domain, b->domain);
}

static int open_checks(struct peer *p, struct uv_loop_s *loop)
{
    struct peer_checks *c = calloc(1, sizeof *c);
    if (c == NULL)
        return CDNS_ENOMEM;
    if (uv_async_init(loop, &c->wake, on_wake) != 0) {
        free(c);
        return CDNS_EIO;
    }
    uv_timer_init(loop, &c->timer);
    c->wake.data = c->timer.data = c;
    c->handles = 2;
    c->peer = p;
    for (unsigned i = 0; i < CHECKS; i++)
        c->checks[i].peer = p;
    c->question =
        (struct message_question){.qname = p->health.domain, .qtype = RR_NS, .qclass = CLASS_IN, .rd = p->health.rec};
    p->checks = c;
    return 0;
}

int peer_get(const struct upstream_options *options, const struct health_options *health, struct uv_loop_s *loop,
             struct peer **out, char *error)
{
    struct upstream *u;
    int rc = upstream_get(options, &u, error);
    if (rc != 0)
        return rc;
    for (struct peer *p = peers; p != NULL; p = p->next)
        if (p->upstream == u && same_health(&p->health, health)) {
            upstream_put(u);
            p->refs++;
            *out = p;
            return 0;
        }
    struct peer *p = calloc(1, sizeof *p);
    if (p != NULL) {
        *p = (struct peer){.upstream = u, .tls = options->tls, .health = *health, .refs = 1};
        address_text(&options->address, p->to);
    }
    rc = p != NULL ? open_checks(p, loop) : CDNS_ENOMEM;
    if (rc != 0) {
        free(p);
        upstream_put(u);
        return rc;
    }
    make_series(p);
    if (peers == NULL)
        metrics_collector_add(&collector);
    p->next = peers;
    peers = p;
    *out = p;
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct peer_checks *c = handle->data;
    if (--c->handles == 0)
        free(c);
}

void peer_put(struct peer *p)
{
    if (--p->refs > 0)
        return;
    struct peer **at = &peers;
    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    if (peers == NULL)
        metrics_collector_remove(&collector);
    end_checks(p->checks);
    uv_close((uv_handle_t *)&p->checks->wake, on_closed);
    uv_close((uv_handle_t *)&p->checks->timer, on_closed);
    upstream_put(p->upstream);
    free(p);
}
