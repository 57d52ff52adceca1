// SPDX-License-Identifier: Apache-2.0
#include "plugins/kubernetes/kubernetes.h"
#include <clusterdns/hash.h>
#include <string.h>

// Keyed, since hostnames are chosen by whoever may create endpoints.
static uint64_t hash_of(const uint8_t *owner, size_t owner_len, uint16_t type, const uint8_t *rdata, uint16_t rdlen)
{
    return hash_bytes(owner, owner_len) ^ (hash_bytes(rdata, rdlen) + type);
}

// The slot of a record like this, or the free one where it belongs.
static uint16_t *slot_of(const struct section *s, const uint8_t *owner, size_t owner_len, uint16_t type,
                         const uint8_t *rdata, uint16_t rdlen)
{
    uint64_t at = hash_of(owner, owner_len, type, rdata, rdlen);
    for (;; at++) {
        uint16_t *slot = &s->slots[at & (s->cap - 1)];
        if (*slot == 0)
            return slot;
        const struct record *rr = &s->set->rr[*slot - 1];
        if (rr->type == type && rr->rdlen == rdlen && memcmp(rr->rdata, rdata, rdlen) == 0 &&
            name_length(rr->owner) == owner_len && memcmp(rr->owner, owner, owner_len) == 0)
            return slot;
    }
}

// Makes the hash table, or one of twice the size.
static int grow(struct section *s)
{
    s->cap = s->cap == 0 ? 16 : 2 * s->cap;
    s->slots = arena_calloc(s->q->arena, s->cap, sizeof *s->slots);
    if (s->slots == NULL)
        return CDNS_ENOMEM;
    for (uint32_t i = 0; i < s->set->n; i++) {
        const struct record *rr = &s->set->rr[i];
        *slot_of(s, rr->owner, name_length(rr->owner), rr->type, rr->rdata, rr->rdlen) = (uint16_t)(i + 1);
    }
    return 0;
}

int section_add(struct section *s, const uint8_t *owner, uint16_t type, const uint8_t *rdata, uint16_t rdlen)
{
    uint16_t *slot = NULL;
    bool own = owner == s->q->qname_asked;
    size_t owner_len = own ? s->q->qname_len : name_length(owner);
    if (s->set->n == RECORDS_MAX)
        return CDNS_ENOSPC;
    if (s->unique) {
        if (2 * (s->set->n + 1) > s->cap && grow(s) != 0)
            return CDNS_ENOMEM;
        slot = slot_of(s, owner, owner_len, type, rdata, rdlen);
        if (*slot != 0)
            return 0;
    }
    const uint8_t *copy = arena_memdup(s->q->arena, rdata, rdlen);
    if (!own)
        owner = arena_memdup(s->q->arena, owner, owner_len);
    if (copy == NULL || owner == NULL || records_add(s->set, s->q->arena, owner, type, s->ttl, copy, rdlen) != 0)
        return CDNS_ENOMEM;
    if (slot != NULL)
        *slot = (uint16_t)s->set->n;
    return 0;
}

int section_add_address(struct section *s, const uint8_t *owner, const struct kube_address *a)
{
    return section_add(s, owner, a->len == 4 ? RR_A : RR_AAAA, a->bytes, a->len);
}
