// SPDX-License-Identifier: Apache-2.0
// Datagrams in batches: one recvmmsg, the handler for each, one sendmmsg. What the batches need is allocated once per
// loop and shared by its listeners.
#include "net/loop.h"
#include "net/socket.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SOCKET_BUFFER (1 << 20) // bytes asked for (the kernel doubles it): about 2,700 small datagrams
#define SMALL_DATAGRAM 768      // bytes the kernel charges for a small datagram in the receive buffer
#define TURN_NS 2000000         // how long TCP's events may keep datagrams waiting
#define DRAIN_ROUNDS (2 * SOCKET_BUFFER / SMALL_DATAGRAM / NET_BATCH)

// One byte more than is kept tells a longer datagram. The stride is no multiple of 4 KiB: otherwise the starts of all
// 64 datagrams would compete for the same set of the first-level cache.
#define IN_SIZE (NET_QUERY_MAX + 1)
#define IN_STRIDE (NET_QUERY_MAX + 128)
#define OUT_ALIGN 64

// Room for what comes with a datagram: the address asked and the drop counter; and for what goes with a reply.
#define IN_CONTROL (CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(uint32_t)))
#define OUT_CONTROL CMSG_SPACE(sizeof(struct in6_pktinfo))

struct in_slot {
    struct udp_peer peer;
    struct iovec iov;
    _Alignas(struct cmsghdr) uint8_t control[IN_CONTROL];
};

struct out_slot {
    struct iovec iov;
    _Alignas(struct cmsghdr) uint8_t control[OUT_CONTROL];
};

struct udp_batch {
    struct mmsghdr in[NET_BATCH], out[NET_BATCH];
    struct in_slot in_slots[NET_BATCH];
    struct out_slot out_slots[NET_BATCH];
    struct udp_listener *listener; // whose datagrams are being answered; NULL between events
    unsigned pending;              // replies in `out` not yet sent
    size_t answers_len;            // bytes of `answers` they take
    // Answers stand one behind the other, so a batch of small ones touches few cache lines, and yet each may be of any
    // size: the handler is always given the whole rest.
    _Alignas(OUT_ALIGN) uint8_t answers[NET_OUT_SIZE];
    _Alignas(OUT_ALIGN) uint8_t questions[NET_BATCH][IN_STRIDE];
};

struct udp_listener {
    uv_poll_t poll;
    struct net_loop *shared;
    struct udp_listener *next; // of the loop's list, while it is read
    udp_handler handler;
    void *arg;
    int fd;        // -1 once closed
    unsigned refs; // parked queries', and the handle's
    bool wildcard; // bound to no address: each datagram tells which one was asked
    bool draining;
    bool deaf;      // see deafen()
    uint32_t drops; // the kernel's counter as last seen
    union sockaddr_any address;
};

static void batch_init(struct udp_batch *batch)
{
    batch->listener = NULL;
    batch->pending = 0;
    batch->answers_len = 0;
    for (unsigned i = 0; i < NET_BATCH; i++) {
        struct in_slot *slot = &batch->in_slots[i];
        slot->iov = (struct iovec){.iov_base = batch->questions[i], .iov_len = IN_SIZE};
        batch->in[i].msg_hdr = (struct msghdr){.msg_name = &slot->peer.client,
                                               .msg_namelen = sizeof(slot->peer.client),
                                               .msg_iov = &slot->iov,
                                               .msg_iovlen = 1,
                                               .msg_control = slot->control,
                                               .msg_controllen = sizeof(slot->control)};
    }
}

static void take_drops(struct udp_listener *listener, const struct cmsghdr *cmsg)
{
    uint32_t drops;
    memcpy(&drops, CMSG_DATA(cmsg), sizeof(drops));
    net_count(&listener->shared->counters.udp_kernel_drops, (uint32_t)(drops - listener->drops));
    listener->drops = drops;
}

static void take_pktinfo4(union sockaddr_any *local, const struct cmsghdr *cmsg)
{
    struct in_pktinfo info;
    memcpy(&info, CMSG_DATA(cmsg), sizeof(info));
    local->in.sin_addr = info.ipi_spec_dst; // not ipi_addr: that may be a broadcast address, which cannot be a source
}

static void take_pktinfo6(struct udp_peer *peer, const struct cmsghdr *cmsg)
{
    struct in6_pktinfo info;
    memcpy(&info, CMSG_DATA(cmsg), sizeof(info));
    if (!IN6_IS_ADDR_MULTICAST(&info.ipi6_addr))
        peer->local.in6.sin6_addr = info.ipi6_addr;
    // Elsewhere routing decides: asymmetric routes are common on nodes with several interfaces.
    if (IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr) || IN6_IS_ADDR_MULTICAST(&info.ipi6_addr))
        peer->ifindex = info.ipi6_ifindex;
}

