// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Kubernetes objects reduced to what DNS needs: what decoders (of JSON and protobuf) make and the store takes. All
/// text is borrowed: valid until the function that was given the object returns. Kube thread.
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum kube_kind {
    KUBE_NAMESPACE,
    KUBE_SERVICE,
    KUBE_ENDPOINTSLICE,
    KUBE_POD,
    KUBE_SERVICE_IMPORT, ///< multicluster.x-k8s.io ServiceImport
    KUBE_IMPORTED_SLICE, ///< an EndpointSlice with the label multicluster.kubernetes.io/service-name
    KUBE_KINDS
};

/// An IPv4 (len 4) or IPv6 (len 16) address in network order.
struct kube_address {
    uint8_t bytes[16];
    uint8_t len;
};

enum kube_protocol { KUBE_TCP, KUBE_UDP, KUBE_SCTP };

#define KUBE_NO_PORT (-1)

/// A port of a Service (core/v1 ServicePort) or an EndpointSlice (discovery/v1 EndpointPort).
struct kube_port {
    const char *name; ///< "" when unnamed
    int32_t number;   ///< KUBE_NO_PORT: none is given (an EndpointPort that stands for all ports). Those of slices are
                      ///< what anybody wrote, as the API server does not look at them
    enum kube_protocol protocol;
};

enum kube_service_type { KUBE_CLUSTERIP, KUBE_HEADLESS, KUBE_EXTERNALNAME };

/// core/v1 Service: NodePort and LoadBalancer count as KUBE_CLUSTERIP; HEADLESS is clusterIP "None". Or a
/// ServiceImport: ClusterSetIP is KUBE_CLUSTERIP, with `spec.ips`.
struct kube_service {
    enum kube_service_type type;
    const struct kube_address *cluster_ips; ///< clusterIPs (clusterIP when that is all there is), in their order
    size_t ncluster_ips;
    const char *external_name; ///< of KUBE_EXTERNALNAME, as written; else NULL
    const struct kube_port *ports;
    size_t nports;
};

/// An address of an endpoint of a discovery/v1 EndpointSlice; an endpoint with several addresses gives several.
struct kube_endpoint {
    struct kube_address address;
    bool canonical;       ///< the text was in canonical form (an IPv6 address that is not gets no PTR in CoreDNS)
    bool ready;           ///< conditions.ready is true or absent
    const char *hostname; ///< "" when absent
    const char *pod_name; ///< targetRef.name, "" when absent
    const char *zone;     ///< topology zone as written, "" when absent
};

struct kube_slice {
    const char *service;  ///< label kubernetes.io/service-name; of an imported slice
                          ///< multicluster.kubernetes.io/service-name; "" when absent
    const char *cluster;  ///< label multicluster.kubernetes.io/source-cluster; "" when absent
    int64_t triggered_ns; ///< annotation endpoints.kubernetes.io/last-change-trigger-time, Unix time; 0: absent
    const struct kube_endpoint *endpoints;
    size_t nendpoints;
    const struct kube_port *ports;
    size_t nports;
};

struct kube_pod {
    const struct kube_address *ips; ///< status.podIPs (podIP when that is all there is)
    size_t nips;
    bool terminated; ///< phase Succeeded, Failed or Unknown
    bool deleting;   ///< deletionTimestamp is set
};

/// One object. Names are checked by the decoder to be at most 63 bytes where they become labels (253 for slices, pods).
struct kube_object {
    enum kube_kind kind;
    const char *namespace_; ///< "" for a Namespace
    const char *name;
    union {
        struct kube_service service; ///< KUBE_SERVICE, KUBE_SERVICE_IMPORT
        struct kube_slice slice;     ///< KUBE_ENDPOINTSLICE, KUBE_IMPORTED_SLICE
        struct kube_pod pod;
    };
};
