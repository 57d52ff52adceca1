// SPDX-License-Identifier: Apache-2.0
#include "dnsbench/report.h"
#include "dnsbench/beside.h"

#include "dnsbench/search.h"
#include "dnsbench/text.h"
#include <clusterdns/record.h>
#include <jansson.h>
#include <limits.h>

#define BUSY_LIMIT 0.95 // of the time: a closed loop's threads had, and could have had, no more

static double share(uint64_t part, uint64_t whole)
{
    return whole == 0 ? 0 : 100 * (double)part / (double)whole;
}

const char *report_time(uint64_t ns, char out[16])
{
    double value = (double)ns;
    if (ns < 10000)
        snprintf(out, 16, "%.2f us", value / 1e3);
    else if (ns < 1000000)
        snprintf(out, 16, "%.0f us", value / 1e3);
    else if (ns < 1000000000)
        snprintf(out, 16, "%.2f ms", value / 1e6);
    else
        snprintf(out, 16, "%.2f s", value / 1e9);
    return out;
}

const char *report_rcode(unsigned place, char out[16])
{
    return place < RESULTS_RCODES ? rcode_text((uint16_t)place, out) : "other rcodes";
}

uint64_t report_cut_off(const struct counts *c)
{
    return c->sent - c->answered - c->lost;
}

const char *report_figure(const struct histogram *h, uint64_t ns, char out[16])
{
    return histogram_count(h) > 0 ? report_time(ns, out) : "-";
}

// --- validity

static uint64_t strange_of(const struct counts *c)
{
    return c->strange + c->mismatched;
}

bool report_late(const struct run *run)
{
    return run->options->outstanding == 0 && histogram_percentile(run->results->lag, 99) > run->options->max_lag_ns;
}

unsigned report_invalid(const struct run *run, char reasons[REPORT_REASONS][REPORT_REASON_MAX])
{
    const struct results *r = run->results;
    const struct options *o = run->options;
    char lag[16], bound[16];
    unsigned n = 0;
    if (report_late(run))
        snprintf(reasons[n++], REPORT_REASON_MAX,
                 "dnsbench itself was late: 1%% of the questions left more than %s after they were due "
                 "(--max-lag %s); lower --rate, or give it more --sockets, --threads or CPUs",
                 report_time(histogram_percentile(r->lag, 99), lag), report_time(o->max_lag_ns, bound));
    if (r->counts.unsent > 0)
        snprintf(reasons[n++], REPORT_REASON_MAX, "%llu questions could not be sent: %s%s",
                 (unsigned long long)r->counts.unsent,
                 r->refusal[0] != '\0' ? "no connection: " : "more --sockets, or a shorter --timeout", r->refusal);
    if (r->counts.answered == 0)
        snprintf(reasons[n++], REPORT_REASON_MAX, "nothing was answered");
    const struct track_results *churn = beside_churn(run->beside);
    if (churn != NULL && churn->changes == 0)
        snprintf(reasons[n++], REPORT_REASON_MAX, "no change was made through the API");
    if (run->stopped != NULL)
        snprintf(reasons[n++], REPORT_REASON_MAX, "it ended early: %s", run->stopped);
    return n;
}

// --- the generator's own part

// For how long questions were sent; never 0.
static double sending_ns(const struct run *run)
{
    return run->results->sending_ns > 0 ? (double)run->results->sending_ns : 1;
}

// … of the time that all threads had.
static double share_of_time(const struct run *run, uint64_t ns)
{
    double part = (double)ns / (sending_ns(run) * run->options->threads);
    return part < 1 ? part : 1;
}

double report_busy(const struct run *run)
{
    return share_of_time(run, run->results->generator_cpu_ns + run->results->generator_wait_ns);
}

double report_answered_rate(const struct run *run)
{
    return (double)run->results->answered_while * 1e9 / sending_ns(run);
}

// An open loop's threads spin for what is due soon; there the lag tells.
static bool generator_limits(const struct run *run)
{
    return run->options->outstanding > 0 && report_busy(run) > BUSY_LIMIT;
}

static void print_generator(const struct run *run, FILE *file)
{
    const struct results *r = run->results;
    char each[16];
    if (r->counts.sent > 0)
        fprintf(file,
                "  dnsbench: %s of CPU a question; its threads ran %.0f %% of the time, and waited %.0f %% for a CPU\n",
                report_time(r->generator_cpu_ns / r->counts.sent, each), 100 * share_of_time(run, r->generator_cpu_ns),
                100 * share_of_time(run, r->generator_wait_ns));
    if (generator_limits(run))
        fprintf(file, "  NOTE: dnsbench itself was the limit, not the server: give it more --threads or CPUs\n");
}

