// SPDX-License-Identifier: Apache-2.0
// What a name of the cluster is, and the records that a server has to answer.
#include "dnsbench/cluster_objects.h"
#include "dnsbench/wire.h"

#include "dnsbench/digest.h"
#include "kube/decode.h"
#include <clusterdns/record.h>
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CHAIN_MAX 11  // names of an ExternalName's chain
#define FEW 64        // records that need no memory
#define LABELS_MOST 5 // below the zone: _port._protocol.service.namespace.svc
#define LABEL_TEXT 64 // bytes of a label, NUL included
#define NO_LABEL "."  // in no name of an object

enum verdict {
    NOT_JUDGED, // it is not for the cluster to say
    NO_NAME,    // NXDOMAIN
    NAME,       // the records that there are
};

// Records as numbers (the digest of each), so that one that is there twice is found.
struct answer {
    const struct cluster *cluster;
    uint16_t qtype;
    unsigned weight;      // of SRV records
    const uint8_t *owner; // of the next records
    uint64_t few[FEW], *records;
    size_t n, room;
    bool failed;   // no memory
    bool doubtful; // servers differ in what they make of such an object
};

// --- records

static void add(struct answer *a, uint16_t type, const uint8_t *rdata, size_t size)
{
    if (a->n == a->room) {
        uint64_t *more = malloc(2 * a->room * sizeof *more);
        if (more == NULL) {
            a->failed = true;
            return;
        }
        memcpy(more, a->records, a->n * sizeof *more);
        if (a->records != a->few)
            free(a->records);
        a->records = more;
        a->room *= 2;
    }
    a->records[a->n++] = digest_with(0, a->owner, type, rdata, size);
}

