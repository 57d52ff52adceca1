// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Keyed hashes for tables that hold names from outside. Source: J.-P. Aumasson, D. J. Bernstein, "SipHash: a fast
/// short-input PRF" (2012). Any thread; pure.
#include <stddef.h>
#include <stdint.h>

struct siphash_key {
    uint64_t k0, k1;
};

/// A key drawn once per process from the system's random source.
const struct siphash_key *siphash_process_key(void);
/// SipHash-1-3, 64 bits: for hash tables.
uint64_t siphash13(const struct siphash_key *key, const void *data, size_t len);
/// SipHash-2-4, 128 bits, to `out`: where a collision would be an error (object identity).
void siphash24_128(const struct siphash_key *key, const void *data, size_t len, uint64_t out[2]);
