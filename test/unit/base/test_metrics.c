// SPDX-License-Identifier: Apache-2.0
// The registry of metrics: what is shown, and that nothing is lost between threads.
#include "base/metrics.h"
#include "metrics_test.h"

#include <pthread.h>

#define WORKERS 4
#define COUNT(array) (sizeof(array) / sizeof(*(array)))
#define ALL sizeof(metrics_shown)

// Is `expected` in the exposition as one piece of whole lines?
static void assert_shows(const char *expected)
{
    const char *all = metrics_scrape(ALL);
    const char *at = strstr(all, expected);
    if (at == NULL || (at != all && at[-1] != '\n'))
        fail_msg("not in the exposition:\n%s\nbut:\n%s", expected, all);
}

static void assert_absent(const char *word)
{
    if (strstr(metrics_scrape(ALL), word) != NULL)
        fail_msg("%s is shown:\n%s", word, metrics_shown);
}

static void numbers_of_each_type(void **state)
{
    (void)state;
    static struct metric_family counter = {.name = "t1_things_total", .help = "Things.", .type = METRIC_COUNTER};
    static struct metric_family gauge = {.name = "t1_level", .help = "Level.", .type = METRIC_GAUGE};
    static struct metric_family reading = {.name = "t1_cpu_seconds_total", .help = "CPU.", .type = METRIC_READING};
    struct metric *c = metric_series(&counter, NULL);
    assert_shows("# HELP t1_things_total Things.\n# TYPE t1_things_total counter\nt1_things_total 0\n");
    metric_count(c, 0, 0, 1);
    metric_count(c, WORKERS - 1, 0, UINT64_C(9000000000000000000));
    metric_count(c, METRIC_ELSEWHERE, 0, 5);
    assert_shows("t1_things_total 9000000000000000006\n");

    struct metric *g = metric_series(&gauge, NULL), *r = metric_series(&reading, NULL);
    assert_absent("t1_level");
    metric_set(g, 0, 0);
    metric_set(r, 0, 12.5);
    assert_shows("# HELP t1_cpu_seconds_total CPU.\n# TYPE t1_cpu_seconds_total counter\nt1_cpu_seconds_total 12.5\n"
                 "# HELP t1_level Level.\n# TYPE t1_level gauge\nt1_level 0\n");
    static const struct {
        double value;
        const char *line;
    } doubles[] = {{-0.1, "t1_level -0.1\n"},
                   {1.7e9 + 0.123, "t1_level 1.700000000123e+09\n"},
                   {1e21, "t1_level 1e+21\n"},
                   {__builtin_inf(), "t1_level +Inf\n"},
                   {1.0 / 3, "t1_level 0.3333333333333333\n"}};
    for (size_t i = 0; i < COUNT(doubles); i++) {
        metric_set(g, 0, doubles[i].value);
        assert_shows(doubles[i].line);
    }
    metric_unset(g, 0);
    assert_absent("t1_level");
}

static void a_histogram_adds_up(void **state)
{
    (void)state;
    static const double bounds[] = {0, 100, 1023};
    static struct metric_family sizes = {
        .name = "t2_size_bytes", .help = "Size.", .type = METRIC_HISTOGRAM, .buckets = {.bounds = bounds, .n = 3}};
    struct metric *m = metric_series(&sizes, NULL);
    static const double values[] = {0, 0.5, 100, 100.5, 1023, 5000};
    for (unsigned i = 0; i < COUNT(values); i++)
        metric_observe(m, i % 2 == 0 ? i % WORKERS : METRIC_ELSEWHERE, 0, values[i]);
    assert_shows("# HELP t2_size_bytes Size.\n# TYPE t2_size_bytes histogram\n"
                 "t2_size_bytes_bucket{le=\"0\"} 1\nt2_size_bytes_bucket{le=\"100\"} 3\n"
                 "t2_size_bytes_bucket{le=\"1023\"} 5\nt2_size_bytes_bucket{le=\"+Inf\"} 6\n"
                 "t2_size_bytes_sum 6224\nt2_size_bytes_count 6\n");
}

