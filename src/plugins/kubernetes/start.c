// SPDX-License-Identifier: Apache-2.0
// An instance's life: it takes its source when the server starts and gives it back when no query is left.
#include "plugins/kubernetes/kubernetes.h"
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

// Notes an address of this server, unless it is a loopback one.
static void add_local_address(struct kubernetes *k, const struct sockaddr *address)
{
    struct kube_address *a = &k->local[k->nlocal];
    if (k->nlocal == LOCAL_MAX)
        return;
    if (address->sa_family == AF_INET) {
        memcpy(a->bytes, &((const struct sockaddr_in *)(const void *)address)->sin_addr, 4);
        a->len = 4;
        k->nlocal += a->bytes[0] != 127;
    } else if (address->sa_family == AF_INET6) {
        memcpy(a->bytes, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr, 16);
        a->len = 16;
        k->nlocal += memcmp(a->bytes, &in6addr_loopback, 16) != 0;
    }
}

// What the block is bound to, or the machine's addresses, in the system's order.
static void find_local_addresses(struct kubernetes *k, const struct plugin_start *s)
{
    struct ifaddrs *all;
    for (size_t i = 0; i < s->nlisten; i++)
        add_local_address(k, &s->listen[i].sa);
    if (s->listen != NULL || getifaddrs(&all) != 0)
        return;
    for (const struct ifaddrs *i = all; i != NULL; i = i->ifa_next)
        if (i->ifa_addr != NULL)
            add_local_address(k, i->ifa_addr);
    freeifaddrs(all);
}

// Why a reload is refused: a new configuration must not bring a source that has nothing to say.
static int refuse_unsynced(const struct kubernetes *k, const struct plugin_start *s, int64_t timeout)
{
    char text[CONFIG_DURATION_MAX], trouble[CONFIG_ERROR_MAX / 2];
    source_trouble(k->source, trouble, sizeof trouble);
    snprintf(s->error, CONFIG_ERROR_MAX,
             "plugin/kubernetes: the Kubernetes API is not synced after %s: %s; what was served before is served on",
             config_duration_text(timeout, text), trouble[0] != '\0' ? trouble : "startup_timeout gives it more time");
    return CDNS_ETIMEOUT;
}

// Waits for the first sync, saying so every half second, as CoreDNS does. Meanwhile main's loop goes on: probes are
// answered, and a signal ends the wait. Of a reload, which nobody waits for, it is said once, and `startup_timeout 0s`
// is no reason not to try. A source that the present configuration has too is as good as it was.
static int wait_synced(struct kubernetes *k, const struct plugin_start *s)
{
    if (s->reloading && source_shared(k->source))
        return 0;
    const int64_t step = 50000000, say = 500000000;
    const int64_t timeout = s->reloading && k->startup_timeout_ns <= 0 ? STARTUP_DEFAULT_NS : k->startup_timeout_ns;
    for (int64_t waited = 0; waited < timeout; waited += step) {
        int64_t left = timeout - waited;
        if (source_wait_synced(k->source, (uint64_t)(left < step ? left : step)) == 0)
            return 0;
        uv_run(s->loop, UV_RUN_NOWAIT);
        if (server_stopping(s->state))
            return 0;
        if (s->reloading && waited + step == say)
            log_plugin(LOG_LEVEL_INFO, "kubernetes", "waiting for Kubernetes API before serving the new configuration");
        else if (!s->reloading && (waited + step) % say == 0)
            log_plugin(LOG_LEVEL_INFO, "kubernetes", "waiting for Kubernetes API before starting server");
    }
    if (index_synced(k->store))
        return 0;
    if (s->reloading)
        return refuse_unsynced(k, s, timeout);
    log_plugin(LOG_LEVEL_WARNING, "kubernetes", "starting server with unsynced Kubernetes API");
    return 0;
}

int kubernetes_start(void *self, const struct plugin_start *s)
{
    struct kubernetes *k = self;
    char why[CONFIG_ERROR_MAX - 32];
    int e = source_acquire(&k->from, &k->source, why, sizeof why);
    if (e != 0) {
        snprintf(s->error, CONFIG_ERROR_MAX, "plugin/kubernetes: %s", why);
        return e;
    }
    k->store = source_store(k->source);
    k->placement = s->placement;
    find_local_addresses(k, s);
    return wait_synced(k, s);
}

void kubernetes_destroy(void *self)
{
    struct kubernetes *k = self;
    if (k->source != NULL)
        source_release(k->source);
}

bool kubernetes_ready(void *self)
{
    const struct kubernetes *k = self;
    return k->store != NULL && index_synced(k->store);
}
