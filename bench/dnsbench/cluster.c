// SPDX-License-Identifier: Apache-2.0
#include "dnsbench/cluster.h"

#include "dnsbench/cluster_objects.h"
#include "kube/decode.h"
#include "kube/manifests.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int refuse(char *error, const char *what, const char *why)
{
    snprintf(error, CLUSTER_ERROR_MAX, "%.500s: %s", what, why);
    return CDNS_ECONFIG;
}

// --- tables by name

// FNV-1a, not keyed: the order in a table is that of a seed's questions.
static size_t home(const struct named_table *table, const char *namespace_, const char *name)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (const char *p = namespace_; *p != '\0'; p++)
        h = (h ^ (uint8_t)*p) * UINT64_C(0x100000001b3);
    h = (h ^ '/') * UINT64_C(0x100000001b3);
    for (const char *p = name; *p != '\0'; p++)
        h = (h ^ (uint8_t)*p) * UINT64_C(0x100000001b3);
    return (size_t)h & (table->room - 1);
}

// The place of that name, or the empty one where it belongs. The table has room.
static struct named **place(const struct named_table *table, const char *namespace_, const char *name)
{
    size_t i = home(table, namespace_, name);
    while (table->at[i] != NULL &&
           (strcmp(table->at[i]->name, name) != 0 || strcmp(table->at[i]->namespace_, namespace_) != 0))
        i = (i + 1) & (table->room - 1);
    return &table->at[i];
}

struct named *named_find(const struct named_table *table, const char *namespace_, const char *name)
{
    return table->room > 0 ? *place(table, namespace_, name) : NULL;
}

static int grow(struct named_table *table)
{
    struct named_table larger = {.n = table->n, .room = table->room > 0 ? 2 * table->room : 256};
    larger.at = calloc(larger.room, sizeof(struct named *));
    if (larger.at == NULL)
        return CDNS_ENOMEM;
    for (size_t i = 0; i < table->room; i++)
        if (table->at[i] != NULL)
            *place(&larger, table->at[i]->namespace_, table->at[i]->name) = table->at[i];
    free(table->at);
    *table = larger;
    return 0;
}

static int put(struct named_table *table, struct named *object)
{
    if (4 * table->n >= 3 * table->room && grow(table) != 0)
        return CDNS_ENOMEM;
    struct named **at = place(table, object->namespace_, object->name);
    table->n += *at == NULL;
    *at = object;
    return 0;
}

// --- copies

// Memory short in one of them is seen at the end: `*failed`.
static char *copy_text(struct arena *a, const char *text, bool *failed)
{
    char *copy = arena_strndup(a, text, strlen(text));
    *failed |= copy == NULL;
    return copy;
}

static void *copy_array(struct arena *a, const void *items, size_t n, size_t size, bool *failed)
{
    if (n == 0)
        return NULL;
    void *copy = arena_memdup(a, items, n * size);
    *failed |= copy == NULL;
    return copy;
}

static struct kube_port *copy_ports(struct arena *a, const struct kube_port *ports, size_t n, bool *failed)
{
    struct kube_port *copy = copy_array(a, ports, n, sizeof *ports, failed);
    for (size_t i = 0; copy != NULL && i < n; i++)
        copy[i].name = copy_text(a, ports[i].name, failed);
    return copy;
}

static struct named named_of(struct arena *a, const struct kube_object *object, bool *failed)
{
    return (struct named){copy_text(a, object->namespace_, failed), copy_text(a, object->name, failed)};
}

static int take_namespace(struct cluster *c, const char *name)
{
    bool failed = false;
    if (named_find(&c->namespaces, "", name) != NULL)
        return 0;
    struct named *out = arena_alloc(c->arena, sizeof *out);
    if (out == NULL)
        return CDNS_ENOMEM;
    *out = (struct named){"", copy_text(c->arena, name, &failed)};
    return failed ? CDNS_ENOMEM : put(&c->namespaces, out);
}

