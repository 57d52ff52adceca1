// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What imports need of the file system.
#include "corefile/list.h"
#include <stdbool.h>

/// `path` as seen from the directory of the file `from` (itself relative to the working directory), absolute and
/// without "." or "..", which are resolved by text alone. `path` may be absolute, and `from` NULL: the working
/// directory. NULL when memory is short or the working directory is gone.
const char *files_resolve(struct arena *a, const char *from, const char *path);

/// Appends the paths (const char *) that `pattern`, an absolute path, matches: sorted in each directory; '*' and '?' do
/// not match '/', but do match a leading '.'; '\' escapes. Without any of the three it is looked for as it stands.
/// CDNS_ESYNTAX: '[' (character classes are not supported), or '\' at the end; CDNS_ELIMIT: more than
/// COREFILE_MAX_MATCHES paths; CDNS_ENOMEM.
int files_match(struct arena *a, const char *pattern, struct list *paths) CDNS_MUSTCHECK;

/// Text of an errno as Go spells it ("no such file or directory"); valid until the next call.
const char *files_reason(int number);
