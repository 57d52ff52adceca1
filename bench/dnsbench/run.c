// SPDX-License-Identifier: Apache-2.0
#include "dnsbench/run.h"

#include "base/thread.h"
#include <clusterdns/clock.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BEGIN_NS UINT64_C(50000000)     // threads are there before the schedule begins
#define VIEW_NS UINT64_C(1000000000)    // between two looks at a run
#define SILENCE_NS UINT64_C(5000000000) // … without an answer, and the run is ended
#define SILENT_MOST 3                   // questions that have come to nothing since the last answer: then it is silence

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

void run_catch_signals(void)
{
    (void)signal(SIGPIPE, SIG_IGN); // a connection that is cut off is an error like others
    (void)sigaction(SIGINT, &(struct sigaction){.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND}, NULL);
    (void)sigaction(SIGTERM, &(struct sigaction){.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND}, NULL);
}

bool run_interrupted(void)
{
    return interrupted != 0;
}

static int fail(char *error, const char *what, const char *why)
{
    snprintf(error, RUN_ERROR_MAX, "%s: %s", what, why);
    return CDNS_ECONFIG;
}

// --- threads

struct thread {
    pthread_t id;
    struct worker *worker;
    sem_t *over; // all threads'
    bool running;
};

static void *work(void *arg)
{
    struct thread *thread = arg;
    worker_run(thread->worker);
    (void)sem_post(thread->over);
    return NULL;
}

static int start(struct load *load, struct thread *threads, sem_t *over, char *error)
{
    load->start_ns = clock_monotonic_ns() + BEGIN_NS; // for connections that are begun now; threads take their time
    for (unsigned i = 0; i < load->threads; i++) {
        int rc = worker_new(load, i, &threads[i].worker);
        if (rc != 0)
            return fail(error, "a socket could not be opened", rc == CDNS_EIO ? strerror(errno) : error_text(rc));
    }
    load->start_ns = clock_monotonic_ns() + BEGIN_NS;
    for (unsigned i = 0; i < load->threads; i++) {
        threads[i].over = over;
        if (thread_start(&threads[i].id, "load", work, &threads[i]) != 0)
            return fail(error, "a thread could not be started", error_text(CDNS_EIO));
        threads[i].running = true;
    }
    return 0;
}

static int finish(struct thread *threads, unsigned n, struct results *sum)
{
    int rc = 0;
    for (unsigned i = 0; i < n; i++) {
        if (threads[i].running)
            pthread_join(threads[i].id, NULL);
        if (threads[i].worker != NULL && rc == 0)
            rc = results_merge(sum, &threads[i].worker->results);
        if (threads[i].worker != NULL)
            worker_free(threads[i].worker);
    }
    return rc;
}

// --- watching

static struct live_sum {
    uint64_t due, answered, lost, odd;
    bool waits;
} look(struct thread *threads, unsigned n)
{
    struct live_sum sum = {0};
    for (unsigned i = 0; i < n; i++) {
        const struct live *live = &threads[i].worker->results.live;
        sum.due += atomic_load_explicit(&live->due, memory_order_relaxed);
        sum.answered += atomic_load_explicit(&live->answered, memory_order_relaxed);
        sum.lost += atomic_load_explicit(&live->lost, memory_order_relaxed);
        sum.waits |= atomic_load_explicit(&live->waits, memory_order_relaxed);
        sum.odd += atomic_load_explicit(&live->odd, memory_order_relaxed);
    }
    return sum;
}

static void show(const struct live_sum *now, const struct live_sum *last, uint64_t at)
{
    fprintf(stderr, "\r  %4.0f s  %9llu a second answered  %9llu lost  %9llu odd  \033[K", (double)at / 1e9,
            (unsigned long long)(now->answered - last->answered), (unsigned long long)now->lost,
            (unsigned long long)now->odd);
}

