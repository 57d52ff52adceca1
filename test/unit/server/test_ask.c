// SPDX-License-Identifier: Apache-2.0
// Child questions: their way, their end before and after their parent's, their bounds.
#include "chain_test.h"

static int child_failed;
static uint16_t child_rcode;
static unsigned child_answers;
static bool child_had_parent;
static enum ask_scope scope;
static const char *child_name = "child.example.";
static uint64_t child_timeout;
static int asked;

static void on_child(void *arg, struct query *parent, struct query *child, int failed)
{
    assert_ptr_equal(arg, &asked);
    mark("cb ");
    child_failed = failed;
    child_rcode = child->reply.rcode;
    child_answers = child->reply.answer.n;
    child_had_parent = parent != NULL;
    if (parent != NULL)
        query_resume(parent, answer(parent));
}

static int ask_child(struct query *parent, int plugin)
{
    uint8_t name[NAME_MAX_WIRE];
    assert_int_equal(name_from_text(child_name, name), 0);
    const struct question question = {.qname = name, .qtype = RR_A, .qclass = CLASS_IN, .rd = true};
    return query_ask(parent, placed[0][plugin], scope, &question, child_timeout, on_child, &asked);
}

static enum verdict ask_and_wait(struct query *q)
{
    if (q->depth > 0)
        return VERDICT_NEXT;
    asked = ask_child(q, 0);
    return asked == 0 ? VERDICT_WAIT : query_fail(q, RCODE_SERVFAIL, "%s", error_text(asked));
}

static int child_setup(void **state)
{
    scope = ASK_REST;
    child_name = "child.example.";
    child_timeout = 0;
    return build(state);
}

static void test_child_of_the_rest(void **state)
{
    (void)state;
    does[0].query = ask_and_wait;
    does[1].query = answer;
    ask("www.example.");
    assert_string_equal(trace, "q0 q1 r1 d1 cb r0 d0 ");
    assert_int_equal(child_failed, 0);
    assert_int_equal(child_answers, 1);
    assert_true(last.sent);
}

static void test_child_of_the_whole_server(void **state)
{
    (void)state;
    scope = ASK_WHOLE;
    child_name = "WWW.Other.example.";
    does[0].query = ask_and_wait;
    does[1].query = answer;
    ask("www.example.");
    assert_string_equal(trace, "q0 Q0 Q1 R1 R0 D1 D0 cb r0 d0 ");
}

static void test_child_out_of_every_zone_is_refused(void **state)
{
    (void)state;
    scope = ASK_WHOLE;
    child_name = "www.example.com.";
    does[0].query = ask_and_wait;
    ask("www.example.");
    assert_int_equal(child_rcode, RCODE_REFUSED);
    assert_string_equal(trace, "q0 cb r0 d0 ");
}

static enum verdict child_parks(struct query *q)
{
    return q->depth > 0 ? park(q) : VERDICT_NEXT;
}

static void test_child_waits_and_parent_with_it(void **state)
{
    (void)state;
    does[0].query = ask_and_wait;
    does[1].query = child_parks;
    ask("www.example.");
    assert_string_equal(trace, "q0 q1 ");
    assert_int_equal(atomic_load(&generation->pins), 2);
    query_resume(waiting, answer(waiting));
    assert_string_equal(trace, "q0 q1 r1 d1 cb r0 d0 ");
    assert_int_equal(worker.nactive, 0);
}

static void test_child_times_out(void **state)
{
    (void)state;
    child_timeout = 20000000;
    does[0].query = ask_and_wait;
    does[1].query = child_parks;
    ask("www.example.");
    run_until_delivered();
    assert_int_equal(child_failed, CDNS_ETIMEOUT);
    assert_string_equal(trace, "q0 q1 c1 r1 d1(query timed out) cb r0 d0 ");
}

static enum verdict ask_and_go_on(struct query *q)
{
    if (q->depth == 0)
        assert_int_equal(ask_child(q, 0), 0);
    return q->depth == 0 ? answer(q) : VERDICT_NEXT;
}