// The same texts as Go's client writes: queries join and compare them as texts.
static void computed_bounds_are_those_of_go(void **state)
{
    (void)state;
    static struct metric_family times = {.name = "t3_seconds",
                                         .help = "Time.",
                                         .type = METRIC_HISTOGRAM,
                                         .labels = {{.name = "server"}},
                                         .buckets = {.first = 0.00025, .factor = 2, .n = 16}};
    static struct metric_family slim = {.name = "t3_slim_seconds",
                                        .help = "Time.",
                                        .type = METRIC_HISTOGRAM,
                                        .buckets = {.first = 0.00025, .factor = 10, .n = 5}};
    static const char *const texts[] = {"0.00025", "0.0005", "0.001", "0.002", "0.004", "0.008",
                                        "0.016",   "0.032",  "0.064", "0.128", "0.256", "0.512",
                                        "1.024",   "2.048",  "4.096", "8.192", "+Inf"};
    static const char *const slim_texts[] = {"0.00025", "0.0025", "0.025", "0.25", "2.5", "+Inf"};
    char line[128];
    metric_series(&times, (const char *[]){"dns://:53"});
    metric_series(&slim, NULL);
    for (size_t i = 0; i < COUNT(texts); i++) {
        snprintf(line, sizeof line, "t3_seconds_bucket{server=\"dns://:53\",le=\"%s\"} 0\n", texts[i]);
        assert_shows(line);
    }
    for (size_t i = 0; i < COUNT(slim_texts); i++) {
        snprintf(line, sizeof line, "t3_slim_seconds_bucket{le=\"%s\"} 0\n", slim_texts[i]);
        assert_shows(line);
    }
}

static const char *const protos[] = {"udp", "tcp"}, *const types[] = {"A", "AAAA", "other"};

static void labels_of_both_kinds(void **state)
{
    (void)state;
    static struct metric_family requests = {.name = "t4_requests_total",
                                            .help = "Requests.",
                                            .type = METRIC_COUNTER,
                                            .labels = {{.name = "server"},
                                                       {.name = "zone"},
                                                       {.name = "proto", .values = protos, .nvalues = 2},
                                                       {.name = "type", .values = types, .nvalues = 3}}};
    static struct metric_family sizes = {
        .name = "t4_size_bytes",
        .help = "Size.",
        .type = METRIC_HISTOGRAM,
        .labels = {{.name = "zone"}, {.name = "proto", .values = protos, .nvalues = 2}},
        .buckets = {.first = 10, .factor = 1, .n = 1}};
    static struct metric_family once = {.name = "t4_once_total",
                                        .help = "Once.",
                                        .type = METRIC_COUNTER,
                                        .when_counted = true,
                                        .labels = {{.name = "zone"}}};
    const char *const cluster[] = {"dns://:53", "cluster.local."}, *const root[] = {"dns://:53", "."};
    struct metric *c = metric_series(&requests, cluster), *r = metric_series(&requests, root);
    assert_ptr_equal(c, metric_series(&requests, (const char *[]){"dns://:53", "cluster.local."}));
    assert_ptr_not_equal(c, r);
    assert_absent("t4_requests_total"); // not even its head
    metric_count(c, 1, 1 * 3 + 2, 7);
    metric_count(r, 2, 0 * 3 + 1, 1);
    assert_shows("# TYPE t4_requests_total counter\n"
                 "t4_requests_total{server=\"dns://:53\",zone=\"cluster.local.\",proto=\"tcp\",type=\"other\"} 7\n"
                 "t4_requests_total{server=\"dns://:53\",zone=\".\",proto=\"udp\",type=\"AAAA\"} 1\n");
    struct metric *s = metric_series(&sizes, root + 1);
    metric_observe(s, 0, 1, 4);
    metric_observe(s, 0, 1, 40);
    assert_shows("# TYPE t4_size_bytes histogram\n"
                 "t4_size_bytes_bucket{zone=\".\",proto=\"tcp\",le=\"10\"} 1\n"
                 "t4_size_bytes_bucket{zone=\".\",proto=\"tcp\",le=\"+Inf\"} 2\n"
                 "t4_size_bytes_sum{zone=\".\",proto=\"tcp\"} 44\n"
                 "t4_size_bytes_count{zone=\".\",proto=\"tcp\"} 2\n");
    struct metric *o = metric_series(&once, root + 1);
    assert_absent("t4_once_total");
    metric_count(o, METRIC_ELSEWHERE, 0, 1);
    assert_shows("t4_once_total{zone=\".\"} 1\n");
}

static void label_values_from_outside(void **state)
{
    (void)state;
    static struct metric_family odd = {
        .name = "t5_odd", .help = "Odd.", .type = METRIC_GAUGE, .labels = {{.name = "text"}}};
    static const struct {
        const char *value, *shown;
    } cases[] = {{"", ""},
                 {"a\\b\"c\nd", "a\\\\b\\\"c\\nd"},
                 {"\xc3\xa9 \xc3 \xff", "\xc3\xa9 \xef\xbf\xbd \xef\xbf\xbd"},
                 {"\xf0\x9f\x99\x82", "\xf0\x9f\x99\x82"}};
    char line[128];
    for (size_t i = 0; i < COUNT(cases); i++) {
        metric_set(metric_series(&odd, &cases[i].value), 0, (double)i);
        snprintf(line, sizeof line, "t5_odd{text=\"%s\"} %u\n", cases[i].shown, (unsigned)i);
        assert_shows(line);
    }
    metrics_unset_all(&odd);
    assert_absent("t5_odd");
}

