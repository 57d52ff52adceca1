// SPDX-License-Identifier: Apache-2.0
// Times are nanoseconds after the load's start. A socket's ids are given out in a circle, so its questions lie in the
// order in which they were sent, and the oldest one that waits is the next to be lost.
#include "dnsbench/udp.h"

#include <clusterdns/clock.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <unistd.h>

#define HEADER 12
#define IDS 65536
#define BATCH 32         // messages of one system call
#define ANSWER_MAX 4096  // bytes of an answer that are looked at
#define SPIN_NS 30000    // what is due sooner is not slept for
#define BUFFER (4 << 20) // bytes of a socket's buffers that are asked for
#define NEVER UINT64_MAX

enum state { FREE, WAITING, ANSWERED, LOST };

struct slot {
    uint64_t due;
    uint32_t lag; // nanoseconds, or as much as fits
    uint32_t question : 30, state : 2;
};

struct source {
    int fd;
    uint16_t next, oldest; // ids: the next to be given, the oldest whose end is not settled
    struct slot slots[IDS];
};

struct udp_load {
    const struct load *load;
    struct results results;
    struct schedule schedule;
    struct picker picker;
    int epoll;
    unsigned turn; // socket that sends next
    uint64_t due;  // of the next question; NEVER: there is none
    uint64_t outstanding, most;
    struct source **sources;
    struct mmsghdr out[BATCH], in[BATCH];
    struct iovec out_iov[BATCH][2], in_iov[BATCH];
    uint8_t ids[BATCH][2], packets[BATCH][ANSWER_MAX];
};

static uint64_t now(const struct udp_load *u)
{
    uint64_t at = clock_monotonic_ns();
    return at > u->load->start_ns ? at - u->load->start_ns : 0;
}

// --- sockets

static int open_socket(const struct load *load)
{
    static const int buffer = BUFFER;
    int fd = socket(load->server.sa.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer); // a help, not a need
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
    bool bound = load->source.sa.sa_family == AF_UNSPEC || bind(fd, &load->source.sa, address_size(&load->source)) == 0;
    if (bound && connect(fd, &load->server.sa, address_size(&load->server)) == 0)
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static int open_source(struct udp_load *u, unsigned i)
{
    struct source *s = u->sources[i] = calloc(1, sizeof *s);
    if (s == NULL)
        return CDNS_ENOMEM;
    s->fd = open_socket(u->load);
    if (s->fd < 0)
        return CDNS_EIO;
    (void)!getrandom(&s->next, sizeof s->next, 0); // answers to an earlier run are strangers
    s->oldest = s->next;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = s};
    return epoll_ctl(u->epoll, EPOLL_CTL_ADD, s->fd, &event) == 0 ? 0 : CDNS_EIO;
}

static void prepare_messages(struct udp_load *u)
{
    for (unsigned i = 0; i < BATCH; i++) {
        u->out_iov[i][0] = (struct iovec){u->ids[i], 2};
        u->out[i].msg_hdr = (struct msghdr){.msg_iov = u->out_iov[i], .msg_iovlen = 2};
        u->in_iov[i] = (struct iovec){u->packets[i], ANSWER_MAX};
        u->in[i].msg_hdr = (struct msghdr){.msg_iov = &u->in_iov[i], .msg_iovlen = 1};
    }
}

int udp_load_new(const struct load *load, unsigned part, struct udp_load **out)
{
    struct udp_load *u = calloc(1, sizeof *u);
    if (u == NULL)
        return CDNS_ENOMEM;
    *u = (struct udp_load){.load = load, .most = load->outstanding / load->threads};
    u->most += part < load->outstanding % load->threads;
    u->epoll = epoll_create1(EPOLL_CLOEXEC);
    u->sources = calloc(load->sockets, sizeof *u->sources);
    int rc = u->epoll < 0         ? CDNS_EIO
             : u->sources == NULL ? CDNS_ENOMEM
                                  : results_init(&u->results, load->plan.duration_ns);
    for (unsigned i = 0; rc == 0 && i < load->sockets; i++)
        rc = open_source(u, i);
    schedule_begin(&u->schedule, &load->plan, part, load->threads);
    picker_begin(&u->picker, load->order, load->zipf, load->questions->n, part, load->threads, load->seed);
    prepare_messages(u);
    if (rc == 0)
        *out = u;
    else
        udp_load_free(u);
    return rc;
}

