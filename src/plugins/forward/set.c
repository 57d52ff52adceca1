// SPDX-License-Identifier: Apache-2.0
// The upstreams that new questions are asked of. Main replaces them when a file says something else, while workers use
// them without a lock: a worker announces the set it is about to take, makes sure that it is still the current one, and
// counts itself as a user; main frees a former set that nobody has announced and nobody uses.
#include "plugins/forward/forward.h"

#include <clusterdns/config.h>
#include <stdlib.h>

static void set_free(struct upstream_set *set)
{
    for (unsigned i = 0; i < set->n; i++)
        peer_put(set->peers[i]);
    free(set->users);
    free(set);
}

// How an upstream is reached. A source address is of one family; upstreams of the other are asked from any.
static struct upstream_options options_for(const struct stanza *s, const struct target *t)
{
    struct upstream_options o = {
        .address = t->address,
        .tls = t->tls,
        .expire_ns = (uint64_t)s->expire_ns,
        .max_age_ns = (uint64_t)s->max_age_ns,
        .max_idle = s->max_idle,
    };
    if (s->source.sa.sa_family == t->address.sa.sa_family)
        o.source = s->source;
    if (t->tls) {
        o.tls_name = t->tls_name != NULL ? t->tls_name : s->tls_servername;
        o.tls_cert = s->tls_cert;
        o.tls_key = s->tls_key;
        o.tls_ca = s->tls_ca;
    }
    return o;
}

static int set_fill(struct upstream_set *set, const struct stanza *s, const struct targets *targets,
                    struct uv_loop_s *loop, char *error)
{
    for (unsigned i = 0; i < targets->n; i++) {
        struct upstream_options o = options_for(s, &targets->all[i]);
        int rc = peer_get(&o, &s->health, loop, &set->peers[i], error);
        if (rc != 0)
            return rc;
        set->n++;
    }
    return 0;
}

int set_publish(struct stanza *s, const struct targets *targets, struct uv_loop_s *loop, char *error)
{
    struct upstream_set *set = calloc(1, sizeof *set + targets->n * sizeof(struct peer *));
    if (set != NULL)
        set->users = calloc(worker_count(), sizeof *set->users);
    if (set == NULL || set->users == NULL) {
        free(set);
        return CDNS_ENOMEM;
    }
    int rc = set_fill(set, s, targets, loop, error);
    if (rc != 0) {
        set_free(set);
        return rc;
    }
    struct upstream_set *former = atomic_exchange(&s->set, set);
    if (former != NULL) {
        former->next = s->former;
        s->former = former;
    }
    set_reclaim(s);
    return 0;
}

static bool in_use(const struct stanza *s, const struct upstream_set *set)
{
    for (unsigned i = 0; i < worker_count(); i++)
        if (atomic_load(&s->workers[i].entering) == set || atomic_load(&set->users[i]) > 0)
            return true;
    return false;
}

void set_reclaim(struct stanza *s)
{
    for (struct upstream_set **at = &s->former; *at != NULL;) {
        struct upstream_set *set = *at;
        if (in_use(s, set)) {
            at = &set->next;
            continue;
        }
        *at = set->next;
        set_free(set);
    }
}

void set_free_all(struct stanza *s)
{
    struct upstream_set *set = atomic_load(&s->set);
    if (set != NULL)
        set_free(set);
    atomic_store(&s->set, NULL);
    while ((set = s->former) != NULL) {
        s->former = set->next;
        set_free(set);
    }
}

struct upstream_set *set_enter(struct stanza *s, unsigned worker)
{
    struct stanza_worker *w = &s->workers[worker];
    struct upstream_set *set;
    do {
        set = atomic_load(&s->set);
        atomic_store(&w->entering, set);
    } while (set != atomic_load(&s->set));
    unsigned users = atomic_load_explicit(&set->users[worker], memory_order_relaxed);
    atomic_store_explicit(&set->users[worker], users + 1, memory_order_relaxed);
    atomic_store(&w->entering, NULL);
    return set;
}

void set_leave(struct upstream_set *set, unsigned worker)
{
    unsigned users = atomic_load_explicit(&set->users[worker], memory_order_relaxed);
    atomic_store_explicit(&set->users[worker], users - 1, memory_order_release);
}
