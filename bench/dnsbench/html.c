// SPDX-License-Identifier: Apache-2.0
#include "dnsbench/html.h"
#include "dnsbench/beside.h"

#include <math.h>

#define WIDTH 860.0
#define HEIGHT 300.0
#define LEFT 70.0 // margins of a plot
#define BOTTOM 40.0
#define TOP 14.0
#define RIGHT 20.0
#define POINTS 50 // of a curve, for each power of ten

static const char head[] =
    "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>dnsbench</title><style>\n"
    "body{font:15px/1.4 system-ui,sans-serif;max-width:56rem;margin:2rem auto;padding:0 1rem;color:#222}\n"
    "table{border-collapse:collapse;margin:1rem 0}td,th{padding:.15rem .8rem;text-align:right;border-bottom:1px solid "
    "#ddd}\n"
    "td:first-child,th:first-child{text-align:left}.bad{background:#fde8e8;padding:.6rem 1rem;border-left:4px solid "
    "#c00}\n"
    "svg{width:100%;height:auto}svg text{font:12px "
    "system-ui,sans-serif;fill:#444}.grid{stroke:#e4e4e4}.axis{stroke:#888}\n"
    ".a{fill:none;stroke:#1667b7;stroke-width:2}.b{fill:none;stroke:#e08a00;stroke-width:2}.c{fill:#c00}\n"
    ".d{fill:none;stroke:#2f8f46;stroke-width:2}.key-d{color:#2f8f46}\n"
    ".key-a{color:#1667b7}.key-b{color:#b36e00}.key-c{color:#c00}\n"
    "</style></head><body>\n";

// A plot's coordinates: values are between these, logarithmic ones given as log10.
struct frame {
    double x_least, x_most, y_least, y_most;
};

static double x_of(const struct frame *f, double value)
{
    return LEFT + (value - f->x_least) / (f->x_most - f->x_least) * (WIDTH - LEFT - RIGHT);
}

static double y_of(const struct frame *f, double value)
{
    return HEIGHT - BOTTOM - (value - f->y_least) / (f->y_most - f->y_least) * (HEIGHT - BOTTOM - TOP);
}

static void begin_plot(FILE *file, const char *id, const char *title)
{
    fprintf(file, "<h2>%s</h2>\n<svg id=\"%s\" viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"%s\">\n", title, id,
            WIDTH, HEIGHT, title);
}

