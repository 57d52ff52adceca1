// SPDX-License-Identifier: Apache-2.0
#include "kube/facts.h"
#include <clusterdns/log.h>

static struct service_node *node_new(struct store *s, const uint8_t *ns, const uint8_t *name)
{
    struct service_node *n = store_alloc(s, sizeof *n + 1u + name[0]);
    if (n == NULL)
        return NULL;
    *n = (struct service_node){.ns = namespace_get(s, ns)};
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

static void publish(struct store *s, struct service_node *n, struct index_service *v)
{
    struct index_service *old = n->view;
    if (old != NULL)
        reverse_remove_cluster_ips(s, old, v);
    RCU_ASSIGN(n->view, v);
    if (old == NULL) {
        uint64_t hash = hash_service(n->ns->label, n->label);
        table_insert(&s->names, hash, word_make(n, (uint16_t)hash, NAME_SERVICE));
    }
    reverse_put_cluster_ips(s, old, v);
    if (old != NULL)
        store_retire(s, old);
}

// Takes a node out of which nothing is left but what its view still shows.
static void unpublish(struct store *s, struct service_node *n)
{
    struct table_cursor at;
    reverse_remove_cluster_ips(s, n->view, NULL);
    if (EXPECT(find_service(s, n->ns->label, n->label, &at) == n))
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
    struct index_service *spec = store_scratch(s, pack_service_bound(&o->service));
    if (spec == NULL)
        return CDNS_ENOMEM;
    pack_service(&o->service, o->name, spec);
    struct table_cursor at;
    struct service_node *n = find_service(s, ns, name, &at);
    if (n != NULL && same_spec(n->view, spec)) {
        n->generation = s->generation[KUBE_SERVICE];
        return 0;
    }
    if (table_reserve(&s->names, 2) != 0 || table_reserve(&s->cluster_ips, spec->nips) != 0)
        return CDNS_ENOMEM;
    if (n == NULL && (n = node_new(s, ns, name)) == NULL)
        return CDNS_ENOMEM;
    struct index_service *v = view_new(s, n, spec, NULL, NULL);
    if (v == NULL) {
        if (n->view == NULL)
            node_forget(s, n);
        return CDNS_ENOMEM;
    }
    if (n->view == NULL || n->view->type == TYPE_NONE)
        s->stats.services++;
    publish(s, n, v);
    n->generation = s->generation[KUBE_SERVICE];
    store_changed(s);
    return 0;
}

void service_delete(struct store *s, struct service_node *n)
{
    if (n->view->type == TYPE_NONE)
        return;
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
    s->stats.services--;
    store_changed(s);
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
    reverse_remove(s, slice, NULL);
    if (last)
        unpublish(s, n);
    else
        publish(s, n, v);
    s->stats.endpoints -= (size_t)slice->n4 + slice->n6;
    s->stats.slices--;
    struct table_cursor at;
    if (EXPECT(find_slice(s, slice->id, &at) == slice))
        table_erase(&s->slices, &at);
    store_retire(s, slice);
    return 0;
}

void slice_delete(struct store *s, struct slice *slice)
{
    if (slice_take_out(s, slice) != 0)
        log_plugin(LOG_LEVEL_ERROR, "kubernetes", "out of memory: a deleted endpoint slice stays");
    else
        store_changed(s);
}

// Puts a packed slice into the node's view, in place of `old` (of the same node, or NULL).
static int slice_put(struct store *s, struct service_node *n, const struct slice *packed, struct slice *old)
{
    size_t count = (size_t)packed->n4 + packed->n6;
    struct slice *slice = NULL;
    struct index_service *v = NULL;
    if (table_reserve(&s->slices, 1) != 0 || table_reserve(&s->endpoints, count) != 0 ||
        (slice = store_alloc(s, slice_size(packed))) == NULL || (v = view_new(s, n, n->view, old, slice)) == NULL) {
        store_release(s, slice);
        return CDNS_ENOMEM;
    }
    memcpy(slice, packed, slice_size(packed));
    struct table_cursor at;
    if (old != NULL) {
        reverse_remove(s, old, slice);
        if (EXPECT(find_slice(s, old->id, &at) == old))
            table_replace(&at, word_make(slice, 0, 0));
    } else {
        table_insert(&s->slices, slice->id[0], word_make(slice, 0, 0));
    }
    publish(s, n, v);
    reverse_put(s, old, slice);
    s->stats.endpoints += count;
    s->stats.slices++;
    if (old != NULL) {
        s->stats.endpoints -= (size_t)old->n4 + old->n6;
        s->stats.slices--;
        store_retire(s, old);
    }
    store_changed(s);
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
    if (store_identity(ns, o->name, id) != 0)
        return CDNS_EINVAL;
    struct slice *old = find_slice(s, id, &at);
    struct slice *packed = store_scratch(s, pack_slice_bound(&o->slice));
    if (packed == NULL || table_reserve(&s->names, 2) != 0)
        return CDNS_ENOMEM;
    pack_slice(&o->slice, s->options.pod_names, o->name, packed);
    // Without ready endpoints, or of no service, it has nothing to say: it is kept as little as one that is not there.
    if (packed->n4 + packed->n6 == 0 || pack_name(o->slice.service, name) != 0) {
        if (old != NULL)
            slice_delete(s, old);
        return 0;
    }
    struct service_node *n = find_service(s, ns, name, &at);
    if (n == NULL && (n = node_new(s, ns, name)) == NULL)
        return CDNS_ENOMEM;
    packed->service = n;
    packed->id[0] = id[0];
    packed->id[1] = id[1];
    packed->generation = s->generation[KUBE_ENDPOINTSLICE];
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
