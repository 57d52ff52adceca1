// SPDX-License-Identifier: Apache-2.0
#include "server/state.h"

#include "server/generation.h"
#include "server/worker.h"

bool server_stopping(const struct server_state *state)
{
    return atomic_load(&state->stopping);
}

void server_each_ready(const struct server_state *state, void (*fn)(void *arg, const char *plugin, bool ready),
                       void *arg)
{
    for (unsigned b = 0; b < state->generation->nblocks; b++)
        for (unsigned i = 0; i < state->generation->blocks[b].ninstances; i++) {
            const struct instance *in = &state->generation->blocks[b].instances[i];
            if (in->plugin->ready != NULL)
                fn(arg, in->plugin->name, in->plugin->ready(in->self));
        }
}

struct worker_call {
    int (*run)(void *arg);
    void *arg;
};

static int make_call(struct worker *w, void *arg)
{
    const struct worker_call *call = arg;
    (void)w;
    return call->run(call->arg);
}

int server_on_worker(const struct server_state *state, const struct placement *at, unsigned worker,
                     int (*run)(void *arg), void *arg)
{
    struct worker_call call = {.run = run, .arg = arg};
    if (worker >= state->nstarted || state->generation != at->block->generation)
        return CDNS_EAGAIN;
    return worker_run(&state->workers[worker], make_call, &call);
}

void server_give_up(const struct server_state *state)
{
    struct server_state *s = (struct server_state *)(uintptr_t)state; // plugins only hand it through
    atomic_store(&s->stopping, true);
    s->failed = s->done = true;
    server_wake(s);
}
