// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Random numbers: unpredictable ones from the system's generator (getrandom), buffered per thread, and quick ones. Any
/// thread; aborts the process if the system has none.
#include <stddef.h>
#include <stdint.h>

/// Fills `out` with `len` unpredictable bytes.
void random_bytes(void *out, size_t len);
/// An unpredictable number of 32 bits.
uint32_t random_u32(void);
/// Unpredictable and uniform in [0, bound), without modulo bias; 0 when bound is 0.
uint32_t random_below(uint32_t bound);
/// In [0, bound), 0 when bound is 0, for choices that nobody gains by guessing: SplitMix64 (Steele, Lea, Flood 2014),
/// seeded once a thread; no system call. A number is off its share by less than bound / 2^32.
uint32_t random_quick_below(uint32_t bound);
