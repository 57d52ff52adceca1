// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A hash table of 64-bit words: open addressing, linear probing, one writer, any number of readers under RCU. A word
/// is a pointer with what fits beside it; the table neither knows nor owns what it points to. Several words may have
/// one hash, so it serves as a multi-map too. Growing builds a new array and publishes it; the old one stays readable
/// until table_reclaim().
#include "base/rcu.h"
#include <clusterdns/error.h>
#include <stddef.h>
#include <stdint.h>

/// A word: a 16-byte aligned pointer of 48 bits, 16 bits above it and 4 bits below.
static inline uint64_t word_make(const void *pointer, uint16_t high, unsigned low)
{
    return (uint64_t)(uintptr_t)pointer | (uint64_t)high << 48 | (low & 15u);
}
static inline void *word_pointer(uint64_t word)
{
    return (void *)(uintptr_t)(word & UINT64_C(0x0000fffffffffff0));
}
static inline uint16_t word_high(uint64_t word)
{
    return (uint16_t)(word >> 48);
}
static inline unsigned word_low(uint64_t word)
{
    return (unsigned)word & 15u;
}

#define TABLE_EMPTY UINT64_C(0)
#define TABLE_REMOVED UINT64_C(1) ///< a slot whose word was erased; no word has this value

struct table_array {
    struct table_array *next; ///< of the arrays waiting for table_reclaim()
    size_t cap;               ///< slots
    uint64_t words[];
};

struct table {
    struct table_array *array;       ///< RCU; never NULL
    size_t live, used;               ///< words; slots that are not empty
    struct table_array *retired;     ///< replaced, perhaps still being read
    uint64_t (*hash)(uint64_t word); ///< hash of a word, when the array is rebuilt
};

/// A walk over the words that may have a hash. Valid as long as its read section (readers), or until the next
/// table_reserve() (writer).
struct table_cursor {
    struct table_array *array;
    size_t slot; ///< of the word that table_next() gave
    size_t left; ///< slots still to be looked at
};

/// Prepares an empty table. CDNS_ENOMEM.
int table_init(struct table *t, uint64_t (*hash)(uint64_t word)) CDNS_MUSTCHECK;
/// Frees all arrays; no reader may be left.
void table_free(struct table *t);
/// Makes room for `extra` insertions, so that they cannot fail. CDNS_ENOMEM.
int table_reserve(struct table *t, size_t extra) CDNS_MUSTCHECK;
/// Inserts a word; room was reserved.
void table_insert(struct table *t, uint64_t hash, uint64_t word);
/// Erases the word at the cursor.
void table_erase(struct table *t, const struct table_cursor *at);
/// Frees replaced arrays: a grace period has passed since table_reserve() or table_trim().
void table_reclaim(struct table *t);
/// Gives memory back when most slots are unused. Best effort.
void table_trim(struct table *t);
/// Heap bytes of the arrays, replaced ones included.
size_t table_bytes(const struct table *t);

static inline size_t table_slot(const struct table_array *a, uint64_t hash)
{
    return (size_t)(((unsigned __int128)hash * a->cap) >> 64);
}

/// Starts a walk over the words with this hash (and others that share their slots).
static inline struct table_cursor table_find(const struct table *t, uint64_t hash)
{
    struct table_array *a = RCU_READ(t->array);
    size_t slot = table_slot(a, hash);
    return (struct table_cursor){.array = a, .slot = slot == 0 ? a->cap - 1 : slot - 1, .left = a->cap};
}

/// The next word of the walk; TABLE_EMPTY at its end.
static inline uint64_t table_next(struct table_cursor *c)
{
    while (c->left > 0) {
        c->left--;
        c->slot = c->slot + 1 == c->array->cap ? 0 : c->slot + 1;
        uint64_t word = RCU_READ(c->array->words[c->slot]);
        if (word != TABLE_REMOVED)
            return word;
    }
    return TABLE_EMPTY;
}

/// Replaces the word at the cursor by another of the same hash.
static inline void table_replace(const struct table_cursor *at, uint64_t word)
{
    RCU_ASSIGN(at->array->words[at->slot], word);
}

/// Starts a walk over every word, for the writer; only table_erase() may be called during it.
static inline struct table_cursor table_all(const struct table *t)
{
    return (struct table_cursor){.array = t->array, .slot = t->array->cap - 1, .left = t->array->cap};
}

/// The next word of a walk from table_all(), which passes over empty slots; TABLE_EMPTY at its end.
static inline uint64_t table_next_of_all(struct table_cursor *c)
{
    while (c->left > 0) {
        uint64_t word = table_next(c);
        if (word != TABLE_EMPTY)
            return word;
    }
    return TABLE_EMPTY;
}
