// SPDX-License-Identifier: Apache-2.0
#include "dnsbench/compare.h"

#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define Z_99 2.576
#define LEAST_SECONDS 9
#define WARM_UP 1        // seconds at the beginning that are not compared
#define SECONDS_MAX 2000 // … that are: their differences are all computed

// --- statistics

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(const double *values, size_t n)
{
    return n % 2 != 0 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

static int median_of(const double *values, size_t n, double *out)
{
    double *copy = malloc(n * sizeof *copy);
    if (copy == NULL)
        return CDNS_ENOMEM;
    memcpy(copy, values, n * sizeof *copy);
    qsort(copy, n, sizeof *copy, by_value);
    *out = median(copy, n);
    free(copy);
    return 0;
}

int compare_shift(const double *a, size_t na, const double *b, size_t nb, struct shift *out)
{
    size_t n = na * nb;
    double *all = malloc(n * sizeof *all);
    if (all == NULL || median_of(a, na, &out->before) != 0 || median_of(b, nb, &out->after) != 0) {
        free(all);
        return CDNS_ENOMEM;
    }
    for (size_t i = 0; i < n; i++)
        all[i] = b[i % nb] - a[i / nb];
    qsort(all, n, sizeof *all, by_value);
    double off = Z_99 * sqrt((double)n * (double)(na + nb + 1) / 12), low = (double)n / 2 - off;
    size_t place = low > 0 ? (size_t)low : 0;
    out->shift = median(all, n);
    out->low = all[place];
    out->high = all[n - 1 - place];
    free(all);
    return 0;
}

double compare_shares(uint64_t part_a, uint64_t whole_a, uint64_t part_b, uint64_t whole_b)
{
    if (whole_a == 0 || whole_b == 0)
        return 0;
    double na = (double)whole_a, nb = (double)whole_b, a = (double)part_a / na, b = (double)part_b / nb;
    double both = ((double)part_a + (double)part_b) / (na + nb),
           deviation = sqrt(both * (1 - both) * (1 / na + 1 / nb));
    return deviation > 0 ? (b - a) / deviation : 0;
}

// --- reports

// What is compared as a share: the sum of these members of a section of the report, without which nothing is known of
// it; of the questions sent, or of the look-ups that were due. Without members: errors_of().
static const struct share {
    const char *name, *section, *members[2];
    bool of_rcodes; // a member of counts.rcodes
} shares[] = {{"lost", "counts", {"lost"}, false},
              {"truncated", "counts", {"truncated"}, false},
              {"mismatched", "counts", {"mismatched"}, false},
              {"NXDOMAIN", "counts", {"NXDOMAIN"}, true},
              {"errors", "counts", {NULL}, true},
              {"not right", "check", {"wrong", "stale"}, false},
              {"not found", "lookups", {"not_found"}, false},
              {"failed", "lookups", {"failed"}, false}};
#define SHARES (sizeof shares / sizeof shares[0])

struct side {
    const char *path;
    json_t *report;
    size_t n;
};

static int fail(char *error, const char *path, const char *why)
{
    snprintf(error, COMPARE_ERROR_MAX, "%s: %s", path, why);
    return CDNS_ECONFIG;
}

// Counts that no run can have.
static bool is_absurd(const json_t *report)
{
    const json_t *counts = json_object_get(report, "counts"), *value;
    json_int_t sent = json_integer_value(json_object_get(counts, "sent"));
    static const char *const names[] = {"lost", "truncated", "mismatched"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        value = json_object_get(counts, names[i]);
        if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) > sent)
            return true;
    }
    return sent <= 0;
}

static int read_side(struct side *s, char *error)
{
    json_error_t where;
    s->report = json_load_file(s->path, 0, &where);
    if (s->report == NULL)
        return fail(error, s->path, where.text);
    if (json_integer_value(json_object_get(s->report, "format")) != 1)
        return fail(error, s->path, "this is no report that dnsbench --json has written");
    if (!json_is_true(json_object_get(s->report, "valid")))
        return fail(error, s->path, "this run was invalid: its figures are not the server's");
    if (is_absurd(s->report))
        return fail(error, s->path, "its counts are none of a run");
    return 0;
}

// The values that a figure had in each second, but the first.
static size_t values_of(const struct side *s, const char *name, double *out)
{
    size_t i, n = 0;
    json_t *second;
    json_array_foreach(json_object_get(s->report, "seconds"), i, second)
    {
        const json_t *value = json_object_get(second, name);
        if (i >= WARM_UP && n < SECONDS_MAX && json_is_number(value))
            out[n++] = json_number_value(value);
    }
    return n;
}

// Answers with an error.
static uint64_t errors_of(const struct side *s)
{
    const char *name;
    json_t *value;
    uint64_t errors = 0;
    json_object_foreach(json_object_get(json_object_get(s->report, "counts"), "rcodes"), name,
                        value) if (strcmp(name, "NOERROR") != 0 && strcmp(name, "NXDOMAIN") != 0) errors +=
        (uint64_t)json_integer_value(value);
    return errors;
}

static uint64_t integer_of(const struct side *s, const char *section, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(json_object_get(s->report, section), name));
}

static uint64_t part_of(const struct side *s, const struct share *share)
{
    const json_t *section = json_object_get(s->report, share->section);
    if (share->of_rcodes)
        section = json_object_get(section, "rcodes");
    uint64_t part = share->members[0] == NULL ? errors_of(s) : 0;
    for (unsigned i = 0; i < 2 && share->members[i] != NULL; i++)
        part += (uint64_t)json_integer_value(json_object_get(section, share->members[i]));
    return part;
}

