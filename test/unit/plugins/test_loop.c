// SPDX-License-Identifier: Apache-2.0
// loop, in a block with a forward that is no more than a test needs, on a worker without a thread. Time is the test's
// own.
#include "base/rcu.h"
#include "metrics_test.h"
#include "plugin_test.h"
#include "server/chain.h"
#include "server/generation.h"
#include "server/state.h"
#include "server/worker.h"

#include <clusterdns/forward.h>
#include <uv.h>

extern const struct plugin clusterdns_plugin_loop;
static const struct plugin *const loop = &clusterdns_plugin_loop;

static void reads_its_directive(void **state)
{
    (void)state;
    static const struct setup_case cases[] = {
        {"loop", NULL},
        {"loop {\n}", NULL},
        {"loop {\non_loop exit\n}", NULL},
        {"loop {\non_loop disable_forward\n}", NULL},
        {"loop x y", "plugin/loop: Corefile:2 - Error during parsing: Wrong argument count or unexpected line ending "
                     "after 'x'"},
        {"loop\nloop", "plugin/loop: this plugin can only be used once per Server Block (Corefile:3)"},
        {"loop {\nfoo\n}", "plugin/loop: Corefile:3 - Error during parsing: unknown property 'foo'"},
        {"loop {\non_loop\n}", "plugin/loop: Corefile:3 - Error during parsing: Wrong argument count or unexpected "
                               "line ending after 'on_loop'"},
        {"loop {\non_loop exit now\n}", "plugin/loop: Corefile:3 - Error during parsing: Wrong argument count or "
                                        "unexpected line ending after 'now'"},
        {"loop {\non_loop no\n}",
         "plugin/loop: Corefile:3 - Error during parsing: on_loop must be exit or disable_forward, not 'no'"},
    };
    check_setups(loop, cases, COUNT(cases));
}

// The server ---------------------------------------------------------------------------------------------------------

static struct server_state server;
static struct worker worker;

static void keep_rcode(struct exchange *x, struct outcome *o)
{
    (void)o;
    *(uint16_t *)x->client.tcp = x->dropped ? UINT16_MAX : x->q.reply.rcode;
}

// A question from outside; returns the rcode.
static uint16_t ask(const uint8_t *name, uint16_t qtype)
{
    uint16_t rcode = UINT16_MAX;
    struct exchange *x = worker_exchange(&worker);
    assert_non_null(x);
    x->m = (struct message){.id = 1, .qtype = qtype, .qclass = CLASS_IN, .question_end = 30};
    x->m.qname_len = (uint8_t)name_length(name);
    memcpy(x->m.qname_asked, name, x->m.qname_len);
    name_lower(name, x->m.qname);
    x->m.qname_labels = (uint8_t)name_labels(name);
    chain_question(x);
    x->q.transport = TRANSPORT_UDP;
    set_ipv6(&x->q.client, "fd00::7", 5353);
    x->client.tcp = (void *)&rcode;
    x->listen = &server.generation->listens[0];
    x->deliver = keep_rcode;
    const struct route *r;
    const struct block *b = route_query(x->listen, &x->q, &r);
    assert_non_null(b);
    chain_enter(x, r, b, 0);
    chain_start(x);
    return rcode;
}

// What stands for the block's forward: what it has been asked, and what it does.
static struct {
    enum { ANSWERS, LOOPS, FAILS, WAITS } does;
    unsigned asked, outside; // in all; by others than the server
    uint8_t names[64][NAME_MAX_WIRE];
    uint16_t came_back_with; // rcode of what came back
    struct query *waiting;
    const uint8_t *off; // what switch_off() was told
} forward;

static enum verdict forward_query(void *self, struct query *q)
{
    (void)self;
    assert_in_range(forward.asked, 0, 63);
    memcpy(forward.names[forward.asked++], q->qname, q->qname_len);
    forward.outside += q->transport != TRANSPORT_INTERNAL;
    if (q->transport != TRANSPORT_INTERNAL)
        return VERDICT_DONE;
    assert_true(q->rd);
    assert_int_equal(q->qtype, RR_HINFO);
    switch (forward.does) {
    case ANSWERS:
        q->reply.rcode = RCODE_NXDOMAIN;
        return VERDICT_DONE;
    case LOOPS: {
        uint8_t mixed[NAME_MAX_WIRE]; // another server may well change the case
        memcpy(mixed, q->qname, q->qname_len);
        for (uint8_t *p = mixed + q->qname_len - 1; p > mixed; p--)
            *p = *p >= 'a' && *p <= 'z' ? (uint8_t)(*p - 32) : *p;
        forward.came_back_with = q->reply.rcode = ask(mixed, RR_HINFO);
        return VERDICT_DONE;
    }
    case FAILS:
        return query_fail(q, RCODE_SERVFAIL, "connection refused");
    case WAITS:
        forward.waiting = q;
        return VERDICT_WAIT;
    }
    return VERDICT_NEXT;
}

