// SPDX-License-Identifier: Apache-2.0
// refuse: answers REFUSED for names in its zones.
#include <clusterdns/plugin.h>

struct refuse {
    uint8_t (*zones)[NAME_MAX_WIRE];
    size_t nzones;
};

static int refuse_setup(struct config *c, void **self)
{
    const struct directive *d = c->lines[0]; // of several in a block, the first
    const char *const *texts;
    struct refuse *r = arena_calloc(c->arena, 1, sizeof *r);
    if (r == NULL)
        return CDNS_ENOMEM;
    if (d->has_block)
        return config_errorf(c, &d->tokens[0], "refuse has no options");
    int rc = config_zones(c, d->tokens + 1, d->ntokens - 1, &texts, &r->nzones);
    if (rc != 0)
        return rc;
    r->zones = arena_calloc(c->arena, r->nzones, sizeof *r->zones);
    if (r->zones == NULL)
        return CDNS_ENOMEM;
    for (size_t i = 0; i < r->nzones; i++)
        if (name_from_text(texts[i], r->zones[i]) != 0)
            return config_errorf(c, &d->tokens[0], "%s is no domain name", texts[i]);
    *self = r;
    return 0;
}

static enum verdict refuse_query(void *self, struct query *q)
{
    const struct refuse *r = self;
    for (size_t i = 0; i < r->nzones; i++)
        if (name_in_zone(q->qname, r->zones[i])) {
            q->reply.rcode = RCODE_REFUSED;
            return VERDICT_DONE;
        }
    return VERDICT_NEXT;
}

CLUSTERDNS_PLUGIN(refuse, .after = "acl", .setup = refuse_setup, .query = refuse_query);
