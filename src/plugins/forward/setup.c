// SPDX-License-Identifier: Apache-2.0
// The directive `forward FROM TO… { … }`. Checks, their order and their texts are CoreDNS 1.15.0's.
#include "plugins/forward/forward.h"

#include <clusterdns/quote.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SECOND INT64_C(1000000000)

// The words of an option's line. What an option leaves is an option of its own: `max_fails 3 force_tcp`.
struct words {
    const struct directive *d;
    size_t at; // of the word that was taken last
};

static const struct token *last_word(const struct words *w)
{
    return &w->d->tokens[w->at];
}

static const struct token *next_word(struct words *w)
{
    return w->at + 1 < w->d->ntokens ? &w->d->tokens[++w->at] : NULL;
}

static int argument_error(struct config *c, const struct words *w)
{
    return config_argument_error(c, last_word(w));
}

// --- kinds of options

static int no_argument(struct config *c, struct words *w)
{
    return next_word(w) != NULL ? argument_error(c, w) : 0;
}

static int read_text(struct config *c, struct words *w, const char **text)
{
    const struct token *t = next_word(w);
    if (t == NULL)
        return argument_error(c, w);
    *text = t->text;
    return 0;
}

static int read_duration(struct config *c, struct words *w, int64_t *ns)
{
    char why[CONFIG_ERROR_MAX];
    const struct token *t = next_word(w);
    if (t == NULL)
        return argument_error(c, w);
    return config_duration(t->text, ns, why) != 0 ? config_plain_errorf(c, t, "%s", why) : 0;
}

// A duration that is not below zero.
static int read_time(struct config *c, struct words *w, int64_t *ns)
{
    char text[CONFIG_DURATION_MAX];
    const char *option = last_word(w)->text;
    int rc = read_duration(c, w, ns);
    if (rc == 0 && *ns < 0)
        rc = config_plain_errorf(c, last_word(w), "%s can't be negative: %s", option, config_duration_text(*ns, text));
    return rc;
}

// An integer that is not below zero.
static int read_count(struct config *c, struct words *w, int64_t *n)
{
    char why[CONFIG_ERROR_MAX];
    const char *option = last_word(w)->text;
    const struct token *t = next_word(w);
    if (t == NULL)
        return argument_error(c, w);
    if (config_integer(t->text, n, why) != 0)
        return config_plain_errorf(c, t, "%s", why);
    return *n < 0 ? config_plain_errorf(c, t, "%s can't be negative: %lld", option, (long long)*n) : 0;
}

// As Go's strconv.ParseUint with 32 bits: no sign.
static int read_unsigned(struct config *c, struct words *w, uint32_t *n)
{
    int64_t number = 0;
    char quoted[CONFIG_ERROR_MAX / 2];
    const struct token *t = next_word(w);
    if (t == NULL)
        return argument_error(c, w);
    bool sign = t->text[0] == '-' || t->text[0] == '+';
    int rc = sign ? CDNS_ESYNTAX : config_integer(t->text, &number, NULL);
    if (rc == 0 && number > UINT32_MAX)
        rc = CDNS_ERANGE;
    *n = (uint32_t)number;
    return rc == 0
               ? 0
               : config_plain_errorf(c, t, "strconv.ParseUint: parsing %s: %s", quote(t->text, quoted, sizeof quoted),
                                     rc == CDNS_ERANGE ? "value out of range" : "invalid syntax");
}

static int read_rcodes(struct config *c, struct words *w, bool noerror, uint32_t *set)
{
    const struct token *t = next_word(w);
    if (t == NULL)
        return argument_error(c, w);
    for (; t != NULL; t = next_word(w)) {
        int rcode = rcode_of_name(t->text);
        if (rcode < 0)
            return config_plain_errorf(c, t, "%s is not a valid rcode", t->text);
        if (rcode == RCODE_NOERROR && !noerror)
            return config_plain_errorf(c, t, "NoError cannot be used in failover");
        *set |= 1U << rcode;
    }
    return 0;
}

