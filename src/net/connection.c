// SPDX-License-Identifier: Apache-2.0
// The bytes of one TCP connection: messages with a two-byte length (RFC 1035 §4.2.2), many in flight, answered in any
// order (RFC 7766 §6.2.1, §7). Reading pauses when too many questions or answers wait.
#include "net/connection.h"
#include "net/socket.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READ_ROUNDS 4  // reads per event, so that other sockets get their turn
#define LINGER_MS 1000 // how long a peer may take to close its end after ours

static void on_event(uv_poll_t *poll, int status, int events);

static uint64_t now_ms(const struct tcp_connection *c)
{
    return uv_now(c->poll.loop);
}

static unsigned holds(const struct tcp_connection *c)
{
    return c->state == CONNECTION_CLOSED ? 0 : c->refs - 1;
}

static bool paused(const struct tcp_connection *c)
{
    return holds(c) >= c->listener->limits.in_flight || bytes_left(&c->out) > c->listener->limits.queued_bytes;
}

static size_t frame_length(const uint8_t *frame)
{
    return (size_t)frame[0] << 8 | frame[1];
}

// Is a whole message waiting in `in`?
static bool backlog(const struct tcp_connection *c)
{
    size_t left = bytes_left(&c->in);
    return left >= 2 && left - 2 >= frame_length(c->in.data + c->in.pos);
}

// ---- Buffers

static void buffer_drop(struct tcp_connection *c, struct bytes *b)
{
    c->listener->buffered -= b->size;
    bytes_free(b);
}

// Closes the connection when memory is short.
static void buffer_append(struct tcp_connection *c, struct bytes *b, const uint8_t *data, size_t size)
{
    size_t before = b->size;
    if (!bytes_append(b, data, size, SIZE_MAX)) {
        connection_close(c, true);
        return;
    }
    c->listener->buffered += b->size - before;
    if (b->size != before)
        listener_relieve(c->listener);
}

// ---- Ending

void connection_release(struct tcp_connection *c)
{
    if (--c->refs > 0)
        return;
    buffer_drop(c, &c->in);
    listener_release(c->listener);
    free(c);
}

static void on_closed(uv_handle_t *handle)
{
    connection_release(handle->data);
}

static void notify_drain(struct tcp_connection *c, bool closed)
{
    tcp_drain_cb drain = c->drain;
    c->drain = NULL;
    if (drain != NULL)
        drain(c->drain_arg, c, closed);
}

void connection_close(struct tcp_connection *c, bool reset)
{
    if (c->state == CONNECTION_CLOSED)
        return;
    if (reset) // also frees what the kernel still holds for a peer that does not take it
        (void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
    uv_close((uv_handle_t *)&c->poll, on_closed);
    close(c->fd);
    c->fd = -1;
    c->state = CONNECTION_CLOSED;
    buffer_drop(c, &c->out);
    if (!c->busy) // otherwise a handler may be looking at a message in it
        buffer_drop(c, &c->in);
    listener_forget(c);
    notify_drain(c, true);
}

void connection_finish(struct tcp_connection *c)
{
    if (c->state == CONNECTION_OPEN)
        c->state = CONNECTION_FINISHING;
    c->in.pos = c->in.len; // freed when settled: a handler may be looking at a message in it
}

// All is answered. The peer is told by our FIN; closing at once could answer its next question with a reset, which
// destroys answers that it has not read yet.
static void linger(struct tcp_connection *c)
{
    if (c->eof || shutdown(c->fd, SHUT_WR) != 0) {
        connection_close(c, false);
        return;
    }
    c->state = CONNECTION_LINGERING;
    c->linger_at = now_ms(c) + LINGER_MS;
}

// ---- Writing

// Gives the kernel what it takes. Returns the bytes taken; closes the connection when the peer is gone.
static size_t write_some(struct tcp_connection *c, const struct iovec *iov, size_t count)
{
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = count};
    ssize_t n;
    do
        n = sendmsg(c->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n >= 0) {
        c->write_at = now_ms(c);
        return (size_t)n;
    }
    if (errno != EAGAIN && errno != EWOULDBLOCK && errno != ENOBUFS && errno != ENOMEM)
        connection_close(c, true);
    return 0;
}

