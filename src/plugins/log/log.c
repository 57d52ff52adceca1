// SPDX-License-Identifier: Apache-2.0
// log: a line for each query.
#include "plugins/log/format.h"
#include <clusterdns/plugin.h>

#include <string.h>

#define LINE_BYTES 4096

struct rule {
    uint8_t zone[NAME_MAX_WIRE];
    unsigned classes; // REPLY_ bits
    const struct format *format;
};

struct log {
    struct rule *rules; // the first whose zone holds the name decides
    size_t nrules;
};

static int add_rule(struct config *c, struct log *l, const struct token *name, const struct format *format)
{
    struct rule *r = &l->rules[l->nrules++];
    r->format = format;
    if (name == NULL || name->text[0] == '\0')
        r->zone[0] = 0;
    else if (name_from_text(name->text, r->zone) != 0)
        return config_errorf(c, name, "'%s' is not a domain name", name->text);
    return 0;
}

// NAMES and FORMAT: the last of several arguments is the format if there is a brace in it.
static int read_arguments(struct config *c, struct log *l, const struct directive *d)
{
    size_t names = d->ntokens - 1;
    const struct token *last = &d->tokens[names];
    const char *text = "{common}";
    if (names > 0 && strchr(last->text, '{') != NULL) {
        if (names > 1) {
            text = last->text;
            names--;
        } else {
            log_plugin(LOG_LEVEL_WARNING, c->plugin,
                       "%s:%u - '%s' is read as a name; a format follows a name: log . FORMAT", last->file, last->line,
                       last->text);
        }
    }
    const struct format *format = format_compile(c->arena, text);
    if (format == NULL)
        return CDNS_ENOMEM;
    if (names == 0)
        return add_rule(c, l, NULL, format);
    for (size_t i = 1; i <= names; i++) {
        int rc = add_rule(c, l, &d->tokens[i], format);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int read_classes(struct config *c, const struct directive *d, unsigned *classes)
{
    static const struct {
        const char *name;
        unsigned bits;
    } known[] = {{"all", REPLY_ALL}, {"success", REPLY_SUCCESS}, {"denial", REPLY_DENIAL}, {"error", REPLY_ERROR}};
    if (strcmp(d->tokens[0].text, "class") != 0)
        return config_errorf(c, &d->tokens[0], "unknown property '%s'", d->tokens[0].text);
    if (d->ntokens == 1)
        return config_argument_error(c, &d->tokens[0]);
    for (size_t i = 1; i < d->ntokens; i++) {
        size_t k = 0;
        while (k < 4 && strcmp(known[k].name, d->tokens[i].text) != 0)
            k++;
        if (k == 4)
            return config_plain_errorf(c, &d->tokens[i], "invalid Class: %s", d->tokens[i].text);
        *classes |= known[k].bits;
    }
    return 0;
}

static int read_line(struct config *c, struct log *l, const struct directive *d)
{
    size_t first = l->nrules;
    unsigned classes = 0;
    int rc = read_arguments(c, l, d);
    for (size_t i = 0; rc == 0 && i < d->nblock; i++)
        rc = read_classes(c, &d->block[i], &classes);
    for (size_t i = first; i < l->nrules; i++)
        l->rules[i].classes = classes == 0 ? REPLY_ALL : classes;
    return rc;
}

static int log_setup(struct config *c, void **self)
{
    size_t most = 0;
    for (size_t i = 0; i < c->nlines; i++)
        most += c->lines[i]->ntokens; // a rule for each name, or one
    struct log *l = arena_calloc(c->arena, 1, sizeof(*l));
    if (l == NULL || (l->rules = arena_calloc(c->arena, most, sizeof(*l->rules))) == NULL)
        return CDNS_ENOMEM;
    for (size_t i = 0; i < c->nlines; i++) {
        int rc = read_line(c, l, c->lines[i]);
        if (rc != 0)
            return rc;
    }
    *self = l;
    return 0;
}

static void print(const struct format *format, const struct format_entry *e)
{
    char line[LINE_BYTES], members[FORMAT_MEMBERS_MAX];
    size_t len = format_write(format, e, line, sizeof(line));
    if (log_is_json()) {
        format_members(e, members, sizeof(members));
        log_members(members, "%.*s", (int)len, line);
    } else {
        log_write(LOG_LEVEL_INFO, "%.*s", (int)len, line);
    }
}

static void log_done(void *self, const struct query *q, const struct outcome *o)
{
    const struct log *l = self;
    const struct rule *r = l->rules, *end = r + l->nrules;
    while (r < end && !name_in_zone(q->qname, r->zone))
        r++;
    if (r == end)
        return;
    const struct reply_type *type = reply_type_of(q, o);
    if ((r->classes & type->class_) != 0)
        print(r->format, &(struct format_entry){.q = q, .o = o, .type = type});
}

CLUSTERDNS_PLUGIN(log, .setup = log_setup, .done = log_done);
