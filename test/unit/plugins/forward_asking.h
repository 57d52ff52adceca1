// SPDX-License-Identifier: Apache-2.0
#pragma once
// A server with a Corefile of the test's, a worker without a thread, and upstreams that the test plays.
#include "base/clock.h"
#include "base/rcu.h"
#include "forward_test.h"
#include "server/chain.h"
#include "server/generation.h"
#include "server/worker.h"

static struct generation *generation;
static struct worker worker;
static uv_loop_t main_loop;

// What became of the questions, by order of asking.
struct asked {
    bool done;
    enum transport transport;
    struct outcome outcome;
    char fail[256], answer[512];
    bool local; // the failure is the server's own
    bool tc, aa, ra, ad;
    unsigned udp_size;
    unsigned users;            // questions that used the upstreams of the first forward at that moment
    struct exchange *exchange; // until done
};
static struct asked asked[4200];
static unsigned nasked;

static void report(void *arg, const char *text)
{
    (void)arg;
    fail_msg("%s", text);
}

// Builds and starts the block `. { BODY }`.
static struct generation *start_block(const char *body)
{
    char text[4096], error[CONFIG_ERROR_MAX] = "";
    struct generation *g;
    snprintf(text, sizeof text, ".:1053 {\n%s\n}\n", body);
    assert_int_equal(generation_build(NULL, "Corefile", text, 53, report, NULL, &g), 0);
    if (generation_start(g, &main_loop, NULL, error) != 0)
        fail_msg("%s", error);
    return g;
}

static void serve(const char *body)
{
    nasked = nrequests = 0;
    refuse = 0;
    memset(upstreams, 0, sizeof upstreams);
    rcu_thread_start();
    assert_int_equal(uv_loop_init(&main_loop), 0);
    generation = start_block(body);
    assert_int_equal(worker_init(&worker, 0), 0);
    worker_set_current(&worker);
}

static void end_block(struct generation *g)
{
    generation_stop(g);
    generation_free(g);
}

static void stop_serving(void)
{
    worker_free(&worker);
    worker_set_current(NULL);
    end_block(generation);
    uv_run(&main_loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&main_loop), 0);
    for (size_t i = 0; i < COUNT(upstreams); i++)
        assert_int_equal(upstreams[i].refs, 0);
    for (unsigned i = 0; i < nrequests; i++)
        assert_false(requests[i].under_way);
    rcu_thread_end();
}

// Records as "owner type rdata-bytes; …".
static void print_records(const struct records *set, char *out, size_t size)
{
    size_t n = 0;
    out[0] = '\0';
    for (uint32_t i = 0; i < set->n && n < size; i++) {
        char name[NAME_MAX_TEXT], type[16];
        name_to_text(set->rr[i].owner, name);
        n += (size_t)snprintf(out + n, size - n, "%s%s %s %u", i > 0 ? "; " : "", name,
                              rr_type_text(set->rr[i].type, type), set->rr[i].rdata[set->rr[i].rdlen - 1]);
    }
}

static unsigned users_of(const struct block *b)
{
    if (b->instances[0].plugin != plugin_forward)
        return 0;
    const struct forward *f = b->instances[0].self;
    return atomic_load(&atomic_load(&f->stanzas[0].set)->users[0]);
}

static void deliver(struct exchange *x, struct outcome *o)
{
    struct asked *a = x->client.prompt == NULL ? (struct asked *)(void *)x->client.tcp : NULL;
    assert_non_null(a);
    assert_false(a->done);
    o->sent = !x->dropped;
    a->done = true;
    a->outcome = *o;
    a->tc = x->q.reply.tc;
    a->aa = x->q.reply.aa;
    a->ra = x->q.reply.ra;
    a->ad = x->q.reply.ad;
    a->udp_size = x->q.udp_size;
    a->users = users_of(x->block);
    a->local = x->q.reply.local;
    snprintf(a->fail, sizeof a->fail, "%s", x->q.reply.fail_text != NULL ? x->q.reply.fail_text : "");
    print_records(&x->q.reply.answer, a->answer, sizeof a->answer);
}

