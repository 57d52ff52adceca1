// SPDX-License-Identifier: Apache-2.0
// The directive `kubernetes [ZONES…] { … }`. Checks, their order and their texts are CoreDNS 1.15.0's.
#include "kube/selector.h"
#include "plugins/kubernetes/kubernetes.h"
#include <clusterdns/quote.h>
#include <string.h>

#define TTL_DEFAULT 5

// What an option's line says beyond its name.
struct line {
    const struct directive *d;
    const struct token *args;
    size_t n;
};

static int argument_error(struct config *c, const struct line *l)
{
    return config_argument_error(c, &l->d->tokens[l->d->ntokens - 1]);
}

// CoreDNS takes "in-addr.arpa." itself for a zone to name services in; here it is the last resort.
static const struct zone *primary_zone(const struct kubernetes *k)
{
    for (unsigned labels = 0; labels <= 2; labels += 2)
        for (size_t i = 0; i < k->nzones; i++)
            if (!k->zones[i].reverse || k->zones[i].labels == labels)
                return &k->zones[i];
    return NULL;
}

static int set_zones(struct config *c, struct kubernetes *k, const struct directive *d)
{
    int e = zones_read(c, d->tokens + 1, d->ntokens - 1, &k->zones, &k->nzones);
    if (e != 0)
        return e;
    k->primary = primary_zone(k);
    return k->primary == NULL ? config_plain_errorf(c, d->tokens, "non-reverse zone name must be used") : 0;
}

// --- options

static int set_endpoint_pod_names(struct config *c, struct kubernetes *k, const struct line *l)
{
    k->endpoint_pod_names = k->from.store.pod_names = true;
    return l->n > 0 ? argument_error(c, l) : 0;
}

static int set_pods(struct config *c, struct kubernetes *k, const struct line *l)
{
    static const char *const modes[] = {
        [PODS_DISABLED] = "disabled", [PODS_INSECURE] = "insecure", [PODS_VERIFIED] = "verified"};
    if (l->n != 1)
        return argument_error(c, l);
    for (unsigned i = 0; i < 3; i++) {
        if (strcmp(l->args[0].text, modes[i]) == 0) {
            k->pods = (enum pods_mode)i;
            k->from.store.pods = i == PODS_VERIFIED;
            return 0;
        }
    }
    return config_plain_errorf(c, l->args, "wrong value for pods: %s,  must be one of: disabled, verified, insecure",
                               l->args[0].text);
}

static int set_namespaces(struct config *c, struct kubernetes *k, const struct line *l)
{
    if (l->n == 0)
        return argument_error(c, l);
    const uint8_t **all = arena_calloc(c->arena, k->nnamespaces + l->n, sizeof *all);
    if (all == NULL)
        return no_memory(c);
    k->namespaces_only = true;
    for (size_t i = 0; i < k->nnamespaces; i++)
        all[i] = k->namespaces[i];
    for (size_t i = 0; i < l->n; i++) {
        size_t len = strlen(l->args[i].text);
        if (len == 0 || len > NAME_MAX_LABEL)
            continue; // no namespace is called that
        uint8_t *label = arena_alloc(c->arena, 1 + len);
        if (label == NULL)
            return no_memory(c);
        label[0] = (uint8_t)len;
        memcpy(label + 1, l->args[i].text, len);
        all[k->nnamespaces++] = label;
    }
    k->namespaces = all;
    return 0;
}

static int set_endpoint(struct config *c, struct kubernetes *k, const struct line *l)
{
    if (l->n == 0)
        return argument_error(c, l);
    k->from.endpoint = l->args[0].text;
    if (l->n > 1)
        log_plugin(LOG_LEVEL_WARNING, "kubernetes",
                   "Multiple endpoints have been deprecated, only the first specified endpoint '%s' is used",
                   l->args[0].text);
    return 0;
}

static int set_tls(struct config *c, struct kubernetes *k, const struct line *l)
{
    if (l->n != 3)
        return argument_error(c, l);
    k->from.tls_cert = l->args[0].text;
    k->from.tls_key = l->args[1].text;
    k->from.tls_ca = l->args[2].text;
    return 0;
}

// The arguments, which are one selector, for objects of these kinds. CoreDNS's word for a selector is not always the
// option's name.
static int set_selector(struct config *c, struct kubernetes *k, const struct line *l, const char *word,
                        const enum kube_kind kinds[], size_t nkinds)
{
    char why[CONFIG_ERROR_MAX];
    const struct selector *selector;
    const char *text = l->n > 0 ? l->args[0].text : NULL;
    if (l->n == 0)
        return argument_error(c, l);
    for (size_t i = 1; i < l->n && text != NULL; i++)
        text = arena_printf(c->arena, "%s %s", text, l->args[i].text);
    int e = text != NULL ? selector_parse(text, c->arena, &selector, why, sizeof why) : CDNS_ENOMEM;
    if (e == CDNS_ESYNTAX)
        return config_plain_errorf(c, l->args, "unable to parse %s selector value: '%s': %s", word, text, why);
    if (e != 0)
        return no_memory(c);
    for (size_t i = 0; i < nkinds; i++)
        k->from.selectors[kinds[i]] = selector_text(selector);
    return 0;
}

