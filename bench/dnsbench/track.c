// SPDX-License-Identifier: Apache-2.0
#include "dnsbench/track.h"

#define MASK ((UINT32_C(1) << TRACK_BITS) - 1)

int track_init(struct track *t, uint64_t patience)
{
    *t = (struct track){.patience = patience, .next = 1, .first = 1};
    t->results.sent = histogram_new(HISTOGRAM_FINE);
    t->results.acknowledged = histogram_new(HISTOGRAM_FINE);
    if (t->results.sent != NULL && t->results.acknowledged != NULL)
        return 0;
    track_clear(t);
    return CDNS_ENOMEM;
}

void track_clear(struct track *t)
{
    histogram_free(t->results.sent);
    histogram_free(t->results.acknowledged);
    t->results.sent = t->results.acknowledged = NULL;
}

void track_restart(struct track *t)
{
    histogram_reset(t->results.sent);
    histogram_reset(t->results.acknowledged);
    t->results = (struct track_results){.sent = t->results.sent, .acknowledged = t->results.acknowledged};
}

static struct track_change *change_at(struct track *t, uint32_t number)
{
    return &t->waiting[number % TRACK_WAITING];
}

uint32_t track_waiting(const struct track *t)
{
    return t->next - t->first;
}

uint64_t track_oldest(const struct track *t)
{
    return t->next != t->first ? t->waiting[t->first % TRACK_WAITING].sent : 0;
}

uint32_t track_send(struct track *t, uint64_t at)
{
    *change_at(t, t->next) = (struct track_change){.sent = at};
    return t->next++;
}

void track_acknowledge(struct track *t, uint32_t number, uint64_t at)
{
    change_at(t, number)->acknowledged = at;
    t->results.changes++;
}

void track_fail(struct track *t, uint32_t number)
{
    change_at(t, number)->failed = true;
    t->results.api_errors++;
}

void track_show(struct track *t, uint32_t bits, uint32_t newest, uint64_t at)
{
    uint32_t last = t->next - 1, age = (last - bits) & MASK, number = last - age;
    if (age > last) {
        t->results.wrong++;
        return;
    }
    t->results.stale += number < newest;
    for (uint32_t n = t->newest >= t->first ? t->newest + 1 : t->first; n <= number; n++)
        change_at(t, n)->seen = at;
    if (number > t->newest)
        t->newest = number;
}

static void count_seen(struct track_results *r, const struct track_change *c)
{
    r->seen++;
    r->before += c->seen < c->acknowledged;
    histogram_add(r->sent, c->seen > c->sent ? c->seen - c->sent : 0);
    histogram_add(r->acknowledged, c->seen > c->acknowledged ? c->seen - c->acknowledged : 0);
}

void track_settle(struct track *t, uint64_t now)
{
    for (; t->first != t->next; t->first++) {
        const struct track_change *c = change_at(t, t->first);
        if (c->failed)
            continue;
        if (c->acknowledged != 0 && c->seen != 0)
            count_seen(&t->results, c);
        else if (c->acknowledged != 0 && now > c->acknowledged + t->patience)
            t->results.lost++;
        else
            return;
    }
}
