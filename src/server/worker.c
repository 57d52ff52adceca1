// SPDX-License-Identifier: Apache-2.0
#include "server/worker.h"

#include "base/clock.h"
#include "base/metrics.h"
#include "base/rcu.h"
#include "base/thread.h"
#include "net/upstream.h"
#include "server/chain.h"
#include "server/counters.h"
#include "server/listen_address.h"
#include "server/serve.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define DESCRIPTORS_KEPT 192  // for all that is no DNS client: HTTP endpoints, the API, files, threads …
#define DESCRIPTORS_ASKING 96 // … and for each worker's sockets to other servers
#define LATE_MS 100       // what a CPU may take, if it is taken away itself, to put a datagram into the socket it chose
#define CONNECTIONS_MIN 4 // of a TCP listener, however few descriptors there are

static _Thread_local struct worker *current;
static unsigned count = 1;

struct worker *worker_current(void)
{
    return current;
}

void worker_set_current(struct worker *w)
{
    current = w;
}

struct uv_loop_s *worker_loop(void)
{
    return current != NULL ? &current->loop : NULL;
}

unsigned worker_count(void)
{
    return count;
}

void worker_set_count(unsigned n)
{
    count = n;
    metrics_set_workers(n);
}

struct exchange *worker_exchange(struct worker *w)
{
    struct exchange *x = w->idle;
    if (w->nactive >= WORKER_EXCHANGES)
        return NULL;
    if (x != NULL) {
        w->idle = x->active_next;
        w->nidle--;
    } else {
        x = malloc(sizeof *x);
        struct arena *a = x != NULL ? arena_new(EXCHANGE_ARENA_LIMIT) : NULL;
        if (a == NULL) {
            free(x);
            return NULL;
        }
        x->q.arena = a;
    }
    struct arena *a = x->q.arena;
    memset(x, 0, offsetof(struct exchange, m));
    x->q.arena = a;
    x->worker = w;
    x->active_next = w->active;
    if (w->active != NULL)
        w->active->active_prev = x;
    w->active = x;
    w->nactive++;
    return x;
}

static void exchange_free(struct exchange *x)
{
    arena_free(x->q.arena);
    free(x);
}

void worker_release(struct worker *w, struct exchange *x)
{
    if (x->active_prev != NULL)
        x->active_prev->active_next = x->active_next;
    else
        w->active = x->active_next;
    if (x->active_next != NULL)
        x->active_next->active_prev = x->active_prev;
    w->nactive--;
    arena_free(x->stream_arena);
    if (w->nidle >= WORKER_IDLE) {
        exchange_free(x);
        return;
    }
    arena_reset(x->q.arena);
    x->active_next = w->idle;
    w->idle = x;
    w->nidle++;
}

static void set_parked(struct worker *w, unsigned n, size_t bytes)
{
    atomic_store_explicit(&w->nparked, n, memory_order_relaxed);
    atomic_store_explicit(&w->parked_bytes, bytes, memory_order_relaxed);
}

bool worker_park(struct worker *w, struct exchange *x)
{
    unsigned n = atomic_load_explicit(&w->nparked, memory_order_relaxed);
    size_t bytes = atomic_load_explicit(&w->parked_bytes, memory_order_relaxed);
    size_t own = sizeof *x + arena_held(x->q.arena) + (x->stream_arena != NULL ? arena_held(x->stream_arena) : 0);
    if (n >= WORKER_PARKED || own > WORKER_PARKED_BYTES - bytes) {
        counters_park_refused(w);
        return false;
    }
    x->parked_bytes = own;
    set_parked(w, n + 1, bytes + own);
    return true;
}

void worker_unpark(struct worker *w, struct exchange *x)
{
    set_parked(w, atomic_load_explicit(&w->nparked, memory_order_relaxed) - 1,
               atomic_load_explicit(&w->parked_bytes, memory_order_relaxed) - x->parked_bytes);
}

static void on_deadline(uv_timer_t *timer);

