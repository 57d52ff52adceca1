// SPDX-License-Identifier: Apache-2.0
#include "kube/table.h"
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

// Large arrays come straight from the system, so that one that was outgrown leaves no hole in the heap.
#define MAPPED_BYTES (64u << 10)
#define MIN_CAP 16

static size_t array_bytes(size_t cap)
{
    return sizeof(struct table_array) + cap * sizeof(uint64_t);
}

static struct table_array *array_new(size_t cap)
{
    size_t bytes = array_bytes(cap);
    struct table_array *a;
    if (bytes < MAPPED_BYTES) {
        a = calloc(1, bytes);
    } else {
        a = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (a == MAP_FAILED)
            a = NULL;
    }
    if (a != NULL)
        a->cap = cap;
    return a;
}

static void array_free(struct table_array *a)
{
    size_t bytes = array_bytes(a->cap);
    if (bytes < MAPPED_BYTES)
        free(a);
    else
        munmap(a, bytes);
}

// Puts a word into the first free slot of its walk. Returns true when the slot had been empty.
static bool array_put(struct table_array *a, uint64_t hash, uint64_t word)
{
    size_t slot = table_slot(a, hash);
    while (a->words[slot] > TABLE_REMOVED)
        slot = slot + 1 == a->cap ? 0 : slot + 1;
    bool empty = a->words[slot] == TABLE_EMPTY;
    RCU_ASSIGN(a->words[slot], word);
    return empty;
}

// Copies all words to a new array with room for `words` of them at 64 % load, and publishes it.
static int rebuild(struct table *t, size_t words)
{
    size_t cap = words + words / 16 * 9 + MIN_CAP;
    struct table_array *a = array_new(cap);
    if (a == NULL)
        return CDNS_ENOMEM;
    struct table_cursor c = table_all(t);
    for (uint64_t word; (word = table_next_of_all(&c)) != TABLE_EMPTY;)
        array_put(a, t->hash(word), word);
    t->used = t->live;
    struct table_array *old = t->array;
    RCU_ASSIGN(t->array, a);
    old->next = t->retired;
    t->retired = old;
    return 0;
}

int table_init(struct table *t, uint64_t (*hash)(uint64_t word))
{
    *t = (struct table){.hash = hash, .array = array_new(MIN_CAP)};
    return t->array == NULL ? CDNS_ENOMEM : 0;
}

void table_free(struct table *t)
{
    table_reclaim(t);
    if (t->array != NULL)
        array_free(t->array);
    t->array = NULL;
}

int table_reserve(struct table *t, size_t extra)
{
    size_t cap = t->array->cap;
    if (t->used + extra <= cap - cap / 5)
        return 0;
    return rebuild(t, t->live + extra);
}

void table_insert(struct table *t, uint64_t hash, uint64_t word)
{
    INVARIANT(t->used < t->array->cap - 1);
    if (array_put(t->array, hash, word))
        t->used++;
    t->live++;
}

void table_erase(struct table *t, const struct table_cursor *at)
{
    struct table_array *a = at->array;
    size_t slot = at->slot;
    t->live--;
    size_t next = slot + 1 == a->cap ? 0 : slot + 1;
    if (a->words[next] != TABLE_EMPTY) {
        RCU_ASSIGN(a->words[slot], TABLE_REMOVED);
        return;
    }
    // Every walk ends behind this slot: it, and removed ones before it, can be empty again.
    do {
        RCU_ASSIGN(a->words[slot], TABLE_EMPTY);
        t->used--;
        slot = slot == 0 ? a->cap - 1 : slot - 1;
    } while (a->words[slot] == TABLE_REMOVED);
}

void table_reclaim(struct table *t)
{
    while (t->retired != NULL) {
        struct table_array *a = t->retired;
        t->retired = a->next;
        array_free(a);
    }
}

void table_trim(struct table *t)
{
    if (t->array->cap > 4 * MIN_CAP && t->live < t->array->cap / 4 && rebuild(t, t->live) != 0)
        return; // no memory to save memory: the old array serves
}

size_t table_bytes(const struct table *t)
{
    size_t bytes = array_bytes(t->array->cap);
    for (const struct table_array *a = t->retired; a != NULL; a = a->next)
        bytes += array_bytes(a->cap);
    return bytes;
}
