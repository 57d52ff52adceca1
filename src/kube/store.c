// SPDX-License-Identifier: Apache-2.0
#include "kube/store.h"
#include "base/clock.h"
#include "base/siphash.h"
#include "kube/facts.h"
#include <malloc.h>
#include <stdlib.h>

#define SCRATCH_KEEP (64u << 10) // bytes; what one giant object needed is given back

void *store_alloc(struct store *s, size_t size)
{
    void *p = malloc(size);
    if (p != NULL)
        s->stats.bytes += malloc_usable_size(p) + sizeof(size_t);
    return p;
}

void store_release(struct store *s, void *p)
{
    if (p != NULL)
        s->stats.bytes -= malloc_usable_size(p) + sizeof(size_t);
    free(p);
}

static struct table *const *all_tables(struct store *s, struct table *tables[6])
{
    tables[0] = &s->names;
    tables[1] = &s->endpoints;
    tables[2] = &s->cluster_ips;
    tables[3] = &s->pod_ips;
    tables[4] = &s->slices;
    tables[5] = &s->pods;
    return tables;
}

// Waits for readers of what was replaced, then frees it.
static void reclaim(struct store *s)
{
    struct table *tables[6];
    bool waiting = s->nretired > 0;
    for (int i = 0; i < 6; i++)
        waiting |= all_tables(s, tables)[i]->retired != NULL;
    if (!waiting)
        return;
    rcu_wait();
    while (s->nretired > 0)
        store_release(s, s->retired[--s->nretired]);
    for (int i = 0; i < 6; i++)
        table_reclaim(tables[i]);
}

void store_retire(struct store *s, void *p)
{
    if (s->nretired == RETIRED_MAX)
        reclaim(s);
    s->retired[s->nretired++] = p;
}

void *store_scratch(struct store *s, size_t size)
{
    if (size > s->scratch_size) {
        store_release(s, s->scratch);
        s->scratch = store_alloc(s, size);
        s->scratch_size = s->scratch == NULL ? 0 : size;
    }
    return s->scratch;
}

void store_changed(struct store *s, enum kube_kind kind)
{
    uint32_t now = (uint32_t)(clock_realtime_ns() / 1000000000);
    bool imports = kind == KUBE_SERVICE_IMPORT || kind == KUBE_IMPORTED_SLICE;
    s->stats.changes++;
    if (!imports)
        RCU_ASSIGN(s->serial, now);
    if (imports || kind == KUBE_NAMESPACE)
        RCU_ASSIGN(s->imports_serial, now);
}

int store_identity(enum kube_kind kind, const uint8_t *ns, const char *name, uint64_t id[2])
{
    uint8_t key[1 + 64 + 253] = {(uint8_t)kind};
    size_t len = strnlen(name, 254), ns_len = 1u + ns[0];
    if (len == 0 || len > 253)
        return CDNS_EINVAL;
    memcpy(key + 1, ns, ns_len);
    memcpy(key + 1 + ns_len, name, len);
    siphash24_128(siphash_process_key(), key, 1 + ns_len + len, id);
    return 0;
}

// --- namespaces

struct namespace_node *namespace_get(struct store *s, const uint8_t *ns)
{
    struct table_cursor at;
    struct namespace_node *n = find_namespace(s, ns, &at);
    if (n != NULL)
        return n;
    n = store_alloc(s, sizeof *n + 1u + ns[0]);
    if (n == NULL)
        return NULL;
    *n = (struct namespace_node){0};
    memcpy(n->label, ns, 1u + ns[0]);
    uint64_t hash = hash_namespace(ns);
    table_insert(&s->names, hash, word_make(n, (uint16_t)hash, NAME_NAMESPACE));
    return n;
}

void namespace_drop_unused(struct store *s, struct namespace_node *n)
{
    struct table_cursor at;
    if (n->users > 0 || n->exists)
        return;
    if (EXPECT(find_namespace(s, n->label, &at) == n))
        table_erase(&s->names, &at);
    store_retire(s, n);
}

static int namespace_upsert(struct store *s, const uint8_t *name)
{
    int e = table_reserve(&s->names, 1);
    struct namespace_node *n = e != 0 ? NULL : namespace_get(s, name);
    if (n == NULL)
        return CDNS_ENOMEM;
    n->generation = s->generation[KUBE_NAMESPACE];
    if (n->exists)
        return 0;
    RCU_ASSIGN(n->exists, true);
    s->stats.namespaces++;
    store_changed(s, KUBE_NAMESPACE);
    return 0;
}

