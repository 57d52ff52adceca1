// SPDX-License-Identifier: Apache-2.0
// What the server counts of queries: three blocks, two of which are counted, on a worker without a thread.
#include "base/clock.h"
#include "base/rcu.h"
#include "corefile/corefile.h"
#include "metrics_test.h"
#include "server/chain.h"
#include "server/counters.h"
#include "server/generation.h"
#include "server/serve.h"
#include "server/worker.h"

#include <arpa/inet.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static struct generation *generation;
static struct worker worker;
static struct query *waiting;

// ---- plugins ----

static int count_start(void *self, const struct plugin_start *s)
{
    *(const struct placement **)self = s->placement;
    return server_count_block(s->placement);
}

static void count_stop(void *self)
{
    server_uncount_block(*(const struct placement **)self);
}

static int setup_pointer(struct config *c, void **self)
{
    *self = arena_calloc(c->arena, 1, sizeof(void *));
    return *self != NULL ? 0 : CDNS_ENOMEM;
}

static void count_done(void *self, const struct query *q, const struct outcome *o)
{
    (void)self;
    query_count(q, o);
}

// The first label of the name says what becomes of it.
static enum verdict act_query(void *self, struct query *q)
{
    (void)self;
    switch (q->qname[1]) {
    case 'd':
        return VERDICT_DROP;
    case 'f':
        return query_fail(q, RCODE_REFUSED, "no");
    case 'o':
        q->reply.rcode = 3000;
        return VERDICT_DONE;
    case 'w':
        waiting = q;
        return VERDICT_WAIT;
    case 'n':
        return VERDICT_NEXT;
    default:
        return VERDICT_DONE;
    }
}

static enum verdict last_query(void *self, struct query *q)
{
    (void)self;
    q->reply.rcode = RCODE_NXDOMAIN;
    return VERDICT_DONE;
}

static void cancel(void *self, struct query *q)
{
    (void)self, (void)q;
    waiting = NULL;
}

static const struct plugin counting = {.abi = CLUSTERDNS_PLUGIN_ABI,
                                       .name = "counting",
                                       .setup = setup_pointer,
                                       .start = count_start,
                                       .stop = count_stop,
                                       .done = count_done};
static const struct plugin act = {.abi = CLUSTERDNS_PLUGIN_ABI, .name = "act", .query = act_query, .cancel = cancel};
static const struct plugin last = {.abi = CLUSTERDNS_PLUGIN_ABI, .name = "last", .query = last_query};
static const struct plugin idle = {.abi = CLUSTERDNS_PLUGIN_ABI, .name = "idle"};
static const struct plugin *const plugins[] = {&counting, &act, &last, &idle};

static const char corefile[] = "one.test two.test {\ncounting\nact\nlast\nidle\n}\n"
                               "other.test {\nact\nlast\n}\n"
                               "three.test:1054 {\ncounting\nlast\n}\n";

// ---- the server ----

static bool any_directive(void *arg, const char *name)
{
    (void)arg, (void)name;
    return true;
}

static void report(void *arg, const char *text)
{
    (void)arg;
    fail_msg("%s", text);
}

static struct generation *start_generation(const char *text)
{
    char error[CONFIG_ERROR_MAX];
    struct corefile cf;
    struct generation *g;
    struct arena *a = arena_new(0);
    assert_int_equal(corefile_parse_text(a, "Corefile", text, strlen(text), any_directive, NULL, &cf, error), 0);
    assert_int_equal(generation_build_parsed(a, &cf, plugins, COUNT(plugins), 53, report, NULL, &g), 0);
    assert_int_equal(generation_start(g, NULL, NULL, error), 0);
    return g;
}

static void end_generation(struct generation *g)
{
    generation_stop(g);
    generation_free(g);
}

static int begin(void **state)
{
    (void)state;
    rcu_thread_start();
    generation = start_generation(corefile);
    assert_int_equal(worker_init(&worker, 0), 0);
    worker_set_current(&worker);
    return 0;
}

static int end(void **state)
{
    (void)state;
    worker_free(&worker);
    worker_set_current(NULL);
    end_generation(generation);
    rcu_thread_end();
    return 0;
}

static void deliver(struct exchange *x, struct outcome *o)
{
    o->sent = !x->dropped;
    o->size = 512;
}