// --- verdicts

static void note(enum compare_verdict *verdict, enum compare_verdict one)
{
    if (one == COMPARE_WORSE || *verdict == COMPARE_SAME)
        *verdict = one == COMPARE_SAME ? *verdict : one;
}

static const char *word_of(enum compare_verdict v)
{
    static const char *const words[] = {
        [COMPARE_SAME] = "same", [COMPARE_BETTER] = "better", [COMPARE_WORSE] = "WORSE"};
    return words[v];
}

static int compare_latency(const struct side *a, const struct side *b, const char *name, double tolerance, FILE *file,
                           enum compare_verdict *verdict, char *error)
{
    static double before[SECONDS_MAX], after[SECONDS_MAX];
    size_t na = values_of(a, name, before), nb = values_of(b, name, after);
    struct shift s;
    if (na < LEAST_SECONDS || nb < LEAST_SECONDS)
        return fail(error, na < LEAST_SECONDS ? a->path : b->path, "a run has to last ten seconds to be compared");
    int rc = compare_shift(before, na, after, nb, &s);
    if (rc != 0)
        return rc;
    double least = tolerance * s.before;
    enum compare_verdict v = s.low > 0 && s.shift > least     ? COMPARE_WORSE
                             : s.high < 0 && -s.shift > least ? COMPARE_BETTER
                                                              : COMPARE_SAME;
    fprintf(file, "  %-10s %10.3f ms  %10.3f ms  %+8.1f %%  (%+.1f to %+.1f %%)  %s\n", name, s.before / 1e6,
            s.after / 1e6, 100 * s.shift / s.before, 100 * s.low / s.before, 100 * s.high / s.before, word_of(v));
    note(verdict, v);
    return 0;
}

static void compare_share(const struct side *a, const struct side *b, const struct share *share, FILE *file,
                          enum compare_verdict *verdict)
{
    const char *name = share->name;
    bool before = json_object_get(a->report, share->section) != NULL,
         after = json_object_get(b->report, share->section) != NULL, looked_up = strcmp(share->section, "lookups") == 0;
    if (before != after)
        fprintf(file, "  NOTE: only the run %s says what was %s: that is not compared\n", before ? "before" : "after",
                name);
    if (!before || !after)
        return;
    uint64_t pa = part_of(a, share), pb = part_of(b, share),
             wa = looked_up ? integer_of(a, "lookups", "due") : integer_of(a, "counts", "sent"),
             wb = looked_up ? integer_of(b, "lookups", "due") : integer_of(b, "counts", "sent");
    double z = compare_shares(pa, wa, pb, wb);
    enum compare_verdict v = z > Z_99 ? COMPARE_WORSE : z < -Z_99 ? COMPARE_BETTER : COMPARE_SAME;
    fprintf(file, "  %-10s %11.4f %%  %11.4f %%  %34s  %s\n", name, wa > 0 ? 100 * (double)pa / (double)wa : 0,
            wb > 0 ? 100 * (double)pb / (double)wb : 0, "", word_of(v));
    note(verdict, v);
}

// Runs of different loads can be compared, if that is meant.
static void note_option(const struct side *a, const struct side *b, const char *section, const char *name, FILE *file)
{
    const json_t *x = json_object_get(json_object_get(a->report, section), name),
                 *y = json_object_get(json_object_get(b->report, section), name);
    if (x != NULL && y != NULL && !json_equal(x, y))
        fprintf(file, "  NOTE: the runs differ in what was asked for: %s\n", name);
}

static void note_options(const struct side *a, const struct side *b, FILE *file)
{
    static const char *const lookups[] = {"ndots", "attempts", "search", "namespace"};
    json_t *value;
    const char *name;
    json_object_foreach(json_object_get(a->report, "options"), name,
                        value) if (strcmp(name, "server") != 0 && strcmp(name, "seed") != 0)
        note_option(a, b, "options", name, file);
    for (size_t i = 0; i < sizeof lookups / sizeof lookups[0]; i++)
        note_option(a, b, "lookups", lookups[i], file);
}

static int compare_sides(const struct side *a, const struct side *b, double tolerance, FILE *file,
                         enum compare_verdict *verdict, char *error)
{
    static const char *const latencies[] = {"p50", "p99"};
    int rc = 0;
    *verdict = COMPARE_SAME;
    note_options(a, b, file);
    fprintf(file, "  %-10s %13s  %13s\n", "", "before", "after");
    for (size_t i = 0; rc == 0 && i < sizeof latencies / sizeof latencies[0]; i++)
        rc = compare_latency(a, b, latencies[i], tolerance, file, verdict, error);
    for (size_t i = 0; rc == 0 && i < SHARES; i++)
        compare_share(a, b, &shares[i], file, verdict);
    return rc;
}

int compare_files(const char *before, const char *after, double tolerance, FILE *file, enum compare_verdict *verdict,
                  char *error)
{
    struct side a = {.path = before}, b = {.path = after};
    int rc = read_side(&a, error);
    if (rc == 0)
        rc = read_side(&b, error);
    if (rc == 0)
        rc = compare_sides(&a, &b, tolerance, file, verdict, error);
    json_decref(a.report);
    json_decref(b.report);
    return rc;
}
