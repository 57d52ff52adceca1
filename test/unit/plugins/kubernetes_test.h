// SPDX-License-Identifier: Apache-2.0
#pragma once
// The kubernetes plugin without a server: clusters as lines of text, questions and answers as text, a source and a
// server that only note what is asked of them.
#include "base/clock.h"
#include "base/rcu.h"
#include "kube/decode.h"
#include "kube/store.h"
#include "plugin_test.h"
#include "plugins/kubernetes/kubernetes.h"
#include <clusterdns/kubernetes.h>
#include <uv.h>

extern const struct plugin clusterdns_plugin_kubernetes;
static const struct plugin *const kubernetes = &clusterdns_plugin_kubernetes;

// --- what stands in for kube/source.c

struct source {
    struct source_options options;
    struct store *store;
    int references;
};

static struct source the_source;
static const char *source_complaint; // of source_check() and source_acquire()
static int syncs_after;              // calls of source_wait_synced()

int source_check(const struct source_options *options, char *error, size_t error_size)
{
    the_source.options = *options;
    snprintf(error, error_size, "%s", source_complaint != NULL ? source_complaint : "");
    return source_complaint != NULL ? CDNS_ECONFIG : 0;
}

int source_acquire(const struct source_options *options, struct source **source, char *error, size_t error_size)
{
    int e = source_check(options, error, error_size);
    if (e != 0)
        return e;
    the_source.references++;
    *source = &the_source;
    return 0;
}

void source_release(struct source *source)
{
    source->references--;
}

bool source_shared(const struct source *source)
{
    return source->references > 1;
}

void source_trouble(const struct source *source, char *out, size_t size)
{
    (void)source;
    snprintf(out, size, "services: 403 Forbidden");
}

const struct store *source_store(const struct source *source)
{
    return source->store;
}

int source_wait_synced(struct source *source, uint64_t timeout_ns)
{
    (void)timeout_ns;
    if (syncs_after-- > 0)
        return CDNS_ETIMEOUT;
    store_set_synced(source->store);
    store_set_imports_synced(source->store);
    return 0;
}

// --- what stands in for the server's chain

static struct {
    struct question question;
    uint8_t qname[NAME_MAX_WIRE];
    query_ask_cb callback;
    void *arg;
    int result; // of query_ask()
    bool asked, resumed;
    enum verdict verdict; // given to query_resume()
} chain;

enum verdict query_fail(struct query *q, uint16_t rcode, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    q->reply = (struct reply){.rcode = rcode, .fail_text = arena_strndup(q->arena, text, strlen(text))};
    return VERDICT_FAIL;
}

int query_ask(struct query *parent, const struct placement *at, enum ask_scope scope, const struct question *question,
              uint64_t timeout_ns, query_ask_cb callback, void *arg)
{
    assert_non_null(parent);
    (void)at;
    (void)timeout_ns;
    assert_int_equal(scope, ASK_WHOLE);
    chain.question = *question;
    memcpy(chain.qname, question->qname, name_length(question->qname));
    chain.callback = callback;
    chain.arg = arg;
    chain.asked = chain.result == 0;
    return chain.result;
}

bool server_stopping(const struct server_state *state)
{
    (void)state;
    return false;
}

void query_resume(struct query *q, enum verdict verdict)
{
    (void)q;
    chain.resumed = true;
    chain.verdict = verdict;
}

// --- clusters. A line is one object:
//   ns NAME
//   svc NS/NAME cluster ADDRESS… | headless | external TARGET, then PORT…
//   slice NS/NAME SERVICE PORT… ENDPOINT…
//   pod NS/NAME ADDRESS…
//   import NS/NAME cluster ADDRESS… | headless, then PORT…
//   imported NS/NAME SERVICE[@CLUSTER] PORT… ENDPOINT…
// PORT is NAME:NUMBER/PROTOCOL ("-" for no name); ENDPOINT is ADDRESS[=HOSTNAME][+POD][%ZONE][!]: "!" says not ready,
// "~" that its text was not canonical.

static inline bool read_port(char *word, struct kube_port *out)
{
    static const char *const protocols[] = {"TCP", "UDP", "SCTP"};
    char *colon = strrchr(word, ':'), *slash = strchr(word, '/');
    if (colon == NULL || slash == NULL)
        return false;
    *colon = *slash = 0;
    out->name = strcmp(word, "-") == 0 ? "" : word;
    out->number = (uint16_t)atoi(colon + 1);
    for (unsigned i = 0; i < 3; i++)
        if (strcmp(slash + 1, protocols[i]) == 0)
            out->protocol = (enum kube_protocol)i;
    return true;
}

static inline char *cut(char *word, char at)
{
    char *p = strchr(word, at);
    if (p == NULL)
        return (char *)"";
    *p = 0;
    return p + 1;
}

static inline void read_endpoint(char *word, struct kube_endpoint *out)
{
    size_t len = strlen(word);
    out->ready = out->canonical = true;
    for (; len > 0 && (word[len - 1] == '!' || word[len - 1] == '~'); word[--len] = 0) {
        out->ready &= word[len - 1] != '!';
        out->canonical &= word[len - 1] != '~';
    }
    out->zone = cut(word, '%');
    out->pod_name = cut(word, '+');
    out->hostname = cut(word, '=');
    if (decode_address(word, &out->address, NULL) != 0)
        fail_msg("not an endpoint: %s", word);
}

