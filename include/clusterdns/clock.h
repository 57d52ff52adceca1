// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Time. On a query's way q->received_ns mostly saves the call. Any thread.
#include <stdint.h>
#include <time.h>

/// Monotonic nanoseconds (CLOCK_MONOTONIC).
uint64_t clock_monotonic_ns(void);
/// Unix time in nanoseconds (CLOCK_REALTIME).
int64_t clock_realtime_ns(void);
/// The same number of nanoseconds as system calls take it.
static inline struct timespec clock_timespec(uint64_t ns)
{
    return (struct timespec){.tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000)};
}
