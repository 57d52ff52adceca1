// SPDX-License-Identifier: Apache-2.0
// With `bits` of precision, values below 2^bits have a bucket each; above, every power of two is cut into 2^(bits-1)
// buckets, so that a bucket's width is at most one part in 2^(bits-1) of what is in it.
#include "dnsbench/histogram.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct histogram {
    unsigned bits;
    size_t nbuckets;
    uint64_t count, min, max;
    double sum;
    uint64_t buckets[];
};

const struct percentile percentiles[] = {{"p50", 50}, {"p75", 75},     {"p90", 90},
                                         {"p99", 99}, {"p99.9", 99.9}, {"p99.99", 99.99}};

static uint64_t half(const struct histogram *h)
{
    return UINT64_C(1) << (h->bits - 1);
}

static size_t place_of(const struct histogram *h, uint64_t value)
{
    unsigned width = value == 0 ? 0 : 64 - (unsigned)__builtin_clzll(value);
    unsigned shift = width > h->bits ? width - h->bits : 0; // the power of two by which it is cut
    return (size_t)(shift * half(h) + (value >> shift));
}

static void bucket_at(const struct histogram *h, size_t place, struct histogram_bucket *out)
{
    unsigned halves = (unsigned)(place / half(h)), shift = halves < 2 ? 0 : halves - 1;
    uint64_t cut = place - shift * half(h);
    out->low = cut << shift;
    out->high = out->low + ((UINT64_C(1) << shift) - 1);
    out->count = h->buckets[place];
}

struct histogram *histogram_new(enum histogram_precision precision)
{
    size_t nbuckets = (size_t)(64 - precision + 2) << (precision - 1);
    struct histogram *h = malloc(sizeof *h + nbuckets * sizeof(uint64_t));
    if (h == NULL)
        return NULL;
    h->bits = precision;
    h->nbuckets = nbuckets;
    histogram_reset(h);
    return h;
}

void histogram_free(struct histogram *h)
{
    free(h);
}

void histogram_reset(struct histogram *h)
{
    memset(h->buckets, 0, h->nbuckets * sizeof h->buckets[0]);
    h->count = h->max = 0;
    h->min = UINT64_MAX;
    h->sum = 0;
}

void histogram_add(struct histogram *h, uint64_t ns)
{
    h->buckets[place_of(h, ns)]++;
    h->count++;
    h->sum += (double)ns;
    h->min = ns < h->min ? ns : h->min;
    h->max = ns > h->max ? ns : h->max;
}

void histogram_merge(struct histogram *h, const struct histogram *from)
{
    for (size_t i = 0; i < h->nbuckets; i++)
        h->buckets[i] += from->buckets[i];
    h->count += from->count;
    h->sum += from->sum;
    h->min = from->min < h->min ? from->min : h->min;
    h->max = from->max > h->max ? from->max : h->max;
}

uint64_t histogram_count(const struct histogram *h)
{
    return h->count;
}

uint64_t histogram_min(const struct histogram *h)
{
    return h->count == 0 ? 0 : h->min;
}

uint64_t histogram_max(const struct histogram *h)
{
    return h->max;
}

double histogram_mean(const struct histogram *h)
{
    return h->count == 0 ? 0 : h->sum / (double)h->count;
}

double histogram_deviation(const struct histogram *h)
{
    struct histogram_bucket b;
    double mean = histogram_mean(h), squares = 0;
    for (size_t place = 0; histogram_next(h, &place, &b);) {
        double off = (double)b.low + (double)(b.high - b.low) / 2 - mean;
        squares += off * off * (double)b.count;
    }
    return h->count == 0 ? 0 : sqrt(squares / (double)h->count);
}

bool histogram_next(const struct histogram *h, size_t *place, struct histogram_bucket *out)
{
    while (*place < h->nbuckets && h->buckets[*place] == 0)
        ++*place;
    if (*place == h->nbuckets)
        return 0;
    bucket_at(h, (*place)++, out);
    return 1;
}

uint64_t histogram_percentile(const struct histogram *h, double percent)
{
    struct histogram_bucket b = {0};
    double wanted = ceil(percent / 100 * (double)h->count - 1e-6);
    uint64_t seen = 0;
    for (size_t place = 0; histogram_next(h, &place, &b);) {
        seen += b.count;
        if ((double)seen >= wanted)
            break;
    }
    return b.high < h->max ? b.high : h->max;
}

uint64_t histogram_count_to(const struct histogram *h, uint64_t ns)
{
    uint64_t seen = 0;
    for (size_t place = 0, last = place_of(h, ns); place <= last; place++)
        seen += h->buckets[place];
    return seen;
}

#define HALVINGS 40
#define TICKS 5 // lines for each halving of what is left to 100 %

int histogram_write_hgrm(const struct histogram *h, FILE *file)
{
    int good = fprintf(file, "%12s %14s %10s %14s\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)");
    double share = 0;
    for (int tick = 0; h->count > 0 && tick <= HALVINGS * TICKS && share < 1; tick++) {
        uint64_t ns = histogram_percentile(h, share * 100), to = histogram_count_to(h, ns);
        good |= fprintf(file, "%12.3f %2.12f %10llu %14.2f\n", (double)ns / 1e6, share, (unsigned long long)to,
                        1 / (1 - share));
        if (to == h->count)
            break;
        share = 1 - pow(2, -(double)(tick + 1) / TICKS);
    }
    good |=
        fprintf(file, "%12.3f %2.12f %10llu %14s\n", (double)h->max / 1e6, 1.0, (unsigned long long)h->count, "inf");
    good |= fprintf(file, "#[Mean    = %12.3f, StdDeviation   = %12.3f]\n", histogram_mean(h) / 1e6,
                    histogram_deviation(h) / 1e6);
    good |= fprintf(file, "#[Max     = %12.3f, Total count    = %12llu]\n", (double)h->max / 1e6,
                    (unsigned long long)h->count);
    good |= fprintf(file, "#[Buckets = %12u, SubBuckets     = %12llu]\n", 64 - h->bits + 1,
                    2 * (unsigned long long)half(h));
    return good < 0 || ferror(file) ? CDNS_EIO : 0;
}