// Sets the timer to the first deadline.
static void arm(struct worker *w)
{
    const struct heap_node *first = heap_first(&w->deadlines);
    if (first == NULL || first->key == w->timer_due)
        return;
    uint64_t now = clock_monotonic_ns();
    uint64_t ms = first->key > now ? (first->key - now) / 1000000 + 1 : 0;
    w->timer_due = first->key;
    uv_update_time(&w->loop);
    uv_timer_start(&w->timer, on_deadline, ms, 0);
}

static void on_deadline(uv_timer_t *timer)
{
    struct worker *w = timer->data;
    uint64_t now = clock_monotonic_ns();
    w->timer_due = 0;
    for (struct heap_node *n = heap_first(&w->deadlines); n != NULL && n->key <= now; n = heap_first(&w->deadlines)) {
        struct exchange *x = (struct exchange *)((char *)n - offsetof(struct exchange, deadline));
        heap_remove(&w->deadlines, n);
        if (x->parked)
            chain_expire(x);
    }
    arm(w);
}

int worker_set_deadline(struct worker *w, struct exchange *x, uint64_t at_ns)
{
    if (x->deadline.place != 0)
        return 0;
    x->deadline.key = at_ns;
    int rc = heap_insert(&w->deadlines, &x->deadline);
    arm(w);
    return rc;
}

void worker_clear_deadline(struct worker *w, struct exchange *x)
{
    heap_remove(&w->deadlines, &x->deadline);
}

static void cancel_all(struct worker *w)
{
    for (struct exchange *x = w->active; x != NULL; x = w->active) {
        INVARIANT(x->parked);
        chain_cancel(x);
    }
}

// True when nothing that was received still waits for its answer.
static bool nothing_in_hand(const struct worker *w)
{
    return w->nactive == 0 && net_counters(&w->loop)->tcp_open == 0;
}

static void on_drain_tick(uv_timer_t *timer)
{
    struct worker *w = timer->data;
    if (!nothing_in_hand(w))
        return;
    uv_timer_stop(timer);
    atomic_store(&w->drained, true);
    uv_async_send(w->drained_async);
}

static void drain_socket(const struct worker_socket *s)
{
    udp_drain(s->udp);
    tcp_drain(s->tcp);
}

static void start_drain(struct worker *w)
{
    for (const struct worker_socket *s = w->sockets; s != NULL; s = s->next)
        drain_socket(s);
    uv_timer_start(&w->drain_timer, on_drain_tick, 0, 10);
}

static void close_tcp(struct worker_socket *s)
{
    if (s->tcp != NULL)
        tcp_close(s->tcp);
    s->tcp = NULL;
}

static void close_socket(struct worker_socket *s)
{
    if (s->udp != NULL)
        udp_close(s->udp);
    close_tcp(s);
    free(s);
}

// The served socket of all addresses that takes what was sent to `s`; NULL: there is none.
static const struct worker_socket *served_beside(const struct worker *w, const struct worker_socket *s)
{
    union sockaddr_any own, address;
    udp_address(s->udp, &own);
    for (const struct worker_socket *other = w->sockets; other != NULL; other = other->next) {
        udp_address(other->udp, &address);
        if (other->serves && !other->drained && address_port(&address) == address_port(&own) &&
            listen_is_any(&address) && address.sa.sa_family == own.sa.sa_family)
            return other;
    }
    return NULL;
}

static void hand_over(const struct worker *w, const struct worker_socket *s)
{
    const struct worker_socket *served = served_beside(w, s);
    if (served != NULL)
        udp_hand_over(s->udp, served->udp);
}

static void on_late(uv_timer_t *timer)
{
    struct worker *w = timer->data;
    uint64_t now = clock_monotonic_ns();
    for (struct worker_socket **at = &w->late; *at != NULL;) {
        struct worker_socket *s = *at;
        if (now - s->closed_ns < LATE_MS * UINT64_C(1000000)) {
            at = &s->next;
            continue;
        }
        *at = s->next;
        hand_over(w, s);
        close_socket(s);
    }
    if (w->late == NULL)
        uv_timer_stop(timer);
}