// The client is gone.
static void deliver_in_vain(struct exchange *x, struct outcome *o)
{
    (void)x;
    o->sent = false;
}

struct asked {
    const char *name;
    uint16_t type;
    enum transport transport;
    bool ipv6, do_, in_vain;
};

static void ask(const struct asked *a)
{
    static struct prompt_answer prompt;
    struct exchange *x = worker_exchange(&worker);
    const struct route *r;
    assert_non_null(x);
    x->m = (struct message){.id = 1, .qtype = a->type, .qclass = CLASS_IN, .question_end = 30, .do_ = a->do_};
    assert_int_equal(name_from_text(a->name, x->m.qname_asked), 0);
    x->m.qname_len = (uint8_t)name_lower(x->m.qname_asked, x->m.qname);
    x->m.qname_labels = (uint8_t)name_labels(x->m.qname);
    chain_question(x);
    x->q.received_ns = clock_monotonic_ns();
    x->q.request_size = 100;
    x->q.transport = (uint8_t)a->transport;
    x->q.client.sa.sa_family = a->ipv6 ? AF_INET6 : AF_INET;
    x->listen = &generation->listens[0];
    x->deliver = a->in_vain ? deliver_in_vain : deliver;
    x->client.prompt = &prompt;
    const struct block *b = route_query(x->listen, &x->q, &r);
    assert_non_null(b);
    chain_enter(x, r, b, 0);
    chain_start(x);
}

// ---- cases ----

#define ONE "server=\"dns://:53\",zone=\"one.test.\",view=\"\""
#define TWO "server=\"dns://:53\",zone=\"two.test.\",view=\"\""

static void counts_questions_and_answers(void **state)
{
    (void)state;
    static const struct asked all[] = {
        {"a.one.test.", RR_A, TRANSPORT_UDP, false, false, false},
        {"a.one.test.", RR_AAAA, TRANSPORT_TCP, true, true, false},
        {"a.one.test.", RR_ANY, TRANSPORT_UDP, true, false, false},
        {"n.one.test.", 65280, TRANSPORT_UDP, false, false, false},  // the last plugin answers
        {"f.one.test.", RR_A, TRANSPORT_UDP, false, false, false},   // fails
        {"o.one.test.", RR_CAA, TRANSPORT_UDP, false, false, false}, // an rcode that nobody knows
        {"a.two.test.", RR_NAPTR, TRANSPORT_TCP, false, false, false},
        {"a.other.test.", RR_A, TRANSPORT_UDP, false, false, false}, // not counted
    };
    for (size_t i = 0; i < COUNT(all); i++)
        ask(&all[i]);
    assert_metric("coredns_dns_requests_total{" ONE ",proto=\"udp\",family=\"1\",type=\"A\"}", 2);
    assert_metric("coredns_dns_requests_total{" ONE ",proto=\"tcp\",family=\"2\",type=\"AAAA\"}", 1);
    assert_metric("coredns_dns_requests_total{" ONE ",proto=\"udp\",family=\"2\",type=\"ANY\"}", 1);
    assert_metric("coredns_dns_requests_total{" ONE ",proto=\"udp\",family=\"1\",type=\"other\"}", 2);
    assert_metric("coredns_dns_requests_total{" TWO ",proto=\"tcp\",family=\"1\",type=\"other\"}", 1);
    assert_metric("coredns_dns_do_requests_total{" ONE "}", 1);
    assert_metric("coredns_dns_do_requests_total{" TWO "}", -1);
    assert_metric("coredns_dns_request_duration_seconds_count{" ONE "}", 6);
    assert_metric("coredns_dns_request_size_bytes_bucket{" ONE ",proto=\"udp\",le=\"0\"}", 0);
    assert_metric("coredns_dns_request_size_bytes_bucket{" ONE ",proto=\"udp\",le=\"100\"}", 5);
    assert_metric("coredns_dns_response_size_bytes_bucket{" ONE ",proto=\"udp\",le=\"511\"}", 0);
    assert_metric("coredns_dns_response_size_bytes_bucket{" ONE ",proto=\"udp\",le=\"1023\"}", 5);
    assert_metric("coredns_dns_responses_total{" ONE ",plugin=\"act\",rcode=\"NOERROR\"}", 3);
    assert_metric("coredns_dns_responses_total{" ONE ",plugin=\"act\",rcode=\"REFUSED\"}", 1);
    assert_metric("coredns_dns_responses_total{" ONE ",plugin=\"act\",rcode=\"other\"}", 1);
    assert_metric("coredns_dns_responses_total{" ONE ",plugin=\"last\",rcode=\"NXDOMAIN\"}", 1);
    assert_metric("coredns_dns_responses_total{" TWO ",plugin=\"act\",rcode=\"NOERROR\"}", 1);
    assert_null(strstr(metrics_shown, "other.test"));
}

