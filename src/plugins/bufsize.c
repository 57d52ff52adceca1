// SPDX-License-Identifier: Apache-2.0
// bufsize: honours no larger UDP size of a question's EDNS than it is told.
#include <clusterdns/plugin.h>

#define SIZE_DEFAULT 1232 // DNS flag day 2020
#define SIZE_MIN 512
#define SIZE_LIMIT 4096

struct bufsize {
    uint16_t size;
};

// CoreDNS names the plugin twice.
static int argument_error(struct config *c, const struct token *at)
{
    return config_plain_errorf(c, NULL,
                               "plugin/bufsize: %s:%u - Error during parsing: Wrong argument count or unexpected line "
                               "ending after '%s'",
                               at->file, at->line, at->text);
}

// Of several directives in a block the first counts, as in CoreDNS.
static int bufsize_setup(struct config *c, void **self)
{
    const struct directive *d = c->lines[0];
    const struct token *last = &d->tokens[d->ntokens - 1];
    int64_t size = SIZE_DEFAULT;
    struct bufsize *b = arena_calloc(c->arena, 1, sizeof *b);
    if (b == NULL)
        return CDNS_ENOMEM;
    if (d->ntokens > 2 ||
        (d->ntokens == 2 && (config_integer(last->text, &size, NULL) != 0 || size < SIZE_MIN || size > SIZE_LIMIT)))
        return argument_error(c, last);
    b->size = (uint16_t)size;
    *self = b;
    return 0;
}

static enum verdict bufsize_query(void *self, struct query *q)
{
    const struct bufsize *b = self;
    if (q->edns && q->udp_size > b->size)
        q->udp_size = b->size;
    return VERDICT_NEXT;
}

CLUSTERDNS_PLUGIN(bufsize, .setup = bufsize_setup, .query = bufsize_query);
