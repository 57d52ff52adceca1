// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Text between double quotes for messages, as Go's strconv.Quote writes it: CoreDNS's words quote so. Any thread;
/// pure.
#include <stddef.h>

/// Writes `text` to `out` (`size` bytes, at least 1) in double quotes, with a backslash for what cannot be printed, is
/// no UTF-8, or needs one; cut when there is no room. Returns `out`. Characters that Unicode has not assigned are
/// written as they are.
const char *quote(const char *text, char *out, size_t size);
