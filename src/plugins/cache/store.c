// SPDX-License-Identifier: Apache-2.0
// The stores of the process, which live for as long as a configuration wants them.
#include "plugins/cache/cache.h"
#include <stdlib.h>
#include <string.h>

static struct store *stores;

static int init_tables(struct store *s, const struct cache *c)
{
    for (unsigned kind = 0; kind < KINDS; kind++) {
        int rc = cache_table_init(&s->tables[kind], c->limits[kind].capacity, c->stale);
        if (rc == 0)
            continue;
        while (kind-- > 0)
            cache_table_free(&s->tables[kind]);
        return rc;
    }
    return 0;
}

static int make(const struct cache *c, struct store **out)
{
    int rc = rcu_retire_begin();
    if (rc != 0)
        return rc;
    struct store *s = calloc(1, sizeof *s);
    if (s == NULL || init_tables(s, c) != 0) {
        free(s);
        rcu_retire_end();
        return CDNS_ENOMEM;
    }
    *out = s;
    return 0;
}

int cache_store_acquire(const struct cache *c, const char *server, struct store **out)
{
    for (struct store *s = stores; s != NULL; s = s->next)
        if (memcmp(s->rest, c->rest, CONFIG_REST) == 0) {
            s->references++;
            *out = s;
            return 0;
        }
    struct store *s;
    int rc = make(c, &s);
    if (rc != 0)
        return rc;
    memcpy(s->rest, c->rest, CONFIG_REST);
    s->references = 1;
    s->next = stores;
    stores = s;
    cache_metrics_store_begin(s, c, server);
    *out = s;
    return 0;
}

void cache_store_release(struct store *s)
{
    if (--s->references > 0)
        return;
    struct store **p = &stores;
    while (*p != s)
        p = &(*p)->next;
    *p = s->next;
    cache_metrics_store_end(s);
    rcu_retire_end();
    for (unsigned kind = 0; kind < KINDS; kind++)
        cache_table_free(&s->tables[kind]);
    free(s);
}
