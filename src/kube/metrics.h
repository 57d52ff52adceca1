// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What this room counts; docs/plugins/kubernetes.md has the list. Kube thread unless said otherwise.
#include "kube/object.h"
#include "kube/store.h"
#include <clusterdns/error.h>
#include <stdbool.h>
#include <stdint.h>

// ---- any source ----

/// A request to `server` (a URL) has been answered with this HTTP status, or with none (0).
void kube_count_request(const char *server, int status);
/// It took so long: a list until its end, a watch until its first byte.
void kube_count_request_time(const char *server, uint64_t ns);
/// It had to wait so long on this side before it was sent.
void kube_count_limiter_time(const char *server, uint64_t ns);
/// The change of an EndpointSlice that was triggered at this Unix time (0: not known) can be answered from now on.
void kube_count_programming(int64_t triggered_ns, enum kube_service_type type);

// ---- a source ----

/// Why all objects of a kind are fetched.
enum relist {
    RELIST_START,
    RELIST_EXPIRED,     ///< what was seen last is too old for the server, or too new
    RELIST_REFUSED,     ///< the request before was refused for another reason
    RELIST_FAILED,      ///< it broke off, or was silent for too long
    RELIST_CORRUPT,     ///< it could not be understood
    RELIST_UNSUPPORTED, ///< by WatchList they are not to be had
};

/// What an event was, or an object of a list.
enum counted {
    COUNTED_INITIAL, ///< part of a list, or of a WatchList's beginning
    COUNTED_ADDED,
    COUNTED_MODIFIED,
    COUNTED_DELETED,
    COUNTED_BOOKMARK,
    COUNTED_PASSED_OVER, ///< it could not be understood
};

struct source_metrics;

/// Series of a source, whose kinds are those that `options` asks for; `name` is copied. `api`: not manifests. NULL: out
/// of memory. Main thread.
struct source_metrics *source_metrics_new(const char *name, const struct store_options *options, bool api);
/// Sets the gauges. At a scrape; main thread.
void source_metrics_show(struct source_metrics *m, bool synced);
/// Shows the gauges no more: the source is being stopped. Main thread.
void source_metrics_hide(struct source_metrics *m);
/// NULL is allowed. Any thread.
void source_metrics_free(struct source_metrics *m);

// In all that follow `m` may be NULL: then nobody counts.
/// Bytes of a kind's request have come.
void source_metrics_heard(struct source_metrics *m, enum kube_kind kind);
/// A list of a kind begins.
void source_metrics_relist(struct source_metrics *m, enum kube_kind kind, enum relist reason);
/// An event of a kind's has come.
void source_metrics_event(struct source_metrics *m, enum kube_kind kind, enum counted what);
/// A kind is in trouble: refused with this HTTP status, or one of these.
#define TROUBLE_UNREACHABLE (-1) ///< no connection, or it broke
#define TROUBLE_SILENT (-2)      ///< nothing came for too long
#define TROUBLE_CORRUPT (-3)     ///< what came could not be understood
void source_metrics_trouble(struct source_metrics *m, enum kube_kind kind, int code);
/// What the store holds.
void source_metrics_stored(struct source_metrics *m, const struct store *store);