// Fills in which address was asked, and notices drops.
static void take_control(struct udp_listener *listener, struct udp_peer *peer, struct msghdr *message)
{
    peer->local = listener->address;
    peer->ifindex = 0;
    for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(message); cmsg != NULL; cmsg = CMSG_NXTHDR(message, cmsg)) {
        if (cmsg->cmsg_level == IPPROTO_IP && cmsg->cmsg_type == IP_PKTINFO)
            take_pktinfo4(&peer->local, cmsg);
        else if (cmsg->cmsg_level == IPPROTO_IPV6 && cmsg->cmsg_type == IPV6_PKTINFO)
            take_pktinfo6(peer, cmsg);
        else if (cmsg->cmsg_level == SOL_SOCKET && cmsg->cmsg_type == SO_RXQ_OVFL)
            take_drops(listener, cmsg);
    }
}

// Makes `message` a reply to `peer` from the address that was asked. The slot and the peer stay until it is sent.
static void reply_init(const struct udp_listener *listener, const struct udp_peer *peer, const uint8_t *data,
                       size_t size, struct msghdr *message, struct out_slot *slot)
{
    slot->iov = (struct iovec){.iov_base = (void *)(uintptr_t)data, .iov_len = size};
    *message = (struct msghdr){.msg_name = (void *)(uintptr_t)&peer->client,
                               .msg_namelen = address_size(&peer->client),
                               .msg_iov = &slot->iov,
                               .msg_iovlen = 1};
    if (!listener->wildcard || (address_is_any(&peer->local) && peer->ifindex == 0))
        return;
    message->msg_control = slot->control;
    struct cmsghdr *cmsg = (struct cmsghdr *)(void *)slot->control;
    if (peer->local.sa.sa_family == AF_INET6) {
        struct in6_pktinfo info = {.ipi6_addr = peer->local.in6.sin6_addr, .ipi6_ifindex = peer->ifindex};
        message->msg_controllen = CMSG_SPACE(sizeof(info));
        *cmsg =
            (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(info)), .cmsg_level = IPPROTO_IPV6, .cmsg_type = IPV6_PKTINFO};
        memcpy(CMSG_DATA(cmsg), &info, sizeof(info));
    } else {
        struct in_pktinfo info = {.ipi_spec_dst = peer->local.in.sin_addr, .ipi_ifindex = (int)peer->ifindex};
        message->msg_controllen = CMSG_SPACE(sizeof(info));
        *cmsg = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(info)), .cmsg_level = IPPROTO_IP, .cmsg_type = IP_PKTINFO};
        memcpy(CMSG_DATA(cmsg), &info, sizeof(info));
    }
}

// The send buffer, or the device's queue, is full: whatever else is sent now would be refused too.
static bool is_congestion(int error)
{
    return error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS || error == ENOMEM;
}

static void batch_send(struct udp_listener *listener, struct udp_batch *batch)
{
    struct net_counters *counters = &listener->shared->counters;
    unsigned done = 0;
    while (done < batch->pending) {
        int sent = sendmmsg(listener->fd, batch->out + done, batch->pending - done, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent > 0) {
            net_count(&counters->udp_sent, (unsigned)sent);
            done += (unsigned)sent;
        } else if (errno != EINTR) {
            // The error belongs to the first one, unless nothing can be sent at all.
            unsigned failed = is_congestion(errno) ? batch->pending - done : 1;
            net_count(&counters->udp_send_failed, failed);
            done += failed;
        }
    }
    batch->pending = 0;
    batch->answers_len = 0;
}

// `from`: the socket that it came to, usually the listener's own.
static void answer_one(struct udp_listener *listener, struct udp_listener *from, struct udp_batch *batch, unsigned i)
{
    struct in_slot *slot = &batch->in_slots[i];
    // Nothing can be sent back to port 0, and an empty datagram has no id to answer to.
    if (batch->in[i].msg_len == 0 || address_port(&slot->peer.client) == 0)
        return;
    take_control(from, &slot->peer, &batch->in[i].msg_hdr);
    if (batch->answers_len > NET_OUT_FLUSH)
        batch_send(listener, batch);
    uint8_t *out = batch->answers + batch->answers_len;
    size_t size = listener->handler(listener->arg, listener, &slot->peer, batch->questions[i], batch->in[i].msg_len,
                                    out, NET_UDP_MAX);
    if (size == 0 || listener->fd < 0)
        return;
    INVARIANT(size <= NET_UDP_MAX);
    reply_init(listener, &slot->peer, out, size, &batch->out[batch->pending].msg_hdr,
               &batch->out_slots[batch->pending]);
    batch->pending++;
    batch->answers_len += (size + OUT_ALIGN - 1) / OUT_ALIGN * OUT_ALIGN;
}

