// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The kubernetes plugin's own header. A question goes: kubernetes.c (which zone, which type) → name.c (what the name
/// is made of) → find.c (what there is of it) → answers.c, external.c, reverse.c, apex.c (records).
/// Source of all behaviour: the Kubernetes DNS specification 1.1.0, and CoreDNS 1.15.0 where they differ.
#include "kube/index.h"
#include "kube/source.h"
#include <clusterdns/plugin.h>

enum pods_mode { PODS_DISABLED, PODS_INSECURE, PODS_VERIFIED };

struct zone {
    const uint8_t *name; ///< lower case
    uint8_t len, labels;
    bool reverse;      ///< at or below in-addr.arpa or ip6.arpa
    bool multicluster; ///< of imported services, and of no others
    bool passes;       ///< names in it may go on to the next plugin
};

#define LOCAL_MAX 64                           ///< addresses of the machine that are looked at
#define STARTUP_DEFAULT_NS INT64_C(5000000000) ///< of `startup_timeout`

/// An instance.
struct kubernetes {
    struct zone *zones;
    size_t nzones;
    const struct zone *primary; ///< the zone of PTR targets
    struct zone *fall;          ///< names in these go on to the next plugin instead of NXDOMAIN
    size_t nfall;
    const uint8_t *const *namespaces; ///< the only ones there are, if `namespaces_only`; labels
    size_t nnamespaces;
    bool namespaces_only, endpoint_pod_names, ignore_empty;
    enum pods_mode pods;
    uint32_t ttl; ///< seconds
    int64_t startup_timeout_ns;
    struct source_options from;
    struct source *source;
    const struct store *store;
    const struct placement *placement;
    struct kube_address local[LOCAL_MAX]; ///< of this machine, without loopback
    size_t nlocal;
};

// --- name.c

/// Bytes of a label, perhaps without its underscore; len 0: none.
struct part {
    const uint8_t *text;
    size_t len;
};

enum name_form {
    NAME_INVALID, ///< no name of the grammar
    NAME_EMPTY,   ///< exists, has no records: the apex, "svc", "pod"
    NAME_SERVICE, ///< [[_port._protocol.|endpoint.[cluster.]]service.]namespace.svc
    NAME_ZONAL,   ///< topology-zone.pin|prefer._zone.service.namespace.svc
    NAME_POD,     ///< […address.]namespace.pod
    NAME_SERVER,  ///< ns.dns
    NAME_VERSION, ///< dns-version
};

/// A name without its zone, taken apart. Labels point to their length bytes in the name; NULL: not there.
struct name_parts {
    enum name_form form;
    const uint8_t *ns, *service, *endpoint, *cluster;
    struct part port, protocol;
    const uint8_t *topology; ///< the topology zone's first label …
    unsigned ntopology;      ///< … and how many they are
    bool prefer;             ///< if it has no endpoints, all will do
};

/// Takes apart the first `labels` labels of a lower-case name. `zonal`: the option.
void name_parse(const uint8_t *name, unsigned labels, const struct zone *zone, bool zonal, struct name_parts *out);
/// Is this the name of a topology zone, as the index has it?
bool name_is_topology(const struct name_parts *r, const uint8_t *zone);
/// The most specific zone of `zones` that a lower-case name of `len` bytes is in, or NULL.
const struct zone *name_zone(const struct zone *zones, size_t n, const uint8_t *name, size_t len);
/// Writes `labels` (at least one) and `rest` to `out` (NAME_MAX_WIRE bytes); dots inside of a label part it. Returns
/// the length; 0: too long to be a name.
size_t name_compose(const uint8_t *const *labels, size_t n, const uint8_t *rest, uint8_t *out);
/// Writes the label that stands for an address, "10-0-0-1" or "fd00-1--0" (64 bytes).
void name_address_label(const struct kube_address *a, uint8_t *label);
/// The address that a label stands for. False: none.
bool name_label_address(const uint8_t *label, struct kube_address *out);
/// The address of a pod's name. CoreDNS is less strict there than with endpoints.
bool name_pod_address(const uint8_t *label, struct kube_address *out, bool *canonical);

// --- find.c

enum found {
    FOUND_NOTHING,   ///< no such name
    FOUND_EMPTY,     ///< a name without records
    FOUND_POD,       ///< an address
    FOUND_CLUSTER,   ///< a service's cluster addresses
    FOUND_ENDPOINTS, ///< a service's endpoints, all or those of a label
    FOUND_EXTERNAL,  ///< a service that is another name
    FOUND_SERVER,    ///< this server's own addresses
};

struct match {
    enum found found;
    struct name_parts r;
    const struct zone *zone;
    const struct index_service *service; ///< of a multicluster zone: the imported one
    struct kube_address address;         ///< the pod's; of an endpoint's label
};

/// What there is of a name whose first `labels` labels stand before the zone.
void find(const struct kubernetes *k, const struct zone *zone, const uint8_t *name, unsigned labels, struct match *m);
/// May names of this namespace be shown, going by the option?
bool namespace_configured(const struct kubernetes *k, const uint8_t *label);

