// SPDX-License-Identifier: Apache-2.0
#include <clusterdns/arena.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#endif

#ifdef ARENA_ASAN
#include <sanitizer/asan_interface.h>
#define GAP 16 // poisoned bytes between allocations, so that running over the end of one is caught
#else
#define GAP 0
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

#define ARENA_SIZE ((size_t)1 << 10) // bytes of a new arena: a query that waits has little more than its question there
#define CHUNK ((size_t)16 << 10)     // bytes of the first further chunk; one is kept over resets
#define LARGEST_STEP ((size_t)1 << 20) // further chunks double up to this many bytes

// A chunk beyond the first block.
struct chunk {
    struct chunk *next;
    size_t size; // bytes of `data`
    alignas(8) uint8_t data[];
};

struct arena {
    uint8_t *pos, *end;  // free part of the present chunk
    size_t used, limit;  // bytes given out, rounded up to 8; limit 0: none
    size_t held;         // bytes of the heap
    size_t first, step;  // size of the first block; size of the last chunk
    struct chunk *extra; // newest first
    struct chunk *spare; // of CHUNK bytes, for the next that is needed; may be NULL
    alignas(8) uint8_t block[];
};
#define FIRST_BLOCK (ARENA_SIZE - sizeof(struct arena))

static void rewind_to_first(struct arena *a)
{
    a->pos = a->block;
    a->end = a->block + a->first;
    a->step = CHUNK / 2;
    a->used = 0;
    a->extra = NULL;
    ASAN_POISON_MEMORY_REGION(a->block, a->first);
}

static void free_extra(struct arena *a)
{
    for (struct chunk *c = a->extra, *next; c != NULL; c = next) {
        next = c->next;
        if (c->size == CHUNK && a->spare == NULL) {
            a->spare = c;
            continue;
        }
        a->held -= sizeof *c + c->size;
        free(c);
    }
}

struct arena *arena_new(size_t limit)
{
    limit = (limit + 7) & ~(size_t)7;
    size_t first = limit != 0 && limit < FIRST_BLOCK ? limit : FIRST_BLOCK;
    struct arena *a = malloc(sizeof *a + first);
    if (a == NULL)
        return NULL;
    a->limit = limit;
    a->first = first;
    a->held = sizeof *a + first;
    a->spare = NULL;
    rewind_to_first(a);
    return a;
}

void arena_free(struct arena *a)
{
    if (a == NULL)
        return;
    free_extra(a);
    free(a->spare);
    free(a);
}

void arena_reset(struct arena *a)
{
    if (a->extra != NULL)
        free_extra(a);
    rewind_to_first(a);
}

// Makes room for `need` bytes in a new chunk; what the present one has left is given up.
static int grow(struct arena *a, size_t need)
{
    if (a->step < LARGEST_STEP)
        a->step *= 2;
    size_t size = need > a->step ? need : a->step;
    struct chunk *c = a->spare;
    if (c != NULL && size == CHUNK) {
        a->spare = NULL;
    } else {
        c = malloc(sizeof *c + size);
        if (c == NULL)
            return CDNS_ENOMEM;
        c->size = size;
        a->held += sizeof *c + size;
    }
    c->next = a->extra;
    a->extra = c;
    a->pos = c->data;
    a->end = c->data + size;
    ASAN_POISON_MEMORY_REGION(c->data, size);
    return 0;
}

void *arena_alloc(struct arena *a, size_t size)
{
    if (size > SIZE_MAX / 2)
        return NULL;
    size_t rounded = (size + 7) & ~(size_t)7;
    if (a->limit != 0 && rounded > a->limit - a->used)
        return NULL;
    if (rounded + GAP > (size_t)(a->end - a->pos) && grow(a, rounded + GAP) != 0)
        return NULL;
    void *p = a->pos;
    a->pos += rounded + GAP;
    a->used += rounded;
    ASAN_UNPOISON_MEMORY_REGION(p, size);
    return p;
}

void *arena_calloc(struct arena *a, size_t count, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total))
        return NULL;
    void *p = arena_alloc(a, total);
    if (p != NULL)
        memset(p, 0, total);
    return p;
}

void *arena_memdup(struct arena *a, const void *src, size_t size)
{
    void *p = arena_alloc(a, size);
    if (p != NULL && size > 0)
        memcpy(p, src, size);
    return p;
}

char *arena_strndup(struct arena *a, const char *s, size_t len)
{
    size_t n = strnlen(s, len);
    char *p = arena_alloc(a, n + 1);
    if (p == NULL)
        return NULL;
    memcpy(p, s, n);
    p[n] = '\0';
    return p;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    char *text = len < 0 ? NULL : arena_alloc(a, (size_t)len + 1);
    if (text == NULL)
        return NULL;
    va_start(args, fmt);
    vsnprintf(text, (size_t)len + 1, fmt, args);
    va_end(args);
    return text;
}

size_t arena_used(const struct arena *a)
{
    return a->used;
}

size_t arena_held(const struct arena *a)
{
    return a->held;
}
