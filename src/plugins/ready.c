// SPDX-License-Identifier: Apache-2.0
// ready: /ready says OK when every plugin that can tell is ready, and no longer once a termination signal came.
#include <clusterdns/http.h>
#include <clusterdns/plugin.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ready {
    const char *address;
    bool continuously;
    const struct server_state *state;
    struct http_endpoint *endpoint; // between .start and .stop
    bool *was_ready;                // of the server's nth instance that can tell; `cap` of them
    size_t cap;
};

static int read_monitor(struct config *c, struct ready *r, const struct directive *d)
{
    if (d->ntokens != 2)
        return config_argument_error(c, &d->tokens[d->ntokens - 1]);
    const char *type = d->tokens[1].text;
    r->continuously = strcmp(type, "continuously") == 0;
    if (!r->continuously && strcmp(type, "until-ready") != 0)
        return config_errorf(c, &d->tokens[1], "monitor type '%s' not supported", type);
    return 0;
}

static int read_line(struct config *c, struct ready *r, const struct directive *d)
{
    char text[CONFIG_ERROR_MAX];
    if (d->ntokens > 2)
        return config_argument_error(c, &d->tokens[d->ntokens - 1]);
    if (d->ntokens == 2) {
        r->address = d->tokens[1].text;
        if (http_address_error(r->address, text, sizeof(text)) != NULL)
            return config_plain_errorf(c, &d->tokens[1], "%s", text);
    }
    for (size_t i = 0; i < d->nblock; i++) {
        const struct directive *p = &d->block[i];
        if (strcmp(p->tokens[0].text, "monitor") != 0)
            return config_errorf(c, &p->tokens[0], "unknown property '%s'", p->tokens[0].text);
        int rc = read_monitor(c, r, p);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int ready_setup(struct config *c, void **self)
{
    struct ready *r = arena_calloc(c->arena, 1, sizeof(*r));
    if (r == NULL)
        return CDNS_ENOMEM;
    r->address = ":8181";
    int rc = read_line(c, r, c->lines[0]);
    if (rc != 0)
        return rc;
    if (c->nlines > 1)
        return config_plain_errorf(c, &c->lines[1]->tokens[0], "this plugin can only be used once per Server Block");
    *self = r;
    return 0;
}

static void ready_destroy(void *self)
{
    struct ready *r = self;
    free(r->was_ready);
}

#define NAMES_MAX 64 // plugins with different names that are not ready

// One look at all instances.
struct survey {
    struct ready *ready;
    size_t instance; // how many have been seen
    size_t n;
    const char *names[NAMES_MAX];
};

// Room to remember the nth instance; without memory nothing is remembered, and the plugin is asked again.
static bool *remembered(struct ready *r, size_t n)
{
    if (n >= r->cap) {
        size_t cap = 2 * n + 16;
        bool *grown = realloc(r->was_ready, cap * sizeof(*grown));
        if (grown == NULL)
            return NULL;
        memset(grown + r->cap, 0, (cap - r->cap) * sizeof(*grown));
        r->was_ready = grown;
        r->cap = cap;
    }
    return &r->was_ready[n];
}

static void look(void *arg, const char *plugin, bool is_ready)
{
    struct survey *s = arg;
    bool *was_ready = remembered(s->ready, s->instance++);
    if (was_ready != NULL && !s->ready->continuously) {
        *was_ready |= is_ready;
        is_ready = *was_ready;
    }
    for (size_t i = 0; i < s->n && !is_ready; i++)
        is_ready = strcmp(s->names[i], plugin) == 0; // listed already
    if (!is_ready && s->n < NAMES_MAX)
        s->names[s->n++] = plugin;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void answer(void *arg, struct http_response *response)
{
    struct ready *r = arg;
    struct survey s = {.ready = r};
    const char *text = "OK";
    if (server_stopping(r->state)) {
        response->status = 503;
        text = "Shutting down";
    } else {
        server_each_ready(r->state, look, &s);
    }
    if (s.n == 0) {
        response->len = strlen(text);
        memcpy(response->body, text, response->len);
        return;
    }
    qsort(s.names, s.n, sizeof(*s.names), by_name);
    for (size_t i = 0; i < s.n && response->len < response->cap; i++)
        response->len += (size_t)snprintf(response->body + response->len, response->cap - response->len, "%s%s",
                                          i > 0 ? "," : "", s.names[i]);
    if (response->len > response->cap)
        response->len = response->cap;
    response->status = 503;
    log_plugin(LOG_LEVEL_INFO, "ready", "Plugins not ready: \"%.*s\"", (int)response->len, response->body);
}

static int ready_start(void *self, const struct plugin_start *s)
{
    struct ready *r = self;
    r->state = s->state;
    int rc = http_open(
        &(struct http_service){
            .address = r->address, .path = "/ready", .handler = answer, .arg = r, .at = s->placement},
        &r->endpoint);
    if (rc != 0)
        snprintf(s->error, CONFIG_ERROR_MAX, "plugin/ready: listen tcp %s: %s", r->address, http_open_error(rc));
    return rc;
}

static void ready_stop(void *self)
{
    struct ready *r = self;
    http_close(r->endpoint);
    r->endpoint = NULL;
}

CLUSTERDNS_PLUGIN(ready, .setup = ready_setup, .destroy = ready_destroy, .start = ready_start, .stop = ready_stop);
