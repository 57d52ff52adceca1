// SPDX-License-Identifier: Apache-2.0
// errors: prints the error that a query ended with; `consolidate` counts errors alike and prints their number.
#define PCRE2_CODE_UNIT_WIDTH 8
#include <clusterdns/plugin.h>

#include <pcre2.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define REGEX_MAX 10000    // bytes of an expression, as CoreDNS
#define MATCH_LIMIT 100000 // steps of one match
#define MATCH_HEAP_KIB 128 // memory of one match, in the query's arena
// Go's meaning of an expression: code points, `$` only at the very end, broken UTF-8 in the text is no error.
#define REGEX_OPTIONS                                                                                                  \
    (PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_NO_AUTO_CAPTURE | PCRE2_NEVER_BACKSLASH_C)

struct pattern {
    pcre2_code *code;
    const char *text;
    int64_t period_ns;
    enum log_level level;
    bool show_first;
    atomic_uint count; // since the last report
};

// What the main loop holds; outlives the instance until the loop has let go of it.
struct reporter {
    struct errors *errors; // not after errors_stop()
    uv_async_t wake;       // a pattern's count left zero
    unsigned handles;      // not closed yet
    uv_timer_t timers[];   // one a pattern
};

struct errors {
    struct pattern *patterns;
    size_t npatterns;
    struct reporter *reporter; // NULL while stopped, or without patterns
    atomic_bool running;       // reporter is there
    pthread_mutex_t lock;      // of `reporter` against its stop: taken for the first error of a period only
};

// Configuration ------------------------------------------------------------------------------------------------------

static int compile(struct config *c, struct pattern *p, const struct token *t)
{
    size_t len = strlen(t->text), offset;
    int code;
    if (len > REGEX_MAX)
        return config_errorf(c, t, "regex pattern too long: %zu > %d", len, REGEX_MAX);
    p->text = t->text;
    p->code = pcre2_compile((PCRE2_SPTR)t->text, len, REGEX_OPTIONS, &code, &offset, NULL);
    if (p->code == NULL) {
        PCRE2_UCHAR text[128];
        pcre2_get_error_message(code, text, sizeof(text));
        return config_errorf(c, t, "error parsing regexp: %s: `%s`", (const char *)text, t->text);
    }
    return 0;
}

static int read_options(struct config *c, struct pattern *p, const struct token *t, size_t n)
{
    static const struct {
        const char *name;
        enum log_level level;
    } levels[] = {{"warning", LOG_LEVEL_WARNING},
                  {"error", LOG_LEVEL_ERROR},
                  {"info", LOG_LEVEL_INFO},
                  {"debug", LOG_LEVEL_DEBUG}};
    bool has_level = false;
    for (; n > 0; n--, t++) {
        size_t i = 0;
        while (i < 4 && strcmp(levels[i].name, t->text) != 0)
            i++;
        if (i < 4 && has_level)
            return config_errorf(c, t, "multiple log levels specified in consolidate");
        if (i < 4 && p->show_first)
            return config_errorf(c, t, "log level must come before show_first in consolidate");
        if (i == 4 && strcmp(t->text, "show_first") != 0)
            return config_errorf(c, t, "unknown option in consolidate: %s", t->text);
        if (i < 4) {
            has_level = true;
            p->level = levels[i].level;
        } else {
            p->show_first = true;
        }
    }
    return 0;
}

static int read_consolidate(struct config *c, struct pattern *p, const struct directive *d)
{
    char text[CONFIG_ERROR_MAX];
    if (d->ntokens < 3 || d->ntokens > 5)
        return config_argument_error(c, &d->tokens[d->ntokens - 1]);
    if (config_duration(d->tokens[1].text, &p->period_ns, text) != 0)
        return config_errorf(c, &d->tokens[1], "%s", text);
    p->level = LOG_LEVEL_ERROR;
    int rc = compile(c, p, &d->tokens[2]);
    return rc != 0 ? rc : read_options(c, p, d->tokens + 3, d->ntokens - 3);
}

