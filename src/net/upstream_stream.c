// SPDX-License-Identifier: Apache-2.0
// Questions over connections that stay (RFC 7766 §6.2): many in flight on one, answered in any order. What is asked in
// one turn of the loop is written together before the loop waits.
#include "base/clock.h"
#include "net/socket.h"
#include "net/upstream_private.h"
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>

#define READ_ROUNDS 4 // reads an event, so that other sockets get their turn
#define READ_SIZE 65536
#define REASON_MAX 200

enum stream_state {
    STREAM_CONNECTING,
    STREAM_HANDSHAKE, // of TLS
    STREAM_OPEN,
};

struct upstream_stream {
    struct upstream_flow flow;
    struct upstream_stream *dirty_next;
    bool dirty;
    bool idle;   // waits for nothing, and is kept
    bool failed; // TLS must not be told
    enum stream_state state;
    int armed;           // events polled for
    int wants;           // events that TLS waits for
    const char *refused; // why it could not be opened
    struct ssl_st *ssl;
    struct bytes in;  // a begun message
    struct bytes out; // questions that the kernel has not taken
    uint64_t idle_since;
    uint64_t silent_since; // when it was asked something and has answered nothing since; 0: it owes nothing
};

static struct upstream_stream *stream_of(struct upstream_flow *flow)
{
    return CONTAINER(flow, struct upstream_stream, flow);
}

static const struct upstream_options *options_of(const struct upstream_flow *flow)
{
    return &flow->lane->upstream->options;
}

static void set_state(struct upstream_stream *c, enum stream_state state)
{
    static const char *const overdue[] = {"connection timed out", "TLS handshake timed out", "no answer"};
    c->state = state;
    c->flow.overdue = overdue[state];
}

// ---- Ending

static void undirty(struct upstream_stream *c)
{
    struct upstream_stream **at = &c->flow.lane->loop->dirty;
    while (c->dirty && *at != c)
        at = &(*at)->dirty_next;
    if (c->dirty)
        *at = c->dirty_next;
    c->dirty = false;
}

void stream_clear(struct upstream_flow *flow)
{
    struct upstream_stream *c = stream_of(flow);
    undirty(c);
    flow->lane->idle -= c->idle;
    tls_free(c->ssl, c->failed);
    bytes_free(&c->in);
    bytes_free(&c->out);
}

static void fail(struct upstream_stream *c, int error, const char *reason)
{
    flow_fail(&c->flow, error, reason);
}

static void fail_tls(struct upstream_stream *c)
{
    char reason[REASON_MAX];
    int error = tls_failure(c->ssl, reason, sizeof(reason));
    c->failed = true;
    fail(c, error, reason);
}

static bool too_old(const struct upstream_flow *flow, uint64_t now)
{
    uint64_t max = options_of(flow)->max_age_ns;
    return max != 0 && now - flow->made >= max;
}

// ---- Opening

