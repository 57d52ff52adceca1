// SPDX-License-Identifier: Apache-2.0
#include "server/listen.h"

#include "server/generation.h"
#include "server/state.h"
#include "server/worker.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

// What a worker opens, and what stopped it.
struct opening {
    const struct generation *generation;
    unsigned port;
    int error; // errno
};

static int open_missing(struct worker *w, void *arg)
{
    struct opening *o = arg;
    for (unsigned l = 0; l < o->generation->nlistens; l++) {
        const struct listen_address *listen = &o->generation->listens[l];
        if (worker_listens(w, listen->port))
            continue;
        int rc = worker_listen(w, listen);
        if (rc != 0) {
            o->port = listen->port;
            o->error = errno;
            return rc;
        }
    }
    return 0;
}

static int adopt(struct worker *w, void *arg)
{
    worker_adopt(w, arg);
    return 0;
}

static int unlisten(struct worker *w, void *arg)
{
    worker_unlisten(w, arg);
    return 0;
}

// What an administrator can do about a port that cannot be had.
static const char *bind_remedy(int error)
{
    switch (error) {
    case EACCES:
        return "; ports below 1024 need CAP_NET_BIND_SERVICE; -dns.port changes the port of keys without one";
    case EADDRINUSE:
        return "; another program has it, over UDP or TCP, on some address: `ss -lnptu` shows which";
    default:
        return "";
    }
}

int listen_open(struct server_state *s, const struct generation *g, char *error)
{
    struct opening o = {.generation = g};
    for (unsigned i = 0; i < s->nworkers; i++) {
        int rc = worker_run(&s->workers[i], open_missing, &o);
        if (rc == 0)
            continue;
        bool system = rc == CDNS_EIO;
        snprintf(error, CONFIG_ERROR_MAX, "Listen: cannot bind port %u: %s%s", o.port,
                 system ? strerror(o.error) : error_text(rc), system ? bind_remedy(o.error) : "");
        listen_close(s, g);
        return rc;
    }
    return 0;
}

void listen_serve(struct server_state *s, const struct generation *g)
{
    for (unsigned i = 0; i < s->nworkers; i++)
        worker_run(&s->workers[i], adopt, (void *)(uintptr_t)g);
}

void listen_close(struct server_state *s, const struct generation *g)
{
    for (unsigned i = 0; i < s->nworkers; i++)
        worker_run(&s->workers[i], unlisten, (void *)(uintptr_t)g);
}
