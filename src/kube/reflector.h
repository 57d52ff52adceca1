// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Keeps one kind of a store like the API server's: all objects by WatchList (or by list), then changes by watch, for
/// ever. plan.h says what follows what. Kube thread.
#include "kube/client.h"
#include "kube/feed.h"
#include "kube/object.h"
#include <uv.h>

/// How long things may take. Tests shorten it.
struct reflector_timing {
    unsigned watch_seconds; ///< a watch ends after a random time between this and twice this
    unsigned silence_ms;    ///< no byte of a list, or no answer at all, for so long: it is tried again
    unsigned bookmark_ms;   ///< the same of a watch on which bookmarks have come (about one a minute)
    unsigned overtime_ms;   ///< how much longer than agreed a watch without bookmarks may last
    unsigned hurry;         ///< the plan's waits are divided by this
};
#define REFLECTOR_TIMING                                                                                               \
    ((struct reflector_timing){                                                                                        \
        .watch_seconds = 300, .silence_ms = 60000, .bookmark_ms = 150000, .overtime_ms = 30000, .hurry = 1})

struct reflector;

/// `client`, `feed` and `labels` (a label selector that the objects must match, NULL: any) are borrowed. NULL when
/// memory is short. Starts at once.
struct reflector *reflector_new(uv_loop_t *loop, struct client *client, struct feed *feed, enum kube_kind kind,
                                const char *labels, const struct reflector_timing *timing);
/// Ends its request; `closed` is called when the loop holds nothing of it any more. Before client_close().
void reflector_close(struct reflector *r, void (*closed)(void *arg), void *arg);
