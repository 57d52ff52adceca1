// SPDX-License-Identifier: Apache-2.0
// \file
// Bounds, and reading from files; the grammar is in test_corpus.c.
#include "corefile/build.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
// cmocka wants the headers above.
#include <cmocka.h>

static char error[CONFIG_ERROR_MAX];

static void ignore(const char *text)
{
    (void)text;
}

static const struct stream_options no_files = {.no_files = true, .warn = ignore};

static int parse(const char *text)
{
    struct arena *a = arena_new(0);
    struct corefile c;
    error[0] = '\0';
    int result = corefile_build(a, "Corefile", text, strlen(text), NULL, NULL, &no_files, &c, error);
    arena_free(a);
    return result;
}

// `head`, then `n` times `part`, then `tail`; from malloc().
static char *repeat(const char *head, const char *part, size_t n, const char *tail)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    fputs(head, out);
    for (size_t i = 0; i < n; i++)
        fputs(part, out);
    fputs(tail, out);
    fclose(out);
    return text;
}

static void expect_error(char *text, const char *expected)
{
    assert_int_equal(parse(text), CDNS_ECONFIG);
    assert_string_equal(error, expected);
    free(text);
}

static void test_tokens_are_bounded(void **state)
{
    (void)state;
    expect_error(repeat(". {\nlog ", "a ", COREFILE_MAX_TOKENS - 2, "\n}\n"),
                 "Corefile:2 - Error during parsing: more than 1000000 tokens, imports included");
}

static void test_imports_are_bounded(void **state)
{
    (void)state;
    // Each snippet imports the one before it eight times: 327,680 words in 37,449 imports.
    expect_error(strdup("(a) {\nb b b b b b b b b b\n}\n"
                        "(b) {\nimport a\nimport a\nimport a\nimport a\nimport a\nimport a\nimport a\nimport a\n}\n"
                        "(c) {\nimport b\nimport b\nimport b\nimport b\nimport b\nimport b\nimport b\nimport b\n}\n"
                        "(d) {\nimport c\nimport c\nimport c\nimport c\nimport c\nimport c\nimport c\nimport c\n}\n"
                        "(e) {\nimport d\nimport d\nimport d\nimport d\nimport d\nimport d\nimport d\nimport d\n}\n"
                        "(f) {\nimport e\nimport e\nimport e\nimport e\nimport e\nimport e\nimport e\nimport e\n}\n"
                        ". {\nimport f\n}\n"),
                 "Corefile:8 - Error during parsing: more than 10000 imports");
    char *deep = NULL;
    size_t len;
    FILE *out = open_memstream(&deep, &len);
    fputs("(s0) {\n}\n", out);
    for (int i = 1; i <= COREFILE_MAX_DEPTH; i++)
        fprintf(out, "(s%d) {\nimport s%d\n}\n", i, i - 1);
    fprintf(out, ". {\nimport s%d\n}\n", COREFILE_MAX_DEPTH);
    fclose(out);
    expect_error(deep, "Corefile:4 - Error during parsing: maximum snippet import depth (100) exceeded");
    expect_error(repeat("(s) {\nlog ", "a ", 200000, "\n}\n. {\nimport s\nimport s\nimport s\nimport s\nimport s\n}\n"),
                 "Corefile:8 - Error during parsing: more than 1000000 tokens, imports included");
}

static void test_cycles_are_found_while_snippets_are_declared(void **state)
{
    (void)state;
    expect_error(
        strdup("(a) {\n(1) {\n}\n(2) {\n}\n(3) {\n}\n(4) {\n}\nimport b\n}\n"
               "(b) {\nimport a\n}\n"
               "import a\n"),
        "Corefile:13 - Error during parsing: maximum snippet import depth (10000) exceeded: 'a' imports itself");
}

static void test_nesting_is_bounded(void **state)
{
    (void)state;
    expect_error(repeat(". {\n", "a {\n", COREFILE_MAX_NESTING + 1, ""),
                 "Corefile:34 - Error during parsing: blocks are nested more than 32 deep");
}

static void test_zones_are_bounded(void **state)
{
    (void)state;
    expect_error(repeat("", "10.0.0.0/9 ", COREFILE_MAX_KEYS / 128 + 1, "{\n}\n"),
                 "Corefile:1 - Error during parsing: more than 65536 zones");
}

