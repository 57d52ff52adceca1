// SPDX-License-Identifier: Apache-2.0
// debug: lines of level DEBUG are written to the log.
#include <clusterdns/plugin.h>

static int debug_setup(struct config *c, void **self)
{
    for (size_t i = 0; i < c->nlines; i++) {
        const struct directive *d = c->lines[i];
        if (d->ntokens > 1)
            return config_argument_error(c, &d->tokens[1]);
        if (d->has_block)
            return config_errorf(c, &d->tokens[0], "Unexpected token '{', expecting argument");
    }
    *self = NULL;
    return 0;
}

static int debug_start(void *self, const struct plugin_start *s)
{
    (void)self, (void)s;
    log_debug_hold();
    return 0;
}

static void debug_stop(void *self)
{
    (void)self;
    log_debug_release();
}

CLUSTERDNS_PLUGIN(debug, .setup = debug_setup, .start = debug_start, .stop = debug_stop);
