// SPDX-License-Identifier: Apache-2.0
// dnsbench: a load tester for DNS servers. See docs/dnsbench.md.
#include "dnsbench/candidates.h"
#include "dnsbench/checker.h"
#include "dnsbench/cluster.h"
#include "dnsbench/compare.h"
#include "dnsbench/html.h"
#include "dnsbench/options.h"
#include "dnsbench/search.h"
#include "dnsbench/text.h"

#include "base/logring.h"
#include <errno.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COMPLAINT_MAX 4096

enum { VALID, FAILED, WRONG_ARGUMENTS, INVALID, WORSE, NOT_RIGHT };

static int complain(int status, const char *what, const char *why)
{
    char text[COMPLAINT_MAX];
    snprintf(text, sizeof text, "%s%s%s", what, why != NULL ? ": " : "", why != NULL ? why : "");
    fprintf(stderr, "dnsbench: %s\n", text_clean(text));
    return status;
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

// What could not be written is said before a load, not after it.
static int try_files(const struct options *o)
{
    const char *const paths[] = {o->json, o->csv, o->hgrm, o->html};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        struct stat there;
        bool is_new = paths[i] != NULL && stat(paths[i], &there) != 0;
        if (paths[i] == NULL || (!is_new && !S_ISREG(there.st_mode)))
            continue;
        FILE *file = fopen(paths[i], "ae");
        if (file == NULL)
            return complain(FAILED, paths[i], strerror(errno));
        fclose(file);
        if (is_new)
            unlink(paths[i]);
    }
    return VALID;
}

static int report(const struct run *run)
{
    char reasons[REPORT_REASONS][REPORT_REASON_MAX];
    report_text(run, stdout);
    int status = write_file(run->options->json, report_json, run);
    status |= write_file(run->options->csv, report_csv, run);
    status |= write_file(run->options->hgrm, write_hgrm, run);
    status |= write_file(run->options->html, html_write, run);
    if (status != 0)
        return FAILED;
    if (report_invalid(run, reasons) > 0)
        return INVALID;
    return run->check != NULL && run->check->wrong + run->check->stale > 0 ? NOT_RIGHT : VALID;
}

static int run_once(struct load *load, const struct options *o)
{
    struct load_run r;
    struct check_counts checked;
    char error[RUN_ERROR_MAX];
    int rc = run_load(load, o, &r, error);
    if (load->check != NULL) {
        check_end(load->check, &checked);
        r.run.check = &checked;
    }
    if (rc != 0)
        return complain(FAILED, error, NULL);
    int status = report(&r.run);
    if (r.left[0] != '\0')
        status = complain(FAILED, r.left, NULL);
    run_free(&r);
    return status;
}

// A search that has found nothing, or did not come to its end, is as good as an invalid run.
static int run_search(struct load *load, const struct options *o)
{
    static struct search search; // large
    char error[RUN_ERROR_MAX];
    int rc = search_run(load, o, &search, stdout, error),
        status = rc == 0 ? report(&search.kept.run) : complain(FAILED, error, NULL);
    search_free(&search);
    return status == VALID && (search.rate == 0 || search.cut) ? INVALID : status;
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

static int make_candidates(const struct options *o, const struct questions *set, struct candidates *out)
{
    char error[CANDIDATES_ERROR_MAX];
    int rc = candidates_make(set, o, out, error);
    return rc == 0 ? 0 : complain(FAILED, rc == CDNS_ECONFIG ? error : error_text(rc), NULL);
}

static SSL_CTX *tls_context(const struct options *o)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
    bool good = tls != NULL;
    if (good && (o->tls_name != NULL || o->tls_ca != NULL))
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
    if (argc < 3 || argc > 4 || (argc == 4 && (end == argv[3] || (strcmp(end, "%") != 0 && *end != '\0'))) ||
        !(tolerance >= 0 && tolerance <= 1000))
        return complain(WRONG_ARGUMENTS, "say: dnsbench compare BEFORE.json AFTER.json [PERCENT]", NULL);
    int rc = compare_files(argv[1], argv[2], tolerance / 100, stdout, &verdict, error);
    if (rc != 0)
        return complain(FAILED, rc == CDNS_ECONFIG ? error : error_text(rc), NULL);
    return verdict == COMPARE_WORSE ? WORSE : VALID;
}

// All that a load needs, and what it is made of.
struct job {
    struct options options;
    struct questions questions;
    struct candidates candidates; // with --stub
    struct cluster *cluster;      // that questions come from; NULL: a file
    struct alias *zipf;
    struct checker checker;
    struct load load;
};

static void release(struct job *j)
{
    checker_end(&j->checker);
    free(j->zipf);
    SSL_CTX_free(j->load.tls);
    candidates_free(&j->candidates);
    questions_free(&j->questions);
    cluster_free(j->cluster);
}

static void plan_load(struct job *j)
{
    const struct options *o = &j->options;
    j->load = (struct load){.transport = o->transport == OVER_UDP ? &transport_udp : &transport_stream,
                            .per_connection = o->per_connection,
                            .tls_name = o->tls_name,
                            .server = o->server,
                            .source = o->source,
                            .questions = o->stub ? &j->candidates.questions : &j->questions,
                            .lookups = o->stub ? &j->candidates : NULL,
                            .attempts = o->attempts,
                            .order = o->order,
                            .seed = o->seed,
                            .plan = o->plan,
                            .queries = o->queries,
                            .outstanding = o->outstanding,
                            .threads = o->threads,
                            .flows = o->sockets,
                            .timeout_ns = o->timeout_ns};
}

// VALID, or what has been complained of. The check, which has a thread, comes last.
static int prepare(struct job *j)
{
    const struct options *o = &j->options;
    char error[OPTIONS_ERROR_MAX];
    if (try_files(o) != VALID)
        return FAILED;
    if (make_questions(o, &j->cluster, &j->questions) != 0 ||
        (o->stub && make_candidates(o, &j->questions, &j->candidates) != 0))
        return FAILED;
    plan_load(j);
    if (o->transport == OVER_TLS && (j->load.tls = tls_context(o)) == NULL)
        return FAILED;
    if (o->order == PICK_ZIPF) {
        j->load.zipf = j->zipf = picker_zipf_table(o->stub ? j->candidates.n : j->questions.n, o->zipf);
        if (j->zipf == NULL)
            return complain(FAILED, error_text(CDNS_ENOMEM), NULL);
    }
    if (checker_begin(&j->checker, o, j->load.questions, error) != 0)
        return complain(FAILED, error, NULL);
    j->load.check = j->checker.check;
    return VALID;
}

static int bench(int argc, char **argv)
{
    static struct job job;
    const struct options *o = &job.options;
    char error[OPTIONS_ERROR_MAX];
    if (options_read(argc, argv, &job.options, error) != 0)
        return complain(WRONG_ARGUMENTS, error, NULL);
    if (o->help || o->version) {
        fputs(o->help ? options_help : "dnsbench " CDNS_VERSION "\n", stdout);
        return 0;
    }
    run_catch_signals();
    int status = prepare(&job);
    if (status == VALID)
        status = o->max || o->knee != NULL ? run_search(&job.load, o) : run_once(&job.load, o);
    release(&job);
    return status;
}

int main(int argc, char **argv)
{
    bool compares = argc > 1 && strcmp(argv[1], "compare") == 0;
    int status = compares ? run_compare(argc - 1, argv + 1) : bench(argc, argv);
    if (fflush(stdout) != 0 || ferror(stdout))
        status = complain(FAILED, "standard output", strerror(errno));
    return status;
}
