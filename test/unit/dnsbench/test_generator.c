// SPDX-License-Identifier: Apache-2.0
// When a report says that dnsbench itself was the limit.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dnsbench/search.h"
#include <stdlib.h>
#include <string.h>

#define SECOND UINT64_C(1000000000)

// The report of a run of two seconds, as text and as JSON.
static void write_reports(const struct run *run, char **text, json_t **json)
{
    size_t size;
    char *dump;
    FILE *file = open_memstream(text, &size);
    assert_non_null(file);
    report_text(run, file);
    fclose(file);
    file = open_memstream(&dump, &size);
    assert_non_null(file);
    assert_int_equal(report_json(run, file), 0);
    fclose(file);
    *json = json_loads(dump, 0, NULL);
    assert_non_null(*json);
    free(dump);
}

// Two threads, of which each had a CPU, or waited for one, for so many milliseconds.
static void judge(uint32_t outstanding, uint64_t cpu_ms, uint64_t wait_ms, bool limit)
{
    struct options o = {.questions = "f", .outstanding = outstanding, .threads = 2, .max_lag_ns = 1000000};
    struct results r;
    char *text;
    json_t *json;
    o.plan = (struct schedule_plan){.rate = 1000, .duration_ns = 2 * SECOND};
    assert_int_equal(results_init(&r, 2 * SECOND), 0);
    results_answer(&r, 0, 1000, 1000);
    r.counts.sent = r.counts.due = 1;
    r.sending_ns = 2 * SECOND;
    r.generator_cpu_ns = 2 * cpu_ms * 1000000;
    r.generator_wait_ns = 2 * wait_ms * 1000000;
    struct run run = {.options = &o, .results = &r, .took_ns = 3 * SECOND};
    write_reports(&run, &text, &json);
    json_t *generator = json_object_get(json, "generator");
    double busy = json_real_value(json_object_get(generator, "busy")), expected = (double)(cpu_ms + wait_ms) / 2000;
    assert_true(busy > expected - 0.001 && busy < expected + 0.001);
    assert_int_equal(json_is_true(json_object_get(generator, "limit")), limit);
    assert_int_equal(strstr(text, "NOTE: dnsbench itself was the limit") != NULL, limit);
    assert_null(json_object_get(json, "search"));
    json_decref(json);
    free(text);
    results_free(&r);
}

static void a_closed_loop_without_time_left(void **state)
{
    (void)state;
    judge(64, 1000, 0, false);
    judge(64, 1890, 0, false);
    judge(64, 1910, 0, true);
    judge(64, 600, 1380, true); // it could have run, and had no CPU
    judge(64, 600, 600, false);
    judge(0, 1990, 0, false); // an open loop spins before what is due; its lag tells
}

static void a_late_open_loop(void **state)
{
    (void)state;
    struct options o = {.questions = "f", .threads = 1, .max_lag_ns = 1000000};
    struct results r;
    assert_int_equal(results_init(&r, SECOND), 0);
    histogram_add(r.lag, 900000);
    struct run run = {.options = &o, .results = &r, .took_ns = SECOND};
    assert_false(report_late(&run));
    histogram_add(r.lag, 1200000);
    assert_true(report_late(&run));
    o.outstanding = 1;
    assert_false(report_late(&run));
    results_free(&r);
}

static void a_search_is_told(void **state)
{
    (void)state;
    static struct search s = {.n = 2, .rate = 1000, .ended = "why"};
    s.options.knee = "p99<5ms";
    s.trials[0] = (struct trial){.rate = 1000, .outcome = OUTCOME_HOLDS};
    s.trials[1] = (struct trial){.rate = 2000, .outcome = OUTCOME_LATE, .measures = {.ns = {[3] = 7}, .lost = 0.5}};
    json_t *json = search_json(&s), *trial = json_array_get(json_object_get(json, "trials"), 1);
    assert_string_equal(json_string_value(json_object_get(json, "objective")), "p99<5ms");
    assert_string_equal(json_string_value(json_object_get(json, "ended")), "why");
    assert_true(json_real_value(json_object_get(json, "knee")) == 1000);
    assert_int_equal(json_integer_value(json_object_get(trial, "p99")), 7);
    assert_true(json_is_false(json_object_get(trial, "holds")));
    assert_string_equal(json_string_value(json_object_get(trial, "outcome")), "late");
    json_decref(json);
    s.rate = 0;
    s.ended[0] = '\0';
    json = search_json(&s);
    assert_true(json_is_null(json_object_get(json, "knee")) && json_is_null(json_object_get(json, "ended")));
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_closed_loop_without_time_left),
        cmocka_unit_test(a_late_open_loop),
        cmocka_unit_test(a_search_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
