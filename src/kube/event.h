// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What the API server sends, whatever its format: events of a watch, elements of a list, a list's metadata. Each
/// decoder makes one text or message into one of these. Pure.
#include "kube/object.h"
#include "kube/status.h"
#include <clusterdns/arena.h>
#include <clusterdns/error.h>
#include <stdbool.h>
#include <stddef.h>

enum event_type { EVENT_ADDED, EVENT_MODIFIED, EVENT_DELETED, EVENT_BOOKMARK, EVENT_ERROR, EVENT_UNKNOWN };

/// Annotation of the bookmark behind the last of a WatchList's initial events.
#define EVENT_INITIAL_END "k8s.io/initial-events-end"

/// An event of a watch, or an element of a list: that is one of type EVENT_ADDED.
struct event {
    enum event_type type;
    bool wanted;               ///< its object says that it is of the wanted kind (an element of a list need not say so)
    const char *version;       ///< the object's resource version, "" when absent
    bool initial_end;          ///< the object has the annotation EVENT_INITIAL_END: "true"
    int result;                ///< of an object that was added, modified or deleted: 0 when it could be decoded
    struct kube_object object; ///< … then this is it
    char reason[200];          ///< … else why not
    struct api_status status;  ///< of EVENT_ERROR
};

/// What a list says of itself. Text is in the arena.
struct page {
    const char *version; ///< its resource version, "" when absent
    const char *token;   ///< for its next page, "" when there is none
};

/// Who gets events, and what they are made with.
struct event_taker {
    enum kube_kind kind; ///< the wanted one
    struct arena *arena; ///< reset for each event
    /// What `e` points to is valid until the call returns; a result other than 0 ends the stream.
    int (*take)(void *arg, const struct event *e);
    void *arg;
};

/// The type of this name, `len` bytes.
enum event_type event_type_of(const void *text, size_t len);

/// An event of a watch in JSON. CDNS_ESYNTAX: it is no JSON; else what `take` returned.
int event_from_json(const struct event_taker *t, const char *text, size_t len) CDNS_MUSTCHECK;
/// The same of an element of a list.
int event_from_json_item(const struct event_taker *t, const char *text, size_t len) CDNS_MUSTCHECK;
/// A list in JSON without its elements. CDNS_ESYNTAX: it is no list of the wanted kind; CDNS_ENOMEM.
int page_from_json(const struct event_taker *t, const char *text, size_t len, struct page *out) CDNS_MUSTCHECK;

/// An event of a watch in protobuf (meta/v1 WatchEvent). CDNS_ESYNTAX: it is no protobuf; CDNS_ENOMEM; else what `take`
/// returned.
int event_from_protobuf(const struct event_taker *t, const void *data, size_t len) CDNS_MUSTCHECK;
/// The same of an element of a list, which has no envelope.
int event_from_protobuf_item(const struct event_taker *t, const void *data, size_t len) CDNS_MUSTCHECK;
/// A list's metadata (meta/v1 ListMeta). CDNS_ESYNTAX: it is no protobuf; CDNS_ENOMEM.
int page_from_protobuf(const struct event_taker *t, const void *data, size_t len, struct page *out) CDNS_MUSTCHECK;
