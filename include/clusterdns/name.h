// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Domain names in uncompressed wire form (RFC 1035 §3.1): length-prefixed labels, ended by the root's zero byte; at
/// most 255 bytes in all and 63 a label. Unless said otherwise a `const uint8_t *name` is such a name and is trusted to
/// be well formed; parsing from outside is in the functions that return `int`. Pure functions, any thread.
#include <clusterdns/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NAME_MAX_WIRE 255   ///< bytes of the longest name, root included (RFC 1035 §2.3.4)
#define NAME_MAX_LABEL 63   ///< bytes of the longest label
#define NAME_MAX_LABELS 127 ///< labels of the longest name, root not counted
#define NAME_MAX_TEXT 1025  ///< bytes of the longest presentation form with every byte as \DDD, final dot and NUL

/// Bytes of the name, the root's zero included.
size_t name_length(const uint8_t *name);
/// Number of labels, the root not counted.
unsigned name_labels(const uint8_t *name);
/// True if both are the same name; ASCII letters compare without case (RFC 4343).
bool name_equal(const uint8_t *a, const uint8_t *b);
/// True if `name` is `zone` or below it; without case.
bool name_in_zone(const uint8_t *name, const uint8_t *zone);
/// The name with its first `n` labels removed (a pointer into `name`); the root when it has fewer.
const uint8_t *name_skip(const uint8_t *name, unsigned n);
/// Copies to `out` (NAME_MAX_WIRE bytes) with ASCII letters in lower case; returns the length.
size_t name_lower(const uint8_t *name, uint8_t *out);
/// Reads presentation form (RFC 1035 §5.1: \X and \DDD escapes; with or without the final dot, always taken as
/// absolute) into `out` (NAME_MAX_WIRE bytes). CDNS_EINVAL: empty label, bad escape; CDNS_ERANGE: too long.
int name_from_text(const char *text, uint8_t *out) CDNS_MUSTCHECK;
/// Writes presentation form with a final dot ("." for the root) and NUL to `out` (NAME_MAX_TEXT bytes); bytes outside
/// printable ASCII become \DDD, and the specials `. ( ) ; space @ " \` and the apostrophe get a backslash, as CoreDNS
/// prints them. Returns the length without NUL.
size_t name_to_text(const uint8_t *name, char *out);
/// Writes `first` followed by `second` to `out` (NAME_MAX_WIRE bytes); returns the length, or CDNS_ERANGE when too
/// long.
int name_join(const uint8_t *first, const uint8_t *second, uint8_t *out);
/// Appends one label (`len` bytes of `label`) and then `rest` to `out`; returns the length, or CDNS_ERANGE.
int name_prepend_label(const uint8_t *label, size_t len, const uint8_t *rest, uint8_t *out);
/// Reads an address from a reverse name below in-addr.arpa (all four octets) or ip6.arpa (all 32 nibbles). On success
/// returns 4 or 16, the number of address bytes written to `addr` in network order; 0 for any other name.
int name_to_address(const uint8_t *name, uint8_t addr[16]);
