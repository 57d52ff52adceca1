// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/logring.h"
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SECOND UINT64_C(1000000000)
#define LINE 1000 // bytes of a test line with its newline

static uint64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

// What was read; `text` is the caller's to free.
struct lines {
    char *text;
    size_t size;
    unsigned count;
};

// Reads from `fd` until there are `want` lines or its other end is closed.
static void read_lines(struct lines *l, int fd, unsigned want)
{
    while (l->count < want) {
        l->text = realloc(l->text, l->size + 65537);
        assert_non_null(l->text);
        ssize_t n = read(fd, l->text + l->size, 65536);
        if (n <= 0)
            break;
        for (ssize_t i = 0; i < n; i++)
            l->count += l->text[l->size + (size_t)i] == '\n';
        l->size += (size_t)n;
        l->text[l->size] = '\0';
    }
}

// Logs line number `i` of LINE bytes.
static void log_numbered(unsigned i)
{
    char line[LINE];
    int n = snprintf(line, sizeof line, "%08u ", i);
    memset(line + n, 'x', sizeof line - (size_t)n);
    log_raw(line, LINE - 1);
}

static void lines_go_straight_out_before_start_and_after_stop(void **state)
{
    (void)state;
    int fd[2];
    assert_int_equal(pipe(fd), 0);
    int saved = dup(STDOUT_FILENO);
    fflush(stdout);
    dup2(fd[1], STDOUT_FILENO);
    log_raw("before", 6);
    char text[64] = {0};
    ssize_t n = read(fd[0], text, sizeof text - 1);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    assert_int_equal(n, 7);
    assert_string_equal(text, "before\n");

    assert_int_equal(log_start(fd[1], LOG_FORMAT_TEXT), 0);
    assert_int_equal(log_start(fd[1], LOG_FORMAT_TEXT), CDNS_EEXIST);
    log_raw("during", 6);
    log_stop(5 * SECOND);
    log_stop(5 * SECOND); // once more does nothing
    log_raw("after", 5);
    memset(text, 0, sizeof text);
    assert_int_equal(read(fd[0], text, sizeof text - 1), 13);
    assert_string_equal(text, "during\nafter\n");
    close(fd[0]);
    close(fd[1]);
}

// Three times the ring into a pipe that nobody reads: the producer gets through, the first lines are kept, the notice
// stands where the others are missing, and what comes when there is room follows it.
static void blocked_output_drops_lines_and_says_so(void **state)
{
    (void)state;
    int fd[2];
    assert_int_equal(pipe(fd), 0);
    assert_int_equal(log_start(fd[1], LOG_FORMAT_TEXT), 0);
    uint64_t before = log_dropped(), begun = now();
    for (unsigned i = 0; i < 3000; i++)
        log_numbered(i);
    assert_true(now() - begun < 5 * SECOND);
    uint64_t dropped = log_dropped() - before;
    assert_in_range(dropped, 1000, 2500);

    unsigned kept = 3000 - (unsigned)dropped;
    struct lines l = {0};
    read_lines(&l, fd[0], kept + 1);
    log_numbered(3000);
    read_lines(&l, fd[0], kept + 2);
    log_stop(5 * SECOND);
    close(fd[1]);
    read_lines(&l, fd[0], kept + 3);
    assert_int_equal(l.count, kept + 2);

    for (unsigned i = 0; i < kept; i++)
        assert_int_equal(strtoul(l.text + (size_t)i * LINE, NULL, 10), i);
    char notice[128];
    snprintf(notice, sizeof notice, "[WARNING] %u log lines were dropped: the output was blocked\n00003000 ",
             (unsigned)dropped);
    assert_memory_equal(l.text + (size_t)kept * LINE, notice, strlen(notice));
    close(fd[0]);
    free(l.text);
}

static void stop_gives_a_blocked_output_up(void **state)
{
    (void)state;
    int fd[2];
    assert_int_equal(pipe(fd), 0);
    assert_int_equal(log_start(fd[1], LOG_FORMAT_TEXT), 0);
    for (unsigned i = 0; i < 200; i++)
        log_numbered(i); // a pipe holds 64 KiB
    uint64_t before = log_dropped(), begun = now();
    log_stop(SECOND / 20);
    assert_in_range(now() - begun, SECOND / 20, 5 * SECOND);
    assert_in_range(log_dropped() - before, 100, 200);
    log_raw("would block", 11); // comes back: nothing more is written to it
    assert_true(now() - begun < 5 * SECOND);
    close(fd[0]); // the other end stays open: the thread that was given up may be using it
}

