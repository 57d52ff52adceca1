// SPDX-License-Identifier: Apache-2.0
#include "dnsbench/results.h"

#include <stdlib.h>
#include <string.h>

#define SECOND_NS UINT64_C(1000000000)

int results_init(struct results *r, uint64_t duration_ns)
{
    *r = (struct results){.nseconds = (size_t)(duration_ns / SECOND_NS) + 1};
    r->latency = histogram_new(HISTOGRAM_FINE);
    r->service = histogram_new(HISTOGRAM_FINE);
    r->lag = histogram_new(HISTOGRAM_FINE);
    r->lookups.latency = histogram_new(HISTOGRAM_FINE);
    r->seconds = calloc(r->nseconds, sizeof *r->seconds);
    if (r->latency != NULL && r->service != NULL && r->lag != NULL && r->lookups.latency != NULL && r->seconds != NULL)
        return 0;
    results_free(r);
    return CDNS_ENOMEM;
}

void results_free(struct results *r)
{
    histogram_free(r->latency);
    histogram_free(r->service);
    histogram_free(r->lag);
    histogram_free(r->lookups.latency);
    for (size_t i = 0; r->seconds != NULL && i < r->nseconds; i++)
        histogram_free(r->seconds[i].latency);
    free(r->seconds);
    r->latency = r->service = r->lag = r->lookups.latency = NULL;
    r->seconds = NULL;
}

static int merge_second(struct second *s, const struct second *from)
{
    s->due += from->due;
    s->answered += from->answered;
    s->lost += from->lost;
    if (from->latency == NULL)
        return 0;
    if (s->latency == NULL)
        s->latency = histogram_new(HISTOGRAM_COARSE);
    if (s->latency == NULL)
        return CDNS_ENOMEM;
    histogram_merge(s->latency, from->latency);
    return 0;
}

static void merge_lookups(struct lookups *l, const struct lookups *from)
{
    l->due += from->due;
    l->found += from->found;
    l->not_found += from->not_found;
    l->failed += from->failed;
    l->questions += from->questions;
    l->questions_max = from->questions_max > l->questions_max ? from->questions_max : l->questions_max;
    histogram_merge(l->latency, from->latency);
}

int results_merge(struct results *r, const struct results *from)
{
    uint64_t *to = (uint64_t *)&r->counts;
    const uint64_t *more = (const uint64_t *)&from->counts;
    for (size_t i = 0; i < sizeof r->counts / sizeof *to; i++)
        to[i] += more[i];
    r->generator_cpu_ns += from->generator_cpu_ns;
    r->generator_wait_ns += from->generator_wait_ns;
    r->sending_ns = r->sending_ns > from->sending_ns ? r->sending_ns : from->sending_ns;
    r->answered_while += from->answered_while;
    if (r->refusal[0] == '\0')
        memcpy(r->refusal, from->refusal, sizeof r->refusal);
    r->over_ns = r->over_ns > from->over_ns ? r->over_ns : from->over_ns;
    histogram_merge(r->latency, from->latency);
    histogram_merge(r->service, from->service);
    histogram_merge(r->lag, from->lag);
    merge_lookups(&r->lookups, &from->lookups);
    for (size_t i = 0; i < r->nseconds; i++)
        if (merge_second(&r->seconds[i], &from->seconds[i]) != 0)
            return CDNS_ENOMEM;
    return 0;
}

size_t results_seconds(const struct results *r)
{
    size_t n = r->nseconds;
    while (n > 1 && r->seconds[n - 1].due == 0)
        n--;
    return n;
}

struct second *results_second(struct results *r, uint64_t at_ns)
{
    size_t i = (size_t)(at_ns / SECOND_NS);
    return &r->seconds[i < r->nseconds ? i : r->nseconds - 1];
}

// A second without memory for its histogram is one without percentiles.
static void add_to_second(struct second *s, uint64_t latency_ns)
{
    if (s->latency == NULL)
        s->latency = histogram_new(HISTOGRAM_COARSE);
    if (s->latency != NULL)
        histogram_add(s->latency, latency_ns);
}

void results_answer(struct results *r, uint64_t due_ns, uint64_t latency_ns, uint64_t service_ns)
{
    struct second *s = results_second(r, due_ns);
    r->counts.answered++;
    s->answered++;
    histogram_add(r->latency, latency_ns);
    histogram_add(r->service, service_ns);
    add_to_second(s, latency_ns);
}

void results_loss(struct results *r, uint64_t due_ns, uint64_t latency_ns)
{
    struct second *s = results_second(r, due_ns);
    r->counts.lost++;
    s->lost++;
    histogram_add(r->latency, latency_ns);
    add_to_second(s, latency_ns);
}

void results_show(struct results *r, bool waits)
{
    const struct counts *c = &r->counts;
    atomic_store_explicit(&r->live.due, c->due, memory_order_relaxed);
    atomic_store_explicit(&r->live.answered, c->answered, memory_order_relaxed);
    atomic_store_explicit(&r->live.lost, c->lost + c->unsent, memory_order_relaxed);
    atomic_store_explicit(&r->live.waits, waits, memory_order_relaxed);
    atomic_store_explicit(&r->live.odd, c->tardy + c->duplicates + c->mismatched + c->strange + c->refused,
                          memory_order_relaxed);
}
