// SPDX-License-Identifier: Apache-2.0
// loadbalance: the order of addresses in replies, by chance, by weight, by network.
#include "plugins/loadbalance/loadbalance.h"

#include <clusterdns/random.h>
#include <clusterdns/rcu.h>
#include <string.h>

static bool is_address(const struct record *rr)
{
    return rr->type == RR_A || rr->type == RR_AAAA;
}

static struct ip_address address_of(const struct record *rr)
{
    struct ip_address a = {.len = rr->type == RR_A ? 4 : 16};
    memcpy(a.bytes, rr->rdata, rr->rdlen < a.len ? rr->rdlen : a.len);
    ip_unmap(&a);
    return a;
}

// Where a record belongs: lower ranks first.
typedef uint32_t (*rank_fn)(const struct loadbalance *lb, const struct record *rr);

enum { RANK_CNAME, RANK_REST, RANK_ADDRESS, RANK_MX, RANKS };

static uint32_t rank_by_type(const struct loadbalance *lb, const struct record *rr)
{
    (void)lb;
    return rr->type == RR_CNAME ? RANK_CNAME : is_address(rr) ? RANK_ADDRESS : rr->type == RR_MX ? RANK_MX : RANK_REST;
}

// CNAME, addresses by preferred network, addresses in none, MX, all others.
static uint32_t rank_by_network(const struct loadbalance *lb, const struct record *rr)
{
    if (rr->type == RR_CNAME)
        return 0;
    if (!is_address(rr))
        return lb->nprefer + (rr->type == RR_MX ? 2 : 3);
    const struct ip_address a = address_of(rr);
    uint32_t i = 0;
    while (i < lb->nprefer && !ip_network_has(&lb->prefer[i], &a))
        i++;
    return 1 + i;
}

static bool is_ordered(const struct loadbalance *lb, const struct records *set, rank_fn rank)
{
    for (uint32_t i = 1, last = set->n > 0 ? rank(lb, &set->rr[0]) : 0; i < set->n; i++) {
        uint32_t own = rank(lb, &set->rr[i]);
        if (own < last)
            return false;
        last = own;
    }
    return true;
}

// Sorts a section by rank, equal ones as they stand. Without memory for it the section stays as it is.
static void arrange(const struct loadbalance *lb, struct records *set, struct arena *a, rank_fn rank, uint32_t nranks)
{
    if (is_ordered(lb, set, rank))
        return;
    struct record *sorted = arena_calloc(a, set->n, sizeof *sorted);
    uint32_t *ranks = arena_calloc(a, set->n, sizeof *ranks);
    uint32_t *place = arena_calloc(a, nranks + 1, sizeof *place);
    if (sorted == NULL || ranks == NULL || place == NULL)
        return;
    for (uint32_t i = 0; i < set->n; i++)
        place[1 + (ranks[i] = rank(lb, &set->rr[i]))]++;
    for (uint32_t r = 0; r < nranks; r++)
        place[r + 1] += place[r];
    for (uint32_t i = 0; i < set->n; i++)
        sorted[place[ranks[i]]++] = set->rr[i];
    set->rr = sorted;
    set->cap = set->n;
}

// The records of one rank in a section that is arranged by type.
struct run {
    struct record *rr;
    uint32_t n;
};

static struct run find_run(const struct records *set, uint32_t rank)
{
    uint32_t first = 0, end;
    while (first < set->n && rank_by_type(NULL, &set->rr[first]) < rank)
        first++;
    for (end = first; end < set->n && rank_by_type(NULL, &set->rr[end]) == rank; end++)
        ;
    return (struct run){.rr = set->rr + first, .n = end - first};
}

static void swap(struct record *a, struct record *b)
{
    struct record t = *a;
    *a = *b;
    *b = t;
}

static void shuffle(struct run run)
{
    for (uint32_t i = 0; i + 1 < run.n; i++)
        swap(&run.rr[i], &run.rr[i + random_quick_below(run.n - i)]);
}

static void shuffle_section(const struct loadbalance *lb, struct query *q, struct records *set)
{
    if (set->n < 2)
        return;
    arrange(lb, set, q->arena, rank_by_type, RANKS);
    shuffle(find_run(set, RANK_ADDRESS));
    shuffle(find_run(set, RANK_MX));
}

// Writes the weight of each address to `out`; returns their sum.
static uint32_t weigh(const struct weights *w, struct run run, uint8_t *out)
{
    uint8_t owner[NAME_MAX_WIRE];
    const uint8_t *last = NULL;
    uint32_t sum = 0;
    for (uint32_t i = 0; i < run.n; i++) {
        const struct ip_address a = address_of(&run.rr[i]);
        if (run.rr[i].owner != last)
            name_lower(last = run.rr[i].owner, owner);
        sum += out[i] = w != NULL ? weights_of(w, owner, &a) : WEIGHT_DEFAULT;
    }
    return sum;
}

// The first address is chosen by weight; the others stay as they are.
static void weigh_section(const struct loadbalance *lb, struct query *q, struct records *set)
{
    bool any = false;
    for (uint32_t i = 0; i < set->n && !any; i++)
        any = is_address(&set->rr[i]);
    if (!any)
        return;
    arrange(lb, set, q->arena, rank_by_type, RANKS);
    struct run run = find_run(set, RANK_ADDRESS);
    uint8_t *weights = arena_alloc(q->arena, run.n);
    if (weights == NULL || run.n < 2)
        return;
    uint32_t at = random_quick_below(weigh(RCU_READ(lb->weights), run, weights)), first = 0;
    while (at >= weights[first])
        at -= weights[first++];
    swap(&run.rr[0], &run.rr[first]);
}

static enum verdict loadbalance_reply(void *self, struct query *q)
{
    const struct loadbalance *lb = self;
    struct reply *r = &q->reply;
    if (r->rcode != RCODE_NOERROR || q->qtype == RR_AXFR || q->qtype == RR_IXFR)
        return VERDICT_NEXT;
    if (lb->path == NULL) {
        shuffle_section(lb, q, &r->answer);
        shuffle_section(lb, q, &r->authority);
        shuffle_section(lb, q, &r->additional);
    } else if (q->qtype == RR_A || q->qtype == RR_AAAA || q->qtype == RR_SRV) {
        weigh_section(lb, q, &r->answer);
        weigh_section(lb, q, &r->additional);
    }
    if (lb->nprefer > 0) {
        arrange(lb, &r->answer, q->arena, rank_by_network, lb->nprefer + 4);
        arrange(lb, &r->additional, q->arena, rank_by_network, lb->nprefer + 4);
    }
    return VERDICT_NEXT;
}

CLUSTERDNS_PLUGIN(loadbalance, .setup = loadbalance_setup, .destroy = loadbalance_destroy, .start = loadbalance_start,
                  .stop = loadbalance_stop, .reply = loadbalance_reply);
