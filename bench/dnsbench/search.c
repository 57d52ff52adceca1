// SPDX-License-Identifier: Apache-2.0
#include "dnsbench/search.h"

#include <clusterdns/clock.h>
#include <stdarg.h>

#define SILENT_TRIALS 2                   // without any answer: it is not that the rate was too high
#define MAX_TRIAL_NS UINT64_C(2000000000) // of --max
#define LEAST_QUESTIONS 100.0             // of a trial of --find-knee: fewer make no percentiles
#define GROWTH 1.03                       // by which twice as many questions have to make more answers
#define MOST_OF_FLOW 16384                // questions on their way in a flow: a quarter of its ids
#define MOST 1000000                      // … in all, as --outstanding has it

// --- parts of both searches

static void end(struct search *s, const char *fmt, ...) CDNS_PRINTF(2, 3);
static void end(struct search *s, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(s->ended, sizeof s->ended, fmt, args);
    va_end(args);
}

void search_free(struct search *s)
{
    run_free(&s->kept);
}

// The run to report, for now.
static void keep(struct search *s, struct load_run *r)
{
    search_free(s);
    s->options = *r->run.options;
    run_move(&s->kept, r);
    s->kept.run.options = &s->options;
    s->kept.run.search = s;
}

// Takes the measures of a run.
static struct trial *note(struct search *s, const struct run *run)
{
    struct trial *t = &s->trials[s->n++];
    *t = (struct trial){0};
    objective_measure(run->results, &t->measures);
    return t;
}

static void print_trial(const struct trial *t, double first, const char *verdict, FILE *file)
{
    char p50[16], p99[16];
    fprintf(file, "  %12.0f %12s %12s %10.3f %%  %s\n", first, report_time(t->measures.ns[0], p50),
            report_time(t->measures.ns[3], p99), t->measures.lost, verdict);
    (void)fflush(file);
}

static void print_heading(const char *first, FILE *file)
{
    fprintf(file, "  %12s %12s %12s %12s\n", first, "p50", "p99", "lost");
    (void)fflush(file);
}

// --- --find-knee

static enum outcome judge(const struct options *o, const struct trial *t, const struct run *run)
{
    const struct counts *c = &run->results->counts;
    // What the kernel did not take is dnsbench's; that there is no connection is the server's.
    bool untaken = o->transport == OVER_UDP && c->unsent > 0;
    if (report_late(run) || untaken)
        return OUTCOME_LATE;
    return objective_holds(&o->objective, &t->measures, c->answered) ? OUTCOME_HOLDS : OUTCOME_FAILS;
}

// One run at the rate; kept if it holds, or as long as none has.
static int try_rate(struct load *load, const struct options *o, struct search *s, struct knee *k, FILE *file,
                    char *error)
{
    static const char *const verdicts[] = {
        [OUTCOME_HOLDS] = "holds", [OUTCOME_FAILS] = "does not hold", [OUTCOME_LATE] = "dnsbench itself was late"};
    struct options own = *o;
    struct load_run r;
    bool held = false;
    own.plan.rate = load->plan.rate = k->rate;
    int rc = run_load(load, &own, &r, error);
    if (rc != 0)
        return rc;
    if (!run_interrupted()) {
        struct trial *t = note(s, &r.run);
        t->rate = k->rate;
        t->outcome = judge(o, t, &r.run);
        s->silent = r.run.results->counts.answered == 0 ? s->silent + 1 : 0;
        print_trial(t, t->rate, verdicts[t->outcome], file);
        knee_note(k, t->outcome);
        held = t->outcome == OUTCOME_HOLDS;
    }
    if (held || k->low == 0)
        keep(s, &r);
    else
        run_free(&r);
    return 0;
}

// Why a search that has not come to its end goes no further.
static bool stopped(struct search *s, const struct options *o, uint64_t began)
{
    bool was_interrupted = run_interrupted();
    s->cut = was_interrupted || s->silent == SILENT_TRIALS;
    if (was_interrupted)
        end(s, "interrupted");
    else if (s->n > 0 && s->kept.results.counts.answered == 0)
        end(s, "the server does not answer");
    else if (s->cut)
        end(s, "the server has stopped answering, at %.0f a second", s->trials[s->n - SILENT_TRIALS].rate);
    else if (!o->unlimited && clock_monotonic_ns() - began + o->plan.duration_ns > SAFE_DURATION_NS)
        end(s, "five minutes are over: take a shorter --duration, a higher --rate to begin with, or --unlimited");
    else if (s->n == SEARCH_TRIALS)
        end(s, "%d trials are over", SEARCH_TRIALS);
    return s->ended[0] != '\0';
}

static int find_knee(struct load *load, const struct options *o, struct search *s, FILE *file, char *error)
{
    uint64_t began = clock_monotonic_ns();
    struct knee k;
    int rc = 0;
    fprintf(file, "  looks for the highest rate with %s, in trials of %.1f s\n", o->knee,
            (double)o->plan.duration_ns / 1e9);
    print_heading("rate", file);
    knee_begin(&k, o->plan.rate, LEAST_QUESTIONS * 1e9 / (double)o->plan.duration_ns,
               o->unlimited ? RATE_MAX : options_safe_rate(o));
    while (rc == 0 && k.end == KNEE_OPEN && !stopped(s, o, began))
        rc = try_rate(load, o, s, &k, file, error);
    s->rate = k.low;
    if (k.end == KNEE_GENERATOR)
        end(s, "dnsbench itself is the limit at %.0f a second", k.rate);
    else if (k.end == KNEE_SAFE)
        end(s, "%.0f a second is the highest rate that is tried without --unlimited", k.most);
    else if (k.end == KNEE_NONE)
        end(s, "it does not hold at any rate that was tried, down to %.0f a second", k.high);
    return rc;
}