static int compare_numbers(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static uint64_t sum(struct answer *a, unsigned rcode)
{
    uint64_t total = digest_of_rcode(rcode);
    qsort(a->records, a->n, sizeof *a->records, compare_numbers);
    for (size_t i = 0; i < a->n; i++)
        if (i == 0 || a->records[i] != a->records[i - 1])
            total += a->records[i];
    return total;
}

static bool add_address(struct answer *a, const struct kube_address *address)
{
    bool wanted = a->qtype == (address->len == 4 ? RR_A : RR_AAAA);
    if (wanted)
        add(a, a->qtype, address->bytes, address->len);
    return wanted;
}

// --- names of things

size_t cluster_name(const struct cluster *c, unsigned n, const char *const labels[], bool zone, uint8_t *out)
{
    size_t at = 0, zone_size = zone ? name_length(c->zone) : 1;
    for (unsigned i = 0; i < n; i++) {
        size_t length = strlen(labels[i]);
        if (length == 0 || length > NAME_MAX_LABEL || at + 1 + length + zone_size > NAME_MAX_WIRE)
            return 0;
        out[at++] = (uint8_t)length;
        memcpy(out + at, labels[i], length);
        at += length;
    }
    memcpy(out + at, zone ? c->zone : (const uint8_t *)"", zone_size);
    return at + zone_size;
}

const char *cluster_endpoint_label(const struct endpoint *e, char out[ADDRESS_LABEL_MAX])
{
    return e->hostname[0] != '\0' ? e->hostname : cluster_address_label(&e->address, true, out);
}

// The name of a Service, or of an endpoint of it. 0: there is none.
static size_t full_name(const struct cluster *c, const struct endpoint *e, const char *service, const char *namespace_,
                        uint8_t *out)
{
    char label[ADDRESS_LABEL_MAX];
    const char *const labels[] = {e != NULL ? cluster_endpoint_label(e, label) : "", service, namespace_, "svc"};
    return cluster_name(c, e != NULL ? 4 : 3, labels + (e == NULL), true, out);
}

// --- what is below a Service

// A name in the zone, its labels from the left, in lower case.
struct parts {
    unsigned n;
    char label[LABELS_MOST][LABEL_TEXT];
};

// One of the things that a name stands for; `e` NULL: the Service itself.
typedef void found_fn(struct answer *a, const struct service *s, const struct endpoint *e,
                      const struct kube_address *address, int32_t port);

static void found_address(struct answer *a, const struct service *s, const struct endpoint *e,
                          const struct kube_address *address, int32_t port)
{
    (void)s;
    (void)e;
    (void)port;
    (void)add_address(a, address);
}

static void found_target(struct answer *a, const struct service *s, const struct endpoint *e,
                         const struct kube_address *address, int32_t port)
{
    (void)address;
    uint8_t rdata[6 + NAME_MAX_WIRE] = {
        0, 0, (uint8_t)(a->weight >> 8), (uint8_t)a->weight, (uint8_t)((uint32_t)port >> 8), (uint8_t)port};
    size_t size = full_name(a->cluster, e, s->named.name, s->named.namespace_, rdata + 6);
    if (port != KUBE_NO_PORT && size > 0)
        add(a, RR_SRV, rdata, 6 + size);
}

static const char *without_underscore(const char *label)
{
    return label + (label[0] == '_');
}

// What has no ports stands for one without a name, a number and a protocol.
static const struct kube_port no_port = {.name = "", .number = KUBE_NO_PORT};

// Is it a port that `_name._protocol` means? Nothing behind an underscore means any.
static bool is_meant(const struct kube_port *port, const struct parts *p, unsigned left)
{
    if (left != 2)
        return true;
    const char *name = without_underscore(p->label[0]), *protocol = without_underscore(p->label[1]);
    return (name[0] == '\0' || strcasecmp(name, port->name) == 0) &&
           (protocol[0] == '\0' || (port != &no_port && strcmp(protocol, cluster_protocol(port->protocol)) == 0));
}

static size_t visit_ips(struct answer *a, const struct service *s, const struct parts *p, unsigned left, found_fn *fn)
{
    size_t found = 0, n = s->is.nports > 0 ? s->is.nports : 1;
    const struct kube_port *ports = s->is.nports > 0 ? s->is.ports : &no_port;
    for (size_t i = 0; i < n; i++) {
        if (!is_meant(&ports[i], p, left))
            continue;
        found += s->is.ncluster_ips > 0 ? s->is.ncluster_ips : 1; // one that has no address yet is there all the same
        for (size_t j = 0; fn != NULL && j < s->is.ncluster_ips; j++)
            fn(a, s, NULL, &s->is.cluster_ips[j], ports[i].number);
    }
    return found;
}

// The endpoint that a label means: by its hostname, or by its address when it has none.
struct wanted {
    const char *hostname; // NULL: any endpoint
    struct kube_address address;
};

static bool is_wanted(const struct endpoint *e, const struct wanted *w)
{
    if (w->hostname == NULL)
        return true;
    if (e->hostname[0] != '\0')
        return strcasecmp(e->hostname, w->hostname) == 0;
    return e->address.len == w->address.len && memcmp(e->address.bytes, w->address.bytes, w->address.len) == 0;
}

static size_t visit_slice(struct answer *a, const struct service *s, const struct slice *slice, const struct parts *p,
                          unsigned left, const struct wanted *w, found_fn *fn)
{
    size_t found = 0, n = slice->nports > 0 ? slice->nports : 1;
    const struct kube_port *ports = slice->nports > 0 ? slice->ports : &no_port;
    for (size_t i = 0; i < n; i++) {
        if (!is_meant(&ports[i], p, left))
            continue;
        for (size_t j = 0; j < slice->nendpoints; j++) {
            const struct endpoint *e = &slice->endpoints[j];
            if (!e->canonical && e->hostname[0] == '\0') // what is it called?
                a->doubtful |= left == 1 || a->qtype == RR_SRV;
            if (!is_wanted(e, w))
                continue;
            found++;
            if (fn != NULL)
                fn(a, s, e, &e->address, ports[i].number);
        }
    }
    return found;
}

// Calls `fn` (NULL: nobody) for each thing that the name stands for, with `left` labels before the Service's. Returns
// their number.
static size_t visit(struct answer *a, const struct service *s, const struct parts *p, unsigned left, found_fn *fn)
{
    struct wanted w = {.hostname = left == 1 ? p->label[0] : NULL};
    if (s->is.type != KUBE_HEADLESS && left != 1)
        return visit_ips(a, s, p, left, fn);
    if (w.hostname != NULL && !cluster_label_address(w.hostname, true, &w.address))
        w.address.len = 0;
    size_t found = 0;
    for (const struct slice *slice = s->slices; slice != NULL; slice = slice->next)
        found += visit_slice(a, s, slice, p, left, &w, fn);
    return found;
}

// --- names

static bool namespace_exists(const struct cluster *c, const char *name)
{
    return named_find(&c->namespaces, "", name) != NULL;
}

// The labels below the zone. False: it is not in the zone.
static bool split(const struct cluster *c, const uint8_t *name, struct parts *out)
{
    if (!name_in_zone(name, c->zone))
        return false;
    out->n = name_labels(name) - name_labels(c->zone);
    for (unsigned i = 0; i < out->n && i < LABELS_MOST; i++, name += 1 + name[0]) {
        for (unsigned j = 0; j < name[0]; j++)
            out->label[i][j] = (char)tolower(name[1 + j]);
        out->label[i][name[0]] = '\0';
        if (strlen(out->label[i]) != name[0])
            strcpy(out->label[i], NO_LABEL);
    }
    return true;
}

static const struct service *find_service(const struct cluster *c, const struct parts *p)
{
    const char *name = p->label[p->n - 3], *namespace_ = p->label[p->n - 2];
    return namespace_exists(c, namespace_) ? (struct service *)named_find(&c->services, namespace_, name) : NULL;
}

// ADDRESS.NAMESPACE.pod: with "pods insecure" it has any address, so an address that no pod has is not judged.
static enum verdict judge_pod(struct answer *a, const struct parts *p)
{
    struct kube_address address;
    if (a->qtype == RR_SRV || p->n != 3)
        return NOT_JUDGED;
    if (!namespace_exists(a->cluster, p->label[1]))
        return NO_NAME;
    if (!cluster_label_address(p->label[0], false, &address) || !cluster_has_pod(a->cluster, p->label[1], &address))
        return NOT_JUDGED;
    (void)add_address(a, &address);
    return NAME;
}

// A name with 3 to 5 labels below the zone, the last of them "svc".
static enum verdict judge_service(struct answer *a, const struct parts *p, const struct service **alias)
{
    const struct service *s = find_service(a->cluster, p);
    unsigned left = p->n - 3;
    struct kube_address literal;
    if (s == NULL)
        return NO_NAME;
    if (s->is.type == KUBE_EXTERNALNAME) {
        if (left > 0 || decode_address(s->is.external_name, &literal, NULL) == 0)
            return NO_NAME;
        *alias = s;
        return NAME;
    }
    size_t found = visit(a, s, p, left, NULL);
    if (found == 0)
        return NO_NAME;
    // As CoreDNS shares 100 out, rounding included; a record for each port and address counts, shown or not.
    a->weight = (unsigned)fmax(1, floor(100.0 / (100.0 * (double)found) * 100.0));
    visit(a, s, p, left, a->qtype == RR_SRV ? found_target : found_address);
    return NAME;
}

// A name in the zone. `*alias`: it is an ExternalName, whose records are not added.
static enum verdict judge_name(struct answer *a, const uint8_t *name, const struct service **alias)
{
    struct parts p;
    *alias = NULL;
    if (!split(a->cluster, name, &p))
        return NOT_JUDGED;
    if (p.n == 0)
        return NAME;
    if (p.n > LABELS_MOST) // its last label is not at hand
        return strncasecmp((const char *)name_skip(name, p.n - 1), "\3svc", 4) == 0 ? NO_NAME : NOT_JUDGED;
    const char *last = p.label[p.n - 1];
    bool services = strcmp(last, "svc") == 0, pods = strcmp(last, "pod") == 0;
    if (!services && !pods) // "dns" and "dns-version" are the server's own
        return strncmp(last, "dns", 3) == 0 ? NOT_JUDGED : NO_NAME;
    if (p.n == 1)
        return NAME;
    if (p.n == 2)
        return namespace_exists(a->cluster, p.label[0]) ? NAME : NO_NAME;
    return pods ? judge_pod(a, &p) : judge_service(a, &p, alias);
}

// --- ExternalName

static bool is_among(const uint8_t names[][NAME_MAX_WIRE], unsigned n, const uint8_t *name)
{
    for (unsigned i = 0; i < n; i++)
        if (name_equal(names[i], name))
            return true;
    return false;
}

// Follows the chain of names up to one that is no alias, and adds it with that one's addresses. NO_NAME: it leads
// nowhere, turns round or is too long. What is outside of the zone others have to say.
static enum verdict follow(struct answer *a, const struct service *alias)
{
    uint8_t names[CHAIN_MAX][NAME_MAX_WIRE];
    for (unsigned n = 0; alias != NULL; n++) {
        if (n == CHAIN_MAX)
            return NO_NAME;
        if (name_from_text(alias->is.external_name, names[n]) != 0)
            return NOT_JUDGED;
        if (name_in_zone(names[n], a->owner) || is_among(names, n, names[n]))
            return NO_NAME;
        add(a, RR_CNAME, names[n], name_length(names[n]));
        a->owner = names[n];
        size_t aliases = a->n;
        enum verdict verdict = judge_name(a, names[n], &alias);
        if (verdict != NAME || (alias == NULL && a->n == aliases))
            return verdict == NOT_JUDGED ? NOT_JUDGED : NO_NAME;
    }
    return NAME;
}

static enum verdict judge_alias(struct answer *a, const struct service *alias)
{
    uint8_t target[NAME_MAX_WIRE];
    if (a->qtype == RR_SRV)
        return NAME;
    if (a->qtype == RR_CNAME) {
        if (name_from_text(alias->is.external_name, target) != 0)
            return NOT_JUDGED;
        add(a, RR_CNAME, target, name_length(target));
        return NAME;
    }
    enum verdict verdict = follow(a, alias);
    if (verdict == NO_NAME)
        a->n = 0; // aliases that lead nowhere are not shown
    return verdict == NOT_JUDGED ? NOT_JUDGED : NAME;
}

// --- reverse names

// Can a Service be named so? Slices can say anything, or nothing.
static bool is_service_name(const char *name)
{
    return name[0] != '\0' && name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-")] == '\0';
}

static enum verdict judge_service_address(struct answer *a, const struct holder *holders, size_t n)
{
    uint8_t target[NAME_MAX_WIRE];
    const struct service *of = NULL;
    for (size_t i = 0; i < n; i++) {
        const struct service *s = holders[i].service;
        if (s != NULL && of != NULL && s != of)
            return NOT_JUDGED; // either may be answered
        of = s != NULL ? s : of;
    }
    if (of == NULL)
        return NO_NAME;
    size_t size = full_name(a->cluster, NULL, of->named.name, of->named.namespace_, target);
    add(a, RR_PTR, target, size);
    return size > 0 ? NAME : NOT_JUDGED;
}

// An address that nobody has may be somebody's outside of the cluster.
static enum verdict judge_address(struct answer *a, const uint8_t *name)
{
    uint8_t target[NAME_MAX_WIRE];
    struct kube_address address = {.len = 0};
    address.len = (uint8_t)name_to_address(name, address.bytes);
    size_t n = 0;
    const struct holder *holders = address.len > 0 ? cluster_holders(a->cluster, &address, &n) : NULL;
    enum verdict verdict = judge_service_address(a, holders, n);
    if (verdict != NO_NAME)
        return verdict;
    for (size_t i = 0; i < n; i++) {
        const struct holder *h = &holders[i];
        size_t size = full_name(a->cluster, h->endpoint, h->slice->service, h->slice->named.namespace_, target);
        if (!h->endpoint->canonical || !is_service_name(h->slice->service) || size == 0)
            a->doubtful = true;
        else
            add(a, RR_PTR, target, size);
    }
    return n > 0 ? NAME : NOT_JUDGED;
}

bool cluster_digest(const struct cluster *c, const struct question *q, uint64_t *digest)
{
    const uint8_t *name = q->wire + WIRE_HEADER;
    const struct service *alias = NULL;
    struct answer a = {.cluster = c, .qtype = q->qtype, .owner = name, .room = FEW};
    enum verdict verdict = NOT_JUDGED;
    a.records = a.few;
    if (q->qtype == RR_PTR)
        verdict = judge_address(&a, name);
    else if (q->qtype == RR_A || q->qtype == RR_AAAA || q->qtype == RR_SRV || q->qtype == RR_CNAME)
        verdict = judge_name(&a, name, &alias);
    if (alias != NULL)
        verdict = judge_alias(&a, alias);
    if (a.doubtful || a.failed)
        verdict = NOT_JUDGED;
    if (verdict != NOT_JUDGED)
        *digest = sum(&a, verdict == NAME ? RCODE_NOERROR : RCODE_NXDOMAIN);
    if (a.records != a.few)
        free(a.records);
    return verdict != NOT_JUDGED;
}