static int set_labels(struct config *c, struct kubernetes *k, const struct line *l)
{
    static const enum kube_kind kinds[] = {KUBE_SERVICE, KUBE_ENDPOINTSLICE, KUBE_POD, KUBE_IMPORTED_SLICE};
    return set_selector(c, k, l, "label", kinds, sizeof kinds / sizeof kinds[0]);
}

static int set_namespace_labels(struct config *c, struct kubernetes *k, const struct line *l)
{
    static const enum kube_kind kinds[] = {KUBE_NAMESPACE, KUBE_SERVICE_IMPORT};
    return set_selector(c, k, l, "namespace_label", kinds, sizeof kinds / sizeof kinds[0]);
}

static int set_fallthrough(struct config *c, struct kubernetes *k, const struct line *l)
{
    static const struct token everything = {.text = "."};
    return l->n == 0 ? zones_read(c, &everything, 1, &k->fall, &k->nfall)
                     : zones_read(c, l->args, l->n, &k->fall, &k->nfall);
}

static int set_ttl(struct config *c, struct kubernetes *k, const struct line *l)
{
    char why[CONFIG_ERROR_MAX];
    int64_t ttl;
    if (l->n == 0)
        return argument_error(c, l);
    if (config_integer(l->args[0].text, &ttl, why) != 0)
        return config_plain_errorf(c, l->args, "%s", why);
    if (ttl < 0 || ttl > 3600)
        return config_errorf(c, l->args, "ttl must be in range [0, 3600]: %lld", (long long)ttl);
    k->ttl = (uint32_t)ttl;
    return 0;
}

static int set_noendpoints(struct config *c, struct kubernetes *k, const struct line *l)
{
    k->from.store.endpoints = false;
    return l->n > 0 ? argument_error(c, l) : 0;
}

static int set_ignore(struct config *c, struct kubernetes *k, const struct line *l)
{
    if (l->n == 0)
        return 0;
    if (strcmp(l->args[0].text, "empty_service") != 0)
        return config_plain_errorf(c, l->args, "unable to parse ignore value: '%s'", l->args[0].text);
    k->ignore_empty = true;
    return 0;
}

static int set_kubeconfig(struct config *c, struct kubernetes *k, const struct line *l)
{
    if (l->n != 1 && l->n != 2)
        return argument_error(c, l);
    k->from.kubeconfig = l->args[0].text;
    k->from.context = l->n == 2 ? l->args[1].text : NULL;
    return 0;
}

static int set_startup_timeout(struct config *c, struct kubernetes *k, const struct line *l)
{
    char why[CONFIG_ERROR_MAX];
    if (l->n == 0)
        return argument_error(c, l);
    if (config_duration(l->args[0].text, &k->startup_timeout_ns, why) != 0)
        return config_plain_errorf(c, l->args, "failed to parse startup_timeout: %s, %s", l->args[0].text, why);
    return 0;
}

// Ours: files and directories of manifests in place of an API.
static int set_manifests(struct config *c, struct kubernetes *k, const struct line *l)
{
    if (l->n == 0)
        return argument_error(c, l);
    const char **paths = arena_calloc(c->arena, k->from.nmanifests + l->n, sizeof *paths);
    if (paths == NULL)
        return no_memory(c);
    for (size_t i = 0; i < k->from.nmanifests; i++)
        paths[i] = k->from.manifests[i];
    for (size_t i = 0; i < l->n; i++)
        paths[k->from.nmanifests++] = l->args[i].text;
    k->from.manifests = paths;
    return 0;
}

static int set_zonal(struct config *c, struct kubernetes *k, const struct line *l)
{
    k->from.store.zones = true;
    return l->n > 0 ? argument_error(c, l) : 0;
}

// The only argument, which is a limit: `e` and `why` are what reading it came to.
static int check_limit(struct config *c, const struct line *l, int e, const char *why, bool negative)
{
    char quoted[CONFIG_ERROR_MAX / 2];
    const char *option = l->d->tokens[0].text;
    if (e != 0)
        return config_errorf(c, l->args, "invalid %s %s: %s", option, quote(l->args[0].text, quoted, sizeof quoted),
                             why);
    return negative ? config_errorf(c, l->args, "%s must be >= 0", option) : 0;
}

static int set_qps(struct config *c, struct kubernetes *k, const struct line *l)
{
    char why[CONFIG_ERROR_MAX] = "";
    float qps = 0;
    if (l->n != 1)
        return argument_error(c, l);
    int e = config_float(l->args[0].text, &qps, why);
    k->from.limits.qps = qps > 0 ? qps : 0; // what is no number is no limit
    return check_limit(c, l, e, why, qps < 0);
}

