// SPDX-License-Identifier: Apache-2.0
// The directive `hosts [FILE [ZONES…]] { … }`. Checks, their order and their texts are CoreDNS 1.15.0's.
#include "plugins/hosts/hosts.h"

#include <clusterdns/quote.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define TTL_DEFAULT 3600
#define TTL_MAX 65535
#define RELOAD_DEFAULT_NS INT64_C(5000000000)

static int read_zones(struct config *c, const struct token *args, size_t n, struct zone_list *out)
{
    const char *const *texts;
    size_t ntexts;
    int rc = config_zones(c, args, n, &texts, &ntexts);
    const uint8_t **zones = rc == 0 ? arena_calloc(c->arena, ntexts, sizeof(uint8_t *)) : NULL;
    if (zones == NULL)
        return CDNS_ENOMEM;
    for (size_t i = 0; i < ntexts; i++) {
        uint8_t name[NAME_MAX_WIRE];
        if (name_from_text(texts[i], name) != 0)
            return config_plain_errorf(c, c->lines[0]->tokens, "zone is not a valid domain name: %s", texts[i]);
        zones[i] = arena_memdup(c->arena, name, name_length(name));
        if (zones[i] == NULL)
            return CDNS_ENOMEM;
    }
    *out = (struct zone_list){.zones = zones, .n = ntexts};
    return 0;
}

// Is there a file? If not, there may be one later.
static int check_file(struct config *c, const struct token *at)
{
    struct stat st;
    char quoted[512], why[128];
    if (stat(at->text, &st) == 0) {
        if (S_ISDIR(st.st_mode))
            log_plugin(LOG_LEVEL_WARNING, "hosts", "Hosts file %s is a directory",
                       quote(at->text, quoted, sizeof quoted));
        return 0;
    }
    if (errno == ENOENT) {
        log_plugin(LOG_LEVEL_WARNING, "hosts", "File does not exist: %s", at->text);
        return 0;
    }
    snprintf(why, sizeof why, "%s", strerror(errno));
    why[0] = (char)tolower((unsigned char)why[0]);
    return config_errorf(c, at, "unable to access hosts file '%s': stat %s: %s", at->text, at->text, why);
}

static int read_ttl(struct config *c, struct hosts *h, const struct directive *d)
{
    int64_t ttl;
    const struct token *last = &d->tokens[d->ntokens - 1];
    if (d->ntokens < 2)
        return config_errorf(c, last, "ttl needs a time in second");
    if (config_integer(d->tokens[1].text, &ttl, NULL) != 0)
        return config_errorf(c, last, "ttl needs a number of second");
    if (ttl <= 0 || ttl > TTL_MAX)
        return config_errorf(c, last, "ttl provided is invalid");
    h->ttl = (uint32_t)ttl;
    return 0;
}

static int read_reload(struct config *c, struct hosts *h, const struct directive *d)
{
    char unused[CONFIG_ERROR_MAX];
    const struct token *last = &d->tokens[d->ntokens - 1];
    if (d->ntokens != 2)
        return config_errorf(c, last, "reload needs a duration (zero seconds to disable)");
    if (config_duration(last->text, &h->reload_ns, unused) != 0)
        return config_errorf(c, last, "invalid duration for reload '%s'", last->text);
    if (h->reload_ns < 0)
        return config_errorf(c, last, "invalid negative duration for reload '%s'", last->text);
    return 0;
}

// A line that is no option is the text of a hosts file, up to `fallthrough`.
static int read_inline(struct config *c, struct hosts_parser *lines, const struct hosts *h, const struct directive *d)
{
    if (h->fall.n > 0 || d->has_block)
        return config_errorf(c, &d->tokens[0], "unknown property '%s'", d->has_block ? "{" : d->tokens[0].text);
    for (size_t i = 0; i < d->ntokens; i++) {
        hosts_parse(lines, d->tokens[i].text, strlen(d->tokens[i].text));
        hosts_parse(lines, i + 1 < d->ntokens ? " " : "\n", 1);
    }
    return 0;
}

static int read_option(struct config *c, struct hosts *h, struct hosts_parser *lines, const struct directive *d)
{
    static const struct token everything = {.text = "."};
    const char *name = d->tokens[0].text;
    if (strcmp(name, "fallthrough") == 0)
        return d->ntokens == 1 ? read_zones(c, &everything, 1, &h->fall)
                               : read_zones(c, d->tokens + 1, d->ntokens - 1, &h->fall);
    if (strcmp(name, "fallthrough_unsupported") == 0) {
        h->fallthrough_unsupported = true;
        return d->ntokens > 1 ? config_argument_error(c, &d->tokens[d->ntokens - 1]) : 0;
    }
    if (strcmp(name, "no_reverse") == 0) {
        h->no_reverse = true;
        return 0;
    }
    if (strcmp(name, "ttl") == 0)
        return read_ttl(c, h, d);
    if (strcmp(name, "reload") == 0)
        return read_reload(c, h, d);
    return read_inline(c, lines, h, d);
}

static int read_directive(struct config *c, struct hosts *h, const struct directive *d)
{
    struct hosts_parser lines = {.map = h->lines, .zones = &h->zones, .source = "Inline hosts entries"};
    size_t nargs = d->ntokens - 1;
    if (nargs > 0) {
        h->path = d->tokens[1].text;
        int rc = check_file(c, &d->tokens[1]);
        if (rc != 0)
            return rc;
    }
    int rc = read_zones(c, d->tokens + 2, nargs > 1 ? nargs - 1 : 0, &h->zones);
    for (size_t i = 0; rc == 0 && i < d->nblock; i++)
        rc = read_option(c, h, &lines, &d->block[i]);
    if (rc != 0)
        return rc;
    if (c->nlines > 1)
        return config_plain_errorf(c, &c->lines[1]->tokens[0], "this plugin can only be used once per Server Block");
    if (h->fallthrough_unsupported && h->fall.n == 0)
        return config_errorf(c, &d->tokens[0], "fallthrough_unsupported requires fallthrough");
    rc = hosts_parse_end(&lines);
    return rc != 0 ? rc : hosts_map_finish(h->lines, !h->no_reverse);
}

int hosts_setup(struct config *c, void **self)
{
    struct hosts *h = arena_calloc(c->arena, 1, sizeof *h);
    if (h == NULL || (h->lines = hosts_map_new()) == NULL)
        return CDNS_ENOMEM;
    h->path = "/etc/hosts";
    h->ttl = TTL_DEFAULT;
    h->reload_ns = RELOAD_DEFAULT_NS;
    int rc = read_directive(c, h, c->lines[0]);
    if (rc != 0) {
        hosts_destroy(h);
        return rc;
    }
    *self = h;
    return 0;
}
