// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The log: lines go through a bounded ring to a thread of their own and from there to standard output, so a blocked
/// output never blocks an answer; lines that find the ring full are dropped and counted. Any thread.
#include <clusterdns/error.h>
#include <stdbool.h>
#include <stddef.h>

/// Severities, in CoreDNS's words: the line starts with "[INFO] " and so on.
enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR, LOG_LEVEL_FATAL };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

/// Writes one line: "[LEVEL] " and the formatted text (no newline at its end). Longer lines than 4,096 bytes are cut.
/// Newlines, control bytes but tab, and bytes that are not UTF-8 are written as \n, \xNN: outside text cannot forge a
/// line. DEBUG lines are dropped unless log_debug_hold() was called. In JSON: {"time":…,"level":…,"msg":…}, as
/// CoreDNS 1.15.
void log_write(enum log_level level, const char *fmt, ...) CDNS_PRINTF(2, 3);
/// As log_write() with "plugin/NAME: " before the text; in JSON a member "plugin".
void log_plugin(enum log_level level, const char *plugin, const char *fmt, ...) CDNS_PRINTF(3, 4);
/// A line as it stands, in any format, without level (whole line, `len` bytes, no newline at its end). Control bytes
/// are escaped as in log_write().
void log_raw(const char *line, size_t len);

/// DEBUG lines are written from the first hold to the last release.
void log_debug_hold(void);
void log_debug_release(void);

/// True when lines are written as JSON (-log-format json).
bool log_is_json(void);
/// A line of level INFO with typed members in JSON: `members` is JSON text that begins with a comma, such as
/// ",\"plugin\":\"log\",\"id\":7", its strings written by log_json_string(). In text it is left out.
void log_members(const char *members, const char *fmt, ...) CDNS_PRINTF(2, 3);
/// Writes `len` bytes of `text` as a JSON string, quotes included, and NUL to `out`; cut so that it fits `cap` (at
/// least 3) bytes. Returns the length without NUL.
size_t log_json_string(const char *text, size_t len, char *out, size_t cap);