static void flush_out(struct tcp_connection *c)
{
    if (bytes_left(&c->out) == 0)
        return;
    struct iovec iov = {.iov_base = c->out.data + c->out.pos, .iov_len = bytes_left(&c->out)};
    c->out.pos += write_some(c, &iov, 1);
    if (c->state != CONNECTION_CLOSED && bytes_left(&c->out) == 0) {
        buffer_drop(c, &c->out);
        c->idle_at = now_ms(c);
    }
}

// Sends the frames in `iov`, and queues what the kernel does not take. Whole frames only, so order does not matter.
static void send_frames(struct tcp_connection *c, const struct iovec *iov, size_t count)
{
    size_t taken = bytes_left(&c->out) == 0 ? write_some(c, iov, count) : 0;
    for (size_t i = 0; i < count && c->state != CONNECTION_CLOSED; i++) {
        size_t skip = taken < iov[i].iov_len ? taken : iov[i].iov_len;
        taken -= skip;
        if (skip < iov[i].iov_len)
            buffer_append(c, &c->out, (const uint8_t *)iov[i].iov_base + skip, iov[i].iov_len - skip);
    }
}

// Sends the prompt answers that were collected in the loop's buffer.
static void flush_prompt(struct tcp_connection *c)
{
    struct net_loop *shared = c->listener->shared;
    struct iovec iov = {.iov_base = shared->tcp_out, .iov_len = shared->tcp_out_len};
    shared->tcp_out_len = 0;
    if (iov.iov_len > 0 && c->state != CONNECTION_CLOSED)
        send_frames(c, &iov, 1);
}

// ---- Reading

static void dispatch(struct tcp_connection *c, const uint8_t *message, size_t size)
{
    struct tcp_listener *listener = c->listener;
    struct net_loop *shared = listener->shared;
    c->asked++;
    c->idle_at = now_ms(c);
    listener_touch(c);
    uint8_t *frame = shared->tcp_out + shared->tcp_out_len;
    long n = listener->handler(listener->arg, c, message, size, frame + 2, NET_TCP_MESSAGE);
    INVARIANT(n <= NET_TCP_MESSAGE);
    if (n > 0) {
        frame[0] = (uint8_t)(n >> 8);
        frame[1] = (uint8_t)n;
        shared->tcp_out_len += 2 + (size_t)n;
    }
    if (n < 0 || c->asked == listener->limits.queries)
        connection_finish(c);
    if (shared->tcp_out_len >= NET_OUT_FLUSH)
        flush_prompt(c);
}

// Keeps bytes until the rest of their message comes, or until reading goes on.
static void keep(struct tcp_connection *c, const uint8_t *data, size_t size)
{
    if (c->in.len == 0)
        c->begun_at = now_ms(c);
    buffer_append(c, &c->in, data, size);
}

static void run_backlog(struct tcp_connection *c)
{
    while (c->state <= CONNECTION_FINISHING && !paused(c) && backlog(c)) {
        const uint8_t *frame = c->in.data + c->in.pos;
        c->in.pos += 2 + frame_length(frame);
        dispatch(c, frame + 2, frame_length(frame));
    }
    if (bytes_left(&c->in) == 0)
        buffer_drop(c, &c->in);
}

// Adds to the begun message what it lacks, and handles it when it is whole. Returns the bytes used.
static size_t complete(struct tcp_connection *c, const uint8_t *data, size_t size)
{
    size_t used = 0;
    while (bytes_left(&c->in) > 0 && used < size && c->state == CONNECTION_OPEN && !backlog(c)) {
        size_t have = bytes_left(&c->in);
        size_t whole = have < 2 ? 2 : 2 + frame_length(c->in.data + c->in.pos);
        size_t n = whole - have < size - used ? whole - have : size - used;
        keep(c, data + used, n);
        used += n;
    }
    run_backlog(c);
    return used;
}

