// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Files that configuration names: read whole within a bound, and looked at for changes. Any thread; both may block for
/// as long as the file system does.
#include <clusterdns/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

/// Reads a file of at most `max` bytes. `*text` gets its `*len` bytes with a NUL behind them, which the caller frees;
/// no other copy of them stays in memory, so who reads a secret has only that one to wipe. `seen`, if not NULL, gets
/// the file's state. `regular`: only a regular file is read, and opening a pipe does not wait. CDNS_EIO: errno says
/// why, EISDIR, ENOTSUP (not regular), EFBIG (more than `max`) and ENOMEM included; then `*text` and `*len` are not
/// touched, and `seen` is zeroed if the file could not be opened.
int file_read(const char *path, bool regular, size_t max, char **text, size_t *len, struct stat *seen) CDNS_MUSTCHECK;

/// Are these states of one file, with the same content as far as can be told without reading: device, inode, size, and
/// times of modification and of change? Links that are pointed elsewhere, files that are renamed into place, and those
/// whose time of modification was set back make another one.
bool file_same(const struct stat *a, const struct stat *b);
