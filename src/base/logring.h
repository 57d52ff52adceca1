// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Life of the log behind <clusterdns/log.h>. Main thread.
#include <clusterdns/log.h>
#include <stdbool.h>
#include <stdint.h>

/// Starts the log's thread, writing to descriptor `fd` (not owned). Before it, and after log_stop(), lines are written
/// directly and blocking.
int log_start(int fd, enum log_format format) CDNS_MUSTCHECK;
/// Writes what is queued (waiting at most `timeout_ns` for a blocked output) and ends the thread. If the output was
/// still blocked then, lines that follow are dropped, so that a process can always end; the descriptor must stay open.
void log_stop(uint64_t timeout_ns);
/// Lines dropped since the start of the process because the ring was full or the output broken.
uint64_t log_dropped(void);

// Between log.c, which says how a line looks, and logring.c, which takes it out. Any thread.

#define LOG_LINE_MAX 4096 ///< bytes of the longest line, newline included

/// Queues one whole line, its newline included; never waits for the output while the log's thread runs.
void logring_put(const char *line, size_t len);
/// The format that log_start() was given; text before it.
enum log_format logring_format(void);
/// What a line says. `plugin` and `members` (JSON text, see log_members()) may be NULL.
struct log_entry {
    enum log_level level;
    const char *plugin, *members;
    const char *text; ///< `len` bytes
    size_t len;
};
/// Writes the entry's whole line in the present format to `out`. Returns its length.
size_t log_line(const struct log_entry *entry, char out[LOG_LINE_MAX]);
