// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Time. On a query's way q->received_ns mostly saves the call. Any thread.
#include <stdint.h>

/// Monotonic nanoseconds (CLOCK_MONOTONIC).
uint64_t clock_monotonic_ns(void);
/// Unix time in nanoseconds (CLOCK_REALTIME).
int64_t clock_realtime_ns(void);
