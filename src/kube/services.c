// SPDX-License-Identifier: Apache-2.0
#include "kube/facts.h"
#include <clusterdns/log.h>

// What a node and its slices come from.
static enum name_kind name_kind(const struct service_node *n)
{
    return n->imported ? NAME_IMPORT : NAME_SERVICE;
}

static enum kube_kind service_kind(const struct service_node *n)
{
    return n->imported ? KUBE_SERVICE_IMPORT : KUBE_SERVICE;
}

static enum kube_kind slice_kind(const struct slice *slice)
{
    return slice->service->imported ? KUBE_IMPORTED_SLICE : KUBE_ENDPOINTSLICE;
}

static size_t *service_count(struct store *s, const struct service_node *n)
{
    return n->imported ? &s->stats.imports : &s->stats.services;
}

// `more` or `less` (or NULL) is kept, or not any more.
static void count_slices(struct store *s, const struct slice *more, const struct slice *less)
{
    size_t *slices = (more != NULL ? more : less)->service->imported ? &s->stats.imported_slices : &s->stats.slices;
    *slices = *slices + (more != NULL) - (less != NULL);
    s->stats.endpoints += more != NULL ? (size_t)more->n4 + more->n6 : 0;
    s->stats.endpoints -= less != NULL ? (size_t)less->n4 + less->n6 : 0;
}

static struct service_node *node_new(struct store *s, enum name_kind kind, const uint8_t *ns, const uint8_t *name)
{
    struct service_node *n = store_alloc(s, sizeof *n + 1u + name[0]);
    if (n == NULL)
        return NULL;
    *n = (struct service_node){.ns = namespace_get(s, ns), .imported = kind == NAME_IMPORT};
    memcpy(n->label, name, 1u + name[0]);
    if (n->ns == NULL) {
        store_release(s, n);
        return NULL;
    }
    n->ns->users++;
    return n;
}

// A node that was made but never published.
static void node_forget(struct store *s, struct service_node *n)
{
    struct namespace_node *ns = n->ns;
    store_release(s, n);
    ns->users--;
    namespace_drop_unused(s, ns);
}

// A view with what `spec` says of the Service object (NULL: there is none), and the node's slices, of which `without`
// is left out (or NULL) and `with` stands in its place, or last (or NULL). NULL when memory is short.
static struct index_service *view_new(struct store *s, struct service_node *n, const struct index_service *spec,
                                      const struct slice *without, struct slice *with)
{
    static const struct index_service none = {.type = TYPE_NONE};
    const struct index_service *base = n->view == NULL ? &none : n->view;
    if (spec == NULL)
        spec = &none;
    size_t count = base->nslices + (size_t)(with != NULL) - (size_t)(without != NULL);
    size_t body = view_body_size(spec);
    if (count > UINT16_MAX)
        return NULL;
    struct index_service *v = store_alloc(s, sizeof *v + count * sizeof(struct slice *) + body);
    if (v == NULL)
        return NULL;
    *v = *spec;
    v->node = n;
    v->nslices = (uint16_t)count;
    size_t to = 0;
    for (size_t i = 0; i < base->nslices; i++) {
        if (base->slices[i] != without)
            v->slices[to++] = base->slices[i];
        else if (with != NULL)
            v->slices[to++] = with;
    }
    if (to < count)
        v->slices[to] = with;
    memcpy(v->slices + count, view_ports(spec), body);
    return v;
}

// No address leads to an imported service.
static void publish(struct store *s, struct service_node *n, struct index_service *v)
{
    struct index_service *old = n->view;
    if (old != NULL && !n->imported)
        reverse_remove_cluster_ips(s, old, v);
    RCU_ASSIGN(n->view, v);
    if (old == NULL) {
        uint64_t hash = hash_service(n->ns->label, n->label);
        table_insert(&s->names, hash, word_make(n, (uint16_t)hash, name_kind(n)));
    }
    if (!n->imported)
        reverse_put_cluster_ips(s, old, v);
    if (old != NULL)
        store_retire(s, old);
}

