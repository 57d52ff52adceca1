// SPDX-License-Identifier: Apache-2.0
// The plugin contract: three small test plugins whose hooks each case sets, in two blocks, on a worker without a
// thread. Every hook that runs leaves its mark in a trace, which the cases compare.
#include "base/clock.h"
#include "base/rcu.h"
#include "server/chain.h"
#include "server/generation.h"
#include "server/worker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

// What a case wants a plugin to do; NULL: NEXT.
struct behaviour {
    enum verdict (*query)(struct query *q);
    enum verdict (*reply)(struct query *q);
    bool (*match)(const struct query *q);
};

static struct behaviour does[3];
static char trace[512];
static const struct placement *placed[2][3]; // by block, plugin
static struct generation *generation;
static struct worker worker;
static struct query *waiting; // the query a hook parked
static struct outcome last;   // of the latest delivery
static bool delivered;

static void mark(const char *fmt, ...)
{
    size_t n = strlen(trace);
    va_list args;
    va_start(args, fmt);
    vsnprintf(trace + n, sizeof trace - n, fmt, args);
    va_end(args);
}

// An instance knows its plugin's number and its block.
struct self {
    int plugin;
    int block;
};

static int setup_any(struct config *c, void **self, int plugin)
{
    struct self *s = arena_calloc(c->arena, 1, sizeof *s);
    s->plugin = plugin;
    s->block = strcmp(c->zones[0], "example.") == 0 ? 0 : 1;
    *self = s;
    return 0;
}

static int start_any(void *self, const struct plugin_start *p)
{
    const struct self *s = self;
    placed[s->block][s->plugin] = p->placement;
    return 0;
}

static enum verdict query_any(void *self, struct query *q)
{
    const struct self *s = self;
    mark("%s%d ", s->block == 0 ? "q" : "Q", s->plugin);
    return does[s->plugin].query != NULL ? does[s->plugin].query(q) : VERDICT_NEXT;
}

static enum verdict reply_any(void *self, struct query *q)
{
    const struct self *s = self;
    mark("%s%d ", s->block == 0 ? "r" : "R", s->plugin);
    return does[s->plugin].reply != NULL ? does[s->plugin].reply(q) : VERDICT_NEXT;
}

static void done_any(void *self, const struct query *q, const struct outcome *o)
{
    const struct self *s = self;
    (void)q;
    mark("%s%d", s->block == 0 ? "d" : "D", s->plugin);
    if (o->error != NULL)
        mark("(%s)", o->error);
    mark(" ");
}

static void cancel_any(void *self, struct query *q)
{
    const struct self *s = self;
    mark("c%d ", s->plugin);
    if (waiting == q)
        waiting = NULL;
}

static bool match_any(void *self, const struct query *q)
{
    const struct self *s = self;
    return does[s->plugin].match == NULL || does[s->plugin].match(q);
}

static int setup0(struct config *c, void **self)
{
    return setup_any(c, self, 0);
}

static int setup1(struct config *c, void **self)
{
    return setup_any(c, self, 1);
}

static int setup2(struct config *c, void **self)
{
    return setup_any(c, self, 2);
}

static const char *const wants[] = {"numbers", "absent", NULL};
static const int numbers = 42;
static const struct plugin_interface offers[] = {{"numbers", &numbers}, {0}};
static int joined;

static void join_numbers(void *self, const char *name, const void *ops, void *provider)
{
    (void)self;
    assert_string_equal(name, "numbers");
    assert_int_equal(((const struct self *)provider)->plugin, 2);
    joined += *(const int *)ops;
}

#define COMMON                                                                                                         \
    .abi = CLUSTERDNS_PLUGIN_ABI, .start = start_any, .query = query_any, .reply = reply_any, .done = done_any,        \
    .cancel = cancel_any
static const struct plugin plugins[3] = {
    {COMMON, .name = "zero", .setup = setup0, .match = match_any, .wants = wants, .join = join_numbers},
    {COMMON, .name = "one", .setup = setup1},
    {COMMON, .name = "two", .setup = setup2, .provides = offers},
};

static void report(void *arg, const char *text)
{
    (void)arg;
    fail_msg("%s", text);
}