// Waits for a time, or the end of all threads: then it is true. `left` are those that have not ended.
static bool wait_until(uint64_t until, sem_t *over, unsigned *left)
{
    const struct timespec at = clock_timespec(until);
    while (*left > 0 && !interrupted)
        if (sem_clockwait(over, CLOCK_MONOTONIC, &at) == 0)
            --*left;
        else if (errno == ETIMEDOUT)
            return false;
    return *left == 0;
}

// Watches until the threads are done. Returns why it was ended early, or NULL.
static const char *watch(struct load *load, struct thread *threads, sem_t *over, const struct options *o,
                         struct beside *beside)
{
    struct live_sum last = {0};
    uint64_t heard = load->start_ns, asked = 0; // asked: until then
    unsigned left = load->threads;
    bool view = !o->quiet && isatty(STDERR_FILENO);
    const char *stopped = NULL;
    for (uint64_t next = load->start_ns + VIEW_NS; stopped == NULL && !wait_until(next, over, &left); next += VIEW_NS) {
        uint64_t at = clock_monotonic_ns() - load->start_ns;
        beside_sample(beside, at, at < load->plan.duration_ns + VIEW_NS);
        struct live_sum now = look(threads, load->threads);
        if (now.answered > last.answered)
            asked = now.due;
        if (now.answered > last.answered || (!now.waits && now.due - asked < SILENT_MOST))
            heard = clock_monotonic_ns();
        if (view)
            show(&now, &last, next - load->start_ns);
        if (interrupted)
            stopped = "interrupted";
        else if (now.due > 0 && clock_monotonic_ns() > heard + SILENCE_NS + load->timeout_ns)
            stopped = "the server has stopped answering";
        last = now;
    }
    if (view)
        fprintf(stderr, "\r\033[K");
    return stopped;
}

// Starts all, and waits for the end. Returns why it ended early, or NULL.
static int run_threads(struct load *load, const struct options *o, struct thread *threads, struct load_run *r,
                       char *error)
{
    sem_t over;
    (void)sem_init(&over, 0, 0);
    const char *stopped = "";
    int rc = start(load, threads, &over, error);
    if (rc == 0 && beside_begin(&r->beside) != 0)
        rc = fail(error, "a thread could not be started", error_text(CDNS_EIO));
    if (rc == 0)
        stopped = watch(load, threads, &over, o, &r->beside);
    atomic_store(&load->stop, stopped != NULL);
    if (finish(threads, load->threads, &r->results) != 0 && rc == 0)
        rc = fail(error, "a run's results", error_text(CDNS_ENOMEM));
    r->run = (struct run){
        .options = o, .results = &r->results, .took_ns = r->results.over_ns, .stopped = stopped, .beside = &r->beside};
    beside_sample(&r->beside, r->run.took_ns, false);
    if (beside_end(&r->beside, stopped != NULL, r->left) == 0)
        r->left[0] = '\0';
    (void)sem_destroy(&over);
    return rc;
}

int run_load(struct load *load, const struct options *o, struct load_run *out, char *error)
{
    struct thread *threads = calloc(load->threads, sizeof *threads);
    *out = (struct load_run){0};
    if (threads == NULL || results_init(&out->results, load->plan.duration_ns) != 0) {
        free(threads);
        return fail(error, "a run", error_text(CDNS_ENOMEM));
    }
    atomic_store(&load->stop, false);
    int rc = beside_open(&out->beside, o, load, &interrupted, error);
    if (rc == CDNS_ENOMEM)
        rc = fail(error, "a run", error_text(rc));
    if (rc == 0) {
        rc = run_threads(load, o, threads, out, error);
    } else if (beside_end(&out->beside, true, out->left) != 0) {
        size_t n = strlen(error);
        snprintf(error + n, RUN_ERROR_MAX - n, "\n%s", out->left);
    }
    if (rc != 0)
        run_free(out);
    free(threads);
    return rc;
}

void run_free(struct load_run *r)
{
    beside_free(&r->beside);
    results_free(&r->results);
    *r = (struct load_run){0};
}

void run_move(struct load_run *to, struct load_run *from)
{
    *to = *from;
    to->run.results = &to->results;
    to->run.beside = &to->beside;
    *from = (struct load_run){0};
}
