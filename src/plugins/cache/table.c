// SPDX-License-Identifier: Apache-2.0
// Readers take no lock; writers one of 64, and what they replace is freed behind a grace period.
#include "plugins/cache/cache.h"
#include <stdlib.h>

#define CACHE_LINE 64
#define EVICTIONS_MAX 64      // sets looked at for the room of one entry
#define ENTRY_MAX (16U << 10) // bytes: one larger answer would push out a hundred usual ones

int cache_table_init(struct table *t, uint32_t capacity, uint32_t stale)
{
    *t = (struct table){
        .nsets = capacity / TABLE_WAYS, .stale = stale, .bytes_max = (uint64_t)capacity * TABLE_BYTES_PER_ENTRY};
    // Not touched before it is used, however large it is.
    t->memory = calloc(t->nsets * sizeof *t->sets + CACHE_LINE - 1, 1);
    if (t->memory == NULL)
        return CDNS_ENOMEM;
    t->sets = (struct table_set *)(((uintptr_t)t->memory + CACHE_LINE - 1) & ~(uintptr_t)(CACHE_LINE - 1));
    for (unsigned i = 0; i < TABLE_LOCKS; i++)
        pthread_mutex_init(&t->locks[i], NULL);
    return 0;
}

void cache_table_free(struct table *t)
{
    for (uint32_t i = 0; i < t->nsets; i++)
        for (unsigned w = 0; w < TABLE_WAYS; w++)
            free(t->sets[i].entries[w]);
    for (unsigned i = 0; i < TABLE_LOCKS; i++)
        pthread_mutex_destroy(&t->locks[i]);
    free(t->memory);
}

// The upper half of the hash chooses the set, its last bits are the tag.
static uint32_t set_number(const struct table *t, uint64_t hash)
{
    return (uint32_t)(((hash >> 32) * t->nsets) >> 32);
}

// The lowest bit of each tag of four is 1 in these.
#define LOW UINT64_C(0x0001000100010001)
#define HIGH (LOW << 15)

// The highest bits of those of four tags that are this one; perhaps also of one above it that is not.
static uint64_t match_tags(uint64_t word, uint16_t tag)
{
    uint64_t differ = word ^ (LOW * tag);
    return (differ - LOW) & ~differ & HIGH;
}

struct entry *cache_table_find(struct table *t, uint64_t hash, const struct query *q)
{
    struct table_set *s = &t->sets[set_number(t, hash)];
    for (unsigned i = 0; i < TABLE_WAYS / 4; i++) {
        uint64_t found = match_tags(__atomic_load_n(&s->words[i], __ATOMIC_RELAXED), (uint16_t)hash);
        for (; found != 0; found &= found - 1) {
            struct entry *e = RCU_READ(s->entries[i * 4 + (unsigned)__builtin_ctzll(found) / 16]);
            if (e != NULL && cache_entry_is_of(e, hash, q))
                return e;
        }
    }
    return NULL;
}

static struct table_set *lock_set(struct table *t, uint32_t number)
{
    pthread_mutex_lock(&t->locks[number % TABLE_LOCKS]);
    return &t->sets[number];
}

static void unlock_set(struct table *t, uint32_t number)
{
    pthread_mutex_unlock(&t->locks[number % TABLE_LOCKS]);
}

static void on_free(struct rcu_retired *retired)
{
    struct entry *e = (struct entry *)retired; // its first member
    atomic_fetch_sub_explicit(&e->table->retired, e->size, memory_order_relaxed);
    free(e);
}

// The entry has been taken out of its place.
static void retire(struct table *t, struct entry *e)
{
    atomic_fetch_sub_explicit(&t->entries, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&t->bytes, e->size, memory_order_relaxed);
    atomic_fetch_add_explicit(&t->retired, e->size, memory_order_relaxed);
    rcu_retire(&e->retired, on_free);
}

// Which of two entries is of less use: what is past all use, then what was used longest ago.
static bool is_worse(const struct table *t, const struct entry *a, const struct entry *b, uint64_t now_ns)
{
    bool a_dead = cache_entry_ttl_left(a, now_ns) + t->stale <= 0,
         b_dead = cache_entry_ttl_left(b, now_ns) + t->stale <= 0;
    if (a_dead != b_dead)
        return a_dead;
    // Ticks wrap around.
    return (int32_t)(atomic_load_explicit(&a->used, memory_order_relaxed) -
                     atomic_load_explicit(&b->used, memory_order_relaxed)) < 0;
}

