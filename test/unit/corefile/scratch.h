// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A directory for the files of a test.
#include <ftw.h>
#include <stdio.h>

static inline int scratch_remove_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type;
    return at->level > 0 ? remove(path) : 0;
}

/// Removes everything in the directory. 0 if it is empty now.
static inline int scratch_empty(const char *directory)
{
    return nftw(directory, scratch_remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}
