// SPDX-License-Identifier: Apache-2.0
// Zones of the directive and its options.
#include "plugins/kubernetes/kubernetes.h"
#include <stdio.h>
#include <string.h>

int zones_read(struct config *c, const struct token *args, size_t n, struct zone **out, size_t *nout)
{
    const char *const *texts;
    int e = config_zones(c, args, n, &texts, nout);
    if (e != 0)
        return no_memory(c);
    struct zone *zones = arena_calloc(c->arena, *nout, sizeof *zones);
    if (zones == NULL)
        return no_memory(c);
    for (size_t i = 0; i < *nout; i++) {
        uint8_t name[NAME_MAX_WIRE];
        if (name_from_text(texts[i], name) != 0)
            return config_plain_errorf(c, c->lines[0]->tokens, "zone is not a valid domain name: %s", texts[i]);
        size_t len = name_length(name);
        zones[i] = (struct zone){
            .name = arena_memdup(c->arena, name, len),
            .len = (uint8_t)len,
            .labels = (uint8_t)name_labels(name),
            .reverse = name_in_zone(name, (const uint8_t *)"\7in-addr\4arpa") ||
                       name_in_zone(name, (const uint8_t *)"\3ip6\4arpa"),
        };
        if (zones[i].name == NULL)
            return no_memory(c);
    }
    *out = zones;
    return 0;
}

static bool is_listed(const char *const *texts, size_t n, const char *text)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(texts[i], text) == 0)
            return true;
    return false;
}

// "[a. b.]", as Go prints a list.
static const char *list_text(const char *const *texts, size_t n, char out[CONFIG_ERROR_MAX])
{
    size_t at = 0;
    for (size_t i = 0; i < n && at < CONFIG_ERROR_MAX; i++)
        at += (size_t)snprintf(out + at, CONFIG_ERROR_MAX - at, "%s%s", i == 0 ? "[" : " ", texts[i]);
    if (at + 1 < CONFIG_ERROR_MAX)
        snprintf(out + at, CONFIG_ERROR_MAX - at, "]");
    return out;
}

int zones_mark_multicluster(struct config *c, struct kubernetes *k, const struct directive *d,
                            const struct directive *option)
{
    const char *const *own, *const *wanted;
    struct zone *zones = NULL;
    size_t nown, nwanted, nzones = 0;
    char list[CONFIG_ERROR_MAX];
    if (config_zones(c, d->tokens + 1, d->ntokens - 1, &own, &nown) != 0 ||
        config_zones(c, option->tokens + 1, option->ntokens - 1, &wanted, &nwanted) != 0)
        return no_memory(c);
    for (size_t i = 0; i < nwanted; i++)
        if (!is_listed(own, nown, wanted[i]))
            return config_errorf(c, option->tokens,
                                 "is not authoritative for the multicluster zone %s (authoritative zones: %s)",
                                 wanted[i], list_text(own, nown, list));
    int e = zones_read(c, option->tokens + 1, option->ntokens - 1, &zones, &nzones);
    if (e != 0)
        return e;
    for (size_t i = 0; i < k->nzones; i++)
        k->zones[i].multicluster = name_zone(zones, nzones, k->zones[i].name, k->zones[i].len) != NULL;
    k->from.store.imports = nzones > 0;
    return 0;
}
