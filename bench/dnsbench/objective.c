// SPDX-License-Identifier: Apache-2.0
#include "dnsbench/objective.h"

#include "dnsbench/options.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLOSE_ENOUGH 0.05 // between the rate that holds and the one that does not

// --- objectives

const char *objective_name(unsigned i)
{
    return i < PERCENTILES ? percentiles[i].name : "max";
}

static int fail(char *error, const char *text, const char *remedy)
{
    snprintf(error, OBJECTIVE_ERROR_MAX, "--find-knee %s: %s", text, remedy);
    return CDNS_ECONFIG;
}

// "0.1%" or "0.1".
static bool read_percent(const char *text, double *out)
{
    char *end;
    *out = strtod(text, &end);
    return end != text && (strcmp(end, "%") == 0 || *end == '\0') && *out > 0 && *out <= 100;
}

// One NAME<BOUND, without white space.
static int read_bound(char *part, struct objective *out, char *error)
{
    char *bound = strchr(part, '<');
    if (bound == NULL)
        return fail(error, part, "say NAME<BOUND, like p99<5ms or lost<0.1%");
    size_t n = (size_t)(bound++ - part);
    if (n == strlen("lost") && memcmp(part, "lost", n) == 0)
        return read_percent(bound, &out->lost) ? 0 : fail(error, part, "say a percentage above 0, like lost<0.1%");
    for (unsigned i = 0; i < OBJECTIVE_TIMES; i++)
        if (strlen(objective_name(i)) == n && memcmp(part, objective_name(i), n) == 0)
            return options_duration(bound, &out->below_ns[i]) ? 0 : fail(error, part, "say a time, like p99<5ms");
    return fail(error, part, "say one of p50, p75, p90, p99, p99.9, p99.99, max, lost");
}

int objective_read(const char *text, struct objective *out, char *error)
{
    char copy[128], *rest = copy;
    int rc = 0;
    *out = (struct objective){0};
    if (strspn(text, ", ") == strlen(text) || strlen(text) >= sizeof copy)
        return fail(error, text, "say what is to hold, like p99<5ms,lost<0.1%");
    snprintf(copy, sizeof copy, "%s", text);
    for (char *part; rc == 0 && (part = strsep(&rest, ", ")) != NULL;)
        if (*part != '\0')
            rc = read_bound(part, out, error);
    return rc;
}

void objective_measure(const struct results *r, struct measures *out)
{
    for (unsigned i = 0; i < PERCENTILES; i++)
        out->ns[i] = histogram_percentile(r->latency, percentiles[i].percent);
    out->ns[PERCENTILES] = histogram_max(r->latency);
    const struct counts *c = &r->counts;
    out->lost = c->due == 0 ? 0 : 100 * (double)(c->lost + c->unsent) / (double)c->due;
}

bool objective_holds(const struct objective *o, const struct measures *m, uint64_t answered)
{
    bool holds = answered > 0 && (o->lost == 0 || m->lost < o->lost);
    for (unsigned i = 0; i < OBJECTIVE_TIMES; i++)
        holds = holds && (o->below_ns[i] == 0 || m->ns[i] < o->below_ns[i]);
    return holds;
}

// --- the search

void knee_begin(struct knee *k, double rate, double least, double most)
{
    *k = (struct knee){.rate = rate, .least = least, .most = most};
}

static void next_rate(struct knee *k)
{
    if (k->high == 0) {
        k->rate = fmin(2 * k->low, k->most);
        if (k->low >= k->most)
            k->end = KNEE_SAFE;
        return;
    }
    k->rate = (k->low + k->high) / 2;
    if (k->low > 0 && k->high - k->low <= CLOSE_ENOUGH * k->low)
        k->end = KNEE_FOUND;
    else if (k->low == 0 && k->rate < k->least)
        k->end = KNEE_NONE;
}

void knee_note(struct knee *k, enum outcome outcome)
{
    if (outcome != OUTCOME_HOLDS && !k->again) {
        k->again = true;
        return;
    }
    k->again = false;
    if (outcome == OUTCOME_LATE) {
        k->end = KNEE_GENERATOR;
        return;
    }
    if (outcome == OUTCOME_HOLDS)
        k->low = k->rate;
    else
        k->high = k->rate;
    next_rate(k);
}
