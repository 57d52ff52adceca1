// SPDX-License-Identifier: Apache-2.0
#include "base/metrics.h"

#include "base/siphash.h"
#include "base/utf8.h"
#include "base/writer.h"
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#define CHUNKS 64 // of METRICS_ROW cells for each thread: a million numbers at most, 8 MiB a thread if all are used
#define TABLE_SIZE 4096 // lists of series of the same hash
#define ALIGNED_FROM 8  // cells of a series that gets cache lines of its own

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; // of all below, but for reading lists of families and series
static struct metric_family *families;                   // by name
static struct metric *table[TABLE_SIZE];
static uint64_t *chunk; // the one that is being filled
static size_t chunk_used, chunks;
static unsigned rows = 2;     // one for threads that are no workers, one a worker
static struct metric *sink;   // what is counted in vain
static struct metric *missed; // counts series that had to be the sink

static struct metrics_collector *collectors; // the main thread's

static struct metric_family missed_family = {
    .name = "clusterdns_metrics_unshown_total",
    .help = "Series that were asked for and are not shown, since the room for series is used up.",
    .type = METRIC_COUNTER,
};

// ---- memory ----

// `n` cells of each row, zeroed; NULL when there is no room for them. A row is mapped whole and takes memory where it
// is written to, so cells that are never counted cost nothing. (Nor must they share a huge page with others that are.)
static uint64_t *cells_alloc(size_t n)
{
    if (n >= ALIGNED_FROM)
        chunk_used = (chunk_used + ALIGNED_FROM - 1) / ALIGNED_FROM * ALIGNED_FROM;
    if (chunk == NULL || chunk_used + n > METRICS_ROW) {
        size_t size = sizeof(uint64_t) * METRICS_ROW * rows;
        void *p = chunks < CHUNKS
                      ? mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
                      : MAP_FAILED;
        if (p == MAP_FAILED)
            return NULL;
        madvise(p, size, MADV_NOHUGEPAGE);
        chunk = p;
        chunk_used = 0;
        chunks++;
    }
    uint64_t *cells = chunk + chunk_used;
    chunk_used += n;
    return cells;
}

void metrics_set_workers(unsigned n)
{
    INVARIANT(chunk == NULL && n < METRIC_ELSEWHERE);
    rows = n + 1;
}

// ---- families ----

static unsigned given_labels(const struct metric_family *f)
{
    unsigned n = 0;
    while (n < METRICS_LABELS && f->labels[n].name != NULL && f->labels[n].values == NULL)
        n++;
    return n;
}

static unsigned combinations(const struct metric_family *f)
{
    unsigned n = 1;
    for (unsigned i = 0; i < METRICS_LABELS && f->labels[i].name != NULL; i++)
        if (f->labels[i].values != NULL)
            n *= f->labels[i].nvalues;
    return n;
}

// The bounds of a histogram, computed as Go's client does, so that they are the same to the last bit. NULL: no memory.
static const double *bounds_of(const struct metric_buckets *b)
{
    if (b->bounds != NULL)
        return b->bounds;
    double *bounds = calloc(b->n, sizeof *bounds), bound = b->first;
    for (unsigned i = 0; bounds != NULL && i < b->n; i++) {
        bounds[i] = bound;
        bound *= b->factor;
    }
    return bounds;
}

// Puts a family into the list; false when it cannot be shown.
static bool family_register(struct metric_family *f)
{
    bool histogram = f->type == METRIC_HISTOGRAM;
    struct metric_family **at = &families;
    while (*at != NULL && strcmp((*at)->name, f->name) < 0)
        at = &(*at)->next;
    if (!EXPECT(*at == NULL || strcmp((*at)->name, f->name) != 0) || !EXPECT(!histogram || f->buckets.n > 0) ||
        !EXPECT(f->buckets.n <= METRICS_BUCKETS))
        return false;
    if (histogram && (f->buckets.bounds = bounds_of(&f->buckets)) == NULL)
        return false;
    f->registered = histogram ? f->buckets.n + 2 : 1;
    f->last = &f->series;
    f->next = *at;
    __atomic_store_n(at, f, __ATOMIC_RELEASE);
    return true;
}

const struct metric_family *metrics_first(void)
{
    return __atomic_load_n(&families, __ATOMIC_ACQUIRE);
}

// ---- series ----

static void put_value(struct writer *w, const char *value)
{
    const uint8_t *p = (const uint8_t *)value, *end = p + strlen(value);
    while (p < end) {
        size_t n = utf8_sequence(p, (size_t)(end - p));
        if (n == 0) {
            writer_bytes(w, "\xef\xbf\xbd", 3);
            n = 1;
        } else if (*p == '\n') {
            writer_bytes(w, "\\n", 2);
        } else {
            if (*p == '"' || *p == '\\')
                writer_u8(w, '\\');
            writer_bytes(w, p, n);
        }
        p += n;
    }
}

// Writes `a="1",b="2"` to `out`; its length, or -1 when it is too long.
static int given_text(const struct metric_family *f, const char *const *values, char out[METRICS_TEXT])
{
    struct writer w = writer_init(out, METRICS_TEXT);
    unsigned n = given_labels(f);
    if (!EXPECT(n == 0 || values != NULL))
        return -1;
    for (unsigned i = 0; i < n; i++) {
        if (i > 0)
            writer_u8(&w, ',');
        writer_bytes(&w, f->labels[i].name, strlen(f->labels[i].name));
        writer_bytes(&w, "=\"", 2);
        put_value(&w, values[i]);
        writer_u8(&w, '"');
    }
    return w.error == 0 ? (int)w.pos : -1;
}

