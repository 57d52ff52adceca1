// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/logring.h"
#include <unistd.h>

static void text_line_reaches_the_descriptor(void **state)
{
    (void)state;
    int fd[2];
    assert_int_equal(pipe(fd), 0);
    assert_int_equal(log_start(fd[1], LOG_FORMAT_TEXT), 0);
    log_plugin(LOG_LEVEL_INFO, "ready", "Still waiting on: \"%s\"", "kubernetes");
    log_stop(UINT64_C(1000000000));
    char line[128] = {0};
    assert_true(read(fd[0], line, sizeof line - 1) > 0);
    assert_string_equal(line, "[INFO] plugin/ready: Still waiting on: \"kubernetes\"\n");
    close(fd[0]);
    close(fd[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_line_reaches_the_descriptor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