// --- --max

static int try_outstanding(struct load *load, const struct options *o, struct search *s, FILE *file, char *error)
{
    char busy[48];
    struct options own = *o;
    struct load_run r;
    own.outstanding = load->outstanding;
    own.plan.duration_ns = load->plan.duration_ns;
    int rc = run_load(load, &own, &r, error);
    if (rc != 0)
        return rc;
    if (run_interrupted()) { // half a trial says nothing
        keep(s, &r);
        return 0;
    }
    struct trial *t = note(s, &r.run);
    t->outstanding = own.outstanding;
    t->busy = report_busy(&r.run);
    t->rate = report_answered_rate(&r.run);
    snprintf(busy, sizeof busy, "%.0f a second, dnsbench busy %.0f %%", t->rate, 100 * t->busy);
    print_trial(t, t->outstanding, busy, file);
    run_free(&r);
    return 0;
}

// Doubles what is on its way. Returns in `best` what answered most, 0 for none.
static int climb(struct load *load, const struct options *o, struct search *s, uint32_t *best, FILE *file, char *error)
{
    uint32_t flows = load->threads * load->flows;
    uint64_t most = (uint64_t)flows * MOST_OF_FLOW;
    load->plan.duration_ns = MAX_TRIAL_NS < o->plan.duration_ns ? MAX_TRIAL_NS : o->plan.duration_ns;
    for (uint64_t n = flows; n <= most && n <= MOST; n *= 2) {
        load->outstanding = (uint32_t)n;
        int rc = try_outstanding(load, o, s, file, error);
        if (rc != 0 || run_interrupted())
            return rc;
        double rate = s->trials[s->n - 1].rate, before = s->rate;
        if (rate > before) {
            s->rate = rate;
            *best = (uint32_t)n;
        }
        if (rate < before * GROWTH || rate == 0)
            return 0;
    }
    end(s, "more than %u questions on their way are not tried: more --sockets would allow them", load->outstanding);
    return 0;
}

static int find_max(struct load *load, const struct options *o, struct search *s, FILE *file, char *error)
{
    struct options own = *o;
    struct load_run r;
    uint32_t best = load->threads * load->flows;
    fprintf(file, "  looks for the highest rate of a closed loop\n");
    print_heading("outstanding", file);
    int rc = climb(load, o, s, &best, file, error);
    own.outstanding = load->outstanding = best;
    load->plan.duration_ns = o->plan.duration_ns;
    bool cut_short = s->kept.run.options != NULL; // then it is the trial that was interrupted
    if (rc == 0 && !cut_short && (rc = run_load(load, &own, &r, error)) == 0)
        keep(s, &r);
    s->cut = run_interrupted();
    if (s->cut)
        end(s, "interrupted");
    return rc;
}

// --- the search

int search_run(struct load *load, const struct options *o, struct search *s, FILE *file, char *error)
{
    *s = (struct search){0};
    int rc = o->max ? find_max(load, o, s, file, error) : find_knee(load, o, s, file, error);
    if (rc != 0)
        return rc;
    if (s->ended[0] != '\0')
        fprintf(file, "  ended: %s\n", s->ended);
    if (o->max && s->cut)
        fprintf(file, "\n");
    else if (o->max)
        fprintf(file, "  most answers with %u questions on their way\n\n", s->options.outstanding);
    else if (s->rate > 0)
        fprintf(file, "  knee: %.0f a second\n\n", s->rate);
    else
        fprintf(file, "  knee: none\n\n");
    return 0;
}

static json_t *trial_json(const struct trial *t)
{
    static const char *const outcomes[] = {
        [OUTCOME_HOLDS] = "holds", [OUTCOME_FAILS] = "fails", [OUTCOME_LATE] = "late"};
    json_t *o = json_pack("{s:f, s:f}", "rate", t->rate, "lost", t->measures.lost);
    for (unsigned i = 0; i < OBJECTIVE_TIMES; i++)
        json_object_set_new(o, objective_name(i), json_integer((json_int_t)t->measures.ns[i]));
    if (t->outstanding > 0) {
        json_object_set_new(o, "outstanding", json_integer(t->outstanding));
        json_object_set_new(o, "busy", json_real(t->busy));
        return o;
    }
    json_object_set_new(o, "holds", json_boolean(t->outcome == OUTCOME_HOLDS));
    json_object_set_new(o, "outcome", json_string(outcomes[t->outcome]));
    return o;
}

json_t *search_json(const struct search *s)
{
    json_t *trials = json_array(),
           *o = json_pack("{s:s, s:o}", "mode", s->options.max ? "max" : "knee", "trials", trials);
    for (size_t i = 0; i < s->n; i++)
        json_array_append_new(trials, trial_json(&s->trials[i]));
    if (!s->options.max) {
        json_object_set_new(o, "objective", json_string(s->options.knee));
        json_object_set_new(o, "knee", s->rate > 0 ? json_real(s->rate) : json_null());
    }
    json_object_set_new(o, "ended", s->ended[0] != '\0' ? json_string(s->ended) : json_null());
    return o;
}