static struct metric *series_new(struct metric_family *f, const char *text, size_t len)
{
    unsigned places = combinations(f);
    struct metric *m = malloc(sizeof *m + len + 1);
    if (m == NULL || !EXPECT(places > 0 && (size_t)places * f->registered <= METRICS_SERIES_CELLS) ||
        (m->cells = cells_alloc((size_t)places * f->registered)) == NULL) {
        free(m);
        return NULL;
    }
    *m = (struct metric){.cells = m->cells, .places = places, .family = f, .text_len = len};
    if (f->type == METRIC_HISTOGRAM) {
        m->bounds = f->buckets.bounds;
        m->nbounds = f->buckets.n;
    }
    memcpy(m->text, text, len);
    m->text[len] = '\0';
    __atomic_store_n(f->last, m, __ATOMIC_RELEASE);
    f->last = &m->next;
    return m;
}

// The list of series whose family and labels have this hash.
static struct metric **hash_list(const struct metric_family *f, const char *text, size_t len)
{
    struct siphash_key key = *siphash_process_key();
    key.k0 ^= (uintptr_t)f;
    return &table[siphash13(&key, text, len) % TABLE_SIZE];
}

static struct metric *find_or_make(struct metric_family *f, const char *const *values)
{
    char text[METRICS_TEXT];
    if (f->registered == 0 && !family_register(f))
        return NULL;
    int len = given_text(f, values, text);
    if (len < 0)
        return NULL;
    struct metric **list = hash_list(f, text, (size_t)len);
    for (struct metric *m = *list; m != NULL; m = m->same_hash)
        if (m->family == f && m->text_len == (size_t)len && memcmp(m->text, text, (size_t)len) == 0)
            return m;
    struct metric *m = series_new(f, text, (size_t)len);
    if (m != NULL) {
        m->same_hash = *list;
        *list = m;
    }
    return m;
}

// Before the first series: where to count what there is no room for, and the counter of that.
static void prepare(void)
{
    static struct metric nowhere;
    nowhere.cells = cells_alloc(METRICS_SERIES_CELLS);
    nowhere.places = METRICS_SERIES_CELLS;
    INVARIANT(nowhere.cells != NULL);
    missed = find_or_make(&missed_family, NULL);
    INVARIANT(missed != NULL);
    sink = &nowhere;
}

struct metric *metric_series(struct metric_family *family, const char *const *values)
{
    pthread_mutex_lock(&lock);
    if (sink == NULL)
        prepare();
    struct metric *m = find_or_make(family, values);
    pthread_mutex_unlock(&lock);
    if (m != NULL)
        return m;
    metric_count(missed, METRIC_ELSEWHERE, 0, 1);
    return sink;
}

void metrics_rename(struct metric *m, const char *const *values)
{
    char text[METRICS_TEXT];
    pthread_mutex_lock(&lock);
    int len = given_text(m->family, values, text);
    if (EXPECT(len >= 0 && (size_t)len == m->text_len)) {
        struct metric **at = hash_list(m->family, m->text, m->text_len);
        while (*at != m)
            at = &(*at)->same_hash;
        *at = m->same_hash;
        memcpy(m->text, text, m->text_len);
        at = hash_list(m->family, m->text, m->text_len);
        m->same_hash = *at;
        *at = m;
    }
    pthread_mutex_unlock(&lock);
}

// ---- numbers ----

// A cell that was never written, 0, says that there is no value: so what is kept is the complement of the double.
void metric_set(struct metric *m, unsigned place, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    __atomic_store_n(m->cells + place, ~bits, __ATOMIC_RELAXED);
}

void metric_unset(struct metric *m, unsigned place)
{
    __atomic_store_n(m->cells + place, 0, __ATOMIC_RELAXED);
}

void metrics_unset_all(struct metric_family *family)
{
    for (struct metric *m = __atomic_load_n(&family->series, __ATOMIC_ACQUIRE); m != NULL;
         m = __atomic_load_n(&m->next, __ATOMIC_ACQUIRE))
        for (unsigned i = 0; i < m->places; i++)
            metric_unset(m, i);
}

bool metrics_value(const struct metric *m, unsigned place, double *value)
{
    uint64_t cell = __atomic_load_n(m->cells + place, __ATOMIC_RELAXED), bits = ~cell;
    memcpy(value, &bits, sizeof bits);
    return cell != 0;
}

uint64_t metrics_total(const struct metric *m, unsigned cell)
{
    uint64_t total = 0;
    for (size_t row = 0; row < rows; row++)
        total += __atomic_load_n(m->cells + row * METRICS_ROW + cell, __ATOMIC_RELAXED);
    return total;
}

double metrics_total_sum(const struct metric *m, unsigned cell)
{
    double total = 0;
    for (size_t row = 0; row < rows; row++) {
        double sum;
        uint64_t bits = __atomic_load_n(m->cells + row * METRICS_ROW + cell, __ATOMIC_RELAXED);
        memcpy(&sum, &bits, sizeof sum);
        total += sum;
    }
    return total;
}

// ---- collectors ----

void metrics_collector_add(struct metrics_collector *collector)
{
    collector->next = collectors;
    collectors = collector;
}

void metrics_collector_remove(struct metrics_collector *collector)
{
    struct metrics_collector **at = &collectors;
    while (*at != NULL && *at != collector)
        at = &(*at)->next;
    if (*at != NULL)
        *at = collector->next;
}

void metrics_collect(void)
{
    for (const struct metrics_collector *c = collectors; c != NULL; c = c->next)
        c->collect(c->arg);
}
