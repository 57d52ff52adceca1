// SPDX-License-Identifier: Apache-2.0
#include "dnsbench/beside.h"

#include <jansson.h>

#define MEGABYTE 1e6

int beside_open(struct beside *b, const struct options *o, const struct load *load,
                const volatile sig_atomic_t *interrupted, char *error)
{
    *b = (struct beside){0};
    int rc = o->pid != 0 ? process_open("/proc", o->pid, &b->process, error) : 0;
    if (rc == 0 && o->churn > 0)
        rc = churn_open(o, load, interrupted, &b->churn, error);
    return rc;
}

int beside_begin(struct beside *b)
{
    beside_sample(b, 0, true);
    return b->churn != NULL ? churn_begin(b->churn) : 0;
}

void beside_sample(struct beside *b, uint64_t at_ns, bool load)
{
    if (b->process != NULL)
        process_sample(b->process, at_ns, load);
}

int beside_end(struct beside *b, bool early, char *error)
{
    return b->churn != NULL ? churn_end(b->churn, early, error) : 0;
}

void beside_free(struct beside *b)
{
    churn_free(b->churn);
    process_free(b->process);
    *b = (struct beside){0};
}

const struct track_results *beside_churn(const struct beside *b)
{
    return b != NULL && b->churn != NULL ? churn_results(b->churn) : NULL;
}

static const struct process_results *process_of(const struct run *run)
{
    return run->beside != NULL && run->beside->process != NULL ? process_results(run->beside->process) : NULL;
}

// --- figures

static uint64_t not_made(const struct track_results *r)
{
    uint64_t tried = r->changes + r->api_errors;
    return r->planned > tried ? r->planned - tried : 0;
}

static double rate_of(const struct run *run, const struct track_results *r)
{
    uint64_t took = run->results->sending_ns;
    return took > 0 ? (double)r->changes * 1e9 / (double)took : 0;
}

// Percent of one core, while the schedule went on.
static double core_percent(const struct process_results *p)
{
    return p->load_ns > 0 ? 100 * (double)p->load_cpu_ns / (double)p->load_ns : 0;
}

// CPU time for each answer, those about changes included.
static double cpu_of_answer(const struct run *run, const struct process_results *p)
{
    const struct track_results *churn = beside_churn(run->beside);
    uint64_t answers = run->results->counts.answered + (churn != NULL ? churn->answered : 0);
    return answers > 0 ? (double)p->end.cpu_ns / (double)answers : 0;
}

static uint64_t first_rss(const struct process_results *p)
{
    return p->n > 0 ? p->samples[0].rss : 0;
}

// A line of the tables about changes.
struct row {
    const char *name;
    uint64_t value;
    const char *what;
    bool always;
};

#define CHURN_ROWS 9

static void churn_rows(const struct track_results *r, struct row rows[CHURN_ROWS])
{
    const struct row all[CHURN_ROWS] = {
        {"changes", r->changes, "that the API has acknowledged", true},
        {"not made", not_made(r), "the API takes longer for a change than --churn leaves", false},
        {"API errors", r->api_errors, "changes that the API has not acknowledged", false},
        {"seen", r->seen, "shown by an answer", true},
        {"lost", r->lost, "not shown within the time-out, at least ten seconds", true},
        {"unsettled", r->unsettled, "waited for when the run was ended", false},
        {"seen before", r->before, "the API had acknowledged them", false},
        {"stale", r->stale, "answers, asked after a newer one was seen", false},
        {"wrong", r->wrong, "answers without an address that was written", false},
    };
    for (size_t i = 0; i < CHURN_ROWS; i++)
        rows[i] = all[i];
}

// --- for people

static void churn_text(const struct run *run, const struct track_results *r, FILE *file)
{
    struct row rows[CHURN_ROWS];
    churn_rows(r, rows);
    fprintf(file,
            "  propagation: from when a change was sent to the API to the first answer that shows it; after ack: "
            "from when\n  the API had acknowledged it. %.1f changes a second, asked for %llu times\n\n",
            rate_of(run, r), (unsigned long long)r->asked);
    for (size_t i = 0; i < CHURN_ROWS; i++)
        if (rows[i].always || rows[i].value > 0)
            fprintf(file, "  %-12s %12llu  %s\n", rows[i].name, (unsigned long long)rows[i].value, rows[i].what);
    if (r->api_errors > 0)
        fprintf(file, "  %s\n", churn_api_error(run->beside->churn));
}

static void process_text(const struct run *run, const struct process_results *p, FILE *file)
{
    fprintf(file, "\n  %-12s %12s  process %u%s\n", "server", p->name, p->pid, p->ended ? ", which has ended" : "");
    fprintf(file, "  %-12s %10.2f s  %.1f %% of one core, %.2f us an answer\n", "CPU", (double)p->end.cpu_ns / 1e9,
            core_percent(p), cpu_of_answer(run, p) / 1e3);
    fprintf(file, "  %-12s %9.1f MB  at the end; %.1f MB at the beginning, %.1f MB at most\n", "resident",
            (double)p->end.rss / MEGABYTE, (double)first_rss(p) / MEGABYTE, (double)p->peak_rss / MEGABYTE);
    fprintf(file, "  %-12s %12llu  datagrams, by the kernel: the server's buffers were full\n", "dropped",
            (unsigned long long)p->end.drops);
}

