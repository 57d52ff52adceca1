// SPDX-License-Identifier: Apache-2.0
#include "base/clock.h"
#include <time.h>

static uint64_t test_monotonic;
static int64_t test_realtime;

static uint64_t now(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

uint64_t clock_monotonic_ns(void)
{
    return test_monotonic != 0 ? test_monotonic : now(CLOCK_MONOTONIC);
}

int64_t clock_realtime_ns(void)
{
    return test_realtime != 0 ? test_realtime : (int64_t)now(CLOCK_REALTIME);
}

void clock_set_for_test(uint64_t monotonic_ns, int64_t realtime_ns)
{
    test_monotonic = monotonic_ns;
    test_realtime = realtime_ns;
}
