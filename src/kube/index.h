// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The read side: facts that workers look up, under RCU. Every function is to be called inside a read section; what it
/// gives is valid until the section ends. Labels are given as they stand in a lower-case wire name: pointer to the
/// length byte.
#include "kube/object.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;

/// Every kind has been listed once. (Imports may have been refused.)
bool index_synced(const struct store *s);
/// Unix time in seconds of the last change that DNS can show; 0 before the first sync. (SOA serial)
uint32_t index_serial(const struct store *s);
/// The same of imports, and of all that is imported. An API server that has no such resource has listed it.
bool index_imports_synced(const struct store *s);
uint32_t index_imports_serial(const struct store *s);
/// Is there a Namespace object of this name?
bool index_namespace(const struct store *s, const uint8_t *label);

/// A service as it stands: one immutable snapshot of the Service object and its slices.
struct index_service;
/// NULL: no Service object of this name. Endpoint slices without a Service do not make one.
const struct index_service *index_service(const struct store *s, const uint8_t *namespace_label,
                                          const uint8_t *service_label);
/// A ServiceImport with its slices, likewise; never KUBE_EXTERNALNAME. No address leads to it (index_by_…).
const struct index_service *index_import(const struct store *s, const uint8_t *namespace_label,
                                         const uint8_t *service_label);

enum kube_service_type index_service_type(const struct index_service *v);
/// The service's own labels: pointers to length bytes.
const uint8_t *index_service_name(const struct index_service *v);
const uint8_t *index_service_namespace(const struct index_service *v);
/// Is there a Namespace object for it too? (Without one CoreDNS takes the service's name not to exist, but still
/// finds the service by address.)
bool index_service_namespace_exists(const struct index_service *v);
/// Cluster address `i` in the object's order; false when there are no more.
bool index_cluster_ip(const struct index_service *v, size_t i, struct kube_address *out);
/// External name as written, NUL-terminated text; NULL unless KUBE_EXTERNALNAME.
const char *index_external_name(const struct index_service *v);

/// A port as readers see it.
struct index_port {
    const uint8_t *name; ///< label with length byte; length 0 when unnamed
    uint16_t number;
    bool numbered;    ///< the object gives a number
    uint8_t protocol; ///< enum kube_protocol
};
/// Port `i` of the Service object; false when there are no more.
bool index_service_port(const struct index_service *v, size_t i, struct index_port *out);
/// Does the service have any ready endpoint? (ignore empty_service)
bool index_has_endpoints(const struct index_service *v);

/// A ready endpoint as readers see it.
struct index_endpoint {
    struct kube_address address;
    const uint8_t *hostname; ///< label with length byte; length 0 when none
    const uint8_t *pod_name; ///< likewise, only with store_options.pod_names and at most 63 bytes; may have dots in it
    const uint8_t *zone;     ///< likewise, only with store_options.zones, but up to 253 bytes
    bool canonical;          ///< see kube_endpoint
};
/// Walks slices: slice `i`'s number of endpoints and ports in `*nendpoints`, `*nports`; false when there are no more.
bool index_slice(const struct index_service *v, size_t i, size_t *nendpoints, size_t *nports);
void index_slice_endpoint(const struct index_service *v, size_t slice, size_t i, struct index_endpoint *out);
void index_slice_port(const struct index_service *v, size_t slice, size_t i, struct index_port *out);
/// The cluster that an imported slice comes from: a label with length byte, which may have dots in it; length 0: none.
const uint8_t *index_slice_cluster(const struct index_service *v, size_t slice);
/// True when an address can stand in two slices of this service (then answers are to be de-duplicated).
bool index_has_duplicates(const struct index_service *v);

/// The service whose cluster address this is; NULL if none.
const struct index_service *index_by_cluster_ip(const struct store *s, const struct kube_address *a);
/// A ready endpoint of an address: its place.
struct index_reverse {
    const uint8_t *namespace_label, *service_label; ///< also for slices without a Service object
    struct index_endpoint endpoint;
};
/// More pairs of one address than this may go unseen.
#define INDEX_REVERSE_MAX 4096
/// Walks the (service, endpoint) pairs of an address: `*cursor` starts at 0; false at the end.
bool index_by_endpoint_ip(const struct store *s, const struct kube_address *a, uint64_t *cursor,
                          struct index_reverse *out);
/// How many pods with this address are in the namespace (those on a host's network share its addresses); stops counting
/// at `most`.
size_t index_pods(const struct store *s, const uint8_t *namespace_label, const struct kube_address *a, size_t most);