static inline void read_object(char *line, struct store *s)
{
    struct kube_address ips[64];
    struct kube_port ports[16] = {0};
    static struct kube_endpoint endpoints[8192];
    struct kube_object o = {.namespace_ = ""};
    char *words = line, *kind = strsep(&words, " "), *name = strsep(&words, " "), *word;
    size_t nips = 0, nports = 0, nendpoints = 0;
    o.name = name;
    if (strcmp(kind, "ns") != 0) {
        o.name = cut(name, '/');
        o.namespace_ = name;
    }
    bool service = strcmp(kind, "svc") == 0 || strcmp(kind, "import") == 0;
    bool slice = strcmp(kind, "slice") == 0 || strcmp(kind, "imported") == 0;
    if (service) {
        const char *type = strsep(&words, " ");
        o.kind = kind[0] == 'i' ? KUBE_SERVICE_IMPORT : KUBE_SERVICE;
        o.service.type = type[0] == 'c' ? KUBE_CLUSTERIP : type[0] == 'h' ? KUBE_HEADLESS : KUBE_EXTERNALNAME;
        if (type[0] == 'e')
            o.service.external_name = strsep(&words, " ");
    } else if (slice) {
        char *of = strsep(&words, " ");
        o.kind = kind[0] == 'i' ? KUBE_IMPORTED_SLICE : KUBE_ENDPOINTSLICE;
        o.slice.cluster = cut(of, '@');
        o.slice.service = of;
    } else {
        o.kind = kind[0] == 'n' ? KUBE_NAMESPACE : KUBE_POD;
    }
    while ((word = strsep(&words, " ")) != NULL) {
        if (word[0] == 0)
            continue;
        if (read_port(word, &ports[nports]))
            nports++;
        else if (slice)
            read_endpoint(word, &endpoints[nendpoints++]);
        else if (decode_address(word, &ips[nips++], NULL) != 0)
            fail_msg("not an address: %s", word);
    }
    if (service) {
        o.service.cluster_ips = ips, o.service.ncluster_ips = nips;
        o.service.ports = ports, o.service.nports = nports;
    } else if (slice) {
        o.slice.endpoints = endpoints, o.slice.nendpoints = nendpoints;
        o.slice.ports = ports, o.slice.nports = nports;
    } else if (o.kind == KUBE_POD) {
        o.pod.ips = ips, o.pod.nips = nips;
    }
    assert_int_equal(store_upsert(s, &o), 0);
}

static inline void fill(struct store *s, const char *const *lines, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char *copy = strdup(lines[i]);
        read_object(copy, s);
        free(copy);
    }
    store_commit(s);
}

// --- an instance over a cluster

struct instance {
    struct built built;
    struct kubernetes *k;
    struct arena *arena; // of the last answer
};

#define SERIAL 1700000000

// `options`: the zones, and the braces with what is between them.
static inline void set_up(struct instance *in, const char *options, const char *const *lines, size_t n)
{
    char body[4096];
    snprintf(body, sizeof body, "kubernetes %s", options);
    if (build(kubernetes, body, &in->built) != 0)
        fail_msg("%s", in->built.error);
    in->k = in->built.self;
    clock_set_for_test(1, SERIAL * INT64_C(1000000000));
    the_source.store = store_new(&in->k->from.store);
    assert_non_null(the_source.store);
    fill(the_source.store, lines, n);
    char error[CONFIG_ERROR_MAX];
    syncs_after = 0;
    assert_int_equal(kubernetes->start(in->k, &(struct plugin_start){.error = error, .loop = uv_default_loop()}), 0);
    in->k->nlocal = 0; // a test says what the machine's addresses are
    in->arena = arena_new(1 << 20);
}

static inline void tear_down(struct instance *in)
{
    unbuild(kubernetes, &in->built);
    assert_int_equal(the_source.references, 0);
    store_free(the_source.store);
    arena_free(in->arena);
    clock_set_for_test(0, 0);
}

static inline void add_local(struct instance *in, const char *address)
{
    assert_int_equal(decode_address(address, &in->k->local[in->k->nlocal++], NULL), 0);
}

// --- answers as text: RCODE, flags that are not the usual ones, then the sections that are not empty:
// "NOERROR AN @ 5 A 10.96.0.10; @ 5 …  AR …". "@" is the question's name. The zone's SOA alone in authority is left
// out.

struct text {
    char *at;
    size_t left;
};

static inline void put(struct text *t, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(t->at, t->left, fmt, args);
    va_end(args);
    assert_true(n >= 0 && (size_t)n < t->left);
    t->at += n;
    t->left -= (size_t)n;
}

static inline uint32_t number(const uint8_t *p, int bytes)
{
    uint32_t v = 0;
    for (int i = 0; i < bytes; i++)
        v = v << 8 | p[i];
    return v;
}

