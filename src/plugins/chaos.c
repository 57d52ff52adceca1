// SPDX-License-Identifier: Apache-2.0
// chaos: tells version, authors and host to questions of class CH.
#include <clusterdns/plugin.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEXT_MAX 255 // bytes of a character-string (RFC 1035 §3.3)

struct chaos {
    const char *version, *host;
    const char **authors; // sorted, each once
    size_t nauthors;
};

static const char *trim(struct arena *a, const char *text)
{
    size_t len = strlen(text);
    return arena_strndup(a, text, len < TEXT_MAX ? len : TEXT_MAX);
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int read_authors(struct config *c, struct chaos *ch, const struct token *tokens, size_t n)
{
    const char **authors = arena_calloc(c->arena, n + 1, sizeof *authors);
    ch->authors = authors;
    for (size_t i = 0; authors != NULL && i < n; i++)
        if ((authors[i] = trim(c->arena, tokens[i].text)) == NULL)
            return CDNS_ENOMEM;
    if (authors == NULL)
        return CDNS_ENOMEM;
    qsort(authors, n, sizeof *authors, compare);
    for (size_t i = 0; i < n; i++)
        if (ch->nauthors == 0 || strcmp(authors[ch->nauthors - 1], authors[i]) != 0)
            authors[ch->nauthors++] = authors[i];
    return 0;
}

// Of several directives in a block the first counts, as in CoreDNS.
static int chaos_setup(struct config *c, void **self)
{
    static const struct token own = {.text = "The clusterdns authors"};
    const struct directive *d = c->lines[0];
    char host[256];
    struct chaos *ch = arena_calloc(c->arena, 1, sizeof *ch);
    if (ch == NULL)
        return CDNS_ENOMEM;
    if (gethostname(host, sizeof host) != 0)
        strcpy(host, "localhost");
    ch->host = trim(c->arena, host);
    ch->version = trim(c->arena, d->ntokens > 1 ? d->tokens[1].text : "clusterdns-" CDNS_VERSION);
    if (ch->host == NULL || ch->version == NULL)
        return CDNS_ENOMEM;
    if (d->nblock > 0)
        return config_errorf(c, &d->block[0].tokens[0], "unknown property '%s'", d->block[0].tokens[0].text);
    *self = ch;
    return d->ntokens > 2 ? read_authors(c, ch, d->tokens + 2, d->ntokens - 2) : read_authors(c, ch, &own, 1);
}

static enum verdict answer(struct query *q, const char *const *texts, size_t n)
{
    struct records *set = &q->reply.answer;
    for (size_t i = 0; i < n; i++) {
        uint16_t rdlen;
        const uint8_t *rdata = rdata_txt(q->arena, texts[i], &rdlen);
        if (rdata == NULL || records_add(set, q->arena, q->qname_asked, RR_TXT, 0, rdata, rdlen) != 0)
            return query_fail(q, RCODE_SERVFAIL, "plugin/chaos: %s", error_text(CDNS_ENOMEM));
        set->rr[set->n - 1].class_ = CLASS_CH;
    }
    return VERDICT_DONE;
}

static enum verdict chaos_query(void *self, struct query *q)
{
    const struct chaos *ch = self;
    if (q->qclass != CLASS_CH || q->qtype != RR_TXT)
        return VERDICT_NEXT;
    if (name_equal(q->qname, (const uint8_t *)"\7authors\4bind"))
        return answer(q, ch->authors, ch->nauthors);
    if (name_equal(q->qname, (const uint8_t *)"\7version\4bind") ||
        name_equal(q->qname, (const uint8_t *)"\7version\6server"))
        return answer(q, &ch->version, 1);
    if (name_equal(q->qname, (const uint8_t *)"\10hostname\4bind") ||
        name_equal(q->qname, (const uint8_t *)"\2id\6server"))
        return answer(q, &ch->host, 1);
    return VERDICT_NEXT;
}

CLUSTERDNS_PLUGIN(chaos, .any_class = true, .setup = chaos_setup, .query = chaos_query);
