// SPDX-License-Identifier: Apache-2.0
#include "dnsbench/check.h"

#include "base/thread.h"
#include "dnsbench/digest.h"
#include <clusterdns/clock.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RING 8192                      // differing answers of a thread that wait; a power of two
#define PENDING_MAX 65536              // … of all threads
#define LOOK_NS UINT64_C(250000000)    // between two looks at the source, at least
#define LOOK_PAUSE 3                   // … and so many times as long as the last one took: it has others to serve
#define SETTLE_NS UINT64_C(2500000000) // after it, what the source does not say is wrong
#define END_NS UINT64_C(10000000000)   // after the load, for what is not settled
#define OLDER 3                        // expectations that are remembered
#define NEVER UINT64_MAX

// An answer that is not as expected.
struct dispute {
    uint64_t digest, at;
    uint32_t question;
};

// From a worker to the check's thread.
struct lane {
    _Alignas(64) atomic_size_t head; // the worker's
    uint64_t right, unjudged;
    _Alignas(64) atomic_size_t tail; // the check's
    struct dispute all[RING];
};

struct expectation {
    _Atomic uint64_t digest; // of `known`
    atomic_bool known;
    unsigned nolder;
    uint64_t changed; // when `digest` was first told
    uint64_t older[OLDER];
};

struct check {
    const struct questions *set;
    struct check_source source;
    unsigned threads;
    struct lane *lanes;
    struct expectation *expected;
    struct dispute *pending;
    size_t npending;
    uint32_t *asked;
    struct check_counts counts;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    bool over; // under the mutex
};

// --- on workers' threads

void check_answer(struct check *c, unsigned part, uint32_t question, const uint8_t *message, size_t size, uint64_t at)
{
    struct lane *l = &c->lanes[part];
    const struct expectation *e = &c->expected[question];
    uint64_t digest;
    bool truncated = (message[2] & 2) != 0;
    if (truncated || !atomic_load_explicit(&e->known, memory_order_acquire)) {
        l->unjudged++;
        return;
    }
    if (!digest_of_message(message, size, &digest))
        digest = NEVER;
    if (digest == atomic_load_explicit(&e->digest, memory_order_relaxed)) {
        l->right++;
        return;
    }
    size_t head = atomic_load_explicit(&l->head, memory_order_relaxed);
    if (head - atomic_load_explicit(&l->tail, memory_order_acquire) == RING) {
        l->unjudged++;
        return;
    }
    l->all[head % RING] = (struct dispute){.digest = digest, .at = at, .question = question};
    atomic_store_explicit(&l->head, head + 1, memory_order_release);
}

// --- on the check's thread

void check_expect(struct check *c, uint32_t question, uint64_t digest)
{
    struct expectation *e = &c->expected[question];
    uint64_t before = atomic_load_explicit(&e->digest, memory_order_relaxed);
    if (e->known && before == digest)
        return;
    if (e->known) {
        memmove(e->older + 1, e->older, (OLDER - 1) * sizeof e->older[0]);
        e->older[0] = before;
        e->nolder += e->nolder < OLDER;
    }
    e->changed = clock_monotonic_ns();
    atomic_store_explicit(&e->digest, digest, memory_order_relaxed);
    atomic_store_explicit(&e->known, true, memory_order_release);
}

static void example(struct check *c, const char *what, const struct dispute *d)
{
    char name[CHECK_EXAMPLE_MAX - 16], *text = c->counts.example[c->counts.examples % CHECK_EXAMPLES];
    if (c->counts.examples == CHECK_EXAMPLES)
        return;
    snprintf(text, CHECK_EXAMPLE_MAX, "%s: %s", what, question_text(&c->set->all[d->question], name, sizeof name));
    for (unsigned i = 0; i < c->counts.examples; i++)
        if (strcmp(c->counts.example[i], text) == 0)
            return;
    c->counts.examples++;
}

static bool was_expected(const struct expectation *e, uint64_t digest)
{
    for (unsigned i = 0; i < e->nolder; i++)
        if (e->older[i] == digest)
            return true;
    return false;
}

// True: it is settled. `known`: the source could be asked.
static bool judge(struct check *c, const struct dispute *d, bool known, uint64_t now)
{
    const struct expectation *e = &c->expected[d->question];
    if (d->digest == e->digest) {
        c->counts.right++;
    } else if (was_expected(e, d->digest)) {
        bool behind = d->at > e->changed + CHECK_STALE_NS;
        c->counts.right += !behind;
        c->counts.stale += behind;
        if (behind)
            example(c, "stale", d);
    } else if (now > d->at + SETTLE_NS) { // the source may be behind the server that is asked
        c->counts.wrong += known;
        c->counts.unjudged += !known;
        if (known)
            example(c, "wrong", d);
    } else {
        return false;
    }
    return true;
}

