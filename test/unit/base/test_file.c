// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <clusterdns/file.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char directory[] = "/tmp/clusterdns-file-XXXXXX";

static void make_file(const char *name, const char *text, size_t size)
{
    FILE *file = fopen(name, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, size, file), size);
    fclose(file);
}

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(directory) != NULL && chdir(directory) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    static const char *const names[] = {"text", "other", "link", "pipe", "large"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        (void)unlink(names[i]);
    return chdir("/") == 0 ? rmdir(directory) : -1;
}

static void whole_files(void **state)
{
    (void)state;
    struct stat seen, now;
    size_t len;
    char *text;
    make_file("text",
              "12\0"
              "45",
              5);
    assert_int_equal(file_read("text", true, 5, &text, &len, &seen), 0);
    assert_int_equal(len, 5);
    assert_memory_equal(text,
                        "12\0"
                        "45",
                        6); // with a NUL behind it
    free(text);
    assert_int_equal(stat("text", &now), 0);
    assert_true(file_same(&seen, &now));
    make_file("text", "", 0);
    assert_int_equal(file_read("text", true, 5, &text, &len, NULL), 0);
    assert_int_equal(len, 0);
    assert_string_equal(text, "");
    free(text);
}

// What lies about its size is read to its end.
static void larger_than_it_says(void **state)
{
    (void)state;
    size_t len;
    char *text;
    assert_int_equal(file_read("/proc/self/smaps", true, 100 << 20, &text, &len, NULL), 0);
    assert_true(len > 4096);
    assert_int_equal(text[len - 1], '\n');
    free(text);
}

static void not_read(const char *path, bool regular, size_t max, int number)
{
    size_t len;
    char *text;
    assert_int_equal(file_read(path, regular, max, &text, &len, NULL), CDNS_EIO);
    assert_int_equal(errno, number);
}

static void what_is_not_read(void **state)
{
    (void)state;
    static char zeros[9000];
    make_file("text", "12345", 5);
    make_file("large", zeros, sizeof zeros);
    assert_int_equal(mkfifo("pipe", 0600), 0);
    not_read("text", true, 4, EFBIG);
    not_read("large", true, sizeof zeros - 1, EFBIG);
    not_read("none", true, 4, ENOENT);
    not_read(".", false, 4, EISDIR);
    not_read("pipe", true, 4, ENOTSUP);
    not_read("/dev/zero", false, 100000, EFBIG);
}

static void another_file(void **state)
{
    (void)state;
    struct stat before, after = {0};
    make_file("text", "12345", 5);
    make_file("other", "12345", 5);
    assert_int_equal(symlink("text", "link"), 0);
    assert_int_equal(stat("link", &before), 0);
    assert_false(file_same(&before, &after));
    assert_int_equal(unlink("link"), 0);
    assert_int_equal(symlink("other", "link"), 0);
    assert_int_equal(stat("link", &after), 0);
    assert_false(file_same(&before, &after));
}

// The same file, but not what is in it, at a time that says nothing.
static void changed_in_place(void **state)
{
    (void)state;
    struct stat before, after;
    const struct timespec at[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
    make_file("text", "12345", 5);
    assert_int_equal(utimensat(AT_FDCWD, "text", at, 0), 0);
    assert_int_equal(stat("text", &before), 0);
    after = before;
    assert_true(file_same(&before, &after));
    after.st_mtim.tv_nsec++;
    assert_false(file_same(&before, &after));
    do { // until the clock of the file system has gone on
        make_file("text", "54321", 5);
        assert_int_equal(utimensat(AT_FDCWD, "text", at, 0), 0);
        assert_int_equal(stat("text", &after), 0);
    } while (after.st_ctim.tv_sec == before.st_ctim.tv_sec && after.st_ctim.tv_nsec == before.st_ctim.tv_nsec);
    assert_false(file_same(&before, &after));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_files),  cmocka_unit_test(larger_than_it_says), cmocka_unit_test(what_is_not_read),
        cmocka_unit_test(another_file), cmocka_unit_test(changed_in_place),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
