// SPDX-License-Identifier: Apache-2.0
#include "plugins/cache/cache.h"
#include <string.h>

#define CAPACITY_DEFAULT 10000
#define SHARDS 256 // of CoreDNS's cache: its capacity is a multiple of this
#define TTL_LIMIT INT32_MAX

static const char *const kinds[KINDS] = {[KIND_SUCCESS] = "success", [KIND_DENIAL] = "denial"};

bool cache_zones_hold(const struct zones *z, const uint8_t *name)
{
    for (size_t i = 0; i < z->n; i++)
        if (z->names[i][0] == 0 || name_in_zone(name, z->names[i]))
            return true;
    return false;
}

static const struct token *last(const struct directive *d)
{
    return &d->tokens[d->ntokens - 1];
}

// Texts without a place, as CoreDNS gives them; the place is added.
static int read_integer(struct config *c, const struct token *t, int64_t *value)
{
    char text[CONFIG_ERROR_MAX];
    return config_integer(t->text, value, text) == 0 ? 0 : config_plain_errorf(c, t, "%s", text);
}

static int read_duration(struct config *c, const struct token *t, int64_t *ns)
{
    char text[CONFIG_ERROR_MAX];
    return config_duration(t->text, ns, text) == 0 ? 0 : config_plain_errorf(c, t, "%s", text);
}

static uint32_t seconds(int64_t value)
{
    return value < TTL_LIMIT ? (uint32_t)value : TTL_LIMIT;
}

// --- zones

static int read_zones(struct config *c, const char *const *texts, size_t n, struct zones *out)
{
    const uint8_t **names = arena_calloc(c->arena, n, sizeof(uint8_t *));
    if (names == NULL)
        return CDNS_ENOMEM;
    *out = (struct zones){.names = names};
    for (size_t i = 0; i < n; i++) {
        uint8_t name[NAME_MAX_WIRE], lower[NAME_MAX_WIRE];
        if (name_from_text(texts[i], name) != 0)
            return config_plain_errorf(c, c->lines[0]->tokens, "zone is not a valid domain name: %s", texts[i]);
        names[out->n] = arena_memdup(c->arena, lower, name_lower(name, lower));
        if (names[out->n++] == NULL)
            return CDNS_ENOMEM;
    }
    return 0;
}

static const char *join(struct arena *a, const char *const *texts, size_t n)
{
    const char *all = n > 0 ? texts[0] : "";
    for (size_t i = 1; i < n && all != NULL; i++)
        all = arena_printf(a, "%s,%s", all, texts[i]);
    return all;
}

static int read_own_zones(struct config *c, struct cache *s, const struct token *args, size_t n)
{
    const char *const *texts;
    size_t ntexts;
    int rc = config_zones(c, args, n, &texts, &ntexts);
    if (rc == 0)
        rc = read_zones(c, texts, ntexts, &s->zones);
    if (rc != 0)
        return rc;
    s->zones_text = join(c->arena, texts, ntexts);
    return s->zones_text != NULL ? 0 : CDNS_ENOMEM;
}

// --- options

static int read_ttl(struct config *c, const struct token *t, uint32_t *ttl)
{
    int64_t value;
    int rc = read_integer(c, t, &value);
    if (rc != 0)
        return rc;
    if (value <= 0)
        return config_plain_errorf(c, t, "cache TTL can not be zero or negative: %lld", (long long)value);
    *ttl = seconds(value);
    return 0;
}

static uint32_t capacity_of(int64_t wanted)
{
    int64_t shard = wanted / SHARDS;
    if (shard < 4)
        shard = 4;
    return shard < TABLE_CAPACITY_MAX / SHARDS ? (uint32_t)shard * SHARDS : TABLE_CAPACITY_MAX;
}

// success CAPACITY [TTL] [MINTTL]; what follows means nothing.
static int read_limits(struct config *c, struct limits *l, const struct directive *d)
{
    int64_t value;
    if (d->ntokens < 2)
        return config_argument_error(c, last(d));
    int rc = read_integer(c, &d->tokens[1], &value);
    if (rc != 0)
        return rc;
    l->capacity = capacity_of(value);
    if (d->ntokens > 2 && (rc = read_ttl(c, &d->tokens[2], &l->ttl_max)) != 0)
        return rc;
    if (d->ntokens > 3 && (rc = read_integer(c, &d->tokens[3], &value)) != 0)
        return rc;
    if (d->ntokens > 3 && value < 0)
        return config_plain_errorf(c, &d->tokens[3], "cache min TTL can not be negative: %lld", (long long)value);
    if (d->ntokens > 3)
        l->ttl_min = seconds(value);
    return 0;
}

static int read_percentage(struct config *c, struct cache *s, const struct token *t)
{
    int64_t value;
    size_t len = strlen(t->text);
    char sign = len > 0 ? t->text[len - 1] : '\0';
    if (sign != '%')
        return config_plain_errorf(c, t, "last character of percentage should be `%%`, but is: '%c'", sign);
    const char *digits = arena_strndup(c->arena, t->text, len - 1);
    if (digits == NULL)
        return CDNS_ENOMEM;
    int rc = read_integer(c, &(struct token){.text = digits, .file = t->file, .line = t->line}, &value);
    if (rc != 0)
        return rc;
    if (value < 10 || value > 90)
        return config_plain_errorf(c, t, "percentage should fall in range [10, 90]: %lld", (long long)value);
    s->prefetch_percent = (uint32_t)value;
    return 0;
}

