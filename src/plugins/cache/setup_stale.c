// SPDX-License-Identifier: Apache-2.0
#include "plugins/cache/cache.h"
#include <string.h>
#include <strings.h>

static const struct token *last(const struct directive *d)
{
    return &d->tokens[d->ntokens - 1];
}

// `what`: stands before what is wrong with the duration, with ": "; or "".
static int read_duration(struct config *c, const struct token *t, const char *what, int64_t *ns)
{
    char text[CONFIG_ERROR_MAX];
    if (config_duration(t->text, ns, text) == 0)
        return 0;
    return config_plain_errorf(c, t, "%s%s", what, text);
}

static int read_response_ttl(struct config *c, struct cache *s, const struct token *t)
{
    int64_t ns;
    int rc = read_duration(c, t, "invalid serve_stale response TTL: ", &ns);
    if (rc != 0)
        return rc;
    if (ns < 0)
        return config_plain_errorf(c, t, "invalid negative response TTL for serve_stale");
    if ((uint64_t)ns % SECOND != 0)
        return config_plain_errorf(c, t, "serve_stale response TTL must be a whole number of seconds");
    if ((uint64_t)ns / SECOND > UINT32_MAX)
        return config_plain_errorf(c, t, "serve_stale response TTL exceeds the DNS TTL range");
    s->stale_ttl = (uint32_t)((uint64_t)ns / SECOND);
    return 0;
}

static int read_recheck(struct config *c, struct cache *s, const struct token *t)
{
    int64_t ns;
    int rc = read_duration(c, t, "invalid serve_stale failure recheck: ", &ns);
    if (rc != 0)
        return rc;
    if (ns < 0)
        return config_plain_errorf(c, t, "invalid negative failure recheck for serve_stale");
    if (ns > (int64_t)(300 * SECOND))
        return config_plain_errorf(c, t, "serve_stale failure recheck cannot exceed 5 minutes");
    s->stale_recheck_ns = (uint64_t)ns;
    return 0;
}

static int read_verify_timeout(struct config *c, struct cache *s, const struct token *t)
{
    int64_t ns;
    int rc = read_duration(c, t, "invalid serve_stale verify timeout: ", &ns);
    if (rc != 0)
        return rc;
    if (ns < 0)
        return config_plain_errorf(c, t, "invalid negative timeout for serve_stale verify");
    s->verify_timeout_ns = (uint64_t)ns;
    return 0;
}

static int read_mode(struct config *c, struct cache *s, const struct token *t)
{
    char mode[64];
    size_t n = 0;
    for (; t->text[n] != '\0' && n < sizeof mode - 1; n++)
        mode[n] = (char)(t->text[n] >= 'A' && t->text[n] <= 'Z' ? t->text[n] + ('a' - 'A') : t->text[n]);
    mode[n] = '\0';
    s->stale_verify = strcmp(mode, "verify") == 0;
    if (!s->stale_verify && strcmp(mode, "immediate") != 0)
        return config_plain_errorf(c, t, "invalid value for serve_stale refresh mode: %s", mode);
    return 0;
}

// serve_stale [DURATION [immediate [TTL [RECHECK]] | verify [TIMEOUT [TTL [RECHECK]]]]]
int cache_setup_stale(struct config *c, struct cache *s, const struct directive *d)
{
    const struct token *t = d->tokens + 1;
    size_t n = d->ntokens - 1;
    int64_t ns = (int64_t)(3600 * SECOND);
    int rc = n > 5 ? config_argument_error(c, last(d)) : 0;
    s->stale_configured = true;
    s->stale_verify = false;
    s->stale_ttl = 0;
    s->stale_recheck_ns = s->verify_timeout_ns = 0;
    if (rc == 0 && n > 0)
        rc = read_duration(c, &t[0], "", &ns);
    if (rc == 0 && ns < 0)
        rc = config_plain_errorf(c, &t[0], "invalid negative duration for serve_stale");
    if (rc == 0 && n > 1)
        rc = read_mode(c, s, &t[1]);
    if (rc == 0 && n > 4 && !s->stale_verify)
        rc = config_argument_error(c, last(d));
    size_t at = 2;
    if (rc == 0 && s->stale_verify && n > at)
        rc = read_verify_timeout(c, s, &t[at++]);
    if (rc == 0 && n > at)
        rc = read_response_ttl(c, s, &t[at++]);
    if (rc == 0 && n > at)
        rc = read_recheck(c, s, &t[at]);
    uint64_t stale = rc == 0 ? (uint64_t)ns / SECOND : 0;
    s->stale = stale < INT32_MAX ? (uint32_t)stale : INT32_MAX;
    return rc;
}

int cache_setup_stale_policy(struct config *c, struct cache *s, const struct directive *d)
{
    if (s->policy_configured)
        return config_plain_errorf(c, d->tokens, "serve_stale_policy can only be specified once");
    s->policy_configured = true;
    if (d->ntokens != 2)
        return config_argument_error(c, last(d));
    if (strcasecmp(d->tokens[1].text, "prefer_positive") != 0)
        return config_plain_errorf(c, &d->tokens[1], "invalid serve_stale_policy: %s", d->tokens[1].text);
    return 0;
}

int cache_setup_stale_finish(struct config *c, struct cache *s, const struct directive *d)
{
    if (s->policy_configured && !s->stale_configured)
        return config_plain_errorf(c, d->tokens, "serve_stale_policy requires serve_stale");
    s->stale_prefer_positive = s->policy_configured && s->stale > 0;
    return 0;
}
