// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The objects of a cluster as they were read, with what is needed to find them by name and by address. It shares no
/// code with the server's own store and index: answers are checked by it. Private to cluster*.c.
#include "dnsbench/cluster.h"
#include "kube/object.h"
#include <clusterdns/arena.h>
#include <clusterdns/name.h>

/// What every object begins with.
struct named {
    const char *namespace_, *name; ///< namespace_ "": of a Namespace
};

/// An open-addressed table of objects by name.
struct named_table {
    struct named **at;
    size_t n, room; ///< room: a power of two, or 0
};

struct endpoint {
    struct kube_address address;
    bool canonical;
    const char *hostname; ///< "" when it has none
};

struct slice {
    struct named named;
    struct slice *next;         ///< of the same Service
    const char *service;        ///< "" when it says none
    struct endpoint *endpoints; ///< the ready ones
    size_t nendpoints;
    const struct kube_port *ports;
    size_t nports;
};

struct service {
    struct named named;
    struct kube_service is; ///< its pointers lead to copies
    struct slice *slices;
};

struct pod {
    struct named named;
    const struct kube_address *ips;
    size_t nips;
};

/// Who has an address: a Service or an endpoint of a slice.
struct holder {
    const struct kube_address *address;
    const struct service *service; ///< NULL: an endpoint
    const struct slice *slice;
    const struct endpoint *endpoint;
};

/// A pod's address in its namespace.
struct pod_address {
    const char *namespace_;
    const struct kube_address *address;
};

struct cluster {
    struct arena *arena;
    uint8_t zone[NAME_MAX_WIRE];
    struct named_table namespaces, services, slices, pods;
    struct holder *holders; ///< sorted by address
    size_t nholders;
    struct pod_address *pod_addresses; ///< sorted by address, then namespace
    size_t npod_addresses;
};

/// Takes a copy of an object; one that was there under its name is replaced. CDNS_ENOMEM.
int cluster_take(struct cluster *c, const struct kube_object *object) CDNS_MUSTCHECK;
/// Takes all objects of o->kubeconfig's API. As cluster_read().
int cluster_list(struct cluster *c, const struct options *o, char *error) CDNS_MUSTCHECK;

/// NULL: there is none.
struct named *named_find(const struct named_table *table, const char *namespace_, const char *name);
/// The holders of an address, `*n` of them, side by side.
const struct holder *cluster_holders(const struct cluster *c, const struct kube_address *address, size_t *n);
/// Has a pod of this namespace that address?
bool cluster_has_pod(const struct cluster *c, const char *namespace_, const struct kube_address *address);

#define ADDRESS_LABEL_MAX 48 ///< bytes of an address as a label, NUL included
/// The label that stands for an address: "10-0-0-1", "fd00--1". `endpoint`: one that would end in a dash gets a zero
/// there, as endpoints' names do and pods' do not. Returns `out`.
const char *cluster_address_label(const struct kube_address *address, bool endpoint, char out[ADDRESS_LABEL_MAX]);
/// Reads such a label, exactly as it is written. False: it is none.
bool cluster_label_address(const char *label, bool endpoint, struct kube_address *out);
/// The label that an endpoint has: its hostname, or its address. `out` is perhaps used; the text or `out`.
const char *cluster_endpoint_label(const struct endpoint *e, char out[ADDRESS_LABEL_MAX]);
/// Writes the name of `n` labels, and then those of the zone if `zone`, in wire form to `out` (NAME_MAX_WIRE bytes).
/// Returns its length; 0: it would be too long, or a label is no label.
size_t cluster_name(const struct cluster *c, unsigned n, const char *const labels[], bool zone, uint8_t *out);
/// "tcp", "udp", "sctp".
const char *cluster_protocol(enum kube_protocol protocol);
