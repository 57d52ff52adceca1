// SPDX-License-Identifier: Apache-2.0
#include "kube/table.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

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
    assert_int_equal(table_init(&t, hash), 0);
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
    assert_int_equal(table_init(&t, hash), 0);
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
    assert_int_equal(table_init(&t, hash), 0);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_keep_what_is_beside_the_pointer),
        cmocka_unit_test(many_words_of_one_hash),
        cmocka_unit_test(removed_slots_are_used_again),
        cmocka_unit_test(a_walk_outlives_growth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