// The set's worst entry; TABLE_WAYS: it has none.
static unsigned find_worst(const struct table *t, const struct table_set *s, uint64_t now_ns)
{
    unsigned worst = TABLE_WAYS;
    for (unsigned w = 0; w < TABLE_WAYS; w++)
        if (s->entries[w] != NULL && (worst == TABLE_WAYS || is_worse(t, s->entries[w], s->entries[worst], now_ns)))
            worst = w;
    return worst;
}

static bool evict_from(struct table *t, uint32_t number, uint64_t now_ns)
{
    struct entry *e = NULL;
    struct table_set *s = lock_set(t, number);
    unsigned w = find_worst(t, s, now_ns);
    if (w < TABLE_WAYS) {
        e = s->entries[w];
        RCU_ASSIGN(s->entries[w], NULL);
    }
    unlock_set(t, number);
    if (e != NULL)
        retire(t, e);
    return e != NULL;
}

// Counts the bytes of an entry to come, and makes room for them.
static bool reserve(struct table *t, uint32_t size, uint64_t now_ns, unsigned *evicted)
{
    if (size > ENTRY_MAX || atomic_load_explicit(&t->retired, memory_order_relaxed) > TABLE_RETIRED_MAX)
        return false;
    atomic_fetch_add_explicit(&t->bytes, size, memory_order_relaxed);
    for (unsigned i = 0; atomic_load_explicit(&t->bytes, memory_order_relaxed) > t->bytes_max; i++) {
        if (i == EVICTIONS_MAX) {
            atomic_fetch_sub_explicit(&t->bytes, size, memory_order_relaxed);
            return false;
        }
        uint32_t hand = atomic_fetch_add_explicit(&t->hand, 1, memory_order_relaxed);
        *evicted += evict_from(t, hand % t->nsets, now_ns);
    }
    return true;
}

// Where a new entry goes: its question's place, or a free one, or the worst one's.
static unsigned find_place(const struct table *t, const struct table_set *s, const struct entry *e,
                           const struct query *q, uint64_t now_ns)
{
    unsigned place = TABLE_WAYS;
    for (unsigned w = 0; w < TABLE_WAYS; w++) {
        if (s->entries[w] == NULL)
            place = w;
        else if (cache_entry_is_of(s->entries[w], e->hash, q))
            return w;
    }
    return place < TABLE_WAYS ? place : find_worst(t, s, now_ns);
}

bool cache_table_put(struct table *t, struct entry *e, const struct query *q, uint64_t now_ns, unsigned *evicted)
{
    *evicted = 0;
    if (!reserve(t, e->size, now_ns, evicted)) {
        free(e);
        return false;
    }
    uint32_t number = set_number(t, e->hash);
    e->table = t;
    struct table_set *s = lock_set(t, number);
    unsigned w = find_place(t, s, e, q, now_ns);
    struct entry *old = s->entries[w];
    *evicted += old != NULL && !cache_entry_is_of(old, e->hash, q);
    atomic_fetch_add_explicit(&t->entries, 1, memory_order_relaxed);
    RCU_ASSIGN(s->entries[w], e);
    __atomic_store_n(&s->tags[w], (uint16_t)e->hash, __ATOMIC_RELAXED);
    unlock_set(t, number);
    if (old != NULL)
        retire(t, old);
    return true;
}

void cache_table_remove(struct table *t, uint64_t hash, const struct query *q)
{
    if (cache_table_find(t, hash, q) == NULL)
        return;
    struct entry *e = NULL;
    uint32_t number = set_number(t, hash);
    struct table_set *s = lock_set(t, number);
    for (unsigned w = 0; w < TABLE_WAYS && e == NULL; w++)
        if (s->entries[w] != NULL && cache_entry_is_of(s->entries[w], hash, q)) {
            e = s->entries[w];
            RCU_ASSIGN(s->entries[w], NULL);
        }
    unlock_set(t, number);
    if (e != NULL)
        retire(t, e);
}
