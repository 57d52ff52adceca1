// SPDX-License-Identifier: Apache-2.0
#include "kube/table.h"
#include <stdlib.h>
#include <sys/mman.h>

// Large arrays come straight from the system, so that one that was outgrown leaves no hole in the heap.
#define MAPPED_BYTES (64u << 10)
#define MIN_CAP 16
#define AHEAD 16 // slots; rebuilding fetches what their words point to

// Words of one hash get a chain when another one comes, so many stand in slots already, and the way past them is long.
#define CHAIN_MIN 16u
#define CHAIN_STEPS 32
#define CHAIN_MAX (1u << 30)

// Zeroed.
static void *block_new(size_t bytes)
{
    struct table_block *b;
    if (bytes < MAPPED_BYTES) {
        b = calloc(1, bytes);
    } else {
        b = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (b == MAP_FAILED)
            b = NULL;
    }
    if (b != NULL)
        b->bytes = bytes;
    return b;
}

static void block_free(struct table_block *b)
{
    if (b->bytes < MAPPED_BYTES)
        free(b);
    else
        munmap(b, b->bytes);
}

static void retire(struct table *t, struct table_block *b)
{
    b->next = t->retired;
    t->retired = b;
}

// --- chains

static bool is_chain(const struct table *t, uint64_t word)
{
    return t->kind == TABLE_MULTI && word_high(word) == TABLE_CHAINED;
}

static uint64_t chain_word(const struct table_chain *c)
{
    return word_make(c, TABLE_CHAINED, (unsigned)c->hash & 15u);
}

static struct table_chain *chain_new(struct table *t, uint64_t hash, size_t cap)
{
    size_t bytes = sizeof(struct table_chain) + cap * (sizeof(uint64_t) + 2 * sizeof(uint32_t));
    struct table_chain *c = cap > CHAIN_MAX ? NULL : block_new(bytes);
    if (c == NULL)
        return NULL;
    c->hash = hash;
    c->cap = (uint32_t)cap;
    t->chain_bytes += bytes;
    return c;
}

static void chain_retire(struct table *t, struct table_chain *c)
{
    t->chain_bytes -= c->block.bytes;
    retire(t, &c->block);
}

static uint32_t *chain_index(const struct table_chain *c)
{
    return (uint32_t *)(uintptr_t)(c->words + c->cap);
}