static void namespace_delete(struct store *s, struct namespace_node *n)
{
    if (!n->exists)
        return;
    RCU_ASSIGN(n->exists, false);
    s->stats.namespaces--;
    store_changed(s, KUBE_NAMESPACE);
    namespace_drop_unused(s, n);
}

// --- pods

static uint64_t hash_pod(uint64_t word)
{
    return ((const struct pod *)word_pointer(word))->id[0];
}

static struct pod *find_pod(const struct store *s, const uint64_t id[2], struct table_cursor *at)
{
    *at = table_find(&s->pods, id[0]);
    for (uint64_t word; (word = table_next(at)) != TABLE_EMPTY;) {
        struct pod *pod = word_pointer(word);
        if (pod->id[0] == id[0] && pod->id[1] == id[1])
            return pod;
    }
    return NULL;
}

static void pod_drop(struct store *s, struct pod *pod)
{
    reverse_remove_pod(s, pod);
    pod->ns->users--;
    namespace_drop_unused(s, pod->ns);
    store_retire(s, pod);
}

static void pod_delete(struct store *s, struct pod *pod)
{
    struct table_cursor at;
    if (EXPECT(find_pod(s, pod->id, &at) == pod))
        table_erase(&s->pods, &at);
    pod_drop(s, pod);
    s->stats.pods--;
    store_changed(s, KUBE_POD);
}

#define POD_IPS_MAX 16 // a pod has one of each family

static struct pod *pod_new(struct store *s, const struct kube_pod *from, const uint8_t *ns, const uint64_t id[2])
{
    uint8_t ips[POD_IPS_MAX * (1 + sizeof from->ips->bytes)];
    uint16_t len = 0;
    for (size_t i = 0; i < from->nips && i < POD_IPS_MAX; i++) {
        ips[len] = from->ips[i].len;
        memcpy(ips + len + 1, from->ips[i].bytes, from->ips[i].len);
        len = (uint16_t)(len + 1 + from->ips[i].len);
    }
    struct pod *pod = store_alloc(s, sizeof *pod + len);
    if (pod == NULL)
        return NULL;
    *pod = (struct pod){.id = {id[0], id[1]}, .len = len};
    memcpy(pod->ips, ips, len);
    pod->ns = namespace_get(s, ns);
    if (pod->ns == NULL) {
        store_release(s, pod);
        return NULL;
    }
    pod->ns->users++;
    return pod;
}

static int pod_upsert(struct store *s, const struct kube_object *o, const uint8_t *ns)
{
    uint64_t id[2];
    int e = store_identity(KUBE_POD, ns, o->name, id);
    if (e != 0 || !s->options.pods)
        return e;
    struct table_cursor at;
    struct pod *old = find_pod(s, id, &at);
    if (old != NULL)
        old->generation = s->generation[KUBE_POD];
    if (o->pod.deleting) // what is ending keeps its name until it is gone, and gets none any more
        return 0;
    if (o->pod.terminated || o->pod.nips == 0) {
        if (old != NULL)
            pod_delete(s, old);
        return 0;
    }
    if (table_reserve(&s->names, 1) != 0 || table_reserve(&s->pods, 1) != 0 ||
        table_reserve(&s->pod_ips, POD_IPS_MAX) != 0)
        return CDNS_ENOMEM;
    struct pod *pod = pod_new(s, &o->pod, ns, id);
    if (pod == NULL)
        return CDNS_ENOMEM;
    pod->generation = s->generation[KUBE_POD];
    if (old != NULL && old->len == pod->len && memcmp(old->ips, pod->ips, pod->len) == 0) {
        pod->ns->users--;
        store_release(s, pod);
        return 0;
    }
    reverse_put_pod(s, pod);
    if (old != NULL) {
        if (EXPECT(find_pod(s, id, &at) == old))
            table_replace(&at, word_make(pod, 0, 0));
        pod_drop(s, old);
    } else {
        table_insert(&s->pods, id[0], word_make(pod, 0, 0));
        s->stats.pods++;
    }
    store_changed(s, KUBE_POD);
    return 0;
}

// --- any object