/// A walk over the endpoints of FOUND_ENDPOINTS that the name means; each has at least one port that it means.
struct walk {
    const struct kubernetes *k;
    const struct match *m;
    size_t slice, next, nendpoints, nports, matching;
};
struct walk walk_start(const struct kubernetes *k, const struct match *m);
bool walk_next(struct walk *w, struct index_endpoint *e);
/// Ports that the name means, of the slice of the endpoint that walk_next() gave; `*i` starts at 0. A slice without
/// ports has one without a number, which gets no SRV.
bool walk_port(const struct walk *w, size_t *i, struct index_port *port);
/// The same for the ports of FOUND_CLUSTER.
bool service_port(const struct match *m, size_t *i, struct index_port *port);
/// The cluster that the endpoint is of that walk_next() gave: a label, which may have dots in it; length 0: none.
const uint8_t *walk_cluster(const struct walk *w);
/// The label of an endpoint: its hostname, its pod's name, or its address; written to `room` (64 bytes) if need be.
const uint8_t *endpoint_label(const struct kubernetes *k, const struct index_endpoint *e, uint8_t *room);

// --- section.c

#define RECORDS_MAX 4096 ///< of a section: more would not fit into a message

/// A section being filled.
struct section {
    struct query *q;
    struct records *set;
    uint32_t ttl;
    bool unique;     ///< records that stand in it already are passed over
    uint16_t *slots; ///< hash table of record numbers + 1, if unique; NULL: not made yet
    uint32_t cap;    ///< slots
};

/// Copies owner (unless it is `q`'s own) and rdata into the arena and adds the record. CDNS_ENOMEM; CDNS_ENOSPC: full.
int section_add(struct section *s, const uint8_t *owner, uint16_t type, const uint8_t *rdata,
                uint16_t rdlen) CDNS_MUSTCHECK;
int section_add_address(struct section *s, const uint8_t *owner, const struct kube_address *a) CDNS_MUSTCHECK;

// --- answers

/// A question on its way through the plugin.
struct ask {
    const struct kubernetes *k;
    struct query *q;
    const struct zone *zone;
    const uint8_t *zone_asked; ///< as it stands in the question
    unsigned labels;           ///< before the zone
};

/// Has the index what there is of the zone, so that what it does not have is not there either?
bool zone_known(const struct kubernetes *k, const struct zone *zone);
/// Ends the way in: NXDOMAIN (or what stands for it) if `found` is FOUND_NOTHING, else the records that were added, or
/// NODATA. `error`: what adding them came to.
enum verdict finish(const struct ask *a, enum found found, int error);

enum verdict answer_address(const struct ask *a); ///< A, AAAA
enum verdict answer_srv(const struct ask *a);
enum verdict answer_txt(const struct ask *a);
enum verdict answer_cname(const struct ask *a);
enum verdict answer_other(const struct ask *a); ///< types that no name has
/// Adds addresses of the question's type that a match (not FOUND_EXTERNAL) has, as records of `owner`.
int add_addresses(const struct ask *a, const struct match *m, const uint8_t *owner) CDNS_MUSTCHECK;

/// A, AAAA at a service that is another name: follows it. external.c
enum verdict answer_external(const struct ask *a, const struct match *m);
/// Fails the query: FOUND_EXTERNAL whose name is none.
enum verdict bad_external_name(const struct ask *a, const struct match *m);

enum verdict answer_ptr(const struct ask *a); ///< reverse.c
/// Has the address a PTR record?
bool reverse_found(const struct kubernetes *k, const struct kube_address *ip);

/// The interface for other plugins: has_name.c
extern const struct plugin_interface kubernetes_provides[];

enum verdict answer_soa(const struct ask *a); ///< apex.c
enum verdict answer_ns(const struct ask *a);
/// Adds the zone's SOA to a section.
int add_soa(const struct ask *a, struct records *set) CDNS_MUSTCHECK;
/// The addresses of ns.dns. apex.c
int add_server_addresses(const struct ask *a, const uint8_t *owner) CDNS_MUSTCHECK;

// --- zones.c

/// Zones of arguments as config_zones() gives them, in c->arena. Errors are recorded.
int zones_read(struct config *c, const struct token *args, size_t n, struct zone **zones,
               size_t *nzones) CDNS_MUSTCHECK;
/// Marks the zones of directive `d` that are at or below one of those that `option`, its line `multicluster ZONES…`,
/// names. Each of these has to be one of the directive's.
int zones_mark_multicluster(struct config *c, struct kubernetes *k, const struct directive *d,
                            const struct directive *option) CDNS_MUSTCHECK;

// --- setup.c, start.c

/// Records that memory is short.
static inline int no_memory(struct config *c)
{
    return config_plain_errorf(c, NULL, "%s", error_text(CDNS_ENOMEM));
}
int kubernetes_setup(struct config *c, void **self);
int kubernetes_start(void *self, const struct plugin_start *s);
void kubernetes_destroy(void *self);
bool kubernetes_ready(void *self);