void beside_text(const struct run *run, FILE *file)
{
    const struct track_results *churn = beside_churn(run->beside);
    const struct process_results *process = process_of(run);
    if (churn != NULL)
        churn_text(run, churn, file);
    if (process != NULL)
        process_text(run, process, file);
}

// --- for programs

static json_t *churn_json(const struct run *run, const struct track_results *r)
{
    const struct {
        const char *name;
        uint64_t value;
    } all[] = {{"planned", r->planned},     {"changes", r->changes},
               {"not_made", not_made(r)},   {"api_errors", r->api_errors},
               {"seen", r->seen},           {"lost", r->lost},
               {"unsettled", r->unsettled}, {"seen_before_acknowledged", r->before},
               {"stale", r->stale},         {"wrong", r->wrong},
               {"asked", r->asked},         {"answered", r->answered}};
    json_t *o = json_pack("{s:f, s:s}", "rate", run->options->churn, "api_error", churn_api_error(run->beside->churn));
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        json_object_set_new(o, all[i].name, json_integer((json_int_t)all[i].value));
    json_object_set_new(o, "sent_to_answer_ns", report_times(r->sent));
    json_object_set_new(o, "acknowledged_to_answer_ns", report_times(r->acknowledged));
    return o;
}

static json_t *process_json(const struct run *run, const struct process_results *p)
{
    json_t *samples = json_array();
    for (size_t i = 0; i < p->n; i++)
        json_array_append_new(samples,
                              json_pack("{s:I, s:I, s:I, s:I}", "at_ns", (json_int_t)p->samples[i].at_ns, "cpu_ns",
                                        (json_int_t)p->samples[i].cpu_ns, "rss", (json_int_t)p->samples[i].rss, "drops",
                                        (json_int_t)p->samples[i].drops));
    return json_pack("{s:i, s:s, s:b, s:I, s:f, s:f, s:I, s:I, s:I, s:I, s:o}", "pid", (int)p->pid, "name", p->name,
                     "ended", p->ended, "cpu_ns", (json_int_t)p->end.cpu_ns, "cpu_percent", core_percent(p),
                     "cpu_ns_per_answer", cpu_of_answer(run, p), "rss_begin", (json_int_t)first_rss(p), "rss_end",
                     (json_int_t)p->end.rss, "rss_peak", (json_int_t)p->peak_rss, "drops", (json_int_t)p->end.drops,
                     "samples", samples);
}

void beside_json(const struct run *run, struct json_t *report)
{
    const struct track_results *churn = beside_churn(run->beside);
    const struct process_results *process = process_of(run);
    if (churn != NULL)
        json_object_set_new(report, "churn", churn_json(run, churn));
    if (process != NULL)
        json_object_set_new(report, "server", process_json(run, process));
}

// --- for browsers

static void churn_html(const struct track_results *r, FILE *file)
{
    struct row rows[CHURN_ROWS];
    churn_rows(r, rows);
    fputs("<h2>Changes</h2>\n<table id=\"churn\">\n", file);
    for (size_t i = 0; i < CHURN_ROWS; i++)
        if (rows[i].always || rows[i].value > 0)
            fprintf(file, "<tr><td>%s</td><td>%llu</td><td>%s</td></tr>\n", rows[i].name,
                    (unsigned long long)rows[i].value, rows[i].what);
    fputs("</table>\n<p>propagation: from when a change was sent to the API to the first answer that shows it; after "
          "ack: from when the API had acknowledged it</p>\n",
          file);
}

static void process_html(const struct run *run, const struct process_results *p, FILE *file)
{
    fprintf(file, "<h2>Server: process %u</h2>\n<table id=\"server\">\n", p->pid);
    fprintf(file, "<tr><td>CPU</td><td>%.2f s</td></tr>\n<tr><td>of one core</td><td>%.1f %%</td></tr>\n",
            (double)p->end.cpu_ns / 1e9, core_percent(p));
    fprintf(file, "<tr><td>an answer</td><td>%.2f us</td></tr>\n", cpu_of_answer(run, p) / 1e3);
    fprintf(file, "<tr><td>resident</td><td>%.1f MB</td></tr>\n<tr><td>at most</td><td>%.1f MB</td></tr>\n",
            (double)p->end.rss / MEGABYTE, (double)p->peak_rss / MEGABYTE);
    fprintf(file, "<tr><td>dropped</td><td>%llu</td></tr>\n</table>\n", (unsigned long long)p->end.drops);
}

void beside_html(const struct run *run, FILE *file)
{
    const struct track_results *churn = beside_churn(run->beside);
    const struct process_results *process = process_of(run);
    if (churn != NULL)
        churn_html(churn, file);
    if (process != NULL)
        process_html(run, process, file);
}