void udp_load_free(struct udp_load *u)
{
    int saved = errno;
    for (unsigned i = 0; u->sources != NULL && i < u->load->sockets; i++) {
        if (u->sources[i] != NULL && u->sources[i]->fd >= 0)
            close(u->sources[i]->fd);
        free(u->sources[i]);
    }
    if (u->epoll >= 0)
        close(u->epoll);
    free(u->sources);
    results_free(&u->results);
    free(u);
    errno = saved;
}

struct results *udp_load_results(struct udp_load *u)
{
    return &u->results;
}

// --- sending

// Sets when the next question is due.
static void schedule_more(struct udp_load *u, uint64_t at)
{
    bool stopped = atomic_load_explicit(&u->load->stop, memory_order_relaxed);
    if (stopped || (u->most > 0 && at >= u->load->plan.duration_ns))
        u->due = NEVER;
    else if (u->most > 0) // a closed loop: whenever there is room
        u->due = u->outstanding < u->most ? at : NEVER;
    else if (!schedule_next(&u->schedule, &u->due))
        u->due = NEVER;
}

// Takes a question that is due into the batch. False: the socket has no id left for it.
static bool take_question(struct udp_load *u, struct source *s, unsigned place)
{
    if ((uint16_t)(s->next + 1) == s->oldest)
        return false;
    size_t number = picker_next(&u->picker);
    const struct question *q = &u->load->questions->all[number];
    s->slots[s->next] = (struct slot){.due = u->due, .question = (uint32_t)number & 0x3fffffff, .state = WAITING};
    u->ids[place][0] = (uint8_t)(s->next >> 8);
    u->ids[place][1] = (uint8_t)s->next;
    u->out_iov[place][1] = (struct iovec){(void *)(uintptr_t)(q->wire + 2), q->size - 2U};
    s->next++;
    u->outstanding++;
    return true;
}

static void note_sent(struct udp_load *u, struct slot *slot, uint64_t at)
{
    struct counts *c = &u->results.counts;
    uint64_t lag = at > slot->due ? at - slot->due : 0;
    slot->lag = lag < UINT32_MAX ? (uint32_t)lag : UINT32_MAX;
    histogram_add(u->results.lag, lag);
    c->sent++;
    c->late += lag > RESULTS_LATE_NS;
    c->bytes_sent += u->load->questions->all[slot->question].size;
}

// The kernel has not taken it: it is not on its way.
static void note_unsent(struct udp_load *u, struct slot *slot)
{
    slot->state = FREE;
    u->outstanding--;
    u->results.counts.unsent++;
}

// Sends the batch. An error that an earlier message left at the socket is counted, and sending goes on.
static void send_batch(struct udp_load *u, struct source *s, unsigned n)
{
    uint16_t first = (uint16_t)(s->next - n);
    unsigned done = 0;
    for (unsigned tries = 0; done < n && tries < BATCH;) {
        uint64_t at = now(u);
        int sent = sendmmsg(s->fd, u->out + done, n - done, 0);
        if (sent < 0 && errno == ECONNREFUSED)
            u->results.counts.refused++;
        else if (sent < 0 && errno != EINTR)
            break;
        tries += sent <= 0;
        for (int i = 0; i < sent; i++, done++)
            note_sent(u, &s->slots[(uint16_t)(first + done)], at);
    }
    for (; done < n; done++)
        note_unsent(u, &s->slots[(uint16_t)(first + done)]);
}

// Sends what is due, from one socket. Returns true if there may be more.
static bool send_due(struct udp_load *u)
{
    uint64_t at = now(u);
    struct source *s = u->sources[u->turn];
    unsigned n = 0;
    if (u->due == NEVER && u->most > 0)
        schedule_more(u, at);
    while (u->due <= at && n < BATCH) {
        u->results.counts.due++;
        results_second(&u->results, u->due)->due++;
        if (take_question(u, s, n))
            n++;
        else
            u->results.counts.unsent++;
        schedule_more(u, at);
    }
    if (n == 0)
        return false;
    u->turn = (u->turn + 1) % u->load->sockets;
    send_batch(u, s, n);
    return n == BATCH;
}

// --- receiving

// The same bytes, letters without case (lengths of labels are no letters).
static bool same_question(const struct question *q, const uint8_t *packet, size_t size)
{
    const uint8_t *asked = q->wire + HEADER, *given = packet + HEADER;
    size_t n = q->name_size + 4U;
    if (size < HEADER + n)
        return false;
    if (memcmp(asked, given, n) == 0)
        return true;
    for (size_t i = 0; i < q->name_size; i++)
        if (tolower(asked[i]) != tolower(given[i]))
            return false;
    return memcmp(asked + q->name_size, given + q->name_size, 4) == 0;
}

