// SPDX-License-Identifier: Apache-2.0
// Everything that a decoded object holds, as text, so that two can be compared.
#pragma once
#include "kube/event.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Grows; zeroed: empty.
struct description {
    char *text;
    size_t len, cap;
};

__attribute__((format(printf, 2, 3))) static inline void say(struct description *d, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *text = NULL;
    int n = vasprintf(&text, fmt, args);
    va_end(args);
    if (n < 0)
        abort();
    if (d->len + (size_t)n + 1 > d->cap) {
        d->cap = 2 * d->cap + (size_t)n + 1;
        d->text = realloc(d->text, d->cap);
        if (d->text == NULL)
            abort();
    }
    memcpy(d->text + d->len, text, (size_t)n + 1);
    d->len += (size_t)n;
    free(text);
}

static inline void say_address(struct description *d, const struct kube_address *a)
{
    for (size_t i = 0; i < a->len; i++)
        say(d, "%02x", a->bytes[i]);
    say(d, " ");
}

static inline void say_ports(struct description *d, const struct kube_port *ports, size_t n)
{
    for (size_t i = 0; i < n; i++)
        say(d, "port %s %d %d; ", ports[i].name, ports[i].number, ports[i].protocol);
}

static inline void say_object(struct description *d, const struct kube_object *o)
{
    say(d, "%d %s/%s: ", o->kind, o->namespace_, o->name);
    if (o->kind == KUBE_SERVICE || o->kind == KUBE_SERVICE_IMPORT) {
        const char *external = o->service.external_name;
        say(d, "type %d external %s ", o->service.type, external != NULL ? external : "none");
        for (size_t i = 0; i < o->service.ncluster_ips; i++)
            say_address(d, &o->service.cluster_ips[i]);
        say_ports(d, o->service.ports, o->service.nports);
    } else if (o->kind == KUBE_ENDPOINTSLICE || o->kind == KUBE_IMPORTED_SLICE) {
        say(d, "service %s cluster %s triggered %lld ", o->slice.service, o->slice.cluster,
            (long long)o->slice.triggered_ns);
        for (size_t i = 0; i < o->slice.nendpoints; i++) {
            const struct kube_endpoint *e = &o->slice.endpoints[i];
            say_address(d, &e->address);
            say(d, "%d%d host %s pod %s zone %s; ", e->canonical, e->ready, e->hostname, e->pod_name, e->zone);
        }
        say_ports(d, o->slice.ports, o->slice.nports);
    } else if (o->kind == KUBE_POD) {
        say(d, "%d%d ", o->pod.terminated, o->pod.deleting);
        for (size_t i = 0; i < o->pod.nips; i++)
            say_address(d, &o->pod.ips[i]);
    }
}

static inline void say_event(struct description *d, const struct event *e)
{
    say(d, "%d wanted %d version %s end %d: ", e->type, e->wanted, e->version, e->initial_end);
    if (e->type == EVENT_ERROR)
        say(d, "%d %s %s %d %d %ld", e->status.code, e->status.reason, e->status.message, e->status.expired,
            e->status.too_large, e->status.retry_after);
    else if (e->result != 0)
        say(d, "%d %s", e->result, e->reason);
    else if (e->wanted && e->type != EVENT_BOOKMARK && e->type != EVENT_UNKNOWN)
        say_object(d, &e->object);
    say(d, "\n");
}
