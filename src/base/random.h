// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Unpredictable numbers from the system's generator (getrandom), buffered per thread. Any thread; aborts the process
/// if the system has none.
#include <stddef.h>
#include <stdint.h>

void random_bytes(void *out, size_t len);
uint32_t random_u32(void);
/// Uniform in [0, bound); 0 when bound is 0. No modulo bias.
uint32_t random_below(uint32_t bound);
