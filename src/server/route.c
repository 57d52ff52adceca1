// SPDX-License-Identifier: Apache-2.0
#include "base/siphash.h"
#include "server/generation.h"

#include <string.h>

static const struct route *lookup(const struct listen_address *l, const uint8_t *zone)
{
    size_t len = name_length(zone);
    unsigned slot = (unsigned)siphash13(siphash_process_key(), zone, len) & l->mask;
    for (; l->table[slot] != NULL; slot = (slot + 1) & l->mask)
        if (l->table[slot]->zone_len == len && memcmp(l->table[slot]->zone, zone, len) == 0)
            return l->table[slot];
    return NULL;
}

/// The longest match among `name` and the names above it.
static const struct route *longest(const struct listen_address *l, const uint8_t *name)
{
    for (;; name += 1 + name[0]) {
        const struct route *r = lookup(l, name);
        if (r != NULL || name[0] == 0)
            return r;
    }
}

const struct route *route_find(const struct listen_address *l, const uint8_t *qname, unsigned labels)
{
    return longest(l, labels > l->max_labels ? name_skip(qname, labels - l->max_labels) : qname);
}

const struct route *route_next(const struct listen_address *l, const struct route *found)
{
    return found->zone[0] == 0 ? NULL : longest(l, found->zone + 1 + found->zone[0]);
}

static bool block_takes(const struct block *b, const struct query *q)
{
    for (unsigned i = 0; i < b->ninstances; i++) {
        const struct instance *in = &b->instances[i];
        if (in->plugin->match != NULL && !in->plugin->match(in->self, q))
            return false;
    }
    return true;
}

struct block *route_block(const struct route *r, const struct query *q)
{
    for (unsigned i = 0; i < r->nblocks; i++)
        if (block_takes(r->blocks[i], q))
            return r->blocks[i];
    return NULL;
}
