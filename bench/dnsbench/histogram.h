// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Counts of durations in buckets whose width grows with the value: from a nanosecond to centuries each is known to the
/// same number of digits, in a fixed amount of memory. Histograms of several threads add up. One thread at a time.
#include <clusterdns/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct histogram;

/// How exact it is.
enum histogram_precision {
    HISTOGRAM_COARSE = 8, ///< to 1 part in 128; 60 KB
    HISTOGRAM_FINE = 11,  ///< to 1 part in 1,024; 450 KB
};

/// An empty one; NULL: no memory. The caller frees it.
struct histogram *histogram_new(enum histogram_precision precision);
/// NULL is allowed.
void histogram_free(struct histogram *h);
/// Empties it.
void histogram_reset(struct histogram *h);
/// Counts a duration of `ns` nanoseconds.
void histogram_add(struct histogram *h, uint64_t ns);
/// Adds the counts of `from`, which stays as it is and is as exact.
void histogram_merge(struct histogram *h, const struct histogram *from);
/// How many durations were counted.
uint64_t histogram_count(const struct histogram *h);
/// The smallest and the largest duration, exactly; 0 if there is none.
uint64_t histogram_min(const struct histogram *h);
uint64_t histogram_max(const struct histogram *h);
/// Mean and standard deviation in nanoseconds; 0 if there is none. The deviation is that of the buckets' middles.
double histogram_mean(const struct histogram *h);
double histogram_deviation(const struct histogram *h);
/// The duration that `percent` (0 to 100) of all do not exceed: the upper end of its bucket, but not more than the
/// largest; 0 if there is none.
uint64_t histogram_percentile(const struct histogram *h, double percent);
#define PERCENTILES 6
/// The percentiles that reports show.
extern const struct percentile {
    const char *name;
    double percent;
} percentiles[PERCENTILES];
/// How many durations are not above `ns`, to the bucket.
uint64_t histogram_count_to(const struct histogram *h, uint64_t ns);

/// A bucket with something in it.
struct histogram_bucket {
    uint64_t low, high; ///< nanoseconds, both in it
    uint64_t count;
};
/// The next bucket that is not empty; `*place` starts at 0. False: there is none.
bool histogram_next(const struct histogram *h, size_t *place, struct histogram_bucket *out);

/// Writes the distribution in HdrHistogram's percentile format (the .hgrm files that its plotter reads), in
/// milliseconds. 0, or CDNS_EIO (errno).
int histogram_write_hgrm(const struct histogram *h, FILE *file) CDNS_MUSTCHECK;
