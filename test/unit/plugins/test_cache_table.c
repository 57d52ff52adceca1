// SPDX-License-Identifier: Apache-2.0
// The table: its bounds, who has to go, and readers and writers at the same time.
#include "base/rcu.h"
#include "plugin_test.h"
#include "plugins/cache/cache.h"
#include <clusterdns/clock.h>

#include <malloc.h>
#include <sched.h>

#define CAPACITY 1024
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define NAMES_MANY 200000
#else
#define NAMES_MANY 2000000
#define COUNT_MALLOC
#endif

static struct table table;

static int begin(void **state)
{
    (void)state;
    rcu_thread_start();
    assert_int_equal(rcu_retire_begin(), 0);
    assert_int_equal(cache_table_init(&table, CAPACITY, 0), 0);
    return 0;
}

static int end(void **state)
{
    (void)state;
    rcu_retire_end();
    assert_int_equal(atomic_load(&table.retired), 0);
    cache_table_free(&table);
    rcu_thread_end();
    return 0;
}

// A question with an answer of one TXT record whose `size` bytes are all `value`.
static struct query question(struct arena *a, unsigned number, uint16_t size, uint8_t value)
{
    char name[32];
    snprintf(name, sizeof name, "n%u.example.org", number);
    struct query q = make_query(a, name, RR_TXT);
    uint8_t *rdata = arena_alloc(a, size);
    memset(rdata, value, size);
    assert_int_equal(records_add(&q.reply.answer, a, q.qname_asked, RR_TXT, 60, rdata, size), 0);
    return q;
}

static bool put(struct arena *a, unsigned number, uint16_t size, uint32_t ttl, uint64_t now_ns, unsigned *evicted)
{
    struct query q = question(a, number, size, (uint8_t)number);
    struct entry *e = cache_entry_new(&q, ttl, 0, now_ns);
    assert_non_null(e);
    return cache_table_put(&table, e, &q, now_ns, evicted);
}

static struct entry *find(struct arena *a, unsigned number)
{
    struct query q = question(a, number, 1, 0);
    return cache_table_find(&table, cache_question_hash(&q), &q);
}

// Lets what was retired be freed.
static void settle(void)
{
    rcu_retire_end();
    assert_int_equal(rcu_retire_begin(), 0);
}

static void capacity_is_not_passed(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    unsigned evictions = 0, dropped = 0, some;
    size_t before = mallinfo2().uordblks;
    for (unsigned i = 0; i < NAMES_MANY; i++) {
        dropped += !put(a, i, 40, 60, SECOND, &some);
        evictions += some;
        assert_true(atomic_load(&table.entries) <= CAPACITY);
        arena_reset(a);
        if (i % 4096 == 0) // else more waits to be freed than may: no server gets so many questions
            settle();
    }
    assert_int_equal(dropped, 0);
    assert_int_equal(atomic_load(&table.entries) + evictions + dropped, NAMES_MANY);
    settle();
    // What the counter says is what there is: bytes of malloc's own not counted, so with some slack.
    uint64_t bytes = atomic_load(&table.bytes);
    assert_true(bytes < (uint64_t)CAPACITY * 250);
#ifdef COUNT_MALLOC
    size_t grown = mallinfo2().uordblks - before;
    if (grown > bytes * 11 / 10 + 65536)
        fail_msg("%zu bytes are taken, %llu counted", grown, (unsigned long long)bytes);
#endif
    (void)before;
    arena_free(a);
}

static void bytes_are_bounded_too(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    unsigned some, kept = 0;
    for (unsigned i = 0; i < 12000; i++) {
        kept += put(a, i, 15000, 60, SECOND, &some);
        assert_true(atomic_load(&table.bytes) <= table.bytes_max);
        assert_true(atomic_load(&table.retired) <= TABLE_RETIRED_MAX + 65536);
        arena_reset(a);
        if (i % 128 == 0)
            settle();
    }
    assert_true(kept > 6000);
    assert_false(put(a, 0, 17000, 60, SECOND, &some)); // larger ones are not kept at all
    assert_true(atomic_load(&table.bytes) > table.bytes_max / 2);
    arena_free(a);
}

static void waiting_to_be_freed_is_bounded(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    unsigned some, dropped = 0;
    for (unsigned i = 0; i < 8000 && dropped == 0; i++) { // 120 MB of one name: the thread that frees is slower
        dropped += !put(a, 0, 15000, 60, SECOND, &some);
        assert_true(atomic_load(&table.retired) <= TABLE_RETIRED_MAX + 65536);
        arena_reset(a);
    }
    settle();
    assert_int_equal(atomic_load(&table.retired), 0);
    assert_true(put(a, 0, 15000, 60, SECOND, &some));
    arena_free(a);
}

// The first `n` numbers whose questions all belong into one set.
static void find_numbers(struct arena *a, unsigned *numbers, unsigned n)
{
    for (unsigned i = 0, found = 0; found < n; i++) {
        struct query q = question(a, i, 1, 0);
        if (((cache_question_hash(&q) >> 32) * table.nsets) >> 32 == 0)
            numbers[found++] = i;
    }
}

