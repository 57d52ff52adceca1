// SPDX-License-Identifier: Apache-2.0
#include "kube/index.h"
#include "base/siphash.h"
#include "kube/facts.h"

static const uint8_t no_label[1];

static const uint8_t *label_at(const uint8_t *text, label_ref ref)
{
    return ref == 0 ? no_label : text + 2u * (ref - 1u);
}

uint64_t hash_namespace(const uint8_t *ns)
{
    return siphash13(siphash_process_key(), ns, 1u + ns[0]);
}

uint64_t hash_service(const uint8_t *ns, const uint8_t *service)
{
    uint8_t key[128];
    memcpy(key, service, 1u + service[0]);
    memcpy(key + 1 + service[0], ns, 1u + ns[0]);
    return siphash13(siphash_process_key(), key, 2u + service[0] + ns[0]);
}

uint64_t hash_address(const uint8_t *bytes, size_t len)
{
    return siphash13(siphash_process_key(), bytes, len);
}

uint64_t hash_pod_ip(const uint8_t *ns, const uint8_t *ip)
{
    uint8_t key[64 + 16];
    memcpy(key, ns, 1u + ns[0]);
    memcpy(key + 1 + ns[0], ip + 1, ip[0]);
    return siphash13(siphash_process_key(), key, 1u + ns[0] + ip[0]);
}

struct namespace_node *find_namespace(const struct store *s, const uint8_t *ns, struct table_cursor *at)
{
    uint64_t hash = hash_namespace(ns);
    *at = table_find(&s->names, hash);
    for (uint64_t word; (word = table_next(at)) != TABLE_EMPTY;) {
        if (word_high(word) != (uint16_t)hash || word_low(word) != NAME_NAMESPACE)
            continue;
        struct namespace_node *n = word_pointer(word);
        if (label_equal(n->label, ns))
            return n;
    }
    return NULL;
}

struct service_node *find_service(const struct store *s, enum name_kind kind, const uint8_t *ns, const uint8_t *service,
                                  struct table_cursor *at)
{
    uint64_t hash = hash_service(ns, service);
    *at = table_find(&s->names, hash);
    for (uint64_t word; (word = table_next(at)) != TABLE_EMPTY;) {
        if (word_high(word) != (uint16_t)hash || word_low(word) != kind)
            continue;
        struct service_node *n = word_pointer(word);
        if (label_equal(n->label, service) && label_equal(n->ns->label, ns))
            return n;
    }
    return NULL;
}

bool index_synced(const struct store *s)
{
    return RCU_READ(s->synced);
}

uint32_t index_serial(const struct store *s)
{
    return index_synced(s) ? RCU_READ(s->serial) : 0;
}

bool index_imports_synced(const struct store *s)
{
    return RCU_READ(s->imports_synced);
}

uint32_t index_imports_serial(const struct store *s)
{
    return index_imports_synced(s) ? RCU_READ(s->imports_serial) : 0;
}

bool index_namespace(const struct store *s, const uint8_t *label)
{
    struct table_cursor at;
    const struct namespace_node *n = find_namespace(s, label, &at);
    return n != NULL && RCU_READ(n->exists);
}

static const struct index_service *find_view(const struct store *s, enum name_kind kind, const uint8_t *ns,
                                             const uint8_t *service)
{
    struct table_cursor at;
    const struct service_node *n = find_service(s, kind, ns, service, &at);
    if (n == NULL)
        return NULL;
    const struct index_service *v = RCU_READ(n->view);
    return v->type == TYPE_NONE ? NULL : v;
}

const struct index_service *index_service(const struct store *s, const uint8_t *namespace_label,
                                          const uint8_t *service_label)
{
    return find_view(s, NAME_SERVICE, namespace_label, service_label);
}

const struct index_service *index_import(const struct store *s, const uint8_t *namespace_label,
                                         const uint8_t *service_label)
{
    return find_view(s, NAME_IMPORT, namespace_label, service_label);
}