// Adds the zones that the texts name to an array in c->arena; what is no zone is left out.
static int add_zones(struct config *c, const struct token *args, size_t n, const uint8_t ***all, size_t *nall)
{
    const char *const *texts;
    size_t ntexts;
    int rc = config_zones(c, args, n, &texts, &ntexts);
    if (rc != 0)
        return rc;
    const uint8_t **zones = arena_calloc(c->arena, *nall + ntexts + 1, sizeof *zones);
    if (zones == NULL)
        return CDNS_ENOMEM;
    for (size_t i = 0; i < *nall; i++)
        zones[i] = (*all)[i];
    for (size_t i = 0; i < ntexts; i++) {
        uint8_t name[NAME_MAX_WIRE];
        if (name_from_text(texts[i], name) != 0)
            continue;
        zones[*nall] = arena_memdup(c->arena, name, name_length(name));
        if (zones[(*nall)++] == NULL)
            return CDNS_ENOMEM;
    }
    *all = zones;
    return 0;
}

// --- options

static int set_except(struct config *c, struct stanza *s, struct words *w)
{
    size_t n = w->d->ntokens - w->at - 1;
    if (n == 0)
        return argument_error(c, w);
    const struct token *args = last_word(w) + 1;
    w->at += n;
    return add_zones(c, args, n, &s->except, &s->nexcept);
}

static int set_max_fails(struct config *c, struct stanza *s, struct words *w)
{
    return read_unsigned(c, w, &s->health.max_fails);
}

static int set_max_connect_attempts(struct config *c, struct stanza *s, struct words *w)
{
    s->has_max_connect_attempts = true;
    return read_unsigned(c, w, &s->max_connect_attempts);
}

static int set_domain(struct config *c, struct stanza *s, struct words *w)
{
    const struct token *t = next_word(w);
    uint8_t name[NAME_MAX_WIRE];
    if (t == NULL)
        return argument_error(c, w);
    if (name_from_text(t->text, name) != 0)
        return config_plain_errorf(c, t, "health_check: invalid domain name %s", t->text);
    name_lower(name, s->health.domain);
    return 0;
}

static int set_health_check(struct config *c, struct stanza *s, struct words *w)
{
    int64_t interval = 0;
    int rc = read_duration(c, w, &interval);
    if (rc == 0 && interval < 0)
        rc = config_plain_errorf(c, last_word(w), "health_check can't be negative: %lld", (long long)interval);
    s->health.interval_ns = (uint64_t)interval;
    s->health.domain[0] = 0;
    for (const struct token *t = NULL; rc == 0 && (t = next_word(w)) != NULL;) {
        if (strcmp(t->text, "no_rec") == 0)
            s->health.rec = false;
        else if (strcmp(t->text, "domain") == 0)
            rc = set_domain(c, s, w);
        else
            rc = config_plain_errorf(c, t, "health_check: unknown option %s", t->text);
    }
    return rc;
}

static int set_force_tcp(struct config *c, struct stanza *s, struct words *w)
{
    s->force_tcp = s->health.tcp = true;
    return no_argument(c, w);
}

static int set_prefer_udp(struct config *c, struct stanza *s, struct words *w)
{
    s->prefer_udp = true;
    return no_argument(c, w);
}

static int check_file(struct config *c, const struct token *t, const char *what)
{
    if (access(t->text, R_OK) == 0)
        return 0;
    return config_plain_errorf(c, t, "%s open %s: %s", what, t->text,
                               errno == ENOENT ? "no such file or directory" : strerror(errno));
}