static bool switch_off(void *self, const uint8_t *probe, bool off)
{
    assert_ptr_equal(self, &forward);
    assert_true(off == (forward.off == NULL));
    forward.off = off ? probe : NULL;
    return true;
}

static int forward_setup(struct config *c, void **self)
{
    (void)c;
    *self = &forward;
    return 0;
}

static const struct forward_ops ops = {.switch_off = switch_off};
static const struct plugin_interface offers[] = {{FORWARD_INTERFACE, &ops}, {0}};
static const struct plugin forward_plugin = {.abi = CLUSTERDNS_PLUGIN_ABI,
                                             .name = "elsewhere",
                                             .setup = forward_setup,
                                             .query = forward_query,
                                             .provides = offers};

static void report(void *arg, const char *text)
{
    (void)arg;
    fail_msg("%s", text);
}

static void serve(const char *corefile)
{
    static const struct plugin *const plugins[] = {&clusterdns_plugin_loop, &forward_plugin};
    struct arena *a = arena_new(0);
    struct corefile file;
    char error[CONFIG_ERROR_MAX];
    memset(&forward, 0, sizeof forward);
    server = (struct server_state){.workers = &worker, .nworkers = 1, .nstarted = 1};
    assert_int_equal(uv_loop_init(&server.loop), 0);
    assert_int_equal(worker_init(&worker, 0), 0);
    worker_set_current(&worker);
    assert_int_equal(corefile_parse_text(a, "Corefile", corefile, strlen(corefile), any_directive, NULL, &file, error),
                     0);
    assert_int_equal(generation_build_parsed(a, &file, plugins, 2, 53, report, NULL, &server.generation), 0);
    assert_int_equal(generation_start(server.generation, &server.loop, &server, error), 0);
}

static void end(void)
{
    generation_stop(server.generation);
    worker_free(&worker);
    worker_set_current(NULL);
    while (uv_run(&server.loop, UV_RUN_DEFAULT) != 0) // server_give_up() stops it once
        ;
    assert_int_equal(uv_loop_close(&server.loop), 0);
    generation_free(server.generation);
}

static void find_timer(uv_handle_t *handle, void *arg)
{
    if (handle->type == UV_TIMER && uv_is_active(handle))
        *(uv_timer_t **)arg = (uv_timer_t *)handle;
}

#define NEVER UINT64_MAX

// Goes on to the time that the plugin waits for, and has it do what it waits to do. Returns the milliseconds; NEVER: it
// waits for nothing.
static uint64_t step(void)
{
    uv_timer_t *timer = NULL;
    uv_walk(&server.loop, find_timer, &timer);
    if (timer == NULL)
        return NEVER;
    uint64_t ms = uv_timer_get_due_in(timer);
    server.loop.time += ms;
    uv_timer_stop(timer);
    timer->timer_cb(timer);
    return ms;
}

// Steps until nothing is waited for, or the server ends; returns how long that took.
static uint64_t run(void)
{
    uint64_t total = 0, ms;
    while (!server.done && (ms = step()) != NEVER)
        total += ms;
    return total;
}

static bool is_number(const uint8_t *label)
{
    for (unsigned i = 1; i <= label[0]; i++)
        if (label[i] < '0' || label[i] > '9')
            return false;
    return label[0] >= 1 && label[0] <= 19;
}

// --------------------------------------------------------------------------------------------------------------------

static void probes_once(void **state)
{
    (void)state;
    serve("example.org . {\nloop\nelsewhere\n}\n");
    assert_int_equal(run(), 50);
    assert_int_equal(forward.asked, 1);
    assert_false(server.done);
    const uint8_t *first = forward.names[0], *second = name_skip(first, 1);
    assert_true(is_number(first) && is_number(second));
    assert_true(name_equal(name_skip(first, 2), (const uint8_t *)"\7example\3org"));
    assert_metric("clusterdns_loop_detected_total{server=\"dns://:53\",zone=\"example.org.\"}", 0);
    end();
}

