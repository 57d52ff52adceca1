// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// SplitMix64 (Steele, Lea, Flood 2014): quick numbers that a seed repeats, for nothing that somebody could gain by
/// guessing. Pure.
#include <stdint.h>

/// Spreads the bits of a number.
static inline uint64_t splitmix_mix(uint64_t z)
{
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/// The next number of a sequence; any `*state` begins one.
static inline uint64_t splitmix_next(uint64_t *state)
{
    return splitmix_mix(*state += UINT64_C(0x9e3779b97f4a7c15));
}
