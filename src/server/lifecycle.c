// SPDX-License-Identifier: Apache-2.0
// From a Corefile to a serving process, and back: start, signals, shutdown.
#include "server/server.h"

#include "base/rcu.h"
#include "net/net.h"
#include "net/upstream.h"
#include "server/counters.h"
#include "server/generation.h"
#include "server/http.h"
#include "server/listen.h"
#include "server/listen_address.h"
#include "server/reload.h"
#include "server/state.h"
#include "server/worker.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DRAIN_NS UINT64_C(5000000000) // the longest wait for answers in hand (CoreDNS's graceTimeout)
#define STATUS_FORCED 2               // as CoreDNS's

static int fatal(const char *text)
{
    fprintf(stderr, "%s\n", text);
    return 1;
}

static void report_to_stderr(void *arg, const char *text)
{
    (void)arg;
    fprintf(stderr, "%s\n", text);
}

static void end_loop(struct server_state *s)
{
    s->done = true;
    server_wake(s);
}

static void on_drained(uv_async_t *async)
{
    struct server_state *s = async->data;
    for (unsigned i = 0; i < s->nworkers; i++)
        if (!atomic_load(&s->workers[i].drained))
            return;
    end_loop(s);
}

static void on_drain_timeout(uv_timer_t *timer)
{
    struct server_state *s = timer->data;
    log_write(LOG_LEVEL_WARNING, "Shutdown: questions still in hand after %u s are given up",
              (unsigned)(DRAIN_NS / 1000000000));
    end_loop(s);
}

static void drain(struct server_state *s)
{
    for (unsigned i = 0; i < s->nworkers; i++)
        worker_command(&s->workers[i], WORKER_DRAIN);
    uv_timer_start(&s->timer, on_drain_timeout, DRAIN_NS / 1000000, 0);
}

static void on_lameduck_over(uv_timer_t *timer)
{
    drain(timer->data);
}

// SIGTERM: not ready from now on; goes on answering for as long as a plugin asks for (lameduck), then drains.
static void begin_shutdown(struct server_state *s)
{
    uint64_t delay = 0;
    atomic_store(&s->stopping, true);
    if (s->nstarted == 0) // a plugin's .start is waiting; serve() sees it
        return;
    for (unsigned b = 0; b < s->generation->nblocks; b++)
        for (unsigned i = 0; i < s->generation->blocks[b].ninstances; i++) {
            const struct instance *in = &s->generation->blocks[b].instances[i];
            uint64_t wants = in->plugin->shutdown != NULL ? in->plugin->shutdown(in->self) : 0;
            delay = wants > delay ? wants : delay;
        }
    if (delay == 0) {
        drain(s);
        return;
    }
    uv_update_time(&s->loop); // counted from now, and no part of a millisecond less
    uv_timer_start(&s->timer, on_lameduck_over, (delay + 999999) / 1000000 + 1, 0);
}

// A signal during the shutdown. Only a person's second Ctrl-C is impatient: a kubelet or a supervisor that repeats
// SIGTERM must not cut short the time that clients have to turn to another server.
static void force_quit(struct server_state *s, int signum)
{
    if (signum != SIGINT)
        return;
    log_write(LOG_LEVEL_INFO, "SIGINT: Force quit");
    s->forced = true;
    end_loop(s);
}

static void on_signal(uv_signal_t *handle, int signum)
{
    struct server_state *s = handle->data;
    switch (signum) {
    case SIGHUP:
        return;
    case SIGUSR1:
        if (server_stopping(s)) {
            log_write(LOG_LEVEL_INFO, "SIGUSR1: Shutting down, nothing is reloaded");
            return;
        }
        log_write(LOG_LEVEL_INFO, "SIGUSR1: Reloading");
        s->reload = RELOAD_SIGNAL;
        server_wake(s);
        return;
    case SIGUSR2:
        log_write(LOG_LEVEL_WARNING,
                  "SIGUSR2: a running clusterdns is not replaced in place; start the new version beside "
                  "it, then end this one with SIGTERM");
        return;
    case SIGQUIT:
        log_write(LOG_LEVEL_INFO, "SIGQUIT: Quitting process immediately");
        atomic_store(&s->stopping, true);
        end_loop(s);
        return;
    default:
        break;
    }
    if (server_stopping(s)) {
        force_quit(s, signum);
        return;
    }
    log_write(LOG_LEVEL_INFO, "%s: Shutting down servers then terminating", signum == SIGINT ? "SIGINT" : "SIGTERM");
    begin_shutdown(s);
}

static const int signals[SERVER_SIGNALS] = {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2};

static void init_main_loop(struct server_state *s)
{
    INVARIANT(uv_loop_init(&s->loop) == 0);
    INVARIANT(uv_timer_init(&s->loop, &s->timer) == 0);
    INVARIANT(uv_async_init(&s->loop, &s->drained, on_drained) == 0);
    s->timer.data = s->drained.data = s;
    for (size_t i = 0; i < SERVER_SIGNALS; i++) {
        INVARIANT(uv_signal_init(&s->loop, &s->signals[i]) == 0);
        s->signals[i].data = s;
        INVARIANT(uv_signal_start(&s->signals[i], on_signal, signals[i]) == 0);
    }
    signal(SIGPIPE, SIG_IGN);
    http_init(&s->loop);
    reload_init(s);
}

