// SPDX-License-Identifier: Apache-2.0
#pragma once
// The cache in a real chain, on a worker without a thread, in front of a plugin that answers what a test tells it to:
// records are lines of text (ldns reads them), time is the test's.
#include "base/clock.h"
#include "base/rcu.h"
#include "corefile/corefile.h"
#include "plugins/cache/cache.h"
#include "server/chain.h"
#include "server/generation.h"
#include "server/worker.h"
#include <clusterdns/kubernetes.h>

#include <ldns/ldns.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

extern const struct plugin clusterdns_plugin_cache;

// --- the plugin behind the cache

// What it does with the next questions.
static struct {
    const char *records; // "NAME TTL IN TYPE RDATA\n…"; a line "--" goes on to the next section
    uint16_t rcode;
    bool aa, ra, ad, tc;
    const char *fail;   // query_fail() with SERVFAIL
    bool fail_local;    // query_fail_local()
    const char *origin; // claims to be this plugin
    bool park;          // waits: `waiting`
    bool index_has;     // what it says as kubernetes
    bool passes_not;

    unsigned asked; // questions so far
    struct query *waiting;
    bool ad_seen, do_seen, cd_seen, rd_seen; // of the latest question
    char name_seen[NAME_MAX_TEXT];
} upstream;

static inline void add_record(struct query *q, struct records *set, const char *line)
{
    ldns_rr *rr = NULL;
    assert_int_equal(ldns_rr_new_frm_str(&rr, line, 0, NULL, NULL), LDNS_STATUS_OK);
    uint8_t owner[NAME_MAX_WIRE];
    char *text = ldns_rdf2str(ldns_rr_owner(rr));
    assert_int_equal(name_from_text(text, owner), 0);
    ldns_buffer *b = ldns_buffer_new(4096);
    for (size_t i = 0; i < ldns_rr_rd_count(rr); i++)
        assert_int_equal(ldns_rdf2buffer_wire(b, ldns_rr_rdf(rr, i)), LDNS_STATUS_OK);
    size_t len = ldns_buffer_position(b);
    assert_int_equal(records_add(set, q->arena, arena_memdup(q->arena, owner, name_length(owner)),
                                 (uint16_t)ldns_rr_get_type(rr), ldns_rr_ttl(rr),
                                 arena_memdup(q->arena, ldns_buffer_begin(b), len), (uint16_t)len),
                     0);
    ldns_buffer_free(b);
    free(text);
    ldns_rr_free(rr);
}

static inline void add_records(struct query *q, const char *text)
{
    struct records *const sections[] = {&q->reply.answer, &q->reply.authority, &q->reply.additional};
    unsigned section = 0;
    while (text != NULL && *text != '\0') {
        char line[2048];
        size_t len = strcspn(text, "\n");
        assert_true(len < sizeof line);
        memcpy(line, text, len);
        line[len] = '\0';
        if (strcmp(line, "--") == 0)
            section++;
        else
            add_record(q, sections[section], line);
        text += len + (text[len] == '\n');
    }
}

static inline enum verdict upstream_answer(struct query *q)
{
    if (upstream.fail != NULL && upstream.fail_local)
        return query_fail_local(q, RCODE_SERVFAIL, "%s", upstream.fail);
    if (upstream.fail != NULL)
        return query_fail(q, RCODE_SERVFAIL, "%s", upstream.fail);
    q->reply.rcode = upstream.rcode;
    q->reply.aa = upstream.aa;
    q->reply.ra = upstream.ra;
    q->reply.ad = upstream.ad;
    q->reply.tc = upstream.tc;
    add_records(q, upstream.records);
    return VERDICT_DONE;
}

static enum verdict upstream_query(void *self, struct query *q)
{
    (void)self;
    upstream.asked++;
    upstream.ad_seen = q->ad;
    upstream.do_seen = q->do_;
    upstream.cd_seen = q->cd;
    upstream.rd_seen = q->rd;
    name_to_text(q->qname_asked, upstream.name_seen);
    if (!upstream.park)
        return upstream_answer(q);
    upstream.waiting = q;
    return VERDICT_WAIT;
}

