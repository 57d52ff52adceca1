// SPDX-License-Identifier: Apache-2.0
// cache: answers from what it has seen pass; keeps what passes.
#include "plugins/cache/cache.h"
#include <clusterdns/clock.h>
#include <stdlib.h>
#include <string.h>

// Cluster names that nobody else answers are no business of the cache.
static bool takes(const struct cache *c, const struct query *q)
{
    return q->opcode == OPCODE_QUERY && cache_zones_hold(&c->zones, q->qname) &&
           (c->kubernetes == NULL || c->kubernetes->passes(c->kubernetes_self, q));
}

static bool is_from(const struct query *q, const char *plugin)
{
    return q->reply.origin != NULL && strcmp(q->reply.origin, plugin) == 0;
}

bool cache_is_of_kubernetes(const struct query *q)
{
    return is_from(q, "kubernetes");
}

// --- the way in

static bool is_usable(const struct cache *c, const struct entry *e, uint64_t now_ns)
{
    return cache_entry_ttl_left(e, now_ns) + c->stale > 0;
}

static struct entry *find_usable(const struct cache *c, const struct query *q, uint64_t hash, enum kind kind,
                                 uint64_t now_ns)
{
    struct entry *e = cache_table_find(&c->store->tables[kind], hash, q);
    return e != NULL && is_usable(c, e, now_ns) ? e : NULL;
}

// An absence is newer than the presence it denies; a failure says nothing against it.
static struct entry *lookup(const struct cache *c, const struct query *q, uint64_t now_ns, enum kind *kind)
{
    uint64_t hash = cache_question_hash(q);
    struct entry *denial = find_usable(c, q, hash, KIND_DENIAL, now_ns), *success = NULL;
    if (denial == NULL || denial->rcode == RCODE_SERVFAIL || c->stale_prefer_positive)
        success = find_usable(c, q, hash, KIND_SUCCESS, now_ns);
    if (denial != NULL && success != NULL && denial->rcode != RCODE_SERVFAIL && (success->flags & ENTRY_ANSWERS) == 0)
        success = NULL;
    *kind = success != NULL ? KIND_SUCCESS : KIND_DENIAL;
    return success != NULL ? success : denial;
}

static bool index_has(const struct cache *c, const struct query *q)
{
    return c->kubernetes != NULL && c->kubernetes->has_name(c->kubernetes_self, q);
}

static enum verdict hit(const struct cache *c, struct query *q, struct entry *e, enum kind kind, uint64_t now_ns)
{
    int64_t left = cache_entry_ttl_left(e, now_ns);
    metric_count(c->hits, q->worker, kind, 1);
    uint32_t tick = tick_of(now_ns);
    if (left > 0)
        cache_prefetch(c, q, e, now_ns);
    if (atomic_load_explicit(&e->used, memory_order_relaxed) != tick)
        atomic_store_explicit(&e->used, tick, memory_order_relaxed);
    uint32_t ttl = left > 0 ? (uint32_t)left : c->stale_ttl;
    if (c->keepttl && (left > 0 || c->stale_ttl == 0))
        ttl = e->ttl;
    if (cache_entry_reply(e, ttl, q) != 0)
        return query_fail(q, RCODE_SERVFAIL, "plugin/cache: %s", error_text(CDNS_ENOMEM));
    return left > 0 ? VERDICT_DONE : cache_serve_stale(c, q, e, now_ns);
}

static enum verdict cache_query(void *self, struct query *q)
{
    const struct cache *c = self;
    enum kind kind;
    if (!takes(c, q))
        return VERDICT_NEXT;
    metric_count(c->requests, q->worker, 0, 1);
    struct entry *e = lookup(c, q, q->received_ns, &kind);
    if (e != NULL && !index_has(c, q))
        return hit(c, q, e, kind, q->received_ns);
    metric_count(c->misses, q->worker, 0, 1);
    q->ad = true; // so that an entry knows whether its data are authentic, whoever asks for it
    return VERDICT_NEXT;
}

// --- the way out

