// SPDX-License-Identifier: Apache-2.0
// Zones of the directive and its options.
#include "plugins/kubernetes/kubernetes.h"

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
