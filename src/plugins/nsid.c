// SPDX-License-Identifier: Apache-2.0
// nsid: tells a client that asks for it which server has answered (RFC 5001).
#include <clusterdns/plugin.h>

#include <string.h>
#include <unistd.h>

#define DATA_MAX 65000U // what fits beside the rest of the largest message

struct nsid {
    const char *data;
    uint16_t len;
};

// The words of the directive with a blank between each.
static const char *join_words(struct arena *a, const struct directive *d)
{
    const char *text = d->tokens[1].text;
    for (size_t i = 2; i < d->ntokens && text != NULL; i++)
        text = arena_printf(a, "%s %s", text, d->tokens[i].text);
    return text;
}

static int nsid_setup(struct config *c, void **self)
{
    const struct directive *d = c->lines[0];
    char host[256];
    struct nsid *n = arena_calloc(c->arena, 1, sizeof *n);
    if (n == NULL)
        return CDNS_ENOMEM;
    if (c->nlines > 1 || d->has_block) // a block is to CoreDNS a second directive
        return config_plain_errorf(c, &c->lines[c->nlines - 1]->tokens[0],
                                   "this plugin can only be used once per Server Block");
    if (gethostname(host, sizeof host) != 0)
        strcpy(host, "localhost");
    n->data = d->ntokens > 1 ? join_words(c->arena, d) : arena_printf(c->arena, "%s", host);
    if (n->data == NULL)
        return CDNS_ENOMEM;
    if (strlen(n->data) > DATA_MAX)
        return config_errorf(c, &d->tokens[0], "the identifier is longer than %u bytes", DATA_MAX);
    n->len = (uint16_t)strlen(n->data);
    *self = n;
    return 0;
}

static enum verdict nsid_reply(void *self, struct query *q)
{
    const struct nsid *n = self;
    if (query_option(q, EDNS_NSID, NULL, NULL))
        (void)!reply_option_add(q, EDNS_NSID, n->data, n->len); // without memory the answer goes without it
    return VERDICT_NEXT;
}

CLUSTERDNS_PLUGIN(nsid, .setup = nsid_setup, .reply = nsid_reply);