static inline void put_rdata(struct text *t, const struct record *rr)
{
    char name[NAME_MAX_TEXT], second[NAME_MAX_TEXT];
    const uint8_t *p = rr->rdata;
    size_t used = 0;
    switch (rr->type) {
    case RR_A:
    case RR_AAAA:
        assert_int_equal(rr->rdlen, rr->type == RR_A ? 4 : 16);
        put(t, "%s", inet_ntop(rr->type == RR_A ? AF_INET : AF_INET6, p, name, sizeof name));
        return;
    case RR_TXT:
        assert_int_equal(rr->rdlen, 1 + p[0]);
        put(t, "\"%.*s\"", p[0], p + 1);
        return;
    case RR_SRV:
        put(t, "%u %u %u ", number(p, 2), number(p + 2, 2), number(p + 4, 2));
        used = 6;
        break;
    case RR_SOA:
        used = name_length(p) + name_length(p + name_length(p)) + 20;
        name_to_text(p, name);
        name_to_text(p + name_length(p), second);
        p += used - 20;
        put(t, "%s %s %u %u %u %u %u", name, second, number(p, 4), number(p + 4, 4), number(p + 8, 4),
            number(p + 12, 4), number(p + 16, 4));
        assert_int_equal(rr->rdlen, used);
        return;
    default:
        break;
    }
    name_to_text(p + used, name);
    put(t, "%s", name);
    assert_int_equal(rr->rdlen, used + name_length(p + used));
}

static inline void put_section(struct text *t, const char *title, const struct query *q, const struct records *set)
{
    char name[NAME_MAX_TEXT], type[16];
    for (uint32_t i = 0; i < set->n; i++) {
        const struct record *rr = &set->rr[i];
        name_to_text(rr->owner, name);
        bool own = name_length(rr->owner) == q->qname_len && memcmp(rr->owner, q->qname_asked, q->qname_len) == 0;
        assert_int_equal(rr->class_, CLASS_IN);
        put(t, "%s%s %u %s ", i == 0 ? title : "; ", own ? "@" : name, rr->ttl, rr_type_text(rr->type, type));
        put_rdata(t, rr);
    }
}

static inline const char *answer_text(const struct query *q, enum verdict v)
{
    static char out[1 << 20];
    struct text t = {out, sizeof out};
    char rcode[16];
    out[0] = 0;
    if (v == VERDICT_NEXT || v == VERDICT_WAIT)
        return v == VERDICT_NEXT ? "NEXT" : "WAIT";
    const struct reply *r = &q->reply;
    if (v == VERDICT_FAIL) {
        put(&t, "FAIL %s %s", rcode_text(r->rcode, rcode), r->fail_text);
        return out;
    }
    assert_int_equal(v, VERDICT_DONE);
    put(&t, "%s%s%s", rcode_text(r->rcode, rcode), r->aa ? "" : " no-aa", r->tc ? " tc" : "");
    put_section(&t, " AN ", q, &r->answer);
    if (r->answer.n > 0 || r->authority.n != 1 || r->authority.rr[0].type != RR_SOA) {
        if (r->answer.n == 0 && r->authority.n == 0)
            put(&t, " no-soa");
        put_section(&t, " NS ", q, &r->authority);
    }
    put_section(&t, " AR ", q, &r->additional);
    return out;
}

// Asks "NAME TYPE". The query is in `*q`, its memory the instance's arena, until the next one.
static inline enum verdict ask(struct instance *in, const char *question, struct query *q)
{
    char name[NAME_MAX_TEXT], type[16];
    assert_int_equal(sscanf(question, "%1023s %15s", name, type), 2);
    assert_true(rr_type_from_text(type) > 0);
    arena_reset(in->arena);
    memset(&chain, 0, sizeof chain);
    *q = make_query(in->arena, name, (uint16_t)rr_type_from_text(type));
    rcu_section_begin();
    enum verdict v = kubernetes->query(in->k, q);
    rcu_section_end();
    return v;
}

// What the interface tells other plugins fits what the plugin does.
static inline void check_interface(struct instance *in, const struct query *q, enum verdict v, const char *question)
{
    const struct kubernetes_interface *ops = kubernetes->provides[0].ops;
    assert_string_equal(kubernetes->provides[0].name, KUBERNETES_INTERFACE);
    bool passes = ops->passes(in->k, q), has_name = ops->has_name(in->k, q);
    bool sure = q->qtype == RR_A || q->qtype == RR_AAAA;
    if ((!has_name && v != VERDICT_NEXT) || (!passes && v == VERDICT_NEXT) || (sure && has_name && v == VERDICT_NEXT))
        fail_msg("%s\n  passes %d, has_name %d, verdict %d", question, passes, has_name, v);
}

struct answer_case {
    const char *question, *answer;
};

static inline void check_answers(struct instance *in, const struct answer_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct query q;
        enum verdict v = ask(in, cases[i].question, &q);
        check_interface(in, &q, v, cases[i].question);
        const char *text = answer_text(&q, v);
        if (strcmp(text, cases[i].answer) != 0)
            fail_msg("%s\n  is      %s\n  want    %s", cases[i].question, text, cases[i].answer);
    }
}
