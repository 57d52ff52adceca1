// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dnsbench/track.h"
#include <stdlib.h>

#define MASK ((1U << TRACK_BITS) - 1)
#define PATIENCE 1000

static int set_up(void **state)
{
    struct track *t = *state = malloc(sizeof *t);
    return t != NULL ? track_init(t, PATIENCE) : -1;
}

static int tear_down(void **state)
{
    track_clear(*state);
    free(*state);
    return 0;
}

// A change from being sent to being acknowledged.
static uint32_t change(struct track *t, uint64_t sent, uint64_t acknowledged)
{
    uint32_t number = track_send(t, sent);
    track_acknowledge(t, number, acknowledged);
    return number;
}

static void both_times(void **state)
{
    struct track *t = *state;
    assert_int_equal(track_oldest(t), 0);
    assert_int_equal(change(t, 100, 150), 1);
    assert_int_equal(track_oldest(t), 100);
    track_show(t, 0, 0, 160); // what was there at first
    track_settle(t, 160);
    assert_int_equal(track_waiting(t), 1);
    track_show(t, 1, 0, 180);
    track_settle(t, 190);
    assert_int_equal(track_waiting(t), 0);
    assert_int_equal(t->results.seen, 1);
    assert_int_equal(t->results.before, 0);
    assert_int_equal(histogram_max(t->results.sent), 80);
    assert_int_equal(histogram_max(t->results.acknowledged), 30);
    track_show(t, 1, 1, 200); // again
    assert_int_equal(t->results.stale, 0);
    assert_int_equal(t->results.wrong, 0);
}

static void seen_before_acknowledged(void **state)
{
    struct track *t = *state;
    uint32_t number = track_send(t, 100);
    track_show(t, number, 0, 120);
    track_settle(t, 130);
    assert_int_equal(track_waiting(t), 1); // until the API has said whether it took it
    track_acknowledge(t, number, 140);
    track_settle(t, 150);
    assert_int_equal(t->results.seen, 1);
    assert_int_equal(t->results.before, 1);
    assert_int_equal(histogram_max(t->results.sent), 20);
    assert_int_equal(histogram_max(t->results.acknowledged), 0);
    assert_int_equal(histogram_count(t->results.acknowledged), 1);
}

static void a_later_one_shows_all_before(void **state)
{
    struct track *t = *state;
    for (uint64_t i = 0; i < 3; i++)
        change(t, 100 + 10 * i, 101 + 10 * i);
    track_show(t, 2, 0, 150);
    track_settle(t, 150);
    assert_int_equal(t->results.seen, 2);
    assert_int_equal(track_waiting(t), 1);
    assert_int_equal(histogram_max(t->results.sent), 50);
    assert_int_equal(histogram_min(t->results.sent), 40);
}

static void lost_and_failed(void **state)
{
    struct track *t = *state;
    change(t, 100, 200);
    track_fail(t, track_send(t, 210));
    change(t, 300, 400);
    track_settle(t, 200 + PATIENCE);
    assert_int_equal(t->results.lost, 0);
    track_settle(t, 201 + PATIENCE);
    assert_int_equal(t->results.lost, 1);
    assert_int_equal(track_waiting(t), 1); // the failed one is not waited for
    track_show(t, 3, 0, 1300);
    track_settle(t, 1300);
    assert_int_equal(t->results.seen, 1);
    assert_int_equal(t->results.lost, 1);
    assert_int_equal(t->results.changes, 2);
    assert_int_equal(t->results.api_errors, 1);
    assert_int_equal(histogram_count(t->results.sent), 1);
}

static void stale_and_wrong(void **state)
{
    struct track *t = *state;
    change(t, 100, 101);
    change(t, 200, 201);
    track_show(t, 2, 0, 210);
    track_show(t, 1, 0, 220); // had been asked before 2 was seen
    assert_int_equal(t->results.stale, 0);
    track_show(t, 1, 2, 230);
    assert_int_equal(t->results.stale, 1);
    track_show(t, 3, 2, 240); // nobody has written it
    track_show(t, MASK, 2, 240);
    assert_int_equal(t->results.wrong, 2);
    assert_int_equal(t->newest, 2);
}

// More changes than numbers in an answer, and than places.
static void around(void **state)
{
    struct track *t = *state;
    uint64_t at = 1000;
    for (uint32_t i = 1; i <= 2 * MASK + 5; i++, at += 10) {
        uint32_t number = change(t, at, at + 1), newest = t->newest;
        assert_int_equal(number, i);
        if (i % 3 == 0)
            track_show(t, i & MASK, newest, at + 2);
        if (i % 3 == 0 && i > 9)
            track_show(t, (i - 3) & MASK, i, at + 3);
        track_settle(t, at + 4);
        assert_true(track_waiting(t) <= 2);
    }
    assert_int_equal(t->results.lost + t->results.wrong, 0);
    assert_int_equal(t->results.seen, (2 * MASK + 5) / 3 * 3);
    assert_int_equal(t->results.stale, (2 * MASK + 5) / 3 - 3);
}

static void restart(void **state)
{
    struct track *t = *state;
    change(t, 100, 101);
    track_show(t, 1, 0, 110);
    track_settle(t, 110);
    track_restart(t);
    assert_int_equal(t->results.seen, 0);
    assert_int_equal(histogram_count(t->results.sent), 0);
    assert_int_equal(change(t, 200, 201), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(both_times, set_up, tear_down),
        cmocka_unit_test_setup_teardown(seen_before_acknowledged, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_later_one_shows_all_before, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lost_and_failed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stale_and_wrong, set_up, tear_down),
        cmocka_unit_test_setup_teardown(around, set_up, tear_down),
        cmocka_unit_test_setup_teardown(restart, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