// prefetch AMOUNT [DURATION [PERCENTAGE%]]
static int read_prefetch(struct config *c, struct cache *s, const struct directive *d)
{
    int64_t value;
    if (d->ntokens < 2 || d->ntokens > 4)
        return config_argument_error(c, last(d));
    int rc = read_integer(c, &d->tokens[1], &value);
    if (rc != 0)
        return rc;
    if (value < 0)
        return config_plain_errorf(c, &d->tokens[1], "prefetch amount should be positive: %lld", (long long)value);
    s->prefetch = seconds(value);
    if (d->ntokens > 2) {
        rc = read_duration(c, &d->tokens[2], &value);
        s->prefetch_gap_ns = value > 0 ? (uint64_t)value : 0;
    }
    return rc != 0 || d->ntokens < 4 ? rc : read_percentage(c, s, &d->tokens[3]);
}

static int read_servfail(struct config *c, struct cache *s, const struct directive *d)
{
    int64_t ns;
    if (d->ntokens != 2)
        return config_argument_error(c, last(d));
    int rc = read_duration(c, &d->tokens[1], &ns);
    if (rc != 0)
        return rc;
    if (ns < 0)
        return config_plain_errorf(c, &d->tokens[1], "invalid negative ttl for servfail");
    if (ns > (int64_t)(300 * SECOND)) // RFC 2308 §7.1
        return config_plain_errorf(c, &d->tokens[1], "caching SERVFAIL responses over 5 minutes is not permitted");
    s->servfail = (uint32_t)((uint64_t)ns / SECOND);
    return 0;
}

// disable success|denial [ZONES…]
static int read_disable(struct config *c, struct cache *s, const struct directive *d)
{
    static const char *const root[] = {"."};
    if (d->ntokens < 2)
        return config_argument_error(c, last(d));
    size_t n = d->ntokens - 2, kind = 0;
    const char **texts = arena_calloc(c->arena, n + 1, sizeof(char *));
    if (texts == NULL)
        return CDNS_ENOMEM;
    for (size_t i = 0; i < n; i++)
        texts[i] = d->tokens[2 + i].text;
    while (kind < KINDS && strcmp(kinds[kind], d->tokens[1].text) != 0)
        kind++;
    if (kind == KINDS)
        return config_plain_errorf(c, &d->tokens[1], "cache type for disable must be \"success\" or \"denial\"");
    return read_zones(c, n > 0 ? texts : root, n > 0 ? n : 1, &s->limits[kind].except);
}

static int read_option(struct config *c, struct cache *s, const struct directive *d)
{
    const char *name = d->tokens[0].text;
    for (unsigned kind = 0; kind < KINDS; kind++)
        if (strcmp(name, kinds[kind]) == 0)
            return read_limits(c, &s->limits[kind], d);
    if (strcmp(name, "prefetch") == 0)
        return read_prefetch(c, s, d);
    if (strcmp(name, "serve_stale") == 0)
        return cache_setup_stale(c, s, d);
    if (strcmp(name, "serve_stale_policy") == 0)
        return cache_setup_stale_policy(c, s, d);
    if (strcmp(name, "servfail") == 0)
        return read_servfail(c, s, d);
    if (strcmp(name, "disable") == 0)
        return read_disable(c, s, d);
    if (strcmp(name, "keepttl") != 0)
        return config_argument_error(c, &d->tokens[0]);
    s->keepttl = true;
    return d->ntokens == 1 ? 0 : config_argument_error(c, last(d));
}

// --- the directive

// cache [TTL] [ZONES…]
static int read_arguments(struct config *c, struct cache *s, const struct directive *d)
{
    const struct token *args = d->tokens + 1;
    size_t n = d->ntokens - 1;
    int64_t ttl;
    if (n > 0 && config_integer(args[0].text, &ttl, NULL) == 0) {
        int rc = read_ttl(c, args, &s->limits[KIND_SUCCESS].ttl_max);
        if (rc != 0)
            return rc;
        s->limits[KIND_DENIAL].ttl_max = s->limits[KIND_SUCCESS].ttl_max;
        args++;
        n--;
    }
    return read_own_zones(c, s, args, n);
}

int cache_setup(struct config *c, void **self)
{
    const struct directive *d = c->lines[0];
    struct cache *s = arena_calloc(c->arena, 1, sizeof *s);
    if (s == NULL)
        return CDNS_ENOMEM;
    *s = (struct cache){
        .limits = {[KIND_SUCCESS] = {.capacity = capacity_of(CAPACITY_DEFAULT), .ttl_min = 5, .ttl_max = 3600},
                   [KIND_DENIAL] = {.capacity = capacity_of(CAPACITY_DEFAULT), .ttl_min = 5, .ttl_max = 1800}},
        .servfail = 5,
        .prefetch_gap_ns = 60 * SECOND,
        .prefetch_percent = 10,
        .rest = c->rest,
    };
    int rc = read_arguments(c, s, d);
    for (size_t i = 0; rc == 0 && i < d->nblock; i++)
        rc = read_option(c, s, &d->block[i]);
    if (rc == 0)
        rc = cache_setup_stale_finish(c, s, d);
    if (rc == 0 && c->nlines > 1)
        rc = config_plain_errorf(c, &c->lines[1]->tokens[0], "this plugin can only be used once per Server Block");
    if (rc == 0)
        *self = s;
    return rc;
}