// Takes and answers one batch. True when there may be more.
static bool batch_run(struct udp_listener *listener, struct udp_listener *from, struct udp_batch *batch)
{
    int received = recvmmsg(from->fd, batch->in, NET_BATCH, MSG_DONTWAIT, NULL);
    if (received < 0) // other errors are a datagram's own (an ICMP message, a bad checksum) and are taken with it
        return errno != EAGAIN && errno != EWOULDBLOCK;
    net_count(&listener->shared->counters.udp_received, (unsigned)received);
    for (unsigned i = 0; i < (unsigned)received; i++) {
        if (listener->fd >= 0)
            answer_one(listener, from, batch, i);
        batch->in[i].msg_hdr.msg_namelen = sizeof(batch->in_slots[i].peer.client);
        batch->in[i].msg_hdr.msg_controllen = IN_CONTROL;
    }
    if (listener->fd < 0)
        return false;
    batch_send(listener, batch);
    return received == NET_BATCH;
}

static void read_rounds(struct udp_listener *listener, struct udp_listener *from, unsigned rounds)
{
    struct udp_batch *batch = listener->shared->batch;
    batch->listener = listener;
    while (rounds > 0 && batch_run(listener, from, batch) && listener->fd >= 0)
        rounds--;
    batch->listener = NULL;
}

// No turns any more.
static void unlist(struct udp_listener *listener)
{
    struct udp_listener **at = &listener->shared->udp;
    while (*at != NULL && *at != listener)
        at = &(*at)->next;
    if (*at != NULL)
        *at = listener->next;
}

// Connects the socket to itself: what others send is no longer for it. The kernel may have chosen it for a datagram
// just before, and put that in afterwards: so it is read for some time yet.
static void deafen(struct udp_listener *listener)
{
    listener->deaf = true;
    union sockaddr_any self = listener->address;
    if (listener->wildcard && self.sa.sa_family == AF_INET)
        self.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    else if (listener->wildcard)
        self.in6.sin6_addr = in6addr_loopback;
    (void)!connect(listener->fd, &self.sa, address_size(&self));
}

static void finish_drain(struct udp_listener *listener)
{
    unlist(listener);
    deafen(listener);
    read_rounds(listener, listener, DRAIN_ROUNDS);
}

void net_udp_turn(struct net_loop *shared)
{
    uint64_t now = uv_hrtime();
    if (now - shared->udp_read_ns < TURN_NS)
        return;
    shared->udp_read_ns = now;
    for (struct udp_listener *l = shared->udp, *next; l != NULL; l = next) {
        next = l->next;
        read_rounds(l, l, 1);
    }
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    (void)events;
    struct udp_listener *listener = poll->data;
    if (status < 0) {
        // libuv stops polling at a socket error. Reading it clears it, and the socket is as good as before.
        int error;
        socklen_t size = sizeof(error);
        (void)getsockopt(listener->fd, SOL_SOCKET, SO_ERROR, &error, &size);
        (void)uv_poll_start(poll, UV_READABLE, on_readable);
    }
    listener->shared->udp_read_ns = uv_hrtime();
    read_rounds(listener, listener, NET_ROUNDS);
    if (listener->draining && !listener->deaf &&
        listener->fd >= 0) // asked for by a handler, while this loop was at work
        finish_drain(listener);
}

static bool set_options(int fd, int family, bool wildcard)
{
    bool v6 = family == AF_INET6;
    int level = v6 ? IPPROTO_IPV6 : IPPROTO_IP;
    // Larger buffers and the drop counter are a help, not a need: a kernel without them serves as well.
    (void)!socket_set(fd, SOL_SOCKET, SO_RCVBUF, SOCKET_BUFFER);
    (void)!socket_set(fd, SOL_SOCKET, SO_SNDBUF, SOCKET_BUFFER);
    (void)!socket_set(fd, SOL_SOCKET, SO_RXQ_OVFL, 1);
    // A forged "fragmentation needed" must not make replies smaller or drop them: fragment by the interface's MTU only.
    (void)!socket_set(fd, level, v6 ? IPV6_MTU_DISCOVER : IP_MTU_DISCOVER, v6 ? IPV6_PMTUDISC_OMIT : IP_PMTUDISC_OMIT);
    return !wildcard || socket_set(fd, level, v6 ? IPV6_RECVPKTINFO : IP_PKTINFO, 1);
}