// A question, in words: "NAME TYPE [tcp] [child] [edns=SIZE] [do] [cd] [ad] [nord] [notify]".
static struct asked *ask(const char *text)
{
    char copy[512], *save, *word;
    struct exchange *x = worker_exchange(&worker);
    assert_non_null(x);
    assert_true(nasked < COUNT(asked));
    struct asked *a = &asked[nasked++];
    *a = (struct asked){.transport = TRANSPORT_UDP, .exchange = x};
    snprintf(copy, sizeof copy, "%s", text);
    x->m = (struct message){.id = 1, .qclass = CLASS_IN, .question_end = 30, .rd = true};
    assert_int_equal(name_from_text(strtok_r(copy, " ", &save), x->m.qname_asked), 0);
    x->m.qtype = (uint16_t)rr_type_from_text(strtok_r(NULL, " ", &save));
    x->m.qname_len = (uint8_t)name_lower(x->m.qname_asked, x->m.qname);
    x->m.qname_labels = (uint8_t)name_labels(x->m.qname);
    while ((word = strtok_r(NULL, " ", &save)) != NULL) {
        if (strncmp(word, "edns=", 5) == 0)
            x->m.edns = true, x->m.edns_size = (uint16_t)strtoul(word + 5, NULL, 10);
        else if (strcmp(word, "notify") == 0)
            x->m.opcode = OPCODE_NOTIFY;
        else if (strcmp(word, "tcp") == 0)
            a->transport = TRANSPORT_TCP;
        else if (strcmp(word, "child") == 0)
            a->transport = TRANSPORT_INTERNAL;
        x->m.do_ |= strcmp(word, "do") == 0;
        x->m.cd |= strcmp(word, "cd") == 0;
        x->m.ad |= strcmp(word, "ad") == 0;
        x->m.rd &= strcmp(word, "nord") != 0;
    }
    chain_question(x);
    x->q.transport = (uint8_t)a->transport;
    x->q.received_ns = clock_monotonic_ns();
    x->q.server = "dns://:1053";
    x->listen = &generation->listens[0];
    x->client.tcp = (struct tcp_connection *)(void *)a; // nothing but deliver() looks at it
    x->deliver = deliver;
    const struct route *r;
    const struct block *b = route_query(x->listen, &x->q, &r);
    assert_non_null(b);
    chain_enter(x, r, b, 0);
    chain_start(x);
    return a;
}

// The latest question to upstreams.
static struct upstream_request *latest(void)
{
    assert_true(nrequests > 0);
    return &requests[nrequests - 1];
}

// Where the latest question went: "10.0.0.1:53 udp".
static const char *went(void)
{
    static char out[128];
    char text[ADDRESS_TEXT_MAX];
    const struct upstream_request *r = latest();
    snprintf(out, sizeof out, "%s %s", address_text(&r->upstream->options.address, text),
             r->way == UPSTREAM_UDP ? "udp" : "tcp");
    return out;
}

static void end_request(struct upstream_request *r, struct upstream_result result)
{
    assert_true(r->under_way);
    r->under_way = false;
    result.duration_ns = 1000000;
    r->callback(r->arg, &result);
}

static inline void fails(struct upstream_request *r, int error, const char *reason)
{
    end_request(r, (struct upstream_result){.error = error, .reason = reason});
}

// An answer to the request: header flags beside QR, and for every byte of `last` an A record of the question's name
// that ends in it. With `rcode` as told.
static size_t make_answer(const struct upstream_request *r, uint16_t flags, const char *last, uint8_t *out)
{
    size_t size = 12 + name_length(r->message + 12) + 4;
    memcpy(out, r->message, size);
    out[2] = (uint8_t)(0x80 | flags >> 8);
    out[3] = (uint8_t)flags;
    memset(out + 6, 0, 6);
    out[7] = (uint8_t)strlen(last);
    for (; *last != '\0'; last++) {
        const uint8_t record[16] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, (uint8_t)*last};
        memcpy(out + size, record, sizeof record);
        size += sizeof record;
    }
    return size;
}

static void answer(struct upstream_request *r, uint16_t flags, const char *last)
{
    uint8_t message[4096];
    size_t size = make_answer(r, flags, last, message);
    assert_true(r->accept(r->arg, message, size));
    end_request(r, (struct upstream_result){.message = message, .size = size, .reused = true});
}

#define FLAG_TC 0x0200
#define FLAG_AA 0x0400
#define FLAG_RA 0x0080
#define FLAG_AD 0x0020

// Lets main's loop do what it has to do now.
static void turn_main(void)
{
    for (int i = 0; i < 3; i++)
        uv_run(&main_loop, UV_RUN_NOWAIT);
}

// Runs main's loop until so many questions have been asked in all.
static inline void until_asked(unsigned n)
{
    uint64_t end = uv_hrtime() + UINT64_C(10000000000);
    while (nrequests < n) {
        assert_true(uv_hrtime() < end);
        uv_run(&main_loop, UV_RUN_ONCE);
    }
}

static uint64_t counted(const char *metric)
{
    static char text[1 << 20];
    size_t n = 0, got;
    struct metrics_text *t = metrics_text_begin();
    assert_non_null(t);
    while ((got = metrics_text_next(t, text + n, sizeof text - 1 - n)) > 0)
        n += got;
    metrics_text_end(t);
    text[n] = '\0';
    for (const char *line = text; line != NULL && *line != '\0';) {
        size_t len = strlen(metric);
        if (strncmp(line, metric, len) == 0 && line[len] == ' ')
            return (uint64_t)strtod(line + len, NULL);
        line = strchr(line, '\n');
        line = line != NULL ? line + 1 : NULL;
    }
    return UINT64_MAX;
}