static void test_snippets_are_bounded(void **state)
{
    (void)state;
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    for (int i = 0; i <= 10000; i++)
        fprintf(out, "(%d) {\n}\n", i);
    fclose(out);
    expect_error(text, "Corefile:20001 - Error during parsing: more than 10000 snippets");
}

static void test_words_from_the_environment_are_bounded(void **state)
{
    (void)state;
    setenv("CLUSTERDNS_TEST", "{$CLUSTERDNS_TEST}{$CLUSTERDNS_TEST}", 1);
    assert_int_equal(parse(". {\nlog {$CLUSTERDNS_TEST}\n}\n"), CDNS_ECONFIG);
    assert_string_equal(error, "Corefile:2 - Error during parsing: "
                               "environment references grow beyond 65536 bytes or never end");
    unsetenv("CLUSTERDNS_TEST");
}

static void test_memory_is_bounded(void **state)
{
    (void)state;
    char *text = repeat(". {\nlog ", "word ", 10000, "\n}\n");
    struct corefile c;
    // Every limit leads to the same error or to success, none to anything else.
    for (size_t limit = 64; limit < 2000000; limit = limit * 3 / 2) {
        struct arena *a = arena_new(limit);
        int result = corefile_build(a, "Corefile", text, strlen(text), NULL, NULL, &no_files, &c, error);
        if (result != 0)
            assert_string_equal(error, "the configuration needs more memory than there is");
        else
            assert_int_equal(c.blocks[0].directives[0].ntokens, 10001);
        arena_free(a);
    }
    free(text);
}

static void test_memory_of_every_construct_is_bounded(void **state)
{
    (void)state;
    static const char text[] = "(s) {\n a {$X} {\n b\n}\n}\nx tls://10.0.0.0/23:5 {\nimport s\n}\n";
    struct corefile c;
    size_t failures = 0;
    for (size_t limit = 8;; limit += 8) {
        struct arena *a = arena_new(limit);
        int result = corefile_build(a, "Corefile", text, sizeof text - 1, NULL, NULL, &no_files, &c, error);
        if (result != 0)
            assert_string_equal(error, "the configuration needs more memory than there is");
        arena_free(a);
        if (result == 0)
            break;
        failures++;
    }
    assert_true(failures > 50);
}

static void test_no_files_are_read_when_told_so(void **state)
{
    (void)state;
    assert_int_equal(parse("import /etc/hostname\n"), CDNS_ECONFIG);
    assert_string_equal(error, "Corefile:1 - Error during parsing: File to import not found: /etc/hostname");
    assert_int_equal(parse("import /etc/*\n"), 0);
}

static void test_files(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct corefile c;
    assert_int_equal(corefile_parse_file(a, "/none/Corefile", NULL, NULL, &c, error), CDNS_ECONFIG);
    assert_string_equal(error, "open /none/Corefile: no such file or directory");
    assert_int_equal(corefile_parse_file(a, "/etc", NULL, NULL, &c, error), CDNS_ECONFIG);
    assert_string_equal(error, "read /etc: is a directory");
    assert_int_equal(corefile_parse_file(a, "/dev/zero", NULL, NULL, &c, error), CDNS_ECONFIG);
    assert_string_equal(error, "open /dev/zero: file too large");
    char path[] = "/tmp/clusterdns-corefile-XXXXXX";
    int fd = mkstemp(path);
    assert_int_equal(write(fd, ". {\nlog {\n", 10), 10);
    close(fd);
    char expected[256];
    snprintf(expected, sizeof expected, "%s:2 - Error during parsing: Unexpected EOF", path);
    assert_int_equal(corefile_parse_file(a, path, NULL, NULL, &c, error), CDNS_ECONFIG);
    assert_string_equal(error, expected);
    unlink(path);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokens_are_bounded),
        cmocka_unit_test(test_imports_are_bounded),
        cmocka_unit_test(test_cycles_are_found_while_snippets_are_declared),
        cmocka_unit_test(test_nesting_is_bounded),
        cmocka_unit_test(test_zones_are_bounded),
        cmocka_unit_test(test_snippets_are_bounded),
        cmocka_unit_test(test_words_from_the_environment_are_bounded),
        cmocka_unit_test(test_memory_is_bounded),
        cmocka_unit_test(test_memory_of_every_construct_is_bounded),
        cmocka_unit_test(test_no_files_are_read_when_told_so),
        cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