// Closes the sockets of a generation. Those that were never read go on taking what the kernel had chosen them for.
static void close_sockets(struct worker *w, const struct generation *g)
{
    for (struct worker_socket **at = &w->sockets; *at != NULL;) {
        struct worker_socket *s = *at;
        if (s->listen->generation != g) {
            at = &s->next;
            continue;
        }
        *at = s->next;
        if (s->serves) {
            close_socket(s);
            continue;
        }
        close_tcp(s);
        hand_over(w, s);
        s->closed_ns = clock_monotonic_ns();
        s->next = w->late;
        w->late = s;
        uv_timer_start(&w->late_timer, on_late, LATE_MS, LATE_MS);
    }
}

static void close_list(struct worker_socket **list)
{
    for (struct worker_socket *s = *list; s != NULL; s = *list) {
        *list = s->next;
        close_socket(s);
    }
}

void worker_unlisten(struct worker *w, const struct generation *g)
{
    close_sockets(w, g);
}

static void close_handles(struct worker *w)
{
    if (!uv_is_closing((uv_handle_t *)&w->timer)) {
        uv_close((uv_handle_t *)&w->timer, NULL);
        uv_close((uv_handle_t *)&w->drain_timer, NULL);
        uv_close((uv_handle_t *)&w->late_timer, NULL);
        uv_close((uv_handle_t *)&w->wake, NULL);
    }
}

static void close_all(struct worker *w)
{
    cancel_all(w);
    close_list(&w->sockets);
    close_list(&w->late);
    upstream_close_loop(&w->loop);
    close_handles(w);
}

// What main waits for.
struct worker_task {
    int (*run)(struct worker *w, void *arg);
    void *arg;
    int result;
    uv_sem_t done;
};

static void run_task(struct worker *w)
{
    struct worker_task *task = atomic_exchange(&w->task, NULL);
    if (task == NULL)
        return;
    task->result = task->run(w, task->arg);
    uv_sem_post(&task->done); // the task is main's again
}

static void on_wake(uv_async_t *async)
{
    struct worker *w = async->data;
    run_task(w);
    switch ((enum worker_command)atomic_load(&w->command)) {
    case WORKER_SERVE:
        break;
    case WORKER_DRAIN:
        start_drain(w);
        break;
    case WORKER_STOP:
        close_all(w);
        break;
    }
}

static void uv_must(int rc)
{
    INVARIANT(rc == 0);
}

int worker_init(struct worker *w, unsigned id)
{
    counters_init();
    *w = (struct worker){.id = id};
    w->scratch = malloc(MESSAGE_MAX);
    if (w->scratch == NULL)
        return CDNS_ENOMEM;
    if (uv_loop_init(&w->loop) != 0) {
        free(w->scratch);
        return CDNS_EIO;
    }
    uv_must(uv_async_init(&w->loop, &w->wake, on_wake));
    uv_must(uv_timer_init(&w->loop, &w->timer));
    uv_must(uv_timer_init(&w->loop, &w->drain_timer));
    uv_must(uv_timer_init(&w->loop, &w->late_timer));
    w->wake.data = w->timer.data = w->drain_timer.data = w->late_timer.data = w;
    return 0;
}

// TCP's limits: the connections of all listeners together must leave descriptors to the rest of the process.
static struct tcp_limits tcp_share(const struct listen_address *listen)
{
    struct tcp_limits limits = tcp_limits_default;
    struct rlimit files;
    rlim_t listeners = 2 * (rlim_t)count * listen->generation->nlistens;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        return limits;
    rlim_t kept = DESCRIPTORS_KEPT + (rlim_t)count * DESCRIPTORS_ASKING;
    rlim_t share = files.rlim_cur > kept ? (files.rlim_cur - kept) / listeners : 0;
    if (share < CONNECTIONS_MIN)
        share = CONNECTIONS_MIN;
    if (share < limits.connections)
        limits.connections = (unsigned)share;
    return limits;
}

