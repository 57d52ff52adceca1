// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// JSON (and YAML turned into JSON values) and protobuf to struct kube_object: equal objects in either format give
/// equal ones. Fields that are missing or absurd make the part they belong to absent, never a crash: an endpoint whose
/// address is no address is left out, its neighbours are kept.
#include "kube/object.h"
#include <clusterdns/arena.h>
#include <clusterdns/error.h>

struct json_t; // jansson.h

/// Kind of an object by its apiVersion and kind fields; -1: none that DNS needs.
int decode_kind(const struct json_t *object);
/// Has the object the label multicluster.kubernetes.io/service-name? Then an EndpointSlice is a KUBE_IMPORTED_SLICE
/// too.
bool decode_is_imported(const struct json_t *object);
/// Decodes one object; arrays come from `a`, text is borrowed from `object`. `kind` -1: by decode_kind(). CDNS_EINVAL
/// with a reason in `error`: it has no usable name or namespace; CDNS_ENOMEM: it is too large; CDNS_ENOENT: a kind that
/// is not needed.
int decode_json(const struct json_t *object, int kind, struct arena *a, struct kube_object *out, char *error,
                size_t error_size) CDNS_MUSTCHECK;
/// The same of an object's protobuf message, without its envelope. Text is copied to `a`, which only what is wanted of
/// the message is. CDNS_ESYNTAX: it is no protobuf.
int decode_protobuf(const void *data, size_t len, enum kube_kind kind, struct arena *a, struct kube_object *out,
                    char *error, size_t error_size) CDNS_MUSTCHECK;
/// Reads an address in text form. Strict: no leading zeros, no zone. An IPv4 address in IPv6's clothes (::ffff:1.2.3.4)
/// is that IPv4 address, as with Go. `*canonical` (may be NULL): it is written as RFC 5952 says. CDNS_EINVAL otherwise.
int decode_address(const char *text, struct kube_address *out, bool *canonical) CDNS_MUSTCHECK;
/// Reads a time as RFC 3339 writes it, with any fraction of a second, into ns since 1970. CDNS_EINVAL: it is none;
/// CDNS_ERANGE: an int64_t does not hold it.
int decode_time(const char *text, int64_t *ns) CDNS_MUSTCHECK;
