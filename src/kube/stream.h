// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The body of an API server's answer, as it arrives, made into events: one at a time, so that peak memory is one
/// object. One thread at a time.
#include "kube/event.h"
#include <clusterdns/error.h>
#include <stdbool.h>
#include <stddef.h>

#define STREAM_OBJECT_MAX (16u << 20) ///< bytes of one event, or of one object of a list
#define STREAM_ARENA_MAX (64u << 20)  ///< bytes that one decoded object may take

/// The media types that stream_begin() knows.
#define STREAM_JSON "application/json"
#define STREAM_PROTOBUF "application/vnd.kubernetes.protobuf"

struct stream;

/// `take` gets the events of objects of `kind`, as event_taker.take. NULL when memory is short.
struct stream *stream_new(enum kube_kind kind, int (*take)(void *arg, const struct event *e), void *arg);
/// NULL is allowed.
void stream_free(struct stream *s);
/// A body begins: `list`: it is a list, else the events of a watch. Its format is what the answer's Content-Type says,
/// JSON or protobuf; CDNS_EINVAL: neither. What was left of another body is forgotten. CDNS_ENOMEM.
int stream_begin(struct stream *s, bool list, const char *content_type) CDNS_MUSTCHECK;
/// The next `len` bytes, after a stream_begin() that succeeded. What `take` returned; CDNS_ESYNTAX: the format is
/// broken; CDNS_ELIMIT: something is larger than STREAM_OBJECT_MAX; CDNS_ENOMEM.
int stream_feed(struct stream *s, const char *data, size_t len) CDNS_MUSTCHECK;
/// At the end of a list: what it said of itself, valid until the next call. CDNS_ESYNTAX: it is no list of the kind
/// (and must not be taken for an empty one); CDNS_ETRUNC: it is not complete; CDNS_ENOMEM.
int stream_finish(struct stream *s, struct page *out) CDNS_MUSTCHECK;
/// Frees what a body under way has taken.
void stream_end(struct stream *s);
