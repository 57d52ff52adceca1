// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// An array that grows in an arena; the memory it grew out of is freed with the arena. Zero-initialised it is empty.
#include <clusterdns/arena.h>
#include <string.h>

struct list {
    void *items; ///< `n` of them, all of the size given to list_add()
    size_t n, cap;
};

/// Appends a copy of `size` bytes. CDNS_ENOMEM when the arena is full.
CDNS_MUSTCHECK static inline int list_add(struct list *l, struct arena *a, const void *item, size_t size)
{
    if (l->n == l->cap) {
        size_t cap = l->cap == 0 ? 4 : l->cap * 2;
        void *items = arena_calloc(a, cap, size);
        if (items == NULL)
            return CDNS_ENOMEM;
        if (l->n > 0)
            memcpy(items, l->items, l->n * size);
        l->items = items;
        l->cap = cap;
    }
    memcpy((char *)l->items + l->n++ * size, item, size);
    return 0;
}
