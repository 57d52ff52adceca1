// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What an answer says, as a number: its rcode and the records of its answer section, whatever their order, TTLs,
/// letters' case and compression. Equal answers have equal digests. Pure.
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// The digest of an answer without records.
uint64_t digest_of_rcode(unsigned rcode);
/// … with one more record. `owner` and names in `rdata` in wire form without compression; `rdata_size` bytes.
uint64_t digest_with(uint64_t digest, const uint8_t *owner, uint16_t type, const uint8_t *rdata, size_t rdata_size);
/// The digest of a message. False: it is malformed, or has records of a class other than IN.
bool digest_of_message(const uint8_t *message, size_t size, uint64_t *digest);