static void closed_pipe_is_survived_and_counted(void **state)
{
    (void)state;
    int fd[2];
    assert_int_equal(pipe(fd), 0);
    assert_int_equal(log_start(fd[1], LOG_FORMAT_TEXT), 0);
    close(fd[0]);
    uint64_t before = log_dropped();
    for (unsigned i = 0; i < 10; i++)
        log_numbered(i);
    log_stop(5 * SECOND);
    assert_int_equal(log_dropped() - before, 10);
    close(fd[1]);
}

// Standard output may be non-blocking: the setting belongs to whoever shares the descriptor.
static void non_blocking_output_loses_nothing(void **state)
{
    (void)state;
    int fd[2];
    assert_int_equal(pipe(fd), 0);
    fcntl(fd[1], F_SETFL, O_NONBLOCK);
    assert_int_equal(log_start(fd[1], LOG_FORMAT_TEXT), 0);
    for (unsigned i = 0; i < 500; i++)
        log_numbered(i);
    struct lines l = {0};
    read_lines(&l, fd[0], 500);
    assert_int_equal(l.count, 500);
    log_stop(5 * SECOND);
    close(fd[0]);
    close(fd[1]);
    free(l.text);
}

#define PRODUCERS 4
#define EACH 20000

static void *produce(void *arg)
{
    for (unsigned i = 0; i < EACH; i++)
        log_write(LOG_LEVEL_INFO, "%u %u", *(unsigned *)arg, i);
    return NULL;
}

struct consumer {
    int fd;
    unsigned next[PRODUCERS]; // number that the producer's next line has at least
    unsigned lines, wrong;
    uint64_t missing; // by the notices
};

// Takes one line: "[INFO] PRODUCER NUMBER" or a notice.
static void take(struct consumer *c, const char *line)
{
    static const char info[] = "[INFO] ", notice[] = "[WARNING] ";
    char *rest;
    if (strncmp(line, info, sizeof info - 1) == 0) {
        unsigned long producer = strtoul(line + sizeof info - 1, &rest, 10), number = strtoul(rest, &rest, 10);
        if (producer < PRODUCERS && number >= c->next[producer] && strcmp(rest, "\n") == 0) {
            c->next[producer] = (unsigned)number + 1;
            c->lines++;
            return;
        }
    } else if (strncmp(line, notice, sizeof notice - 1) == 0) {
        c->missing += strtoul(line + sizeof notice - 1, &rest, 10);
        if (strncmp(rest, " log lines were dropped", 23) == 0)
            return;
    }
    c->wrong++;
}

static void *consume(void *arg)
{
    struct consumer *c = arg;
    FILE *f = fdopen(c->fd, "r");
    char line[256];
    while (fgets(line, sizeof line, f) != NULL)
        take(c, line);
    fclose(f);
    return NULL;
}

static void producers_lines_are_whole_in_order_and_accounted_for(void **state)
{
    (void)state;
    int fd[2];
    assert_int_equal(pipe(fd), 0);
    assert_int_equal(log_start(fd[1], LOG_FORMAT_TEXT), 0);
    uint64_t before = log_dropped();
    struct consumer c = {.fd = fd[0]};
    pthread_t consumer, producers[PRODUCERS];
    unsigned ids[PRODUCERS];
    assert_int_equal(pthread_create(&consumer, NULL, consume, &c), 0);
    for (unsigned i = 0; i < PRODUCERS; i++) {
        ids[i] = i;
        assert_int_equal(pthread_create(&producers[i], NULL, produce, &ids[i]), 0);
    }
    for (unsigned i = 0; i < PRODUCERS; i++)
        pthread_join(producers[i], NULL);
    log_stop(30 * SECOND);
    close(fd[1]);
    pthread_join(consumer, NULL);
    assert_int_equal(c.wrong, 0);
    assert_int_equal(c.missing, log_dropped() - before);
    assert_int_equal(c.lines + c.missing, PRODUCERS * EACH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_go_straight_out_before_start_and_after_stop),
        cmocka_unit_test(blocked_output_drops_lines_and_says_so),
        cmocka_unit_test(stop_gives_a_blocked_output_up),
        cmocka_unit_test(closed_pipe_is_survived_and_counted),
        cmocka_unit_test(non_blocking_output_loses_nothing),
        cmocka_unit_test(producers_lines_are_whole_in_order_and_accounted_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
