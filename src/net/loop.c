// SPDX-License-Identifier: Apache-2.0
#include "net/loop.h"
#include <pthread.h>
#include <stdlib.h>

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static struct net_loop *registry; // one entry a worker: a short list, walked only when listeners open and on scrape

static struct net_loop *registry_find(const uv_loop_t *loop)
{
    struct net_loop *shared = registry;
    while (shared != NULL && shared->loop != loop)
        shared = shared->next;
    return shared;
}

struct net_loop *net_loop_get(uv_loop_t *loop)
{
    pthread_mutex_lock(&registry_lock);
    struct net_loop *shared = registry_find(loop);
    if (shared == NULL && (shared = calloc(1, sizeof(*shared))) != NULL) {
        shared->loop = loop;
        shared->next = registry;
        registry = shared;
    }
    pthread_mutex_unlock(&registry_lock);
    if (shared != NULL)
        shared->users++;
    return shared;
}

void net_loop_put(struct net_loop *shared)
{
    if (--shared->users > 0)
        return;
    free(shared->batch);
    free(shared->tcp_in);
    free(shared->tcp_out);
    shared->batch = NULL;
    shared->tcp_in = shared->tcp_out = NULL;
    shared->tcp_out_len = 0;
}

const struct net_counters *net_counters(const uv_loop_t *loop)
{
    static const struct net_counters none;
    pthread_mutex_lock(&registry_lock);
    const struct net_loop *shared = registry_find(loop);
    pthread_mutex_unlock(&registry_lock);
    return shared != NULL ? &shared->counters : &none;
}
