// SPDX-License-Identifier: Apache-2.0
// Questions in datagrams, so that a forged answer has as much to guess as there can be (RFC 5452 §9.2): each leaves
// from one of a few connected sockets, chosen by chance, with ports chosen by chance among all that are no system's.
#include "base/clock.h"
#include "net/socket.h"
#include "net/upstream_private.h"
#include <clusterdns/random.h>
#include <errno.h>
#include <stdlib.h>

#define PORT_MIN 1024 // lower ones are for servers, and for privileged ones (RFC 6335 §6)
#define PORT_TRIES 16 // of ports that may be taken
#define READ_ROUNDS 4 // batches an event, so that other sockets get their turn

// ---- Opening

static bool bind_randomly(int fd, const struct upstream_options *options)
{
    union sockaddr_any local = options->source;
    local.sa.sa_family = options->address.sa.sa_family;
    for (int i = 0; i < PORT_TRIES; i++) {
        address_set_port(&local, (uint16_t)(PORT_MIN + random_below(UINT16_MAX + 1 - PORT_MIN)));
        if (bind(fd, &local.sa, address_size(&local)) == 0)
            return true;
        if (errno != EADDRINUSE)
            return false;
    }
    return false;
}

// What anybody may have sent before the socket was connected is not from the upstream.
static void forget_strangers(int fd)
{
    uint8_t byte;
    while (recv(fd, &byte, sizeof(byte), MSG_DONTWAIT | MSG_TRUNC) >= 0)
        ;
}

static int open_descriptor(const struct upstream_options *options)
{
    int fd = socket(options->address.sa.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (!bind_randomly(fd, options) || connect(fd, &options->address.sa, address_size(&options->address)) != 0) {
        socket_close(fd);
        return -1;
    }
    forget_strangers(fd);
    return fd;
}

static void on_readable(uv_poll_t *poll, int status, int events);
static void on_old(struct upstream_timer *timer, uint64_t now);

static int open_socket(struct upstream_lane *lane, uint64_t now, struct upstream_flow **out)
{
    if (loop_answers(lane->loop) == NULL)
        return CDNS_ENOMEM;
    struct upstream_flow *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return CDNS_ENOMEM;
    s->fd = open_descriptor(&lane->upstream->options);
    s->timer.fire = on_old;
    s->made = now;
    s->overdue = "no answer";
    int rc = s->fd >= 0 ? flow_open(s, lane) : CDNS_EIO;
    if (rc != 0) {
        if (s->fd >= 0)
            socket_close(s->fd);
        free(s);
        return rc;
    }
    timer_move(lane->loop, &s->timer, now + UDP_AGE_NS);
    (void)uv_poll_start(&s->poll, UV_READABLE, on_readable); // cannot fail on an open handle
    *out = s;
    return 0;
}

// ---- Which socket

static void retire(struct upstream_flow *s)
{
    for (unsigned i = 0; i < UDP_SLOTS; i++)
        if (s->lane->udp[i] == s)
            s->lane->udp[i] = NULL;
    s->retired = true;
    flow_settle(s);
}

static void on_old(struct upstream_timer *timer, uint64_t now)
{
    struct upstream_flow *s = CONTAINER(timer, struct upstream_flow, timer);
    (void)now;
    timer_move(s->lane->loop, timer, NEVER);
    retire(s);
}

static struct upstream_flow *any(const struct upstream_lane *lane)
{
    struct upstream_flow *s = NULL;
    for (unsigned i = 0; i < UDP_SLOTS && s == NULL; i++)
        s = lane->udp[i];
    return s;
}

int udp_pick(struct upstream_lane *lane, uint64_t now, struct upstream_flow **flow)
{
    unsigned slot = random_below(UDP_SLOTS);
    struct upstream_flow *s = lane->udp[slot];
    if (s != NULL && s->asked < UDP_QUESTIONS) {
        *flow = s;
        return 0;
    }
    struct upstream_flow *other = s != NULL ? s : any(lane), *fresh;
    // A slow upstream keeps many retired sockets waiting. They must not take all descriptors.
    int rc = other == NULL || lane->loop->nsockets < UDP_SOCKETS ? open_socket(lane, now, &fresh) : CDNS_ELIMIT;
    if (rc != 0 && other == NULL)
        return rc;
    if (rc == 0) {
        if (s != NULL)
            retire(s);
        lane->udp[slot] = fresh;
    }
    *flow = rc == 0 ? fresh : other;
    return 0;
}

// ---- Sending and receiving

void udp_send_question(struct upstream_request *r, const uint8_t *message, size_t size)
{
    struct upstream_flow *s = r->flow;
    upstream_count(&s->lane->upstream->counters.sent_udp);
    ssize_t n = send(s->fd, message, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno == ECONNREFUSED) {
        // That is what became of the questions before; this one was not sent.
        flow_fail_later(s, socket_reason(ECONNREFUSED), r);
        n = send(s->fd, message, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    if (n < 0)
        request_fail_later(r, socket_reason(errno));
}

// An ICMP message has come.
static void take_error(struct upstream_flow *s, int error)
{
    if (error != 0 && error != EAGAIN && error != EWOULDBLOCK && error != EINTR)
        flow_fail_later(s, socket_reason(error), NULL);
}

// Somebody is guessing. Reading stops, since one more guess may be right.
static void distrust(struct upstream_flow *s)
{
    (void)uv_poll_stop(&s->poll);
    retire(s);
    flow_fail_later(s, "too many unexpected answers", NULL);
}

// Takes one batch. True: there may be more.
static bool read_batch(struct upstream_flow *s, struct udp_answers *answers)
{
    int n = recvmmsg(s->fd, answers->messages, UDP_BATCH, MSG_DONTWAIT, NULL);
    if (n < 0) {
        take_error(s, errno);
        return errno != EAGAIN && errno != EWOULDBLOCK;
    }
    uint64_t now = clock_monotonic_ns();
    for (int i = 0; i < n; i++) {
        if (!flow_deliver(s, answers->data[i], answers->messages[i].msg_len, now)) {
            distrust(s);
            return false;
        }
    }
    return n == UDP_BATCH;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct upstream_flow *s = poll->data;
    (void)events;
    s->busy = true;
    if (status < 0) {
        // libuv stops polling at a socket error. Reading it clears it, and the socket is as good as before.
        int error = 0;
        socklen_t size = sizeof(error);
        (void)getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &size);
        take_error(s, error);
        (void)uv_poll_start(poll, UV_READABLE, on_readable);
    }
    for (int round = 0; round < READ_ROUNDS && read_batch(s, s->lane->loop->answers); round++)
        ;
    s->busy = false;
    flow_settle(s);
}