void udp_hold(struct udp_listener *listener)
{
    listener->refs++;
}

void udp_release(struct udp_listener *listener)
{
    if (--listener->refs > 0)
        return;
    net_loop_put(listener->shared);
    free(listener);
}

static void on_closed(uv_handle_t *handle)
{
    udp_release(handle->data);
}

static int shared_batch(uv_loop_t *loop, struct net_loop **shared)
{
    *shared = net_loop_get(loop);
    if (*shared == NULL)
        return CDNS_ENOMEM;
    if ((*shared)->batch != NULL)
        return 0;
    // Of this size it is mapped afresh, and what is never touched takes no memory: so it is not cleared here.
    (*shared)->batch = aligned_alloc(_Alignof(struct udp_batch), sizeof(struct udp_batch));
    if ((*shared)->batch == NULL) {
        net_loop_put(*shared);
        return CDNS_ENOMEM;
    }
    batch_init((*shared)->batch);
    return 0;
}

static int open_socket(struct udp_listener *listener, uv_loop_t *loop, const union sockaddr_any *address)
{
    listener->fd = socket_open(address, SOCK_DGRAM, &listener->address);
    if (listener->fd < 0)
        return CDNS_EIO;
    listener->wildcard = address_is_any(address);
    if (!set_options(listener->fd, address->sa.sa_family, listener->wildcard)) {
        socket_close(listener->fd);
        return CDNS_EIO;
    }
    int failed = uv_poll_init(loop, &listener->poll, listener->fd);
    if (failed != 0) {
        socket_close(listener->fd);
        errno = -failed;
        return CDNS_EIO;
    }
    return 0;
}

int udp_listen(uv_loop_t *loop, const union sockaddr_any *address, udp_handler handler, void *arg,
               struct udp_listener **listener)
{
    struct udp_listener *l = calloc(1, sizeof(*l));
    if (l == NULL)
        return CDNS_ENOMEM;
    l->handler = handler;
    l->arg = arg;
    int result = shared_batch(loop, &l->shared);
    if (result == 0 && (result = open_socket(l, loop, address)) != 0)
        net_loop_put(l->shared);
    if (result != 0) {
        free(l);
        return result;
    }
    l->poll.data = l;
    l->refs = 1;
    udp_resume(l);
    *listener = l;
    return 0;
}

void udp_pause(struct udp_listener *listener)
{
    unlist(listener);
    uv_poll_stop(&listener->poll);
}

void udp_resume(struct udp_listener *listener)
{
    listener->next = listener->shared->udp;
    listener->shared->udp = listener;
    (void)uv_poll_start(&listener->poll, UV_READABLE, on_readable); // fails only on a closing handle
}

void udp_send(struct udp_listener *listener, const struct udp_peer *peer, const uint8_t *message, size_t size)
{
    struct msghdr header;
    struct out_slot slot;
    if (listener->fd < 0)
        return;
    reply_init(listener, peer, message, size, &header, &slot);
    ssize_t sent;
    do
        sent = sendmsg(listener->fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    struct net_counters *counters = &listener->shared->counters;
    net_count(sent < 0 ? &counters->udp_send_failed : &counters->udp_sent, 1);
}

void udp_drain(struct udp_listener *listener)
{
    if (listener->fd < 0 || listener->draining)
        return;
    listener->draining = true;
    if (listener->shared->batch->listener == NULL)
        finish_drain(listener);
    // else a handler asks: the batches are in use, the event that runs finishes it, or the next one of this socket
}

void udp_hand_over(struct udp_listener *from, struct udp_listener *to)
{
    INVARIANT(from->shared->batch->listener == NULL);
    udp_pause(from);
    if (!from->deaf)
        deafen(from);
    read_rounds(to, from, DRAIN_ROUNDS);
}

void udp_close(struct udp_listener *listener)
{
    if (listener->fd < 0)
        return;
    struct udp_batch *batch = listener->shared->batch;
    if (batch->listener == listener)
        batch_send(listener, batch);
    unlist(listener);
    uv_close((uv_handle_t *)&listener->poll, on_closed);
    close(listener->fd);
    listener->fd = -1;
}

void udp_address(const struct udp_listener *listener, union sockaddr_any *address)
{
    *address = listener->address;
}