static void pieces_make_the_whole(void **state)
{
    (void)state;
    static char whole[ALL];
    strcpy(whole, metrics_scrape(ALL));
    assert_true(strlen(whole) > 2000);
    for (size_t cap = 1; cap < 300; cap += 7)
        assert_string_equal(metrics_scrape(cap), whole);
}

static void families_come_by_name(void **state)
{
    (void)state;
    char before[256] = "";
    for (const char *line = metrics_scrape(4096); *line != '\0'; line = strchr(line, '\n') + 1) {
        char name[256];
        if (sscanf(line, "# TYPE %255s", name) != 1)
            continue;
        assert_true(strcmp(before, name) < 0); // each one once
        strcpy(before, name);
    }
    assert_string_not_equal(before, "");
}

static void set_level(void *arg)
{
    metric_set(arg, 0, 3);
}

static void collectors_run_at_a_scrape(void **state)
{
    (void)state;
    static struct metric_family level = {.name = "t6_level", .help = "Level.", .type = METRIC_GAUGE};
    struct metric *m = metric_series(&level, NULL);
    struct metrics_collector c = {.collect = set_level, .arg = m}, other = {.collect = set_level, .arg = m};
    metrics_collector_add(&c);
    metrics_collector_add(&other);
    metrics_collector_remove(&other);
    assert_shows("t6_level 3\n");
    metric_unset(m, 0);
    metrics_collector_remove(&c);
    assert_absent("t6_level");
}

// ---- threads ----

#define ROUNDS 200000

static struct metric_family race_total = {.name = "t7_race_total",
                                          .help = "Race.",
                                          .type = METRIC_COUNTER,
                                          .labels = {{.name = "type", .values = types, .nvalues = 3}}};
static struct metric_family race_size = {.name = "t7_race_bytes",
                                         .help = "Race.",
                                         .type = METRIC_HISTOGRAM,
                                         .labels = {{.name = "proto", .values = protos, .nvalues = 2}},
                                         .buckets = {.first = 1, .factor = 2, .n = 4}};
static struct metric_family race_new = {
    .name = "t7_race_new_total", .help = "Race.", .type = METRIC_COUNTER, .labels = {{.name = "number"}}};

static void *count_much(void *arg)
{
    uint32_t worker = *(const uint32_t *)arg;
    struct metric *c = metric_series(&race_total, NULL), *h = metric_series(&race_size, NULL);
    for (unsigned i = 0; i < ROUNDS; i++) {
        char number[16];
        const char *values[] = {number};
        metric_count(c, worker, i % 3, 1);
        metric_observe(h, worker, i % 2, i % 20);
        snprintf(number, sizeof number, "%u", i / 1000);
        if (i % 1000 == 0)
            metric_count(metric_series(&race_new, values), METRIC_ELSEWHERE, 0, 1);
    }
    return NULL;
}

// The numbers on the way: none goes back, and a histogram's lines agree with each other.
static void check_on_the_way(double *before)
{
    metrics_scrape(1000);
    double now = metrics_shown_value("t7_race_total{type=\"other\"}");
    double inf = metrics_shown_value("t7_race_bytes_bucket{proto=\"tcp\",le=\"+Inf\"}");
    assert_true(now >= *before);
    assert_true(inf == metrics_shown_value("t7_race_bytes_count{proto=\"tcp\"}"));
    assert_true(inf >= metrics_shown_value("t7_race_bytes_bucket{proto=\"tcp\",le=\"8\"}"));
    *before = now;
}