static int take_service(struct cluster *c, const struct kube_object *object)
{
    bool failed = false;
    const struct kube_service *in = &object->service;
    struct service *out = arena_calloc(c->arena, 1, sizeof *out);
    if (out == NULL)
        return CDNS_ENOMEM;
    out->named = named_of(c->arena, object, &failed);
    out->is = *in;
    out->is.cluster_ips = copy_array(c->arena, in->cluster_ips, in->ncluster_ips, sizeof *in->cluster_ips, &failed);
    out->is.ports = copy_ports(c->arena, in->ports, in->nports, &failed);
    if (in->external_name != NULL)
        out->is.external_name = copy_text(c->arena, in->external_name, &failed);
    return failed ? CDNS_ENOMEM : put(&c->services, &out->named);
}

static int take_slice(struct cluster *c, const struct kube_object *object)
{
    bool failed = false;
    const struct kube_slice *in = &object->slice;
    struct slice *out = arena_calloc(c->arena, 1, sizeof *out);
    struct endpoint *endpoints = arena_calloc(c->arena, in->nendpoints, sizeof *endpoints);
    if (out == NULL || endpoints == NULL)
        return CDNS_ENOMEM;
    out->named = named_of(c->arena, object, &failed);
    out->service = copy_text(c->arena, in->service, &failed);
    out->ports = copy_ports(c->arena, in->ports, in->nports, &failed);
    out->nports = in->nports;
    out->endpoints = endpoints;
    for (size_t i = 0; i < in->nendpoints; i++) {
        const struct kube_endpoint *e = &in->endpoints[i];
        if (e->ready)
            endpoints[out->nendpoints++] =
                (struct endpoint){.address = e->address,
                                  .canonical = e->canonical,
                                  .hostname = e->hostname[0] != '\0' ? copy_text(c->arena, e->hostname, &failed) : ""};
    }
    return failed ? CDNS_ENOMEM : put(&c->slices, &out->named);
}

// A pod that has ended keeps its addresses, which are others' by then.
static int take_pod(struct cluster *c, const struct kube_object *object)
{
    bool failed = false, gone = object->pod.terminated || object->pod.deleting;
    struct pod *out = arena_calloc(c->arena, 1, sizeof *out);
    if (out == NULL)
        return CDNS_ENOMEM;
    out->named = named_of(c->arena, object, &failed);
    out->nips = gone ? 0 : object->pod.nips;
    out->ips = copy_array(c->arena, object->pod.ips, out->nips, sizeof *out->ips, &failed);
    return failed ? CDNS_ENOMEM : put(&c->pods, &out->named);
}

int cluster_take(struct cluster *c, const struct kube_object *object)
{
    switch (object->kind) {
    case KUBE_NAMESPACE:
        return take_namespace(c, object->name);
    case KUBE_SERVICE:
        return take_service(c, object);
    case KUBE_ENDPOINTSLICE:
        return take_slice(c, object);
    case KUBE_POD:
        return take_pod(c, object);
    default: // of other clusters
        return 0;
    }
}

// --- by address

static int compare_addresses(const struct kube_address *a, const struct kube_address *b)
{
    return a->len != b->len ? (a->len > b->len) - (a->len < b->len) : memcmp(a->bytes, b->bytes, a->len);
}

static int compare_holders(const void *a, const void *b)
{
    const struct holder *x = a, *y = b;
    return compare_addresses(x->address, y->address);
}

static int compare_pods(const void *a, const void *b)
{
    const struct pod_address *x = a, *y = b;
    int by_address = compare_addresses(x->address, y->address);
    return by_address != 0 ? by_address : strcmp(x->namespace_, y->namespace_);
}

