// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What the store keeps and readers see, in bytes. Nodes (namespace, service) are stable; everything else is one
/// allocation that never changes once it is published, and is replaced whole. Private to store and index.
#include "kube/index.h"
#include "kube/object.h"
#include "kube/store.h"
#include "kube/table.h"
#include <string.h>

/// A label is a length byte and as many bytes, lower case. In a text blob it stands at an even place, and a reference
/// to it is half of that plus one; 0: there is none.
typedef uint16_t label_ref;
#define TEXT_UNITS_MAX 65534 ///< a blob's length in units of two bytes

struct namespace_node {
    uint32_t users;      ///< service nodes and pods in it
    uint32_t generation; ///< relist mark
    bool exists;         ///< RCU; there is a Namespace object
    uint8_t label[];
};

/// Stands as long as there is a Service object (of an imported one: a ServiceImport) or a slice that names it. Only the
/// writer looks at bit fields.
struct service_node {
    struct index_service *view; ///< RCU; not NULL once the node is published
    struct namespace_node *ns;
    uint32_t generation : 31, imported : 1;
    uint8_t label[];
};
#define GENERATION_MASK 0x7fffffffu ///< of what a node keeps of a generation

struct fact_port {
    uint16_t number;
    label_ref name;
    uint8_t protocol;
    bool numbered; ///< the object gives a number
};

#define TYPE_NONE 255 ///< slices without a Service object

/// A service's view. Behind `slices`: ports, addresses (a length byte and the bytes, each), text.
struct index_service {
    struct service_node *node;
    uint16_t nslices, nports, text_units;
    uint8_t nips, type;
    struct slice *slices[];
};

/// A ready endpoint of an IPv4 address, and of an IPv6 one, whose text was in canonical form (kube_endpoint) or not.
struct endpoint4 {
    uint8_t address[4];
    label_ref hostname, pod_name;
};
struct endpoint6 {
    uint8_t address[16];
    label_ref hostname, pod_name;
    uint16_t canonical;
};

/// A slice's ready endpoints. Behind it: IPv4 endpoints, IPv6 endpoints, ports, a topology zone for each endpoint (if
/// `zones`), text. Endpoint i is the i-th of both families together. Readers do not look at `generation`; `id` is
/// store_identity()'s.
struct slice {
    struct service_node *service;
    uint64_t id[2];
    uint32_t generation;
    uint16_t n4, n6, nports, text_units;
    bool duplicates;   ///< an address may stand in it twice
    bool zones;        ///< an endpoint has one
    label_ref cluster; ///< an imported slice's cluster
};

/// A pod's addresses, each a length byte and the bytes. `id` and `generation` as a slice's.
struct pod {
    struct namespace_node *ns;
    uint64_t id[2];
    uint32_t generation;
    uint16_t len; ///< bytes of `ips`
    uint8_t ips[];
};

#define RETIRED_MAX 1024 ///< allocations that wait for one grace period

struct store {
    struct store_options options;
    struct table names;        ///< namespace_node, service_node, which of them in the low bits; high: hash bits
    struct table endpoints;    ///< slice by address, high: which endpoint
    struct table cluster_ips;  ///< view by address; high: where in its list
    struct table pod_ips;      ///< pod by address and namespace; likewise
    struct table slices, pods; ///< by identity; writer only
    uint32_t serial;           ///< RCU
    uint32_t imports_serial;   ///< RCU
    bool synced;               ///< RCU
    bool imports_synced;       ///< RCU
    uint32_t generation[KUBE_KINDS];
    struct store_stats stats; ///< `bytes`: without tables
    void *scratch;            ///< where objects are built before they are compared and copied
    size_t scratch_size;
    size_t nretired;
    void *retired[RETIRED_MAX]; ///< unpublished, perhaps still being read
};

enum name_kind { NAME_SERVICE, NAME_NAMESPACE, NAME_IMPORT };

static inline bool label_equal(const uint8_t *a, const uint8_t *b)
{
    return a[0] == b[0] && memcmp(a + 1, b + 1, a[0]) == 0;
}

static inline const struct endpoint4 *slice_endpoints4(const struct slice *s)
{
    return (const struct endpoint4 *)(s + 1);
}
static inline const struct endpoint6 *slice_endpoints6(const struct slice *s)
{
    return (const struct endpoint6 *)(slice_endpoints4(s) + s->n4);
}
static inline const struct fact_port *slice_ports(const struct slice *s)
{
    return (const struct fact_port *)(slice_endpoints6(s) + s->n6);
}
static inline const label_ref *slice_zones(const struct slice *s)
{
    return (const label_ref *)(slice_ports(s) + s->nports);
}
static inline const uint8_t *slice_text(const struct slice *s)
{
    return (const uint8_t *)(slice_zones(s) + (s->zones ? (size_t)s->n4 + s->n6 : 0));
}
/// Bytes of the whole allocation.
static inline size_t slice_size(const struct slice *s)
{
    return (size_t)(slice_text(s) - (const uint8_t *)s) + 2u * s->text_units;
}
/// Address bytes of endpoint `i`; their number in `*len`.
static inline const uint8_t *slice_address(const struct slice *s, size_t i, size_t *len)
{
    if (i < s->n4) {
        *len = 4;
        return slice_endpoints4(s)[i].address;
    }
    *len = 16;
    return slice_endpoints6(s)[i - s->n4].address;
}
/// Have endpoint `i` of one slice and `j` of another the same address?
static inline bool slice_same_address(const struct slice *a, size_t i, const struct slice *b, size_t j)
{
    size_t len, len2;
    const uint8_t *p = slice_address(a, i, &len), *q = slice_address(b, j, &len2);
    return len == len2 && memcmp(p, q, len) == 0;
}