enum kube_service_type index_service_type(const struct index_service *v)
{
    return (enum kube_service_type)v->type;
}

const uint8_t *index_service_name(const struct index_service *v)
{
    return v->node->label;
}

const uint8_t *index_service_namespace(const struct index_service *v)
{
    return v->node->ns->label;
}

bool index_service_namespace_exists(const struct index_service *v)
{
    return RCU_READ(v->node->ns->exists);
}

bool index_cluster_ip(const struct index_service *v, size_t i, struct kube_address *out)
{
    if (i >= v->nips)
        return false;
    const uint8_t *p = view_ips(v);
    for (; i > 0; i--)
        p += 1 + p[0];
    out->len = p[0];
    memcpy(out->bytes, p + 1, p[0]);
    return true;
}

const char *index_external_name(const struct index_service *v)
{
    return v->type == KUBE_EXTERNALNAME ? (const char *)view_text(v) : NULL;
}

static void read_port(const struct fact_port *p, const uint8_t *text, struct index_port *out)
{
    *out = (struct index_port){
        .name = label_at(text, p->name), .number = p->number, .numbered = p->numbered, .protocol = p->protocol};
}

bool index_service_port(const struct index_service *v, size_t i, struct index_port *out)
{
    if (i >= v->nports)
        return false;
    read_port(&view_ports(v)[i], view_text(v), out);
    return true;
}

bool index_has_endpoints(const struct index_service *v)
{
    return v->nslices > 0; // slices without ready endpoints are not kept
}

bool index_slice(const struct index_service *v, size_t i, size_t *nendpoints, size_t *nports)
{
    if (i >= v->nslices)
        return false;
    *nendpoints = (size_t)v->slices[i]->n4 + v->slices[i]->n6;
    *nports = v->slices[i]->nports;
    return true;
}

static void read_endpoint(const struct slice *s, size_t i, struct index_endpoint *out)
{
    const uint8_t *text = slice_text(s);
    out->zone = s->zones ? label_at(text, slice_zones(s)[i]) : no_label;
    if (i < s->n4) {
        const struct endpoint4 *e = &slice_endpoints4(s)[i];
        out->address.len = 4;
        memcpy(out->address.bytes, e->address, 4);
        out->hostname = label_at(text, e->hostname);
        out->pod_name = label_at(text, e->pod_name);
        out->canonical = true;
    } else {
        const struct endpoint6 *e = &slice_endpoints6(s)[i - s->n4];
        out->address.len = 16;
        memcpy(out->address.bytes, e->address, 16);
        out->hostname = label_at(text, e->hostname);
        out->pod_name = label_at(text, e->pod_name);
        out->canonical = e->canonical != 0;
    }
}

void index_slice_endpoint(const struct index_service *v, size_t slice, size_t i, struct index_endpoint *out)
{
    read_endpoint(v->slices[slice], i, out);
}

void index_slice_port(const struct index_service *v, size_t slice, size_t i, struct index_port *out)
{
    const struct slice *s = v->slices[slice];
    read_port(&slice_ports(s)[i], slice_text(s), out);
}

const uint8_t *index_slice_cluster(const struct index_service *v, size_t slice)
{
    const struct slice *s = v->slices[slice];
    return label_at(slice_text(s), s->cluster);
}

bool index_has_duplicates(const struct index_service *v)
{
    size_t with4 = 0, with6 = 0;
    for (size_t i = 0; i < v->nslices; i++) {
        if (v->slices[i]->duplicates)
            return true;
        with4 += v->slices[i]->n4 > 0;
        with6 += v->slices[i]->n6 > 0;
    }
    return with4 > 1 || with6 > 1;
}

static bool is_address(const uint8_t *ip, const struct kube_address *a)
{
    return ip[0] == a->len && memcmp(ip + 1, a->bytes, a->len) == 0;
}