const struct holder *cluster_holders(const struct cluster *c, const struct kube_address *address, size_t *n)
{
    const struct holder wanted = {.address = address}, *end = c->holders + c->nholders;
    const struct holder *first =
        c->nholders > 0 ? bsearch(&wanted, c->holders, c->nholders, sizeof *first, compare_holders) : NULL;
    *n = 0;
    if (first == NULL)
        return NULL;
    while (first > c->holders && compare_addresses(first[-1].address, address) == 0)
        first--;
    while (first + *n < end && compare_addresses(first[*n].address, address) == 0)
        ++*n;
    return first;
}

bool cluster_has_pod(const struct cluster *c, const char *namespace_, const struct kube_address *address)
{
    const struct pod_address wanted = {namespace_, address};
    return c->npod_addresses > 0 &&
           bsearch(&wanted, c->pod_addresses, c->npod_addresses, sizeof wanted, compare_pods) != NULL;
}

// --- what goes together

// The n-th object that a table has room for; NULL: nothing is there.
#define AT(table, i) ((void *)(table).at[i])

static size_t count_addresses(const struct cluster *c)
{
    size_t n = 0;
    for (size_t i = 0; i < c->services.room; i++) {
        const struct service *s = AT(c->services, i);
        n += s != NULL ? s->is.ncluster_ips : 0;
    }
    for (size_t i = 0; i < c->slices.room; i++) {
        const struct slice *s = AT(c->slices, i);
        n += s != NULL ? s->nendpoints : 0;
    }
    return n;
}

static int join_slices(struct cluster *c)
{
    c->holders = calloc(count_addresses(c) + 1, sizeof *c->holders);
    if (c->holders == NULL)
        return CDNS_ENOMEM;
    for (size_t i = 0; i < c->services.room; i++) {
        const struct service *s = AT(c->services, i);
        for (size_t j = 0; s != NULL && j < s->is.ncluster_ips; j++)
            c->holders[c->nholders++] = (struct holder){.address = &s->is.cluster_ips[j], .service = s};
    }
    for (size_t i = 0; i < c->slices.room; i++) {
        struct slice *s = AT(c->slices, i);
        if (s == NULL)
            continue;
        struct service *of = (struct service *)named_find(&c->services, s->named.namespace_, s->service);
        if (of != NULL) {
            s->next = of->slices;
            of->slices = s;
        }
        for (size_t j = 0; j < s->nendpoints; j++)
            c->holders[c->nholders++] =
                (struct holder){.address = &s->endpoints[j].address, .slice = s, .endpoint = &s->endpoints[j]};
    }
    qsort(c->holders, c->nholders, sizeof *c->holders, compare_holders);
    return 0;
}

static int join_pods(struct cluster *c)
{
    size_t n = 0;
    for (size_t i = 0; i < c->pods.room; i++) {
        const struct pod *pod = AT(c->pods, i);
        n += pod != NULL ? pod->nips : 0;
    }
    c->pod_addresses = calloc(n + 1, sizeof *c->pod_addresses);
    if (c->pod_addresses == NULL)
        return CDNS_ENOMEM;
    for (size_t i = 0; i < c->pods.room; i++) {
        const struct pod *pod = AT(c->pods, i);
        for (size_t j = 0; pod != NULL && j < pod->nips; j++)
            c->pod_addresses[c->npod_addresses++] = (struct pod_address){pod->named.namespace_, &pod->ips[j]};
    }
    qsort(c->pod_addresses, n, sizeof *c->pod_addresses, compare_pods);
    return 0;
}

// Manifests written by hand often have no Namespace object: then those that objects name are there.
static int take_namespaces_of(struct cluster *c, const struct named_table *table)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < table->room; i++)
        if (table->at[i] != NULL)
            rc = take_namespace(c, table->at[i]->namespace_);
    return rc;
}

static int join(struct cluster *c, bool manifests)
{
    int rc = 0;
    if (manifests && c->namespaces.n == 0) {
        rc = take_namespaces_of(c, &c->services);
        rc = rc == 0 ? take_namespaces_of(c, &c->slices) : rc;
        rc = rc == 0 ? take_namespaces_of(c, &c->pods) : rc;
    }
    rc = rc == 0 ? join_slices(c) : rc;
    return rc == 0 ? join_pods(c) : rc;
}

