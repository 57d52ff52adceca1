// SPDX-License-Identifier: Apache-2.0
// The directive `loadbalance [round_robin | weighted FILE] { … }`. Checks, their order and their texts are CoreDNS
// 1.15.0's. Of several in a block the last says the policy; networks of all of them count.
#include "plugins/loadbalance/loadbalance.h"

#include <clusterdns/quote.h>
#include <string.h>

#define RELOAD_DEFAULT_NS INT64_C(30000000000)

static int unknown_property(struct config *c, const struct directive *d)
{
    return config_errorf(c, &d->tokens[0], "unknown property '%s'", d->tokens[0].text);
}

static int read_reload(struct config *c, struct loadbalance *lb, const struct directive *d)
{
    char unused[CONFIG_ERROR_MAX];
    const struct token *last = &d->tokens[d->ntokens - 1];
    if (strcmp(d->tokens[0].text, "reload") != 0)
        return unknown_property(c, d);
    if (d->ntokens < 2)
        return config_errorf(c, last, "reload duration value is missing");
    if (d->ntokens > 2)
        return config_errorf(c, last, "unexpected argument");
    if (config_duration(last->text, &lb->reload_ns, unused) != 0 || lb->reload_ns < 0)
        return config_errorf(c, last, "invalid reload duration '%s'", last->text);
    return 0;
}

static int read_prefer(struct config *c, struct loadbalance *lb, const struct directive *d)
{
    if (strcmp(d->tokens[0].text, "prefer") != 0)
        return unknown_property(c, d);
    struct ip_network *all = arena_calloc(c->arena, lb->nprefer + d->ntokens, sizeof *all);
    if (all == NULL)
        return CDNS_ENOMEM;
    if (lb->nprefer > 0)
        memcpy(all, lb->prefer, lb->nprefer * sizeof *all);
    lb->prefer = all;
    for (size_t i = 1; i < d->ntokens; i++) {
        char quoted[512];
        const char *text = d->tokens[i].text;
        if (!ip_network_read(text, &all[lb->nprefer++]))
            return config_errorf(c, &d->tokens[d->ntokens - 1], "invalid CIDR %s: invalid CIDR address: %s",
                                 quote(text, quoted, sizeof quoted), text);
    }
    return 0;
}

static int read_weighted(struct config *c, struct loadbalance *lb, const struct directive *d)
{
    const struct token *last = &d->tokens[d->ntokens - 1];
    if (d->ntokens < 3)
        return config_errorf(c, last, "missing weight file argument");
    if (d->ntokens > 3)
        return config_errorf(c, last, "unexpected argument(s)");
    lb->path = d->tokens[2].text;
    lb->reload_ns = RELOAD_DEFAULT_NS;
    lb->nprefer = 0; // of directives before
    for (size_t i = 0; i < d->nblock; i++) {
        int rc = read_reload(c, lb, &d->block[i]);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int read_directive(struct config *c, struct loadbalance *lb, const struct directive *d)
{
    const char *policy = d->ntokens > 1 ? d->tokens[1].text : "round_robin";
    if (strcmp(policy, "weighted") == 0)
        return read_weighted(c, lb, d);
    if (strcmp(policy, "round_robin") != 0)
        return config_plain_errorf(c, &d->tokens[1], "unknown policy: %s", policy);
    if (d->ntokens > 2)
        return config_errorf(c, &d->tokens[d->ntokens - 1], "unknown property for %s", policy);
    lb->path = NULL;
    for (size_t i = 0; i < d->nblock; i++) {
        int rc = read_prefer(c, lb, &d->block[i]);
        if (rc != 0)
            return rc;
    }
    return 0;
}

int loadbalance_setup(struct config *c, void **self)
{
    struct loadbalance *lb = arena_calloc(c->arena, 1, sizeof *lb);
    if (lb == NULL)
        return CDNS_ENOMEM;
    for (size_t i = 0; i < c->nlines; i++) {
        int rc = read_directive(c, lb, c->lines[i]);
        if (rc != 0)
            return rc;
    }
    *self = lb;
    return 0;
}