const struct index_service *index_by_cluster_ip(const struct store *s, const struct kube_address *a)
{
    uint64_t hash = hash_address(a->bytes, a->len);
    struct table_cursor at = table_find(&s->cluster_ips, hash);
    for (uint64_t word; (word = table_next(&at)) != TABLE_EMPTY;) {
        if (word_low(word) != (hash & 15))
            continue;
        const struct index_service *v = word_pointer(word);
        if (is_address(view_ips(v) + word_high(word), a))
            return v;
    }
    return NULL;
}

// A cursor's number: the array or chain that the walk is in, so that it stays there when that is replaced meanwhile;
// which of the two; and slots looked at in the array, or places left in the chain.
#define STEP_BITS 19
#define IN_CHAIN (UINT64_C(1) << STEP_BITS)
_Static_assert(STEP_BITS + 1 == 20, "an address has 48 bits, the lowest four of them zero");
_Static_assert(INDEX_REVERSE_MAX < IN_CHAIN, "places fit");

// The places in which the first INDEX_REVERSE_MAX words are.
static uint32_t places_shown(const struct table_chain *c)
{
    uint32_t i = RCU_READ(c->first), count = RCU_READ(c->count);
    for (uint32_t words = 0; i < count && i < IN_CHAIN - 1 && words < INDEX_REVERSE_MAX; i++)
        words += RCU_READ(c->words[i]) != TABLE_REMOVED;
    return i < IN_CHAIN ? i : IN_CHAIN - 1;
}

static uint64_t next_endpoint(const struct store *s, uint64_t hash, uint64_t *cursor)
{
    uint32_t left = (uint32_t)(*cursor & (IN_CHAIN - 1));
    void *block = (void *)(uintptr_t)(*cursor >> (STEP_BITS + 1) << 4);
    if ((*cursor & IN_CHAIN) == 0) {
        struct table_cursor at = table_find(&s->endpoints, hash);
        if (left > 0) {
            at.array = block;
            at.slot = (table_slot(at.array, hash) + left - 1) % at.array->cap;
            at.left = at.array->cap - left;
        }
        uint64_t word = table_next(&at);
        size_t steps = at.array->cap - at.left;
        if (at.chain == NULL) {
            *cursor = (uint64_t)(uintptr_t)at.array >> 4 << (STEP_BITS + 1) | steps;
            return steps < IN_CHAIN ? word : TABLE_EMPTY;
        }
        block = at.chain;
        left = places_shown(at.chain);
    }
    uint64_t word = table_chain_before(block, &left);
    *cursor = (uint64_t)(uintptr_t)block >> 4 << (STEP_BITS + 1) | IN_CHAIN | left;
    return word;
}

bool index_by_endpoint_ip(const struct store *s, const struct kube_address *a, uint64_t *cursor,
                          struct index_reverse *out)
{
    uint64_t hash = hash_address(a->bytes, a->len);
    for (uint64_t word; (word = next_endpoint(s, hash, cursor)) != TABLE_EMPTY;) {
        if (word_low(word) != (hash & 15))
            continue;
        const struct slice *slice = word_pointer(word);
        size_t len;
        const uint8_t *address = slice_address(slice, word_high(word), &len);
        if (len != a->len || memcmp(address, a->bytes, len) != 0)
            continue;
        out->namespace_label = slice->service->ns->label;
        out->service_label = slice->service->label;
        read_endpoint(slice, word_high(word), &out->endpoint);
        return true;
    }
    return false;
}

size_t index_pods(const struct store *s, const uint8_t *namespace_label, const struct kube_address *a, size_t most)
{
    uint8_t ip[1 + sizeof a->bytes] = {a->len};
    memcpy(ip + 1, a->bytes, a->len);
    uint64_t hash = hash_pod_ip(namespace_label, ip);
    struct table_cursor at = table_find(&s->pod_ips, hash);
    size_t n = 0;
    for (uint64_t word; n < most && (word = table_next(&at)) != TABLE_EMPTY;) {
        if (word_low(word) != (hash & 15))
            continue;
        const struct pod *pod = word_pointer(word);
        n += label_equal(pod->ns->label, namespace_label) && is_address(pod->ips + word_high(word), a);
    }
    return n;
}
