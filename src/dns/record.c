// SPDX-License-Identifier: Apache-2.0
#include <clusterdns/record.h>

#include "base/writer.h"
#include <clusterdns/name.h>

int records_add(struct records *set, struct arena *a, const uint8_t *owner, uint16_t type, uint32_t ttl,
                const uint8_t *rdata, uint16_t rdlen)
{
    if (set->n == set->cap) {
        uint32_t cap = set->cap == 0 ? 4 : set->cap * 2;
        struct record *rr = arena_alloc(a, cap * sizeof *rr);
        if (rr == NULL)
            return CDNS_ENOMEM;
        if (set->n > 0)
            memcpy(rr, set->rr, set->n * sizeof *rr);
        set->rr = rr;
        set->cap = cap;
    }
    set->rr[set->n++] = (struct record){
        .owner = owner,
        .rdata = rdata,
        .ttl = ttl,
        .type = type,
        .class_ = CLASS_IN,
        .rdlen = rdlen,
    };
    return 0;
}

// Room for `size` bytes of rdata in the arena; a writer without room when there is none.
static struct writer rdata_begin(struct arena *a, size_t size)
{
    void *p = arena_alloc(a, size);
    return writer_init(p, p != NULL ? size : 0);
}

static const uint8_t *rdata_end(const struct writer *w, uint16_t *rdlen)
{
    if (w->base == NULL || w->error != 0)
        return NULL;
    *rdlen = (uint16_t)w->pos;
    return w->base;
}

const uint8_t *rdata_srv(struct arena *a, uint16_t priority, uint16_t weight, uint16_t port, const uint8_t *target,
                         uint16_t *rdlen)
{
    size_t length = name_length(target);
    struct writer w = rdata_begin(a, 6 + length);
    writer_u16(&w, priority);
    writer_u16(&w, weight);
    writer_u16(&w, port);
    writer_bytes(&w, target, length);
    return rdata_end(&w, rdlen);
}

const uint8_t *rdata_txt(struct arena *a, const char *text, uint16_t *rdlen)
{
    size_t length = strlen(text);
    if (!EXPECT(length <= 255))
        return NULL;
    struct writer w = rdata_begin(a, 1 + length);
    writer_u8(&w, (uint8_t)length);
    writer_bytes(&w, text, length);
    return rdata_end(&w, rdlen);
}

const uint8_t *rdata_soa(struct arena *a, const uint8_t *mname, const uint8_t *rname, const uint32_t numbers[5],
                         uint16_t *rdlen)
{
    size_t m = name_length(mname), r = name_length(rname);
    struct writer w = rdata_begin(a, m + r + 20);
    writer_bytes(&w, mname, m);
    writer_bytes(&w, rname, r);
    for (int i = 0; i < 5; i++)
        writer_u32(&w, numbers[i]);
    return rdata_end(&w, rdlen);
}

const uint8_t *rdata_name(struct arena *a, const uint8_t *name, uint16_t *rdlen)
{
    size_t length = name_length(name);
    struct writer w = rdata_begin(a, length);
    writer_bytes(&w, name, length);
    return rdata_end(&w, rdlen);
}
