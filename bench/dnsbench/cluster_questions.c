// SPDX-License-Identifier: Apache-2.0
// The questions that are asked about a cluster.
#include "dnsbench/cluster_objects.h"
#include "dnsbench/wire.h"

#include "dnsbench/digest.h"
#include <clusterdns/message.h>
#include <clusterdns/record.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDING 0.05    // of a share, by whole questions
#define COPIES_MAX 10000 // of each name, for shares to come out
#define SET_ALONE 1000   // questions of a set without the cluster's names
#define TRIES 16         // for each name that is not to be there

// A set of questions in the making.
struct maker {
    const struct cluster *cluster;
    const struct options *options;
    struct questions *set;
    uint64_t *seen; // open-addressed, 0: nothing
    size_t nseen, room;
    int error;
};

// --- one question

static int grow_seen(struct maker *m)
{
    size_t room = m->room > 0 ? 2 * m->room : 1024;
    uint64_t *seen = calloc(room, sizeof *seen);
    if (seen == NULL)
        return CDNS_ENOMEM;
    for (size_t i = 0; i < m->room; i++) {
        size_t at = (size_t)m->seen[i] & (room - 1);
        while (m->seen[i] != 0 && seen[at] != 0)
            at = (at + 1) & (room - 1);
        if (m->seen[i] != 0)
            seen[at] = m->seen[i];
    }
    free(m->seen);
    m->seen = seen;
    m->room = room;
    return 0;
}

// Several endpoints can have one name. True: this question is new.
static bool is_new(struct maker *m, const uint8_t *name, uint16_t type)
{
    uint64_t key = digest_with(0, name, type, NULL, 0) | 1;
    if (2 * m->nseen >= m->room && grow_seen(m) != 0) {
        m->error = CDNS_ENOMEM;
        return false;
    }
    size_t at = (size_t)(key >> 1) & (m->room - 1);
    for (; m->seen[at] != 0; at = (at + 1) & (m->room - 1))
        if (m->seen[at] == key)
            return false;
    m->seen[at] = key;
    m->nseen++;
    return true;
}

static int complain(char *error, const char *what, const char *why)
{
    snprintf(error, CLUSTER_ERROR_MAX, "%.500s%s", what, why);
    return CDNS_ECONFIG;
}

enum wanted { ANY_NAME, THERE, MISSING };

// Does the cluster say that there is (or is not) such a name?
static bool is_as_wanted(const struct maker *m, const uint8_t *name, uint16_t type, enum wanted wanted)
{
    uint8_t wire[WIRE_HEADER + NAME_MAX_WIRE];
    const struct question q = {.wire = wire, .qtype = type};
    uint64_t digest;
    if (wanted == ANY_NAME)
        return true;
    memcpy(wire + WIRE_HEADER, name, name_length(name));
    return cluster_digest(m->cluster, &q, &digest) &&
           (digest == digest_of_rcode(RCODE_NXDOMAIN)) == (wanted == MISSING);
}

// Adds the name of these labels below "svc" or "pod", if it is as wanted. True: it was, and was new.
static bool offer(struct maker *m, unsigned n, const char *const labels[], uint16_t type, enum wanted wanted)
{
    uint8_t whole[NAME_MAX_WIRE], brief[NAME_MAX_WIRE];
    const uint8_t *name = whole;
    bool pod = strcmp(labels[n - 1], "pod") == 0;
    if (m->error != 0 || (m->options->stub && type != RR_A))
        return false;
    if (cluster_name(m->cluster, n, labels, true, whole) == 0 || !is_as_wanted(m, whole, type, wanted))
        return false;
    if (m->options->stub) { // as applications write it: SERVICE.NAMESPACE, longer ones with fewer dots than --ndots
        unsigned parts = n - !pod;
        if ((parts > 2 && parts > m->options->ndots) || cluster_name(m->cluster, parts, labels, false, brief) == 0)
            return false;
        name = brief;
    }
    if (!is_new(m, name, type))
        return false;
    m->error = questions_add(m->set, &m->options->message, name, type);
    return m->error == 0;
}

static void offer_both(struct maker *m, unsigned n, const char *const labels[], enum wanted wanted)
{
    (void)offer(m, n, labels, RR_A, wanted);
    (void)offer(m, n, labels, RR_AAAA, wanted);
}

// --- the cluster's names

// Of a Service in a namespace that is there: all are, but for one that is not called by its address by every server. To
// look at each would take a time that grows with the square of their number.
static void offer_endpoints(struct maker *m, const struct service *s)
{
    char label[ADDRESS_LABEL_MAX];
    for (const struct slice *slice = s->slices; slice != NULL && m->error == 0; slice = slice->next)
        for (size_t i = 0; i < slice->nendpoints; i++) {
            const char *const labels[] = {cluster_endpoint_label(&slice->endpoints[i], label), s->named.name,
                                          s->named.namespace_, "svc"};
            if (slice->endpoints[i].canonical || slice->endpoints[i].hostname[0] != '\0')
                offer_both(m, 4, labels, ANY_NAME);
        }
}

