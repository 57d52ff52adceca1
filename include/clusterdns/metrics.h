// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Counting, as Prometheus sees it: a family has a name, a help text, a type and labels; a series is a family with a
/// value for each label. Families and series belong to the process: they are never freed, a reload finds them as they
/// were, and a series that is asked for again is the one that is there.
///
/// What is counted for each query goes into cells of the query's own worker, which are added when somebody looks: no
/// lock, no contended atomic, no heap. So labels are of two kinds. A *given* label (server, zone, name of an upstream)
/// gets its value when the series is made: at .start, or on a thread that may wait. An *enumerated* label (type, rcode)
/// has a fixed list of values; a series has cells for all of them, and the place in the list is known at the query.
#include <clusterdns/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define METRICS_LABELS 8          ///< labels of a family
#define METRICS_BUCKETS 32        ///< of a histogram, without +Inf
#define METRICS_SERIES_CELLS 4096 ///< numbers that one series may have, enumerated labels times buckets
#define METRICS_TEXT 4096         ///< bytes of a series' given labels in all, as they are shown
#define METRICS_ROW 16384         ///< cells from one thread's cells of a series to the next one's

enum metric_type {
    METRIC_COUNTER,   ///< goes up, by whole numbers
    METRIC_GAUGE,     ///< any number; a series that was not set is not shown
    METRIC_READING,   ///< a counter that is kept elsewhere (by the kernel, in seconds …) and set, by a collector
    METRIC_HISTOGRAM, ///< observed numbers, counted by bucket, and their sum
};

/// A label. Given: no values here. Enumerated: `nvalues` texts, of which a series' cells are numbered by the place.
/// Given labels come before enumerated ones.
struct metric_label {
    const char *name; ///< NULL ends a family's labels
    const char *const *values;
    unsigned nvalues;
};

/// Upper bounds of a histogram's buckets, rising: `n` of `bounds` or, if that is NULL, `n` numbers from `first` on,
/// each `factor` times the one before.
struct metric_buckets {
    const double *bounds;
    double first, factor;
    unsigned n;
};

struct metric;

/// A family: a static object that is not changed and not copied, defined in one place of the program.
///
///     static struct metric_family hits = {.name = "coredns_cache_hits_total", .help = "…", .type = METRIC_COUNTER,
///                                         .labels = {{.name = "server"},
///                                                    {.name = "type", .values = types, .nvalues = 2}}};
struct metric_family {
    const char *name; ///< with its unit, "_total" last for counters
    const char *help; ///< a sentence
    enum metric_type type;
    /// A series is shown once it has been counted. Otherwise it is shown from when it is made, with 0. (Series with
    /// enumerated labels are always shown for those values only that have been counted.)
    bool when_counted;
    struct metric_label labels[METRICS_LABELS];
    struct metric_buckets buckets; ///< of a METRIC_HISTOGRAM
    // The registry's own.
    struct metric_family *next;
    struct metric *series, **last;
    unsigned registered; ///< 0: not yet; else cells of one combination of enumerated values
};

/// A series.
struct metric {
    uint64_t *cells;      ///< of threads that are no workers; each worker's are METRICS_ROW further
    const double *bounds; ///< of a histogram: `nbounds`, without +Inf
    unsigned nbounds;
    // The registry's own.
    unsigned places; ///< combinations of enumerated values
    const struct metric_family *family;
    struct metric *next;      ///< of the family
    struct metric *same_hash; ///< in the registry's table
    size_t text_len;
    char text[]; ///< given labels as they are shown
};

/// The series of a family with these values of its given labels, in their order (NULL if there are none); made, and the
/// family with it, when it is asked for first. Bytes that are not UTF-8 become U+FFFD. Never NULL: when memory, or what
/// the registry has room for, is used up, it is a series that is never shown, and clusterdns_metrics_unshown_total says
/// so. Any thread; takes a lock, so not on a query's way.
struct metric *metric_series(struct metric_family *family, const char *const *values);

/// `worker` in the functions below: of a thread that is no worker. These then work with atomics.
#define METRIC_ELSEWHERE UINT32_MAX

/// Counts `n` more. `worker`: the calling thread's number, q->worker, or METRIC_ELSEWHERE. `place`: 0 without
/// enumerated labels, else the place of the first one's value; with several, (first × nvalues of the second + second) ×
/// ….
static inline void metric_count(struct metric *m, uint32_t worker, unsigned place, uint64_t n)
{
    uint64_t *cell = m->cells + place;
    if (worker == METRIC_ELSEWHERE) {
        __atomic_fetch_add(cell, n, __ATOMIC_RELAXED);
        return;
    }
    cell += ((size_t)worker + 1) * METRICS_ROW;
    __atomic_store_n(cell, *cell + n, __ATOMIC_RELAXED);
}

/// The part of metric_observe() that adds to the histogram's sum: `cell` holds the bits of a double. `shared`: other
/// threads add to it too.
static inline void metric_sum(uint64_t *cell, bool shared, double value)
{
    uint64_t old = __atomic_load_n(cell, __ATOMIC_RELAXED), bits;
    do {
        double sum;
        memcpy(&sum, &old, sizeof sum);
        sum += value;
        memcpy(&bits, &sum, sizeof bits);
        if (!shared) {
            __atomic_store_n(cell, bits, __ATOMIC_RELAXED);
            return;
        }
    } while (!__atomic_compare_exchange_n(cell, &old, bits, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
}

/// Takes one number into a histogram. `worker`, `place` as for metric_count().
static inline void metric_observe(struct metric *m, uint32_t worker, unsigned place, double value)
{
    unsigned bucket = 0;
    while (bucket < m->nbounds && value > m->bounds[bucket])
        bucket++;
    unsigned first = place * (m->nbounds + 2);
    metric_count(m, worker, first + bucket, 1);
    size_t row = worker == METRIC_ELSEWHERE ? 0 : ((size_t)worker + 1) * METRICS_ROW;
    metric_sum(m->cells + row + first + m->nbounds + 1, worker == METRIC_ELSEWHERE, value);
}

/// Sets a gauge or a reading. Any thread.
void metric_set(struct metric *m, unsigned place, double value);
/// Does not show a gauge's or reading's series any more, until it is set again. Any thread.
void metric_unset(struct metric *m, unsigned place);
/// The same for all series of the family.
void metrics_unset_all(struct metric_family *family);

/// Called at the beginning of each scrape, on the main thread, to set gauges and readings; must not block.
struct metrics_collector {
    void (*collect)(void *arg);
    void *arg;
    struct metrics_collector *next; ///< the registry's own
};
/// Registers a collector, which the caller owns; takes it back. Main thread, not in a collector.
void metrics_collector_add(struct metrics_collector *collector);
void metrics_collector_remove(struct metrics_collector *collector);

/// All families that have something to show, by name, in the Prometheus text format 0.0.4, piece by piece: memory does
/// not grow with their number.
struct metrics_text;
#define METRICS_TEXT_TYPE "text/plain; version=0.0.4; charset=utf-8" ///< its content type
/// Begins: calls the collectors. NULL when memory is short. Main thread.
struct metrics_text *metrics_text_begin(void);
/// Writes the next bytes, at most `cap`, wherever that is in a line. Returns their number; 0: that was all.
size_t metrics_text_next(struct metrics_text *text, char *out, size_t cap);
/// Frees it. NULL is allowed.
void metrics_text_end(struct metrics_text *text);