static int set_tls(struct config *c, struct stanza *s, struct words *w)
{
    char what[CONFIG_ERROR_MAX / 2];
    const struct token *args = last_word(w) + 1;
    size_t n = w->d->ntokens - w->at - 1;
    w->at += n;
    if (n > 3)
        return argument_error(c, w);
    s->tls_cert = n > 1 ? args[0].text : NULL;
    s->tls_key = n > 1 ? args[1].text : NULL;
    s->tls_ca = n == 1 || n == 3 ? args[n - 1].text : NULL;
    int rc = 0;
    for (size_t i = 0; rc == 0 && n > 1 && i < 2; i++)
        rc = check_file(c, &args[i], "could not load TLS cert:");
    if (rc == 0 && s->tls_ca != NULL) {
        snprintf(what, sizeof what, "error reading %s:", s->tls_ca);
        rc = check_file(c, &args[n - 1], what);
    }
    return rc;
}

static int set_tls_servername(struct config *c, struct stanza *s, struct words *w)
{
    return read_text(c, w, &s->tls_servername);
}

static int set_expire(struct config *c, struct stanza *s, struct words *w)
{
    return read_time(c, w, &s->expire_ns);
}

static int set_max_age(struct config *c, struct stanza *s, struct words *w)
{
    return read_time(c, w, &s->max_age_ns);
}

static int set_max_idle_conns(struct config *c, struct stanza *s, struct words *w)
{
    int64_t n = 0;
    int rc = read_count(c, w, &n);
    s->max_idle = n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
    return rc;
}

static int set_read_timeout(struct config *c, struct stanza *s, struct words *w)
{
    char text[CONFIG_DURATION_MAX];
    int rc = read_duration(c, w, &s->read_timeout_ns);
    if (rc == 0 && s->read_timeout_ns <= 0)
        rc = config_plain_errorf(c, last_word(w), "read_timeout must be positive: %s",
                                 config_duration_text(s->read_timeout_ns, text));
    return rc;
}

// Read and checked; there is no DNS over HTTPS here to use it.
static int set_doh_method(struct config *c, struct stanza *s, struct words *w)
{
    const char *text = "";
    (void)s;
    int rc = read_text(c, w, &text);
    if (rc == 0 && strcmp(text, "POST") != 0 && strcmp(text, "GET") != 0)
        rc = config_plain_errorf(c, last_word(w), "doh_method must be either POST or GET");
    return rc;
}

static int set_policy(struct config *c, struct stanza *s, struct words *w)
{
    static const char *const names[] = {
        [POLICY_RANDOM] = "random", [POLICY_ROUND_ROBIN] = "round_robin", [POLICY_SEQUENTIAL] = "sequential"};
    const char *text = "";
    int rc = read_text(c, w, &text);
    if (rc != 0)
        return rc;
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i], text) == 0) {
            s->policy = (enum policy)i;
            return 0;
        }
    return config_errorf(c, last_word(w), "unknown policy '%s'", text);
}

static int set_max_concurrent(struct config *c, struct stanza *s, struct words *w)
{
    return read_count(c, w, &s->max_concurrent);
}

static int set_next(struct config *c, struct stanza *s, struct words *w)
{
    return read_rcodes(c, w, true, &s->next_rcodes);
}

static int set_next_on_nodata(struct config *c, struct stanza *s, struct words *w)
{
    s->next_on_nodata = true;
    return no_argument(c, w);
}

static int set_failfast(struct config *c, struct stanza *s, struct words *w)
{
    s->failfast = true;
    return no_argument(c, w);
}

static int set_failover(struct config *c, struct stanza *s, struct words *w)
{
    return read_rcodes(c, w, false, &s->failover_rcodes);
}

// Read and checked; there are no host names to look up.
static int set_resolver(struct config *c, struct stanza *s, struct words *w)
{
    char quoted[CONFIG_ERROR_MAX / 2];
    const struct token *t = next_word(w);
    (void)s;
    if (t == NULL)
        return argument_error(c, w);
    for (; t != NULL; t = next_word(w))
        if (!target_is_address(t->text))
            return config_plain_errorf(c, t, "resolver must be an IP address or IP:port: %s",
                                       quote(t->text, quoted, sizeof quoted));
    return 0;
}

