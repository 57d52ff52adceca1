// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A binary min-heap of deadlines; nodes are members of what they belong to. One thread at a time.
#include <clusterdns/error.h>
#include <stddef.h>
#include <stdint.h>

struct heap_node {
    uint64_t key; ///< smallest first
    size_t place; ///< 1 + index in the heap; 0: not in one. Zero-initialise.
};

/// Zero-initialised it is empty.
struct heap {
    struct heap_node **nodes;
    size_t n, cap;
};

/// Inserts a node that is in no heap, by its key. CDNS_ENOMEM.
int heap_insert(struct heap *h, struct heap_node *node) CDNS_MUSTCHECK;
/// Takes a node out; nothing happens if it is in no heap.
void heap_remove(struct heap *h, struct heap_node *node);
/// The node with the smallest key, which stays in; NULL when empty.
struct heap_node *heap_first(const struct heap *h);
/// Frees the array; nodes are not touched.
void heap_free(struct heap *h);