// Its answer is known to be kubernetes' only by its name, which the chain sets behind .query.
static enum verdict upstream_reply(void *self, struct query *q)
{
    (void)self;
    if (upstream.origin != NULL)
        q->reply.origin = upstream.origin;
    return VERDICT_NEXT;
}

static void upstream_cancel(void *self, struct query *q)
{
    (void)self;
    if (upstream.waiting == q)
        upstream.waiting = NULL;
}

static bool upstream_has_name(void *provider, const struct query *q)
{
    (void)provider, (void)q;
    return upstream.index_has;
}

static bool upstream_passes(void *provider, const struct query *q)
{
    (void)provider, (void)q;
    return !upstream.passes_not;
}

static const struct kubernetes_interface upstream_interface = {.passes = upstream_passes,
                                                               .has_name = upstream_has_name};
static const struct plugin_interface upstream_provides[] = {{KUBERNETES_INTERFACE, &upstream_interface}, {0}};
static const struct plugin upstream_plugin = {.abi = CLUSTERDNS_PLUGIN_ABI,
                                              .name = "upstream",
                                              .query = upstream_query,
                                              .reply = upstream_reply,
                                              .cancel = upstream_cancel,
                                              .provides = upstream_provides};

// --- the server

static struct generation *generation;
static struct worker worker;
static uint64_t now_ns; // the clock's

static inline void set_clock(double seconds)
{
    now_ns = (uint64_t)(seconds * 1e9);
    // 2026-01-01T00:00:00Z and so many seconds
    clock_set_for_test(now_ns, INT64_C(1767225600000000000) + (int64_t)now_ns);
}

static inline void advance(double seconds)
{
    set_clock((double)now_ns / 1e9 + seconds);
}

static inline bool any_directive(void *arg, const char *directive)
{
    (void)arg, (void)directive;
    return true;
}

static inline void report(void *arg, const char *text)
{
    (void)arg;
    fail_msg("%s", text);
}

// A generation with `cache_lines` ("cache …") and further lines in its only block.
static inline struct generation *make_generation(const char *cache_lines)
{
    static const struct plugin *const list[] = {&clusterdns_plugin_cache, &upstream_plugin};
    char text[4096], error[CONFIG_ERROR_MAX] = "";
    struct corefile file;
    struct generation *g;
    struct arena *a = arena_new(0);
    size_t len = (size_t)snprintf(text, sizeof text, ".:53 {\n%s\nupstream\n}\n", cache_lines);
    if (corefile_parse_text(a, "Corefile", text, len, any_directive, NULL, &file, error) != 0)
        fail_msg("%s", error);
    assert_int_equal(generation_build_parsed(a, &file, list, 2, 53, report, NULL, &g), 0);
    if (generation_start(g, NULL, NULL, error) != 0)
        fail_msg("%s", error);
    return g;
}

static inline void end_generation(struct generation *g)
{
    generation_stop(g);
    generation_free(g);
}

static inline void serve(const char *cache_lines)
{
    memset(&upstream, 0, sizeof upstream);
    rcu_thread_start();
    set_clock(1000);
    generation = make_generation(cache_lines);
    assert_int_equal(worker_init(&worker, 0), 0);
    worker_set_current(&worker);
}

static inline void serve_end(void)
{
    worker_free(&worker);
    worker_set_current(NULL);
    end_generation(generation);
    rcu_thread_end();
    clock_set_for_test(0, 0);
}

// --- questions

// The latest answer, as text: "RCODE [aa] [ra] [ad] [tc] [fail]\nrecord\n…\n--\n…"; "" until there is one.
static char answered[8192];
static unsigned answers; // given so far

static inline void show_record(const struct record *rr, char *out, size_t cap)
{
    ldns_rr *l = ldns_rr_new();
    char owner[NAME_MAX_TEXT];
    name_to_text(rr->owner, owner);
    ldns_rr_free(l);
    uint8_t wire[8192];
    size_t n = name_length(rr->owner), at = 0;
    memcpy(wire, rr->owner, n);
    const uint8_t head[] = {(uint8_t)(rr->type >> 8), (uint8_t)rr->type,        (uint8_t)(rr->class_ >> 8),
                            (uint8_t)rr->class_,      (uint8_t)(rr->ttl >> 24), (uint8_t)(rr->ttl >> 16),
                            (uint8_t)(rr->ttl >> 8),  (uint8_t)rr->ttl,         (uint8_t)(rr->rdlen >> 8),
                            (uint8_t)rr->rdlen};
    memcpy(wire + n, head, sizeof head);
    memcpy(wire + n + sizeof head, rr->rdata, rr->rdlen);
    assert_int_equal(ldns_wire2rr(&l, wire, n + sizeof head + rr->rdlen, &at, LDNS_SECTION_ANSWER), LDNS_STATUS_OK);
    char *text = ldns_rr2str(l);
    for (char *p = text; *p != '\0'; p++)
        if (*p == '\t')
            *p = ' ';
    snprintf(out, cap, "%s", text);
    free(text);
    ldns_rr_free(l);
}

