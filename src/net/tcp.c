// SPDX-License-Identifier: Apache-2.0
// TCP listeners: accept, bound, watch the clock, drain and close. One timer a listener looks at the connections'
// deadlines: they move with every message, and a timer for each would be touched as often.
#include "base/siphash.h"
#include "net/connection.h"
#include "net/socket.h"
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

#define BACKLOG 1024        // connections the kernel completes ahead of us
#define ACCEPT_ROUNDS 64    // connections taken per event
#define ACCEPT_PAUSE_MS 100 // after the process has run out of descriptors or memory
#define STUCK_MS 1000       // a peer that has taken nothing for so long gives way to a new one when all are at work
#define FAIR_PART 8         // of the connections, when all are at work: a client address may have one in so many
#define SOCKET_BUFFER (64 << 10) // bytes (doubled by the kernel) each way: what a slow peer can make it keep for us

const struct tcp_limits tcp_limits_default = {
    .connections = 1024,
    .in_flight = 128,
    .queries = 0,
    .queued_bytes = 256 << 10,
    .buffered_bytes = 16 << 20,
    .idle_ns = UINT64_C(10000000000),
    .read_ns = UINT64_C(3000000000),
    .write_ns = UINT64_C(5000000000),
};

// ---- The list of connections, by their last question

static void list_remove(struct tcp_connection *c)
{
    struct tcp_listener *listener = c->listener;
    *(c->older != NULL ? &c->older->newer : &listener->oldest) = c->newer;
    *(c->newer != NULL ? &c->newer->older : &listener->newest) = c->older;
}

static void list_append(struct tcp_connection *c)
{
    struct tcp_listener *listener = c->listener;
    c->older = listener->newest;
    c->newer = NULL;
    *(c->older != NULL ? &c->older->newer : &listener->oldest) = c;
    listener->newest = c;
}

void listener_touch(struct tcp_connection *c)
{
    if (c->state == CONNECTION_CLOSED || c->newer == NULL)
        return;
    list_remove(c);
    list_append(c);
}

static void count_open(const struct tcp_connection *c, int change)
{
    struct tcp_listener *listener = c->listener;
    listener->open += (unsigned)change;
    listener->crowds[c->crowd] += (unsigned)change;
    net_count(&listener->shared->counters.tcp_open, (uint64_t)(int64_t)change);
}

void listener_forget(struct tcp_connection *c)
{
    list_remove(c); // its own links stay: whoever walks the list can go on from it
    count_open(c, -1);
}

void listener_release(struct tcp_listener *listener)
{
    if (--listener->refs > 0)
        return;
    net_loop_put(listener->shared);
    free(listener);
}

// ---- Bounds

// Closes the connection that has asked nothing for longest and waits for nothing; without one, the one that has taken
// nothing of its answers for longest. False: all are at work.
static bool evict(struct tcp_listener *listener)
{
    struct tcp_connection *stuck = NULL;
    for (struct tcp_connection *c = listener->oldest; c != NULL; c = c->newer) {
        if (c->refs == 1 && bytes_left(&c->out) == 0) {
            connection_close(c, false);
            return true;
        }
        if (bytes_left(&c->out) > 0 && (stuck == NULL || c->write_at < stuck->write_at))
            stuck = c;
    }
    if (stuck == NULL || stuck->write_at + STUCK_MS > uv_now(listener->poll.loop))
        return false;
    connection_close(stuck, true);
    return true;
}

static uint16_t crowd_of(const union sockaddr_any *client)
{
    const void *ip = &client->in.sin_addr;
    size_t size = sizeof(client->in.sin_addr);
    if (client->sa.sa_family == AF_INET6) {
        ip = &client->in6.sin6_addr;
        size = sizeof(client->in6.sin6_addr);
    }
    return (uint16_t)(siphash13(siphash_process_key(), ip, size) % CROWDS);
}

// Ends the connection that has asked nothing for longest of the client that has most, if that is more than its part,
// and `crowd`, which wants one more, has less than that.
static bool evict_from_crowd(struct tcp_listener *listener, uint16_t crowd)
{
    unsigned part = listener->limits.connections / FAIR_PART, most = 0;
    if (part == 0)
        part = 1;
    if (listener->crowds[crowd] >= part)
        return false;
    for (unsigned i = 0; i < CROWDS; i++)
        if (listener->crowds[i] > listener->crowds[most])
            most = i;
    if (listener->crowds[most] <= part)
        return false;
    struct tcp_connection *c = listener->oldest;
    while (c != NULL && c->crowd != most)
        c = c->newer;
    if (!EXPECT(c != NULL))
        return false;
    connection_close(c, true);
    return true;
}

