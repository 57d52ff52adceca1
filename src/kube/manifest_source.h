// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A source that is fed by manifests: reads them, and reads them again whenever a file changes, appears or goes.
/// Changes are told by inotify on the directories (editors rename, a mounted ConfigMap swaps its ..data link) and, for
/// what that misses, looked for every few seconds. New contents that are broken leave the objects as they were.
/// When the manifests have no Namespace object at all, each namespace that an object names is taken to exist; with one
/// or more, they alone count, as in a cluster. Selectors match labels as the API server does, which gives each
/// Namespace the label kubernetes.io/metadata.name. Kube thread.
#include "kube/feed.h"
#include "kube/source.h"
#include <clusterdns/error.h>
#include <stddef.h>

#define MANIFEST_SETTLE_MS 100    ///< files must have kept still for so long to be read …
#define MANIFEST_SETTLE_ROUNDS 50 ///< … or have been changing for so many times as long
#define MANIFEST_LOOK_MS 5000     ///< between looks at the files

struct manifest_source;

/// Reads what the manifests of `options` (borrowed for the source's life) have and its selectors match into the feed.
/// CDNS_ECONFIG with "FILE:LINE: …" in `error`, CDNS_ENOMEM: no source then.
int manifest_source_start(uv_loop_t *loop, struct feed *feed, const struct source_options *options,
                          struct manifest_source **out, char *error, size_t error_size) CDNS_MUSTCHECK;
/// `closed` is called when the loop holds nothing of it any more.
void manifest_source_close(struct manifest_source *s, void (*closed)(void *arg), void *arg);