static void no_count_is_lost_between_threads(void **state)
{
    (void)state;
    static const uint32_t workers[] = {0, 1, 2, 3, METRIC_ELSEWHERE, METRIC_ELSEWHERE};
    pthread_t threads[COUNT(workers)];
    double before = -1, all = COUNT(workers) * (double)ROUNDS;
    for (size_t i = 0; i < COUNT(workers); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_much, (void *)(uintptr_t)&workers[i]), 0);
    for (unsigned i = 0; i < 50; i++)
        check_on_the_way(&before);
    for (size_t i = 0; i < COUNT(workers); i++)
        pthread_join(threads[i], NULL);
    metrics_scrape(ALL);
    double sum = 0;
    for (size_t i = 0; i < 3; i++) {
        char start[64];
        snprintf(start, sizeof start, "t7_race_total{type=\"%s\"}", types[i]);
        sum += metrics_shown_value(start);
    }
    assert_true(sum == all);
    assert_true(metrics_shown_value("t7_race_bytes_count{proto=\"udp\"}") == all / 2);
    assert_true(metrics_shown_value("t7_race_bytes_bucket{proto=\"udp\",le=\"8\"}") == all / 20 * 5);
    assert_true(metrics_shown_value("t7_race_bytes_sum{proto=\"udp\"}") ==
                all / 20 * (0 + 2 + 4 + 6 + 8 + 10 + 12 + 14 + 16 + 18));
    assert_true(metrics_shown_value("t7_race_new_total{number=\"0\"}") == COUNT(workers));
    assert_true(metrics_shown_value("t7_race_new_total{number=\"199\"}") == COUNT(workers));
}

// ---- bounds ----

static void a_family_is_defined_once(void **state)
{
    (void)state;
    static struct metric_family one = {.name = "t8_twice_total", .help = "One.", .type = METRIC_COUNTER};
    static struct metric_family two = {.name = "t8_twice_total", .help = "Two.", .type = METRIC_COUNTER};
    metric_series(&one, NULL);
    metric_count(metric_series(&two, NULL), 0, 0, 1);
    assert_shows("t8_twice_total 0\n");
    assert_shows("clusterdns_metrics_unshown_total 1\n");
}

// Last: it uses up all the room there is.
static void series_without_end(void **state)
{
    (void)state;
    static struct metric_family many = {.name = "t9_many_total",
                                        .help = "Many.",
                                        .type = METRIC_COUNTER,
                                        .when_counted = true,
                                        .labels = {{.name = "n"}, {.name = "t", .values = types, .nvalues = 3}}};
    static struct metric_family wide = {.name = "t9_wide_bytes",
                                        .help = "Wide.",
                                        .type = METRIC_HISTOGRAM,
                                        .when_counted = true,
                                        .labels = {{.name = "n"}, {.name = "t", .values = types, .nvalues = 3}},
                                        .buckets = {.first = 1, .factor = 2, .n = METRICS_BUCKETS}};
    char number[32];
    const char *values[] = {number};
    struct metric *m = NULL, *last = NULL;
    unsigned made = 0;
    do {
        last = m;
        snprintf(number, sizeof number, "%u", made++);
        m = metric_series(&wide, values);
        metric_series(&many, values);
    } while (m != last && made < 1000000);
    assert_true(made < 1000000);
    metrics_scrape(ALL);
    assert_true(metrics_shown_value("clusterdns_metrics_unshown_total") > 2);
    metric_observe(m, WORKERS - 1, 2, 1e30);
    metric_count(m, 0, 2, 1);
    metric_set(m, 0, 1);
    assert_absent("t9_");
    // What is there goes on.
    strcpy(number, "1");
    metric_observe(metric_series(&wide, values), 0, 2, 3);
    assert_shows("t9_wide_bytes_count{n=\"1\",t=\"other\"} 1\n");
}

static void test_renamed(void **state)
{
    (void)state;
    static struct metric_family family = {.name = "test_renamed_info",
                                          .help = "A name that changes.",
                                          .type = METRIC_GAUGE,
                                          .labels = {{.name = "hash"}}};
    const char *first[] = {"aaaa"}, *second[] = {"bbbb"};
    struct metric *m = metric_series(&family, first);
    metric_set(m, 0, 1);
    metrics_rename(m, second);
    assert_ptr_equal(metric_series(&family, second), m);
    assert_string_equal(m->text, "hash=\"bbbb\"");
    assert_ptr_not_equal(metric_series(&family, first), m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_renamed),
        cmocka_unit_test(numbers_of_each_type),
        cmocka_unit_test(a_histogram_adds_up),
        cmocka_unit_test(computed_bounds_are_those_of_go),
        cmocka_unit_test(labels_of_both_kinds),
        cmocka_unit_test(label_values_from_outside),
        cmocka_unit_test(pieces_make_the_whole),
        cmocka_unit_test(families_come_by_name),
        cmocka_unit_test(collectors_run_at_a_scrape),
        cmocka_unit_test(no_count_is_lost_between_threads),
        cmocka_unit_test(a_family_is_defined_once),
        cmocka_unit_test(series_without_end),
    };
    metrics_set_workers(WORKERS);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
