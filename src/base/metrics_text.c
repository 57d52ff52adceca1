// SPDX-License-Identifier: Apache-2.0
// The Prometheus text format 0.0.4. Source: prometheus.io, "Exposition formats".
#include "base/metrics.h"

#include "base/writer.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define NAMES_MAX 1024                          // bytes of a family's name, or of its enumerated labels in a line
#define LINE_MAX (METRICS_TEXT + 2 * NAMES_MAX) // bytes of a line
#define NUMBER_MAX 32

// What the next line is about.
struct metrics_text {
    const struct metric_family *family;
    const struct metric *metric; // NULL: the family's head is next, if it has anything to show
    unsigned place;              // of the metric
    unsigned part;               // of a histogram: bucket, sum, count
    bool headed;                 // the family's HELP and TYPE were written
    uint64_t below;              // observations in the buckets before `part`
    uint64_t counts[METRICS_BUCKETS + 1];
    size_t len, at; // of `line`: what is in it, what has been handed out
    char line[LINE_MAX];
};

static const struct metric *next_metric(const struct metric *m)
{
    return __atomic_load_n(&m->next, __ATOMIC_ACQUIRE);
}

static const struct metric *first_metric(const struct metric_family *f)
{
    return __atomic_load_n(&f->series, __ATOMIC_ACQUIRE);
}

struct metrics_text *metrics_text_begin(void)
{
    struct metrics_text *t = calloc(1, sizeof *t);
    if (t == NULL)
        return NULL;
    metrics_collect();
    t->family = metrics_first();
    if (t->family != NULL)
        t->metric = first_metric(t->family);
    return t;
}

void metrics_text_end(struct metrics_text *t)
{
    free(t);
}

// ---- numbers ----

// The shortest text that means the same double, in the form that Go's client chooses: bounds are compared as texts.
static void put_double(struct writer *w, double value)
{
    char text[NUMBER_MAX];
    if (isnan(value) || isinf(value)) {
        const char *word = isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
        writer_bytes(w, word, strlen(word));
        return;
    }
    int decimals = 0; // of the mantissa
    do
        snprintf(text, sizeof text, "%.*e", decimals, value);
    while (strtod(text, NULL) != value && ++decimals < 17);
    long exponent = strtol(strchr(text, 'e') + 1, NULL, 10);
    if (exponent >= -4 && exponent < 6)
        snprintf(text, sizeof text, "%.*f", decimals > exponent ? (int)(decimals - exponent) : 0, value);
    writer_bytes(w, text, strlen(text));
}

static void put_count(struct writer *w, uint64_t value)
{
    char text[NUMBER_MAX];
    writer_bytes(w, text, (size_t)snprintf(text, sizeof text, "%llu", (unsigned long long)value));
}

// ---- lines ----

static void put_text(struct writer *w, const char *text)
{
    writer_bytes(w, text, strlen(text));
}

static void put_head(struct writer *w, const struct metric_family *f)
{
    static const char *const types[] = {"counter", "gauge", "counter", "histogram"};
    put_text(w, "# HELP ");
    put_text(w, f->name);
    writer_u8(w, ' ');
    put_text(w, f->help);
    put_text(w, "\n# TYPE ");
    put_text(w, f->name);
    writer_u8(w, ' ');
    put_text(w, types[f->type]);
    writer_u8(w, '\n');
}

// Writes `name_suffix{given,enumerated`, without the brace that ends it. Returns whether one has begun.
static bool put_name(struct writer *w, const struct metrics_text *t, const char *suffix)
{
    const struct metric_family *f = t->family;
    unsigned rest = t->place, below = t->metric->places;
    put_text(w, f->name);
    put_text(w, suffix);
    bool any = t->metric->text_len > 0;
    if (any)
        writer_u8(w, '{');
    writer_bytes(w, t->metric->text, t->metric->text_len);
    for (unsigned i = 0; i < METRICS_LABELS && f->labels[i].name != NULL; i++) {
        if (f->labels[i].values == NULL)
            continue;
        below /= f->labels[i].nvalues;
        writer_u8(w, any ? ',' : '{');
        put_text(w, f->labels[i].name);
        put_text(w, "=\"");
        put_text(w, f->labels[i].values[rest / below]);
        writer_u8(w, '"');
        rest %= below;
        any = true;
    }
    return any;
}

