// SPDX-License-Identifier: Apache-2.0
// Asking again for what is there: before it runs out (prefetch), or when it has (serve_stale).
#include "plugins/cache/cache.h"
#include <clusterdns/clock.h>
#include <stdlib.h>
#include <string.h>

#define REFRESH_NS (5 * SECOND)             // a refresh that takes longer is given up
#define BUSY_NS (QUERY_TIMEOUT_NS + SECOND) // nobody is about an entry for so long

// --- one at a time

static uint32_t tick_after(uint64_t now_ns, uint64_t ns)
{
    uint32_t tick = tick_of(now_ns + ns) + 1;
    return tick != 0 ? tick : 1;
}

// Takes an entry's refresh upon the caller. False: somebody else is about it, or has failed a short while ago.
static bool begin(struct entry *e, uint64_t now_ns)
{
    uint32_t till = atomic_load_explicit(&e->busy_till, memory_order_relaxed);
    if (till != 0 && (int32_t)(till - tick_of(now_ns)) > 0)
        return false;
    return atomic_compare_exchange_strong_explicit(&e->busy_till, &till, tick_after(now_ns, BUSY_NS),
                                                   memory_order_relaxed, memory_order_relaxed);
}

static struct entry *find_any(const struct cache *c, const struct query *q)
{
    uint64_t hash = cache_question_hash(q);
    struct entry *e = cache_table_find(&c->store->tables[KIND_DENIAL], hash, q);
    return e != NULL ? e : cache_table_find(&c->store->tables[KIND_SUCCESS], hash, q);
}

// Ends it. The entry is a new one by now if all went well.
static void end(const struct cache *c, const struct query *q, bool stale, bool refreshed)
{
    uint64_t hash = cache_question_hash(q), now_ns = clock_monotonic_ns();
    uint32_t till = stale && !refreshed && c->stale_recheck_ns > 0 ? tick_after(now_ns, c->stale_recheck_ns) : 0;
    for (unsigned kind = 0; kind < KINDS; kind++) {
        struct entry *e = cache_table_find(&c->store->tables[kind], hash, q);
        if (e != NULL)
            atomic_store_explicit(&e->busy_till, till, memory_order_relaxed);
    }
}

// --- what comes of it

static bool is_answered(const struct query *child, int failed)
{
    return child != NULL && failed == 0 && child->reply.fail_text == NULL;
}

// May the answer take a stale entry's place (RFC 8767 §4)?
static bool is_better(const struct cache *c, const struct query *child, const struct judgement *j)
{
    const struct reply *r = &child->reply;
    if (r->tc || j->type == ANSWER_OTHER)
        return false;
    if (c->stale_prefer_positive)
        return j->type == ANSWER_POSITIVE && j->answers;
    return r->rcode == RCODE_NOERROR || r->rcode == RCODE_NXDOMAIN;
}

// Takes an answer in. True: it is what clients are to be told from now on.
static bool take(const struct cache *c, const struct query *child, bool stale, const struct judgement *j)
{
    bool better = !stale || is_better(c, child, j);
    if (j->keep && (better || c->stale_prefer_positive))
        cache_keep(c, child, j, find_any(c, child));
    return better;
}

static void refreshed(const struct cache *c, struct query *child, int failed, bool stale)
{
    bool good = is_answered(child, failed);
    atomic_fetch_sub_explicit(&c->store->refreshing, 1, memory_order_relaxed);
    if (child == NULL)
        return;
    if (good && !cache_is_of_kubernetes(child)) {
        struct judgement j = cache_judge(c, child);
        good = take(c, child, stale, &j);
    }
    end(c, child, stale, good);
}

static void on_prefetched(void *arg, struct query *parent, struct query *child, int failed)
{
    (void)parent;
    refreshed(arg, child, failed, false);
}

static void on_stale_refreshed(void *arg, struct query *parent, struct query *child, int failed)
{
    (void)parent;
    refreshed(arg, child, failed, true);
}

static struct question question_of(const struct query *q)
{
    return (struct question){
        .qname = q->qname, .qtype = q->qtype, .qclass = q->qclass, .rd = q->rd, .cd = q->cd, .ad = true, .do_ = q->do_};
}

