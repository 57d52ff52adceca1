// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <clusterdns/arena.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define FIRST (16 << 10) // bytes of the chunk that is kept

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1 // as gcc says it
#endif
#endif

static void allocations_are_aligned_and_apart(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    uint8_t *before = NULL;
    for (size_t size = 1; size <= 100; size++) {
        uint8_t *p = arena_alloc(a, size);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 8, 0);
        memset(p, (int)size, size);
        if (before != NULL)
            for (size_t i = 0; i < size - 1; i++)
                assert_int_equal(before[i], size - 1);
        before = p;
    }
    arena_free(a);
}

static void size_0_gives_a_pointer(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    assert_non_null(arena_alloc(a, 0));
    assert_int_equal(arena_used(a), 0);
    arena_free(a);
}

static void limit_is_reached_exactly(void **state)
{
    (void)state;
    struct arena *a = arena_new(1000);
    assert_non_null(arena_alloc(a, 992));
    assert_null(arena_alloc(a, 9));
    assert_non_null(arena_alloc(a, 8));
    assert_int_equal(arena_used(a), 1000);
    assert_null(arena_alloc(a, 1));
    arena_reset(a);
    assert_int_equal(arena_used(a), 0);
    assert_non_null(arena_alloc(a, 1000));
    arena_free(a);
}

static void limit_holds_beyond_the_first_block(void **state)
{
    (void)state;
    struct arena *a = arena_new(3 * FIRST);
    assert_non_null(arena_alloc(a, FIRST));
    assert_non_null(arena_alloc(a, FIRST));
    assert_null(arena_alloc(a, FIRST + 1));
    assert_non_null(arena_alloc(a, FIRST));
    arena_free(a);
}

static void large_allocations_have_chunks_of_their_own(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    for (int i = 0; i < 8; i++) {
        uint8_t *p = arena_alloc(a, 3 << 20);
        assert_non_null(p);
        p[0] = p[(3 << 20) - 1] = 1;
        assert_non_null(arena_alloc(a, 100));
    }
    arena_free(a);
}

static void reset_gives_the_first_block_again(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    void *first = arena_alloc(a, 10);
    for (int i = 0; i < 100; i++)
        assert_non_null(arena_alloc(a, 1000));
    arena_reset(a);
    assert_ptr_equal(arena_alloc(a, 10), first);
    arena_free(a);
}

static void what_is_held(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    size_t small = arena_held(a);
    assert_true(small <= 1024);
    assert_non_null(arena_alloc(a, 100));
    assert_int_equal(arena_held(a), small);
    for (int i = 0; i < 100; i++)
        assert_non_null(arena_alloc(a, 2000));
    assert_true(arena_held(a) >= 200000);
    // One chunk stays, so that using as much again takes nothing from the heap; it is used again.
    arena_reset(a);
    size_t kept = arena_held(a);
    assert_true(kept > small && kept <= small + FIRST + 64);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 7; i++)
            memset(arena_alloc(a, 2000), 0xff, 2000);
        assert_int_equal(arena_held(a), kept);
        arena_reset(a);
    }
    arena_free(a);
}

static void absurd_sizes_are_refused(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    assert_null(arena_alloc(a, SIZE_MAX));
    assert_null(arena_alloc(a, SIZE_MAX / 2 + 1));
    assert_null(arena_calloc(a, SIZE_MAX / 8, 16));
    assert_int_equal(arena_used(a), 0);
    arena_free(a);
}

static void copies(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    uint8_t *zeros = arena_alloc(a, 64);
    memset(zeros, 0xff, 64);
    arena_reset(a);
    zeros = arena_calloc(a, 8, 8);
    for (int i = 0; i < 64; i++)
        assert_int_equal(zeros[i], 0);
    assert_memory_equal(arena_memdup(a, "abc", 3), "abc", 3);
    assert_string_equal(arena_strndup(a, "abcdef", 3), "abc");
    assert_string_equal(arena_strndup(a, "ab", 3), "ab");
    assert_string_equal(arena_printf(a, "%s-%d", "slice", 7), "slice-7");
    char *text = arena_printf(a, "%0*d", 5000, 1);
    assert_int_equal(strlen(text), 5000);
    arena_free(a);
}

static void full_arena_makes_no_text(void **state)
{
    (void)state;
    struct arena *a = arena_new(8);
    assert_null(arena_printf(a, "%s", "12345678"));
    assert_non_null(arena_printf(a, "%s", "1234567"));
    assert_null(arena_strndup(a, "", 0));
    assert_null(arena_memdup(a, "x", 1));
    assert_null(arena_calloc(a, 1, 1));
    arena_free(a);
}

static void freeing_nothing_is_allowed(void **state)
{
    (void)state;
    arena_free(NULL);
}

// Runs `misuse` in a child; true if AddressSanitizer ended it. Without it there is nothing to catch.
static void expect_report(void (*misuse)(struct arena *a))
{
#ifdef __SANITIZE_ADDRESS__
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (freopen("/dev/null", "w", stderr) == NULL)
            _exit(0);
        misuse(arena_new(0));
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) != 0);
#else
    (void)misuse;
    print_message("skipped: only AddressSanitizer builds see misuse\n");
#endif
}

static void read_after_reset(struct arena *a)
{
    volatile char *p = arena_alloc(a, 16);
    p[0] = 1;
    arena_reset(a);
    (void)p[0];
}

static void write_past_the_end(struct arena *a)
{
    volatile char *p = arena_alloc(a, 13);
    p[13] = 1;
}

static void use_after_reset_is_caught(void **state)
{
    (void)state;
    expect_report(read_after_reset);
}

static void overflow_between_allocations_is_caught(void **state)
{
    (void)state;
    expect_report(write_past_the_end);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allocations_are_aligned_and_apart),
        cmocka_unit_test(size_0_gives_a_pointer),
        cmocka_unit_test(limit_is_reached_exactly),
        cmocka_unit_test(limit_holds_beyond_the_first_block),
        cmocka_unit_test(large_allocations_have_chunks_of_their_own),
        cmocka_unit_test(reset_gives_the_first_block_again),
        cmocka_unit_test(what_is_held),
        cmocka_unit_test(absurd_sizes_are_refused),
        cmocka_unit_test(copies),
        cmocka_unit_test(full_arena_makes_no_text),
        cmocka_unit_test(freeing_nothing_is_allowed),
        cmocka_unit_test(use_after_reset_is_caught),
        cmocka_unit_test(overflow_between_allocations_is_caught),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
