// SPDX-License-Identifier: Apache-2.0
// health: /health says OK for as long as the process serves; lameduck delays its end.
#include "plugins/health/probe.h"
#include <clusterdns/http.h>
#include <clusterdns/plugin.h>

#include <stdio.h>
#include <string.h>

struct health {
    const char *address;
    int64_t lameduck_ns;
    struct http_endpoint *endpoint; // between .start and .stop
    struct probe *probe;            // likewise
};

static int read_lameduck(struct config *c, struct health *h, const struct directive *d)
{
    char text[CONFIG_ERROR_MAX];
    if (d->ntokens != 2)
        return config_argument_error(c, &d->tokens[d->ntokens - 1]);
    if (config_duration(d->tokens[1].text, &h->lameduck_ns, text) != 0)
        return config_plain_errorf(c, &d->tokens[1], "unable to parse lameduck duration value: '%s' : %s",
                                   d->tokens[1].text, text);
    return 0;
}

static int read_line(struct config *c, struct health *h, const struct directive *d)
{
    char text[CONFIG_ERROR_MAX];
    if (d->ntokens > 2)
        return config_argument_error(c, &d->tokens[d->ntokens - 1]);
    if (d->ntokens == 2) {
        h->address = d->tokens[1].text;
        if (http_address_error(h->address, text, sizeof(text)) != NULL)
            return config_plain_errorf(c, &d->tokens[1], "%s", text);
    }
    for (size_t i = 0; i < d->nblock; i++) {
        const struct directive *p = &d->block[i];
        if (strcmp(p->tokens[0].text, "lameduck") != 0)
            return config_errorf(c, &p->tokens[0], "unknown property '%s'", p->tokens[0].text);
        int rc = read_lameduck(c, h, p);
        if (rc != 0)
            return rc;
    }
    return 0;
}

// Of several directives in a block the last word counts, as in CoreDNS.
static int health_setup(struct config *c, void **self)
{
    struct health *h = arena_calloc(c->arena, 1, sizeof(*h));
    if (h == NULL)
        return CDNS_ENOMEM;
    h->address = ":8080";
    for (size_t i = 0; i < c->nlines; i++) {
        int rc = read_line(c, h, c->lines[i]);
        if (rc != 0)
            return rc;
    }
    *self = h;
    return 0;
}

static void answer(void *arg, struct http_response *r)
{
    (void)arg;
    r->len = 2;
    memcpy(r->body, "OK", r->len);
}

static int health_start(void *self, const struct plugin_start *s)
{
    struct health *h = self;
    union sockaddr_any address;
    int rc = http_open(
        &(struct http_service){
            .address = h->address, .path = "/health", .handler = answer, .arg = h, .at = s->placement},
        &h->endpoint);
    if (rc != 0) {
        snprintf(s->error, CONFIG_ERROR_MAX, "plugin/health: listen tcp %s: %s", h->address, http_open_error(rc));
        return rc;
    }
    char url[NAME_MAX_WIRE + 64];
    snprintf(url, sizeof(url), "http://%s%s/health", h->address[0] == ':' ? "localhost" : "", h->address);
    http_local_address(h->endpoint, &address);
    h->probe = probe_start(s->loop, &address, url);
    if (h->probe == NULL) {
        http_close(h->endpoint);
        return CDNS_ENOMEM;
    }
    return 0;
}

static void health_stop(void *self)
{
    struct health *h = self;
    probe_stop(h->probe);
    http_close(h->endpoint);
    h->probe = NULL;
    h->endpoint = NULL;
}

static uint64_t health_shutdown(void *self)
{
    const struct health *h = self;
    char text[CONFIG_DURATION_MAX];
    if (h->lameduck_ns <= 0)
        return 0;
    log_plugin(LOG_LEVEL_INFO, "health", "Going into lameduck mode for %s", config_duration_text(h->lameduck_ns, text));
    return (uint64_t)h->lameduck_ns;
}

CLUSTERDNS_PLUGIN(health, .setup = health_setup, .start = health_start, .stop = health_stop,
                  .shutdown = health_shutdown);