static inline const struct fact_port *view_ports(const struct index_service *v)
{
    return (const struct fact_port *)(v->slices + v->nslices);
}
static inline const uint8_t *view_ips(const struct index_service *v)
{
    return (const uint8_t *)(view_ports(v) + v->nports);
}
static inline const uint8_t *view_text(const struct index_service *v)
{
    const uint8_t *p = view_ips(v);
    for (unsigned i = 0; i < v->nips; i++)
        p += 1 + p[0];
    return p;
}
/// Bytes of ports, addresses and text.
static inline size_t view_body_size(const struct index_service *v)
{
    return (size_t)(view_text(v) - (const uint8_t *)view_ports(v)) + 2u * v->text_units;
}
/// Where the address `ip` (length byte and bytes) stands in the view's list, or NULL.
static inline const uint8_t *view_find_ip(const struct index_service *v, const uint8_t *ip)
{
    const uint8_t *p = view_ips(v);
    for (unsigned i = 0; i < v->nips; i++, p += 1 + p[0])
        if (label_equal(p, ip))
            return p;
    return NULL;
}

// --- index.c: look-ups
/// Hashes of what readers look up. Labels, and `ip`, point to their length bytes.
uint64_t hash_namespace(const uint8_t *ns);
uint64_t hash_service(const uint8_t *ns, const uint8_t *service);
uint64_t hash_address(const uint8_t *bytes, size_t len);
uint64_t hash_pod_ip(const uint8_t *ns, const uint8_t *ip);

/// Namespace or service node of these labels, or NULL. `kind` is NAME_SERVICE or NAME_IMPORT.
struct namespace_node *find_namespace(const struct store *s, const uint8_t *ns, struct table_cursor *at);
struct service_node *find_service(const struct store *s, enum name_kind kind, const uint8_t *ns, const uint8_t *service,
                                  struct table_cursor *at);

// --- pack.c: objects to bytes, in a buffer of the bound's size, without anything that another object decides
/// Writes a Namespace's or Service's name as a label (64 bytes); CDNS_EINVAL: it is none.
int pack_name(const char *text, uint8_t *label) CDNS_MUSTCHECK;
size_t pack_service_bound(const struct kube_service *service);
/// A view without node and slices. `name` is for the log.
void pack_service(const struct kube_service *service, const char *name, struct index_service *out);
/// Of a KUBE_ENDPOINTSLICE or KUBE_IMPORTED_SLICE.
size_t pack_slice_bound(const struct kube_object *o, const struct store_options *options);
/// A slice without service, id and generation; only ready endpoints.
void pack_slice(const struct kube_object *o, const struct store_options *options, struct slice *out);

// --- reverse.c: tables of addresses; room must be reserved
/// Takes addresses of `old` that `new` has not (all, if NULL) out of the table.
void reverse_remove(struct store *s, const struct slice *old, const struct slice *new_);
/// Puts the addresses of `new` into the table, in place of `old`'s (or NULL) where they are the same.
void reverse_put(struct store *s, const struct slice *old, const struct slice *new_);
/// The same for cluster addresses of views.
void reverse_remove_cluster_ips(struct store *s, const struct index_service *old, const struct index_service *new_);
void reverse_put_cluster_ips(struct store *s, const struct index_service *old, const struct index_service *new_);
void reverse_put_pod(struct store *s, const struct pod *pod);
void reverse_remove_pod(struct store *s, const struct pod *pod);
/// Hashes of words, for the tables.
uint64_t reverse_hash_endpoint(uint64_t word);
uint64_t reverse_hash_cluster_ip(uint64_t word);
uint64_t reverse_hash_pod(uint64_t word);

// --- store.c: memory
/// `size` bytes that the statistics count; NULL when memory is short.
void *store_alloc(struct store *s, size_t size);
void store_release(struct store *s, void *p);
/// Frees what is no longer published once its readers are gone. May wait for them.
void store_retire(struct store *s, void *p);
/// `size` bytes until the next call; NULL when memory is short.
void *store_scratch(struct store *s, size_t size);
/// Notes that something of this kind that DNS can show has changed.
void store_changed(struct store *s, enum kube_kind kind);
/// Identity of an object. CDNS_EINVAL: the name is too long to be one.
int store_identity(enum kube_kind kind, const uint8_t *ns, const char *name, uint64_t id[2]) CDNS_MUSTCHECK;
/// The node of a namespace, which is made if there is none; NULL when memory is short. Room for it was reserved.
struct namespace_node *namespace_get(struct store *s, const uint8_t *ns);
/// Removes the node if nothing is in it any more.
void namespace_drop_unused(struct store *s, struct namespace_node *n);

// --- services.c: services and their slices, imported ones too
int service_upsert(struct store *s, const struct kube_object *o, const uint8_t *ns, const uint8_t *name) CDNS_MUSTCHECK;
/// Takes the Service or ServiceImport object away; its slices stay.
void service_delete(struct store *s, struct service_node *n);
int slice_upsert(struct store *s, const struct kube_object *o, const uint8_t *ns) CDNS_MUSTCHECK;
void slice_delete(struct store *s, struct slice *slice);
struct slice *find_slice(const struct store *s, const uint64_t id[2], struct table_cursor *at);