// --- reading

static int on_manifest(void *arg, const struct kube_object *object, const json_t *labels)
{
    (void)labels;
    return cluster_take(arg, object);
}

int cluster_read(const struct options *o, struct cluster **out, char *error)
{
    struct cluster *c = calloc(1, sizeof *c);
    if (c == NULL || (c->arena = arena_new(0)) == NULL) {
        free(c);
        return CDNS_ENOMEM;
    }
    int rc = 0;
    if (name_from_text(o->zone, c->zone) != 0)
        rc = refuse(error, o->zone, "this is no domain name: --zone is the cluster's, like cluster.local");
    for (unsigned i = 0; rc == 0 && i < o->nmanifests; i++)
        rc = manifests_read(o->manifests[i], on_manifest, c, error, CLUSTER_ERROR_MAX);
    if (rc == 0 && o->nmanifests == 0)
        rc = cluster_list(c, o, error);
    if (rc == 0)
        rc = join(c, o->nmanifests > 0);
    if (rc == 0)
        *out = c;
    else
        cluster_free(c);
    return rc;
}

void cluster_free(struct cluster *c)
{
    if (c == NULL)
        return;
    struct named_table *tables[] = {&c->namespaces, &c->services, &c->slices, &c->pods};
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
        free(tables[i]->at);
    free(c->holders);
    free(c->pod_addresses);
    arena_free(c->arena);
    free(c);
}

// --- labels

const char *cluster_address_label(const struct kube_address *address, bool endpoint, char out[ADDRESS_LABEL_MAX])
{
    unsigned group[8], run = 8, longest = 1;
    const uint8_t *b = address->bytes;
    if (address->len == 4) {
        snprintf(out, ADDRESS_LABEL_MAX, "%u-%u-%u-%u", b[0], b[1], b[2], b[3]);
        return out;
    }
    for (unsigned i = 0; i < 8; i++)
        group[i] = (unsigned)b[2 * i] << 8 | b[2 * i + 1];
    for (unsigned i = 0; i < 8; i++) { // RFC 5952 §4.2: the first longest run of zeros
        unsigned n = 0;
        while (i + n < 8 && group[i + n] == 0)
            n++;
        if (n > longest) {
            longest = n;
            run = i;
        }
    }
    size_t at = 0;
    for (unsigned i = 0; i < 8; i++) {
        if (i == run) {
            at += (size_t)snprintf(out + at, ADDRESS_LABEL_MAX - at, "%s", i == 0 ? "--" : "-");
            i += longest - 1;
        } else {
            at += (size_t)snprintf(out + at, ADDRESS_LABEL_MAX - at, i < 7 ? "%x-" : "%x", group[i]);
        }
    }
    if (endpoint && out[at - 1] == '-')
        snprintf(out + at, ADDRESS_LABEL_MAX - at, "0");
    return out;
}

bool cluster_label_address(const char *label, bool endpoint, struct kube_address *out)
{
    char text[ADDRESS_LABEL_MAX], again[ADDRESS_LABEL_MAX];
    for (unsigned colons = 0; colons < 2; colons++) {
        if ((size_t)snprintf(text, sizeof text, "%s", label) >= sizeof text)
            return false;
        for (char *dash = text; (dash = strchr(dash, '-')) != NULL;)
            *dash = colons ? ':' : '.';
        if (decode_address(text, out, NULL) == 0)
            return strcmp(cluster_address_label(out, endpoint, again), label) == 0;
    }
    return false;
}

const char *cluster_protocol(enum kube_protocol protocol)
{
    static const char *const names[] = {[KUBE_TCP] = "tcp", [KUBE_UDP] = "udp", [KUBE_SCTP] = "sctp"};
    return names[protocol];
}
