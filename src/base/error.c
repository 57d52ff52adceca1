// SPDX-License-Identifier: Apache-2.0
#include <clusterdns/error.h>
#include <clusterdns/log.h>

#include "base/clock.h"
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define EXPECT_PER_SECOND 10 // lines a second that expect_failed() may write in all

static const char *const texts[] = {
    [0] = "success",
    [-CDNS_ENOMEM] = "out of memory",
    [-CDNS_EINVAL] = "invalid value",
    [-CDNS_ETRUNC] = "input ends too early",
    [-CDNS_ENOSPC] = "no room left",
    [-CDNS_ERANGE] = "out of range",
    [-CDNS_ENOENT] = "not found",
    [-CDNS_EEXIST] = "already exists",
    [-CDNS_ESYNTAX] = "syntax error",
    [-CDNS_ETIMEOUT] = "timed out",
    [-CDNS_EIO] = "input/output error",
    [-CDNS_ELIMIT] = "limit reached",
    [-CDNS_ECONFIG] = "configuration error",
    [-CDNS_ECANCELED] = "canceled",
    [-CDNS_EDENIED] = "permission denied",
    [-CDNS_EGONE] = "expired",
    [-CDNS_EAGAIN] = "try again later",
};

const char *error_text(int code)
{
    const int count = sizeof(texts) / sizeof(texts[0]);
    if (code > 0 || code <= -count)
        return "unknown error";
    return texts[-code];
}

void invariant_failed(const char *expression, const char *file, int line)
{
    // Not through the log: its thread may never get to write it.
    fprintf(stderr, "%s:%d: invariant failed: %s\n", file, line, expression);
    abort();
}

static uint64_t failures;

unsigned long long expect_failures(void)
{
    return __atomic_load_n(&failures, __ATOMIC_RELAXED);
}

void expect_failed(const char *expression, const char *file, int line)
{
    __atomic_fetch_add(&failures, 1, __ATOMIC_RELAXED);
    static uint64_t window; // second in the upper bits, lines written in it in the lower 8
    uint64_t second = clock_monotonic_ns() / UINT64_C(1000000000);
    uint64_t old = __atomic_load_n(&window, __ATOMIC_RELAXED);
    uint64_t next;
    do {
        if (old >> 8 == second && (old & 0xff) >= EXPECT_PER_SECOND)
            return;
        next = old >> 8 == second ? old + 1 : second << 8 | 1;
    } while (!__atomic_compare_exchange_n(&window, &old, next, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    log_write(LOG_LEVEL_ERROR, "%s:%d: expectation failed: %s", file, line, expression);
}