static void consume(struct tcp_connection *c, const uint8_t *data, size_t size)
{
    size_t pos = complete(c, data, size);
    while (c->state == CONNECTION_OPEN && !paused(c) && size - pos >= 2) {
        size_t length = frame_length(data + pos);
        if (size - pos - 2 < length)
            break;
        pos += 2 + length;
        dispatch(c, data + pos - length, length);
    }
    if (c->state == CONNECTION_OPEN && pos < size)
        keep(c, data + pos, size - pos);
}

// The peer, or a drain, ends the questions; those that wait are still answered.
static void end_questions(struct tcp_connection *c)
{
    if (c->state == CONNECTION_OPEN)
        c->state = CONNECTION_FINISHING;
}

// The kernel has no more. After a drain that is the end, but for a message that has begun.
static void caught_up(struct tcp_connection *c)
{
    c->look = false;
    if (c->last_read && (bytes_left(&c->in) == 0 || backlog(c)))
        end_questions(c);
}

static void read_some(struct tcp_connection *c)
{
    uint8_t *buffer = c->listener->shared->tcp_in;
    for (int round = 0; round < READ_ROUNDS && c->state == CONNECTION_OPEN && !paused(c) && !backlog(c); round++) {
        ssize_t n = recv(c->fd, buffer, NET_TCP_READ, MSG_DONTWAIT);
        if (n > 0) {
            consume(c, buffer, (size_t)n);
            flush_prompt(c);
        } else if (n == 0) {
            c->eof = true;
            end_questions(c);
        } else if (errno == EINTR) {
            continue;
        } else if (errno != EAGAIN && errno != EWOULDBLOCK) {
            connection_close(c, false);
        }
        if (n < NET_TCP_READ) {
            caught_up(c);
            return;
        }
    }
}

// After our end is closed. What comes is not looked at.
static void read_away(struct tcp_connection *c)
{
    for (int round = 0; round < READ_ROUNDS; round++) {
        ssize_t n = recv(c->fd, c->listener->shared->tcp_in, NET_TCP_READ, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR))
            connection_close(c, false);
        if (n <= 0)
            return;
    }
}

// ---- Events

static void offer_room(struct tcp_connection *c)
{
    if (c->drain != NULL && bytes_left(&c->out) <= c->listener->limits.queued_bytes / 2)
        notify_drain(c, false);
}

static void on_event(uv_poll_t *poll, int status, int events)
{
    struct tcp_connection *c = poll->data;
    net_udp_turn(c->listener->shared);
    c->busy = true;
    if (status < 0) { // reset by the peer: nobody is left to answer to
        connection_close(c, false);
    } else if (c->state == CONNECTION_LINGERING) {
        read_away(c);
    } else {
        if (events & UV_WRITABLE)
            flush_out(c);
        if (c->state != CONNECTION_CLOSED)
            offer_room(c);
        run_backlog(c);
        flush_prompt(c);
        if (c->state == CONNECTION_OPEN)
            read_some(c);
    }
    c->busy = false;
    connection_settle(c);
}

static int wanted_events(const struct tcp_connection *c)
{
    if (c->state == CONNECTION_LINGERING)
        return UV_READABLE;
    int events = 0;
    bool ready = backlog(c) && !paused(c);
    if (c->state == CONNECTION_OPEN && !paused(c) && !ready)
        events |= UV_READABLE;
    // What can go on without the peer goes on when the socket takes output: at once, unless the peer is slow.
    bool look = c->look && c->state == CONNECTION_OPEN && !paused(c);
    if (bytes_left(&c->out) > 0 || c->drain != NULL || ready || look)
        events |= UV_WRITABLE;
    return events;
}

static void arm(struct tcp_connection *c, int events)
{
    int added = events & ~c->armed;
    if (events == c->armed)
        return;
    if (added & UV_WRITABLE)
        c->write_at = now_ms(c);
    if (added & UV_READABLE)
        c->begun_at = now_ms(c); // while reading paused, the peer could not go on
    c->armed = events;
    if (events != 0)
        (void)uv_poll_start(&c->poll, events, on_event); // fails only on a closing handle
    else
        (void)uv_poll_stop(&c->poll);
}

