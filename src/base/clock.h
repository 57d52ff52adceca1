// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Time, replaceable by tests. Any thread.
#include <clusterdns/clock.h>
#include <stdint.h>

/// Tests only: from now on both clocks give these values, until called with 0, 0. Not for use with other threads
/// running.
void clock_set_for_test(uint64_t monotonic_ns, int64_t realtime_ns);
