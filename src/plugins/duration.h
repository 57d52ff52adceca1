// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Durations in the words of Go's time package, where CoreDNS's messages carry them. Any thread.
#include <clusterdns/config.h>
#include <stdint.h>

#define DURATION_TEXT_MAX 32   ///< bytes of the longest text of a duration, NUL included
#define DURATION_ERROR_MAX 256 ///< bytes that the text of an error is cut to, NUL included

/// As config_duration(); when `text` is no duration, what time.ParseDuration would say ("time: missing unit in duration
/// "1"") is in `error`.
int duration_parse(const char *text, int64_t *ns, char error[DURATION_ERROR_MAX]) CDNS_MUSTCHECK;
/// Writes a duration as Go prints it ("5m0s", "1.5s", "300ms"); returns `out`.
const char *duration_text(int64_t ns, char out[DURATION_TEXT_MAX]);
