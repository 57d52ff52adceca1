// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rcu.h"
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#define WRITERS 3
#define EACH 20000

struct thing {
    struct rcu_retired retired; // first
    unsigned number;
};

static atomic_uint freed;
static unsigned order[4];

static void on_free(struct rcu_retired *retired)
{
    struct thing *t = (struct thing *)retired;
    unsigned n = atomic_fetch_add(&freed, 1);
    if (n < 4)
        order[n] = t->number;
    free(t);
}

static void retire(unsigned number)
{
    struct thing *t = malloc(sizeof *t);
    assert_non_null(t);
    t->number = number;
    rcu_retire(&t->retired, on_free);
}

static void all_is_freed_in_order(void **state)
{
    (void)state;
    atomic_store(&freed, 0);
    assert_int_equal(rcu_retire_begin(), 0);
    for (unsigned i = 0; i < 4; i++)
        retire(i);
    rcu_retire_end();
    assert_int_equal(atomic_load(&freed), 4);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(order[i], i);
}

static void not_while_a_section_is_open(void **state)
{
    (void)state;
    atomic_store(&freed, 0);
    rcu_thread_start();
    assert_int_equal(rcu_retire_begin(), 0);
    rcu_section_begin();
    struct thing *t = malloc(sizeof *t);
    assert_non_null(t);
    rcu_retire(&t->retired, on_free);
    for (unsigned i = 0; i < 20000; i++) { // gives a wrong thread the time to free it; ASan would see it
        sched_yield();
        t->number = i;
    }
    assert_int_equal(atomic_load(&freed), 0);
    rcu_section_end();
    rcu_retire_end();
    assert_int_equal(atomic_load(&freed), 1);
    rcu_thread_end();
}

static void *writer(void *unused)
{
    (void)unused;
    for (unsigned i = 0; i < EACH; i++)
        retire(i);
    return NULL;
}

static void many_threads_and_users(void **state)
{
    (void)state;
    pthread_t threads[WRITERS];
    atomic_store(&freed, 0);
    assert_int_equal(rcu_retire_begin(), 0);
    assert_int_equal(rcu_retire_begin(), 0);
    for (unsigned i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, writer, NULL), 0);
    for (unsigned i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    rcu_retire_end();
    assert_int_equal(atomic_load(&freed), WRITERS * EACH);
    retire(0); // there is still a user
    rcu_retire_end();
    assert_int_equal(atomic_load(&freed), WRITERS * EACH + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_is_freed_in_order),
        cmocka_unit_test(not_while_a_section_is_open),
        cmocka_unit_test(many_threads_and_users),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
