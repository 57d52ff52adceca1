// SPDX-License-Identifier: Apache-2.0
#include "server/counters.h"

#include "base/logring.h"
#include "server/exchange.h"
#include "server/generation.h"
#include "server/state.h"
#include <stdio.h>

// ---- labels ----

static const char *const protos[] = {"udp", "tcp"};
static const char *const families[] = {"1", "2"};
// CoreDNS's choice (plugin/metrics/vars/monitor.go); all others are "other".
static const char *const types[] = {"other", "A",     "AAAA", "CNAME", "DNSKEY", "DS",  "MX",
                                    "NSEC3", "NSEC",  "NS",   "PTR",   "RRSIG",  "SOA", "SRV",
                                    "TXT",   "HTTPS", "SVCB", "IXFR",  "AXFR",   "ANY"};
#define PROTOS 2
#define FAMILIES 2
#define TYPES ((unsigned)(sizeof types / sizeof *types))
#define RCODES 25 // 0 … 23, and the others together

static uint8_t type_places[256]; // by number
static char rcode_texts[RCODES][16];
static const char *rcodes[RCODES];

static const double size_bounds[] = {0, 100, 200, 300, 400, 511, 1023, 2047, 4095, 8291, 16000, 32000, 48000, 64000};
#define SIZES                                                                                                          \
    {                                                                                                                  \
        .bounds = size_bounds, .n = sizeof size_bounds / sizeof *size_bounds                                           \
    }

// ---- families ----

static struct metric_family requests = {
    .name = "coredns_dns_requests_total",
    .help = "Questions received, by zone, transport, address family (1: IPv4, 2: IPv6) and type.",
    .type = METRIC_COUNTER,
    .labels = {{.name = "server"},
               {.name = "zone"},
               {.name = "view"},
               {.name = "proto", .values = protos, .nvalues = PROTOS},
               {.name = "family", .values = families, .nvalues = FAMILIES},
               {.name = "type", .values = types, .nvalues = TYPES}},
};
static struct metric_family do_requests = {
    .name = "coredns_dns_do_requests_total",
    .help = "Questions with the DO bit, by zone.",
    .type = METRIC_COUNTER,
    .when_counted = true,
    .labels = {{.name = "server"}, {.name = "zone"}, {.name = "view"}},
};
static struct metric_family duration = {
    .name = "coredns_dns_request_duration_seconds",
    .help = "Time from the receipt of a question to its answer, by zone.",
    .type = METRIC_HISTOGRAM,
    .when_counted = true,
    .labels = {{.name = "server"}, {.name = "zone"}, {.name = "view"}},
    .buckets = {.first = 0.00025, .factor = 2, .n = 16},
};
static struct metric_family request_size = {
    .name = "coredns_dns_request_size_bytes",
    .help = "Bytes of the question's message, by zone and transport.",
    .type = METRIC_HISTOGRAM,
    .labels = {{.name = "server"},
               {.name = "zone"},
               {.name = "view"},
               {.name = "proto", .values = protos, .nvalues = PROTOS}},
    .buckets = SIZES,
};
static struct metric_family response_size = {
    .name = "coredns_dns_response_size_bytes",
    .help = "Bytes of the answer as it was sent, by zone and transport.",
    .type = METRIC_HISTOGRAM,
    .labels = {{.name = "server"},
               {.name = "zone"},
               {.name = "view"},
               {.name = "proto", .values = protos, .nvalues = PROTOS}},
    .buckets = SIZES,
};
static struct metric_family responses = {
    .name = "coredns_dns_responses_total",
    .help = "Answers sent, by zone, rcode and the plugin that made the answer (none: the server itself).",
    .type = METRIC_COUNTER,
    .labels = {{.name = "server"},
               {.name = "zone"},
               {.name = "view"},
               {.name = "plugin"},
               {.name = "rcode", .values = rcodes, .nvalues = RCODES}},
};
static struct metric_family plugin_enabled = {
    .name = "coredns_plugin_enabled",
    .help = "1 for each plugin that takes part in answering, by zone.",
    .type = METRIC_GAUGE,
    .labels = {{.name = "server"}, {.name = "zone"}, {.name = "view"}, {.name = "name"}},
};

