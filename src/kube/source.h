// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Where facts come from: a Kubernetes API or manifests. Sources with the same identity (place, credentials' files,
/// options) share one store; a source lives as long as somebody holds it. One thread, "kube", with its own libuv loop,
/// runs all sources of the process. The functions here are for the main thread unless said otherwise.
#include "kube/limits.h"
#include "kube/store.h"
#include <clusterdns/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// What identifies a source. Text is copied.
struct source_options {
    const char *endpoint;                    ///< API URL; NULL: kubeconfig, or in-cluster
    const char *tls_cert, *tls_key, *tls_ca; ///< with `endpoint`; may be NULL
    const char *kubeconfig, *context;        ///< file and context (NULL: the current one)
    const char *const *manifests;            ///< files and directories; NULL: an API
    size_t nmanifests;
    const char *selectors[KUBE_KINDS]; ///< label selectors (selector_text()) of the objects wanted; NULL: all
    struct limits limits;              ///< of requests to an API
    struct store_options store;
};

struct source;

/// Takes a reference to the source of this identity, starting it if it is new. `error` gets text for CDNS_ECONFIG: a
/// kubeconfig that cannot be read, a context that is not there, no service account in the cluster (…), manifests that
/// do not parse (file and line). An API that does not answer is no error here: it is tried for ever.
int source_acquire(const struct source_options *options, struct source **source, char *error,
                   size_t error_size) CDNS_MUSTCHECK;
/// Gives the reference back; the last one stops the watches and frees the store (after a grace period).
void source_release(struct source *source);
/// Has somebody else a reference to it? Then it is not one that has just been started.
bool source_shared(const struct source *source);
/// The store that workers read; constant for the source's life. Any thread.
const struct store *source_store(const struct source *source);
/// Waits until the first sync is complete, at most `timeout_ns`. Returns 0 or CDNS_ETIMEOUT.
int source_wait_synced(struct source *source, uint64_t timeout_ns);
/// Text of the latest trouble with the API ("services: 403 Forbidden …"), "" when there is none, to `out`. Any thread.
void source_trouble(const struct source *source, char *out, size_t size);
/// Checks a source's configuration without starting it (clusterdns check, .setup): files exist and parse.
int source_check(const struct source_options *options, char *error, size_t error_size) CDNS_MUSTCHECK;
/// Ends the kube thread after the last release; at process end.
void source_shutdown(void);