// 100 servers, 100 names, no number among them twice.
static void cannot_be_guessed(void **state)
{
    (void)state;
    uint8_t seen[200][24];
    for (unsigned i = 0; i < 100; i++) {
        serve(". {\nloop\nelsewhere\n}\n");
        run();
        memcpy(seen[2 * i], forward.names[0], forward.names[0][0] + 1U);
        const uint8_t *second = name_skip(forward.names[0], 1);
        memcpy(seen[2 * i + 1], second, second[0] + 1U);
        end();
        for (unsigned k = 0; k < 2 * i; k++)
            assert_false(memcmp(seen[k], seen[2 * i], seen[2 * i][0] + 1U) == 0 ||
                         memcmp(seen[k], seen[2 * i + 1], seen[2 * i + 1][0] + 1U) == 0);
    }
}

static void ends_the_process(void **state)
{
    (void)state;
    char expected[NAME_MAX_TEXT + 256], name[NAME_MAX_TEXT];
    serve(".:1053 {\nloop\nelsewhere\n}\n");
    forward.does = LOOPS;
    log_begin(LOG_FORMAT_TEXT);
    assert_int_equal(run(), 100);
    name_to_text(forward.names[1], name);
    snprintf(expected, sizeof expected,
             "[FATAL] plugin/loop: Loop ([fd00::7]:5353 -> :1053) detected for zone \".\", see "
             "https://coredns.io/plugins/loop#troubleshooting. Query: \"HINFO %s\"\n",
             name);
    assert_string_equal(log_end(), expected);
    assert_true(server.failed && server.done && server_stopping(&server));
    // Each probe came back once, and not to forward.
    assert_int_equal(forward.asked, 2);
    assert_int_equal(forward.came_back_with, RCODE_NXDOMAIN);
    assert_false(name_equal(forward.names[0], forward.names[1]));
    assert_true(name_equal(name_skip(forward.names[0], 1), name_skip(forward.names[1], 1)));
    assert_metric("clusterdns_loop_detected_total{server=\"dns://:1053\",zone=\".\"}", 1);
    assert_null(forward.off);
    end();
}

// One probe that comes back and one that does not: no loop.
static void is_not_sure_at_once(void **state)
{
    (void)state;
    serve(". {\nloop\nelsewhere\n}\n");
    forward.does = LOOPS;
    assert_int_equal(step(), 0);
    assert_int_equal(step(), 50);
    forward.does = ANSWERS;
    assert_int_equal(run(), 50);
    assert_false(server.done);
    assert_int_equal(forward.asked, 2);
    end();
}

static void switches_forwarding_off_and_on(void **state)
{
    (void)state;
    static const char off[] = "clusterdns_loop_forward_off{server=\"dns://:53\",zone=\"example.net.\"}";
    serve("example.net {\nloop {\non_loop disable_forward\n}\nelsewhere\n}\n");
    assert_metric(off, 0);
    forward.does = LOOPS;
    log_begin(LOG_FORMAT_TEXT);
    assert_int_equal(step() + step() + step() + step(), 100);
    assert_false(server.done);
    assert_non_null(forward.off);
    assert_true(name_in_zone(forward.names[0], forward.off));
    assert_true(name_equal(name_skip(forward.off, 1), (const uint8_t *)"\7example\3net"));
    assert_metric(off, 1);
    // It looks again, for as long as it takes; that nobody answers is no reason to go on.
    assert_int_equal(step(), 30000);
    assert_int_equal(step(), 50);
    forward.does = FAILS;
    assert_int_equal(step(), 30000);
    assert_int_equal(step(), 50);
    assert_int_equal(step(), 30000);
    assert_int_equal(step(), 50);
    assert_non_null(forward.off);
    forward.does = ANSWERS;
    assert_int_equal(step(), 30000);
    assert_int_equal(step(), 50);
    assert_null(forward.off);
    assert_metric(off, 0);
    assert_metric("clusterdns_loop_detected_total{server=\"dns://:53\",zone=\"example.net.\"}", 1);
    assert_int_equal(step(), NEVER);
    const char *lines = log_end();
    assert_non_null(strstr(lines, "[ERROR] plugin/loop: Loop ([fd00::7]:5353 -> :53) detected for zone "
                                  "\"example.net.\", see https://coredns.io/plugins/loop#troubleshooting. Query: "
                                  "\"HINFO "));
    assert_non_null(strstr(lines, "example.net.\". Forwarding is switched off until the loop is gone\n[INFO] "
                                  "plugin/loop: The loop for zone example.net. is gone, forwarding is switched on\n"));
    end();
}

