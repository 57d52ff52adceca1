// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Memory with the lifetime of one query (or one configuration): allocations are a pointer bump, freed all at once.
/// An arena belongs to one thread at a time; none of these functions lock.
#include <clusterdns/error.h>
#include <stddef.h>

struct arena;

/// A new arena that will hold at most `limit` bytes in all (0: no bound). NULL when memory is short.
struct arena *arena_new(size_t limit);
/// Frees the arena and all that was allocated from it. NULL is allowed.
void arena_free(struct arena *a);
/// Forgets all allocations but keeps the first block (1 KiB) and, if it was needed, one of 16 KiB, so that the next
/// query does not touch the heap.
void arena_reset(struct arena *a);
/// `size` bytes aligned to 8, not initialised; NULL when the limit or memory is used up. `size` 0 gives a valid
/// pointer.
void *arena_alloc(struct arena *a, size_t size);
/// As arena_alloc() for `count` × `size` bytes, zeroed; NULL on overflow too.
void *arena_calloc(struct arena *a, size_t count, size_t size);
/// A copy of `size` bytes; NULL as arena_alloc().
void *arena_memdup(struct arena *a, const void *src, size_t size);
/// A NUL-terminated copy of the first `len` bytes of `s`.
char *arena_strndup(struct arena *a, const char *s, size_t len);
/// Formatted text in the arena; NULL as arena_alloc().
char *arena_printf(struct arena *a, const char *fmt, ...) CDNS_PRINTF(2, 3);
/// Bytes allocated since creation or reset.
size_t arena_used(const struct arena *a);
/// Bytes that the arena has of the heap now, those that are still free in it included.
size_t arena_held(const struct arena *a);
