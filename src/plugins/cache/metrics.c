// SPDX-License-Identifier: Apache-2.0
#include "plugins/cache/cache.h"

static const char *const types[KINDS] = {[KIND_SUCCESS] = "success", [KIND_DENIAL] = "denial"};

#define GIVEN                                                                                                          \
    {.name = "server"}, {.name = "zones"},                                                                             \
    {                                                                                                                  \
        .name = "view"                                                                                                 \
    }
#define BY_TYPE                                                                                                        \
    GIVEN,                                                                                                             \
    {                                                                                                                  \
        .name = "type", .values = types, .nvalues = KINDS                                                              \
    }

static struct metric_family entries = {
    .name = "coredns_cache_entries",
    .help = "Answers in the cache, by type: success, or denial, which failures are counted with.",
    .type = METRIC_GAUGE,
    .labels = {BY_TYPE},
};
static struct metric_family bytes = {
    .name = "clusterdns_cache_bytes",
    .help = "Bytes of the answers in the cache, and of those that are about to be freed.",
    .type = METRIC_GAUGE,
    .labels = {BY_TYPE},
};
static struct metric_family hits = {
    .name = "coredns_cache_hits_total",
    .help = "Questions answered from the cache.",
    .type = METRIC_COUNTER,
    .labels = {BY_TYPE},
};
static struct metric_family misses = {
    .name = "coredns_cache_misses_total",
    .help = "Questions that the cache had no answer to.",
    .type = METRIC_COUNTER,
    .labels = {GIVEN},
};
static struct metric_family requests = {
    .name = "coredns_cache_requests_total",
    .help = "Questions that came to the cache.",
    .type = METRIC_COUNTER,
    .labels = {GIVEN},
};
static struct metric_family prefetches = {
    .name = "coredns_cache_prefetch_total",
    .help = "Questions asked to have an answer in the cache renewed, with nobody waiting.",
    .type = METRIC_COUNTER,
    .labels = {GIVEN},
};
static struct metric_family drops = {
    .name = "coredns_cache_drops_total",
    .help = "Answers that were to be kept and could not: there was no room or no memory.",
    .type = METRIC_COUNTER,
    .labels = {GIVEN},
};
static struct metric_family served_stale = {
    .name = "coredns_cache_served_stale_total",
    .help = "Questions answered with what had run out.",
    .type = METRIC_COUNTER,
    .labels = {GIVEN},
};
static struct metric_family evictions = {
    .name = "coredns_cache_evictions_total",
    .help = "Answers that had to go to make room for others.",
    .type = METRIC_COUNTER,
    .labels = {BY_TYPE},
};

void cache_metrics_begin(struct cache *c, const char *server)
{
    const char *const given[] = {server, c->zones_text, ""};
    c->hits = metric_series(&hits, given);
    c->misses = metric_series(&misses, given);
    c->requests = metric_series(&requests, given);
    c->prefetches = metric_series(&prefetches, given);
    c->drops = metric_series(&drops, given);
    c->served_stale = metric_series(&served_stale, given);
    c->evictions = metric_series(&evictions, given);
}

static void collect(void *arg)
{
    const struct store *s = arg;
    for (unsigned kind = 0; kind < KINDS; kind++) {
        const struct table *t = &s->tables[kind];
        metric_set(s->entries, kind, atomic_load_explicit(&t->entries, memory_order_relaxed));
        metric_set(s->bytes, kind,
                   (double)(atomic_load_explicit(&t->bytes, memory_order_relaxed) +
                            atomic_load_explicit(&t->retired, memory_order_relaxed)));
    }
}

void cache_metrics_store_begin(struct store *s, const struct cache *c, const char *server)
{
    const char *const given[] = {server, c->zones_text, ""};
    s->entries = metric_series(&entries, given);
    s->bytes = metric_series(&bytes, given);
    s->collector = (struct metrics_collector){.collect = collect, .arg = s};
    metrics_collector_add(&s->collector);
}

// If another store has the same labels, it sets them again at the next scrape.
void cache_metrics_store_end(struct store *s)
{
    metrics_collector_remove(&s->collector);
    for (unsigned kind = 0; kind < KINDS; kind++) {
        metric_unset(s->entries, kind);
        metric_unset(s->bytes, kind);
    }
}