// Two blocks with all three plugins: "example." and "other.example.".
static int build(void **state)
{
    (void)state;
    static const struct token names[3] = {{"zero", "Corefile", 2}, {"one", "Corefile", 3}, {"two", "Corefile", 4}};
    static const struct directive lines[3] = {
        {.tokens = &names[0], .ntokens = 1}, {.tokens = &names[1], .ntokens = 1}, {.tokens = &names[2], .ntokens = 1}};
    static const struct corefile_key keys[2] = {
        {.token = &names[0], .scheme = "dns", .zone = "example.", .port = 1053, .has_port = true},
        {.token = &names[0], .scheme = "dns", .zone = "other.example.", .port = 1053, .has_port = true}};
    static struct corefile_block blocks[2] = {{.keys = &keys[0], .nkeys = 1, .directives = lines, .ndirectives = 3},
                                              {.keys = &keys[1], .nkeys = 1, .directives = lines, .ndirectives = 3}};
    static const struct corefile cf = {.blocks = blocks, .nblocks = 2};
    static const struct plugin *const list[3] = {&plugins[0], &plugins[1], &plugins[2]};
    char error[CONFIG_ERROR_MAX];
    rcu_thread_start();
    memset(does, 0, sizeof does);
    trace[0] = '\0';
    joined = 0;
    waiting = NULL;
    assert_int_equal(generation_build_parsed(arena_new(0), &cf, list, 3, 53, report, NULL, &generation), 0);
    assert_int_equal(generation_start(generation, NULL, NULL, error), 0);
    assert_int_equal(worker_init(&worker, 0), 0);
    worker_set_current(&worker);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    worker_free(&worker);
    worker_set_current(NULL);
    generation_stop(generation);
    generation_free(generation);
    rcu_thread_end();
    return 0;
}

static void deliver(struct exchange *x, struct outcome *o)
{
    o->sent = !x->dropped;
    last = *o;
    delivered = true;
}

static int messages, room; // of a stream: sent, and before the socket is full

static int stream_send(struct exchange *x, bool end)
{
    (void)end;
    messages++;
    x->streamed += 100;
    return --room > 0 ? 0 : CDNS_EAGAIN;
}

// Asks "www.example." A. Returns the exchange, which is gone unless it is parked.
static struct exchange *ask(const char *name)
{
    struct exchange *x = worker_exchange(&worker);
    assert_non_null(x);
    x->m = (struct message){.id = 1, .qtype = RR_A, .qclass = CLASS_IN, .question_end = 30};
    assert_int_equal(name_from_text(name, x->m.qname_asked), 0);
    x->m.qname_len = (uint8_t)name_lower(x->m.qname_asked, x->m.qname);
    x->m.qname_labels = (uint8_t)name_labels(x->m.qname);
    chain_question(x);
    x->q.received_ns = clock_monotonic_ns();
    x->listen = &generation->listens[0];
    x->deliver = deliver;
    delivered = false;
    last = (struct outcome){0};
    const struct route *r;
    const struct block *b = route_query(x->listen, &x->q, &r);
    assert_non_null(b);
    chain_enter(x, r, b, 0);
    chain_start(x);
    return x;
}

static enum verdict answer(struct query *q)
{
    assert_int_equal(records_add(&q->reply.answer, q->arena, q->qname_asked, RR_A, 5, (const uint8_t *)"\1\2\3\4", 4),
                     0);
    return VERDICT_DONE;
}

static enum verdict park(struct query *q)
{
    waiting = q;
    return VERDICT_WAIT;
}

static enum verdict resume_at_once(struct query *q)
{
    query_resume(q, answer(q));
    return VERDICT_WAIT;
}

static enum verdict refuse(struct query *q)
{
    return query_fail(q, RCODE_REFUSED, "no %s", "way");
}

static enum verdict drop(struct query *q)
{
    (void)q;
    return VERDICT_DROP;
}

static void test_in_and_out(void **state)
{
    (void)state;
    does[1].query = answer;
    ask("www.example.");
    assert_string_equal(trace, "q0 q1 r1 r0 d1 d0 ");
    assert_true(last.sent);
    assert_string_equal(last.origin, "one");
    assert_int_equal(worker.nactive, 0);
}