static bool is_named_by_label(enum kube_kind kind)
{
    return kind == KUBE_NAMESPACE || kind == KUBE_SERVICE || kind == KUBE_SERVICE_IMPORT;
}

int store_upsert(struct store *s, const struct kube_object *o)
{
    uint8_t ns[64], name[64];
    if (o->kind != KUBE_NAMESPACE && pack_name(o->namespace_, ns) != 0)
        return CDNS_EINVAL;
    if (is_named_by_label(o->kind) && pack_name(o->name, name) != 0)
        return CDNS_EINVAL;
    switch (o->kind) {
    case KUBE_NAMESPACE:
        return namespace_upsert(s, name);
    case KUBE_SERVICE:
        return service_upsert(s, o, ns, name);
    case KUBE_ENDPOINTSLICE:
        return s->options.endpoints ? slice_upsert(s, o, ns) : 0;
    case KUBE_POD:
        return pod_upsert(s, o, ns);
    case KUBE_SERVICE_IMPORT:
        return s->options.imports ? service_upsert(s, o, ns, name) : 0;
    case KUBE_IMPORTED_SLICE:
        return s->options.imports ? slice_upsert(s, o, ns) : 0;
    case KUBE_KINDS:
        break;
    }
    return CDNS_EINVAL;
}

void store_delete(struct store *s, const struct kube_object *o)
{
    uint8_t ns[64], name[64];
    uint64_t id[2];
    struct table_cursor at;
    void *found;
    if (o->kind != KUBE_NAMESPACE && pack_name(o->namespace_, ns) != 0)
        return;
    if (is_named_by_label(o->kind) ? pack_name(o->name, name) != 0 : store_identity(o->kind, ns, o->name, id) != 0)
        return;
    switch (o->kind) {
    case KUBE_NAMESPACE:
        if ((found = find_namespace(s, name, &at)) != NULL)
            namespace_delete(s, found);
        break;
    case KUBE_SERVICE:
    case KUBE_SERVICE_IMPORT:
        if ((found = find_service(s, o->kind == KUBE_SERVICE ? NAME_SERVICE : NAME_IMPORT, ns, name, &at)) != NULL)
            service_delete(s, found);
        break;
    case KUBE_ENDPOINTSLICE:
    case KUBE_IMPORTED_SLICE:
        if ((found = find_slice(s, id, &at)) != NULL)
            slice_delete(s, found);
        break;
    case KUBE_POD:
        if ((found = find_pod(s, id, &at)) != NULL)
            pod_delete(s, found);
        break;
    case KUBE_KINDS:
        break;
    }
}

void store_relist_begin(struct store *s, enum kube_kind kind)
{
    s->generation[kind]++;
}

static void sweep_namespaces(struct store *s)
{
    struct table_cursor c = table_all(&s->names);
    for (uint64_t word; (word = table_next_of_all(&c)) != TABLE_EMPTY;) {
        struct namespace_node *n = word_pointer(word);
        if (word_low(word) == NAME_NAMESPACE && n->generation != s->generation[KUBE_NAMESPACE])
            namespace_delete(s, n);
    }
}

static void sweep_services(struct store *s, enum kube_kind kind)
{
    enum name_kind swept = kind == KUBE_SERVICE ? NAME_SERVICE : NAME_IMPORT;
    struct table_cursor c = table_all(&s->names);
    for (uint64_t word; (word = table_next_of_all(&c)) != TABLE_EMPTY;) {
        struct service_node *n = word_pointer(word);
        if (word_low(word) == swept && n->generation != (s->generation[kind] & GENERATION_MASK))
            service_delete(s, n);
    }
}

static void sweep_slices(struct store *s, enum kube_kind kind)
{
    struct table_cursor c = table_all(&s->slices);
    for (uint64_t word; (word = table_next_of_all(&c)) != TABLE_EMPTY;) {
        struct slice *slice = word_pointer(word);
        if (slice->service->imported == (kind == KUBE_IMPORTED_SLICE) && slice->generation != s->generation[kind])
            slice_delete(s, slice);
    }
}

static void sweep_pods(struct store *s)
{
    struct table_cursor c = table_all(&s->pods);
    for (uint64_t word; (word = table_next_of_all(&c)) != TABLE_EMPTY;) {
        struct pod *pod = word_pointer(word);
        if (pod->generation != s->generation[KUBE_POD])
            pod_delete(s, pod);
    }
}

