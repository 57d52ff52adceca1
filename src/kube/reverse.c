// SPDX-License-Identifier: Apache-2.0
#include "kube/facts.h"

static uint64_t hash_endpoint(const struct slice *s, size_t i)
{
    size_t len;
    const uint8_t *address = slice_address(s, i, &len);
    return hash_address(address, len);
}

static uint64_t endpoint_word(const struct slice *s, size_t i, uint64_t hash)
{
    return word_make(s, (uint16_t)i, (unsigned)hash & 15u);
}

uint64_t reverse_hash_endpoint(uint64_t word)
{
    return hash_endpoint(word_pointer(word), word_high(word));
}

static bool same_address(const struct slice *a, size_t i, const struct slice *b, size_t j)
{
    size_t len, len2;
    const uint8_t *p = slice_address(a, i, &len), *q = slice_address(b, j, &len2);
    return len == len2 && memcmp(p, q, len) == 0;
}

// Finds an entry of slice `of` with the address of endpoint `i` of `like`, but none that `skip` has a bit for.
static bool find_entry(struct store *s, const struct slice *of, const struct slice *like, size_t i, uint64_t hash,
                       const uint8_t *skip, struct table_cursor *at, size_t *entry)
{
    *at = table_find(&s->endpoints, hash);
    for (uint64_t word; (word = table_next(at)) != TABLE_EMPTY;) {
        *entry = word_high(word);
        if (word_pointer(word) == of && same_address(of, *entry, like, i) &&
            (skip == NULL || (skip[*entry / 8] >> *entry % 8 & 1) == 0))
            return true;
    }
    return false;
}

void reverse_remove(struct store *s, const struct slice *old, const struct slice *new_)
{
    uint8_t kept[(UINT16_MAX + 1) / 8];
    size_t n = (size_t)old->n4 + old->n6, entry;
    struct table_cursor at;
    memset(kept, 0, n / 8 + 1);
    for (size_t i = 0; new_ != NULL && i < (size_t)new_->n4 + new_->n6; i++)
        if (find_entry(s, old, new_, i, hash_endpoint(new_, i), kept, &at, &entry))
            kept[entry / 8] |= (uint8_t)(1u << entry % 8);
    for (size_t i = 0; i < n; i++)
        if ((kept[i / 8] >> i % 8 & 1) == 0 && find_entry(s, old, old, i, hash_endpoint(old, i), kept, &at, &entry))
            table_erase(&s->endpoints, &at);
}

void reverse_put(struct store *s, const struct slice *old, const struct slice *new_)
{
    for (size_t i = 0; i < (size_t)new_->n4 + new_->n6; i++) {
        uint64_t hash = hash_endpoint(new_, i);
        struct table_cursor at;
        size_t entry;
        if (old != NULL && find_entry(s, old, new_, i, hash, NULL, &at, &entry))
            table_replace(&at, endpoint_word(new_, i, hash));
        else
            table_insert(&s->endpoints, hash, endpoint_word(new_, i, hash));
    }
}

static bool find_word(const struct table *t, uint64_t hash, uint64_t word, struct table_cursor *at)
{
    *at = table_find(t, hash);
    for (uint64_t w; (w = table_next(at)) != TABLE_EMPTY;)
        if (w == word)
            return true;
    return false;
}

// Words of cluster and pod addresses say with their high bits where in the object's list the address stands.
static uint64_t list_word(const void *object, const uint8_t *list, const uint8_t *p, uint64_t hash)
{
    return word_make(object, (uint16_t)(p - list), (unsigned)hash & 15u);
}

uint64_t reverse_hash_cluster_ip(uint64_t word)
{
    const uint8_t *p = view_ips(word_pointer(word)) + word_high(word);
    return hash_address(p + 1, p[0]);
}

void reverse_remove_cluster_ips(struct store *s, const struct index_service *old, const struct index_service *new_)
{
    const uint8_t *list = view_ips(old), *p = list;
    for (unsigned i = 0; i < old->nips; i++, p += 1 + p[0]) {
        uint64_t hash = hash_address(p + 1, p[0]);
        struct table_cursor at;
        if ((new_ == NULL || view_find_ip(new_, p) == NULL) &&
            find_word(&s->cluster_ips, hash, list_word(old, list, p, hash), &at))
            table_erase(&s->cluster_ips, &at);
    }
}

void reverse_put_cluster_ips(struct store *s, const struct index_service *old, const struct index_service *new_)
{
    const uint8_t *list = view_ips(new_), *p = list;
    for (unsigned i = 0; i < new_->nips; i++, p += 1 + p[0]) {
        uint64_t hash = hash_address(p + 1, p[0]), word = list_word(new_, list, p, hash);
        struct table_cursor at;
        const uint8_t *had = old == NULL ? NULL : view_find_ip(old, p);
        if (had != NULL && find_word(&s->cluster_ips, hash, list_word(old, view_ips(old), had, hash), &at))
            table_replace(&at, word);
        else
            table_insert(&s->cluster_ips, hash, word);
    }
}

uint64_t reverse_hash_pod(uint64_t word)
{
    const struct pod *pod = word_pointer(word);
    return hash_pod_ip(pod->ns->label, pod->ips + word_high(word));
}

void reverse_put_pod(struct store *s, const struct pod *pod)
{
    for (const uint8_t *p = pod->ips; p < pod->ips + pod->len; p += 1 + p[0]) {
        uint64_t hash = hash_pod_ip(pod->ns->label, p);
        table_insert(&s->pod_ips, hash, list_word(pod, pod->ips, p, hash));
    }
}

void reverse_remove_pod(struct store *s, const struct pod *pod)
{
    for (const uint8_t *p = pod->ips; p < pod->ips + pod->len; p += 1 + p[0]) {
        uint64_t hash = hash_pod_ip(pod->ns->label, p);
        struct table_cursor at;
        if (find_word(&s->pod_ips, hash, list_word(pod, pod->ips, p, hash), &at))
            table_erase(&s->pod_ips, &at);
    }
}