static void test_nobody_answers(void **state)
{
    (void)state;
    ask("www.example.");
    assert_string_equal(trace, "q0 q1 q2 r2 r1 r0 d2(plugin/two: no next plugin found) d1(plugin/two: no next plugin "
                               "found) d0(plugin/two: no next plugin found) ");
    assert_int_equal(last.rcode, RCODE_SERVFAIL);
}

static void test_fail(void **state)
{
    (void)state;
    does[1].query = refuse;
    ask("www.example.");
    assert_string_equal(trace, "q0 q1 r1 r0 d1(no way) d0(no way) ");
    assert_int_equal(last.rcode, RCODE_REFUSED);
    assert_string_equal(last.origin, "one");
}

static void test_drop(void **state)
{
    (void)state;
    does[1].query = drop;
    ask("www.example.");
    assert_string_equal(trace, "q0 q1 d1 d0 ");
    assert_false(last.sent);
}

static void test_wait_on_the_way_in(void **state)
{
    (void)state;
    does[1].query = park;
    does[2].query = answer;
    ask("www.example.");
    assert_false(delivered);
    assert_int_equal(atomic_load(&generation->pins), 1);
    query_resume(waiting, VERDICT_NEXT);
    assert_string_equal(trace, "q0 q1 q2 r2 r1 r0 d2 d1 d0 ");
    assert_int_equal(atomic_load(&generation->pins), 0);
}

static void test_wait_on_the_way_out(void **state)
{
    (void)state;
    does[2].query = answer;
    does[1].reply = park;
    ask("www.example.");
    assert_string_equal(trace, "q0 q1 q2 r2 r1 ");
    query_resume(waiting, VERDICT_NEXT);
    assert_string_equal(trace, "q0 q1 q2 r2 r1 r0 d2 d1 d0 ");
    assert_true(last.sent);
}

static void test_resumed_before_the_hook_returned(void **state)
{
    (void)state;
    does[1].query = resume_at_once;
    ask("www.example.");
    assert_string_equal(trace, "q0 q1 r1 r0 d1 d0 ");
    assert_true(last.sent);
}

static enum verdict reply_fails(struct query *q)
{
    return query_fail(q, RCODE_SERVFAIL, "late");
}

static void test_reply_can_fail_and_drop(void **state)
{
    (void)state;
    does[2].query = answer;
    does[1].reply = reply_fails;
    ask("www.example.");
    assert_string_equal(trace, "q0 q1 q2 r2 r1 r0 d2(late) d1(late) d0(late) ");
    trace[0] = '\0';
    does[1].reply = drop;
    ask("www.example.");
    assert_string_equal(trace, "q0 q1 q2 r2 r1 d2 d1 d0 ");
    assert_false(last.sent);
}

// Runs the worker's loop until `delivered`.
static void run_until_delivered(void)
{
    uint64_t end = clock_monotonic_ns() + UINT64_C(5000000000);
    while (!delivered && clock_monotonic_ns() < end)
        uv_run(&worker.loop, UV_RUN_ONCE);
    assert_true(delivered);
}

static enum verdict park_briefly(struct query *q)
{
    query_exchange(q)->deadline_ns = clock_monotonic_ns() + 20000000;
    return park(q);
}

static void test_a_parked_query_times_out(void **state)
{
    (void)state;
    does[1].query = park_briefly;
    ask("www.example.");
    run_until_delivered();
    assert_string_equal(trace, "q0 q1 c1 r1 r0 d1(query timed out) d0(query timed out) ");
    assert_int_equal(last.rcode, RCODE_SERVFAIL);
    assert_null(waiting);
}

static void test_an_expired_query_cannot_wait_again(void **state)
{
    (void)state;
    does[1].query = park_briefly;
    does[0].reply = park;
    ask("www.example.");
    run_until_delivered();
    assert_string_equal(trace, "q0 q1 c1 r1 r0 c0 d1(query timed out) d0(query timed out) ");
}

