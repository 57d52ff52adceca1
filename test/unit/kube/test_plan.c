// SPDX-License-Identifier: Apache-2.0
// What follows an ending, and how long after it.
#include "kube/plan.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define LONG_LIVED .lived_ms = 60000

static void steps(void **unused)
{
    (void)unused;
    static const struct {
        struct ending ending;
        enum step step;
        bool waits, quiet;
    } cases[] = {
        // Streams that end in good order, or are cut.
        {{.purpose = PURPOSE_WATCH, .answered = true, LONG_LIVED}, STEP_WATCH, false, true},
        {{.purpose = PURPOSE_WATCH, .failed = true, LONG_LIVED}, STEP_WATCH, true, false}, // as a connection's time-out
        {{.purpose = PURPOSE_WATCH, .answered = true}, STEP_WATCH, false, true},
        {{.purpose = PURPOSE_WATCH, .answered = true, .failures = PLAN_FREE}, STEP_WATCH, true, true},
        {{.purpose = PURPOSE_WATCH, .failed = true, .answered = true, LONG_LIVED}, STEP_WATCH, false, true},
        {{.purpose = PURPOSE_WATCH, .failed = true, .answered = true}, STEP_WATCH, false, true},
        {{.purpose = PURPOSE_WATCH, .failed = true}, STEP_WATCH, true, false},
        {{.purpose = PURPOSE_WATCH, .failed = true, .unheard = true}, STEP_WATCH, true, false},
        {{.purpose = PURPOSE_WATCHLIST, .answered = true}, STEP_LIST, true, true},
        {{.purpose = PURPOSE_WATCHLIST, .answered = true, .failed = true, .silent = true}, STEP_LIST, true, false},
        {{.purpose = PURPOSE_WATCHLIST, .answered = true, .failed = true}, STEP_SYNC, true, false},
        {{.purpose = PURPOSE_WATCHLIST, .failed = true, .silent = true}, STEP_SYNC, true, false},
        {{.purpose = PURPOSE_LIST, .failed = true, .next_page = true}, STEP_SYNC, true, false},
        // Broken data.
        {{.purpose = PURPOSE_WATCH, .corrupt = true, LONG_LIVED}, STEP_SYNC, true, false},
        {{.purpose = PURPOSE_LIST, .corrupt = true}, STEP_SYNC, true, false},
        // A format that the server does not speak.
        {{.purpose = PURPOSE_WATCHLIST, .status = {.code = 406}, .protobuf = true}, STEP_SYNC, false, true},
        {{.purpose = PURPOSE_WATCHLIST, .status = {.code = 415}, .protobuf = true}, STEP_SYNC, false, true},
        {{.purpose = PURPOSE_LIST, .status = {.code = 406}, .protobuf = true}, STEP_SYNC, false, true},
        {{.purpose = PURPOSE_WATCH, .status = {.code = 406}, .protobuf = true}, STEP_WATCH, false, true},
        {{.purpose = PURPOSE_WATCHLIST, .status = {.code = 406}}, STEP_LIST, false, true},
        // Too old, too new.
        {{.purpose = PURPOSE_WATCH, .status = {.code = 410, .expired = true}, LONG_LIVED}, STEP_SYNC, false, true},
        {{.purpose = PURPOSE_WATCH, .status = {.code = 410, .expired = true}}, STEP_SYNC, false, true},
        {{.purpose = PURPOSE_WATCH, .status = {.code = 410, .expired = true}, .answered = true, .failures = PLAN_FREE},
         STEP_SYNC,
         true,
         true},
        {{.purpose = PURPOSE_WATCHLIST, .status = {.code = 410, .expired = true}, .has_version = true},
         STEP_SYNC_ANEW,
         false,
         true},
        {{.purpose = PURPOSE_LIST, .status = {.code = 504, .too_large = true, .retry_after = 9}, .has_version = true},
         STEP_SYNC_ANEW,
         false,
         true},
        {{.purpose = PURPOSE_LIST, .status = {.code = 410, .expired = true}}, STEP_SYNC_ANEW, true, false},
        {{.purpose = PURPOSE_LIST, .status = {.code = 410, .expired = true}, .next_page = true, .has_version = true},
         STEP_LIST_ANEW,
         false,
         true},
        // Not understood.
        {{.purpose = PURPOSE_WATCHLIST, .status = {.code = 422}}, STEP_LIST, false, true},
        {{.purpose = PURPOSE_WATCHLIST, .status = {.code = 400}}, STEP_LIST, false, true},
        {{.purpose = PURPOSE_LIST, .status = {.code = 404}}, STEP_SYNC, true, false},
        {{.purpose = PURPOSE_WATCH, .status = {.code = 400}}, STEP_SYNC, true, false},
        // Refused.
        {{.purpose = PURPOSE_WATCH, .status = {.code = 401}, .failures = 50}, STEP_WATCH, true, false},
        {{.purpose = PURPOSE_WATCHLIST, .status = {.code = 403}}, STEP_SYNC, true, false},
        {{.purpose = PURPOSE_WATCH, .status = {.code = 429}}, STEP_WATCH, true, false},
        {{.purpose = PURPOSE_WATCH, .status = {.code = 500}}, STEP_WATCH, true, false},
        {{.purpose = PURPOSE_WATCH, .status = {.code = 500}, .failures = PLAN_WATCH_FAILURES}, STEP_SYNC, true, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct plan p = plan_next(&cases[i].ending, 0);
        if (p.step != cases[i].step || (p.wait_ms > 0) != cases[i].waits || p.quiet != cases[i].quiet)
            fail_msg("case %zu: step %d, wait %lu, quiet %d", i, (int)p.step, (unsigned long)p.wait_ms, p.quiet);
    }
}

// A kind that a cluster may do without counts as refused, and is asked for seldom.
static void optional_kinds(void **unused)
{
    (void)unused;
    static const struct {
        struct ending ending;
        bool refused, seldom;
    } cases[] = {
        {{.purpose = PURPOSE_WATCHLIST, .status = {.code = 404}}, false, false}, // a list may be had
        {{.purpose = PURPOSE_LIST, .status = {.code = 404}}, true, true},
        {{.purpose = PURPOSE_WATCHLIST, .status = {.code = 403}}, true, true},
        {{.purpose = PURPOSE_WATCH, .status = {.code = 403}}, true, true},
        {{.purpose = PURPOSE_LIST, .status = {.code = 500}}, false, false},
        {{.purpose = PURPOSE_LIST, .status = {.code = 500}, .failures = PLAN_OPTIONAL_FAILURES}, true, false},
        {{.purpose = PURPOSE_LIST, .status = {.code = 401}, .failures = PLAN_OPTIONAL_FAILURES - 1}, false, false},
        {{.purpose = PURPOSE_LIST, .failed = true, .unheard = true, .failures = 50},
         false,
         false}, // nobody said anything
        {{.purpose = PURPOSE_LIST, .corrupt = true, .failures = 50}, false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ending e = cases[i].ending;
        assert_false(plan_next(&e, 0).refused);
        e.optional = true;
        struct plan p = plan_next(&e, 0);
        bool seldom = e.failures == 0 && p.wait_ms >= PLAN_BACKOFF_LAST_MS / 2;
        if (p.refused != cases[i].refused || seldom != cases[i].seldom)
            fail_msg("case %zu: refused %d, wait %lu", i, p.refused, (unsigned long)p.wait_ms);
    }
}

// A server that was away refuses whom it knows later: that is no trouble yet, nor is an optional kind given up.
static void early_refusals(void **unused)
{
    (void)unused;
    for (int code = 400; code < 405; code++) {
        struct ending e = {.purpose = PURPOSE_WATCH, .status = {.code = code}, .returning = true};
        struct plan early = plan_next(&e, 0);
        assert_int_equal(early.early, code == 401 || code == 403);
        e.optional = true;
        assert_int_equal(plan_next(&e, 0).refused, code == 404);
        e.returning = false;
        assert_false(plan_next(&e, 0).early);
        e.optional = false;
        assert_int_equal(plan_next(&e, 0).wait_ms, early.wait_ms);
    }
}

static uint64_t wait_of(struct ending e, unsigned failures, uint32_t random)
{
    e.failures = failures;
    return plan_next(&e, random).wait_ms;
}

static void waits(void **unused)
{
    (void)unused;
    const struct ending cut = {.purpose = PURPOSE_LIST, .failed = true};
    assert_int_equal(wait_of(cut, 0, 0), 800);
    assert_int_equal(wait_of(cut, 0, UINT32_MAX), 1599);
    assert_int_equal(wait_of(cut, PLAN_FREE, 0), 800);
    assert_int_equal(wait_of(cut, PLAN_FREE + 1, 0), 1600);
    assert_int_equal(wait_of(cut, PLAN_FREE + 3, 0), 6400);
    assert_int_equal(wait_of(cut, 9, 0), 15000);
    assert_int_equal(wait_of(cut, UINT32_MAX, UINT32_MAX), 29999);
    const struct ending unheard = {.purpose = PURPOSE_WATCH, .failed = true, .unheard = true};
    assert_int_equal(wait_of(unheard, 100, 0), 1500);
    assert_int_equal(wait_of(unheard, 100, UINT32_MAX), 2999);
    const struct ending busy = {.purpose = PURPOSE_WATCH, .status = {.code = 429, .retry_after = 7}};
    assert_int_equal(wait_of(busy, 0, 5), 7000);
    assert_int_equal(wait_of(busy, PLAN_RETRY_AFTER_TIMES, 0), 15000);
    const struct ending long_busy = {.purpose = PURPOSE_LIST, .status = {.code = 503, .retry_after = 86400}};
    assert_int_equal(wait_of(long_busy, 0, 0), 30000);
}

// A network that cuts every watch soon: each is tried again within seconds, and the wait for a list that becomes due,
// or for a server that refuses, is not the longer for it.
static void cut_watches(void **unused)
{
    (void)unused;
    const struct ending cut = {
        .purpose = PURPOSE_WATCH, .failed = true, .answered = true, .lived_ms = PLAN_LIVED_MS - 1};
    struct ending e = cut,
                  expired = {.purpose = PURPOSE_WATCH, .status = {.code = 410, .expired = true}, .answered = true};
    for (int i = 0; i < 100; i++) {
        struct plan p = plan_next(&e, UINT32_MAX);
        assert_int_equal(p.step, STEP_WATCH);
        assert_true(p.quiet && !p.good);
        assert_true(i < PLAN_FREE ? p.wait_ms == 0 : p.wait_ms > 0 && p.wait_ms < PLAN_CHEAP_LAST_MS);
        e.failures += !p.normal;
    }
    expired.failures = e.failures;
    assert_int_equal(plan_next(&expired, UINT32_MAX).wait_ms, 3199);
    e.lived_ms = PLAN_LIVED_MS;
    assert_true(plan_next(&e, 0).good);
    assert_int_equal(plan_next(&e, 0).wait_ms, 0);
    e = cut;
    e.failures = 9; // of a server that refused
    assert_true(plan_next(&e, UINT32_MAX).wait_ms < PLAN_CHEAP_LAST_MS);
}

static void failures_of_another_kind(void **unused)
{
    (void)unused;
    assert_int_equal(plan_failures(9, REACH_NOBODY, REACH_NOBODY), 9);
    assert_int_equal(plan_failures(9, REACH_NOBODY, REACH_REFUSAL), 0);
    assert_int_equal(plan_failures(9, REACH_REFUSAL, REACH_REFUSAL), 9);
    assert_int_equal(plan_failures(9, REACH_REFUSAL, REACH_ANSWER),
                     0); // a token is good again, and history has gone on
    assert_int_equal(plan_failures(9, REACH_ANSWER, REACH_ANSWER), 9);
    assert_int_equal(plan_failures(9, REACH_ANSWER, REACH_NOBODY), 9);
}

static void reaches(void **unused)
{
    (void)unused;
    static const struct {
        struct ending ending;
        enum reach reach;
    } cases[] = {
        {{.purpose = PURPOSE_LIST, .failed = true, .unheard = true}, REACH_NOBODY},
        {{.purpose = PURPOSE_LIST, .status = {.code = 401}}, REACH_REFUSAL},
        {{.purpose = PURPOSE_WATCHLIST, .status = {.code = 422}}, REACH_REFUSAL},
        {{.purpose = PURPOSE_WATCH, .failed = true, .silent = true}, REACH_REFUSAL},
        {{.purpose = PURPOSE_WATCH, .answered = true, .failed = true}, REACH_ANSWER},
        {{.purpose = PURPOSE_WATCH, .status = {.code = 410, .expired = true}}, REACH_ANSWER},
        {{.purpose = PURPOSE_WATCH, .status = {.code = 410, .expired = true}, .answered = true}, REACH_ANSWER},
        {{.purpose = PURPOSE_LIST, .status = {.code = 504, .too_large = true}}, REACH_ANSWER},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(plan_reach(&cases[i].ending), cases[i].reach);
}

static void good_endings(void **unused)
{
    (void)unused;
    const struct ending good = {.purpose = PURPOSE_WATCH, .failed = true, .answered = true, LONG_LIVED};
    const struct ending bad = {.purpose = PURPOSE_WATCH, .answered = true};
    assert_true(plan_next(&good, 0).good);
    assert_false(plan_next(&bad, 0).good);
    const struct ending refused = {.purpose = PURPOSE_WATCHLIST, .status = {.code = 422}};
    assert_true(plan_next(&refused, 0).normal);
    assert_false(plan_next(&bad, 0).normal);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps),   cmocka_unit_test(optional_kinds), cmocka_unit_test(early_refusals),
        cmocka_unit_test(waits),   cmocka_unit_test(cut_watches),    cmocka_unit_test(failures_of_another_kind),
        cmocka_unit_test(reaches), cmocka_unit_test(good_endings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