// Asks for what `q` asks, with nobody waiting. begin() has been true.
static void refresh(const struct cache *c, const struct query *q, bool stale)
{
    struct question question = question_of(q);
    uint32_t n = atomic_fetch_add_explicit(&c->store->refreshing, 1, memory_order_relaxed);
    if (n < STORE_REFRESHES && query_ask(NULL, c->at, ASK_REST, &question, REFRESH_NS,
                                         stale ? on_stale_refreshed : on_prefetched, (void *)(uintptr_t)c) == 0) {
        metric_count(c->prefetches, q->worker, 0, 1);
        return;
    }
    atomic_fetch_sub_explicit(&c->store->refreshing, 1, memory_order_relaxed);
    end(c, q, stale, false);
}

// --- at a hit

// Counts hits that follow each other without a gap.
static uint32_t count_hit(const struct cache *c, struct entry *e, uint64_t now_ns)
{
    uint32_t gap = tick_of(now_ns) - atomic_load_explicit(&e->used, memory_order_relaxed);
    uint32_t hits = atomic_load_explicit(&e->hits, memory_order_relaxed);
    if ((int32_t)gap > 0 && (uint64_t)gap << 26 > c->prefetch_gap_ns)
        atomic_store_explicit(&e->hits, hits = 1, memory_order_relaxed);
    else if (hits < c->prefetch)
        hits = atomic_fetch_add_explicit(&e->hits, 1, memory_order_relaxed) + 1;
    return hits;
}

void cache_prefetch(const struct cache *c, struct query *q, struct entry *e, uint64_t now_ns)
{
    if (c->prefetch == 0 || count_hit(c, e, now_ns) < c->prefetch)
        return;
    uint64_t threshold = ((uint64_t)c->prefetch_percent * e->ttl + 99) / 100;
    if (cache_entry_ttl_left(e, now_ns) <= (int64_t)threshold && begin(e, now_ns))
        refresh(c, q, false);
}

// The reply that stands is a stale entry's.
static enum verdict answer_stale(const struct cache *c, const struct query *q)
{
    metric_count(c->served_stale, q->worker, 0, 1);
    return VERDICT_DONE;
}

// The upstream's answer becomes the client's.
static enum verdict answer_fresh(struct query *q, const struct query *child, const struct judgement *j)
{
    q->reply = (struct reply){0};
    if (cache_is_of_kubernetes(child))
        return VERDICT_NEXT; // which says it again
    struct entry *e = cache_entry_new(child, j->ttl, 0, 0);
    int rc = e != NULL ? cache_entry_reply(e, j->ttl, q) : CDNS_ENOMEM;
    free(e);
    return rc == 0 ? VERDICT_DONE : query_fail(q, RCODE_SERVFAIL, "plugin/cache: %s", error_text(rc));
}

static void on_verified(void *arg, struct query *q, struct query *child, int failed)
{
    const struct cache *c = arg;
    struct judgement j = {.type = ANSWER_OTHER};
    bool good = is_answered(child, failed);
    if (good && !cache_is_of_kubernetes(child)) {
        j = cache_judge(c, child);
        good = take(c, child, true, &j);
    }
    if (failed == CDNS_ETIMEOUT && c->verify_timeout_ns > 0 && child != NULL)
        refresh(c, child, true); // what comes later is for the next client
    else if (child != NULL)
        end(c, child, true, good);
    if (q == NULL)
        return;
    query_resume(q, good ? answer_fresh(q, child, &j) : answer_stale(c, q));
}

static enum verdict verify(const struct cache *c, struct query *q, struct entry *e, uint64_t now_ns)
{
    // Without a bound on the wait every client waits for its own, as in CoreDNS.
    bool alone = c->verify_timeout_ns > 0 || c->stale_recheck_ns > 0;
    if (alone && !begin(e, now_ns))
        return answer_stale(c, q);
    uint64_t timeout =
        c->verify_timeout_ns > 0 && c->verify_timeout_ns < REFRESH_NS ? c->verify_timeout_ns : REFRESH_NS;
    struct question question = question_of(q);
    if (query_ask(q, c->at, ASK_REST, &question, timeout, on_verified, (void *)(uintptr_t)c) == 0)
        return VERDICT_WAIT;
    if (alone)
        end(c, q, true, false);
    return answer_stale(c, q);
}

enum verdict cache_serve_stale(const struct cache *c, struct query *q, struct entry *e, uint64_t now_ns)
{
    if (c->stale_verify)
        return verify(c, q, e, now_ns);
    if (begin(e, now_ns))
        refresh(c, q, true);
    return answer_stale(c, q);
}
