// SPDX-License-Identifier: Apache-2.0
#include "base/siphash.h"
#include <clusterdns/hash.h>
#include <clusterdns/random.h>
#include <pthread.h>
#include <string.h>

struct state {
    uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotate(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

static inline uint64_t little_endian(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    return v;
}

static inline void rounds(struct state *s, int n)
{
    for (int i = 0; i < n; i++) {
        s->v0 += s->v1;
        s->v1 = rotate(s->v1, 13) ^ s->v0;
        s->v0 = rotate(s->v0, 32);
        s->v2 += s->v3;
        s->v3 = rotate(s->v3, 16) ^ s->v2;
        s->v0 += s->v3;
        s->v3 = rotate(s->v3, 21) ^ s->v0;
        s->v2 += s->v1;
        s->v1 = rotate(s->v1, 17) ^ s->v2;
        s->v2 = rotate(s->v2, 32);
    }
}

// The paper's compression: `c` rounds a word; the last word is the rest of the bytes with the length's low byte on
// top.
static inline void absorb(struct state *s, int c, const uint8_t *p, size_t len)
{
    uint64_t last = (uint64_t)len << 56;
    for (; len >= 8; p += 8, len -= 8) {
        uint64_t word = little_endian(p);
        s->v3 ^= word;
        rounds(s, c);
        s->v0 ^= word;
    }
    for (size_t i = 0; i < len; i++)
        last |= (uint64_t)p[i] << (8 * i);
    s->v3 ^= last;
    rounds(s, c);
    s->v0 ^= last;
}

static inline struct state keyed(const struct siphash_key *key)
{
    return (struct state){
        .v0 = key->k0 ^ UINT64_C(0x736f6d6570736575),
        .v1 = key->k1 ^ UINT64_C(0x646f72616e646f6d),
        .v2 = key->k0 ^ UINT64_C(0x6c7967656e657261),
        .v3 = key->k1 ^ UINT64_C(0x7465646279746573),
    };
}

uint64_t siphash13(const struct siphash_key *key, const void *data, size_t len)
{
    struct state s = keyed(key);
    absorb(&s, 1, data, len);
    s.v2 ^= 0xff;
    rounds(&s, 3);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

void siphash24_128(const struct siphash_key *key, const void *data, size_t len, uint64_t out[2])
{
    struct state s = keyed(key);
    s.v1 ^= 0xee;
    absorb(&s, 2, data, len);
    s.v2 ^= 0xee;
    rounds(&s, 4);
    out[0] = s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
    s.v1 ^= 0xdd;
    rounds(&s, 4);
    out[1] = s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

static struct siphash_key process_key;

static void draw_process_key(void)
{
    random_bytes(&process_key, sizeof process_key);
}

const struct siphash_key *siphash_process_key(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, draw_process_key);
    return &process_key;
}

uint64_t hash_bytes(const void *data, size_t len)
{
    return siphash13(siphash_process_key(), data, len);
}
