// SPDX-License-Identifier: Apache-2.0
#include "corefile/corefile.h"
#include "corefile/files.h"
#include "corefile/scratch.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
// cmocka wants the headers above.
#include <cmocka.h>

static char directory[] = "/tmp/clusterdns-files-XXXXXX";
static struct arena *arena;

static void make_file(const char *name, const char *text)
{
    FILE *file = fopen(name, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int set_up(void **state)
{
    (void)state;
    arena = arena_new(0);
    return mkdtemp(directory) != NULL && chdir(directory) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    arena_free(arena);
    return chdir("/") == 0 && scratch_empty(directory) == 0 ? rmdir(directory) : -1;
}

static void test_paths_are_resolved(void **state)
{
    (void)state;
    static const struct {
        const char *from, *path, *expected;
    } cases[] = {
        {"/etc/coredns/Corefile", "custom/*", "/etc/coredns/custom/*"},
        {"/etc/coredns/Corefile", "../x", "/etc/x"},
        {"/etc/coredns/Corefile", "./a/.//b/../c/.", "/etc/coredns/a/c"},
        {"/etc/coredns/Corefile", "../../../..", "/"},
        {"/etc/coredns/Corefile", "...", "/etc/coredns/..."},
        {"/etc/coredns/Corefile", "/abs//path/", "/abs/path"},
        {"/Corefile", "x", "/x"},
        {"/Corefile", ".", "/"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_string_equal(files_resolve(arena, cases[i].from, cases[i].path), cases[i].expected);
}

static void test_relative_paths_start_in_the_working_directory(void **state)
{
    (void)state;
    char here[4096], expected[4200];
    assert_non_null(getcwd(here, sizeof here));
    snprintf(expected, sizeof expected, "%s/conf/x", here);
    assert_string_equal(files_resolve(arena, "conf/Corefile", "x"), expected);
    assert_string_equal(files_resolve(arena, NULL, "conf/x"), expected);
}

// Does `pattern` match just the paths below the directory of the test that `expected` names, separated by spaces?
static void expect_match(const char *pattern, const char *expected)
{
    struct list paths = {0};
    assert_int_equal(files_match(arena, files_resolve(arena, NULL, pattern), &paths), 0);
    char *names = NULL;
    size_t len;
    FILE *out = open_memstream(&names, &len);
    size_t skip = strlen(files_resolve(arena, NULL, ".")) + 1;
    for (size_t i = 0; i < paths.n; i++)
        fprintf(out, "%s%s", i > 0 ? " " : "", ((const char **)paths.items)[i] + skip);
    fclose(out);
    assert_string_equal(names, expected);
    free(names);
}

static void expect_syntax_error(const char *pattern)
{
    struct list paths = {0};
    assert_int_equal(files_match(arena, files_resolve(arena, NULL, pattern), &paths), CDNS_ESYNTAX);
}

static void test_patterns(void **state)
{
    (void)state;
    assert_int_equal(mkdir("d1", 0700) | mkdir("d2", 0700), 0);
    make_file("d1/b", "");
    make_file("d1/a", "");
    make_file("d2/a", "");
    make_file("d2/.a", "");
    make_file("star*", "");
    assert_int_equal(symlink("nowhere", "dangling"), 0);
    expect_match("d1/*", "d1/a d1/b");
    expect_match("d2/*", "d2/.a d2/a");
    expect_match("*/a", "d1/a d2/a");
    expect_match("d?", "d1 d2");
    expect_match("d*", "d1 d2 dangling");
    expect_match("star\\*", "star*");
    expect_match("d1", "d1");
    expect_match("dangling", "dangling");
    expect_match("none", "");
    expect_match("none/*", "");
    expect_match("d1/a/*", "");
    expect_syntax_error("x[");
    expect_syntax_error("x\\");
    expect_match("\\[", "");
    struct list paths = {0};
    assert_int_equal(files_match(arena, "/et?", &paths), 0);
    assert_int_equal(paths.n, 1);
    assert_string_equal(((const char **)paths.items)[0], "/etc");
}

static void test_a_pattern_matches_a_bounded_number(void **state)
{
    (void)state;
    assert_int_equal(mkdir("many", 0700), 0);
    char name[32];
    for (int i = 0; i <= COREFILE_MAX_MATCHES; i++) {
        snprintf(name, sizeof name, "many/%d", i);
        make_file(name, "");
    }
    struct list paths = {0};
    assert_int_equal(files_match(arena, files_resolve(arena, NULL, "many/*"), &paths), CDNS_ELIMIT);
}

static void test_reasons(void **state)
{
    (void)state;
    assert_string_equal(files_reason(ENOENT), "no such file or directory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths_are_resolved),
        cmocka_unit_test(test_relative_paths_start_in_the_working_directory),
        cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_a_pattern_matches_a_bounded_number),
        cmocka_unit_test(test_reasons),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
