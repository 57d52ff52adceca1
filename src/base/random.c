// SPDX-License-Identifier: Apache-2.0
#include "base/splitmix.h"
#include <clusterdns/error.h>
#include <clusterdns/random.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#define BUFFER 256 // getrandom() gives up to this many bytes without being cut short by a signal

static _Thread_local uint8_t buffer[BUFFER];
static _Thread_local size_t left; // unused bytes at the end of `buffer`

static void fill(void *out, size_t len)
{
    uint8_t *p = out;
    while (len > 0) {
        ssize_t n = getrandom(p, len, 0);
        if (n < 0) {
            INVARIANT(errno == EINTR);
            continue;
        }
        p += n;
        len -= (size_t)n;
    }
}

void random_bytes(void *out, size_t len)
{
    if (len > BUFFER) {
        fill(out, len);
        return;
    }
    if (len > left) {
        fill(buffer, BUFFER);
        left = BUFFER;
    }
    uint8_t *from = buffer + BUFFER - left;
    memcpy(out, from, len);
    memset(from, 0, len); // what was handed out is not kept
    left -= len;
}

uint32_t random_u32(void)
{
    uint32_t v;
    random_bytes(&v, sizeof v);
    return v;
}

uint32_t random_below(uint32_t bound)
{
    if (bound == 0)
        return 0;
    // Multiply-shift; draws that fall into the uneven rest of 2^32 / bound are thrown away.
    uint32_t reject = -bound % bound;
    uint64_t product;
    do {
        product = (uint64_t)random_u32() * bound;
    } while ((uint32_t)product < reject);
    return (uint32_t)(product >> 32);
}

uint32_t random_quick_below(uint32_t bound)
{
    static _Thread_local uint64_t state;
    if (state == 0)
        random_bytes(&state, sizeof state);
    return (uint32_t)((splitmix_next(&state) >> 32) * bound >> 32);
}
