// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Life of the registry behind <clusterdns/metrics.h>, and what its two files share.
#include <clusterdns/metrics.h>

/// Workers that count, 0 … n - 1: once, before the first series is made. Without it there is one. Main thread.
void metrics_set_workers(unsigned n);

/// Gives a series, which is not counted by anybody else, other values of its given labels; their texts must be as long
/// as the present ones. For what comes again and again with a new value (a hash): a series is never freed. Main thread.
void metrics_rename(struct metric *m, const char *const *values);

// Between metrics.c, which keeps the series, and metrics_text.c, which shows them.

/// First family, in the order of names; more may come while one walks. Any thread.
const struct metric_family *metrics_first(void);
/// Calls the collectors. Main thread.
void metrics_collect(void);
/// A counter's, or a histogram bucket's, number over all threads. `cell` from the beginning of the series'.
uint64_t metrics_total(const struct metric *m, unsigned cell);
/// A histogram's sum over all threads.
double metrics_total_sum(const struct metric *m, unsigned cell);
/// The value that a gauge or reading was set to; false: it was not.
bool metrics_value(const struct metric *m, unsigned place, double *value);
