// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// JSON (and YAML turned into JSON values) to struct kube_object. Fields that are missing or absurd make the part they
/// belong to absent, never a crash: an endpoint whose address is no address is left out, its neighbours are kept.
#include "kube/object.h"
#include <clusterdns/arena.h>
#include <jansson.h>

/// Kind of an object by its apiVersion and kind fields; -1: none that DNS needs.
int decode_kind(const json_t *object);
/// Decodes one object; arrays come from `a`, text is borrowed from `object`. `kind` -1: by decode_kind(). CDNS_EINVAL
/// with a reason in `error`: it has no usable name or namespace; CDNS_ENOENT: a kind that is not needed.
int decode_object(const json_t *object, int kind, struct arena *a, struct kube_object *out, char *error,
                  size_t error_size) CDNS_MUSTCHECK;
/// Reads an address in text form. Strict: no leading zeros, no zone. An IPv4 address in IPv6's clothes (::ffff:1.2.3.4)
/// is that IPv4 address, as with Go. `*canonical` (may be NULL): it is written as RFC 5952 says. CDNS_EINVAL otherwise.
int decode_address(const char *text, struct kube_address *out, bool *canonical) CDNS_MUSTCHECK;

/// A splitter for list bodies: bytes in as they arrive, one element of the top level's "items" array out at a time;
/// peak memory is one object. The rest of the document (apiVersion, kind, metadata) is kept as the envelope.
struct list_splitter;
/// `item` gets each element as text; it returns 0, or an error that ends the splitting. `max_object` bounds one element
/// and the envelope in bytes (CDNS_ELIMIT).
struct list_splitter *list_splitter_new(size_t max_object, int (*item)(void *arg, const char *json, size_t len),
                                        void *arg);
void list_splitter_free(struct list_splitter *l);
int list_splitter_feed(struct list_splitter *l, const char *data, size_t len) CDNS_MUSTCHECK;
/// At the end of the body: the envelope with "items" emptied; CDNS_ETRUNC when the document is not complete (it can
/// still be fed then).
int list_splitter_finish(struct list_splitter *l, const char **envelope, size_t *len) CDNS_MUSTCHECK;
/// The envelope as far as it has come: inside `item`, all that stood before the list and its '['.
void list_splitter_envelope(const struct list_splitter *l, const char **envelope, size_t *len);
/// Bytes of the last feed that lie behind the document's end; they were not looked at.
size_t list_splitter_rest(const struct list_splitter *l);
/// Inside `item`: the line (from 1) where the element begins; else the line that was reached.
size_t list_splitter_line(const struct list_splitter *l);