// The same with its end.
static void put_whole_name(struct writer *w, const struct metrics_text *t, const char *suffix)
{
    put_text(w, put_name(w, t, suffix) ? "} " : " ");
}

// A histogram's line number `t->part`.
static void put_part(struct writer *w, struct metrics_text *t)
{
    const struct metric *m = t->metric;
    bool last = t->part == m->nbounds;
    if (t->part <= m->nbounds) {
        put_text(w, put_name(w, t, "_bucket") ? ",le=\"" : "{le=\"");
        put_double(w, last ? HUGE_VAL : m->bounds[t->part]);
        put_text(w, "\"} ");
        t->below += t->counts[t->part];
        put_count(w, t->below);
    } else if (t->part == m->nbounds + 1) {
        put_whole_name(w, t, "_sum");
        put_double(w, metrics_total_sum(m, t->place * (m->nbounds + 2) + m->nbounds + 1));
    } else {
        put_whole_name(w, t, "_count");
        put_count(w, t->below);
    }
    writer_u8(w, '\n');
}

// Takes the buckets as they are now, so that all lines of a histogram agree. Returns the number of observations.
static uint64_t take_counts(struct metrics_text *t)
{
    const struct metric *m = t->metric;
    uint64_t all = 0;
    t->below = 0;
    for (unsigned i = 0; i <= m->nbounds; i++)
        all += t->counts[i] = metrics_total(m, t->place * (m->nbounds + 2) + i);
    return all;
}

static void step(struct metrics_text *t)
{
    t->part = 0;
    if (t->metric != NULL && ++t->place < t->metric->places)
        return;
    t->place = 0;
    if (t->metric != NULL && (t->metric = next_metric(t->metric)) != NULL)
        return;
    t->family = __atomic_load_n(&t->family->next, __ATOMIC_ACQUIRE);
    t->headed = false;
    if (t->family != NULL)
        t->metric = first_metric(t->family);
}

// The number at hand of anything but a histogram; false: it is not shown.
static bool take_value(const struct metrics_text *t, struct writer *number)
{
    const struct metric *m = t->metric;
    double value;
    if (t->family->type != METRIC_COUNTER) {
        bool set = metrics_value(m, t->place, &value);
        put_double(number, set ? value : 0);
        return set;
    }
    uint64_t count = metrics_total(m, t->place);
    put_count(number, count);
    return count > 0 || (!t->family->when_counted && m->places == 1);
}

static bool shown(struct metrics_text *t, struct writer *number)
{
    if (t->family->type != METRIC_HISTOGRAM)
        return take_value(t, number);
    return t->part > 0 || take_counts(t) > 0 || (!t->family->when_counted && t->metric->places == 1);
}

// Writes the next line, with the family's head if it is the first one; false: there is no more.
static bool next_line(struct metrics_text *t)
{
    while (t->family != NULL) {
        uint8_t digits[NUMBER_MAX];
        struct writer w = writer_init(t->line, sizeof t->line), number = writer_init(digits, sizeof digits);
        bool show = t->metric != NULL && shown(t, &number), whole = true;
        if (show && !t->headed)
            put_head(&w, t->family);
        t->headed = t->headed || show;
        if (show && t->family->type == METRIC_HISTOGRAM) {
            put_part(&w, t);
            whole = t->part++ == t->metric->nbounds + 2;
        } else if (show) {
            put_whole_name(&w, t, "");
            writer_bytes(&w, digits, number.pos);
            writer_u8(&w, '\n');
        }
        if (whole)
            step(t);
        if (show && EXPECT(w.error == 0)) {
            t->len = w.pos;
            return true;
        }
    }
    return false;
}

size_t metrics_text_next(struct metrics_text *t, char *out, size_t cap)
{
    size_t written = 0;
    while (written < cap) {
        if (t->at == t->len) {
            t->at = t->len = 0;
            if (!next_line(t))
                break;
        }
        size_t n = t->len - t->at < cap - written ? t->len - t->at : cap - written;
        memcpy(out + written, t->line + t->at, n);
        written += n;
        t->at += n;
    }
    return written;
}
