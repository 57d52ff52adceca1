// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A source that is fed by manifests: reads them, and reads them again whenever a file changes, appears or goes.
/// Changes are told by inotify on the directories (editors rename, a mounted ConfigMap swaps its ..data link) and, for
/// what that misses, looked for every few seconds. New contents that are broken leave the objects as they were.
/// When the manifests have no Namespace object at all, each namespace that an object names is taken to exist; with one
/// or more, they alone count, as in a cluster. Kube thread.
#include "kube/feed.h"
#include <clusterdns/error.h>
#include <stddef.h>

#define MANIFEST_SETTLE_MS 100    ///< files must have kept still for so long to be read …
#define MANIFEST_SETTLE_ROUNDS 50 ///< … or have been changing for so many times as long
#define MANIFEST_LOOK_MS 5000     ///< between looks at the files

struct manifest_source;

/// Reads `paths` (borrowed for the source's life) into the feed. CDNS_ECONFIG with "FILE:LINE: …" in `error`,
/// CDNS_ENOMEM: no source then.
int manifest_source_start(uv_loop_t *loop, struct feed *feed, const char *const *paths, size_t npaths,
                          struct manifest_source **out, char *error, size_t error_size) CDNS_MUSTCHECK;
/// `closed` is called when the loop holds nothing of it any more.
void manifest_source_close(struct manifest_source *s, void (*closed)(void *arg), void *arg);