// Is there room, or can some be made, for a client of this crowd?
static bool make_room(struct tcp_listener *listener, uint16_t crowd)
{
    return listener->open < listener->limits.connections || evict(listener) || evict_from_crowd(listener, crowd);
}

void listener_relieve(struct tcp_listener *listener)
{
    while (listener->buffered > listener->limits.buffered_bytes) {
        struct tcp_connection *stillest = NULL;
        uint64_t since = NEVER;
        for (struct tcp_connection *c = listener->oldest; c != NULL; c = c->newer) {
            uint64_t at = bytes_left(&c->out) > 0 ? c->write_at : c->begun_at;
            if (c->in.size + c->out.size > 0 && at <= since) {
                stillest = c;
                since = at;
            }
        }
        if (stillest == NULL) // what is left belongs to events that run
            return;
        connection_close(stillest, true);
        net_count(&listener->shared->counters.tcp_timeouts, 1);
    }
}

// ---- Time

static void on_timer(uv_timer_t *timer);
static void on_acceptable(uv_poll_t *poll, int status, int events);

void listener_wake(struct tcp_listener *listener, uint64_t at)
{
    if (at >= listener->wake_at || listener->closed)
        return;
    uint64_t now = uv_now(listener->timer.loop);
    listener->wake_at = at;
    (void)uv_timer_start(&listener->timer, on_timer, at > now ? at - now : 0, 0);
}

static void on_timer(uv_timer_t *timer)
{
    struct tcp_listener *listener = timer->data;
    uint64_t now = uv_now(timer->loop), next = NEVER;
    listener->wake_at = NEVER;
    for (struct tcp_connection *c = listener->oldest; c != NULL; c = c->newer) {
        if (c->state != CONNECTION_CLOSED && connection_deadline(c) <= now)
            connection_expire(c, now);
        if (c->state != CONNECTION_CLOSED && connection_deadline(c) < next)
            next = connection_deadline(c);
    }
    if (listener->accept_at != 0 && listener->fd >= 0) {
        if (listener->accept_at <= now) {
            listener->accept_at = 0;
            (void)uv_poll_start(&listener->poll, UV_READABLE, on_acceptable);
        } else if (listener->accept_at < next) {
            next = listener->accept_at;
        }
    }
    listener_wake(listener, next);
}

// ---- Accepting

static bool start_connection(struct tcp_listener *listener, int fd, const union sockaddr_any *client)
{
    struct tcp_connection *c = calloc(1, sizeof(*c));
    socklen_t size = sizeof(c->local);
    if (c == NULL)
        return false;
    if (getsockname(fd, &c->local.sa, &size) != 0 || uv_poll_init(listener->poll.loop, &c->poll, fd) != 0) {
        free(c);
        return false;
    }
    c->client = *client;
    c->crowd = crowd_of(client);
    c->listener = listener;
    c->fd = fd;
    c->refs = 1;
    listener->refs++;
    list_append(c);
    count_open(c, 1);
    net_count(&listener->shared->counters.tcp_accepted, 1);
    connection_start(c);
    if (listener->draining)
        connection_drain(c);
    return true;
}

static void reject(struct tcp_listener *listener, int fd)
{
    close(fd);
    net_count(&listener->shared->counters.tcp_rejected, 1);
}

// accept() failed. True: try the next one.
static bool accept_again(struct tcp_listener *listener, int error)
{
    switch (error) {
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        // The connection stays in the kernel's queue and would wake us at once.
        if (evict(listener))
            return true;
        (void)uv_poll_stop(&listener->poll);
        listener->accept_at = uv_now(listener->poll.loop) + ACCEPT_PAUSE_MS;
        listener_wake(listener, listener->accept_at);
        return false;
    case EAGAIN:
#if EWOULDBLOCK != EAGAIN
    case EWOULDBLOCK:
#endif
    case EBADF:
        return false;
    default:
        return true; // the connection's own: gone before it was taken (accept(2): "like EAGAIN by retrying")
    }
}