// Opens one UDP and one TCP socket.
static int open_pair(struct worker *w, const struct listen_address *listen, const union sockaddr_any *address)
{
    struct worker_socket *s = malloc(sizeof *s);
    struct tcp_limits limits = tcp_share(listen);
    if (s == NULL)
        return CDNS_ENOMEM;
    *s = (struct worker_socket){.next = w->sockets, .worker = w, .listen = listen};
    int rc = tcp_listen(&w->loop, address, &limits, serve_tcp, s, &s->tcp);
    if (rc == 0) // last: from here on it takes datagrams that another socket would have answered
        rc = udp_listen(&w->loop, address, serve_udp, s, &s->udp);
    if (rc != 0) {
        int error = errno;
        close_socket(s);
        errno = error;
        return rc;
    }
    udp_pause(s->udp);
    tcp_pause(s->tcp);
    w->sockets = s;
    return 0;
}

// With its port.
static int listen_bound(struct worker *w, const struct listen_address *listen)
{
    union sockaddr_any address = listen->address;
    address_set_port(&address, listen->port);
    return open_pair(w, listen, &address);
}

int worker_listen(struct worker *w, const struct listen_address *listen)
{
    if (!listen_is_any(&listen->address))
        return listen_bound(w, listen);
    union sockaddr_any v4 = {.in = {.sin_family = AF_INET, .sin_port = htons(listen->port)}};
    union sockaddr_any v6 = {.in6 = {.sin6_family = AF_INET6, .sin6_port = htons(listen->port)}};
    int rc = open_pair(w, listen, &v4);
    if (rc != 0)
        return rc;
    rc = open_pair(w, listen, &v6);
    // A kernel without IPv6 is served over IPv4 alone.
    return rc != 0 && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL) ? 0 : rc;
}

bool worker_listens(const struct worker *w, const struct listen_address *listen)
{
    for (const struct worker_socket *s = w->sockets; s != NULL; s = s->next)
        if (!s->drained && generation_listen(listen->generation, s->listen) == listen)
            return true;
    return false;
}

static void adopt_socket(struct worker_socket *s, const struct listen_address *listen)
{
    s->drained = listen == NULL;
    if (listen == NULL) {
        drain_socket(s);
        return;
    }
    s->listen = listen;
    if (s->serves)
        return;
    s->serves = true;
    udp_resume(s->udp);
    tcp_resume(s->tcp);
}

void worker_adopt(struct worker *w, const struct generation *g)
{
    for (struct worker_socket *s = w->sockets; s != NULL; s = s->next)
        if (!s->drained)
            adopt_socket(s, generation_listen(g, s->listen));
}

static void *thread_main(void *arg)
{
    struct worker *w = arg;
    worker_set_current(w);
    rcu_thread_start();
    uv_run(&w->loop, UV_RUN_DEFAULT);
    rcu_thread_end();
    return NULL;
}

int worker_start(struct worker *w)
{
    int rc = thread_start(&w->thread, "worker", thread_main, w);
    w->started = rc == 0;
    return rc;
}

int worker_run(struct worker *w, int (*run)(struct worker *w, void *arg), void *arg)
{
    struct worker_task task = {.run = run, .arg = arg};
    if (!w->started)
        return run(w, arg);
    uv_must(uv_sem_init(&task.done, 0));
    atomic_store(&w->task, &task);
    uv_async_send(&w->wake);
    uv_sem_wait(&task.done);
    uv_sem_destroy(&task.done);
    return task.result;
}

void worker_command(struct worker *w, enum worker_command command)
{
    atomic_store(&w->command, command);
    uv_async_send(&w->wake);
}

void worker_join(struct worker *w)
{
    pthread_join(w->thread, NULL);
    w->started = false;
}

void worker_free(struct worker *w)
{
    close_all(w);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    uv_must(uv_loop_close(&w->loop));
    while (w->idle != NULL) {
        struct exchange *x = w->idle;
        w->idle = x->active_next;
        exchange_free(x);
    }
    heap_free(&w->deadlines);
    free(w->scratch);
}
