// SPDX-License-Identifier: Apache-2.0
#include "kube/facts.h"

static uint64_t hash_endpoint(const struct slice *s, size_t i)
{
    size_t len;
    const uint8_t *address = slice_address(s, i, &len);
    return hash_address(address, len);
}

// A slice has 65,535 endpoints at most: the last one's number is not TABLE_CHAINED.
static uint64_t endpoint_word(const struct slice *s, size_t i, uint64_t hash)
{
    return word_make(s, (uint16_t)i, (unsigned)hash & 15u);
}

uint64_t reverse_hash_endpoint(uint64_t word)
{
    return hash_endpoint(word_pointer(word), word_high(word));
}

static size_t endpoints_of(const struct slice *s)
{
    return s == NULL ? 0 : (size_t)s->n4 + s->n6;
}

#define BUCKETS 4096 // a power of two

// Which endpoint of `old` each of `new`'s takes the place of: one of the same address, each once. Number + 1, 0: none.
static void match(const struct slice *old, const struct slice *new_, uint16_t *partner)
{
    uint16_t heads[BUCKETS], next[UINT16_MAX];
    size_t n = endpoints_of(new_), nold = endpoints_of(old), mask = 15;
    memset(partner, 0, n * sizeof *partner);
    if (n == 0)
        return;
    while (mask < nold && mask < BUCKETS - 1)
        mask = 2 * mask + 1;
    memset(heads, 0, (mask + 1) * sizeof heads[0]);
    for (size_t i = nold; i-- > 0;) {
        uint16_t *head = &heads[hash_endpoint(old, i) & mask];
        next[i] = *head;
        *head = (uint16_t)(i + 1);
    }
    for (size_t i = 0; nold > 0 && i < n; i++) {
        uint16_t *p = &heads[hash_endpoint(new_, i) & mask];
        while (*p != 0 && !slice_same_address(old, *p - 1u, new_, i))
            p = &next[*p - 1];
        partner[i] = *p;
        if (*p != 0)
            *p = next[*p - 1];
    }
}

void reverse_remove(struct store *s, const struct slice *old, const struct slice *new_)
{
    uint16_t partner[UINT16_MAX];
    uint8_t kept[UINT16_MAX / 8 + 1];
    size_t n = endpoints_of(old);
    struct table_cursor at;
    memset(kept, 0, n / 8 + 1);
    match(old, new_, partner);
    for (size_t i = 0; i < endpoints_of(new_); i++)
        if (partner[i] != 0)
            kept[(partner[i] - 1) / 8] |= (uint8_t)(1u << (partner[i] - 1) % 8);
    for (size_t i = 0; i < n; i++) {
        uint64_t hash = hash_endpoint(old, i);
        if ((kept[i / 8] >> i % 8 & 1) == 0 &&
            EXPECT(table_find_word(&s->endpoints, hash, endpoint_word(old, i, hash), &at)))
            table_erase(&s->endpoints, &at);
    }
}

static void put_endpoint(struct table *t, const struct slice *new_, size_t i, uint64_t hash, const struct slice *old,
                         size_t partner)
{
    uint64_t word = endpoint_word(new_, i, hash);
    struct table_cursor at;
    if (partner != 0 && EXPECT(table_find_word(t, hash, endpoint_word(old, partner - 1, hash), &at)))
        table_replace(&at, word);
    else
        table_insert(t, hash, word);
}

#define AHEAD 8 // endpoints whose slots, which lie anywhere in memory, are fetched at once

void reverse_put(struct store *s, const struct slice *old, const struct slice *new_)
{
    uint16_t partner[UINT16_MAX];
    uint64_t hashes[AHEAD];
    size_t n = endpoints_of(new_);
    match(old, new_, partner);
    for (size_t i = 0; i < n + AHEAD; i++) {
        if (i >= AHEAD && i - AHEAD < n)
            put_endpoint(&s->endpoints, new_, i - AHEAD, hashes[i % AHEAD], old, partner[i - AHEAD]);
        if (i >= n)
            continue;
        hashes[i % AHEAD] = hash_endpoint(new_, i);
        table_prefetch(&s->endpoints, hashes[i % AHEAD]);
    }
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
            table_find_word(&s->cluster_ips, hash, list_word(old, list, p, hash), &at))
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
        if (had != NULL && table_find_word(&s->cluster_ips, hash, list_word(old, view_ips(old), had, hash), &at))
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
        if (table_find_word(&s->pod_ips, hash, list_word(pod, pod->ips, p, hash), &at))
            table_erase(&s->pod_ips, &at);
    }
}
