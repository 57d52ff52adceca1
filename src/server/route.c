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

// The longest match among `name` and the names above it.
static const struct route *longest(const struct listen_address *l, const uint8_t *name)
{
    for (;; name += 1 + name[0]) {
        const struct route *r = lookup(l, name);
        if (r != NULL || name[0] == 0)
            return r;
    }
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

static const struct block *first_block(const struct route *r, const struct query *q)
{
    for (unsigned i = 0; i < r->nblocks; i++)
        if (block_takes(r->blocks[i], q))
            return r->blocks[i];
    return NULL;
}

// The next shorter match.
static const struct route *above(const struct listen_address *l, const struct route *r)
{
    return r->zone[0] == 0 ? NULL : longest(l, r->zone + 1 + r->zone[0]);
}

const struct block *route_query(const struct listen_address *l, const struct query *q, const struct route **route)
{
    const struct block *block = NULL;
    // No zone has more labels than max_labels.
    unsigned skip = q->qname_labels > l->max_labels ? q->qname_labels - l->max_labels : 0;
    for (const struct route *r = longest(l, name_skip(q->qname, skip));
         r != NULL && (block == NULL || (q->qtype == RR_DS && r->zone[0] != 0)); r = above(l, r)) {
        const struct block *takes = first_block(r, q);
        if (takes == NULL)
            continue;
        block = takes;
        *route = r;
    }
    return block;
}