static int set_source_address(struct config *c, struct stanza *s, struct words *w)
{
    const char *text = "";
    int rc = read_text(c, w, &text);
    if (rc != 0)
        return rc;
    if (strchr(text, '%') != NULL || !target_address(text, 0, &s->source))
        return config_errorf(c, last_word(w), "invalid IP address: %s", text);
    if (s->source.sa.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&s->source.in6.sin6_addr)) {
        struct in_addr v4;
        memcpy(&v4, s->source.in6.sin6_addr.s6_addr + 12, sizeof v4);
        memset(&s->source, 0, sizeof s->source);
        s->source.in.sin_family = AF_INET;
        s->source.in.sin_addr = v4;
    }
    return 0;
}

static int set_option(struct config *c, struct stanza *s, struct words *w)
{
    static const struct {
        const char *name;
        int (*set)(struct config *c, struct stanza *s, struct words *w);
    } options[] = {
        {"except", set_except},
        {"force_tcp", set_force_tcp},
        {"prefer_udp", set_prefer_udp},
        {"expire", set_expire},
        {"max_age", set_max_age},
        {"max_idle_conns", set_max_idle_conns},
        {"read_timeout", set_read_timeout},
        {"max_fails", set_max_fails},
        {"max_connect_attempts", set_max_connect_attempts},
        {"doh_method", set_doh_method},
        {"tls", set_tls},
        {"tls_servername", set_tls_servername},
        {"policy", set_policy},
        {"health_check", set_health_check},
        {"max_concurrent", set_max_concurrent},
        {"next", set_next},
        {"next_on_nodata", set_next_on_nodata},
        {"failover", set_failover},
        {"failfast_all_unhealthy_upstreams", set_failfast},
        {"source_address", set_source_address},
        {"resolver", set_resolver},
    };
    const struct token *name = last_word(w);
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        if (strcmp(options[i].name, name->text) == 0)
            return options[i].set(c, s, w);
    return config_errorf(c, name, "unknown property '%s'", name->text);
}

static int read_options(struct config *c, struct stanza *s, const struct directive *d)
{
    for (size_t i = 0; i < d->nblock; i++) {
        struct words w = {.d = &d->block[i]};
        int rc;
        do {
            rc = set_option(c, s, &w);
        } while (rc == 0 && next_word(&w) != NULL);
        if (rc == 0 && d->block[i].has_block)
            rc = config_errorf(c, last_word(&w), "unknown property '{'");
        if (rc != 0)
            return rc;
    }
    return 0;
}

// --- the directive

// A CIDR that is no whole number of octets (nibbles) is several zones. CoreDNS takes the first alone.
static int read_from(struct config *c, struct stanza *s, const struct token *t)
{
    int rc = add_zones(c, t, 1, &s->from, &s->nfrom);
    if (rc == 0 && s->nfrom == 0)
        rc = config_plain_errorf(c, t, "unable to normalize '%s'", t->text);
    return rc;
}

static int check_options(struct config *c, const struct stanza *s, const struct directive *d)
{
    char max_age[CONFIG_DURATION_MAX], expire[CONFIG_DURATION_MAX];
    if (s->max_age_ns > 0 && s->max_age_ns < s->expire_ns)
        return config_plain_errorf(c, d->tokens, "max_age (%s) must not be less than expire (%s)",
                                   config_duration_text(s->max_age_ns, max_age),
                                   config_duration_text(s->expire_ns, expire));
    for (size_t i = 2; i < d->ntokens; i++) {
        const char *text = d->tokens[i].text;
        if (strncmp(text, "https://", 8) == 0 && strchr(text + 8, '/') != NULL)
            return config_plain_errorf(c, &d->tokens[i],
                                       "paths are not allowed in HTTPS upstream addresses (the /dns-query path is used "
                                       "by default): %s",
                                       text);
    }
    return 0;
}