static void counts_what_is_not_answered(void **state)
{
    (void)state;
    static const struct asked dropped = {.name = "d.one.test.", .type = RR_MX},
                              gone = {.name = "a.one.test.", .type = RR_MX, .in_vain = true};
    ask(&dropped);
    ask(&gone);
    ask(&gone);
    assert_metric("coredns_dns_requests_total{" ONE ",proto=\"udp\",family=\"1\",type=\"MX\"}", 3);
    // Those of the case before.
    assert_metric("coredns_dns_response_size_bytes_count{" ONE ",proto=\"udp\"}", 5);
    assert_metric("coredns_dns_responses_total{" ONE ",plugin=\"act\",rcode=\"NOERROR\"}", 3);
    assert_metric("clusterdns_dns_unanswered_total{reason=\"dropped\"}", 1);
    assert_metric("clusterdns_dns_unanswered_total{reason=\"gone\"}", 2);
}

static void counts_late_answers(void **state)
{
    (void)state;
    ask(&(struct asked){.name = "a.one.test.", .type = RR_SRV});
    assert_metric("clusterdns_dns_late_responses_total", 0);
    ask(&(struct asked){.name = "w.one.test.", .type = RR_SRV});
    struct exchange *x = query_exchange(waiting);
    assert_true(x->parked);
    x->client.prompt = NULL; // as serve.c does
    query_resume(waiting, VERDICT_DONE);
    assert_metric("clusterdns_dns_late_responses_total", 1);
    assert_metric("coredns_dns_requests_total{" ONE ",proto=\"udp\",family=\"1\",type=\"SRV\"}", 2);
}

static void on_child(void *arg, struct query *parent, struct query *child, int failed)
{
    (void)parent;
    assert_non_null(child);
    assert_int_equal(failed, 0);
    *(int *)arg = 1;
}

// They are questions of ours, not of clients.
static void passes_over_child_questions(void **state)
{
    (void)state;
    uint8_t name[NAME_MAX_WIRE];
    int answered = 0;
    assert_int_equal(name_from_text("a.one.test.", name), 0);
    const struct question question = {.qname = name, .qtype = RR_TXT, .qclass = CLASS_IN};
    const struct placement *at = &generation->blocks[0].instances[0].at;
    assert_int_equal(query_ask(NULL, at, ASK_WHOLE, &question, 0, on_child, &answered), 0);
    assert_int_equal(answered, 1);
    assert_metric("coredns_dns_requests_total{" ONE ",proto=\"udp\",family=\"1\",type=\"TXT\"}", -1);
}

