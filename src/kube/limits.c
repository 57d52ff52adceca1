// SPDX-License-Identifier: Apache-2.0
#include "kube/limits.h"
#include <math.h>

#define WAIT_MAX 3600e9 // ns

struct bucket bucket_make(const struct limits *limits, uint64_t now)
{
    struct bucket b = {.at = now};
    if ((limits->qps == 0 && limits->burst == 0) || isinf(limits->qps))
        return b;
    b.rate = limits->qps != 0 ? (double)limits->qps : LIMITS_QPS;
    b.burst = b.tokens = limits->burst != 0 ? (double)limits->burst : LIMITS_BURST;
    return b;
}

uint64_t bucket_take(struct bucket *b, uint64_t now)
{
    if (b->rate == 0)
        return 0;
    double tokens = b->tokens + (double)(now - b->at) * b->rate / 1e9;
    b->tokens = tokens < b->burst ? tokens : b->burst;
    b->at = now;
    if (b->tokens < 1) {
        double wait = (1 - b->tokens) / b->rate * 1e9;
        return wait < WAIT_MAX ? (uint64_t)wait + 1 : (uint64_t)WAIT_MAX;
    }
    b->tokens -= 1;
    return 0;
}