void connection_settle(struct tcp_connection *c)
{
    if (c->busy)
        return;
    if (c->state == CONNECTION_CLOSED || bytes_left(&c->in) == 0)
        buffer_drop(c, &c->in);
    if (c->state == CONNECTION_FINISHING && holds(c) == 0 && bytes_left(&c->out) == 0 && !backlog(c))
        linger(c);
    if (c->state == CONNECTION_CLOSED)
        return;
    arm(c, wanted_events(c));
    listener_wake(c->listener, connection_deadline(c));
}

void connection_start(struct tcp_connection *c)
{
    c->poll.data = c;
    c->idle_at = now_ms(c);
    connection_settle(c);
}

void connection_drain(struct tcp_connection *c)
{
    c->last_read = c->look = true;
    connection_settle(c);
}

// ---- Time

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t connection_deadline(const struct tcp_connection *c)
{
    const struct tcp_limits *limits = &c->listener->limits;
    if (c->state == CONNECTION_LINGERING)
        return c->linger_at;
    uint64_t at = NEVER;
    if (c->armed & UV_WRITABLE)
        at = earlier(at, c->write_at + limit_ms(limits->write_ns));
    if (c->state == CONNECTION_OPEN && bytes_left(&c->in) > 0 && !paused(c) && !backlog(c))
        at = earlier(at, c->begun_at + limit_ms(limits->read_ns));
    if (holds(c) == 0 && bytes_left(&c->out) == 0)
        at = earlier(at, c->idle_at + limit_ms(limits->idle_ns));
    return at;
}

void connection_expire(struct tcp_connection *c, uint64_t now)
{
    bool lingered = c->state == CONNECTION_LINGERING;
    bool stuck = (c->armed & UV_WRITABLE) && c->write_at + limit_ms(c->listener->limits.write_ns) <= now;
    if (!lingered)
        net_count(&c->listener->shared->counters.tcp_timeouts, 1);
    if (lingered || stuck || c->state == CONNECTION_FINISHING) {
        connection_close(c, stuck);
        return;
    }
    connection_finish(c);
    connection_settle(c);
}

// ---- Public

void tcp_hold(struct tcp_connection *c)
{
    c->refs++;
}

void tcp_discard(struct tcp_connection *c)
{
    if (!EXPECT(c->state == CONNECTION_CLOSED || holds(c) > 0))
        return;
    if (c->state != CONNECTION_CLOSED) {
        c->idle_at = now_ms(c);
        c->refs--;
        connection_settle(c);
    } else {
        connection_release(c);
    }
}

int tcp_send(struct tcp_connection *c, const uint8_t *message, size_t size, bool last)
{
    if (!EXPECT(size > 0 && size <= NET_TCP_MESSAGE))
        connection_close(c, true);
    if (c->state != CONNECTION_CLOSED) {
        uint8_t prefix[2] = {(uint8_t)(size >> 8), (uint8_t)size};
        struct iovec iov[2] = {{prefix, sizeof(prefix)}, {(void *)(uintptr_t)message, size}};
        send_frames(c, iov, 2);
    }
    int result = c->state == CONNECTION_CLOSED                            ? CDNS_ECANCELED
                 : bytes_left(&c->out) > c->listener->limits.queued_bytes ? CDNS_EAGAIN
                                                                          : 0;
    if (last)
        tcp_discard(c);
    else
        connection_settle(c);
    return result;
}

void tcp_on_drain(struct tcp_connection *c, tcp_drain_cb callback, void *arg)
{
    c->drain = callback;
    c->drain_arg = arg;
    if (c->state == CONNECTION_CLOSED)
        notify_drain(c, true);
    else
        connection_settle(c);
}

void tcp_abort(struct tcp_connection *c)
{
    connection_close(c, true);
}

void tcp_peer(const struct tcp_connection *c, union sockaddr_any *client, union sockaddr_any *local)
{
    *client = c->client;
    *local = c->local;
}
