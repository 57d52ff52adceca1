// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Which files a manifests path names: the file itself, or of a directory its *.yaml, *.yml and *.json, sorted, those
/// of directories inside it too. Hidden entries (names that begin with a dot, as a mounted ConfigMap's ..data) are
/// passed over, and so are links to directories below the path; links to files are followed.
#include <clusterdns/error.h>
#include <stddef.h>
#include <sys/stat.h>

#define MANIFEST_MAX_LEVELS 16 ///< of directories below a path

struct manifest_walk {
    /// Each file in order, `st` of what a link points to. A result other than 0 ends the walk.
    int (*file)(void *arg, const char *path, const struct stat *st);
    /// Each directory, the path itself included; may be NULL.
    int (*directory)(void *arg, const char *path);
    void *arg;
};

/// CDNS_EIO with "PATH: reason" in `error` when `path`, or a directory in it, cannot be read or is neither file nor
/// directory; else what a function of `walk` returned.
int manifest_files(const char *path, const struct manifest_walk *walk, char *error, size_t error_size) CDNS_MUSTCHECK;