// An error may come without the question (RFC 1035 §4.1.1 leaves that open).
static bool answers(const struct question *q, const uint8_t *packet, size_t size)
{
    unsigned rcode = packet[3] & 15, questions = (unsigned)packet[4] << 8 | packet[5];
    return questions == 0 ? rcode != 0 && rcode != 3 : same_question(q, packet, size);
}

static void note_answer(struct udp_load *u, struct slot *slot, const uint8_t *packet, uint64_t at)
{
    struct counts *c = &u->results.counts;
    uint64_t latency = at > slot->due ? at - slot->due : 0, service = latency > slot->lag ? latency - slot->lag : 0;
    slot->state = ANSWERED;
    u->outstanding--;
    c->rcodes[packet[3] & 15]++;
    c->truncated += (packet[2] & 2) != 0;
    results_answer(&u->results, slot->due, latency, service);
}

static void take_packet(struct udp_load *u, struct source *s, const uint8_t *packet, size_t size, uint64_t at)
{
    struct counts *c = &u->results.counts;
    c->bytes_received += size;
    if (size < HEADER || (packet[2] & 0x80) == 0) {
        c->strange++;
        return;
    }
    struct slot *slot = &s->slots[packet[0] << 8 | packet[1]];
    if (slot->state == FREE)
        c->strange++;
    else if (!answers(&u->load->questions->all[slot->question], packet, size))
        c->mismatched++;
    else if (slot->state == WAITING)
        note_answer(u, slot, packet, at);
    else if (slot->state == ANSWERED)
        c->duplicates++;
    else
        c->tardy++;
}

static void receive(struct udp_load *u, struct source *s)
{
    int n = recvmmsg(s->fd, u->in, BATCH, MSG_DONTWAIT, NULL);
    if (n < 0 && errno == ECONNREFUSED)
        u->results.counts.refused++;
    uint64_t at = now(u);
    for (int i = 0; i < n; i++)
        take_packet(u, s, u->packets[i], u->in[i].msg_len, at);
}

// --- time

// Settles what has waited too long. Returns when the oldest one that still waits will have.
static uint64_t expire(struct udp_load *u, struct source *s, uint64_t at)
{
    for (; s->oldest != s->next; s->oldest++) {
        struct slot *slot = &s->slots[s->oldest];
        uint64_t end = slot->due + slot->lag + u->load->timeout_ns;
        if (slot->state != WAITING)
            continue;
        if (end > at)
            return end;
        slot->state = LOST;
        u->outstanding--;
        results_loss(&u->results, slot->due, slot->lag + u->load->timeout_ns);
    }
    return NEVER;
}

static uint64_t expire_all(struct udp_load *u)
{
    uint64_t at = now(u), next = NEVER;
    for (unsigned i = 0; i < u->load->sockets; i++) {
        uint64_t end = expire(u, u->sources[i], at);
        next = end < next ? end : next;
    }
    return next;
}

// Waits for answers, at most until `until`, and takes them.
static void wait_for_answers(struct udp_load *u, uint64_t until)
{
    struct epoll_event events[BATCH];
    uint64_t at = now(u), left = until > at ? until - at : 0;
    left = left > SPIN_NS ? left - SPIN_NS / 2 : 0;
    const struct timespec time = {.tv_sec = (time_t)(left / 1000000000), .tv_nsec = (long)(left % 1000000000)};
    int n = epoll_pwait2(u->epoll, events, BATCH, &time, NULL);
    for (int i = 0; i < n; i++)
        receive(u, events[i].data.ptr);
}

#define LOOK_NS UINT64_C(100000000) // that it is to stop is noticed at least so often

void udp_load_run(struct udp_load *u)
{
    (void)prctl(PR_SET_TIMERSLACK, 1UL);
    schedule_more(u, 0);
    for (;;) {
        uint64_t until = expire_all(u), at = now(u);
        bool more = send_due(u);
        if (atomic_load_explicit(&u->load->stop, memory_order_relaxed))
            u->due = NEVER;
        results_show(&u->results);
        bool over = u->most == 0 ? u->due == NEVER : at >= u->load->plan.duration_ns;
        if (u->outstanding == 0 && (over || atomic_load_explicit(&u->load->stop, memory_order_relaxed)))
            return;
        until = u->due < until ? u->due : until;
        until = at + LOOK_NS < until ? at + LOOK_NS : until;
        wait_for_answers(u, more ? 0 : until);
    }
}