static const char *const reasons[] = {"overload", "ignored", "dropped", "gone"};
static const char *const rejections[] = {"FORMERR", "NOTIMP", "BADVERS"};

static struct metric_family unanswered_family = {
    .name = "clusterdns_dns_unanswered_total",
    .help =
        "Messages received that got no answer: all that can be in hand is (overload), no question (ignored), a plugin "
        "or the shutdown wanted none (dropped), the connection was closed before it (gone).",
    .type = METRIC_COUNTER,
    .labels = {{"reason", reasons, sizeof reasons / sizeof *reasons}},
};
static struct metric_family rejected_family = {
    .name = "clusterdns_dns_rejected_total",
    .help = "Questions answered before a zone was looked for, since they are malformed or of an unknown opcode or EDNS "
            "version.",
    .type = METRIC_COUNTER,
    .labels = {{"rcode", rejections, sizeof rejections / sizeof *rejections}},
};
static struct metric_family late_family = {
    .name = "clusterdns_dns_late_responses_total",
    .help = "Answers whose question had to wait for something.",
    .type = METRIC_COUNTER,
};
static struct metric_family refused_family = {
    .name = "clusterdns_dns_waiting_refused_total",
    .help = "Questions that failed since they would have had to wait and as much as may wait did.",
    .type = METRIC_COUNTER,
};
static struct metric *unanswered, *rejected, *late, *park_refused;

// ---- counting, on workers ----

void counters_unanswered(const struct worker *w, enum unanswered why)
{
    metric_count(unanswered, w->id, why, 1);
}

void counters_park_refused(const struct worker *w)
{
    metric_count(park_refused, w->id, 0, 1);
}

void counters_rejected(const struct worker *w, uint16_t rcode)
{
    metric_count(rejected, w->id, rcode == RCODE_FORMERR ? 0 : rcode == RCODE_NOTIMP ? 1 : 2, 1);
}

void counters_ended(const struct exchange *x, const struct outcome *o)
{
    if (x->q.transport == TRANSPORT_INTERNAL)
        return;
    if (!o->sent)
        counters_unanswered(x->worker, x->dropped ? UNANSWERED_DROPPED : UNANSWERED_GONE);
    else if (x->client.prompt == NULL && x->produce == NULL)
        metric_count(late, x->worker->id, 0, 1);
}

// Who may have answered, and the series of its answers.
struct origin {
    const char *plugin; // NULL: the server
    struct metric *responses;
};

struct zone_counters {
    struct metric *requests, *do_requests, *duration, *request_size, *response_size;
    unsigned norigins;
    struct origin origins[]; // the server's is the first
};

static struct metric *responses_of(const struct zone_counters *c, const char *plugin)
{
    for (unsigned i = 1; i < c->norigins; i++)
        if (c->origins[i].plugin == plugin)
            return c->origins[i].responses;
    return c->origins[0].responses;
}

static void count(const struct zone_counters *c, const struct query *q, const struct outcome *o)
{
    unsigned proto = q->transport == TRANSPORT_TCP, family = q->client.sa.sa_family == AF_INET6;
    unsigned type = q->qtype < sizeof type_places ? type_places[q->qtype] : 0;
    metric_count(c->requests, q->worker, (proto * FAMILIES + family) * TYPES + type, 1);
    metric_observe(c->duration, q->worker, 0, (double)o->duration_ns * 1e-9);
    metric_observe(c->request_size, q->worker, proto, q->request_size);
    if (q->do_)
        metric_count(c->do_requests, q->worker, 0, 1);
    if (!o->sent)
        return;
    metric_observe(c->response_size, q->worker, proto, o->size);
    metric_count(responses_of(c, o->origin), q->worker, o->rcode < RCODES ? o->rcode : RCODES - 1, 1);
}

void query_count(const struct query *q, const struct outcome *o)
{
    const struct exchange *x = (const struct exchange *)q;
    const struct route *r = x->route;
    if (q->transport == TRANSPORT_INTERNAL || !EXPECT(r != NULL && r->counters != NULL))
        return;
    unsigned i = 0;
    while (r->blocks[i] != x->block)
        i++;
    if (EXPECT(r->counters[i] != NULL))
        count(r->counters[i], q, o);
}

