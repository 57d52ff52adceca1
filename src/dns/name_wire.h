// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Names inside messages, where the tail may be a pointer (RFC 1035 §4.1.4). Any thread; pure.
#include "base/reader.h"
#include <clusterdns/name.h>

/// Bytes of the uncompressed name at `p`, of which `size` bytes may be read; 0 when it is no whole, well-formed name.
size_t name_check(const uint8_t *p, size_t size);

/// Reads the name at `r` into `out` (NAME_MAX_WIRE bytes), following pointers, and moves behind its first pointer or
/// its root. `r->base` must be the message's first byte. A pointer must lead to before the place where the present
/// piece of the name began, and not into the header: so no chain can loop (RFC 9267 §2). Returns the name's length, or
/// 0 with the reader's error set: CDNS_ETRUNC, CDNS_ERANGE (over 255 bytes), CDNS_ESYNTAX.
size_t name_unpack(struct reader *r, uint8_t *out);