static void who_was_used_longest_ago_goes_first(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    unsigned numbers[TABLE_WAYS + 2], some;
    const unsigned *more = numbers + TABLE_WAYS;
    find_numbers(a, numbers, TABLE_WAYS + 2);
    for (unsigned i = 0; i < TABLE_WAYS; i++)
        put(a, numbers[i], 10, 60, (1 + i) * SECOND, &some);
    assert_int_equal(atomic_load(&table.entries), TABLE_WAYS);
    find(a, numbers[0])->used = tick_of(30 * SECOND);
    assert_true(put(a, more[0], 10, 60, 31 * SECOND, &some));
    assert_int_equal(some, 1);
    assert_non_null(find(a, numbers[0]));
    assert_null(find(a, numbers[1]));
    // What has run out goes before that.
    find(a, numbers[9])->ttl = 1;
    assert_true(put(a, more[1], 10, 60, 32 * SECOND, &some));
    assert_null(find(a, numbers[9]));
    assert_non_null(find(a, numbers[2]));
    // One's own place is free.
    assert_true(put(a, more[1], 10, 60, 33 * SECOND, &some));
    assert_int_equal(some, 0);
    assert_int_equal(atomic_load(&table.entries), TABLE_WAYS);
    arena_free(a);
}

static void taken_out(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    unsigned some;
    put(a, 1, 10, 60, SECOND, &some);
    struct query q = question(a, 1, 1, 0), other = question(a, 2, 1, 0);
    cache_table_remove(&table, cache_question_hash(&other), &other);
    assert_non_null(find(a, 1));
    cache_table_remove(&table, cache_question_hash(&q), &q);
    assert_null(find(a, 1));
    assert_int_equal(atomic_load(&table.entries), 0);
    assert_int_equal(atomic_load(&table.bytes), 0);
    arena_free(a);
}

// --- readers and writers

#define NAMES 3000 // of a table of 1024: entries come and go
#define READERS 2
#define WRITERS 2

static atomic_bool over;
static atomic_uint hits, wrong;

static unsigned next_number(unsigned *seed)
{
    *seed = *seed * 1103515245 + 12345;
    return (*seed >> 8) % NAMES;
}

static void read_one(struct arena *a, unsigned number)
{
    struct query q = question(a, number, 1, 0);
    q.reply = (struct reply){0};
    rcu_section_begin();
    struct entry *e = cache_table_find(&table, cache_question_hash(&q), &q);
    if (e != NULL && cache_entry_reply(e, 7, &q) == 0) {
        atomic_store_explicit(&e->used, number, memory_order_relaxed);
        sched_yield();
        const struct record *rr = q.reply.answer.rr;
        bool good = q.reply.answer.n == 1 && rr->rdlen > 0 && rr->ttl == 7 && e->qtype == RR_TXT;
        for (unsigned i = 0; good && i < rr->rdlen; i++)
            good = rr->rdata[i] == (uint8_t)number;
        if (!good)
            atomic_fetch_add(&wrong, 1);
        atomic_fetch_add(&hits, 1);
    }
    rcu_section_end();
}

static void *reader(void *seed)
{
    unsigned s = *(unsigned *)seed;
    struct arena *a = arena_new(0);
    rcu_thread_start();
    while (!atomic_load(&over)) {
        read_one(a, next_number(&s));
        arena_reset(a);
    }
    rcu_thread_end();
    arena_free(a);
    return NULL;
}

static void *writer(void *seed)
{
    unsigned s = *(unsigned *)seed, some;
    struct arena *a = arena_new(0);
    rcu_thread_start();
    for (unsigned i = 0; !atomic_load(&over); i++) {
        unsigned number = next_number(&s);
        rcu_section_begin();
        if (i % 8 == 0) {
            struct query q = question(a, number, 1, 0);
            cache_table_remove(&table, cache_question_hash(&q), &q);
        } else {
            put(a, number, (uint16_t)(1 + s % 500), 60, SECOND, &some);
        }
        rcu_section_end();
        arena_reset(a);
    }
    rcu_thread_end();
    arena_free(a);
    return NULL;
}

static void readers_and_writers(void **state)
{
    (void)state;
    pthread_t threads[READERS + WRITERS];
    unsigned seeds[READERS + WRITERS];
    atomic_store(&over, false);
    for (unsigned i = 0; i < READERS + WRITERS; i++) {
        seeds[i] = i + 1;
        assert_int_equal(pthread_create(&threads[i], NULL, i < READERS ? reader : writer, &seeds[i]), 0);
    }
    uint64_t deadline = clock_monotonic_ns() + 60 * SECOND;
    while (atomic_load(&hits) < 20000 && clock_monotonic_ns() < deadline)
        sched_yield();
    atomic_store(&over, true);
    for (unsigned i = 0; i < READERS + WRITERS; i++)
        pthread_join(threads[i], NULL);
    assert_true(atomic_load(&hits) >= 20000);
    assert_int_equal(atomic_load(&wrong), 0);
    assert_true(atomic_load(&table.entries) <= CAPACITY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(capacity_is_not_passed, begin, end),
        cmocka_unit_test_setup_teardown(bytes_are_bounded_too, begin, end),
        cmocka_unit_test_setup_teardown(waiting_to_be_freed_is_bounded, begin, end),
        cmocka_unit_test_setup_teardown(who_was_used_longest_ago_goes_first, begin, end),
        cmocka_unit_test_setup_teardown(taken_out, begin, end),
        cmocka_unit_test_setup_teardown(readers_and_writers, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