void counters_dropped(const struct exchange *x, const struct outcome *o)
{
    if (x->listen->dropped != NULL)
        count(x->listen->dropped, &x->q, o);
}

// ---- series ----

static void fill_labels(void)
{
    for (unsigned i = 1; i < TYPES; i++) {
        int number = rr_type_from_text(types[i]);
        INVARIANT(number > 0 && (size_t)number < sizeof type_places);
        type_places[number] = (uint8_t)i;
    }
    for (unsigned i = 0; i < RCODES; i++)
        rcodes[i] = i < RCODES - 1 ? rcode_text((uint16_t)i, rcode_texts[i]) : "other";
}

void counters_init(void)
{
    fill_labels();
    unanswered = metric_series(&unanswered_family, NULL);
    rejected = metric_series(&rejected_family, NULL);
    late = metric_series(&late_family, NULL);
    park_refused = metric_series(&refused_family, NULL);
}

static struct metric *responses_series(const char *server, const char *zone, const char *plugin)
{
    return metric_series(&responses, (const char *[]){server, zone, "", plugin});
}

// Series of a zone whose questions go to `block` (NULL: to none). NULL when memory is short.
static struct zone_counters *zone_counters_new(struct arena *a, const char *server, const char *zone,
                                               const struct block *block)
{
    unsigned plugins = block != NULL ? block->ninstances : 0;
    const char *values[] = {server, zone, ""};
    struct zone_counters *c = arena_calloc(a, 1, sizeof *c + (1 + plugins) * sizeof *c->origins);
    if (c == NULL)
        return NULL;
    c->requests = metric_series(&requests, values);
    c->do_requests = metric_series(&do_requests, values);
    c->duration = metric_series(&duration, values);
    c->request_size = metric_series(&request_size, values);
    c->response_size = metric_series(&response_size, values);
    c->origins[c->norigins++] = (struct origin){.responses = responses_series(server, zone, "")};
    for (unsigned i = 0; i < plugins; i++) {
        const struct plugin *p = block->instances[i].plugin;
        if (p->query != NULL) // the others cannot answer
            c->origins[c->norigins++] = (struct origin){p->name, responses_series(server, zone, p->name)};
    }
    return c;
}

// Calls `fn` for each route to the block, with the block's place in it. Stops at the first error, and returns it.
static int each_route(const struct block *block, int (*fn)(struct listen_address *l, struct route *r, unsigned place))
{
    struct generation *g = block->generation;
    int rc = 0;
    for (unsigned i = 0; i < g->nlistens; i++)
        for (unsigned j = 0; j < g->listens[i].nroutes; j++) {
            struct route *r = &g->listens[i].routes[j];
            for (unsigned k = 0; k < r->nblocks && rc == 0; k++)
                if (r->blocks[k] == block)
                    rc = fn(&g->listens[i], r, k);
        }
    return rc;
}

static int make_series(struct listen_address *l, struct route *r, unsigned place)
{
    struct arena *a = l->generation->arena;
    if (r->counters == NULL)
        r->counters = arena_calloc(a, r->nblocks, sizeof(struct zone_counters *));
    if (r->counters != NULL && r->counters[place] == NULL)
        r->counters[place] = zone_counters_new(a, l->server, r->zone_text, r->blocks[place]);
    if (l->dropped == NULL)
        l->dropped = zone_counters_new(a, l->server, "dropped", NULL);
    return l->dropped != NULL && r->counters != NULL && r->counters[place] != NULL ? 0 : CDNS_ENOMEM;
}

static int show_plugins(struct listen_address *l, struct route *r, unsigned place)
{
    const struct block *block = r->blocks[place];
    for (unsigned i = 0; i < block->ninstances; i++) {
        const struct plugin *p = block->instances[i].plugin;
        const char *values[] = {l->server, r->zone_text, "", p->name};
        if (p->query != NULL || p->reply != NULL || p->done != NULL)
            metric_set(metric_series(&plugin_enabled, values), 0, 1);
    }
    return 0;
}