static int read_tos(struct config *c, struct stanza *s, const struct directive *d)
{
    s->ntos = d->ntokens - 2;
    s->tos = arena_calloc(c->arena, s->ntos, sizeof *s->tos);
    if (s->tos == NULL)
        return CDNS_ENOMEM;
    for (size_t i = 0; i < s->ntos; i++) {
        const struct token *t = &d->tokens[2 + i];
        struct to *to = &s->tos[i];
        int rc = target_read(c, t, to);
        if (rc != 0)
            return rc;
        s->files = s->files || to->path != NULL;
        if (to->target.tls_name != NULL && s->tls_servername != NULL)
            return config_plain_errorf(
                c, t, "both forward ('%s') and proxy level ('%s') TLS servernames are set for upstream proxy '%s'",
                s->tls_servername, to->target.tls_name, t->text);
    }
    return 0;
}

// What files say is looked at again by .start, and later.
static int check_upstreams(struct config *c, const struct stanza *s, const struct directive *d)
{
    struct targets targets;
    const struct to *failed;
    int rc = targets_expand(s->tos, s->ntos, &targets, &failed);
    if (rc == CDNS_EIO)
        return config_plain_errorf(c, d->tokens, "open %s: %s", failed->path, strerror(errno));
    if (rc == CDNS_ELIMIT)
        return config_plain_errorf(c, d->tokens, "more than %d upstreams", FORWARD_UPSTREAMS);
    return targets.n == 0 ? config_plain_errorf(c, d->tokens, "no valid upstream addresses found") : 0;
}

// Workers' slots, each on cache lines of its own.
static struct stanza_worker *make_slots(struct config *c)
{
    uintptr_t align = _Alignof(struct stanza_worker);
    char *slots = arena_calloc(c->arena, worker_count() + 1, sizeof(struct stanza_worker));
    return slots != NULL ? (void *)(slots + (align - (uintptr_t)slots % align) % align) : NULL;
}

static int read_stanza(struct config *c, struct stanza *s, const struct directive *d)
{
    *s = (struct stanza){
        .expire_ns = 10 * SECOND,
        .read_timeout_ns = 2 * SECOND,
        .health = {.interval_ns = 500000000, .max_fails = 2, .rec = true},
    };
    s->workers = make_slots(c);
    if (s->workers == NULL)
        return CDNS_ENOMEM;
    int rc = d->ntokens < 2 ? config_argument_error(c, &d->tokens[0]) : read_from(c, s, &d->tokens[1]);
    if (rc == 0 && d->ntokens < 3)
        rc = config_argument_error(c, &d->tokens[1]);
    if (rc == 0)
        rc = read_options(c, s, d);
    if (rc == 0)
        rc = check_options(c, s, d);
    if (rc == 0)
        rc = read_tos(c, s, d);
    return rc == 0 ? check_upstreams(c, s, d) : rc;
}

int forward_setup(struct config *c, void **self)
{
    struct forward *f = arena_calloc(c->arena, 1, sizeof *f);
    if (f == NULL)
        return CDNS_ENOMEM;
    f->stanzas = arena_calloc(c->arena, c->nlines, sizeof *f->stanzas);
    if (f->stanzas == NULL)
        return CDNS_ENOMEM;
    for (; f->n < c->nlines; f->n++) {
        int rc = read_stanza(c, &f->stanzas[f->n], c->lines[f->n]);
        if (rc != 0)
            return rc;
    }
    for (size_t i = 0; i < f->n; i++)
        if (f->stanzas[i].ntos > FORWARD_TOS)
            return config_plain_errorf(c, c->lines[i]->tokens, "more than %d TOs configured: %zu", FORWARD_TOS,
                                       f->stanzas[i].ntos);
    *self = f;
    return 0;
}
