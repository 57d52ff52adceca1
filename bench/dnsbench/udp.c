// SPDX-License-Identifier: Apache-2.0
// Flows over UDP: connected sockets, batches of messages.
#include "dnsbench/worker.h"

#include <clusterdns/message.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_MAX 65535
#define CONTROL CMSG_SPACE(sizeof(struct timespec))

static int udp_open(struct worker *w, struct flow *f)
{
    static const int on = 1;
    f->fd = worker_socket(w->load, SOCK_DGRAM);
    if (f->fd >= 0)
        (void)setsockopt(f->fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on); // a help, not a need
    return f->fd < 0 ? CDNS_EIO : worker_watch(w, f, EPOLLIN, false);
}

static unsigned udp_room(struct worker *w, struct flow *f)
{
    (void)w, (void)f;
    return WORKER_BATCH;
}

// An error that an earlier message left at the socket is counted, and sending goes on.
static unsigned send_some(struct worker *w, struct flow *f, struct mmsghdr *messages, unsigned n, uint16_t first)
{
    for (unsigned tries = 0; tries < WORKER_BATCH; tries++) {
        uint64_t at = worker_now(w);
        int sent = sendmmsg(f->fd, messages, n, 0);
        for (int i = 0; i < sent; i++)
            flow_sent(w, f, (uint16_t)(first + i), at);
        if (sent > 0)
            return (unsigned)sent;
        if (errno == ECONNREFUSED)
            w->results.counts.refused++;
        else if (errno != EINTR)
            break;
    }
    return 0;
}

// Each message is put together here: for the kernel two pieces are dearer than the copy.
static void udp_send(struct worker *w, struct flow *f, unsigned n)
{
    static _Thread_local uint8_t packets[WORKER_BATCH][MESSAGE_QUESTION_MAX];
    struct iovec iov[WORKER_BATCH];
    struct mmsghdr messages[WORKER_BATCH];
    uint16_t first = (uint16_t)(f->next - n);
    for (unsigned i = 0; i < n; i++) {
        uint16_t id = (uint16_t)(first + i);
        const struct question *q = flow_question(w, f, id);
        memcpy(packets[i], q->wire, q->size);
        packets[i][0] = (uint8_t)(id >> 8);
        packets[i][1] = (uint8_t)id;
        iov[i] = (struct iovec){packets[i], q->size};
        messages[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &iov[i], .msg_iovlen = 1}};
    }
    unsigned done = 0, some = 1;
    while (done < n && some > 0)
        done += some = send_some(w, f, messages + done, n - done, (uint16_t)(first + done));
    for (; done < n; done++)
        flow_unsent(w, f, (uint16_t)(first + done));
}

static uint64_t ns_of(const struct timespec *t)
{
    return (uint64_t)t->tv_sec * 1000000000 + (uint64_t)t->tv_nsec;
}

// When the kernel received a message that was read at `now`: how late this thread came to it is no part of the answer's
// time. The kernel says it by the other clock, in which it is `real` now.
static uint64_t arrival(struct msghdr *message, uint64_t now, uint64_t real)
{
    struct cmsghdr *cmsg = CMSG_FIRSTHDR(message);
    struct timespec stamp;
    if (cmsg == NULL || cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_TIMESTAMPNS)
        return now;
    memcpy(&stamp, CMSG_DATA(cmsg), sizeof stamp);
    uint64_t came = ns_of(&stamp), ago = real > came ? real - came : 0;
    return ago < now ? now - ago : now;
}

static void udp_event(struct worker *w, struct flow *f, uint32_t events)
{
    static _Thread_local uint8_t packets[WORKER_BATCH][ANSWER_MAX];
    static _Thread_local _Alignas(struct cmsghdr) uint8_t controls[WORKER_BATCH][CONTROL];
    struct iovec iov[WORKER_BATCH];
    struct mmsghdr messages[WORKER_BATCH];
    struct timespec real;
    (void)events;
    for (unsigned i = 0; i < WORKER_BATCH; i++) {
        iov[i] = (struct iovec){packets[i], ANSWER_MAX};
        messages[i] = (struct mmsghdr){.msg_hdr = {
                                           .msg_iov = &iov[i],
                                           .msg_iovlen = 1,
                                           .msg_control = controls[i],
                                           .msg_controllen = CONTROL,
                                       }};
    }
    int n = recvmmsg(f->fd, messages, WORKER_BATCH, MSG_DONTWAIT, NULL);
    if (n < 0 && errno == ECONNREFUSED)
        w->results.counts.refused++;
    uint64_t now = worker_now(w);
    (void)clock_gettime(CLOCK_REALTIME, &real);
    for (int i = 0; i < n; i++)
        flow_take(w, f, packets[i], messages[i].msg_len, arrival(&messages[i].msg_hdr, now, ns_of(&real)));
}

static void udp_close(struct flow *f)
{
    if (f->fd >= 0)
        close(f->fd);
}

const struct transport transport_udp = {
    .flow_size = sizeof(struct flow),
    .open = udp_open,
    .room = udp_room,
    .send = udp_send,
    .event = udp_event,
    .close = udp_close,
};
