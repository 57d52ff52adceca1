// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <clusterdns/error.h>

#include "base/clock.h"
#include "base/logring.h"
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define LAST CDNS_EAGAIN // the lowest code

static void every_code_has_its_text(void **state)
{
    (void)state;
    assert_string_equal(error_text(0), "success");
    for (int code = 0; code >= LAST; code--) {
        assert_string_not_equal(error_text(code), "unknown error");
        for (int other = code + 1; other <= 0; other++)
            assert_string_not_equal(error_text(code), error_text(other));
    }
    assert_string_equal(error_text(LAST - 1), "unknown error");
    assert_string_equal(error_text(1), "unknown error");
    assert_string_equal(error_text(-2147483647 - 1), "unknown error");
}

static void invariant_says_where_and_aborts(void **state)
{
    (void)state;
    int fd[2];
    assert_int_equal(pipe(fd), 0);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        dup2(fd[1], STDERR_FILENO);
        INVARIANT(1 + 1 == 3);
        _exit(0);
    }
    close(fd[1]);
    char text[512] = {0};
    size_t n = 0;
    for (ssize_t got; n < sizeof text - 1 && (got = read(fd[0], text + n, sizeof text - 1 - n)) > 0;)
        n += (size_t)got;
    close(fd[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_non_null(strstr(text, "test_error.c:"));
    assert_non_null(strstr(text, "invariant failed: 1 + 1 == 3"));
}

static void invariant_that_holds_is_quiet(void **state)
{
    (void)state;
    INVARIANT(1 + 1 == 2);
}

// Lines that `times` failing expectations log.
static int lines_of(int times)
{
    int fd[2], lines = 0;
    assert_int_equal(pipe(fd), 0);
    assert_int_equal(log_start(fd[1], LOG_FORMAT_TEXT), 0);
    for (int i = 0; i < times; i++)
        if (EXPECT(times < 0))
            fail();
    log_stop(UINT64_C(5000000000));
    close(fd[1]);
    char text[4096];
    for (ssize_t n; (n = read(fd[0], text, sizeof text)) > 0;)
        for (ssize_t i = 0; i < n; i++)
            lines += text[i] == '\n';
    close(fd[0]);
    return lines;
}

static void expectation_is_logged_at_most_ten_times_a_second(void **state)
{
    (void)state;
    if (!EXPECT(1 == 1))
        fail();
    clock_set_for_test(UINT64_C(100) * 1000000000, 1);
    assert_int_equal(lines_of(3), 3);
    assert_int_equal(lines_of(1000), 7);
    clock_set_for_test(UINT64_C(101) * 1000000000, 1);
    assert_int_equal(lines_of(1), 1);
    clock_set_for_test(0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_its_text),
        cmocka_unit_test(invariant_says_where_and_aborts),
        cmocka_unit_test(invariant_that_holds_is_quiet),
        cmocka_unit_test(expectation_is_logged_at_most_ten_times_a_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
