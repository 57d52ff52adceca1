// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A hash table of 64-bit words: open addressing, linear probing, one writer, any number of readers under RCU. A word
/// is a pointer with what fits beside it; the table neither knows nor owns what it points to. Several words may have
/// one hash: in a multi-map (TABLE_MULTI) they leave their slots for a chain when they are many, so that neither they
/// nor their neighbours are slow to find. What is outgrown is replaced by a new block and stays readable until
/// table_reclaim().
#include "base/rcu.h"
#include <clusterdns/error.h>
#include <stdbool.h>
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

#define TABLE_CHAINED 0xffff ///< word_high() of a slot of a multi-map that holds a chain

/// What arrays and chains begin with.
struct table_block {
    struct table_block *next; ///< of those waiting for table_reclaim()
    size_t bytes;
};

struct table_array {
    struct table_block block;
    size_t cap; ///< slots
    uint64_t words[];
};

/// Words of one hash in the order they came in, TABLE_REMOVED where one was erased. Behind them, for the writer alone,
/// a hash table of positions + 1, with twice as many slots. Never without a word while it is published.
struct table_chain {
    struct table_block block;
    uint64_t hash;
    uint32_t cap, live;    ///< places, a power of two; words
    uint32_t first, count; ///< RCU; where the first word is; places taken
    uint64_t words[];
};

enum table_kind {
    TABLE_MAP,   ///< words of one hash are a rare accident
    TABLE_MULTI, ///< many words may have one hash; word_low() is the hash's low bits, word_high() not TABLE_CHAINED
};

struct table {
    struct table_array *array;       ///< RCU; never NULL
    size_t live, used;               ///< slots with words or chains; slots that are not empty
    struct table_block *retired;     ///< replaced, perhaps still being read
    uint64_t (*hash)(uint64_t word); ///< hash of a word, when the array is rebuilt
    size_t chain_bytes;              ///< of chains that are published
    enum table_kind kind;
};

/// A walk over the words that may have a hash. Valid as long as its read section (readers), or until the next
/// table_reserve() (writer).
struct table_cursor {
    struct table_array *array;
    size_t slot; ///< of the word that table_next() gave
    size_t left; ///< slots still to be looked at
    uint64_t hash;
    struct table_chain *chain; ///< the chain that the word stands in, or NULL …
    uint32_t next;             ///< … and the place behind it
    enum table_kind kind;
};

/// Prepares an empty table. CDNS_ENOMEM.
int table_init(struct table *t, enum table_kind kind, uint64_t (*hash)(uint64_t word)) CDNS_MUSTCHECK;
/// Frees all arrays and chains; no reader may be left.
void table_free(struct table *t);
/// Makes room for `extra` insertions, so that they cannot fail. CDNS_ENOMEM.
int table_reserve(struct table *t, size_t extra) CDNS_MUSTCHECK;
/// Inserts a word; room was reserved.
void table_insert(struct table *t, uint64_t hash, uint64_t word);
/// Erases the word at the cursor.
void table_erase(struct table *t, const struct table_cursor *at);
/// Replaces the word at the cursor by another of the same hash.
void table_replace(const struct table_cursor *at, uint64_t word);
/// Finds the very word, which table_insert() was given with this hash, for the writer.
bool table_find_word(const struct table *t, uint64_t hash, uint64_t word, struct table_cursor *at);
/// Frees what was replaced: a grace period has passed since table_reserve() or table_trim().
void table_reclaim(struct table *t);
/// Gives memory back when most slots are unused. Best effort.
void table_trim(struct table *t);
/// Heap bytes of arrays and chains, replaced ones included.
size_t table_bytes(const struct table *t);

static inline size_t table_slot(const struct table_array *a, uint64_t hash)
{
    return (size_t)(((unsigned __int128)hash * a->cap) >> 64);
}

/// Fetches the slot where a walk over the words with this hash begins, without waiting for it.
static inline void table_prefetch(const struct table *t, uint64_t hash)
{
    __builtin_prefetch(&t->array->words[table_slot(t->array, hash)]);
}

/// Starts a walk over the words with this hash (and others that share their slots).
static inline struct table_cursor table_find(const struct table *t, uint64_t hash)
{
    struct table_array *a = RCU_READ(t->array);
    size_t slot = table_slot(a, hash);
    return (struct table_cursor){
        .array = a, .slot = slot == 0 ? a->cap - 1 : slot - 1, .left = a->cap, .hash = hash, .kind = t->kind};
}

/// The next word of the walk; TABLE_EMPTY at its end.
static inline uint64_t table_next(struct table_cursor *c)
{
    for (;;) {
        while (c->chain != NULL && c->next < RCU_READ(c->chain->count)) {
            uint64_t word = RCU_READ(c->chain->words[c->next++]);
            if (word != TABLE_REMOVED)
                return word;
        }
        c->chain = NULL;
        if (c->left == 0)
            return TABLE_EMPTY;
        c->left--;
        c->slot = c->slot + 1 == c->array->cap ? 0 : c->slot + 1;
        uint64_t word = RCU_READ(c->array->words[c->slot]);
        if (c->kind == TABLE_MULTI && word_high(word) == TABLE_CHAINED) {
            struct table_chain *chain = word_pointer(word);
            if (chain->hash != c->hash)
                continue;
            c->chain = chain;
            c->next = RCU_READ(chain->first);
        } else if (word != TABLE_REMOVED) {
            return word;
        }
    }
}

/// Walks a chain backwards, so that one number tells what is left: the word before place `*at`, which becomes its
/// place; TABLE_EMPTY when there is none.
static inline uint64_t table_chain_before(const struct table_chain *c, uint32_t *at)
{
    while (*at > 0) {
        uint64_t word = RCU_READ(c->words[--*at]);
        if (word != TABLE_REMOVED)
            return word;
    }
    return TABLE_EMPTY;
}

/// Starts a walk over every word of a map, for the writer; only table_erase() may be called during it.
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
