// SPDX-License-Identifier: Apache-2.0
// loop: asks the server itself for a name that nobody can guess. If that comes back from outside, what is forwarded
// goes round in a circle.
#include <clusterdns/forward.h>
#include <clusterdns/metrics.h>
#include <clusterdns/plugin.h>
#include <clusterdns/quote.h>
#include <clusterdns/random.h>

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define RETURNS 2                       // probes that have to come back before one is answered otherwise
#define TIMEOUT_NS UINT64_C(2000000000) // of a probe
#define TRY_MS 30000                    // so long an answer is tried for, as CoreDNS
#define RETRY_MS 1000                   // after a probe that failed, likewise
#define AGAIN_MS 30000                  // from one probe to the next while forwarding is switched off
#define TICK_MS 50                      // how often is looked at what workers have seen

// What became of the probe: told by the worker that asked.
enum probe_state { PROBE_NONE, PROBE_ASKED, PROBE_ANSWERED, PROBE_FAILED };
// Has it come back? Told by the worker that sees it first.
enum sighting { SEEN_NOT, SEEN_JUST_NOW, SEEN };

struct loop {
    uint8_t below[NAME_MAX_WIRE]; // <random number>.<zone>: where probes are, and nothing else
    unsigned labels;              // of a probe's name
    const char *zone;             // as text
    const char *address;          // that is served, for the log: ":53"
    bool exits;                   // if there is a loop; otherwise forwarding is switched off

    const struct forward_ops *ops; // NULL: the block has no forward
    void *forward;

    const struct plugin_start *start; // between .start and .stop, as what follows
    uv_timer_t *timer;
    struct metric *detected, *switched_off;
    uint64_t began_ms; // uv_now() at the first probe; 0: there was none
    unsigned returns;  // probes that have come back
    bool off;          // forwarding is switched off

    atomic_int probe;            // enum probe_state
    atomic_int seen;             // enum sighting
    union sockaddr_any client;   // who asked …
    uint8_t name[NAME_MAX_WIRE]; // … and what, if `seen` is SEEN
};

static struct metric_family detected_family = {
    .name = "clusterdns_loop_detected_total",
    .help = "Times that a forwarding loop was detected.",
    .type = METRIC_COUNTER,
    .labels = {{.name = "server"}, {.name = "zone"}},
};
static struct metric_family off_family = {
    .name = "clusterdns_loop_forward_off",
    .help = "1 while forwarding is switched off because of a loop.",
    .type = METRIC_GAUGE,
    .labels = {{.name = "server"}, {.name = "zone"}},
};

// Configuration ------------------------------------------------------------------------------------------------------

// Puts a random number of 62 bits, as a label, before the name `rest`. CDNS_ERANGE.
static int prepend_number(const uint8_t *rest, uint8_t *out)
{
    uint64_t number;
    char text[24];
    random_bytes(&number, sizeof number);
    int len = snprintf(text, sizeof text, "%" PRIu64, number >> 2);
    int rc = name_prepend_label((const uint8_t *)text, (size_t)len, rest, out);
    return rc < 0 ? rc : 0;
}

static int read_option(struct config *c, struct loop *l, const struct directive *d)
{
    if (strcmp(d->tokens[0].text, "on_loop") != 0)
        return config_errorf(c, &d->tokens[0], "unknown property '%s'", d->tokens[0].text);
    if (d->ntokens != 2)
        return config_argument_error(c, &d->tokens[d->ntokens - 1]);
    l->exits = strcmp(d->tokens[1].text, "exit") == 0;
    if (!l->exits && strcmp(d->tokens[1].text, "disable_forward") != 0)
        return config_errorf(c, &d->tokens[1], "on_loop must be exit or disable_forward, not '%s'", d->tokens[1].text);
    return 0;
}

