// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The way of decoded objects into one source's store: ends the store's batches, knows when every kind has been listed,
/// gives memory back after large lists, and keeps the log quiet. Kube thread.
#include "kube/metrics.h"
#include "kube/object.h"
#include "kube/store.h"
#include <clusterdns/log.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#define FEED_QUIET_NS UINT64_C(30000000000) ///< the same trouble is logged at most this often
#define FEED_TROUBLE_MAX 512                ///< bytes of a trouble's text

/// Who is told.
struct feed_listener {
    void (*synced)(void *arg);                    ///< once: every kind has been listed, or refused for good
    void (*trouble)(void *arg, const char *text); ///< the present trouble changed; "": there is none
    void *arg;
};

struct feed {
    struct store *store;
    struct source_metrics *metrics; ///< the source's; NULL, as feed_init() leaves it: nobody counts
    struct feed_listener listener;
    unsigned wanted, listed, refused; ///< bits by enum kube_kind
    bool synced;
    size_t pending; ///< objects applied since the last commit
    bool due;       ///< they are a batch at the end of this turn of the loop
    uv_check_t check;
    char trouble[KUBE_KINDS][FEED_TROUBLE_MAX]; ///< "" when a kind has none
    struct {
        int key;
        uint64_t at; ///< monotonic, ns; 0: unused
    } logged[16];
    void (*closed)(void *arg);
    void *closed_arg;
};

void feed_init(struct feed *f, uv_loop_t *loop, struct store *store, const struct store_options *options,
               const struct feed_listener *listener);
/// `closed` is called when the loop holds nothing of it any more.
void feed_close(struct feed *f, void (*closed)(void *arg), void *arg);
/// Does the store want this kind?
bool feed_wants(const struct feed *f, enum kube_kind kind);
/// Is it one that a cluster may do without? Then its refusal holds up nothing else.
bool feed_is_optional(enum kube_kind kind);

/// Applies one object. `initial`: it is part of a list, of which more is to come: full batches will do.
void feed_upsert(struct feed *f, const struct kube_object *o, bool initial);
void feed_delete(struct feed *f, const struct kube_object *o);
/// Around all objects of a kind.
void feed_relist_begin(struct feed *f, enum kube_kind kind);
void feed_relist_end(struct feed *f, enum kube_kind kind);
/// An optional kind is not to be had now. `absent`: since there is no such resource, which is as if an empty list had
/// come (but objects that came before stay).
void feed_refused(struct feed *f, enum kube_kind kind, bool absent);
/// Ends the batch.
void feed_commit(struct feed *f);

/// A kind's trouble (not "") or, with "", its end.
void feed_trouble(struct feed *f, enum kube_kind kind, const char *text);
/// Logs a line unless one of the same key was logged less than FEED_QUIET_NS ago, and says whether it did. Equal keys,
/// equal trouble.
bool feed_log(struct feed *f, int key, enum log_level level, const char *fmt, ...) CDNS_PRINTF(4, 5);