static int open_descriptor(const struct upstream_options *options)
{
    int fd = socket(options->address.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    // What is asked in one turn is written together here, so the kernel need not wait for more.
    (void)!socket_set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    (void)!socket_set(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
    if (options->source.sa.sa_family != AF_UNSPEC &&
        bind(fd, &options->source.sa, address_size(&options->source)) != 0) {
        socket_close(fd);
        return -1;
    }
    return fd;
}

static void on_event(uv_poll_t *poll, int status, int events);
static void on_expiry(struct upstream_timer *timer, uint64_t now);

static void arm(struct upstream_stream *c, int events)
{
    if (events == c->armed)
        return;
    c->armed = events;
    (void)uv_poll_start(&c->flow.poll, events, on_event); // cannot fail on an open handle
}

static int open_stream(struct upstream_lane *lane, uint64_t now, struct upstream_flow **out)
{
    struct upstream_stream *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return CDNS_ENOMEM;
    const struct upstream_options *options = &lane->upstream->options;
    c->flow.stream = true;
    c->flow.timer.fire = on_expiry;
    c->flow.made = now;
    c->flow.fd = open_descriptor(options);
    set_state(c, STREAM_CONNECTING);
    int rc = c->flow.fd >= 0 ? flow_open(&c->flow, lane) : CDNS_EIO;
    if (rc != 0) {
        if (c->flow.fd >= 0)
            socket_close(c->flow.fd);
        free(c);
        return rc;
    }
    if (connect(c->flow.fd, &options->address.sa, address_size(&options->address)) == 0 || errno == EINPROGRESS)
        arm(c, UV_WRITABLE);
    else
        c->refused = socket_reason(errno);
    c->flow.retired = c->refused != NULL;
    *out = &c->flow;
    return 0;
}

// ---- Which connection

static bool usable(struct upstream_stream *c, uint64_t now)
{
    bool silent = c->silent_since != 0 && now - c->silent_since > STREAM_SILENT_NS;
    if (silent || too_old(&c->flow, now))
        c->flow.retired = true;
    return !c->flow.retired;
}

static bool has_room(const struct upstream_stream *c)
{
    return c->flow.waiting < UPSTREAM_PIPELINE && bytes_left(&c->out) + 2 + UPSTREAM_QUESTION_MAX <= STREAM_OUT;
}

static void to_front(struct upstream_flow *flow)
{
    struct upstream_flow **head = &flow->lane->streams;
    if (flow->prev == NULL)
        return;
    flow->prev->next = flow->next;
    if (flow->next != NULL)
        flow->next->prev = flow->prev;
    flow->prev = NULL;
    flow->next = *head;
    flow->next->prev = flow;
    *head = flow;
}

// The least recently used one that is idle; NULL: none is.
static struct upstream_flow *oldest_idle(const struct upstream_lane *lane)
{
    struct upstream_flow *oldest = NULL;
    for (struct upstream_flow *flow = lane->streams; flow != NULL && lane->idle > 0; flow = flow->next)
        if (stream_of(flow)->idle)
            oldest = flow;
    return oldest;
}

// Closes an idle connection to any upstream. False: there is none.
static bool make_room(struct upstream_loop *loop)
{
    struct upstream_flow *oldest = NULL;
    for (size_t i = 0; i < loop->nlanes && oldest == NULL; i++)
        if (loop->lanes[i] != NULL)
            oldest = oldest_idle(loop->lanes[i]);
    if (oldest == NULL)
        return false;
    flow_close(oldest);
    return true;
}

int stream_pick(struct upstream_lane *lane, uint64_t now, struct upstream_flow **flow, bool *reused)
{
    for (struct upstream_flow *at = lane->streams, *next; at != NULL; at = next) {
        next = at->next;
        if (!usable(stream_of(at), now)) {
            flow_settle(at);
        } else if (has_room(stream_of(at))) {
            *flow = at;
            *reused = true;
            to_front(at);
            upstream_count(&lane->upstream->counters.conn_hits);
            return 0;
        }
    }
    if (lane->loop->nstreams >= STREAMS && !make_room(lane->loop))
        return CDNS_ELIMIT;
    upstream_count(&lane->upstream->counters.conn_misses);
    *reused = false;
    return open_stream(lane, now, flow);
}

// ---- Writing

static int write_some(struct upstream_stream *c)
{
    const uint8_t *data = c->out.data + c->out.pos;
    int events; // that it waits for: what is not written has it wait for room anyway
    if (c->ssl != NULL)
        return tls_write(c->ssl, data, bytes_left(&c->out), &events);
    ssize_t n = send(c->flow.fd, data, bytes_left(&c->out), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n >= 0)
        return (int)n;
    return errno == EAGAIN || errno == EINTR || errno == ENOBUFS || errno == ENOMEM ? TLS_AGAIN : TLS_FAILED;
}

// The peer has closed, or an operation failed.
static void end(struct upstream_stream *c, int result)
{
    if (result == 0)
        fail(c, CDNS_EIO, "connection closed");
    else if (c->ssl != NULL)
        fail_tls(c);
    else
        fail(c, CDNS_EIO, socket_reason(errno));
}

// Gives the kernel what it takes. False: the connection failed and is gone.
static bool flush(struct upstream_stream *c)
{
    while (bytes_left(&c->out) > 0) {
        int n = write_some(c);
        if (n == TLS_AGAIN)
            return true;
        if (n <= 0) {
            end(c, n);
            return false;
        }
        c->out.pos += (size_t)n;
    }
    bytes_free(&c->out);
    return true;
}

void stream_flush_all(struct upstream_loop *loop)
{
    while (loop->dirty != NULL) {
        struct upstream_stream *c = loop->dirty;
        undirty(c);
        c->flow.busy = true;
        if (!flush(c))
            continue;
        c->flow.busy = false;
        flow_settle(&c->flow);
    }
}

int stream_send_question(struct upstream_request *r, const uint8_t *message, size_t size)
{
    struct upstream_flow *flow = r->flow;
    struct upstream_stream *c = stream_of(flow);
    uint8_t length[2] = {(uint8_t)(size >> 8), (uint8_t)size};
    flow->lane->idle -= c->idle;
    c->idle = false;
    if (c->refused != NULL) {
        request_fail_later(r, c->refused);
        return 0;
    }
    if (!bytes_append(&c->out, length, sizeof(length), STREAM_OUT))
        return CDNS_ENOMEM;
    if (!bytes_append(&c->out, message, size, STREAM_OUT)) {
        c->out.len -= sizeof(length);
        return CDNS_ENOMEM;
    }
    upstream_count(&flow->lane->upstream->counters.sent_stream);
    r->kept = r->reused && c->state == STREAM_OPEN;
    if (c->silent_since == 0)
        c->silent_since = r->asked;
    if (c->state == STREAM_OPEN && !c->dirty) {
        c->dirty = true;
        c->dirty_next = flow->lane->loop->dirty;
        flow->lane->loop->dirty = c;
        loop_flush_later(flow->lane->loop);
    }
    return 0;
}

// ---- Reading

static int read_some(struct upstream_stream *c, uint8_t *data, size_t size)
{
    if (c->ssl != NULL)
        return tls_read(c->ssl, data, size, &c->wants);
    ssize_t n = recv(c->flow.fd, data, size, MSG_DONTWAIT);
    if (n >= 0)
        return (int)n;
    return errno == EAGAIN || errno == EINTR ? TLS_AGAIN : TLS_FAILED;
}

// How many bytes to read: no more than the begun message lacks, so that one at most is kept.
static size_t lacking(const struct upstream_stream *c)
{
    size_t have = bytes_left(&c->in);
    struct reader in = reader_init(c->in.data, have);
    if (have == 0)
        return READ_SIZE;
    return have < 2 ? 2 - have : 2 + (size_t)reader_u16(&in) - have;
}

// False: the connection is not to be trusted, or memory is short; it is gone.
static bool deliver(struct upstream_stream *c, uint8_t *message, size_t size, uint64_t now)
{
    bool trusted = flow_deliver(&c->flow, message, size, now);
    c->silent_since = c->flow.waiting > 0 ? now : 0;
    if (trusted && size >= HEADER)
        return true;
    fail(c, CDNS_EIO, trusted ? "malformed answer" : "too many unexpected answers");
    return false;
}

static bool keep(struct upstream_stream *c, const uint8_t *data, size_t size)
{
    if (size == 0 || bytes_append(&c->in, data, size, NET_TCP_FRAME))
        return true;
    fail(c, CDNS_ENOMEM, "out of memory");
    return false;
}

// Adds to the begun message, and hands it on when it is whole.
static bool complete(struct upstream_stream *c, const uint8_t *data, size_t size, uint64_t now)
{
    if (!keep(c, data, size))
        return false;
    if (lacking(c) > 0)
        return true;
    if (!deliver(c, c->in.data + 2, bytes_left(&c->in) - 2, now))
        return false;
    bytes_free(&c->in);
    return true;
}

static bool consume(struct upstream_stream *c, uint8_t *data, size_t size)
{
    uint64_t now = clock_monotonic_ns();
    if (bytes_left(&c->in) > 0)
        return complete(c, data, size, now);
    struct reader in = reader_init(data, size);
    for (;;) {
        size_t begin = in.pos, length = reader_u16(&in);
        if (reader_bytes(&in, length) == NULL)
            return keep(c, data + begin, size - begin);
        if (!deliver(c, data + begin + 2, length, now))
            return false;
    }
}

// Takes what has come. False: the connection is gone.
static bool take(struct upstream_stream *c)
{
    struct udp_answers *room = loop_answers(c->flow.lane->loop);
    if (room == NULL) {
        fail(c, CDNS_ENOMEM, "out of memory");
        return false;
    }
    c->wants = 0;
    // What TLS has decrypted, the descriptor does not tell of.
    for (int round = 0; round < READ_ROUNDS || tls_pending(c->ssl); round++) {
        size_t size = lacking(c);
        int n = read_some(c, room->data[0], size);
        if (n == TLS_AGAIN)
            return true;
        if (n <= 0) {
            end(c, n);
            return false;
        }
        if (!consume(c, room->data[0], (size_t)n))
            return false;
        if (c->ssl == NULL && (size_t)n < size)
            return true;
    }
    return true;
}

// ---- Events

static bool shake_hands(struct upstream_stream *c)
{
    int n = tls_handshake(c->ssl, &c->wants);
    if (n == TLS_AGAIN)
        return true;
    if (n <= 0) {
        fail_tls(c);
        return false;
    }
    set_state(c, STREAM_OPEN);
    return flush(c) && take(c);
}

static bool connected(struct upstream_stream *c)
{
    struct upstream *u = c->flow.lane->upstream;
    if (u->tls == NULL) {
        set_state(c, STREAM_OPEN);
        return flush(c);
    }
    c->ssl = tls_client(u, c->flow.fd);
    if (c->ssl == NULL) {
        fail(c, CDNS_ENOMEM, "out of memory");
        return false;
    }
    set_state(c, STREAM_HANDSHAKE);
    return shake_hands(c);
}

static int socket_error(const struct upstream_stream *c)
{
    int error = 0;
    socklen_t size = sizeof(error);
    return getsockopt(c->flow.fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

static bool advance(struct upstream_stream *c, int status)
{
    int error = status < 0 || c->state == STREAM_CONNECTING ? socket_error(c) : 0;
    if (error != 0) {
        fail(c, CDNS_EIO, socket_reason(error));
        return false;
    }
    switch (c->state) {
    case STREAM_CONNECTING:
        return connected(c);
    case STREAM_HANDSHAKE:
        return shake_hands(c);
    case STREAM_OPEN:
        break;
    }
    return flush(c) && take(c);
}

static void on_event(uv_poll_t *poll, int status, int events)
{
    struct upstream_stream *c = stream_of(poll->data);
    (void)events;
    if (status < 0) // libuv stops polling at a socket error
        c->armed = 0;
    c->flow.busy = true;
    if (!advance(c, status))
        return;
    c->flow.busy = false;
    flow_settle(&c->flow);
}

static int wanted_events(const struct upstream_stream *c)
{
    switch (c->state) {
    case STREAM_CONNECTING:
        return UV_WRITABLE;
    case STREAM_HANDSHAKE:
        return c->wants;
    case STREAM_OPEN:
        break;
    }
    return UV_READABLE | c->wants | (bytes_left(&c->out) > 0 && !c->dirty ? UV_WRITABLE : 0);
}

// Nothing waits any more. False: it is gone.
static bool become_idle(struct upstream_stream *c, uint64_t now)
{
    const struct upstream_options *options = options_of(&c->flow);
    struct upstream_lane *lane = c->flow.lane;
    unsigned most = options->max_idle != 0 && options->max_idle < STREAM_IDLE ? options->max_idle : STREAM_IDLE;
    c->idle = true;
    c->idle_since = now;
    // A timer that runs from before finds out itself.
    if (c->flow.timer.node.key == NEVER)
        timer_move(lane->loop, &c->flow.timer, now + options->expire_ns);
    if (++lane->idle <= most)
        return true;
    struct upstream_flow *oldest = oldest_idle(lane);
    bool self = oldest == &c->flow;
    flow_close(oldest);
    return !self;
}

void stream_settle(struct upstream_flow *flow)
{
    struct upstream_stream *c = stream_of(flow);
    if (flow->waiting == 0) {
        uint64_t now = clock_monotonic_ns();
        if (c->state != STREAM_OPEN || flow->retired || too_old(flow, now)) {
            flow_close(flow);
            return;
        }
        if (!c->idle && !become_idle(c, now))
            return;
    }
    if (c->refused == NULL)
        arm(c, wanted_events(c));
}

static void on_expiry(struct upstream_timer *timer, uint64_t now)
{
    struct upstream_flow *flow = CONTAINER(timer, struct upstream_flow, timer);
    struct upstream_stream *c = stream_of(flow);
    uint64_t due = c->idle ? c->idle_since + options_of(flow)->expire_ns : NEVER;
    if (due <= now)
        flow_close(flow);
    else
        timer_move(flow->lane->loop, timer, due);
}

void stream_overdue(struct upstream_flow *flow, uint64_t asked)
{
    const struct upstream_stream *c = stream_of(flow);
    if (c->silent_since != 0 && c->silent_since <= asked)
        flow->retired = true;
}