static int read_lines(struct config *c, struct loop *l)
{
    const struct directive *d = c->lines[0];
    if (d->ntokens > 1)
        return config_argument_error(c, &d->tokens[1]);
    for (size_t i = 0; i < d->nblock; i++) {
        int rc = read_option(c, l, &d->block[i]);
        if (rc != 0)
            return rc;
    }
    if (c->nlines > 1)
        return config_plain_errorf(c, &c->lines[1]->tokens[0], "this plugin can only be used once per Server Block");
    return 0;
}

static int loop_setup(struct config *c, void **self)
{
    uint8_t zone[NAME_MAX_WIRE], probe[NAME_MAX_WIRE];
    struct loop *l = arena_calloc(c->arena, 1, sizeof *l);
    if (l == NULL)
        return CDNS_ENOMEM;
    l->exits = true;
    l->zone = c->zones[0];
    const char *scheme = strstr(c->server, "://");
    l->address = scheme != NULL ? scheme + 3 : c->server;
    int rc = read_lines(c, l);
    if (rc != 0)
        return rc;
    if (name_from_text(l->zone, zone) != 0 || (rc = prepend_number(zone, l->below)) == CDNS_ERANGE ||
        (rc == 0 && (rc = prepend_number(l->below, probe)) == CDNS_ERANGE))
        return config_plain_errorf(c, &c->lines[0]->tokens[0], "the zone %s is too long to be asked for a name in it",
                                   l->zone);
    l->labels = name_labels(probe);
    *self = l;
    return rc;
}

// The main thread: probes, and what follows from them ----------------------------------------------------------------

static void on_tick(uv_timer_t *timer);

static void next(const struct loop *l, uint64_t ms)
{
    uv_timer_start(l->timer, on_tick, ms, 0);
}

static void log_loop(const struct loop *l, enum log_level level, const char *more)
{
    char client[ADDRESS_TEXT_MAX], zone[NAME_MAX_TEXT], name[NAME_MAX_TEXT];
    address_text(&l->client, client);
    name_to_text(l->name, name);
    log_plugin(level, "loop",
               "Loop (%s -> %s) detected for zone %s, see https://coredns.io/plugins/loop#troubleshooting. Query: "
               "\"HINFO %s\"%s",
               client, l->address, quote(l->zone, zone, sizeof zone), name, more);
}

static void on_loop(struct loop *l)
{
    metric_count(l->detected, METRIC_ELSEWHERE, 0, 1);
    if (l->exits) {
        log_loop(l, LOG_LEVEL_FATAL, "");
        server_give_up(l->start->state);
        return;
    }
    l->off = true;
    bool done = l->ops != NULL && l->ops->switch_off(l->forward, l->below, true);
    log_loop(l, LOG_LEVEL_ERROR,
             done ? ". Forwarding is switched off until the loop is gone" : ". There is no forward to switch off");
    metric_set(l->switched_off, 0, done);
    next(l, AGAIN_MS);
}

static void on_no_loop(struct loop *l)
{
    if (!l->off)
        return;
    l->off = false;
    if (l->ops != NULL)
        l->ops->switch_off(l->forward, l->below, false);
    metric_set(l->switched_off, 0, 0);
    log_plugin(LOG_LEVEL_INFO, "loop", "The loop for zone %s is gone, forwarding is switched on", l->zone);
}

static void conclude(struct loop *l, bool answered)
{
    atomic_store(&l->probe, PROBE_NONE);
    if (atomic_load(&l->seen) == SEEN) {
        if (l->off)
            next(l, AGAIN_MS);
        else if (++l->returns < RETURNS)
            next(l, 0);
        else
            on_loop(l);
    } else if (answered) {
        on_no_loop(l);
    } else if (l->off || uv_now(l->start->loop) - l->began_ms < TRY_MS) {
        next(l, l->off ? AGAIN_MS : RETRY_MS);
    }
}

// An answer of SERVFAIL says nothing: nobody may have been reached.
static void on_answer(void *arg, struct query *parent, struct query *child, int failed)
{
    struct loop *l = arg;
    (void)parent;
    bool answered = failed == 0 && child->reply.fail_text == NULL && child->reply.rcode != RCODE_SERVFAIL;
    atomic_store(&l->probe, answered ? PROBE_ANSWERED : PROBE_FAILED);
}

