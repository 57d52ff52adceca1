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
/// Writes what is queued (waiting at most `timeout_ns` for a blocked output) and ends the thread.
void log_stop(uint64_t timeout_ns);
/// DEBUG lines on or off (the debug plugin).
void log_set_debug(bool on);
/// Lines dropped since the start because the ring was full.
uint64_t log_dropped(void);
