// SPDX-License-Identifier: Apache-2.0
#include "server/state.h"

#include "server/generation.h"

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
