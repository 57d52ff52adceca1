// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// An object in the making. Decoders of every format hand in what they read, in any order; here is decided what of it
/// makes sense, so that all formats give equal objects. Texts are NUL-terminated and borrowed; NULL or "": absent.
/// Private to the decoders. Pure.
#include "kube/object.h"
#include <clusterdns/arena.h>
#include <clusterdns/error.h>

/// Stands for a value that is there but can be no text here (another JSON type, a NUL byte inside): no check lets it
/// pass.
extern const char draft_no_text[];

/// Labels and the annotation that are looked at.
#define LABEL_SERVICE "kubernetes.io/service-name"
#define LABEL_IMPORTED "multicluster.kubernetes.io/service-name"
#define LABEL_CLUSTER "multicluster.kubernetes.io/source-cluster"
#define ANNOTATION_TRIGGERED "endpoints.kubernetes.io/last-change-trigger-time"

#define DRAFT_NO_NUMBER INT64_MIN ///< draft_port.number of what is no whole number

/// A port as it was read.
struct draft_port {
    const char *name, *protocol;
    bool numbered;  ///< there is a number
    int64_t number; ///< DRAFT_NO_NUMBER: what is there is none
};

/// What the addresses of one endpoint share, as it was read.
struct draft_endpoint {
    const char *hostname, *zone;
    const char *target; ///< targetRef.name
    bool unready;       ///< conditions.ready is false
};

/// An array that grows in the arena.
struct draft_array {
    void *items;
    size_t n, cap;
};

/// Decoders set the fields of the first part.
struct draft {
    const char *name, *namespace_;
    const char *service;       ///< the label that draft_service_label() names
    const char *cluster;       ///< LABEL_CLUSTER
    const char *triggered;     ///< ANNOTATION_TRIGGERED
    const char *type;          ///< of a Service or ServiceImport
    const char *external_name; ///< of a Service
    const char *address;       ///< a Service's clusterIP, a Pod's podIP
    const char *address_type;  ///< of an EndpointSlice
    const char *phase;         ///< of a Pod
    bool deleting;             ///< there is a deletionTimestamp

    enum kube_kind kind;
    struct arena *arena;
    struct draft_array ports, addresses, endpoints; ///< what was good of them
    bool listed;                                    ///< the list of addresses is not empty
    bool headless;                                  ///< its first one is "None"
    bool failed;                                    ///< memory was short
};

/// A draft of an object of `kind`, arrays in `a`.
struct draft draft_init(enum kube_kind kind, struct arena *a);
/// The label that says which service an EndpointSlice belongs to.
const char *draft_service_label(const struct draft *d);
/// A port; an absurd one is left out.
void draft_port(struct draft *d, const struct draft_port *port);
/// An element of a Service's clusterIPs, a ServiceImport's ips or a Pod's podIPs; one that is no address is left out.
void draft_address(struct draft *d, const char *text);
/// An address of an endpoint, likewise.
void draft_endpoint_address(struct draft *d, const char *text);
/// What the endpoint's addresses share, which were given since there were `first` in `d->endpoints`.
void draft_endpoint_end(struct draft *d, size_t first, const struct draft_endpoint *endpoint);
/// The object. CDNS_EINVAL with a reason in `error`: it has no usable name or namespace, CDNS_ENOMEM: it is too large.
int draft_finish(struct draft *d, struct kube_object *out, char *error, size_t error_size) CDNS_MUSTCHECK;