static int send_probe(void *arg)
{
    struct loop *l = arg;
    uint8_t name[NAME_MAX_WIRE];
    const struct question question = {.qname = name, .qtype = RR_HINFO, .qclass = CLASS_IN, .rd = true};
    int rc = prepend_number(l->below, name);
    return rc != 0 ? rc : query_ask(NULL, l->start->placement, ASK_WHOLE, &question, TIMEOUT_NS, on_answer, l);
}

static void probe(struct loop *l)
{
    int seen = SEEN; // of the probe before
    if (!atomic_compare_exchange_strong(&l->seen, &seen, SEEN_NOT) && seen == SEEN_JUST_NOW) {
        next(l, TICK_MS);
        return;
    }
    if (l->began_ms == 0)
        l->began_ms = uv_now(l->start->loop);
    atomic_store(&l->probe, PROBE_ASKED);
    int rc = server_on_worker(l->start->state, l->start->placement, 0, send_probe, l);
    if (rc == CDNS_EAGAIN) { // what is served does not forward yet
        l->began_ms = 0;
        atomic_store(&l->probe, PROBE_NONE);
    } else if (rc != 0) {
        atomic_store(&l->probe, PROBE_FAILED);
    }
    next(l, TICK_MS);
}

static void on_tick(uv_timer_t *timer)
{
    struct loop *l = timer->data;
    int state = atomic_load(&l->probe);
    if (state == PROBE_NONE)
        probe(l);
    else if (state == PROBE_ASKED || atomic_load(&l->seen) == SEEN_JUST_NOW)
        next(l, TICK_MS);
    else
        conclude(l, state == PROBE_ANSWERED);
}

static void loop_join(void *self, const char *name, const void *ops, void *provider)
{
    struct loop *l = self;
    (void)name;
    l->ops = ops;
    l->forward = provider;
}

static int loop_start(void *self, const struct plugin_start *s)
{
    struct loop *l = self;
    const char *labels[] = {s->server, l->zone};
    l->timer = malloc(sizeof *l->timer);
    if (l->timer == NULL)
        return CDNS_ENOMEM;
    uv_timer_init(s->loop, l->timer);
    l->timer->data = l;
    l->start = s;
    l->detected = metric_series(&detected_family, labels);
    l->switched_off = metric_series(&off_family, labels);
    metric_set(l->switched_off, 0, 0);
    next(l, 0);
    return 0;
}

static void on_closed(uv_handle_t *timer)
{
    free(timer);
}

static void loop_stop(void *self)
{
    struct loop *l = self;
    uv_close((uv_handle_t *)l->timer, on_closed);
    l->timer = NULL;
}

// Workers ------------------------------------------------------------------------------------------------------------

// A probe that comes from outside ends here, so that nothing goes round twice. The probe itself is a child question.
static enum verdict loop_query(void *self, struct query *q)
{
    struct loop *l = self;
    if (q->qtype != RR_HINFO || q->transport == TRANSPORT_INTERNAL || q->qname_labels != l->labels ||
        !name_in_zone(q->qname, l->below))
        return VERDICT_NEXT;
    int seen = SEEN_NOT;
    if (atomic_compare_exchange_strong(&l->seen, &seen, SEEN_JUST_NOW)) {
        l->client = q->client;
        memcpy(l->name, q->qname, q->qname_len);
        atomic_store(&l->seen, SEEN);
    }
    q->reply.rcode = RCODE_NXDOMAIN;
    return VERDICT_DONE;
}

static const char *const wants[] = {FORWARD_INTERFACE, NULL};

CLUSTERDNS_PLUGIN(loop, .setup = loop_setup, .start = loop_start, .stop = loop_stop, .query = loop_query,
                  .wants = wants, .join = loop_join);
