// SPDX-License-Identifier: Apache-2.0
// reload: looks at the Corefile from time to time, and has it loaded when it says something else.
#include <clusterdns/plugin.h>
#include <clusterdns/random.h>

#include <stdlib.h>
#include <uv.h>

#define SECOND INT64_C(1000000000)
#define INTERVAL_DEFAULT (30 * SECOND)
#define INTERVAL_MIN (2 * SECOND)
#define JITTER_DEFAULT (15 * SECOND)
#define JITTER_MIN SECOND

struct reload {
    uint64_t interval_ms; // jitter included
    uv_timer_t *timer;    // between .start and .stop
};

// Of several directives in a block the first counts, as in CoreDNS.
static int reload_setup(struct config *c, void **self)
{
    const struct directive *d = c->lines[0];
    int64_t interval = INTERVAL_DEFAULT, jitter = JITTER_DEFAULT;
    char why[CONFIG_ERROR_MAX];
    struct reload *r = arena_calloc(c->arena, 1, sizeof(*r));
    if (r == NULL)
        return CDNS_ENOMEM;
    if (d->ntokens > 3)
        return config_argument_error(c, &d->tokens[d->ntokens - 1]);
    if (d->ntokens > 1 && config_duration(d->tokens[1].text, &interval, why) != 0)
        return config_plain_errorf(c, &d->tokens[1], "%s", why);
    if (interval < INTERVAL_MIN)
        return config_plain_errorf(c, &d->tokens[d->ntokens > 1], "interval value must be greater or equal to 2s");
    if (d->ntokens > 2 && config_duration(d->tokens[2].text, &jitter, why) != 0)
        return config_plain_errorf(c, &d->tokens[2], "%s", why);
    if (jitter != 0 && jitter < JITTER_MIN)
        return config_plain_errorf(c, &d->tokens[2], "jitter value must be 0 or greater or equal to 1s");
    if (jitter > interval / 2)
        jitter = interval / 2;
    // Servers that were started together do not read, sync and swap together.
    uint64_t random;
    random_bytes(&random, sizeof random);
    if (jitter > 0)
        interval += (int64_t)(random % (uint64_t)jitter) - jitter / 2;
    r->interval_ms = (uint64_t)interval / 1000000;
    *self = r;
    return 0;
}

static void on_interval(uv_timer_t *timer)
{
    server_reload_if_changed(timer->data);
}

static void on_closed(uv_handle_t *timer)
{
    free(timer);
}

static int reload_start(void *self, const struct plugin_start *s)
{
    struct reload *r = self;
    r->timer = malloc(sizeof(*r->timer));
    if (r->timer == NULL)
        return CDNS_ENOMEM;
    uv_timer_init(s->loop, r->timer);
    r->timer->data = (void *)(uintptr_t)s->state;
    uv_timer_start(r->timer, on_interval, r->interval_ms, r->interval_ms);
    return 0;
}

static void reload_stop(void *self)
{
    struct reload *r = self;
    uv_close((uv_handle_t *)r->timer, on_closed);
    r->timer = NULL;
}

CLUSTERDNS_PLUGIN(reload, .setup = reload_setup, .start = reload_start, .stop = reload_stop);
