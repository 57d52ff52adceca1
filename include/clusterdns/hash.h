// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A hash for tables whose keys come from outside: keyed afresh in every process, so that nobody can choose keys that
/// collide. Any thread.
#include <stddef.h>
#include <stdint.h>

/// SipHash-1-3 of `len` bytes under the process's key.
uint64_t hash_bytes(const void *data, size_t len);