static void offer_ports(struct maker *m, const struct service *s)
{
    char port[NAME_MAX_LABEL + 2], protocol[16];
    const char *const labels[] = {port, protocol, s->named.name, s->named.namespace_, "svc"};
    for (size_t i = 0; i < s->is.nports; i++) {
        if (s->is.ports[i].name[0] == '\0')
            continue;
        snprintf(port, sizeof port, "_%s", s->is.ports[i].name);
        snprintf(protocol, sizeof protocol, "_%s", cluster_protocol(s->is.ports[i].protocol));
        (void)offer(m, 5, labels, RR_SRV, THERE);
    }
}

static bool has_namespace(const struct maker *m, const struct service *s)
{
    return named_find(&m->cluster->namespaces, "", s->named.namespace_) != NULL;
}

static void offer_service(struct maker *m, const struct service *s)
{
    const char *const labels[] = {s->named.name, s->named.namespace_, "svc"};
    bool headless = s->is.type == KUBE_HEADLESS;
    if ((m->options->names & (headless ? NAMES_HEADLESS : NAMES_SERVICES)) != 0) {
        offer_both(m, 3, labels, THERE);
        if (s->is.type == KUBE_EXTERNALNAME)
            (void)offer(m, 3, labels, RR_CNAME, THERE);
        if (headless && has_namespace(m, s))
            offer_endpoints(m, s);
    }
    if ((m->options->names & NAMES_SRV) != 0 && s->is.type != KUBE_EXTERNALNAME)
        offer_ports(m, s);
}

static void offer_pods(struct maker *m)
{
    char label[ADDRESS_LABEL_MAX];
    for (size_t i = 0; i < m->cluster->npod_addresses && m->error == 0; i++) {
        const struct pod_address *at = &m->cluster->pod_addresses[i];
        const char *const labels[] = {cluster_address_label(at->address, false, label), at->namespace_, "pod"};
        (void)offer(m, 3, labels, at->address->len == 4 || m->options->stub ? RR_A : RR_AAAA, THERE);
    }
}

// 1.0.0.10.in-addr.arpa, or 32 nibbles below ip6.arpa.
static void reverse_name(const struct kube_address *address, uint8_t out[NAME_MAX_WIRE])
{
    char text[3 * 4 + 2 * 32 + 16];
    int at = 0;
    for (unsigned i = address->len; i-- > 0;) {
        unsigned byte = address->bytes[i];
        if (address->len == 4)
            at += snprintf(text + at, sizeof text - (size_t)at, "%u.", byte);
        else
            at += snprintf(text + at, sizeof text - (size_t)at, "%x.%x.", byte & 15, byte >> 4);
    }
    snprintf(text + at, sizeof text - (size_t)at, address->len == 4 ? "in-addr.arpa" : "ip6.arpa");
    INVARIANT(name_from_text(text, out) == 0);
}

static void offer_addresses(struct maker *m)
{
    uint8_t name[NAME_MAX_WIRE];
    for (size_t i = 0; i < m->cluster->nholders && m->error == 0; i++) {
        reverse_name(m->cluster->holders[i].address, name);
        if (is_new(m, name, RR_PTR) && is_as_wanted(m, name, RR_PTR, THERE))
            m->error = questions_add(m->set, &m->options->message, name, RR_PTR);
    }
}

static void offer_all(struct maker *m)
{
    const struct named_table *services = &m->cluster->services;
    for (size_t i = 0; i < services->room && m->error == 0; i++)
        if (services->at[i] != NULL)
            offer_service(m, (const struct service *)services->at[i]);
    if ((m->options->names & NAMES_PODS) != 0)
        offer_pods(m);
    if ((m->options->names & NAMES_PTR) != 0 && !m->options->stub)
        offer_addresses(m);
}

// --- names that are not there, and others

// The next Service in the table after place `*at`, again from the first after the last; NULL: there is none.
static const struct named *next_service(const struct cluster *c, size_t *at)
{
    for (size_t i = 0; i < c->services.room; i++) {
        *at = (*at + 1) % c->services.room;
        if (c->services.at[*at] != NULL)
            return c->services.at[*at];
    }
    return NULL;
}