static size_t serve(const struct listen_address *l, const char *hex)
{
    static uint8_t out[NET_UDP_MAX];
    uint8_t packet[512];
    size_t size = strlen(hex) / 2;
    struct worker_socket s = {.worker = &worker, .listen = l};
    const struct udp_peer peer = {.client.in = {.sin_family = AF_INET}, .local.in = {.sin_family = AF_INET}};
    for (size_t i = 0; i < size; i++) {
        const char digits[] = {hex[2 * i], hex[2 * i + 1], '\0'};
        packet[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    return serve_udp(&s, NULL, &peer, packet, size, out, sizeof(out));
}

#define DROPPED "zone=\"dropped\",view=\"\""

static void counts_what_reaches_no_block(void **state)
{
    (void)state;
    const struct listen_address *first = &generation->listens[0], *second = &generation->listens[1];
    assert_int_equal(second->port, 1054);
    assert_int_equal(serve(first, "000101000001000000000000016e00000f0001"), 19); // n. MX: nobody's
    assert_int_equal(serve(second, "000101000001000000000000016e0000010001"), 19);
    assert_metric("coredns_dns_requests_total{server=\"dns://:53\"," DROPPED ",proto=\"udp\",family=\"1\",type=\"MX\"}",
                  1);
    assert_metric("coredns_dns_responses_total{server=\"dns://:53\"," DROPPED ",plugin=\"\",rcode=\"REFUSED\"}", 1);
    assert_metric("coredns_dns_responses_total{server=\"dns://:1054\"," DROPPED ",plugin=\"\",rcode=\"REFUSED\"}", 1);
    assert_metric("coredns_dns_response_size_bytes_sum{server=\"dns://:53\"," DROPPED ",proto=\"udp\"}", 19);

    assert_int_equal(serve(first, "0001"), 0);
    assert_int_equal(serve(first, "000181000001000000000000016e00000f0001"), 0); // a reply
    assert_int_equal(serve(first, "000129000001000000000000016e00000f0001"), 12);
    assert_int_equal(serve(first, "000101000001000000000000ff"), 12);
    assert_int_equal(serve(first, "000101000001000000000001016e00000f000100002904d0000100000000"), 30);
    assert_metric("clusterdns_dns_unanswered_total{reason=\"ignored\"}", 2);
    assert_metric("clusterdns_dns_rejected_total{rcode=\"NOTIMP\"}", 1);
    assert_metric("clusterdns_dns_rejected_total{rcode=\"FORMERR\"}", 1);
    assert_metric("clusterdns_dns_rejected_total{rcode=\"BADVERS\"}", 1);
    assert_metric("coredns_dns_requests_total{server=\"dns://:53\"," DROPPED ",proto=\"udp\",family=\"1\",type=\"MX\"}",
                  1);
}

static void counts_what_finds_no_room(void **state)
{
    (void)state;
    struct exchange **all = calloc(WORKER_EXCHANGES, sizeof(*all));
    assert_non_null(all);
    for (unsigned i = 0; i < WORKER_EXCHANGES; i++)
        assert_non_null(all[i] = worker_exchange(&worker));
    assert_int_equal(serve(&generation->listens[0], "000101000001000000000000016e00000f0001"), 0);
    for (unsigned i = 0; i < WORKER_EXCHANGES; i++)
        worker_release(&worker, all[i]);
    free(all);
    assert_metric("clusterdns_dns_unanswered_total{reason=\"overload\"}", 1);
}

#define ENABLED "coredns_plugin_enabled{server=\"dns://:53\",zone="

static void a_new_generation_goes_on(void **state)
{
    (void)state;
    assert_metric(ENABLED "\"one.test.\",view=\"\",name=\"counting\"}", 1);
    assert_metric(ENABLED "\"two.test.\",view=\"\",name=\"act\"}", 1);
    assert_metric(ENABLED "\"one.test.\",view=\"\",name=\"idle\"}", -1); // takes no part in answering
    assert_metric(ENABLED "\"other.test.\",view=\"\",name=\"act\"}", -1);
    double before = metrics_shown_value("coredns_dns_requests_total{" ONE ",proto=\"udp\",family=\"1\",type=\"A\"}");
    assert_true(before > 0);

    struct generation *old = generation;
    generation = start_generation("one.test {\ncounting\nlast\n}\n");
    assert_metric(ENABLED "\"two.test.\",view=\"\",name=\"act\"}", 1);
    end_generation(old);
    assert_metric(ENABLED "\"two.test.\",view=\"\",name=\"act\"}", -1);
    assert_metric(ENABLED "\"one.test.\",view=\"\",name=\"act\"}", -1);
    assert_metric(ENABLED "\"one.test.\",view=\"\",name=\"last\"}", 1);
    ask(&(struct asked){.name = "a.one.test.", .type = RR_A});
    assert_metric("coredns_dns_requests_total{" ONE ",proto=\"udp\",family=\"1\",type=\"A\"}", before + 1);
    assert_metric("coredns_dns_requests_total{" TWO ",proto=\"tcp\",family=\"1\",type=\"other\"}", 1);
}

int main(void)
{
    // In this order: counters belong to the process.
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(counts_questions_and_answers, begin, end),
        cmocka_unit_test_setup_teardown(counts_what_is_not_answered, begin, end),
        cmocka_unit_test_setup_teardown(counts_late_answers, begin, end),
        cmocka_unit_test_setup_teardown(passes_over_child_questions, begin, end),
        cmocka_unit_test_setup_teardown(counts_what_reaches_no_block, begin, end),
        cmocka_unit_test_setup_teardown(counts_what_finds_no_room, begin, end),
        cmocka_unit_test_setup_teardown(a_new_generation_goes_on, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