static json_t *generator_json(const struct run *run)
{
    return json_pack("{s:I, s:I, s:f, s:b}", "cpu_ns", (json_int_t)run->results->generator_cpu_ns, "wait_ns",
                     (json_int_t)run->results->generator_wait_ns, "busy", report_busy(run), "limit",
                     generator_limits(run) || report_late(run));
}

// --- for people

static void print_line(FILE *file, const char *what, uint64_t count, uint64_t whole)
{
    if (count > 0)
        fprintf(file, "  %-12s %12llu  %6.2f %%\n", what, (unsigned long long)count, share(count, whole));
}

static void print_counts(const struct run *run, FILE *file)
{
    const struct counts *c = &run->results->counts;
    bool closed = run->options->outstanding > 0;
    fprintf(file, "  %-12s %12llu  in %.2f s, %.1f %sa second\n", "questions", (unsigned long long)c->sent,
            sending_ns(run) / 1e9, closed ? report_answered_rate(run) : (double)c->sent * 1e9 / sending_ns(run),
            closed ? "answered " : "");
    print_line(file, "answered", c->answered, c->sent);
    print_line(file, "lost", c->lost, c->sent);
    print_line(file, "cut off", report_cut_off(c), c->sent);
    print_line(file, "truncated", c->truncated, c->answered);
    print_line(file, "too late", c->tardy, c->sent);
    print_line(file, "twice", c->duplicates, c->sent);
    print_line(file, "wrong", strange_of(c), c->sent);
    if (c->refused > 0)
        fprintf(file, "  %-12s %12llu\n", "refused", (unsigned long long)c->refused);
    if (c->closed > 0)
        fprintf(file, "  %-12s %12llu\n", "closed", (unsigned long long)c->closed);
    print_line(file, "not sent", c->unsent, c->due);
    for (unsigned i = 0; i <= RESULTS_RCODES; i++) {
        char text[16];
        print_line(file, report_rcode(i, text), c->rcodes[i], c->answered);
    }
}

static void print_lookups(const struct run *run, FILE *file)
{
    const struct lookups *l = &run->results->lookups;
    uint64_t ended = l->found + l->not_found + l->failed;
    fprintf(file, "\n  %-12s %12llu  %.2f questions each, at most %llu\n", "look-ups", (unsigned long long)l->due,
            ended > 0 ? (double)l->questions / (double)ended : 0, (unsigned long long)l->questions_max);
    print_line(file, "found", l->found, l->due);
    print_line(file, "not found", l->not_found, l->due);
    print_line(file, "failed", l->failed, l->due);
    print_line(file, "cut off", l->due - ended, l->due);
}

static void print_times(const char *what, const struct histogram *h, FILE *file)
{
    char text[16];
    fprintf(file, "  %-12s", what);
    for (size_t i = 0; i < PERCENTILES; i++)
        fprintf(file, "%11s", report_figure(h, histogram_percentile(h, percentiles[i].percent), text));
    fprintf(file, "%11s\n", report_figure(h, histogram_max(h), text));
}

static void print_check(const struct check_counts *c, FILE *file)
{
    uint64_t all = c->right + c->wrong + c->stale + c->unjudged;
    fprintf(file, "\n  answers checked\n");
    print_line(file, "right", c->right, all);
    print_line(file, "wrong", c->wrong, all);
    print_line(file, "stale", c->stale, all);
    print_line(file, "not judged", c->unjudged, all);
    for (unsigned i = 0; i < c->examples; i++)
        fprintf(file, "    %s\n", c->example[i]);
}

void report_text(const struct run *run, FILE *file)
{
    char reasons[REPORT_REASONS][REPORT_REASON_MAX];
    unsigned invalid = report_invalid(run, reasons);
    print_counts(run, file);
    if (run->options->stub)
        print_lookups(run, file);
    fprintf(file, "\n  %-12s", "");
    for (size_t i = 0; i < PERCENTILES; i++)
        fprintf(file, "%11s", percentiles[i].name);
    fprintf(file, "%11s\n", "max");
    if (run->options->stub)
        print_times("look-ups", run->results->lookups.latency, file);
    print_times("latency", run->results->latency, file);
    print_times("service", run->results->service, file);
    print_times("lag", run->results->lag, file);
    const struct track_results *churn = beside_churn(run->beside);
    if (churn != NULL) {
        print_times("propagation", churn->sent, file);
        print_times("after ack", churn->acknowledged, file);
    }
    fprintf(file, "\n  latency: from when a question was due to its answer, lost ones included; service: from when it "
                  "was sent\n");
    if (run->options->stub)
        fprintf(file, "  look-ups: from when one was due to its end, found or not; the others are of each question\n");
    if (run->check != NULL)
        print_check(run->check, file);
    beside_text(run, file);
    print_generator(run, file);
    for (unsigned i = 0; i < invalid; i++)
        fprintf(file, "  INVALID: %s\n", reasons[i]);
}