// Takes a node out of which nothing is left but what its view still shows.
static void unpublish(struct store *s, struct service_node *n)
{
    struct table_cursor at;
    if (!n->imported)
        reverse_remove_cluster_ips(s, n->view, NULL);
    if (EXPECT(find_service(s, name_kind(n), n->ns->label, n->label, &at) == n))
        table_erase(&s->names, &at);
    n->ns->users--;
    namespace_drop_unused(s, n->ns);
    store_retire(s, n->view);
    store_retire(s, n);
}

static bool same_spec(const struct index_service *a, const struct index_service *b)
{
    return a->type == b->type && a->nports == b->nports && a->nips == b->nips && a->text_units == b->text_units &&
           view_body_size(a) == view_body_size(b) && memcmp(view_ports(a), view_ports(b), view_body_size(a)) == 0;
}

int service_upsert(struct store *s, const struct kube_object *o, const uint8_t *ns, const uint8_t *name)
{
    enum name_kind kind = o->kind == KUBE_SERVICE_IMPORT ? NAME_IMPORT : NAME_SERVICE;
    struct index_service *spec = store_scratch(s, pack_service_bound(&o->service));
    if (spec == NULL)
        return CDNS_ENOMEM;
    pack_service(&o->service, o->name, spec);
    struct table_cursor at;
    struct service_node *n = find_service(s, kind, ns, name, &at);
    if (n != NULL && same_spec(n->view, spec)) {
        n->generation = s->generation[o->kind] & GENERATION_MASK;
        return 0;
    }
    if (table_reserve(&s->names, 2) != 0 || table_reserve(&s->cluster_ips, spec->nips) != 0)
        return CDNS_ENOMEM;
    if (n == NULL && (n = node_new(s, kind, ns, name)) == NULL)
        return CDNS_ENOMEM;
    struct index_service *v = view_new(s, n, spec, NULL, NULL);
    if (v == NULL) {
        if (n->view == NULL)
            node_forget(s, n);
        return CDNS_ENOMEM;
    }
    if (n->view == NULL || n->view->type == TYPE_NONE)
        ++*service_count(s, n);
    publish(s, n, v);
    n->generation = s->generation[o->kind] & GENERATION_MASK;
    store_changed(s, o->kind);
    return 0;
}

void service_delete(struct store *s, struct service_node *n)
{
    if (n->view->type == TYPE_NONE)
        return;
    size_t *count = service_count(s, n);
    enum kube_kind kind = service_kind(n);
    if (n->view->nslices == 0) {
        unpublish(s, n);
    } else {
        struct index_service *v = view_new(s, n, NULL, NULL, NULL);
        if (v == NULL) {
            log_plugin(LOG_LEVEL_ERROR, "kubernetes", "out of memory: a deleted service stays");
            return;
        }
        publish(s, n, v);
    }
    --*count;
    store_changed(s, kind);
}

struct slice *find_slice(const struct store *s, const uint64_t id[2], struct table_cursor *at)
{
    *at = table_find(&s->slices, id[0]);
    for (uint64_t word; (word = table_next(at)) != TABLE_EMPTY;) {
        struct slice *slice = word_pointer(word);
        if (slice->id[0] == id[0] && slice->id[1] == id[1])
            return slice;
    }
    return NULL;
}

// What goes first: reverse, then forward.
static int slice_take_out(struct store *s, struct slice *slice)
{
    struct service_node *n = slice->service;
    bool last = n->view->type == TYPE_NONE && n->view->nslices == 1;
    struct index_service *v = last ? NULL : view_new(s, n, n->view, slice, NULL);
    if (v == NULL && !last)
        return CDNS_ENOMEM;
    if (!n->imported)
        reverse_remove(s, slice, NULL);
    count_slices(s, NULL, slice);
    if (last)
        unpublish(s, n);
    else
        publish(s, n, v);
    struct table_cursor at;
    if (EXPECT(find_slice(s, slice->id, &at) == slice))
        table_erase(&s->slices, &at);
    store_retire(s, slice);
    return 0;
}

