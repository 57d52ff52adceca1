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
/// Has the object the label multicluster.kubernetes.io/service-name? Such an EndpointSlice is a KUBE_IMPORTED_SLICE
/// too.
bool decode_is_imported(const json_t *object);
/// Decodes one object; arrays come from `a`, text is borrowed from `object`. `kind` -1: by decode_kind(). CDNS_EINVAL
/// with a reason in `error`: it has no usable name or namespace; CDNS_ENOENT: a kind that is not needed.
int decode_object(const json_t *object, int kind, struct arena *a, struct kube_object *out, char *error,
                  size_t error_size) CDNS_MUSTCHECK;
/// Reads an address in text form. Strict: no leading zeros, no zone. An IPv4 address in IPv6's clothes (::ffff:1.2.3.4)
/// is that IPv4 address, as with Go. `*canonical` (may be NULL): it is written as RFC 5952 says. CDNS_EINVAL otherwise.
int decode_address(const char *text, struct kube_address *out, bool *canonical) CDNS_MUSTCHECK;
