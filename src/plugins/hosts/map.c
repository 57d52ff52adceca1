// SPDX-License-Identifier: Apache-2.0
#include "plugins/hosts/hosts.h"

#include <clusterdns/hash.h>
#include <stdlib.h>
#include <string.h>

#define IPV6 0x80000000U // in an entry's `name`

struct entry {
    uint32_t name;                    // where it stands in `names`; IPV6: the address is one
    uint32_t address;                 // its bytes, or its place in `v6`
    uint32_t same_name, same_address; // the next entry; 0: none
};

// Entries are numbered from 1. Tables are open-addressed, and hold the first entry of those alike.
struct hosts_map {
    struct entry *entries;
    uint8_t *names; // one after the other, and as many bytes more as are compared without a look at the length
    uint8_t (*v6)[16];
    uint32_t *by_name, *by_address; // NULL: not there
    size_t n, names_len, nv6;
    size_t entries_cap, names_cap, v6_cap;
    size_t mask;     // slots of a table - 1
    size_t nreverse; // entries in `by_address`
};

struct hosts_map *hosts_map_new(void)
{
    return calloc(1, sizeof(struct hosts_map));
}

void hosts_map_free(struct hosts_map *m)
{
    if (m == NULL)
        return;
    free(m->entries);
    free(m->names);
    free(m->v6);
    free(m->by_name);
    free(m->by_address);
    free(m);
}

// Room for `need` items of `size` bytes.
static int reserve(void *array, size_t *cap, size_t need, size_t size)
{
    if (need <= *cap)
        return 0;
    size_t wanted = *cap == 0 ? 64 : 2 * *cap;
    while (wanted < need)
        wanted *= 2;
    void *old, *larger;
    memcpy(&old, array, sizeof old);
    larger = realloc(old, wanted * size);
    if (larger == NULL)
        return CDNS_ENOMEM;
    memcpy(array, &larger, sizeof larger);
    *cap = wanted;
    return 0;
}

int hosts_map_add(struct hosts_map *m, const uint8_t *name, const struct ip_address *a)
{
    size_t len = name_length(name);
    if (m->n == HOSTS_NAMES_MAX)
        return CDNS_ELIMIT;
    if (reserve(&m->entries, &m->entries_cap, m->n + 1, sizeof *m->entries) != 0 ||
        reserve(&m->names, &m->names_cap, m->names_len + len + NAME_MAX_WIRE, 1) != 0 ||
        reserve(&m->v6, &m->v6_cap, m->nv6 + 1, sizeof *m->v6) != 0)
        return CDNS_ENOMEM;
    struct entry *e = &m->entries[m->n++];
    *e = (struct entry){.name = (uint32_t)m->names_len};
    memcpy(m->names + m->names_len, name, len);
    m->names_len += len;
    if (a->len == 4) {
        memcpy(&e->address, a->bytes, 4);
    } else {
        e->name |= IPV6;
        e->address = (uint32_t)m->nv6;
        memcpy(m->v6[m->nv6++], a->bytes, 16);
    }
    return 0;
}

static bool is_v6(const struct entry *e)
{
    return (e->name & IPV6) != 0;
}

static const uint8_t *name_of(const struct hosts_map *m, const struct entry *e)
{
    return m->names + (e->name & ~IPV6);
}

static const uint8_t *address_of(const struct hosts_map *m, const struct entry *e)
{
    return is_v6(e) ? m->v6[e->address] : (const uint8_t *)&e->address;
}

static uint32_t *name_slot(const struct hosts_map *m, const uint8_t *name, size_t len, bool v6)
{
    for (uint64_t at = hash_bytes(name, len) + v6;; at++) {
        uint32_t *slot = &m->by_name[at & m->mask];
        if (*slot == 0)
            return slot;
        const struct entry *e = &m->entries[*slot - 1];
        if (is_v6(e) == v6 && memcmp(name_of(m, e), name, len) == 0)
            return slot;
    }
}