void slice_delete(struct store *s, struct slice *slice)
{
    enum kube_kind kind = slice_kind(slice);
    if (slice_take_out(s, slice) != 0)
        log_plugin(LOG_LEVEL_ERROR, "kubernetes", "out of memory: a deleted endpoint slice stays");
    else
        store_changed(s, kind);
}

// Puts a packed slice into the node's view, in place of `old` (of the same node, or NULL).
static int slice_put(struct store *s, struct service_node *n, const struct slice *packed, struct slice *old)
{
    size_t addresses = n->imported ? 0 : (size_t)packed->n4 + packed->n6;
    struct slice *slice = NULL;
    struct index_service *v = NULL;
    if (table_reserve(&s->slices, 1) != 0 || table_reserve(&s->endpoints, addresses) != 0 ||
        (slice = store_alloc(s, slice_size(packed))) == NULL || (v = view_new(s, n, n->view, old, slice)) == NULL) {
        store_release(s, slice);
        return CDNS_ENOMEM;
    }
    memcpy(slice, packed, slice_size(packed));
    struct table_cursor at;
    if (old != NULL && !n->imported)
        reverse_remove(s, old, slice);
    if (old == NULL)
        table_insert(&s->slices, slice->id[0], word_make(slice, 0, 0));
    else if (EXPECT(find_slice(s, old->id, &at) == old))
        table_replace(&at, word_make(slice, 0, 0));
    publish(s, n, v);
    if (!n->imported)
        reverse_put(s, old, slice);
    count_slices(s, slice, old);
    if (old != NULL)
        store_retire(s, old);
    store_changed(s, slice_kind(slice));
    return 0;
}

static bool same_slice(const struct slice *a, const struct slice *b)
{
    size_t from = offsetof(struct slice, n4);
    return a->service == b->service && slice_size(a) == slice_size(b) &&
           memcmp((const char *)a + from, (const char *)b + from, slice_size(a) - from) == 0;
}

int slice_upsert(struct store *s, const struct kube_object *o, const uint8_t *ns)
{
    uint64_t id[2];
    uint8_t name[64];
    struct table_cursor at;
    enum name_kind kind = o->kind == KUBE_IMPORTED_SLICE ? NAME_IMPORT : NAME_SERVICE;
    if (store_identity(o->kind, ns, o->name, id) != 0)
        return CDNS_EINVAL;
    struct slice *old = find_slice(s, id, &at);
    struct slice *packed = store_scratch(s, pack_slice_bound(o, &s->options));
    if (packed == NULL || table_reserve(&s->names, 2) != 0)
        return CDNS_ENOMEM;
    pack_slice(o, &s->options, packed);
    // Without ready endpoints, or of no service, it has nothing to say: it is kept as little as one that is not there.
    if (packed->n4 + packed->n6 == 0 || pack_name(o->slice.service, name) != 0) {
        if (old != NULL)
            slice_delete(s, old);
        return 0;
    }
    struct service_node *n = find_service(s, kind, ns, name, &at);
    if (n == NULL && (n = node_new(s, kind, ns, name)) == NULL)
        return CDNS_ENOMEM;
    packed->service = n;
    packed->id[0] = id[0];
    packed->id[1] = id[1];
    packed->generation = s->generation[o->kind];
    int e = 0;
    if (old != NULL && same_slice(old, packed)) {
        old->generation = packed->generation;
        return 0;
    }
    if (old != NULL && old->service != n) {
        e = slice_take_out(s, old);
        old = NULL;
    }
    e = e != 0 ? e : slice_put(s, n, packed, old);
    if (e != 0 && n->view == NULL)
        node_forget(s, n);
    return e;
}
