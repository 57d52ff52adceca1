// SPDX-License-Identifier: Apache-2.0
// Guards belong to the process: a reload that wants the same file again keeps the listener, and finds the tokens that
// are left of the rate limit.
#include "plugins/prometheus/web_guard.h"

#include "plugins/prometheus/web_config.h"
#include "plugins/prometheus/web_password.h"
#include "plugins/prometheus/web_tls.h"
#include <clusterdns/clock.h>
#include <clusterdns/file.h>
#include <clusterdns/log.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WEB_CONFIG_MAX (64U << 10) // libyaml's time can grow with the square of it
#define WEB_FILE_MAX (1U << 20)    // of certificates and keys
#define LOOK_NS UINT64_C(1000000000)

// What the file said at one time. Connections keep the state that they began with.
struct state {
    unsigned refs;
    struct arena *arena;
    struct web_config config;
    struct web_blob text;
    struct web_pems pems;
    struct web_tls *tls;         // NULL: plain HTTP
    struct http_header *headers; // `nheaders`, and one more for refusals
    size_t nheaders;
};

struct guard {
    struct http_guard base; // first: what http.c knows
    struct guard *next;
    unsigned refs;
    struct uv_loop_s *loop;
    struct state *state;
    struct state *rejected; // read later, but of no use; NULL: none
    uint64_t looked_ns;
    char complaint[WEB_ERROR_MAX]; // that was logged last
    double tokens;                 // of the rate limit
    uint64_t tokens_ns;            // when there were so many
    char path[];
};

struct visit {
    struct guard *guard;
    struct state *state;
    bool counted; // by the rate limit
    struct web_asker asker;
};

static struct guard *guards;

// Files --------------------------------------------------------------------------------------------------------------

static void blob_free(struct web_blob *b)
{
    if (b->data != NULL)
        explicit_bzero(b->data, b->len);
    free(b->data);
    *b = (struct web_blob){0};
}