static void collect(struct check *c)
{
    for (unsigned i = 0; i < c->threads; i++) {
        struct lane *l = &c->lanes[i];
        size_t tail = atomic_load_explicit(&l->tail, memory_order_relaxed),
               head = atomic_load_explicit(&l->head, memory_order_acquire);
        for (; tail != head && c->npending < PENDING_MAX; tail++)
            c->pending[c->npending++] = l->all[tail % RING];
        atomic_store_explicit(&l->tail, tail, memory_order_release);
    }
}

// What differs is looked up anew, and judged. Returns when the next look is due.
static uint64_t settle(struct check *c)
{
    char error[QUESTIONS_ERROR_MAX];
    size_t left = 0;
    uint64_t begun = clock_monotonic_ns();
    collect(c);
    for (size_t i = 0; i < c->npending; i++)
        c->asked[i] = c->pending[i].question;
    bool known = c->source.look(c->source.arg, c, false, c->asked, c->npending, error) == 0;
    uint64_t now = clock_monotonic_ns();
    for (size_t i = 0; i < c->npending; i++)
        if (!judge(c, &c->pending[i], known, now))
            c->pending[left++] = c->pending[i];
    c->npending = left;
    uint64_t pause = LOOK_PAUSE * (now - begun);
    return now + (pause > LOOK_NS ? pause : LOOK_NS);
}

// Waits for the next look. True: it is over.
static bool sleep_until(struct check *c, uint64_t until)
{
    const struct timespec at = clock_timespec(until);
    pthread_mutex_lock(&c->mutex);
    while (!c->over && pthread_cond_timedwait(&c->wake, &c->mutex, &at) == 0)
        ;
    bool over = c->over;
    pthread_mutex_unlock(&c->mutex);
    return over;
}

static void *run(void *arg)
{
    struct check *c = arg;
    for (uint64_t next = clock_monotonic_ns() + LOOK_NS; !sleep_until(c, next);)
        next = settle(c);
    for (uint64_t end = clock_monotonic_ns() + END_NS;;) {
        const struct timespec next = clock_timespec(settle(c));
        if (c->npending == 0 || clock_monotonic_ns() > end) {
            c->counts.unjudged += c->npending;
            return NULL;
        }
        (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
    }
}

// --- life

static void release(struct check *c)
{
    pthread_mutex_destroy(&c->mutex);
    pthread_cond_destroy(&c->wake);
    free(c->lanes);
    free(c->expected);
    free(c->pending);
    free(c->asked);
    free(c);
}

int check_new(const struct questions *set, unsigned threads, const struct check_source *source, struct check **out,
              char *error)
{
    struct check *c = calloc(1, sizeof *c);
    if (c == NULL)
        return CDNS_ENOMEM;
    *c = (struct check){.set = set, .source = *source, .threads = threads};
    pthread_mutex_init(&c->mutex, NULL);
    thread_condition_init(&c->wake);
    c->lanes = aligned_alloc(64, threads * sizeof *c->lanes);
    c->expected = calloc(set->n, sizeof *c->expected);
    c->pending = calloc(PENDING_MAX, sizeof *c->pending);
    c->asked = calloc(PENDING_MAX, sizeof *c->asked);
    int rc = c->lanes == NULL || c->expected == NULL || c->pending == NULL || c->asked == NULL ? CDNS_ENOMEM : 0;
    if (rc == 0) {
        memset(c->lanes, 0, threads * sizeof *c->lanes);
        rc = source->look(source->arg, c, true, NULL, 0, error);
    }
    if (rc == 0)
        rc = thread_start(&c->thread, "check", run, c);
    if (rc == 0)
        *out = c;
    else
        release(c);
    return rc;
}

void check_end(struct check *c, struct check_counts *counts)
{
    pthread_mutex_lock(&c->mutex);
    c->over = true;
    pthread_cond_signal(&c->wake);
    pthread_mutex_unlock(&c->mutex);
    pthread_join(c->thread, NULL);
    for (unsigned i = 0; i < c->threads; i++) {
        c->counts.right += c->lanes[i].right;
        c->counts.unjudged += c->lanes[i].unjudged;
    }
    *counts = c->counts;
    release(c);
}
