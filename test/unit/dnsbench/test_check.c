// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dnsbench/check.h"
#include "dnsbench/digest.h"
#include <clusterdns/clock.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#define RCODES 4

// A source that expects an answer without records; a test says which rcode, of each question.
struct expecting {
    _Atomic unsigned rcode[RCODES];
    atomic_uint looks;
    int result;
};

static int look(void *arg, struct check *c, bool first, const uint32_t *asked, size_t n, char *error)
{
    struct expecting *e = arg;
    (void)first, (void)asked, (void)n;
    for (uint32_t i = 0; i < RCODES; i++)
        if (e->rcode[i] < 16)
            check_expect(c, i, digest_of_rcode(e->rcode[i]));
    atomic_fetch_add(&e->looks, 1);
    strcpy(error, "no idea");
    return e->result;
}

static struct questions *four_questions(void)
{
    static struct questions set;
    static const char text[] = "a. A\nb. A\nc. A\nd. A\n";
    char error[QUESTIONS_ERROR_MAX];
    FILE *file = fmemopen((void *)(uintptr_t)text, sizeof text - 1, "r");
    assert_int_equal(questions_read(file, "four", &(struct question_options){.rd = true}, &set, error), 0);
    fclose(file);
    return &set;
}

static void answer(struct check *c, uint32_t question, unsigned rcode, bool truncated, uint64_t at)
{
    const uint8_t message[12] = {0, 0, (uint8_t)(0x80 | (truncated ? 2 : 0)), (uint8_t)rcode};
    check_answer(c, 0, question, message, sizeof message, at);
}

static void begin(struct expecting *e, struct questions **set, struct check **c)
{
    char error[QUESTIONS_ERROR_MAX];
    *set = four_questions();
    assert_int_equal(check_new(*set, 1, &(struct check_source){look, e}, c, error), 0);
}

static void wait_for_looks(struct expecting *e, unsigned more)
{
    unsigned until = e->looks + more;
    while (e->looks < until)
        usleep(1000);
}

static void right_wrong_and_unjudged(void **state)
{
    (void)state;
    struct expecting e = {.rcode = {0, 3, 0, 16}};
    struct questions *set;
    struct check_counts counts;
    struct check *c;
    begin(&e, &set, &c);
    uint64_t now = clock_monotonic_ns();
    answer(c, 0, 0, false, now);
    answer(c, 1, 3, false, now);
    answer(c, 2, 3, false, now);
    answer(c, 2, 3, false, now);
    answer(c, 0, 0, true, now);  // truncated
    answer(c, 3, 0, false, now); // nothing is known
    check_end(c, &counts);
    assert_int_equal(counts.right, 2);
    assert_int_equal(counts.wrong, 2);
    assert_int_equal(counts.stale, 0);
    assert_int_equal(counts.unjudged, 2);
    assert_int_equal(counts.examples, 1);
    assert_string_equal(counts.example[0], "wrong: c. A");
    questions_free(set);
}

// An answer may know a change before its source is looked at again, and for a second not yet.
static void changes_are_followed(void **state)
{
    (void)state;
    struct expecting e = {.rcode = {0, 0, 0, 0}};
    struct questions *set;
    struct check_counts counts;
    struct check *c;
    begin(&e, &set, &c);
    answer(c, 0, 3, false, clock_monotonic_ns()); // before the source says so
    e.rcode[0] = 3;
    wait_for_looks(&e, 2);
    uint64_t now = clock_monotonic_ns();
    answer(c, 0, 0, false, now);                      // old, but not for long
    answer(c, 0, 0, false, now + 2 * CHECK_STALE_NS); // stale
    answer(c, 0, 3, false, now);
    check_end(c, &counts);
    assert_int_equal(counts.right, 3);
    assert_int_equal(counts.stale, 1);
    assert_int_equal(counts.wrong, 0);
    assert_string_equal(counts.example[0], "stale: a. A");
    questions_free(set);
}

static void a_source_without_answers_is_an_error(void **state)
{
    (void)state;
    struct expecting e = {.result = CDNS_ECONFIG};
    struct questions *set = four_questions();
    struct check *c = NULL;
    char error[QUESTIONS_ERROR_MAX];
    assert_int_equal(check_new(set, 1, &(struct check_source){look, &e}, &c, error), CDNS_ECONFIG);
    assert_string_equal(error, "no idea");
    questions_free(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right_wrong_and_unjudged),
        cmocka_unit_test(changes_are_followed),
        cmocka_unit_test(a_source_without_answers_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
