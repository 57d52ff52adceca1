// SPDX-License-Identifier: Apache-2.0
#include "kube/table.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// A word's hash is what its pointer points to.
static uint64_t hash(uint64_t word)
{
    return *(const uint64_t *)word_pointer(word);
}

static uint64_t *cell(uint64_t value)
{
    uint64_t *p = aligned_alloc(16, 16);
    *p = value;
    return p;
}

static size_t count(const struct table *t, uint64_t h)
{
    size_t n = 0;
    struct table_cursor c = table_find(t, h);
    for (uint64_t word; (word = table_next(&c)) != TABLE_EMPTY;)
        n += hash(word) == h;
    return n;
}

static bool erase_one(struct table *t, uint64_t h)
{
    struct table_cursor c = table_find(t, h);
    for (uint64_t word; (word = table_next(&c)) != TABLE_EMPTY;) {
        if (hash(word) == h) {
            table_erase(t, &c);
            free(word_pointer(word));
            return true;
        }
    }
    return false;
}

static void free_all(struct table *t)
{
    struct table_cursor c = table_all(t);
    for (uint64_t word; (word = table_next_of_all(&c)) != TABLE_EMPTY;)
        free(word_pointer(word));
    table_free(t);
}

static void insert(struct table *t, uint64_t h)
{
    assert_int_equal(table_reserve(t, 1), 0);
    table_insert(t, h, word_make(cell(h), 0, 0));
}

static void words_keep_what_is_beside_the_pointer(void **state)
{
    (void)state;
    uint64_t *p = cell(1);
    uint64_t word = word_make(p, 0xabcd, 0x1f);
    assert_ptr_equal(word_pointer(word), p);
    assert_int_equal(word_high(word), 0xabcd);
    assert_int_equal(word_low(word), 0xf);
    free(p);
}

static void many_words_of_one_hash(void **state)
{
    (void)state;
    struct table t;
    assert_int_equal(table_init(&t, TABLE_MAP, hash), 0);
    for (int i = 0; i < 100; i++)
        insert(&t, UINT64_MAX); // home is the last slot: they go around the end
    insert(&t, 0);
    assert_int_equal(count(&t, UINT64_MAX), 100);
    assert_int_equal(count(&t, 0), 1);
    for (int i = 0; i < 100; i++)
        assert_true(erase_one(&t, UINT64_MAX));
    assert_false(erase_one(&t, UINT64_MAX));
    assert_int_equal(count(&t, 0), 1);
    assert_int_equal(t.live, 1);
    free_all(&t);
}

static void removed_slots_are_used_again(void **state)
{
    (void)state;
    struct table t;
    assert_int_equal(table_init(&t, TABLE_MAP, hash), 0);
    for (uint64_t i = 0; i < 5; i++)
        insert(&t, i); // one run of slots
    assert_true(erase_one(&t, 1));
    assert_true(erase_one(&t, 2));
    assert_int_equal(t.used, 5); // walks to those behind pass over them
    insert(&t, 7);
    assert_int_equal(t.used, 5);
    assert_true(erase_one(&t, 3) && erase_one(&t, 4)); // the end of the run: it and the removed before it are free
    assert_int_equal(t.live, 2);
    assert_int_equal(t.used, 2);
    free_all(&t);
}

static void a_walk_outlives_growth(void **state)
{
    (void)state;
    struct table t;
    assert_int_equal(table_init(&t, TABLE_MAP, hash), 0);
    for (uint64_t i = 0; i < 10; i++)
        insert(&t, i << 60);
    struct table_cursor before = table_all(&t);
    for (uint64_t i = 0; i < 100000; i++)
        insert(&t, i * UINT64_C(0x9e3779b97f4a7c15));
    size_t n = 0;
    while (table_next_of_all(&before) != TABLE_EMPTY)
        n++;
    assert_true(n >= 10 && n <= 16); // the old array, as it was left
    assert_non_null(t.retired);
    table_reclaim(&t);
    assert_null(t.retired);
    for (uint64_t i = 0; i < 100000; i++)
        assert_true(count(&t, i * UINT64_C(0x9e3779b97f4a7c15)) >= 1);
    size_t bytes = table_bytes(&t);
    assert_true(bytes < 100010 * 8 * 2);
    for (uint64_t i = 0; i < 100000; i++)
        assert_true(erase_one(&t, i * UINT64_C(0x9e3779b97f4a7c15)));
    table_trim(&t);
    table_reclaim(&t);
    assert_true(table_bytes(&t) < 1024);
    assert_int_equal(t.live, 10);
    free_all(&t);
}

