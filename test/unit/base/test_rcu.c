// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rcu.h"
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>

#define READERS 3
#define UPDATES 300 // at least
#define READS 1000  // at least, by all readers

struct pair {
    unsigned a, b; // always equal
};

static struct pair *shared;
static bool done;
static unsigned reads;

// Reads in nested sections until told to stop; a pair that was freed or half written differs (and the sanitizers see
// it).
static void *reader(void *broken)
{
    rcu_thread_start();
    while (!__atomic_load_n(&done, __ATOMIC_ACQUIRE)) {
        rcu_section_begin();
        const struct pair *p = RCU_READ(shared);
        rcu_section_begin();
        unsigned a = p->a;
        rcu_section_end();
        if (a != p->b)
            __atomic_store_n((bool *)broken, true, __ATOMIC_RELAXED);
        rcu_section_end();
        __atomic_fetch_add(&reads, 1, __ATOMIC_RELAXED);
    }
    rcu_thread_end();
    return NULL;
}

static struct pair *make(unsigned value)
{
    struct pair *p = malloc(sizeof *p);
    assert_non_null(p);
    *p = (struct pair){value, value};
    return p;
}

static void readers_see_whole_objects_until_they_end_their_section(void **state)
{
    (void)state;
    bool broken = false;
    pthread_t threads[READERS];
    shared = make(0);
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, reader, &broken), 0);
    rcu_thread_start(); // a registered thread may wait, too
    // Until the readers have been seen reading; the bound is for readers that never get anywhere.
    for (unsigned i = 1; i <= UPDATES || (__atomic_load_n(&reads, __ATOMIC_RELAXED) < READS && i < 10000000); i++) {
        struct pair *old = shared;
        RCU_ASSIGN(shared, make(i));
        rcu_wait();
        old->a = ~0U; // a reader that still had it would see the difference
        free(old);
    }
    rcu_thread_end();
    __atomic_store_n(&done, true, __ATOMIC_RELEASE);
    for (int i = 0; i < READERS; i++)
        pthread_join(threads[i], NULL);
    assert_false(broken);
    assert_true(reads >= READS);
    free(shared);
}

static int stage; // 0: the writer may not pass; 1: section open; 2: about to close; 3: waited

static void *waiter(void *unused)
{
    (void)unused;
    while (__atomic_load_n(&stage, __ATOMIC_ACQUIRE) < 1)
        sched_yield();
    rcu_wait();
    // Passed only after the section was closed, so after the stage was set to 2.
    int seen = __atomic_exchange_n(&stage, 3, __ATOMIC_ACQ_REL);
    return seen == 2 ? NULL : &stage;
}

static void wait_lasts_until_an_open_section_ends(void **state)
{
    (void)state;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, waiter, NULL), 0);
    rcu_thread_start();
    rcu_section_begin();
    rcu_section_begin();
    __atomic_store_n(&stage, 1, __ATOMIC_RELEASE);
    rcu_section_end(); // the outer one is still open
    for (int i = 0; i < 1000; i++)
        sched_yield(); // gives a wrong writer the time to pass
    assert_int_equal(__atomic_exchange_n(&stage, 2, __ATOMIC_ACQ_REL), 1);
    rcu_section_end();
    void *wrong;
    pthread_join(thread, &wrong);
    rcu_thread_end();
    assert_null(wrong);
    assert_int_equal(stage, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readers_see_whole_objects_until_they_end_their_section),
        cmocka_unit_test(wait_lasts_until_an_open_section_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