// A Service that is not there in a namespace that is, one in a namespace that is not, an endpoint that is not: in turn.
static int add_missing(struct maker *m, size_t n, char *error)
{
    static const struct named nobody = {"default", "web"};
    const struct named *some = NULL;
    size_t at = 0, end = m->set->n + n;
    for (size_t i = 0; m->set->n < end && m->error == 0; i++) {
        char label[32];
        if (i == TRIES * (n + 1))
            return complain(error, m->options->zone, ": names that are not there could not be made of this --zone");
        if (i % 2 == 0)
            some = next_service(m->cluster, &at);
        some = some != NULL ? some : &nobody;
        snprintf(label, sizeof label, "missing-%zu", i / 2);
        const char *const forms[][4] = {{label, some->namespace_, "svc", NULL},
                                        {some->name, label, "svc", NULL},
                                        {label, some->name, some->namespace_, "svc"}};
        const char *const *form = forms[i / 2 % 3];
        (void)offer(m, form[3] != NULL ? 4 : 3, form, i % 2 == 0 ? RR_A : RR_AAAA, MISSING);
    }
    return 0;
}

// Each of the external names, A and AAAA in turn, and again from the first.
static int add_external(struct maker *m, size_t n, char *error)
{
    size_t first = m->set->n, end = first + n;
    for (const char *next = m->options->external_names; m->error == 0 && m->set->n < end && *next != '\0';) {
        uint8_t name[NAME_MAX_WIRE];
        char text[NAME_MAX_TEXT];
        size_t length = strcspn(next, ",");
        snprintf(text, sizeof text, "%.*s", (int)length, next);
        if (length >= sizeof text || name_from_text(text, name) != 0)
            return complain(error, text, ": this is no domain name: say --external PERCENT:NAME,NAME");
        m->error = questions_add(m->set, &m->options->message, name, RR_A);
        if (m->error == 0 && !m->options->stub && m->set->n < end)
            m->error = questions_add(m->set, &m->options->message, name, RR_AAAA);
        next += length + (next[length] == ',');
    }
    if (m->set->n == first && n > 0)
        return complain(error, "--external", ": which names? Say --external PERCENT:NAME,NAME");
    for (size_t i = first; m->error == 0 && m->set->n < end; i++)
        m->error = questions_repeat(m->set, i);
    return 0;
}

// --- shares

struct shares {
    size_t copies;            // of the cluster's names
    size_t missing, external; // questions
};

static bool is_near(double wanted, size_t got)
{
    return fabs((double)got - wanted) <= ROUNDING * wanted;
}

// How many others make the shares come out beside `n` of the cluster's names. Few names are copied until they do.
static struct shares share_out(size_t n, double missing, double external)
{
    struct shares s = {.copies = 1};
    double own = 100 - missing - external, all = SET_ALONE;
    for (;; s.copies++) {
        if (n > 0)
            all = (double)(n * s.copies) * 100 / own;
        s.missing = (size_t)lround(all * missing / 100);
        s.external = (size_t)lround(all * external / 100);
        if (n == 0 || s.copies == COPIES_MAX || n * (s.copies + 1) > QUESTIONS_MAX / 2 ||
            (is_near(all * missing / 100, s.missing) && is_near(all * external / 100, s.external)))
            return s;
    }
}

static int fill_up(struct maker *m, char *error)
{
    const struct options *o = m->options;
    double own = 1 - (o->missing + o->external) / 100;
    size_t most = (size_t)(own * QUESTIONS_MAX);
    if (own <= 0)
        m->set->n = 0;
    else if (m->set->n > most) { // some of them, by chance
        questions_shuffle(m->set, o->seed);
        m->set->n = most;
    }
    size_t n = m->set->n;
    struct shares s = share_out(n, o->missing, o->external);
    for (size_t i = n; m->error == 0 && i < n * s.copies; i++)
        m->error = questions_repeat(m->set, i - n);
    int rc = m->error == 0 ? add_missing(m, s.missing, error) : 0;
    return rc == 0 && m->error == 0 ? add_external(m, s.external, error) : rc;
}

int cluster_questions(const struct cluster *c, const struct options *o, struct questions *out, char *error)
{
    struct maker m = {.cluster = c, .options = o, .set = out};
    int rc = questions_init(out);
    if (rc != 0)
        return rc;
    if (o->missing + o->external < 100)
        offer_all(&m);
    if (m.error == 0 && out->n == 0 && o->missing + o->external < 100)
        rc = complain(error, "the cluster has no names of these kinds",
                      o->stub ? ": --stub takes Services, endpoints of headless ones and pods; look at --names"
                              : ": look at --names, and whether Services, EndpointSlices and Pods are there");
    if (rc == 0 && m.error == 0)
        rc = fill_up(&m, error);
    if (rc == 0)
        rc = m.error;
    if (rc == CDNS_ELIMIT)
        rc = complain(error, "the cluster has too many names to ask for all", ": choose some kinds of --names");
    free(m.seen);
    if (rc == 0)
        questions_shuffle(out, o->seed);
    else
        questions_free(out);
    return rc;
}
