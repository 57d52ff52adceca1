// SPDX-License-Identifier: Apache-2.0
#include "server/listen.h"

#include "server/generation.h"
#include "server/listen_address.h"
#include "server/state.h"
#include "server/worker.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

// What a worker opens, and what stopped it.
struct opening {
    const struct generation *generation;
    const struct listen_address *listen; // that cannot be had
    int error;                           // errno
};

static int open_missing(struct worker *w, void *arg)
{
    struct opening *o = arg;
    for (unsigned l = 0; l < o->generation->nlistens; l++) {
        const struct listen_address *listen = &o->generation->listens[l];
        if (worker_listens(w, listen))
            continue;
        int rc = worker_listen(w, listen);
        if (rc != 0) {
            o->listen = listen;
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

// What an administrator can do about an address that cannot be had.
static const char *bind_remedy(int error)
{
    switch (error) {
    case EACCES:
        return "; ports below 1024 need CAP_NET_BIND_SERVICE; -dns.port changes the port of keys without one";
    case EADDRINUSE:
        return "; another program has it, over UDP or TCP, on some address: `ss -lnptu` shows which";
    case EADDRNOTAVAIL:
        return "; no interface of this machine has it";
    case EINVAL:
        return "; a link-local address needs its interface: fe80::1%eth0";
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
        char text[ADDRESS_TEXT_MAX];
        bool system = rc == CDNS_EIO;
        if (listen_is_any(&o.listen->address))
            snprintf(text, sizeof text, "port %u", o.listen->port);
        else
            listen_text(&o.listen->address, o.listen->port, text);
        snprintf(error, CONFIG_ERROR_MAX, "Listen: cannot bind %s: %s%s", text,
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