static void line_across(FILE *file, const struct frame *f, double y, const char *label)
{
    fprintf(file, "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>", LEFT, WIDTH - RIGHT,
            y_of(f, y), y_of(f, y));
    fprintf(file, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n", LEFT - 6, y_of(f, y) + 4, label);
}

static void line_up(FILE *file, const struct frame *f, double x, const char *label)
{
    fprintf(file, "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>", x_of(f, x), x_of(f, x), TOP,
            HEIGHT - BOTTOM);
    fprintf(file, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>\n", x_of(f, x), HEIGHT - BOTTOM + 18,
            label);
}

// --- latency by percentile

static double logarithm(uint64_t ns)
{
    return log10(ns > 0 ? (double)ns : 1);
}

static void draw_percentiles(FILE *file, const struct frame *f, const struct histogram *h, const char *class)
{
    fprintf(file, "<polyline class=\"%s\" points=\"", class);
    for (int i = 0; i <= (int)f->x_most * POINTS; i++) {
        double x = (double)i / POINTS;
        fprintf(file, "%.1f,%.1f ", x_of(f, x), y_of(f, logarithm(histogram_percentile(h, 100 * (1 - pow(10, -x))))));
    }
    fprintf(file, "\"/>\n");
}

// The horizontal axis has as much room for 90 to 99 % as for 99 to 99.9 %.
static void plot_percentiles(const struct run *run, FILE *file)
{
    const struct results *r = run->results;
    double nines = ceil(log10((double)histogram_count(r->latency) + 1));
    uint64_t least = histogram_min(r->service), most = histogram_max(r->latency);
    if (histogram_max(r->lookups.latency) > most)
        most = histogram_max(r->lookups.latency);
    if (least == 0 || histogram_min(r->latency) < least)
        least = histogram_min(r->latency);
    struct frame f = {.x_most = nines < 1   ? 1
                                : nines > 6 ? 6
                                            : nines,
                      .y_least = floor(logarithm(least)),
                      .y_most = ceil(logarithm(most))};
    if (f.y_most <= f.y_least)
        f.y_most = f.y_least + 1;
    begin_plot(file, "latency", "Latency by percentile");
    for (int y = (int)f.y_least; y <= (int)f.y_most; y++) {
        char label[16];
        line_across(file, &f, y, report_time((uint64_t)llround(pow(10, y)), label));
    }
    for (int n = 0; n <= (int)f.x_most; n++) {
        char label[16];
        snprintf(label, sizeof label, "%.*f %%", n > 2 ? n - 2 : 0, 100 * (1 - pow(10, -n)));
        line_up(file, &f, n, label);
    }
    draw_percentiles(file, &f, r->service, "b");
    draw_percentiles(file, &f, r->latency, "a");
    if (run->options->stub)
        draw_percentiles(file, &f, r->lookups.latency, "d");
    fprintf(file,
            "</svg>\n<p><b class=\"key-a\">latency</b>: from when a question was due, lost ones included; "
            "<b class=\"key-b\">service</b>: from when it was sent%s</p>\n",
            run->options->stub ? "; <b class=\"key-d\">look-ups</b>: whole ones, from when they were due" : "");
}

// --- rate and errors over time

// A round number for five lines up to a value.
static double round_up(double value)
{
    double power = pow(10, floor(log10(value > 0 ? value : 1)));
    static const double steps[] = {1, 2, 2.5, 5, 10};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
        if (steps[i] * power >= value)
            return steps[i] * power;
    return 10 * power;
}

static void draw_rate(FILE *file, const struct frame *f, const struct run *run, bool due)
{
    fprintf(file, "<polyline class=\"%s\" points=\"", due ? "b" : "a");
    for (size_t i = 0, n = results_seconds(run->results); i < n; i++) {
        const struct second *s = &run->results->seconds[i];
        double y = y_of(f, (double)(due ? s->due : s->answered));
        fprintf(file, "%.1f,%.1f %.1f,%.1f ", x_of(f, (double)i), y, x_of(f, (double)i + 1), y);
    }
    fprintf(file, "\"/>\n");
}

static void draw_lost(FILE *file, const struct frame *f, const struct run *run)
{
    for (size_t i = 0, n = results_seconds(run->results); i < n; i++) {
        double lost = (double)run->results->seconds[i].lost, left = x_of(f, (double)i), right = x_of(f, (double)i + 1);
        if (lost > 0)
            fprintf(file, "<rect class=\"c\" x=\"%.1f\" width=\"%.1f\" y=\"%.1f\" height=\"%.1f\"/>\n", left,
                    right - left, y_of(f, lost), y_of(f, 0) - y_of(f, lost));
    }
}

static void grid_of_seconds(FILE *file, const struct frame *f, const char *unit)
{
    double step = fmax(1, round_up(f->x_most / 10));
    for (int i = 0; i <= 5; i++) {
        char label[24];
        snprintf(label, sizeof label, "%.6g%s", f->y_most * i / 5, unit);
        line_across(file, f, f->y_most * i / 5, label);
    }
    for (int i = 0; i * step <= f->x_most; i++) {
        char label[24];
        snprintf(label, sizeof label, "%.0f s", i * step);
        line_up(file, f, i * step, label);
    }
}

static void plot_seconds(const struct run *run, FILE *file)
{
    size_t n = results_seconds(run->results);
    double most = 1;
    for (size_t i = 0; i < n; i++)
        most = fmax(most, (double)run->results->seconds[i].due);
    const struct frame f = {.x_most = (double)n, .y_most = round_up(most)};
    begin_plot(file, "rate", "Questions a second");
    grid_of_seconds(file, &f, "");
    draw_rate(file, &f, run, true);
    draw_rate(file, &f, run, false);
    draw_lost(file, &f, run);
    fprintf(
        file,
        "</svg>\n<p><b class=\"key-b\">due</b>, <b class=\"key-a\">answered</b>, <b class=\"key-c\">lost</b>, of the "
        "questions that were due in each second</p>\n");
}

// Percent of one core between two samples of the server's process.
static double cpu_before(const struct process_results *p, size_t i)
{
    const struct process_sample *a = &p->samples[i - 1], *b = &p->samples[i];
    return b->at_ns > a->at_ns ? 100 * (double)(b->cpu_ns - a->cpu_ns) / (double)(b->at_ns - a->at_ns) : 0;
}

static void plot_cpu(const struct process_results *p, FILE *file)
{
    double most = 1;
    for (size_t i = 1; i < p->n; i++)
        most = fmax(most, cpu_before(p, i));
    const struct frame f = {.x_most = fmax(1, (double)p->load_ns / 1e9), .y_most = round_up(most)};
    begin_plot(file, "cpu", "The server's CPU time, percent of one core");
    grid_of_seconds(file, &f, " %");
    fputs("<polyline class=\"a\" points=\"", file);
    for (size_t i = 1; i < p->n; i++) {
        double y = y_of(&f, cpu_before(p, i));
        fprintf(file, "%.1f,%.1f %.1f,%.1f ", x_of(&f, (double)p->samples[i - 1].at_ns / 1e9), y,
                x_of(&f, (double)p->samples[i].at_ns / 1e9), y);
    }
    fputs("\"/>\n</svg>\n", file);
}

// --- tables

static void escape(const char *text, FILE *file)
{
    for (; *text != '\0'; text++) {
        if (*text == '<')
            fputs("&lt;", file);
        else if (*text == '&')
            fputs("&amp;", file);
        else
            fputc(*text, file);
    }
}

static void table_of_times(const struct run *run, FILE *file)
{
    const struct track_results *churn = beside_churn(run->beside);
    const struct {
        const char *name;
        const struct histogram *h;
    } rows[] = {{"look-ups", run->options->stub ? run->results->lookups.latency : NULL},
                {"latency", run->results->latency},
                {"service", run->results->service},
                {"lag", run->results->lag},
                {"propagation", churn != NULL ? churn->sent : NULL},
                {"after ack", churn != NULL ? churn->acknowledged : NULL}};
    char text[16];
    fputs("<table id=\"times\"><tr><th></th>", file);
    for (size_t i = 0; i < PERCENTILES; i++)
        fprintf(file, "<th>p%g</th>", percentiles[i].percent);
    fputs("<th>max</th></tr>\n", file);
    for (size_t row = 0; row < sizeof rows / sizeof rows[0]; row++) {
        if (rows[row].h == NULL)
            continue;
        fprintf(file, "<tr><td>%s</td>", rows[row].name);
        const struct histogram *h = rows[row].h;
        for (size_t i = 0; i < PERCENTILES; i++)
            fprintf(file, "<td>%s</td>", report_figure(h, histogram_percentile(h, percentiles[i].percent), text));
        fprintf(file, "<td>%s</td></tr>\n", report_figure(h, histogram_max(h), text));
    }
    fputs("</table>\n", file);
}

static void table_of_counts(const struct run *run, FILE *file)
{
    const struct counts *c = &run->results->counts;
    const struct check_counts *k = run->check;
    const struct lookups *l = &run->results->lookups;
    char text[16];
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {{"sent", c->sent},
                {"answered", c->answered},
                {"lost", c->lost},
                {"cut off", report_cut_off(c)},
                {"truncated", c->truncated},
                {"too late", c->tardy},
                {"twice", c->duplicates},
                {"wrong", c->mismatched + c->strange},
                {"refused", c->refused},
                {"closed", c->closed},
                {"not sent", c->unsent},
                {"look-ups", l->due},
                {"found", l->found},
                {"not found", l->not_found},
                {"failed", l->failed},
                {"right answers", k != NULL ? k->right : 0},
                {"wrong answers", k != NULL ? k->wrong : 0},
                {"stale answers", k != NULL ? k->stale : 0},
                {"answers not judged", k != NULL ? k->unjudged : 0}};
    fputs("<table id=\"counts\">\n", file);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].value > 0 || i < 3)
            fprintf(file, "<tr><td>%s</td><td>%llu</td></tr>\n", rows[i].name, (unsigned long long)rows[i].value);
    for (unsigned i = 0; i <= RESULTS_RCODES; i++)
        if (c->rcodes[i] > 0)
            fprintf(file, "<tr><td>%s</td><td>%llu</td></tr>\n", report_rcode(i, text),
                    (unsigned long long)c->rcodes[i]);
    fputs("</table>\n", file);
}

int html_write(const struct run *run, FILE *file)
{
    char reasons[REPORT_REASONS][REPORT_REASON_MAX], server[ADDRESS_TEXT_MAX];
    unsigned invalid = report_invalid(run, reasons);
    fputs(head, file);
    fprintf(file, "<h1>%s</h1>\n<p>", address_text(&run->options->server, server));
    escape(report_source(run->options), file);
    fputs("</p>\n", file);
    for (unsigned i = 0; i < invalid; i++) {
        fputs("<p class=\"bad\"><b>Invalid:</b> ", file);
        escape(reasons[i], file);
        fputs("</p>\n", file);
    }
    table_of_times(run, file);
    table_of_counts(run, file);
    plot_percentiles(run, file);
    plot_seconds(run, file);
    beside_html(run, file);
    if (run->beside != NULL && run->beside->process != NULL)
        plot_cpu(process_results(run->beside->process), file);
    fputs("</body></html>\n", file);
    return ferror(file) ? CDNS_EIO : 0;
}
