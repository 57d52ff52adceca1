// SPDX-License-Identifier: Apache-2.0
// What tests of a reflector stand on: a scripted API server, the reflector with all that it needs, a look at the store.
#pragma once
#include "base/clock.h"
#include "base/rcu.h"
#include "kube/index.h"
#include "kube/reflector.h"
#include "scripted.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>

#include <cmocka.h>

#define DEADLINE_NS UINT64_C(20000000000)

// ---- what the server sends ----

#define SERVICE(name, rv)                                                                                              \
    "{\"kind\":\"Service\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"" name                                       \
    "\",\"namespace\":\"shop\",\"resourceVersion\":\"" rv "\"},\"spec\":{\"clusterIP\":\"10.0.0.1\"}}"
#define EVENT(type, object) "{\"type\":\"" type "\",\"object\":" object "}\n"
#define ADDED(name, rv) EVENT("ADDED", SERVICE(name, rv))
#define MODIFIED(name, rv) EVENT("MODIFIED", SERVICE(name, rv))
#define DELETED(name, rv) EVENT("DELETED", SERVICE(name, rv))
#define BOOKMARK(rv, annotations)                                                                                      \
    EVENT("BOOKMARK", "{\"kind\":\"Service\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":\"" rv            \
                      "\",\"annotations\":{" annotations "}}}")
#define END(rv) BOOKMARK(rv, "\"k8s.io/initial-events-end\":\"true\"")
#define STATUS(code, reason, message, more)                                                                            \
    "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":\"Failure\",\"message\":\"" message                         \
    "\",\"reason\":\"" reason "\"," more "\"code\":" #code "}"
#define REFUSAL(code, reason, message)                                                                                 \
    "HTTP/1.1 " #code " No\r\nConnection: close\r\n\r\n" STATUS(code, reason, message, "")
#define LIST(rv, token, items)                                                                                         \
    OK "{\"kind\":\"ServiceList\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":\"" rv                       \
       "\",\"continue\":\"" token "\"},\"items\":[" items "]}\n"

#define WATCHLIST "sendInitialEvents=true"
#define CHECK "GET /api/v1/services?limit=1&resourceVersion=100&resourceVersionMatch=NotOlderThan "
#define UNSUPPORTED                                                                                                    \
    {                                                                                                                  \
        WATCHLIST, NULL, REFUSAL(422, "Invalid", "sendInitialEvents is forbidden"), false                              \
    }
#define QUIET_WATCH(rv)                                                                                                \
    {                                                                                                                  \
        "resourceVersion=" rv "&timeoutSeconds=", WATCHLIST, OK, true                                                  \
    }

#define IMPORT(name, rv)                                                                                               \
    "{\"kind\":\"ServiceImport\",\"metadata\":{\"name\":\"" name "\",\"namespace\":\"shop\",\"resourceVersion\":\"" rv \
    "\"},\"spec\":{\"ports\":[]}}"
#define IMPORTS_END(rv)                                                                                                \
    EVENT("BOOKMARK", "{\"kind\":\"ServiceImport\",\"metadata\":{\"resourceVersion\":\"" rv                            \
                      "\",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}}}")

__attribute__((unused)) static const char three[] = OK ADDED("a", "1") ADDED("b", "2") ADDED("c", "3") END("100");

// ---- the reflector's surroundings ----

static struct {
    uv_loop_t loop;
    struct store *store;
    struct feed feed;
    struct credentials credentials;
    struct client *client;
    struct reflector *reflector;
    struct scripted server;
    unsigned synced;
    char trouble[FEED_TROUBLE_MAX], last_trouble[FEED_TROUBLE_MAX];
    size_t least; // services that were there at any time since the first sync
} t;

static struct reflector_timing timing;
static struct limits limits;

static void on_synced(void *arg)
{
    (void)arg;
    t.synced++;
}

static void on_trouble(void *arg, const char *text)
{
    (void)arg;
    snprintf(t.trouble, sizeof t.trouble, "%s", text);
    if (*text != '\0')
        snprintf(t.last_trouble, sizeof t.last_trouble, "%s", text);
}

static size_t services(void)
{
    struct store_stats stats;
    store_stats(t.store, &stats);
    return stats.services + stats.imports;
}

static void start_at(unsigned port, enum kube_kind kind)
{
    static const struct store_options options = {.imports = true};
    static const struct feed_listener listener = {.synced = on_synced, .trouble = on_trouble};
    char url[64];
    uv_loop_init(&t.loop);
    t.store = store_new(&options);
    feed_init(&t.feed, &t.loop, t.store, &options, &listener);
    t.feed.wanted = 1u << kind;
    snprintf(url, sizeof url, "http://127.0.0.1:%u", port);
    t.credentials.server = strdup(url);
    t.client = client_new(&t.loop, &t.credentials, &limits);
    t.reflector = reflector_new(&t.loop, t.client, &t.feed, kind, NULL, &timing);
    t.least = SIZE_MAX;
    t.synced = 0;
    t.trouble[0] = t.last_trouble[0] = '\0';
}

#define start_kind(script, kind)                                                                                       \
    (scripted_start(&t.server, script, sizeof(script) / sizeof(script)[0]), start_at(t.server.port, kind))
#define start(script) start_kind(script, KUBE_SERVICE)

static void wake(uv_timer_t *timer)
{
    (void)timer;
}

// Runs the loop until `n` requests have come and `names` services are there.
static void run_until(size_t n, size_t names)
{
    uv_timer_t tick;
    uint64_t end = clock_monotonic_ns() + DEADLINE_NS;
    uv_timer_init(&t.loop, &tick);
    uv_timer_start(&tick, wake, 5, 5);
    while (scripted_done(&t.server) < n || services() != names) {
        uv_run(&t.loop, UV_RUN_ONCE);
        if (t.synced > 0 && services() < t.least)
            t.least = services();
        if (clock_monotonic_ns() > end)
            fail_msg("%zu requests, %zu services; trouble: %s; server: %s", scripted_done(&t.server), services(),
                     t.trouble, t.server.trouble);
    }
    uv_close((uv_handle_t *)&tick, NULL);
    uv_run(&t.loop, UV_RUN_NOWAIT);
}

static void done(void *arg)
{
    (void)arg;
}

static void stop(void)
{
    reflector_close(t.reflector, done, NULL);
    client_close(t.client, done, NULL);
    feed_close(&t.feed, done, NULL);
    uv_run(&t.loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&t.loop), 0);
    scripted_stop(&t.server);
    store_free(t.store);
    free(t.credentials.server);
    if (t.server.trouble[0] != '\0')
        fail_msg("%s", t.server.trouble);
}

static int setup(void **unused)
{
    (void)unused;
    limits = (struct limits){0};
    timing = REFLECTOR_TIMING;
    timing.hurry = 200;
    return 0;
}