// Blocks that are counted now, of all generations.
static struct counted {
    struct counted *next;
    const struct block *block;
} * counted;

int server_count_block(const struct placement *at)
{
    struct counted *c = arena_calloc(at->block->generation->arena, 1, sizeof *c);
    if (c == NULL || each_route(at->block, make_series) != 0)
        return CDNS_ENOMEM;
    *c = (struct counted){.next = counted, .block = at->block};
    counted = c;
    each_route(at->block, show_plugins);
    return 0;
}

void server_uncount_block(const struct placement *at)
{
    struct counted **place = &counted;
    while (*place != NULL && (*place)->block != at->block)
        place = &(*place)->next;
    if (EXPECT(*place != NULL))
        *place = (*place)->next;
    // Other blocks, or a newer generation's, may show the same.
    metrics_unset_all(&plugin_enabled);
    for (const struct counted *c = counted; c != NULL; c = c->next)
        each_route(c->block, show_plugins);
}

// ---- what others count ----

static struct metric_family kept[] = {
    {.name = "clusterdns_udp_received_total", .help = "Datagrams received.", .type = METRIC_READING},
    {.name = "clusterdns_udp_sent_total", .help = "Datagrams sent.", .type = METRIC_READING},
    {.name = "clusterdns_udp_send_failures_total",
     .help = "Answers that the kernel did not take: its buffer was full, or there was no route.",
     .type = METRIC_READING},
    {.name = "clusterdns_udp_kernel_drops_total",
     .help = "Datagrams that the kernel had no room for before they were read.",
     .type = METRIC_READING},
    {.name = "clusterdns_tcp_accepted_total", .help = "TCP connections accepted.", .type = METRIC_READING},
    {.name = "clusterdns_tcp_rejected_total",
     .help = "TCP connections closed as they came, since as many as may be were open.",
     .type = METRIC_READING},
    {.name = "clusterdns_tcp_timeouts_total",
     .help = "TCP connections ended for being idle or slow, or for what they kept in memory.",
     .type = METRIC_READING},
    {.name = "clusterdns_tcp_connections", .help = "TCP connections open.", .type = METRIC_GAUGE},
    {.name = "clusterdns_dns_waiting", .help = "Questions that wait for something.", .type = METRIC_GAUGE},
    {.name = "clusterdns_dns_waiting_bytes",
     .help = "Memory held for questions that wait for something.",
     .type = METRIC_GAUGE},
    {.name = "clusterdns_log_dropped_total",
     .help = "Lines of the log that nobody took in time.",
     .type = METRIC_READING},
};
#define KEPT (sizeof kept / sizeof *kept)
#define NET_KEPT 8 // of `kept`, the sockets'

static void collect(void *arg)
{
    const struct server_state *s = arg;
    uint64_t sums[KEPT] = {0};
    for (unsigned i = 0; i < s->nworkers; i++) {
        const struct net_counters *n = net_counters(&s->workers[i].loop);
        const uint64_t *const parts[NET_KEPT] = {&n->udp_received,     &n->udp_sent,     &n->udp_send_failed,
                                                 &n->udp_kernel_drops, &n->tcp_accepted, &n->tcp_rejected,
                                                 &n->tcp_timeouts,     &n->tcp_open};
        for (size_t k = 0; k < NET_KEPT; k++)
            sums[k] += __atomic_load_n(parts[k], __ATOMIC_RELAXED);
        sums[NET_KEPT] += atomic_load_explicit(&s->workers[i].nparked, memory_order_relaxed);
        sums[NET_KEPT + 1] += atomic_load_explicit(&s->workers[i].parked_bytes, memory_order_relaxed);
    }
    sums[KEPT - 1] = log_dropped();
    for (size_t k = 0; k < KEPT; k++)
        metric_set(metric_series(&kept[k], NULL), 0, (double)sums[k]);
}

static struct metrics_collector collector = {.collect = collect};

void counters_watch(const struct server_state *s)
{
    collector.arg = (void *)(uintptr_t)s;
    metrics_collector_add(&collector);
}

void counters_unwatch(void)
{
    metrics_collector_remove(&collector);
}
