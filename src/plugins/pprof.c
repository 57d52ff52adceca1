// SPDX-License-Identifier: Apache-2.0
// pprof: CoreDNS's profiles of the Go runtime, which there is none of here: read, and not served.
#include <clusterdns/http.h>
#include <clusterdns/plugin.h>

#include <string.h>

static int read_property(struct config *c, const struct directive *p)
{
    const struct token *last = &p->tokens[p->ntokens - 1];
    int64_t rate;
    if (strcmp(p->tokens[0].text, "block") != 0)
        return config_errorf(c, &p->tokens[0], "unknown property '%s'", p->tokens[0].text);
    if (p->ntokens > 2)
        return config_argument_error(c, last);
    if (p->ntokens == 2 && config_integer(last->text, &rate, NULL) != 0)
        return config_errorf(c, last, "property 'block' invalid integer value '%s'", last->text);
    return 0;
}

static int pprof_setup(struct config *c, void **self)
{
    const struct directive *d = c->lines[0];
    char why[CONFIG_ERROR_MAX];
    *self = NULL;
    if (d->ntokens == 2 && http_address_error(d->tokens[1].text, why, sizeof why) != NULL)
        return config_errorf(c, &d->tokens[1], "%s", why);
    if (d->ntokens > 2)
        return config_argument_error(c, &d->tokens[d->ntokens - 1]);
    for (size_t i = 0; i < d->nblock; i++) {
        int rc = read_property(c, &d->block[i]);
        if (rc != 0)
            return rc;
    }
    if (c->nlines > 1)
        return config_plain_errorf(c, &c->lines[1]->tokens[0], "this plugin can only be used once per Server Block");
    return 0;
}

static int pprof_start(void *self, const struct plugin_start *s)
{
    static bool warned; // once in the life of the process
    (void)self, (void)s;
    if (!warned)
        log_plugin(LOG_LEVEL_WARNING, "pprof", "there is no Go runtime to profile: no endpoint is opened; use perf");
    warned = true;
    return 0;
}

CLUSTERDNS_PLUGIN(pprof, .setup = pprof_setup, .start = pprof_start);
