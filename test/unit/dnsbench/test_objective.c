// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dnsbench/objective.h"
#include <math.h>
#include <string.h>

static void objectives(void **state)
{
    (void)state;
    struct objective o;
    char error[OBJECTIVE_ERROR_MAX];
    assert_int_equal(objective_read("p99<5ms,lost<0.1%", &o, error), 0);
    assert_int_equal(o.below_ns[3], 5000000);
    assert_true(fabs(o.lost - 0.1) < 1e-9);
    assert_int_equal(o.below_ns[0] + o.below_ns[PERCENTILES], 0);
    assert_int_equal(objective_read("max<1s, p99.99<250us", &o, error), 0);
    assert_int_equal(o.below_ns[PERCENTILES], 1000000000);
    assert_int_equal(o.below_ns[5], 250000);
    assert_true(o.lost == 0);
    static const struct {
        const char *text, *remedy;
    } wrong[] = {{"", "like p99<5ms,lost<0.1%"},
                 {" , ", "like p99<5ms,lost<0.1%"},
                 {"p99", "say NAME<BOUND"},
                 {"p99=5ms", "say NAME<BOUND"},
                 {"p98<5ms", "say one of p50, p75, p90, p99, p99.9, p99.99, max, lost"},
                 {"p99<5%", "say a time, like p99<5ms"},
                 {"p99<", "say a time, like p99<5ms"},
                 {"p50<1ms,lost<0%", "say a percentage above 0"},
                 {"lost<5ms", "say a percentage above 0"}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(objective_read(wrong[i].text, &o, error), CDNS_ECONFIG);
        if (strstr(error, wrong[i].remedy) == NULL)
            fail_msg("%s: %s", wrong[i].text, error);
    }
}

static void fills(struct results *r, uint64_t n, uint64_t ns)
{
    for (uint64_t i = 0; i < n; i++)
        results_answer(r, 0, ns, ns);
}

// 98 of 100 answers take 1 ms, one 10 ms, and one is lost after 2 s.
static void judged(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool holds;
    } all[] = {{"p50<1.1ms", true},        {"p50<0.9ms", false},
               {"p99<11ms", true},         {"p99<9ms", false},
               {"max<1.9s", false},        {"max<2.1s", true},
               {"lost<1.1%", true},        {"lost<1%", false},
               {"p99<11ms,lost<2%", true}, {"p99<11ms,lost<0.1%", false},
               {"p99.9<1s", false}};
    struct results r;
    struct objective o;
    struct measures m;
    char error[OBJECTIVE_ERROR_MAX];
    assert_int_equal(results_init(&r, 1000000000), 0);
    fills(&r, 98, 1000000);
    fills(&r, 1, 10000000);
    results_loss(&r, 0, 2000000000);
    r.counts.sent = r.counts.due = 100;
    objective_measure(&r, &m);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        assert_int_equal(objective_read(all[i].text, &o, error), 0);
        if (objective_holds(&o, &m, r.counts.answered) != all[i].holds)
            fail_msg("%s", all[i].text);
        assert_false(objective_holds(&o, &m, 0));
    }
    results_free(&r);
}

// Searches where the objective holds up to `capacity`, and the generator keeps up to `generator`.
static struct knee search(double begin, double most, double capacity, double generator, unsigned *trials)
{
    struct knee k;
    *trials = 0;
    for (knee_begin(&k, begin, 10, most); k.end == KNEE_OPEN; ++*trials) {
        assert_in_range(*trials, 0, 60);
        assert_true(k.rate <= most);
        knee_note(&k, k.rate > generator ? OUTCOME_LATE : k.rate > capacity ? OUTCOME_FAILS : OUTCOME_HOLDS);
    }
    return k;
}

static void the_knee_is_found(void **state)
{
    (void)state;
    static const double capacities[] = {23, 999, 1000, 1001, 7777, 19000};
    unsigned trials;
    for (size_t i = 0; i < sizeof capacities / sizeof capacities[0]; i++) {
        struct knee k = search(1000, 20000, capacities[i], 1e9, &trials);
        assert_int_equal(k.end, KNEE_FOUND);
        assert_true(k.low <= capacities[i] && k.high > capacities[i] && k.high <= 1.05 * k.low);
    }
    assert_int_equal(search(1000, 20000, 30000, 1e9, &trials).end, KNEE_SAFE);
    assert_int_equal(trials, 6); // 1,000 to 16,000, and 20,000
    assert_int_equal(search(1000, 20000, 5, 1e9, &trials).end, KNEE_NONE);
}

static void the_generator_ends_it(void **state)
{
    (void)state;
    unsigned trials;
    struct knee k = search(1000, 1e8, 1e8, 5000, &trials);
    assert_int_equal(k.end, KNEE_GENERATOR);
    assert_true(k.low == 4000 && k.rate == 8000);
    assert_int_equal(trials, 5); // the last rate twice
    k = search(1000, 1e8, 100, 500, &trials);
    assert_int_equal(k.end, KNEE_GENERATOR);
    assert_true(k.low == 0);
}

static void a_hiccup_is_forgiven(void **state)
{
    (void)state;
    struct knee k;
    knee_begin(&k, 100, 10, 20000);
    knee_note(&k, OUTCOME_FAILS);
    assert_true(k.rate == 100 && k.end == KNEE_OPEN);
    knee_note(&k, OUTCOME_HOLDS);
    assert_true(k.rate == 200);
    knee_note(&k, OUTCOME_LATE);
    assert_true(k.rate == 200);
    knee_note(&k, OUTCOME_FAILS);
    assert_true(k.rate == 150 && k.end == KNEE_OPEN);
    knee_note(&k, OUTCOME_FAILS); // once: that the rate before failed twice says nothing here
    assert_true(k.rate == 150 && k.end == KNEE_OPEN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objectives),           cmocka_unit_test(judged),
        cmocka_unit_test(the_knee_is_found),    cmocka_unit_test(the_generator_ends_it),
        cmocka_unit_test(a_hiccup_is_forgiven),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