// --- many words of one hash in a multi-map

#define WORDS 6000
#define HASHES 3

static uint64_t multi_hash(uint64_t word)
{
    return (uint64_t)word_high(word) % HASHES * 16 + word_low(word); // neighbours: home is the same slot
}

static uint64_t multi_word(unsigned i)
{
    return word_make((void *)(uintptr_t)(((uint64_t)i + 1) << 4), (uint16_t)(i % HASHES), 5);
}

// The words of a hash are there, each once, and few slots are looked at. Returns how many words they are.
static size_t check_multi(const struct table *t, const bool *present, unsigned h)
{
    static bool seen[WORDS];
    size_t n = 0;
    struct table_cursor c = table_find(t, multi_hash(multi_word(h)));
    memset(seen, 0, sizeof seen);
    for (uint64_t word; (word = table_next(&c)) != TABLE_EMPTY;) {
        size_t i = ((uintptr_t)word_pointer(word) >> 4) - 1;
        assert_true(i < WORDS && present[i] && !seen[i]);
        seen[i] = true;
        n++;
    }
    for (unsigned i = h; i < WORDS; i += HASHES)
        assert_int_equal(seen[i], present[i]);
    assert_true(t->array->cap - c.left < 200);
    return n;
}

// The word once replaced by another, and back.
static void replace_word(struct table *t, uint64_t word)
{
    struct table_cursor at;
    uint64_t other = word_make((void *)(uintptr_t)0x7000000000, word_high(word), word_low(word));
    assert_true(table_find_word(t, multi_hash(word), word, &at));
    table_replace(&at, other);
    assert_false(table_find_word(t, multi_hash(word), word, &at));
    assert_true(table_find_word(t, multi_hash(word), other, &at));
    table_replace(&at, word);
}

static void insert_or_erase(struct table *t, uint64_t word, bool *present)
{
    struct table_cursor at;
    uint64_t h = multi_hash(word);
    assert_int_equal(table_find_word(t, h, word, &at), *present);
    if (*present) {
        table_erase(t, &at);
    } else {
        assert_int_equal(table_reserve(t, 1), 0);
        table_insert(t, h, word);
    }
    *present = !*present;
}

static void chains_of_equal_words(void **state)
{
    (void)state;
    static bool present[WORDS];
    struct table t;
    unsigned seed = 7;
    assert_int_equal(table_init(&t, TABLE_MULTI, multi_hash), 0);
    for (unsigned round = 0; round < 40000; round++) {
        seed = seed * 1664525u + 1013904223u;
        unsigned i = (seed >> 8) % WORDS;
        bool growing = round < 20000;
        if (present[i] && seed >> 30 == 0)
            replace_word(&t, multi_word(i));
        else if (present[i] == !growing || seed >> 30 == 1)
            insert_or_erase(&t, multi_word(i), &present[i]);
        if (round % 100 != 0)
            continue;
        size_t n = 0;
        for (unsigned h = 0; h < HASHES; h++)
            n += check_multi(&t, present, h);
        table_trim(&t);
        table_reclaim(&t);
        assert_true(table_bytes(&t) < 16384 + n * 4 * 16);
    }
    for (unsigned i = WORDS; i-- > 0;)
        if (present[i])
            insert_or_erase(&t, multi_word(i), &present[i]);
    table_trim(&t);
    table_reclaim(&t);
    assert_int_equal(t.live + t.chain_bytes, 0);
    assert_true(table_bytes(&t) < 1024);
    table_free(&t);
}

static void chains_are_freed_with_the_table(void **state)
{
    (void)state;
    struct table t;
    assert_int_equal(table_init(&t, TABLE_MULTI, multi_hash), 0);
    for (unsigned i = 0; i < 1000; i++) {
        assert_int_equal(table_reserve(&t, 1), 0);
        table_insert(&t, multi_hash(multi_word(i)), multi_word(i));
    }
    assert_true(t.chain_bytes > 0);
    table_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_keep_what_is_beside_the_pointer),
        cmocka_unit_test(many_words_of_one_hash),
        cmocka_unit_test(removed_slots_are_used_again),
        cmocka_unit_test(a_walk_outlives_growth),
        cmocka_unit_test(chains_of_equal_words),
        cmocka_unit_test(chains_are_freed_with_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
