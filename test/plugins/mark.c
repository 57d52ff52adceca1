// SPDX-License-Identifier: Apache-2.0
// mark N: adds a TXT record "mark N" to each reply; stands behind refuse, another plugin that is loaded. It counts what
// it has done.
#include <clusterdns/metrics.h>
#include <clusterdns/plugin.h>

struct mark {
    const char *text;
    struct metric *marked;
};

static struct metric_family marked = {
    .name = "clusterdns_mark_marked_total", .help = "Replies marked.", .type = METRIC_COUNTER};

static int mark_setup(struct config *c, void **self)
{
    const struct directive *d = c->lines[0];
    struct mark *m = arena_calloc(c->arena, 1, sizeof *m);
    if (d->ntokens != 2)
        return config_argument_error(c, &d->tokens[0]);
    if (m == NULL)
        return CDNS_ENOMEM;
    m->text = arena_printf(c->arena, "mark %s", d->tokens[1].text);
    *self = m;
    return m->text != NULL ? 0 : CDNS_ENOMEM;
}

static int mark_start(void *self, const struct plugin_start *s)
{
    (void)s;
    ((struct mark *)self)->marked = metric_series(&marked, NULL);
    return 0;
}

static enum verdict mark_reply(void *self, struct query *q)
{
    const struct mark *m = self;
    uint16_t rdlen = 0;
    const uint8_t *rdata = rdata_txt(q->arena, m->text, &rdlen);
    if (rdata == NULL || records_add(&q->reply.additional, q->arena, q->qname_asked, RR_TXT, 0, rdata, rdlen) != 0)
        return query_fail(q, RCODE_SERVFAIL, "plugin/mark: %s", error_text(CDNS_ENOMEM));
    metric_count(m->marked, q->worker, 0, 1);
    return VERDICT_NEXT;
}

CLUSTERDNS_PLUGIN(mark, .after = "refuse", .setup = mark_setup, .start = mark_start, .reply = mark_reply);