static int set_count(struct config *c, const struct line *l, int64_t *limit)
{
    char why[CONFIG_ERROR_MAX] = "";
    if (l->n != 1)
        return argument_error(c, l);
    int e = config_integer(l->args[0].text, limit, why);
    return check_limit(c, l, e, why, *limit < 0);
}

static int set_burst(struct config *c, struct kubernetes *k, const struct line *l)
{
    return set_count(c, l, &k->from.limits.burst);
}

static int set_max_inflight(struct config *c, struct kubernetes *k, const struct line *l)
{
    return set_count(c, l, &k->from.limits.inflight);
}

static int set_option(struct config *c, struct kubernetes *k, const struct directive *d)
{
    static const struct {
        const char *name;
        int (*set)(struct config *c, struct kubernetes *k, const struct line *l);
    } options[] = {
        {"endpoint_pod_names", set_endpoint_pod_names},
        {"pods", set_pods},
        {"namespaces", set_namespaces},
        {"endpoint", set_endpoint},
        {"tls", set_tls},
        {"labels", set_labels},
        {"namespace_labels", set_namespace_labels},
        {"fallthrough", set_fallthrough},
        {"ttl", set_ttl},
        {"noendpoints", set_noendpoints},
        {"zonal", set_zonal},
        {"ignore", set_ignore},
        {"kubeconfig", set_kubeconfig},
        {"multicluster", NULL}, // see check_options()
        {"startup_timeout", set_startup_timeout},
        {"apiserver_qps", set_qps},
        {"apiserver_burst", set_burst},
        {"apiserver_max_inflight", set_max_inflight},
        {"manifests", set_manifests},
    };
    const struct line line = {.d = d, .args = d->tokens + 1, .n = d->ntokens - 1};
    if (d->has_block)
        return config_errorf(c, d->tokens, "unknown property '{'");
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        if (strcmp(options[i].name, d->tokens[0].text) == 0)
            return options[i].set == NULL ? 0 : options[i].set(c, k, &line);
    return config_errorf(c, d->tokens, "unknown property '%s'", d->tokens[0].text);
}

// The line of an option that counts: the last one; NULL: there is none.
static const struct directive *last_line(const struct directive *d, const char *option)
{
    for (size_t i = d->nblock; i-- > 0;)
        if (strcmp(d->block[i].tokens[0].text, option) == 0)
            return &d->block[i];
    return NULL;
}

static void mark_passing(struct kubernetes *k)
{
    for (size_t i = 0; i < k->nzones; i++)
        for (size_t f = 0; f < k->nfall; f++)
            k->zones[i].passes |=
                name_in_zone(k->zones[i].name, k->fall[f].name) || name_in_zone(k->fall[f].name, k->zones[i].name);
}

// What options say together.
static int check_options(struct config *c, struct kubernetes *k, const struct directive *d)
{
    const struct directive *labels = last_line(d, "namespace_labels"), *multicluster = last_line(d, "multicluster"),
                           *zonal = last_line(d, "zonal");
    if (k->namespaces_only && labels != NULL)
        return config_errorf(c, labels->tokens, "namespaces and namespace_labels cannot both be set");
    if (multicluster != NULL && multicluster->ntokens > 1) {
        int e = zones_mark_multicluster(c, k, d, multicluster);
        if (e != 0)
            return e;
    }
    if (zonal != NULL && !k->from.store.endpoints)
        return config_errorf(c, zonal->tokens, "zonal requires the endpoint cache; remove noendpoints");
    mark_passing(k);
    return 0;
}

int kubernetes_setup(struct config *c, void **self)
{
    const struct directive *d = c->lines[0];
    struct kubernetes *k = arena_calloc(c->arena, 1, sizeof *k);
    if (k == NULL)
        return no_memory(c);
    k->ttl = TTL_DEFAULT;
    k->startup_timeout_ns = STARTUP_DEFAULT_NS;
    k->from.store.endpoints = true;
    int e = set_zones(c, k, d);
    for (size_t i = 0; e == 0 && i < d->nblock; i++)
        e = set_option(c, k, &d->block[i]);
    if (e == 0)
        e = check_options(c, k, d);
    if (e != 0)
        return e;
    if (c->nlines > 1)
        return config_plain_errorf(c, c->lines[1]->tokens, "this plugin can only be used once per Server Block");
    if (k->from.manifests != NULL && (k->from.endpoint != NULL || k->from.kubeconfig != NULL))
        return config_plain_errorf(c, d->tokens,
                                   "manifests take the place of an API: leave out endpoint and kubeconfig");
    char why[CONFIG_ERROR_MAX];
    // A service account is found where the server runs, not where its Corefile is validated: .start looks for that.
    bool named = k->from.endpoint != NULL || k->from.kubeconfig != NULL || k->from.manifests != NULL;
    if (named && source_check(&k->from, why, sizeof why) != 0)
        return config_plain_errorf(c, d->tokens, "%s", why);
    *self = k;
    return 0;
}