static inline void show(const struct query *q, bool dropped)
{
    const struct reply *r = &q->reply;
    char rcode[16];
    size_t at = (size_t)snprintf(answered, sizeof answered, "%s%s%s%s%s%s%s\n", dropped ? "dropped " : "",
                                 rcode_text(r->rcode, rcode), r->aa ? " aa" : "", r->ra ? " ra" : "",
                                 r->ad ? " ad" : "", r->tc ? " tc" : "", r->fail_text != NULL ? " fail" : "");
    const struct records *sections[] = {&r->answer, &r->authority, &r->additional};
    for (unsigned s = 0; s < 3; s++) {
        if (s > 0 && (r->authority.n > 0 || r->additional.n > 0) && (s == 1 || r->additional.n > 0))
            at += (size_t)snprintf(answered + at, sizeof answered - at, "--\n");
        for (uint32_t i = 0; i < sections[s]->n; i++) {
            show_record(&sections[s]->rr[i], answered + at, sizeof answered - at);
            at += strlen(answered + at);
        }
    }
    answers++;
}

static void deliver(struct exchange *x, struct outcome *o)
{
    o->sent = !x->dropped;
    show(&x->q, x->dropped);
}

// Options of a question.
#define Q_DO 1U
#define Q_CD 2U
#define Q_AD 4U
#define Q_NORD 8U

// Asks; what comes of it is in `answered`.
static inline void ask_of(const struct generation *g, const char *name, uint16_t qtype, unsigned options)
{
    struct exchange *x = worker_exchange(&worker);
    assert_non_null(x);
    x->m = (struct message){.id = 1, .qtype = qtype, .qclass = CLASS_IN, .question_end = 30};
    x->m.rd = (options & Q_NORD) == 0;
    x->m.ad = (options & Q_AD) != 0;
    x->m.cd = (options & Q_CD) != 0;
    x->m.do_ = x->m.edns = (options & Q_DO) != 0;
    assert_int_equal(name_from_text(name, x->m.qname_asked), 0);
    x->m.qname_len = (uint8_t)name_lower(x->m.qname_asked, x->m.qname);
    x->m.qname_labels = (uint8_t)name_labels(x->m.qname);
    chain_question(x);
    x->q.received_ns = clock_monotonic_ns();
    x->listen = &g->listens[0];
    x->deliver = deliver;
    answered[0] = '\0';
    const struct route *r;
    const struct block *b = route_query(x->listen, &x->q, &r);
    assert_non_null(b);
    chain_enter(x, r, b, 0);
    chain_start(x);
}

static inline void ask(const char *name, uint16_t qtype, unsigned options)
{
    ask_of(generation, name, qtype, options);
}

// The same for A, and the answer has to be this; the plugin behind is asked so many times.
#define assert_asked(name, qtype, options, times, expected)                                                            \
    do {                                                                                                               \
        unsigned before_ = upstream.asked;                                                                             \
        ask(name, qtype, options);                                                                                     \
        assert_string_equal(answered, expected);                                                                       \
        assert_int_equal(upstream.asked - before_, times);                                                             \
    } while (0)
#define assert_miss(name, expected) assert_asked(name, RR_A, 0, 1, expected)
#define assert_hit(name, expected) assert_asked(name, RR_A, 0, 0, expected)

// The plugin behind answers what it has kept waiting.
static inline void upstream_goes_on(void)
{
    struct query *q = upstream.waiting;
    assert_non_null(q);
    upstream.waiting = NULL;
    query_resume(q, upstream_answer(q));
}
