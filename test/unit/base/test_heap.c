// SPDX-License-Identifier: Apache-2.0
#include "base/heap.h"
#include <clusterdns/random.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define NODES 500

// The smallest key by looking at every node that is in.
static const struct heap_node *smallest(const struct heap_node *nodes)
{
    const struct heap_node *best = NULL;
    for (int i = 0; i < NODES; i++)
        if (nodes[i].place != 0 && (best == NULL || nodes[i].key < best->key))
            best = &nodes[i];
    return best;
}

static void test_first_is_always_the_smallest(void **state)
{
    (void)state;
    static struct heap_node nodes[NODES];
    struct heap h = {0};
    for (int step = 0; step < 5000; step++) {
        struct heap_node *n = &nodes[random_below(NODES)];
        if (n->place != 0) {
            heap_remove(&h, n);
        } else {
            n->key = random_below(100);
            assert_int_equal(heap_insert(&h, n), 0);
        }
        const struct heap_node *want = smallest(nodes);
        const struct heap_node *got = heap_first(&h);
        assert_true(want == NULL ? got == NULL : got != NULL && got->key == want->key);
    }
    heap_free(&h);
}

static void test_removing_what_is_not_in_changes_nothing(void **state)
{
    (void)state;
    struct heap h = {0};
    struct heap_node in = {.key = 1}, out = {.key = 0};
    assert_int_equal(heap_insert(&h, &in), 0);
    heap_remove(&h, &out);
    assert_ptr_equal(heap_first(&h), &in);
    heap_remove(&h, &in);
    heap_remove(&h, &in);
    assert_null(heap_first(&h));
    heap_free(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_is_always_the_smallest),
        cmocka_unit_test(test_removing_what_is_not_in_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
