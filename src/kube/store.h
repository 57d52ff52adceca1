// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The write side of the index: applies objects, one kind's relist as a diff. Readers (index.h) see each object as soon
/// as it is applied, under RCU; what they may still be reading is freed in batches behind one grace period. Only the
/// kube thread calls these, but for store_new() and store_free().
#include "kube/object.h"
#include <clusterdns/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;

/// What a store keeps; part of a source's identity.
struct store_options {
    bool endpoints; ///< keep EndpointSlices (false: noendpoints)
    bool pods;      ///< keep Pods (pods verified)
    bool pod_names; ///< keep endpoints' pod names (endpoint_pod_names)
    bool zones;     ///< keep endpoints' topology zones (zonal)
    bool imports;   ///< keep ServiceImports and their slices (multicluster)
};

/// The kinds of objects that a store with these options keeps: bits by enum kube_kind. Pure.
unsigned store_kinds(const struct store_options *options);
/// NULL when memory is short.
struct store *store_new(const struct store_options *options);
/// No reader may be inside a read section of this store any more.
void store_free(struct store *s);

/// Adds or replaces an object; an object equal to what is kept changes nothing. Not-ready endpoints are not kept.
/// CDNS_EINVAL: the object cannot be named in DNS (nothing changed); CDNS_ENOMEM.
int store_upsert(struct store *s, const struct kube_object *o) CDNS_MUSTCHECK;
/// Removes an object by kind, namespace and name; unknown ones are ignored.
void store_delete(struct store *s, const struct kube_object *o);
/// Between begin and end, upserts mark what they name; end removes every object of the kind that was not named.
/// begin twice starts the marking afresh (a relist that broke off); answers are never empty in between.
void store_relist_begin(struct store *s, enum kube_kind kind);
void store_relist_end(struct store *s, enum kube_kind kind);
/// Ends a batch: waits one grace period and frees what was replaced. To be called at least every STORE_BATCH objects,
/// and when the events at hand are done.
void store_commit(struct store *s);
#define STORE_BATCH 1000
/// The first full lists of every kind that the options ask for are in: readers stop answering SERVFAIL.
void store_set_synced(struct store *s);
/// The same of imports, which an API server may not have or not show.
void store_set_imports_synced(struct store *s);

/// Counts for metrics and tests.
struct store_stats {
    size_t namespaces, services, slices, endpoints, pods; ///< kept (endpoints: ready addresses, imported ones too)
    size_t imports, imported_slices;                      ///< likewise
    size_t bytes;                                         ///< heap bytes of the store and its index, as it counts them
    uint64_t changes;                                     ///< upserts and deletes that changed something
};
/// Kube thread.
void store_stats(const struct store *s, struct store_stats *out);
/// store_stats.changes.
uint64_t store_changes(const struct store *s);
/// The type of a Service by its names; -1: there is no such object.
int store_service_type(const struct store *s, const char *namespace_, const char *name);