// SERVFAIL says nothing: again each second, for half a minute.
static void tries_for_a_while(void **state)
{
    (void)state;
    serve(". {\nloop\nelsewhere\n}\n");
    forward.does = FAILS;
    assert_in_range(run(), 29000, 32000);
    assert_in_range(forward.asked, 28, 31);
    end();
    serve(". {\nloop\nelsewhere\n}\n");
    forward.does = FAILS;
    assert_int_equal(step() + step() + step(), 1050);
    forward.does = LOOPS;
    run();
    assert_true(server.failed);
    end();
}

// A probe is under way until its answer comes, or the worker has given it up.
static void waits_for_its_probe(void **state)
{
    (void)state;
    serve(". {\nloop\nelsewhere\n}\n");
    forward.does = WAITS;
    for (int i = 0; i < 20; i++)
        assert_int_equal(step(), i == 0 ? 0 : 50);
    assert_int_equal(forward.asked, 1);
    chain_expire(query_exchange(forward.waiting));
    assert_int_equal(step(), 50);
    assert_int_equal(step(), 1000);
    assert_int_equal(forward.asked, 2);
    forward.waiting->reply.rcode = RCODE_NXDOMAIN;
    query_resume(forward.waiting, VERDICT_DONE);
    assert_int_equal(run(), 50);
    end();
    // At the end one may be under way.
    serve(". {\nloop\nelsewhere\n}\n");
    forward.does = WAITS;
    step();
    assert_non_null(forward.waiting);
    end();
}

// A configuration that is not served, yet or any more, asks nothing: its queries would outlive it.
static void waits_until_it_is_served(void **state)
{
    (void)state;
    serve(". {\nloop\nelsewhere\n}\n");
    struct generation *g = server.generation;
    server.generation = NULL;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(step(), i == 0 ? 0 : 50);
    server.generation = g;
    server.nstarted = 0;
    step();
    assert_int_equal(forward.asked, 0);
    server.nstarted = 1;
    forward.does = FAILS;
    assert_in_range(run(), 29000, 32000); // counted from the first probe
    end();
}

static void takes_only_its_own(void **state)
{
    (void)state;
    uint8_t longer[NAME_MAX_WIRE];
    serve(". {\nloop\nelsewhere\n}\n");
    run();
    const uint8_t *probe = forward.names[0];
    forward.asked = 1;
    forward.outside = 0;
    assert_int_equal(ask(probe, RR_A), RCODE_NOERROR);
    assert_int_equal(ask(name_skip(probe, 1), RR_HINFO), RCODE_NOERROR);
    assert_int_equal(ask((const uint8_t *)"\1"
                                          "1\1"
                                          "2",
                         RR_HINFO),
                     RCODE_NOERROR);
    assert_true(name_prepend_label((const uint8_t *)"a", 1, probe, longer) > 0);
    assert_int_equal(ask(longer, RR_HINFO), RCODE_NOERROR);
    assert_int_equal(forward.outside, 4);
    assert_int_equal(ask(probe, RR_HINFO), RCODE_NXDOMAIN); // late: it goes round no more
    assert_int_equal(forward.outside, 4);
    assert_false(server.done);
    end();
}

static int begin_thread(void **state)
{
    (void)state;
    rcu_thread_start();
    return 0;
}

static int end_thread(void **state)
{
    (void)state;
    rcu_thread_end();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_its_directive),      cmocka_unit_test(probes_once),
        cmocka_unit_test(cannot_be_guessed),        cmocka_unit_test(ends_the_process),
        cmocka_unit_test(is_not_sure_at_once),      cmocka_unit_test(switches_forwarding_off_and_on),
        cmocka_unit_test(tries_for_a_while),        cmocka_unit_test(waits_for_its_probe),
        cmocka_unit_test(waits_until_it_is_served), cmocka_unit_test(takes_only_its_own),
    };
    return cmocka_run_group_tests(tests, begin_thread, end_thread);
}
