// SPDX-License-Identifier: Apache-2.0
// prometheus: counts the queries of its block, and shows everything that is counted on /metrics.
#include "plugins/prometheus/process.h"
#include "plugins/prometheus/web_config.h"
#include "plugins/prometheus/web_guard.h"
#include <clusterdns/http.h>
#include <clusterdns/metrics.h>
#include <clusterdns/plugin.h>

#include <stdio.h>
#include <string.h>

struct prometheus {
    const char *address;
    const struct token *directive;
    const struct token *tls; // the file's path; NULL: plain HTTP, open to everybody
    const struct placement *at;
    struct http_guard *guard;       // likewise
    struct http_endpoint *endpoint; // between .start and .stop
};

static int read_tls(struct config *c, struct prometheus *p, const struct directive *d)
{
    char error[WEB_ERROR_MAX];
    if (p->tls != NULL)
        return config_errorf(c, &d->tokens[0], "tls block already specified");
    if (d->ntokens != 2)
        return config_argument_error(c, &d->tokens[d->ntokens - 1]);
    p->tls = &d->tokens[1];
    int rc = web_guard_check(p->tls->text, error);
    return rc == CDNS_ECONFIG ? config_plain_errorf(c, p->tls, "Invalid TLS config: %s", error) : rc;
}

static int read_property(struct config *c, struct prometheus *p, const struct directive *d)
{
    const char *name = d->tokens[0].text;
    if (strcmp(name, "runtime_metrics") == 0) // of the Go runtime, which there is none of here
        return d->ntokens == 1 ? 0 : config_argument_error(c, &d->tokens[d->ntokens - 1]);
    if (strcmp(name, "tls") == 0)
        return read_tls(c, p, d);
    return config_errorf(c, &d->tokens[0], "unknown option: %s", name);
}

static int read_line(struct config *c, struct prometheus *p, const struct directive *d)
{
    char text[CONFIG_ERROR_MAX];
    p->directive = &d->tokens[0];
    if (d->ntokens > 2)
        return config_argument_error(c, &d->tokens[d->ntokens - 1]);
    if (d->ntokens == 2) {
        p->address = d->tokens[1].text;
        if (http_address_error(p->address, text, sizeof(text)) != NULL)
            return config_plain_errorf(c, &d->tokens[1], "%s", text);
    }
    for (size_t i = 0; i < d->nblock; i++) {
        int rc = read_property(c, p, &d->block[i]);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int prometheus_setup(struct config *c, void **self)
{
    struct prometheus *p = arena_calloc(c->arena, 1, sizeof(*p));
    if (p == NULL)
        return CDNS_ENOMEM;
    p->address = "localhost:9153";
    int rc = read_line(c, p, c->lines[0]);
    if (rc != 0)
        return rc;
    if (c->nlines > 1)
        return config_plain_errorf(c, &c->lines[1]->tokens[0], "this plugin can only be used once per Server Block");
    *self = p;
    return 0;
}

static size_t produce(void *text, char *out, size_t cap)
{
    return metrics_text_next(text, out, cap);
}

static void finish(void *text)
{
    metrics_text_end(text);
}

static void answer(void *arg, struct http_response *r)
{
    (void)arg;
    process_collect();
    r->stream = metrics_text_begin();
    if (r->stream == NULL) {
        r->status = 503;
        return;
    }
    r->content_type = METRICS_TEXT_TYPE;
    r->produce = produce;
    r->finish = finish;
}

static int serve(struct prometheus *p, const struct plugin_start *s)
{
    char why[WEB_ERROR_MAX] = "";
    if (p->tls != NULL) {
        int rc = web_guard_open(p->tls->text, s->loop, &p->guard, why);
        if (rc == CDNS_ECONFIG)
            snprintf(s->error, CONFIG_ERROR_MAX, "plugin/prometheus: Invalid TLS config: %s (%s:%u)", why, p->tls->file,
                     p->tls->line);
        if (rc != 0)
            return rc;
    }
    int rc = http_open(
        &(struct http_service){
            .address = p->address, .path = "/metrics", .handler = answer, .guard = p->guard, .at = s->placement},
        &p->endpoint);
    if (rc == 0)
        return 0;
    int len =
        snprintf(s->error, CONFIG_ERROR_MAX, "plugin/prometheus: listen tcp %s: %s", p->address, http_open_error(rc));
    if (rc == CDNS_ECONFIG && len < CONFIG_ERROR_MAX)
        snprintf(s->error + len, CONFIG_ERROR_MAX - (size_t)len, " (%s:%u)", p->directive->file, p->directive->line);
    web_guard_close(p->guard);
    p->guard = NULL;
    return rc;
}

static int prometheus_start(void *self, const struct plugin_start *s)
{
    struct prometheus *p = self;
    int rc = server_count_block(s->placement);
    if (rc != 0)
        return rc;
    p->at = s->placement;
    rc = serve(p, s);
    if (rc != 0)
        server_uncount_block(p->at);
    return rc;
}

static void prometheus_stop(void *self)
{
    struct prometheus *p = self;
    http_close(p->endpoint);
    web_guard_close(p->guard);
    server_uncount_block(p->at);
    p->endpoint = NULL;
    p->guard = NULL;
}

static void prometheus_done(void *self, const struct query *q, const struct outcome *o)
{
    (void)self;
    query_count(q, o);
}

CLUSTERDNS_PLUGIN(prometheus, .setup = prometheus_setup, .start = prometheus_start, .stop = prometheus_stop,
                  .done = prometheus_done);