static void accept_some(struct tcp_listener *listener, int most)
{
    for (int i = 0; i < most && listener->fd >= 0; i++) {
        union sockaddr_any client = {0};
        socklen_t size = sizeof(client);
        int fd = accept4(listener->fd, &client.sa, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (!accept_again(listener, errno))
                return;
        } else if (!make_room(listener, crowd_of(&client)) || !start_connection(listener, fd, &client)) {
            reject(listener, fd);
        }
    }
}

static void on_acceptable(uv_poll_t *poll, int status, int events)
{
    (void)events;
    struct tcp_listener *listener = poll->data;
    if (status < 0) // libuv stops polling at a socket error
        (void)uv_poll_start(poll, UV_READABLE, on_acceptable);
    accept_some(listener, ACCEPT_ROUNDS);
}

// ---- Life

static void on_handle_closed(uv_handle_t *handle)
{
    listener_release(handle->data);
}

static int open_socket(struct tcp_listener *listener, uv_loop_t *loop, const union sockaddr_any *address)
{
    int fd = socket_open(address, SOCK_STREAM, &listener->address);
    if (fd < 0)
        return CDNS_EIO;
    // Accepted sockets inherit these. Answers are collected here, so the kernel need not wait for more.
    (void)!socket_set(fd, SOL_SOCKET, SO_RCVBUF, SOCKET_BUFFER);
    (void)!socket_set(fd, SOL_SOCKET, SO_SNDBUF, SOCKET_BUFFER);
    (void)!socket_set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    int failed = listen(fd, BACKLOG) != 0 ? -errno : uv_poll_init(loop, &listener->poll, fd);
    if (failed != 0) {
        close(fd);
        errno = -failed;
        return CDNS_EIO;
    }
    listener->fd = fd;
    return 0;
}

static int shared_buffers(uv_loop_t *loop, struct net_loop **shared)
{
    *shared = net_loop_get(loop);
    if (*shared == NULL)
        return CDNS_ENOMEM;
    if ((*shared)->tcp_in == NULL)
        (*shared)->tcp_in = malloc(NET_TCP_READ);
    if ((*shared)->tcp_out == NULL)
        (*shared)->tcp_out = malloc(NET_OUT_SIZE);
    if ((*shared)->tcp_in != NULL && (*shared)->tcp_out != NULL)
        return 0;
    net_loop_put(*shared);
    return CDNS_ENOMEM;
}

int tcp_listen(uv_loop_t *loop, const union sockaddr_any *address, const struct tcp_limits *limits, tcp_handler handler,
               void *arg, struct tcp_listener **listener)
{
    struct tcp_listener *l = calloc(1, sizeof(*l));
    if (l == NULL)
        return CDNS_ENOMEM;
    l->handler = handler;
    l->arg = arg;
    l->limits = *limits;
    l->wake_at = NEVER;
    int result = shared_buffers(loop, &l->shared);
    if (result == 0 && (result = open_socket(l, loop, address)) != 0)
        net_loop_put(l->shared);
    if (result != 0) {
        free(l);
        return result;
    }
    (void)uv_timer_init(loop, &l->timer); // cannot fail
    l->poll.data = l->timer.data = l;
    l->refs = 2;
    tcp_resume(l);
    *listener = l;
    return 0;
}

void tcp_pause(struct tcp_listener *listener)
{
    (void)uv_poll_stop(&listener->poll);
}

void tcp_resume(struct tcp_listener *listener)
{
    (void)uv_poll_start(&listener->poll, UV_READABLE, on_acceptable); // fails only on a closing handle
}

static void stop_accepting(struct tcp_listener *listener)
{
    if (listener->fd < 0)
        return;
    uv_close((uv_handle_t *)&listener->poll, on_handle_closed);
    close(listener->fd);
    listener->fd = -1;
}

void tcp_drain(struct tcp_listener *listener)
{
    if (listener->draining || listener->closed)
        return;
    listener->draining = true;
    for (struct tcp_connection *c = listener->oldest; c != NULL; c = c->newer)
        connection_drain(c);
    accept_some(listener, BACKLOG); // their questions may be with the kernel already
    stop_accepting(listener);
}

void tcp_close(struct tcp_listener *listener)
{
    if (listener->closed)
        return;
    listener->closed = true;
    stop_accepting(listener);
    while (listener->oldest != NULL)
        connection_close(listener->oldest, false);
    uv_close((uv_handle_t *)&listener->timer, on_handle_closed);
}

void tcp_address(const struct tcp_listener *listener, union sockaddr_any *address)
{
    *address = listener->address;
}