// --- for programs

struct json_t *report_times(const struct histogram *h)
{
    json_t *o = json_object();
    json_object_set_new(o, "count", json_integer((json_int_t)histogram_count(h)));
    json_object_set_new(o, "min", json_integer((json_int_t)histogram_min(h)));
    json_object_set_new(o, "mean", json_real(histogram_mean(h)));
    json_object_set_new(o, "stddev", json_real(histogram_deviation(h)));
    for (size_t i = 0; i < PERCENTILES; i++)
        json_object_set_new(o, percentiles[i].name,
                            json_integer((json_int_t)histogram_percentile(h, percentiles[i].percent)));
    json_object_set_new(o, "max", json_integer((json_int_t)histogram_max(h)));
    return o;
}

static json_t *counts_json(const struct counts *c)
{
    const struct {
        const char *name;
        uint64_t value;
    } all[] = {{"due", c->due},
               {"sent", c->sent},
               {"unsent", c->unsent},
               {"sent_late", c->late},
               {"answered", c->answered},
               {"lost", c->lost},
               {"cut_off", report_cut_off(c)},
               {"truncated", c->truncated},
               {"tardy", c->tardy},
               {"duplicates", c->duplicates},
               {"mismatched", c->mismatched},
               {"strange", c->strange},
               {"refused", c->refused},
               {"closed", c->closed},
               {"bytes_sent", c->bytes_sent},
               {"bytes_received", c->bytes_received}};
    json_t *o = json_object(), *rcodes = json_object();
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        json_object_set_new(o, all[i].name, json_integer((json_int_t)all[i].value));
    for (unsigned i = 0; i <= RESULTS_RCODES; i++) {
        char text[16];
        if (c->rcodes[i] > 0)
            json_object_set_new(rcodes, i < RESULTS_RCODES ? rcode_text((uint16_t)i, text) : "other",
                                json_integer((json_int_t)c->rcodes[i]));
    }
    json_object_set_new(o, "rcodes", rcodes);
    return o;
}

static json_t *lookups_json(const struct run *run)
{
    const struct lookups *l = &run->results->lookups;
    const struct options *o = run->options;
    uint64_t ended = l->found + l->not_found + l->failed;
    return json_pack("{s:i, s:i, s:s?, s:s, s:I, s:I, s:I, s:I, s:{s:f, s:I}, s:o}", "ndots", (int)o->ndots, "attempts",
                     (int)o->attempts, "search", o->search, "namespace", o->namespace_, "due", (json_int_t)l->due,
                     "found", (json_int_t)l->found, "not_found", (json_int_t)l->not_found, "failed",
                     (json_int_t)l->failed, "questions", "mean", ended > 0 ? (double)l->questions / (double)ended : 0.0,
                     "max", (json_int_t)l->questions_max, "latency_ns", report_times(l->latency));
}

static json_t *seconds_json(const struct results *r)
{
    json_t *list = json_array();
    for (size_t i = 0; i < results_seconds(r); i++) {
        const struct second *s = &r->seconds[i];
        json_t *o = json_pack("{s:I, s:I, s:I}", "due", (json_int_t)s->due, "answered", (json_int_t)s->answered, "lost",
                              (json_int_t)s->lost);
        if (s->latency != NULL) {
            json_object_set_new(o, "p50", json_integer((json_int_t)histogram_percentile(s->latency, 50)));
            json_object_set_new(o, "p99", json_integer((json_int_t)histogram_percentile(s->latency, 99)));
        }
        json_array_append_new(list, o);
    }
    return list;
}

const char *report_source(const struct options *o)
{
    return o->questions != NULL ? o->questions : o->kubeconfig != NULL ? o->kubeconfig : o->manifests[0];
}