static void close_walk(uv_handle_t *handle, void *arg)
{
    (void)arg;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

static void free_main_loop(struct server_state *s)
{
    http_shutdown();
    upstream_close_loop(&s->loop);
    uv_run(&s->loop, UV_RUN_NOWAIT); // its handles close one after the other: the walk must not meet them half-way
    uv_walk(&s->loop, close_walk, NULL);
    uv_run(&s->loop, UV_RUN_DEFAULT);
    INVARIANT(uv_loop_close(&s->loop) == 0);
}

static int init_workers(struct server_state *s)
{
    unsigned n = worker_count();
    s->workers = calloc(n, sizeof *s->workers);
    for (unsigned i = 0; s->workers != NULL && i < n; i++) {
        int rc = worker_init(&s->workers[i], i);
        if (rc != 0)
            return rc;
        s->workers[i].drained_async = &s->drained;
        s->nworkers++;
    }
    counters_watch(s);
    return s->workers != NULL ? 0 : CDNS_ENOMEM;
}

static void print_banner(const struct server_state *s)
{
    for (unsigned i = 0; i < s->generation->nlistens; i++) {
        const struct listen_address *l = &s->generation->listens[i];
        char host[ADDRESS_HOST_MAX];
        address_host(&l->address, host);
        for (unsigned r = 0; r < l->nroutes; r++)
            printf("%s:%u%s%s\n", l->routes[r].zone_text, l->port, host[0] != '\0' ? " on " : "", host);
    }
    printf("clusterdns-%s\n%u workers, libuv %s, %s\n", CDNS_VERSION, s->nworkers, uv_version_string(), CDNS_REVISION);
    fflush(stdout);
}

static int write_pidfile(const char *path)
{
    FILE *f = path != NULL ? fopen(path, "we") : NULL;
    if (path == NULL)
        return 0;
    if (f == NULL || fprintf(f, "%d\n", (int)getpid()) < 0 || fclose(f) != 0) {
        fprintf(stderr, "pidfile %s: %s\n", path, strerror(errno));
        return CDNS_EIO;
    }
    return 0;
}

static int start_threads(struct server_state *s)
{
    for (unsigned i = 0; i < s->nworkers; i++) {
        if (worker_start(&s->workers[i]) != 0) {
            fprintf(stderr, "cannot start worker thread %u\n", i);
            return CDNS_EIO;
        }
        s->nstarted++;
    }
    return 0;
}

static bool open_sockets(struct server_state *s)
{
    char error[CONFIG_ERROR_MAX];
    if (listen_open(s, s->generation, error) == 0) {
        listen_serve(s, s->generation);
        return true;
    }
    fprintf(stderr, "%s\n", error);
    return false;
}

// Until somebody ends it. A reload waits for plugins to start, and meanwhile runs the loop itself: so not in a
// callback.
static void run(struct server_state *s)
{
    while (!s->done) {
        if (s->reload != RELOAD_NONE && !server_stopping(s))
            reload_run(s);
        else
            uv_run(&s->loop, UV_RUN_DEFAULT);
    }
}

// Everything between a built generation and its end. Returns the exit status.
static int serve(struct server_state *s, const struct server_options *o)
{
    char error[CONFIG_ERROR_MAX];
    if (generation_start(s->generation, &s->loop, s, error) != 0)
        return fatal(error);
    if (server_stopping(s)) {
        generation_stop(s->generation);
        return 0;
    }
    int status = 1;
    if (init_workers(s) == 0 && open_sockets(s) && write_pidfile(o->pidfile) == 0) {
        if (!o->quiet)
            print_banner(s);
        if (start_threads(s) == 0) {
            reload_announce(s->generation);
            run(s);
            status = s->failed ? 1 : s->forced ? STATUS_FORCED : 0;
        }
    }
    for (unsigned i = 0; i < s->nstarted; i++)
        worker_command(&s->workers[i], WORKER_STOP);
    for (unsigned i = 0; i < s->nstarted; i++)
        worker_join(&s->workers[i]);
    counters_unwatch();
    for (unsigned i = 0; i < s->nworkers; i++)
        worker_free(&s->workers[i]);
    free(s->workers);
    reload_reclaim_all(s);
    generation_stop(s->generation);
    if (o->pidfile != NULL && status != 1)
        unlink(o->pidfile);
    return status;
}

int server_run(const struct server_options *options)
{
    struct server_state s = {.options = options};
    rcu_thread_start();
    worker_set_count(net_cpu_count()); // before any .setup: instances have per-worker slots
    init_main_loop(&s);
    int status = 1;
    if (reload_build(options, report_to_stderr, NULL, &s.generation) == 0) {
        memcpy(s.hash, s.generation->hash, sizeof s.hash);
        status = serve(&s, options);
        generation_free(s.generation);
    }
    free_main_loop(&s);
    rcu_thread_end();
    return status;
}

int server_check(const char *corefile, uint16_t port)
{
    struct generation *g;
    int rc = generation_build(corefile, NULL, NULL, port, report_to_stderr, NULL, &g);
    if (rc != 0)
        return 1;
    generation_free(g);
    printf("%s: ok\n", corefile);
    return 0;
}
