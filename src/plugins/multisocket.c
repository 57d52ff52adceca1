// SPDX-License-Identifier: Apache-2.0
// multisocket: CoreDNS's number of sockets for an address. Here each worker has one of its own, with or without it.
#include <clusterdns/plugin.h>

#define SOCKETS_MAX 1024

static int multisocket_setup(struct config *c, void **self)
{
    const struct directive *d = c->lines[0];
    const struct token *last = &d->tokens[d->ntokens - 1];
    char why[CONFIG_ERROR_MAX];
    int64_t n = 1;
    *self = NULL;
    if (d->ntokens > 2)
        return config_argument_error(c, last);
    if (d->has_block)
        return config_errorf(c, &d->tokens[0], "Unexpected token '{', expecting argument");
    if (c->nlines > 1)
        return config_argument_error(c, &c->lines[1]->tokens[0]);
    if (d->ntokens == 1)
        return 0;
    if (config_integer(last->text, &n, why) != 0)
        return config_plain_errorf(c, last, "invalid num sockets: %s", why);
    if (n < 1)
        return config_plain_errorf(c, last, "num sockets can not be zero or negative: %lld", (long long)n);
    if (n > SOCKETS_MAX)
        return config_plain_errorf(c, last, "num sockets exceeds maximum (%d): %lld", SOCKETS_MAX, (long long)n);
    return 0;
}

CLUSTERDNS_PLUGIN(multisocket, .setup = multisocket_setup);