void store_relist_end(struct store *s, enum kube_kind kind)
{
    if (kind == KUBE_NAMESPACE)
        sweep_namespaces(s);
    else if (kind == KUBE_SERVICE || kind == KUBE_SERVICE_IMPORT)
        sweep_services(s, kind);
    else if (kind == KUBE_ENDPOINTSLICE || kind == KUBE_IMPORTED_SLICE)
        sweep_slices(s, kind);
    else
        sweep_pods(s);
}

void store_commit(struct store *s)
{
    struct table *tables[6];
    for (int i = 0; i < 6; i++)
        table_trim(all_tables(s, tables)[i]);
    reclaim(s);
    if (s->scratch_size > SCRATCH_KEEP) {
        store_release(s, s->scratch);
        s->scratch = NULL;
        s->scratch_size = 0;
    }
}

void store_set_synced(struct store *s)
{
    RCU_ASSIGN(s->synced, true);
}

void store_set_imports_synced(struct store *s)
{
    RCU_ASSIGN(s->imports_synced, true);
}

uint64_t store_changes(const struct store *s)
{
    return s->stats.changes;
}

int store_service_type(const struct store *s, const char *namespace_, const char *name)
{
    uint8_t ns[64], label[64];
    if (pack_name(namespace_, ns) != 0 || pack_name(name, label) != 0)
        return -1;
    const struct index_service *v = index_service(s, ns, label); // no reader, but the only one who frees
    return v != NULL ? (int)index_service_type(v) : -1;
}

void store_stats(const struct store *s, struct store_stats *out)
{
    *out = s->stats;
    out->bytes += sizeof *s + table_bytes(&s->names) + table_bytes(&s->endpoints) + table_bytes(&s->cluster_ips) +
                  table_bytes(&s->pod_ips) + table_bytes(&s->slices) + table_bytes(&s->pods);
}

static uint64_t hash_name(uint64_t word)
{
    if (word_low(word) == NAME_NAMESPACE)
        return hash_namespace(((const struct namespace_node *)word_pointer(word))->label);
    const struct service_node *n = word_pointer(word);
    return hash_service(n->ns->label, n->label);
}

static uint64_t hash_slice(uint64_t word)
{
    return ((const struct slice *)word_pointer(word))->id[0];
}

unsigned store_kinds(const struct store_options *options)
{
    return 1u << KUBE_NAMESPACE | 1u << KUBE_SERVICE | (options->endpoints ? 1u << KUBE_ENDPOINTSLICE : 0) |
           (options->pods ? 1u << KUBE_POD : 0) |
           (options->imports ? 1u << KUBE_SERVICE_IMPORT | 1u << KUBE_IMPORTED_SLICE : 0);
}

struct store *store_new(const struct store_options *options)
{
    struct store *s = calloc(1, sizeof *s);
    if (s == NULL)
        return NULL;
    s->options = *options;
    if (table_init(&s->names, TABLE_MAP, hash_name) != 0 ||
        table_init(&s->endpoints, TABLE_MULTI, reverse_hash_endpoint) != 0 ||
        table_init(&s->cluster_ips, TABLE_MULTI, reverse_hash_cluster_ip) != 0 ||
        table_init(&s->pod_ips, TABLE_MULTI, reverse_hash_pod) != 0 ||
        table_init(&s->slices, TABLE_MAP, hash_slice) != 0 || table_init(&s->pods, TABLE_MAP, hash_pod) != 0) {
        store_free(s);
        return NULL;
    }
    return s;
}

static void free_all(struct store *s, struct table *t)
{
    if (t->array == NULL)
        return;
    struct table_cursor c = table_all(t);
    for (uint64_t word; (word = table_next_of_all(&c)) != TABLE_EMPTY;) {
        if (t == &s->names && word_low(word) != NAME_NAMESPACE)
            store_release(s, ((struct service_node *)word_pointer(word))->view);
        store_release(s, word_pointer(word));
    }
}

void store_free(struct store *s)
{
    if (s == NULL)
        return;
    while (s->nretired > 0)
        store_release(s, s->retired[--s->nretired]);
    free_all(s, &s->slices);
    free_all(s, &s->pods);
    free_all(s, &s->names);
    store_release(s, s->scratch);
    struct table *tables[6];
    for (int i = 0; i < 6; i++)
        table_free(all_tables(s, tables)[i]);
    free(s);
}
