// SPDX-License-Identifier: Apache-2.0
// What waiting queries may take of a worker, and that it leaves the others their way: a plugin that parks names that
// begin with "w" and answers all others, on a worker without a thread.
#include "base/rcu.h"
#include "metrics_test.h"
#include "server/chain.h"
#include "server/counters.h"
#include "server/serve.h"

#include <arpa/inet.h>
#include <string.h>

static struct generation *generation;
static struct worker worker;
static struct query *waiting[WORKER_PARKED];
static unsigned nwaiting, refused, ended;
static size_t more; // bytes that a query takes before it waits

static enum verdict wait_query(void *self, struct query *q)
{
    (void)self;
    if (q->qname[1] != 'w')
        return VERDICT_DONE;
    assert_non_null(arena_alloc(q->arena, more));
    if (nwaiting < WORKER_PARKED)
        waiting[nwaiting] = q;
    nwaiting++;
    return VERDICT_WAIT;
}

static void wait_cancel(void *self, struct query *q)
{
    (void)self, (void)q;
    nwaiting--;
}

static void wait_done(void *self, const struct query *q, const struct outcome *o)
{
    (void)self, (void)q;
    ended++;
    if (o->error == NULL)
        return;
    assert_int_equal(o->rcode, RCODE_SERVFAIL);
    assert_string_equal(o->error, "too many queries are waiting");
    refused++;
}

static const struct plugin waits = {
    .abi = CLUSTERDNS_PLUGIN_ABI, .name = "waits", .query = wait_query, .cancel = wait_cancel, .done = wait_done};

static void report(void *arg, const char *text)
{
    (void)arg;
    fail_msg("%s", text);
}

static int setup(void **state)
{
    (void)state;
    static const struct plugin *const plugins[] = {&waits};
    char error[CONFIG_ERROR_MAX];
    struct corefile cf;
    struct arena *a = arena_new(0);
    rcu_thread_start();
    assert_int_equal(corefile_parse_text(a, "Corefile", ".\nwaits\n", 8, NULL, NULL, &cf, error), 0);
    assert_int_equal(generation_build_parsed(a, &cf, plugins, 1, 53, report, NULL, &generation), 0);
    assert_int_equal(generation_start(generation, NULL, NULL, error), 0);
    assert_int_equal(worker_init(&worker, 0), 0);
    worker_set_current(&worker);
    nwaiting = refused = ended = 0;
    more = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    while (worker.active != NULL)
        chain_cancel(worker.active);
    assert_int_equal(atomic_load(&worker.nparked), 0);
    assert_int_equal(atomic_load(&worker.parked_bytes), 0);
    assert_int_equal(atomic_load(&generation->pins), 0);
    worker_free(&worker);
    worker_set_current(NULL);
    generation_stop(generation);
    generation_free(generation);
    rcu_thread_end();
    return 0;
}

static void deliver_nothing(struct exchange *x, struct outcome *o)
{
    (void)x, (void)o;
}

// Asks a name with a packet of `size` bytes. Returns the answer's rcode; -1: it waits.
static int ask(char first, size_t size)
{
    static uint8_t packet[NET_QUERY_MAX], out[NET_UDP_MAX];
    const struct udp_peer peer = {.client.in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
    struct worker_socket s = {.worker = &worker, .listen = &generation->listens[0]};
    memcpy(packet, "\0\1\1\0\0\1\0\0\0\0\0\0\3www\7example\0\0\1\0\1", 29);
    packet[13] = (uint8_t)first;
    size_t n = serve_udp(&s, NULL, &peer, packet, size, out, sizeof out);
    if (n > 0)
        return out[3] & 15;
    query_exchange(waiting[nwaiting - 1])->deliver = deliver_nothing;
    return -1;
}

static void resume_one(void)
{
    query_resume(waiting[--nwaiting], VERDICT_DONE);
}

static void those_that_wait_leave_room(void **state)
{
    (void)state;
    for (unsigned i = 0; i < WORKER_PARKED; i++)
        assert_int_equal(ask('w', 100), -1);
    assert_int_equal(atomic_load(&worker.nparked), WORKER_PARKED);
    // One more fails, at once and with all hooks; its plugin forgets it.
    for (unsigned i = 0; i < WORKER_EXCHANGES; i++)
        assert_int_equal(ask('w', 100), RCODE_SERVFAIL);
    assert_int_equal(refused, WORKER_EXCHANGES);
    assert_int_equal(nwaiting, WORKER_PARKED);
    assert_metric("clusterdns_dns_waiting_refused_total", WORKER_EXCHANGES);
    // What need not wait is answered.
    assert_int_equal(ask('a', 100), RCODE_NOERROR);
    // As one ends, another may wait.
    resume_one();
    assert_int_equal(ask('w', 100), -1);
    assert_int_equal(ask('w', 100), RCODE_SERVFAIL);
}

static void what_one_holds(void **state)
{
    (void)state;
    assert_int_equal(ask('w', 512), -1);
    size_t one = atomic_load(&worker.parked_bytes);
    print_message("a query that waits holds %zu bytes: an exchange's %zu and its arena's\n", one,
                  sizeof(struct exchange));
    assert_true(one <= 2200);
    assert_true(one * WORKER_PARKED <= WORKER_PARKED_BYTES);
    // A long question.
    assert_int_equal(ask('w', 4000), -1);
    size_t two = atomic_load(&worker.parked_bytes);
    assert_true(two - one >= sizeof(struct exchange) + 4000 && two - one <= 19000);
    resume_one();
    assert_int_equal(atomic_load(&worker.parked_bytes), one);
}

static void bytes_are_bounded(void **state)
{
    (void)state;
    unsigned n = 0;
    more = 500000;
    while (ask('w', 100) == -1)
        n++;
    assert_true(n >= 14 && n * more <= WORKER_PARKED_BYTES);
    assert_int_equal(refused, 1);
    assert_true(atomic_load(&worker.parked_bytes) <= WORKER_PARKED_BYTES);
    assert_int_equal(ask('a', 100), RCODE_NOERROR);
    // There is room for a smaller one.
    more = 0;
    assert_int_equal(ask('w', 100), -1);
}

// An exchange that was once large is as small as any other when it waits, but for one chunk that is kept for reuse.
static void large_answers_leave_little(void **state)
{
    (void)state;
    more = 500000;
    assert_int_equal(ask('w', 100), -1);
    resume_one();
    more = 0;
    assert_int_equal(ask('w', 100), -1);
    assert_true(atomic_load(&worker.parked_bytes) <= 19000);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(those_that_wait_leave_room),
        CASE(what_one_holds),
        CASE(bytes_are_bounded),
        CASE(large_answers_leave_little),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
