// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The API resources that DNS needs and the requests for them (Kubernetes API concepts, "Efficient detection of
/// changes", "Streaming lists"). Pure.
#include "kube/object.h"
#include <clusterdns/error.h>

#define LIST_PAGE 500        ///< objects of one page of a list
#define LIST_PAGES_MAX 10000 ///< pages of one list

struct resource {
    const char *plural;           ///< "services"
    const char *group;            ///< API group, as a role names it: "" for the core group
    const char *path;             ///< "/api/v1/services"
    const char *kind;             ///< of an object: "Service"; its lists are of this kind with "List" behind it
    const char *version;          ///< apiVersion of an object and of a list: "v1"
    const char *field_selector;   ///< already escaped; NULL: none
    const char *label_selector;   ///< likewise
    bool json_only;               ///< custom resources are not to be had in protobuf
    const struct resource *other; ///< in the version to try where the API server has not this one; NULL: none
};

/// The resource of each kind.
extern const struct resource resources[KUBE_KINDS];

/// A request that gives all objects, then a bookmark, then changes. `rv`: not older than this one ("": the newest).
/// Each of these returns an allocated path with query, NULL when memory is short; `labels` is a label selector that the
/// objects must match besides the resource's own ("": any); `seconds` is after how long the server is to end the
/// stream.
char *resource_watchlist_path(const struct resource *r, const char *labels, const char *rv, unsigned seconds);
/// Changes after `rv`.
char *resource_watch_path(const struct resource *r, const char *labels, const char *rv, unsigned seconds);
/// One object of a state not older than `rv`: refused by a server whose state is older.
char *resource_check_path(const struct resource *r, const char *rv);
/// All objects: `rv` "": the newest state, "0": any that the server has at hand, else one not older. `token` not NULL:
/// the next page (`rv` does not count then). `limit` 0: in one page.
char *resource_list_path(const struct resource *r, const char *labels, const char *rv, const char *token,
                         unsigned limit);