static void test_shutdown_cancels(void **state)
{
    (void)state;
    does[1].query = park;
    chain_cancel(ask("www.example."));
    assert_string_equal(trace, "q0 q1 c1 d1 d0 ");
    assert_false(last.sent);
}

// Child questions.

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
    assert_string_equal(last.error, "too many queries are waiting");
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

static void test_exchanges_are_bounded(void **state)
{
    (void)state;
    for (int i = 0; i < WORKER_EXCHANGES; i++)
        assert_non_null(worker_exchange(&worker));
    assert_null(worker_exchange(&worker));
    while (worker.active != NULL)
        worker_release(&worker, worker.active);
    assert_int_equal(worker.nactive, 0);
    assert_int_equal(worker.nidle, WORKER_IDLE);
}

// Streams.

static int to_produce;

static int produce(struct query *q, void *arg)
{
    assert_ptr_equal(arg, &to_produce);
    assert_int_equal(q->reply.answer.n, 0);
    answer(q);
    return to_produce > 0 ? (--to_produce > 0 ? 1 : 0) : CDNS_EIO;
}

static enum verdict start_stream(struct query *q)
{
    query_exchange(q)->stream_send = stream_send;
    assert_int_equal(query_stream(q, produce, &to_produce), 0);
    return VERDICT_STREAM;
}

static void test_stream_pauses_while_the_socket_is_full(void **state)
{
    (void)state;
    does[1].query = start_stream;
    to_produce = 5;
    messages = 0;
    room = 2;
    struct exchange *x = ask("www.example.");
    assert_int_equal(messages, 2);
    assert_false(delivered);
    room = 100;
    chain_stream_drained(x, false);
    assert_int_equal(messages, 5);
    assert_true(delivered);
    assert_int_equal(last.size, 500);
    assert_string_equal(trace, "q0 q1 d1 d0 ");
}

static void test_stream_whose_connection_goes(void **state)
{
    (void)state;
    does[1].query = start_stream;
    to_produce = 5;
    room = 1;
    chain_stream_drained(ask("www.example."), true);
    assert_true(delivered);
    assert_false(last.sent);
}

static void test_stream_that_fails(void **state)
{
    (void)state;
    does[1].query = start_stream;
    to_produce = 0;
    room = 10;
    ask("www.example.");
    assert_true(delivered);
    assert_false(last.sent);
}

static void test_no_stream_over_udp(void **state)
{
    (void)state;
    struct exchange *x = worker_exchange(&worker);
    assert_int_equal(query_stream(&x->q, produce, NULL), CDNS_EINVAL);
    worker_release(&worker, x);
}

// Configuration.

static bool never(const struct query *q)
{
    return q->qname_labels == 0;
}

static void test_match_chooses_the_block(void **state)
{
    (void)state;
    uint8_t name[NAME_MAX_WIRE];
    struct query q = {.qname = name, .qname_labels = 3, .qtype = RR_A};
    assert_int_equal(name_from_text("a.other.example.", name), 0);
    const struct route *r;
    assert_non_null(route_query(&generation->listens[0], &q, &r));
    assert_string_equal(r->zone_text, "other.example.");
    does[0].match = never;
    assert_null(route_query(&generation->listens[0], &q, &r));
}

static void test_interfaces_are_joined(void **state)
{
    (void)state;
    assert_int_equal(joined, 2 * 42);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, child_setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_in_and_out),
        CASE(test_nobody_answers),
        CASE(test_fail),
        CASE(test_drop),
        CASE(test_wait_on_the_way_in),
        CASE(test_wait_on_the_way_out),
        CASE(test_resumed_before_the_hook_returned),
        CASE(test_reply_can_fail_and_drop),
        CASE(test_a_parked_query_times_out),
        CASE(test_an_expired_query_cannot_wait_again),
        CASE(test_shutdown_cancels),
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
        CASE(test_exchanges_are_bounded),
        CASE(test_stream_pauses_while_the_socket_is_full),
        CASE(test_stream_whose_connection_goes),
        CASE(test_stream_that_fails),
        CASE(test_no_stream_over_udp),
        CASE(test_match_chooses_the_block),
        CASE(test_interfaces_are_joined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