static void remove_other(const struct cache *c, const struct query *q, const struct judgement *j, uint64_t hash)
{
    bool newest = c->stale_prefer_positive ? j->answers : j->type != ANSWER_FAILURE;
    if (newest)
        cache_table_remove(&c->store->tables[j->kind == KIND_SUCCESS ? KIND_DENIAL : KIND_SUCCESS], hash, q);
}

// `prefer_positive`: an answer that says nothing must not end one that does.
static bool must_stay(const struct cache *c, const struct query *q, const struct judgement *j, uint64_t now_ns)
{
    if (!c->stale_prefer_positive || j->kind != KIND_SUCCESS || j->answers)
        return false;
    const struct entry *e = find_usable(c, q, cache_question_hash(q), KIND_SUCCESS, now_ns);
    return e != NULL && (e->flags & ENTRY_ANSWERS) != 0;
}

void cache_keep(const struct cache *c, const struct query *q, const struct judgement *j, const struct entry *former)
{
    unsigned evicted = 0;
    uint64_t now_ns = clock_monotonic_ns();
    if (must_stay(c, q, j, now_ns))
        return;
    struct entry *e = cache_entry_new(q, j->ttl, j->answers ? ENTRY_ANSWERS : 0, now_ns);
    if (e == NULL) {
        metric_count(c->drops, q->worker, 0, 1);
        return;
    }
    uint64_t hash = e->hash;
    if (former != NULL) {
        e->hits = atomic_load_explicit(&former->hits, memory_order_relaxed);
        e->used = atomic_load_explicit(&former->used, memory_order_relaxed);
    }
    if (!cache_table_put(&c->store->tables[j->kind], e, q, now_ns, &evicted))
        metric_count(c->drops, q->worker, 0, 1);
    if (evicted > 0)
        metric_count(c->evictions, q->worker, j->kind, evicted);
    remove_other(c, q, j, hash);
}

static void set_ttls(struct records *set, uint32_t ttl)
{
    for (uint32_t i = 0; i < set->n; i++)
        set->rr[i].ttl = ttl;
}

// Cluster names come from the index alone, with the TTLs that it says.
static enum verdict cache_reply(void *self, struct query *q)
{
    const struct cache *c = self;
    struct reply *r = &q->reply;
    if (is_from(q, "cache") || cache_is_of_kubernetes(q) || q->opcode != OPCODE_QUERY ||
        !cache_zones_hold(&c->zones, q->qname))
        return VERDICT_NEXT;
    if (r->local || (r->fail_text != NULL && r->rcode != RCODE_SERVFAIL))
        return VERDICT_NEXT;
    struct judgement j = cache_judge(c, q);
    bool taken = takes(c, q); // else what `hosts` says of a cluster name: it has the cache's bounds, and is not kept
    if (j.keep && taken)
        cache_keep(c, q, &j, NULL);
    // The first answer has the TTL that the next ones count down from.
    set_ttls(&r->answer, j.ttl);
    set_ttls(&r->authority, j.ttl);
    set_ttls(&r->additional, j.ttl);
    r->ad = r->ad && (!taken || q->do_ || q->ad_asked);
    return VERDICT_NEXT;
}

// --- life

static const char *const wants[] = {KUBERNETES_INTERFACE, NULL};

static void cache_join(void *self, const char *name, const void *ops, void *provider)
{
    struct cache *c = self;
    (void)name;
    c->kubernetes = ops;
    c->kubernetes_self = provider;
}

static int cache_start(void *self, const struct plugin_start *s)
{
    struct cache *c = self;
    c->at = s->placement;
    cache_metrics_begin(c, s->server);
    return cache_store_acquire(c, s->server, &c->store);
}

static void cache_destroy(void *self)
{
    struct cache *c = self;
    if (c->store != NULL)
        cache_store_release(c->store);
}

CLUSTERDNS_PLUGIN(cache, .setup = cache_setup, .destroy = cache_destroy, .start = cache_start, .query = cache_query,
                  .reply = cache_reply, .wants = wants, .join = cache_join);