static json_t *options_json(const struct options *o)
{
    static const char *const transports[] = {[OVER_UDP] = "udp", [OVER_TCP] = "tcp", [OVER_TLS] = "tls"};
    static const char *const orders[] = {[PICK_IN_TURN] = "in turn", [PICK_UNIFORM] = "uniform", [PICK_ZIPF] = "zipf"};
    char server[ADDRESS_TEXT_MAX], source[PATH_MAX];
    snprintf(source, sizeof source, "%s", report_source(o));
    const struct question_options *m = &o->message;
    bool zipf = o->order == PICK_ZIPF, burst = o->plan.form == SCHEDULE_BURST, step = o->plan.form == SCHEDULE_STEP;
    json_t *how =
        json_pack("{s:s, s:i, s:b, s:i, s:b, s:s, s:f, s:i, s:i, s:f, s:f, s:b}", "transport", transports[o->transport],
                  "per_connection", (int)o->per_connection, "recursion", m->rd, "edns_size",
                  m->edns ? (int)m->edns_size : 0, "dnssec", m->do_, "order", orders[o->order], "zipf",
                  zipf ? o->zipf : 0.0, "burst", burst ? (int)o->plan.burst : 0, "steps", step ? (int)o->plan.steps : 0,
                  "missing", o->missing, "external", o->external, "check", o->check);
    json_t *all = json_pack(
        "{s:s, s:s, s:b, s:s, s:f, s:f, s:I, s:I, s:I, s:i, s:i, s:i, s:I}", "server", address_text(&o->server, server),
        "questions", text_clean(source), "stub", o->stub, "schedule", schedule_form_text(o->plan.form), "rate",
        o->plan.rate, "to_rate", o->plan.to_rate, "duration_ns", (json_int_t)o->plan.duration_ns, "timeout_ns",
        (json_int_t)o->timeout_ns, "queries", (json_int_t)o->queries, "outstanding", (int)o->outstanding, "threads",
        (int)o->threads, "sockets", (int)o->sockets, "seed", (json_int_t)o->seed);
    (void)json_object_update(all, how);
    json_decref(how);
    return all;
}

static json_t *check_json(const struct check_counts *c)
{
    json_t *examples = json_array();
    for (unsigned i = 0; i < c->examples; i++)
        json_array_append_new(examples, json_string(c->example[i]));
    return json_pack("{s:I, s:I, s:I, s:I, s:o}", "right", (json_int_t)c->right, "wrong", (json_int_t)c->wrong, "stale",
                     (json_int_t)c->stale, "unjudged", (json_int_t)c->unjudged, "examples", examples);
}

int report_json(const struct run *run, FILE *file)
{
    char reasons[REPORT_REASONS][REPORT_REASON_MAX];
    unsigned invalid = report_invalid(run, reasons);
    json_t *all = json_pack("{s:i, s:o, s:b, s:[], s:I, s:o, s:o, s:o, s:o, s:o}", "format", 1, "options",
                            options_json(run->options), "valid", invalid == 0, "invalid", "took_ns",
                            (json_int_t)run->took_ns, "counts", counts_json(&run->results->counts), "latency_ns",
                            report_times(run->results->latency), "service_ns", report_times(run->results->service),
                            "lag_ns", report_times(run->results->lag), "seconds", seconds_json(run->results));
    if (all == NULL)
        return CDNS_ENOMEM;
    if (run->check != NULL)
        json_object_set_new(all, "check", check_json(run->check));
    json_object_set_new(all, "generator", generator_json(run));
    if (run->search != NULL)
        json_object_set_new(all, "search", search_json(run->search));
    if (run->options->stub)
        json_object_set_new(all, "lookups", lookups_json(run));
    for (unsigned i = 0; i < invalid; i++)
        json_array_append_new(json_object_get(all, "invalid"), json_string(reasons[i]));
    beside_json(run, all);
    int rc = json_dumpf(all, file, JSON_INDENT(1)) == 0 && fputc('\n', file) != EOF ? 0 : CDNS_EIO;
    json_decref(all);
    return rc;
}

int report_csv(const struct run *run, FILE *file)
{
    fprintf(file, "second,due,answered,lost,p50_ns,p99_ns,max_ns\n");
    for (size_t i = 0; i < results_seconds(run->results); i++) {
        const struct second *s = &run->results->seconds[i];
        fprintf(file, "%zu,%llu,%llu,%llu", i, (unsigned long long)s->due, (unsigned long long)s->answered,
                (unsigned long long)s->lost);
        if (s->latency != NULL)
            fprintf(file, ",%llu,%llu,%llu\n", (unsigned long long)histogram_percentile(s->latency, 50),
                    (unsigned long long)histogram_percentile(s->latency, 99),
                    (unsigned long long)histogram_max(s->latency));
        else
            fprintf(file, ",,,\n");
    }
    return ferror(file) ? CDNS_EIO : 0;
}