static void test_parent_ends_first(void **state)
{
    (void)state;
    does[0].query = ask_and_go_on;
    does[1].query = child_parks;
    ask("www.example.");
    assert_true(delivered);
    assert_int_equal(worker.nactive, 1);
    query_resume(waiting, answer(waiting));
    assert_false(child_had_parent);
    assert_int_equal(child_answers, 1);
    assert_int_equal(worker.nactive, 0);
}

static void test_parent_times_out_first(void **state)
{
    (void)state;
    does[0].query = ask_and_wait;
    does[1].query = child_parks;
    struct exchange *x = ask("www.example.");
    worker_clear_deadline(&worker, x);
    chain_expire(x);
    assert_true(delivered);
    query_resume(waiting, answer(waiting));
    assert_false(child_had_parent);
}

static struct query *parked_child;

static enum verdict make_room_and_park(struct query *q)
{
    parked_child = waiting;
    atomic_store(&worker.nparked, 1);
    return park(q);
}

// The child took the last place; what the parent waits for later is not its answer.
static void test_parent_has_no_room_to_wait(void **state)
{
    (void)state;
    does[0].query = ask_and_wait;
    does[0].reply = make_room_and_park;
    does[1].query = child_parks;
    atomic_store(&worker.nparked, WORKER_PARKED - 1);
    ask("www.example.");
    assert_string_equal(trace, "q0 q1 c0 r0 ");
    query_resume(parked_child, answer(parked_child));
    assert_false(child_had_parent);
    query_resume(waiting, VERDICT_NEXT);
    assert_int_equal(last.rcode, RCODE_SERVFAIL);
    assert_non_null(strstr(trace, "(too many queries are waiting)"));
    assert_int_equal(atomic_load(&worker.nparked), 0);
}

static void test_question_without_a_parent(void **state)
{
    (void)state;
    does[1].query = answer;
    assert_int_equal(ask_child(NULL, 0), 0);
    assert_string_equal(trace, "q1 r1 d1 cb ");
    scope = ASK_WHOLE;
    trace[0] = '\0';
    assert_int_equal(ask_child(NULL, 0), 0);
    assert_string_equal(trace, "q0 q1 r1 r0 d1 d0 cb ");
}

static void test_dropped_child_is_canceled(void **state)
{
    (void)state;
    does[0].query = ask_and_wait;
    does[1].query = drop;
    ask("www.example.");
    assert_int_equal(child_failed, CDNS_ECANCELED);
}

static int depth_reached;

static enum verdict ask_deeper(struct query *q)
{
    depth_reached = q->depth;
    int rc = ask_child(q, 0);
    return rc == 0 ? VERDICT_WAIT : query_fail(q, RCODE_SERVFAIL, "%s", error_text(rc));
}

static void test_depth_is_bounded(void **state)
{
    (void)state;
    scope = ASK_WHOLE;
    does[0].query = ask_deeper;
    ask("www.example.");
    assert_int_equal(depth_reached, QUERY_MAX_DEPTH);
    assert_true(delivered);
    assert_int_equal(worker.nactive, 0);
}

static void ignore_child(void *arg, struct query *parent, struct query *child, int failed)
{
    (void)arg, (void)parent, (void)child, (void)failed;
}

static int refused_at;

static enum verdict ask_many(struct query *q)
{
    const struct question question = {.qname = q->qname, .qtype = RR_A, .qclass = CLASS_IN};
    for (refused_at = 0; refused_at < 1000; refused_at++)
        if (query_ask(q, placed[0][1], ASK_REST, &question, 0, ignore_child, NULL) != 0)
            break;
    return answer(q);
}

static void test_number_of_children_is_bounded(void **state)
{
    (void)state;
    does[1].query = ask_many;
    ask("www.example.");
    assert_int_equal(refused_at, QUERY_MAX_CHILDREN);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, child_setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_child_of_the_rest),
        CASE(test_child_of_the_whole_server),
        CASE(test_child_out_of_every_zone_is_refused),
        CASE(test_child_waits_and_parent_with_it),
        CASE(test_child_times_out),
        CASE(test_parent_ends_first),
        CASE(test_parent_times_out_first),
        CASE(test_parent_has_no_room_to_wait),
        CASE(test_question_without_a_parent),
        CASE(test_dropped_child_is_canceled),
        CASE(test_depth_is_bounded),
        CASE(test_number_of_children_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