// A line of the block behind the words `stacktrace`, which do nothing here: there are no panics to recover from. For
// CoreDNS what follows one is a property of its own, in the same line too.
static struct directive skip_stacktrace(const struct directive *d)
{
    struct directive rest = *d;
    while (rest.ntokens > 0 && strcmp(rest.tokens[0].text, "stacktrace") == 0) {
        rest.tokens++;
        rest.ntokens--;
    }
    return rest;
}

static int read_block(struct config *c, struct errors *e, const struct directive *d)
{
    e->patterns = arena_calloc(c->arena, d->nblock, sizeof(*e->patterns));
    if (e->patterns == NULL)
        return CDNS_ENOMEM;
    for (size_t i = 0; i < d->nblock; i++) {
        struct directive p = skip_stacktrace(&d->block[i]);
        if (p.ntokens == 0)
            continue;
        const struct token *t = &p.tokens[0];
        if (strcmp(t->text, "consolidate") != 0)
            return config_plain_errorf(c, NULL,
                                       "%s:%u - Syntax error: Unexpected token '%s', expecting 'Unknown field %s'",
                                       t->file, t->line, t->text, t->text);
        int rc = read_consolidate(c, &e->patterns[e->npatterns++], &p);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int read_lines(struct config *c, struct errors *e)
{
    const struct directive *d = c->lines[0];
    if (d->ntokens > 2)
        return config_argument_error(c, &d->tokens[d->ntokens - 1]);
    if (d->ntokens == 2 && strcmp(d->tokens[1].text, "stdout") != 0)
        return config_errorf(c, &d->tokens[1], "invalid log file: %s", d->tokens[1].text);
    int rc = read_block(c, e, d);
    if (rc == 0 && c->nlines > 1)
        rc = config_plain_errorf(c, &c->lines[1]->tokens[0], "this plugin can only be used once per Server Block");
    return rc;
}

static void errors_destroy(void *self)
{
    struct errors *e = self;
    for (size_t i = 0; i < e->npatterns; i++)
        pcre2_code_free(e->patterns[i].code);
    pthread_mutex_destroy(&e->lock);
}

static int errors_setup(struct config *c, void **self)
{
    struct errors *e = arena_calloc(c->arena, 1, sizeof(*e));
    if (e == NULL || pthread_mutex_init(&e->lock, NULL) != 0)
        return CDNS_ENOMEM;
    int rc = read_lines(c, e);
    if (rc != 0) {
        errors_destroy(e);
        return rc;
    }
    *self = e;
    return 0;
}

// Counting and reporting ---------------------------------------------------------------------------------------------

static void report(struct pattern *p)
{
    char period[CONFIG_DURATION_MAX];
    unsigned n = atomic_exchange(&p->count, 0);
    if (n > 1 || (n == 1 && !p->show_first))
        log_plugin(p->level, "errors", "%u errors like '%s' occurred in last %s", n, p->text,
                   config_duration_text(p->period_ns, period));
}

static void on_period_over(uv_timer_t *timer)
{
    report(timer->data);
}

static void on_wake(uv_async_t *async)
{
    struct reporter *r = async->data;
    for (size_t i = 0; i < r->errors->npatterns; i++) {
        const struct pattern *p = &r->errors->patterns[i];
        uint64_t ms = p->period_ns > 0 ? ((uint64_t)p->period_ns + 999999) / 1000000 : 0;
        if (atomic_load(&p->count) > 0 && !uv_is_active((uv_handle_t *)&r->timers[i]))
            uv_timer_start(&r->timers[i], on_period_over, ms, 0);
    }
}

static int errors_start(void *self, const struct plugin_start *s)
{
    struct errors *e = self;
    if (e->npatterns == 0)
        return 0;
    struct reporter *r = malloc(sizeof(*r) + e->npatterns * sizeof(*r->timers));
    if (r == NULL)
        return CDNS_ENOMEM;
    if (uv_async_init(s->loop, &r->wake, on_wake) != 0) {
        free(r);
        return CDNS_EIO;
    }
    r->errors = e;
    r->wake.data = r;
    r->handles = 1;
    for (size_t i = 0; i < e->npatterns; i++, r->handles++) {
        uv_timer_init(s->loop, &r->timers[i]);
        r->timers[i].data = &e->patterns[i];
    }
    e->reporter = r;
    atomic_store(&e->running, true);
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct reporter *r = handle->data;
    if (--r->handles == 0)
        free(r);
}

// What was counted is printed now; errors that still come are printed one by one.
static void errors_stop(void *self)
{
    struct errors *e = self;
    pthread_mutex_lock(&e->lock);
    struct reporter *r = e->reporter;
    e->reporter = NULL;
    atomic_store(&e->running, false);
    pthread_mutex_unlock(&e->lock);
    if (r == NULL)
        return;
    uv_close((uv_handle_t *)&r->wake, on_closed);
    for (size_t i = 0; i < e->npatterns; i++) {
        r->timers[i].data = r;
        uv_close((uv_handle_t *)&r->timers[i], on_closed);
        report(&e->patterns[i]);
    }
}

// Counts an error; false when it is to be printed all the same.
static bool consolidate(struct errors *e, struct pattern *p)
{
    if (!atomic_load(&e->running))
        return false;
    if (atomic_fetch_add(&p->count, 1) > 0)
        return true;
    pthread_mutex_lock(&e->lock);
    bool stopped = e->reporter == NULL;
    if (!stopped)
        uv_async_send(&e->reporter->wake);
    pthread_mutex_unlock(&e->lock);
    if (stopped)
        report(p);
    return !p->show_first;
}

// Queries ------------------------------------------------------------------------------------------------------------

static void *match_alloc(size_t size, void *arena)
{
    return arena_alloc(arena, size);
}

static void match_free(void *p, void *arena)
{
    (void)p, (void)arena;
}

// The first pattern that the text matches. All memory is the query's; an expression that takes too many steps or bytes
// does not match.
static struct pattern *find(struct errors *e, struct arena *a, const char *text)
{
    pcre2_general_context *memory = pcre2_general_context_create(match_alloc, match_free, a);
    pcre2_match_data *data = memory == NULL ? NULL : pcre2_match_data_create(1, memory);
    pcre2_match_context *limits = memory == NULL ? NULL : pcre2_match_context_create(memory);
    if (data == NULL || limits == NULL)
        return NULL;
    pcre2_set_match_limit(limits, MATCH_LIMIT);
    pcre2_set_heap_limit(limits, MATCH_HEAP_KIB);
    for (size_t i = 0; i < e->npatterns; i++) {
        struct pattern *p = &e->patterns[i];
        if (pcre2_match(p->code, (PCRE2_SPTR)text, strlen(text), 0, 0, data, limits) >= 0)
            return p;
    }
    return NULL;
}

static void errors_done(void *self, const struct query *q, const struct outcome *o)
{
    struct errors *e = self;
    if (o->error == NULL)
        return;
    enum log_level level = LOG_LEVEL_ERROR;
    struct pattern *p = e->npatterns == 0 ? NULL : find(e, q->arena, o->error);
    if (p != NULL) {
        if (consolidate(e, p))
            return;
        level = p->level;
    }
    char name[NAME_MAX_TEXT], type[16];
    name_to_text(q->qname, name);
    log_plugin(level, "errors", "%u %s %s: %s", o->rcode, name, rr_type_text(q->qtype, type), o->error);
}

CLUSTERDNS_PLUGIN(errors, .setup = errors_setup, .destroy = errors_destroy, .start = errors_start, .stop = errors_stop,
                  .done = errors_done);