static uint32_t index_home(const struct table_chain *c, uint64_t word)
{
    return (uint32_t)((word ^ word >> 32) * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (2 * c->cap - 1);
}

// The slot of the index that tells where the word is, or the free one where it belongs.
static uint32_t index_find(const struct table_chain *c, uint64_t word)
{
    const uint32_t *index = chain_index(c);
    uint32_t i = index_home(c, word);
    while (index[i] != 0 && c->words[index[i] - 1] != word)
        i = (i + 1) & (2 * c->cap - 1);
    return i;
}

// Takes a word that is still in its place out of the index; those behind it move up.
static void index_remove(struct table_chain *c, uint64_t word)
{
    uint32_t *index = chain_index(c), mask = 2 * c->cap - 1, hole = index_find(c, word);
    index[hole] = 0;
    for (uint32_t i = (hole + 1) & mask; index[i] != 0; i = (i + 1) & mask) {
        if (((i - index_home(c, c->words[index[i] - 1])) & mask) < ((i - hole) & mask))
            continue;
        index[hole] = index[i];
        index[i] = 0;
        hole = i;
    }
}

static void chain_append(struct table_chain *c, uint64_t word)
{
    c->words[c->count] = word;
    chain_index(c)[index_find(c, word)] = c->count + 1;
    c->live++;
    RCU_ASSIGN(c->count, c->count + 1);
}

// Publishes a copy in which there is room for as many words again.
static struct table_chain *chain_copy(struct table *t, uint64_t *slot)
{
    struct table_chain *old = word_pointer(*slot);
    size_t cap = CHAIN_MIN;
    while (cap < 2 * (size_t)old->live)
        cap *= 2;
    struct table_chain *c = chain_new(t, old->hash, cap);
    if (c == NULL)
        return NULL;
    for (uint32_t i = old->first; i < old->count; i++)
        if (old->words[i] != TABLE_REMOVED)
            chain_append(c, old->words[i]);
    RCU_ASSIGN(*slot, chain_word(c));
    chain_retire(t, old);
    return c;
}

// Returns true when the chain is empty.
static bool chain_erase(struct table *t, struct table_chain *c, uint32_t place, uint64_t *slot)
{
    index_remove(c, c->words[place]);
    RCU_ASSIGN(c->words[place], TABLE_REMOVED);
    if (--c->live == 0) {
        chain_retire(t, c);
        return true;
    }
    uint32_t first = c->first;
    while (c->words[first] == TABLE_REMOVED)
        first++;
    RCU_ASSIGN(c->first, first);
    if (c->cap > CHAIN_MIN && c->live < c->cap / 4)
        (void)chain_copy(t, slot); // no memory to save memory: the old one serves
    return false;
}

// Is the word in its slot one of this hash?
static bool is_equal(const struct table *t, uint64_t word, uint64_t hash)
{
    return word > TABLE_REMOVED && word_low(word) == (hash & 15) && !is_chain(t, word) && t->hash(word) == hash;
}

// Moves the words of a hash into a chain, with another one, if they are many. The chain takes the slot of the last
// of them: a reader that has not come to it finds all there, one that has passed it has seen all.
static bool chain_make(struct table *t, uint64_t hash, uint64_t word)
{
    struct table_cursor c = table_find(t, hash), last = c;
    size_t n = 0, cap = CHAIN_MIN;
    for (uint64_t w; (w = table_next(&c)) != TABLE_EMPTY;) {
        if (is_equal(t, w, hash)) {
            last = c;
            n++;
        }
    }
    while (cap < 2 * n)
        cap *= 2;
    struct table_chain *chain = n < CHAIN_MIN ? NULL : chain_new(t, hash, cap);
    if (chain == NULL)
        return false;
    c = table_find(t, hash);
    for (uint64_t w; (w = table_next(&c)) != TABLE_EMPTY;)
        if (is_equal(t, w, hash))
            chain_append(chain, w);
    chain_append(chain, word);
    RCU_ASSIGN(last.array->words[last.slot], chain_word(chain));
    // From the last to the first, so that the first word that a reader meets is the oldest all the time.
    for (; n > 1; n--) {
        c = table_find(t, hash);
        for (uint64_t w; (w = table_next(&c)) != TABLE_EMPTY && c.chain == NULL;)
            if (is_equal(t, w, hash))
                last = c;
        table_erase(t, &last);
    }
    return true;
}

// Puts the word into the chain of its hash, or a new one when the way to it has become long. False: it goes to a slot.
static bool chain_insert(struct table *t, uint64_t hash, uint64_t word)
{
    struct table_array *a = t->array;
    size_t slot = table_slot(a, hash), steps = 0;
    for (; a->words[slot] != TABLE_EMPTY; slot = slot + 1 == a->cap ? 0 : slot + 1, steps++) {
        struct table_chain *c = is_chain(t, a->words[slot]) ? word_pointer(a->words[slot]) : NULL;
        if (c == NULL || c->hash != hash)
            continue;
        if (c->count == c->cap && (c = chain_copy(t, &a->words[slot])) == NULL)
            return false;
        chain_append(c, word);
        return true;
    }
    return steps >= CHAIN_STEPS && chain_make(t, hash, word);
}

// --- arrays

static struct table_array *array_new(size_t cap)
{
    struct table_array *a = block_new(sizeof *a + cap * sizeof(uint64_t));
    if (a != NULL)
        a->cap = cap;
    return a;
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

// What hashes are made of lies anywhere in memory: fetched ahead, several are waited for at once.
static void prefetch(uint64_t word)
{
    const char *p = word_pointer(word);
    if (p == NULL)
        return;
    __builtin_prefetch(p);
    __builtin_prefetch(p + 64);
}

// Copies all words to a new array with room for `words` of them at 64 % load, and publishes it.
static int rebuild(struct table *t, size_t words)
{
    size_t cap = words + words / 16 * 9 + MIN_CAP;
    struct table_array *a = array_new(cap);
    if (a == NULL)
        return CDNS_ENOMEM;
    struct table_array *old = t->array;
    size_t slot = 0;
    while (old->words[slot] != TABLE_EMPTY) // from the beginning of a run, so that equal words stay in order
        slot++;
    for (size_t left = old->cap; left > 0; left--, slot = slot + 1 == old->cap ? 0 : slot + 1) {
        uint64_t word = old->words[slot];
        if (slot + AHEAD < old->cap)
            prefetch(old->words[slot + AHEAD]);
        if (word > TABLE_REMOVED)
            array_put(a, is_chain(t, word) ? ((struct table_chain *)word_pointer(word))->hash : t->hash(word), word);
    }
    t->used = t->live;
    RCU_ASSIGN(t->array, a);
    retire(t, &old->block);
    return 0;
}

int table_init(struct table *t, enum table_kind kind, uint64_t (*hash)(uint64_t word))
{
    *t = (struct table){.kind = kind, .hash = hash, .array = array_new(MIN_CAP)};
    return t->array == NULL ? CDNS_ENOMEM : 0;
}

void table_free(struct table *t)
{
    table_reclaim(t);
    if (t->array == NULL)
        return;
    for (size_t i = 0; i < t->array->cap; i++)
        if (is_chain(t, t->array->words[i]))
            block_free(word_pointer(t->array->words[i]));
    block_free(&t->array->block);
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
    if (t->kind == TABLE_MULTI && chain_insert(t, hash, word))
        return;
    if (array_put(t->array, hash, word))
        t->used++;
    t->live++;
}

void table_erase(struct table *t, const struct table_cursor *at)
{
    struct table_array *a = at->array;
    size_t slot = at->slot;
    if (at->chain != NULL && !chain_erase(t, at->chain, at->next - 1, &a->words[slot]))
        return;
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

void table_replace(const struct table_cursor *at, uint64_t word)
{
    struct table_chain *c = at->chain;
    if (c == NULL) {
        RCU_ASSIGN(at->array->words[at->slot], word);
        return;
    }
    index_remove(c, c->words[at->next - 1]);
    RCU_ASSIGN(c->words[at->next - 1], word);
    chain_index(c)[index_find(c, word)] = at->next;
}

bool table_find_word(const struct table *t, uint64_t hash, uint64_t word, struct table_cursor *at)
{
    *at = table_find(t, hash);
    for (uint64_t w; (w = table_next(at)) != TABLE_EMPTY;) {
        if (w == word)
            return true;
        if (at->chain != NULL) { // it need not be walked: table_next() goes on where the word is, or behind it
            uint32_t place = chain_index(at->chain)[index_find(at->chain, word)];
            at->next = place == 0 ? at->chain->count : place - 1;
        }
    }
    return false;
}

void table_reclaim(struct table *t)
{
    while (t->retired != NULL) {
        struct table_block *b = t->retired;
        t->retired = b->next;
        block_free(b);
    }
}

void table_trim(struct table *t)
{
    if (t->array->cap > 4 * MIN_CAP && t->live < t->array->cap / 4 && rebuild(t, t->live) != 0)
        return; // no memory to save memory: the old array serves
}

size_t table_bytes(const struct table *t)
{
    size_t bytes = t->array->block.bytes + t->chain_bytes;
    for (const struct table_block *b = t->retired; b != NULL; b = b->next)
        bytes += b->bytes;
    return bytes;
}