static bool blob_equal(const struct web_blob *a, const struct web_blob *b)
{
    if (a->data == NULL || b->data == NULL)
        return a->data == b->data;
    return a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

static int read_pem(const char *path, const char *field, const struct web_text *file, struct web_blob *out, char *error)
{
    if (file->text == NULL || file_read(file->text, true, WEB_FILE_MAX, &out->data, &out->len, NULL) == 0)
        return 0;
    return web_error(error, path, file->line, "failed to read %s (%s): %s", field, file->text, strerror(errno));
}

// States -------------------------------------------------------------------------------------------------------------

static void release(struct state *s)
{
    if (s == NULL || --s->refs > 0)
        return;
    web_tls_free(s->tls);
    blob_free(&s->text);
    blob_free(&s->pems.cert);
    blob_free(&s->pems.key);
    blob_free(&s->pems.client_ca);
    arena_free(s->arena);
    free(s);
}

static int read_files(const char *path, struct state *s, char *error)
{
    const struct web_config *c = &s->config;
    if (file_read(path, true, WEB_CONFIG_MAX, &s->text.data, &s->text.len, NULL) != 0)
        return web_error(error, path, 0, "open: %s", strerror(errno));
    int rc = web_config_parse(path, s->text.data, s->text.len, s->arena, &s->config, error);
    if (rc == 0)
        rc = read_pem(path, "cert_file", &c->cert_file, &s->pems.cert, error);
    if (rc == 0)
        rc = read_pem(path, "key_file", &c->key_file, &s->pems.key, error);
    if (rc == 0)
        rc = read_pem(path, "client_ca_file", &c->client_ca_file, &s->pems.client_ca, error);
    return rc;
}

static bool make_headers(struct state *s)
{
    const struct web_list *l = &s->config.headers;
    s->headers = arena_calloc(s->arena, l->n + 1, sizeof *s->headers);
    if (s->headers == NULL)
        return false;
    for (size_t i = 0; i < l->n; i++)
        if (l->entries[i].value.text != NULL && l->entries[i].value.text[0] != '\0')
            s->headers[s->nheaders++] =
                (struct http_header){.name = l->entries[i].name, .value = l->entries[i].value.text};
    s->headers[s->nheaders] = (struct http_header){.name = "WWW-Authenticate", .value = "Basic"};
    return true;
}

static bool same_files(const struct state *a, const struct state *b)
{
    return blob_equal(&a->text, &b->text) && blob_equal(&a->pems.cert, &b->pems.cert) &&
           blob_equal(&a->pems.key, &b->pems.key) && blob_equal(&a->pems.client_ca, &b->pems.client_ca);
}

// All files, read and parsed.
static int read_state(const char *path, struct state **out, char *error)
{
    struct state *s = calloc(1, sizeof *s);
    if (s == NULL || (s->arena = arena_new(0)) == NULL) {
        free(s);
        return CDNS_ENOMEM;
    }
    s->refs = 1;
    int rc = read_files(path, s, error);
    if (rc == 0)
        *out = s;
    else
        release(s);
    return rc;
}

// What it takes to serve by them.
static int finish_state(const char *path, struct state *s, char *error)
{
    if (!make_headers(s))
        return CDNS_ENOMEM;
    return web_tls_wanted(&s->config) ? web_tls_new(path, &s->config, &s->pems, &s->tls, error) : 0;
}

static int load(const char *path, struct state **out, char *error)
{
    struct state *s;
    int rc = read_state(path, &s, error);
    if (rc != 0)
        return rc;
    rc = finish_state(path, s, error);
    if (rc == 0)
        *out = s;
    else
        release(s);
    return rc;
}

// Of what was read later than what is served.
static void forget_rejected(struct guard *g)
{
    release(g->rejected);
    g->rejected = NULL;
    g->complaint[0] = '\0';
}

static void adopt(struct guard *g, struct state *s)
{
    const struct state *last = g->state;
    if (last == NULL || last->config.burst != s->config.burst || last->config.interval_ns != s->config.interval_ns) {
        g->tokens = (double)s->config.burst;
        g->tokens_ns = clock_monotonic_ns();
    }
    release(g->state);
    g->state = s;
    forget_rejected(g);
}

// Says it once.
static void complain(struct guard *g, const char *text)
{
    if (strcmp(g->complaint, text) == 0)
        return;
    log_plugin(LOG_LEVEL_ERROR, "prometheus", "Unable to use the changed configuration: %s; it is served as it was",
               text);
    snprintf(g->complaint, sizeof g->complaint, "%s", text);
}

static int use(struct guard *g, struct state *s, char *error)
{
    int rc = finish_state(g->path, s, error);
    if (rc == 0 && (s->tls != NULL) != g->base.tls)
        return web_error(error, g->path, 0, "TLS is turned %s here: that takes a reload", g->base.tls ? "off" : "on");
    // A file that is just being written looks like that, too.
    if (rc == 0 && g->state->config.users.n > 0 && s->config.users.n == 0)
        return web_error(error, g->path, 0, "passwords are not asked for any more: that takes a reload");
    if (rc == 0 && web_tls_verifies(g->state->tls) && !web_tls_verifies(s->tls))
        return web_error(error, g->path, 0, "client certificates are not verified any more: that takes a reload");
    return rc;
}

// What was of no use is not tried again until it has changed: GnuTLS 3.7 loses memory at each damaged certificate.
static void look(struct guard *g)
{
    char error[WEB_ERROR_MAX] = "";
    struct state *s = NULL;
    uint64_t now = clock_monotonic_ns();
    if (now - g->looked_ns < LOOK_NS)
        return;
    g->looked_ns = now;
    int rc = read_state(g->path, &s, error);
    const bool as_served = rc == 0 && same_files(s, g->state);
    if (as_served)
        forget_rejected(g);
    if (as_served || (rc == 0 && g->rejected != NULL && same_files(s, g->rejected))) {
        release(s);
        return;
    }
    if (rc == 0)
        rc = use(g, s, error);
    if (rc == 0) {
        adopt(g, s);
        log_plugin(LOG_LEVEL_INFO, "prometheus", "%s or a file that it names has changed, and is used from now on",
                   g->path);
    } else if (rc == CDNS_ECONFIG) {
        complain(g, error);
        release(g->rejected);
        g->rejected = s;
    } else { // no memory: what is there will do
        release(s);
    }
}

// Connections --------------------------------------------------------------------------------------------------------

static void leave(void *visit)
{
    struct visit *v = visit;
    web_password_forget(&v->asker);
    release(v->state);
    free(v);
}

static void *enter(struct http_guard *guard, struct gnutls_session_int *session)
{
    struct guard *g = (struct guard *)guard;
    struct visit *v = calloc(1, sizeof *v);
    if (v == NULL)
        return NULL;
    look(g);
    v->guard = g;
    v->state = g->state;
    v->state->refs++;
    if (session == NULL || web_tls_begin(v->state->tls, session))
        return v;
    leave(v);
    return NULL;
}

// Takes a token if there is one. There is one more in each interval, up to `burst`.
static bool may_pass(struct guard *g)
{
    const struct web_config *c = &g->state->config;
    if (c->interval_ns <= 0)
        return true;
    uint64_t now = clock_monotonic_ns();
    g->tokens += (double)(now - g->tokens_ns) / (double)c->interval_ns;
    g->tokens_ns = now;
    if (g->tokens > (double)c->burst)
        g->tokens = (double)c->burst;
    if (g->tokens < 1)
        return false;
    g->tokens--;
    return true;
}

static struct http_verdict judge(void *visit, const char *authorization, struct http_request *request)
{
    struct visit *v = visit;
    const struct state *s = v->state;
    struct http_verdict verdict = {.status = HTTP_ADMIT, .headers = s->headers, .nheaders = s->nheaders};
    if (!v->counted && !may_pass(v->guard))
        return (struct http_verdict){.status = 429};
    v->counted = true;
    if (s->config.users.n == 0)
        return verdict;
    switch (web_password_ask(&v->asker, &s->config.users, authorization, request, v->guard->loop)) {
    case WEB_RIGHT:
        break;
    case WEB_WAITS:
        verdict.status = HTTP_WAIT;
        break;
    case WEB_TOO_MANY:
        verdict.status = 503;
        break;
    case WEB_WRONG:
    case WEB_NOT_ASKED:
        verdict.status = 401;
        verdict.nheaders++;
        break;
    }
    return verdict;
}

// Guards -------------------------------------------------------------------------------------------------------------

int web_guard_check(const char *path, char *error)
{
    struct state *s;
    int rc = load(path, &s, error);
    if (rc == 0)
        release(s);
    return rc;
}

static struct guard *make(const char *path, struct uv_loop_s *loop, bool tls)
{
    const size_t size = strlen(path) + 1;
    struct guard *g = calloc(1, sizeof *g + size);
    if (g == NULL)
        return NULL;
    g->base = (struct http_guard){.tls = tls, .enter = enter, .judge = judge, .leave = leave};
    g->loop = loop;
    memcpy(g->path, path, size);
    g->next = guards;
    guards = g;
    return g;
}

int web_guard_open(const char *path, struct uv_loop_s *loop, struct http_guard **out, char *error)
{
    struct state *s;
    int rc = load(path, &s, error);
    if (rc != 0)
        return rc;
    struct guard *g = guards;
    while (g != NULL && (strcmp(g->path, path) != 0 || g->base.tls != (s->tls != NULL)))
        g = g->next;
    if (g == NULL && (g = make(path, loop, s->tls != NULL)) == NULL) {
        release(s);
        return CDNS_ENOMEM;
    }
    g->refs++;
    g->looked_ns = clock_monotonic_ns();
    adopt(g, s);
    *out = &g->base;
    return 0;
}

void web_guard_close(struct http_guard *guard)
{
    struct guard *g = (struct guard *)guard, **at = &guards;
    if (g == NULL || --g->refs > 0)
        return;
    while (*at != g)
        at = &(*at)->next;
    *at = g->next;
    release(g->state);
    release(g->rejected);
    free(g);
}
