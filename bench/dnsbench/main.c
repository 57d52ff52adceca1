// SPDX-License-Identifier: Apache-2.0
// dnsbench: a load tester for DNS servers. See docs/dnsbench.md.
#include "dnsbench/cluster.h"
#include "dnsbench/compare.h"
#include "dnsbench/html.h"
#include "dnsbench/options.h"
#include "dnsbench/report.h"
#include "dnsbench/worker.h"

#include "base/logring.h"
#include <clusterdns/clock.h>
#include <errno.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BEGIN_NS UINT64_C(50000000)     // threads are there before the schedule begins
#define VIEW_NS UINT64_C(1000000000)    // between two looks at a run
#define SILENCE_NS UINT64_C(5000000000) // … without an answer, and the run is ended

enum { VALID, FAILED, WRONG_ARGUMENTS, INVALID, WORSE };

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

static int complain(int status, const char *what, const char *why)
{
    fprintf(stderr, "dnsbench: %s%s%s\n", what, why != NULL ? ": " : "", why != NULL ? why : "");
    return status;
}

// --- a run

struct thread {
    pthread_t id;
    struct worker *worker;
    bool running;
};

static void *work(void *worker)
{
    worker_run(worker);
    return NULL;
}

static struct live_sum {
    uint64_t due, answered, lost, odd;
} look(struct thread *threads, unsigned n)
{
    struct live_sum sum = {0};
    for (unsigned i = 0; i < n; i++) {
        const struct live *live = &threads[i].worker->results.live;
        sum.due += atomic_load_explicit(&live->due, memory_order_relaxed);
        sum.answered += atomic_load_explicit(&live->answered, memory_order_relaxed);
        sum.lost += atomic_load_explicit(&live->lost, memory_order_relaxed);
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

// Watches until the schedule and its last time-out are over. Returns why it was ended early, or NULL.
static const char *watch(struct load *load, struct thread *threads, const struct options *o)
{
    struct live_sum last = {0};
    uint64_t heard = load->start_ns, end = load->start_ns + load->plan.duration_ns;
    bool view = !o->quiet && isatty(STDERR_FILENO);
    for (uint64_t next = load->start_ns + VIEW_NS; next < end + VIEW_NS; next += VIEW_NS) {
        uint64_t until = next < end ? next : end;
        const struct timespec at = {.tv_sec = (time_t)(until / 1000000000), .tv_nsec = (long)(until % 1000000000)};
        while (!interrupted && clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
            ;
        struct live_sum now = look(threads, load->threads);
        if (now.answered > last.answered)
            heard = clock_monotonic_ns();
        if (view)
            show(&now, &last, until - load->start_ns);
        if (interrupted)
            return "interrupted";
        if (now.due > 0 && clock_monotonic_ns() > heard + SILENCE_NS + load->timeout_ns)
            return "the server has stopped answering";
        last = now;
    }
    if (view)
        fprintf(stderr, "\r\033[K");
    return NULL;
}

static int start(struct load *load, struct thread *threads)
{
    for (unsigned i = 0; i < load->threads; i++) {
        int rc = worker_new(load, i, &threads[i].worker);
        if (rc != 0)
            return complain(FAILED, "a socket could not be opened", rc == CDNS_EIO ? strerror(errno) : error_text(rc));
    }
    load->start_ns = clock_monotonic_ns() + BEGIN_NS;
    for (unsigned i = 0; i < load->threads; i++) {
        int number = pthread_create(&threads[i].id, NULL, work, threads[i].worker);
        if (number != 0)
            return complain(FAILED, "a thread could not be started", strerror(number));
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

// --- results

typedef int write_fn(const struct run *run, FILE *file);

static int write_hgrm(const struct run *run, FILE *file)
{
    return histogram_write_hgrm(run->results->latency, file);
}

static int write_file(const char *path, write_fn *writer, const struct run *run)
{
    if (path == NULL)
        return 0;
    FILE *file = fopen(path, "we");
    if (file == NULL)
        return complain(FAILED, path, strerror(errno));
    int rc = writer(run, file);
    if (fclose(file) != 0 || rc != 0)
        return complain(FAILED, path, rc == CDNS_ENOMEM ? error_text(rc) : strerror(errno));
    return 0;
}

static int report(const struct run *run)
{
    char reasons[REPORT_REASONS][160];
    report_text(run, stdout);
    int status = write_file(run->options->json, report_json, run);
    status |= write_file(run->options->csv, report_csv, run);
    status |= write_file(run->options->hgrm, write_hgrm, run);
    status |= write_file(run->options->html, html_write, run);
    return status != 0 ? FAILED : report_invalid(run, reasons) > 0 ? INVALID : VALID;
}

static int run_load(struct load *load, const struct options *o)
{
    struct thread *threads = calloc(load->threads, sizeof *threads);
    struct results sum;
    if (threads == NULL || results_init(&sum, load->plan.duration_ns) != 0) {
        free(threads);
        return complain(FAILED, error_text(CDNS_ENOMEM), NULL);
    }
    int status = start(load, threads);
    const char *stopped = status == 0 ? watch(load, threads, o) : "";
    atomic_store(&load->stop, stopped != NULL);
    if (finish(threads, load->threads, &sum) != 0 && status == 0)
        status = complain(FAILED, error_text(CDNS_ENOMEM), NULL);
    if (status == 0)
        status = report(&(struct run){
            .options = o, .results = &sum, .took_ns = clock_monotonic_ns() - load->start_ns, .stopped = stopped});
    results_free(&sum);
    free(threads);
    return status;
}

static int read_questions(const struct options *o, struct questions *set)
{
    char error[QUESTIONS_ERROR_MAX];
    bool standard = strcmp(o->questions, "-") == 0;
    FILE *file = standard ? stdin : fopen(o->questions, "re");
    if (file == NULL)
        return complain(FAILED, o->questions, strerror(errno));
    int rc = questions_read(file, o->questions, &o->message, set, error);
    if (!standard)
        fclose(file);
    return rc == 0 ? 0 : complain(FAILED, rc == CDNS_ECONFIG ? error : error_text(rc), NULL);
}

// The questions of a file, or of a cluster, which is then in `*cluster`.
static int make_questions(const struct options *o, struct cluster **cluster, struct questions *set)
{
    char error[CLUSTER_ERROR_MAX];
    if (o->questions != NULL)
        return read_questions(o, set);
    bool logs = log_start(STDERR_FILENO, LOG_FORMAT_TEXT) == 0; // what is passed over is no part of the report
    int rc = cluster_read(o, cluster, error);
    if (logs)
        log_stop(UINT64_C(1000000000));
    if (rc == 0)
        rc = cluster_questions(*cluster, o, set, error);
    return rc == 0 ? 0 : complain(FAILED, rc == CDNS_ECONFIG ? error : error_text(rc), NULL);
}

static SSL_CTX *tls_context(const struct options *o)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
    bool good = tls != NULL;
    if (good && o->tls_name != NULL)
        SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
    if (good && o->tls_ca != NULL)
        good = SSL_CTX_load_verify_locations(tls, o->tls_ca, NULL) == 1;
    else if (good)
        (void)SSL_CTX_set_default_verify_paths(tls);
    if (good) {
        SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
        return tls;
    }
    complain(FAILED, o->tls_ca != NULL ? o->tls_ca : "TLS", "no certificates that could be used");
    SSL_CTX_free(tls);
    return NULL;
}

// compare BEFORE.json AFTER.json [TOLERANCE]
static int run_compare(int argc, char **argv)
{
    char error[COMPARE_ERROR_MAX], *end = "";
    enum compare_verdict verdict;
    double tolerance = argc == 4 ? strtod(argv[3], &end) : 5;
    if (argc < 3 || argc > 4 || (strcmp(end, "%") != 0 && *end != '\0') || !(tolerance >= 0 && tolerance <= 1000))
        return complain(WRONG_ARGUMENTS, "say: dnsbench compare BEFORE.json AFTER.json [PERCENT]", NULL);
    int rc = compare_files(argv[1], argv[2], tolerance / 100, stdout, &verdict, error);
    if (rc != 0)
        return complain(FAILED, rc == CDNS_ECONFIG ? error : error_text(rc), NULL);
    return verdict == COMPARE_WORSE ? WORSE : VALID;
}

int main(int argc, char **argv)
{
    struct options o;
    struct questions questions;
    struct cluster *cluster = NULL;
    char error[OPTIONS_ERROR_MAX];
    if (argc > 1 && strcmp(argv[1], "compare") == 0)
        return run_compare(argc - 1, argv + 1);
    if (options_read(argc, argv, &o, error) != 0)
        return complain(WRONG_ARGUMENTS, error, NULL);
    if (o.help || o.version) {
        fputs(o.help ? options_help : "dnsbench " CDNS_VERSION "\n", stdout);
        return 0;
    }
    if (make_questions(&o, &cluster, &questions) != 0) {
        cluster_free(cluster);
        return FAILED;
    }
    struct load load = {.transport = o.transport == OVER_UDP ? &transport_udp : &transport_stream,
                        .per_connection = o.per_connection,
                        .tls_name = o.tls_name,
                        .server = o.server,
                        .source = o.source,
                        .questions = &questions,
                        .order = o.order,
                        .seed = o.seed,
                        .plan = o.plan,
                        .outstanding = o.outstanding,
                        .threads = o.threads,
                        .flows = o.sockets,
                        .timeout_ns = o.timeout_ns};
    if (o.transport == OVER_TLS && (load.tls = tls_context(&o)) == NULL)
        return FAILED;
    struct alias *zipf = o.order == PICK_ZIPF ? picker_zipf_table(questions.n, o.zipf) : NULL;
    load.zipf = zipf;
    (void)sigaction(SIGINT, &(struct sigaction){.sa_handler = on_signal}, NULL);
    (void)sigaction(SIGTERM, &(struct sigaction){.sa_handler = on_signal}, NULL);
    int status =
        o.order == PICK_ZIPF && zipf == NULL ? complain(FAILED, error_text(CDNS_ENOMEM), NULL) : run_load(&load, &o);
    free(zipf);
    SSL_CTX_free(load.tls);
    questions_free(&questions);
    cluster_free(cluster);
    return status;
}
