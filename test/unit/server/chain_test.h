// SPDX-License-Identifier: Apache-2.0
#pragma once
// What tests of the chain stand on: three small test plugins whose hooks each case sets, in two blocks, on a worker
// without a thread. Every hook that runs leaves its mark in a trace, which the cases compare.
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

static inline int stream_send(struct exchange *x, bool end)
{
    (void)end;
    messages++;
    x->streamed += 100;
    return --room > 0 ? 0 : CDNS_EAGAIN;
}

// A question for A.
static void fill_question(struct exchange *x, const char *name)
{
    assert_non_null(x);
    x->m = (struct message){.id = 1, .qtype = RR_A, .qclass = CLASS_IN, .question_end = 30};
    assert_int_equal(name_from_text(name, x->m.qname_asked), 0);
    x->m.qname_len = (uint8_t)name_lower(x->m.qname_asked, x->m.qname);
    x->m.qname_labels = (uint8_t)name_labels(x->m.qname);
    chain_question(x);
    x->q.received_ns = clock_monotonic_ns();
}

static void enter(struct exchange *x)
{
    x->listen = &generation->listens[0];
    x->deliver = deliver;
    delivered = false;
    last = (struct outcome){0};
    const struct route *r;
    const struct block *b = route_query(x->listen, &x->q, &r);
    assert_non_null(b);
    chain_enter(x, r, b, 0);
    chain_start(x);
}

// Returns the exchange, which is gone unless it is parked.
static struct exchange *ask(const char *name)
{
    struct exchange *x = worker_exchange(&worker);
    fill_question(x, name);
    enter(x);
    return x;
}

static inline enum verdict answer(struct query *q)
{
    assert_int_equal(records_add(&q->reply.answer, q->arena, q->qname_asked, RR_A, 5, (const uint8_t *)"\1\2\3\4", 4),
                     0);
    return VERDICT_DONE;
}

static inline enum verdict park(struct query *q)
{
    waiting = q;
    return VERDICT_WAIT;
}

static inline enum verdict resume_at_once(struct query *q)
{
    query_resume(q, answer(q));
    return VERDICT_WAIT;
}

static inline enum verdict refuse(struct query *q)
{
    return query_fail(q, RCODE_REFUSED, "no %s", "way");
}

static inline enum verdict drop(struct query *q)
{
    (void)q;
    return VERDICT_DROP;
}

// Runs the worker's loop until `delivered`.
static inline void run_until_delivered(void)
{
    uint64_t end = clock_monotonic_ns() + UINT64_C(5000000000);
    while (!delivered && clock_monotonic_ns() < end)
        uv_run(&worker.loop, UV_RUN_ONCE);
    assert_true(delivered);
}

static inline enum verdict park_briefly(struct query *q)
{
    query_exchange(q)->deadline_ns = clock_monotonic_ns() + 20000000;
    return park(q);
}