static uint32_t *address_slot(const struct hosts_map *m, const uint8_t *bytes, bool v6)
{
    size_t len = v6 ? 16 : 4;
    for (uint64_t at = hash_bytes(bytes, len);; at++) {
        uint32_t *slot = &m->by_address[at & m->mask];
        if (*slot == 0)
            return slot;
        const struct entry *e = &m->entries[*slot - 1];
        if (is_v6(e) == v6 && memcmp(address_of(m, e), bytes, len) == 0)
            return slot;
    }
}

// Gives back what the arrays have grown too far.
static void shrink(void *array, size_t bytes)
{
    void *old, *smaller;
    memcpy(&old, array, sizeof old);
    smaller = old != NULL && bytes > 0 ? realloc(old, bytes) : NULL;
    if (smaller != NULL)
        memcpy(array, &smaller, sizeof smaller);
}

static bool is_wildcard(const uint8_t *name)
{
    return name[0] == 1 && name[1] == '*';
}

int hosts_map_finish(struct hosts_map *m, bool reverse)
{
    size_t slots = 2;
    while (slots < m->n + m->n / 2)
        slots *= 2;
    m->mask = slots - 1;
    m->by_name = calloc(slots, sizeof *m->by_name);
    m->by_address = reverse ? calloc(slots, sizeof *m->by_address) : NULL;
    if (m->by_name == NULL || (reverse && m->by_address == NULL))
        return CDNS_ENOMEM;
    if (m->names != NULL)
        memset(m->names + m->names_len, 0, NAME_MAX_WIRE);
    // From the last to the first, so that each becomes the head of those behind it.
    for (size_t i = m->n; i-- > 0;) {
        struct entry *e = &m->entries[i];
        const uint8_t *name = name_of(m, e);
        bool v6 = is_v6(e);
        uint32_t *slot = name_slot(m, name, name_length(name), v6);
        e->same_name = *slot;
        *slot = (uint32_t)(i + 1);
        if (!reverse || is_wildcard(name))
            continue;
        slot = address_slot(m, address_of(m, e), v6);
        e->same_address = *slot;
        *slot = (uint32_t)(i + 1);
        m->nreverse++;
    }
    shrink(&m->entries, m->n * sizeof *m->entries);
    shrink(&m->names, m->names_len + NAME_MAX_WIRE);
    shrink(&m->v6, m->nv6 * sizeof *m->v6);
    return 0;
}

size_t hosts_map_count(const struct hosts_map *m)
{
    return m->n + m->nreverse;
}

uint32_t hosts_map_find(const struct hosts_map *m, const uint8_t *name, size_t len, uint8_t address_len)
{
    bool v6 = address_len == 16;
    uint32_t entry = *name_slot(m, name, len, v6);
    if (entry != 0 || len == 1)
        return entry;
    uint8_t wildcard[NAME_MAX_WIRE] = {1, '*'};
    size_t rest = len - 1 - name[0];
    memcpy(wildcard + 2, name + 1 + name[0], rest);
    return *name_slot(m, wildcard, 2 + rest, v6);
}

uint32_t hosts_map_next(const struct hosts_map *m, uint32_t entry)
{
    return m->entries[entry - 1].same_name;
}

struct ip_address hosts_map_address(const struct hosts_map *m, uint32_t entry)
{
    const struct entry *e = &m->entries[entry - 1];
    struct ip_address a = {.len = is_v6(e) ? 16 : 4};
    memcpy(a.bytes, address_of(m, e), a.len);
    return a;
}

uint32_t hosts_map_find_address(const struct hosts_map *m, const struct ip_address *a)
{
    return m->by_address != NULL ? *address_slot(m, a->bytes, a->len == 16) : 0;
}

uint32_t hosts_map_next_name(const struct hosts_map *m, uint32_t entry)
{
    return m->entries[entry - 1].same_address;
}

const uint8_t *hosts_map_name(const struct hosts_map *m, uint32_t entry)
{
    return name_of(m, &m->entries[entry - 1]);
}
