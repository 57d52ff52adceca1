// SPDX-License-Identifier: Apache-2.0
// A DNS server of known behaviour for the tests of dnsbench: it answers each question with one record after a delay
// that a model gives, and misbehaves where a name's first label says so. Over UDP and TCP, on 127.0.0.1 and ::1.
//
// simulated PORT MODEL [DELAYS]
//   constant:MS              each answer takes so long
//   bimodal:MS:MS:PERCENT    so many take the second time, the others the first
//   stall:PERIOD:MS          nothing is answered in the first MS of each PERIOD (milliseconds), then all that has come
// First labels: lose-…, late-… (300 ms more), twice-…, wrong-… (another question), other-… (another id), cut-…
// (truncated), fail-… (SERVFAIL), none-… (NXDOMAIN), short-… (five bytes), hang-… (the connection is closed instead).
//
// At SIGTERM it writes to the file DELAYS what it really did, a line for each answer in the order of sending: when the
// question came (nanoseconds since the start) and how long the answer took from then on. Over UDP a question comes when
// the kernel has it, so that a machine that is busy elsewhere is in these figures too.
#include "base/heap.h"
#include <arpa/inet.h>
#include <clusterdns/address.h>
#include <clusterdns/clock.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define HEADER 12
#define QUESTION_MAX 512
#define MS 1000000.0
#define LATER_MS 300
#define EVENTS 64
#define DESCRIPTORS 1024

struct answer {
    struct heap_node node; // first; its key is when it is to be sent
    uint64_t came;
    int fd;
    unsigned life;         // of the connection that it belongs to
    union sockaddr_any to; // over UDP
    size_t size;
    uint8_t message[QUESTION_MAX + 16];
};

static struct {
    char kind;
    double first, second, percent;
} model;

// By descriptor; a connection's number is the next one's when another gets its descriptor.
static struct place {
    enum { NOTHING, DATAGRAMS, LISTENER, CONNECTION } what;
    unsigned life;
    size_t size;
    uint8_t in[2 + QUESTION_MAX];
} places[DESCRIPTORS];

static struct {
    uint64_t came, took;
} * delays;
static size_t ndelays, delays_room;

static struct heap waiting;
static uint64_t started;
static int epoll;
static volatile sig_atomic_t over;

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

// --- the model

static bool read_model(const char *text)
{
    model.kind = text[0];
    return sscanf(text, "constant:%lf", &model.first) == 1 ||
           sscanf(text, "bimodal:%lf:%lf:%lf", &model.first, &model.second, &model.percent) == 3 ||
           sscanf(text, "stall:%lf:%lf", &model.first, &model.second) == 2;
}

// When what has come at a time is answered.
static uint64_t due(uint64_t at)
{
    if (model.kind == 'c')
        return at + (uint64_t)(model.first * MS);
    if (model.kind == 'b')
        return at + (uint64_t)((drand48() * 100 < model.percent ? model.second : model.first) * MS);
    uint64_t period = (uint64_t)(model.first * MS), into = (at - started) % period,
             stall = (uint64_t)(model.second * MS);
    return into < stall ? at - into + stall : at;
}

static bool is_named(const uint8_t *message, const char *label)
{
    size_t n = strlen(label);
    return message[HEADER] >= n && memcmp(message + HEADER + 1, label, n) == 0;
}

// Makes the answer of the question in it: the same with QR, and 192.0.2.1.
static void make(struct answer *a)
{
    static const uint8_t record[] = {0xc0, HEADER, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4, 192, 0, 2, 1};
    uint8_t *m = a->message;
    unsigned rcode = is_named(m, "fail-") ? 2 : is_named(m, "none-") ? 3 : 0;
    m[2] = (uint8_t)(0x84 | (m[2] & 1));
    m[3] = (uint8_t)rcode;
    m[11] = 0; // OPT is not answered
    size_t end = HEADER;
    while (end < a->size && m[end] != 0)
        end += m[end] + 1U;
    a->size = end + 5 <= a->size ? end + 5 : a->size;
    if (is_named(m, "cut-")) {
        m[2] |= 2;
    } else if (rcode == 0) {
        memcpy(m + a->size, record, sizeof record);
        a->size += sizeof record;
        m[7] = 1;
    }
    if (is_named(m, "short-"))
        a->size = 5;
    if (is_named(m, "other-"))
        m[0] ^= 0x80;
    if (is_named(m, "wrong-"))
        m[HEADER + 1] ^= 1;
}

// --- answers

static void enqueue(const struct answer *a, uint64_t at)
{
    struct answer *copy = malloc(sizeof *copy);
    if (copy == NULL)
        fail("simulated");
    *copy = *a;
    copy->node = (struct heap_node){.key = at};
    if (heap_insert(&waiting, &copy->node) != 0)
        fail("simulated");
}

// The question in `a` has come.
static void take(struct answer *a)
{
    uint64_t at = due(a->came);
    bool lost = is_named(a->message, "lose-"), twice = is_named(a->message, "twice-");
    if (is_named(a->message, "late-"))
        at += (uint64_t)(LATER_MS * MS);
    if (is_named(a->message, "hang-") && places[a->fd].what == CONNECTION)
        (void)shutdown(a->fd, SHUT_RDWR);
    make(a);
    for (int times = lost ? 0 : twice ? 2 : 1; times > 0; times--)
        enqueue(a, at);
}

static void note(uint64_t came, uint64_t took)
{
    if (ndelays == delays_room) {
        delays_room = delays_room == 0 ? 1 << 16 : 2 * delays_room;
        delays = realloc(delays, delays_room * sizeof *delays);
        if (delays == NULL)
            fail("simulated");
    }
    delays[ndelays].came = came - started;
    delays[ndelays++].took = took;
}

static void give(const struct answer *a)
{
    uint8_t framed[2 + sizeof a->message];
    if (places[a->fd].what == DATAGRAMS) {
        (void)!sendto(a->fd, a->message, a->size, 0, &a->to.sa, address_size(&a->to));
    } else if (places[a->fd].life == a->life) {
        framed[0] = (uint8_t)(a->size >> 8);
        framed[1] = (uint8_t)a->size;
        memcpy(framed + 2, a->message, a->size);
        (void)!send(a->fd, framed, 2 + a->size, MSG_NOSIGNAL);
    }
}

static void send_due(void)
{
    struct heap_node *first;
    uint64_t at;
    while ((first = heap_first(&waiting)) != NULL && first->key <= (at = clock_monotonic_ns())) {
        struct answer *a = (struct answer *)first;
        heap_remove(&waiting, first);
        note(a->came, at - a->came);
        give(a);
        free(a);
    }
}

// --- questions

// When the kernel got it, in the monotonic clock's time.
static uint64_t arrival(struct msghdr *m)
{
    struct timespec real;
    uint64_t now = clock_monotonic_ns(), age = 0;
    (void)clock_gettime(CLOCK_REALTIME, &real);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec at;
            memcpy(&at, CMSG_DATA(c), sizeof at);
            age = (uint64_t)((real.tv_sec - at.tv_sec) * 1000000000 + real.tv_nsec - at.tv_nsec);
        }
    return now - age > started ? now - age : started;
}

static void receive_datagrams(int fd)
{
    struct answer a = {.fd = fd};
    char control[CMSG_SPACE(sizeof(struct timespec))];
    for (;;) {
        struct iovec iov = {a.message, QUESTION_MAX};
        struct msghdr m = {.msg_name = &a.to,
                           .msg_namelen = sizeof a.to,
                           .msg_iov = &iov,
                           .msg_iovlen = 1,
                           .msg_control = control,
                           .msg_controllen = sizeof control};
        ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT);
        if (n < HEADER + 5)
            return;
        a.came = arrival(&m);
        a.size = (size_t)n;
        take(&a);
    }
}

static void receive_stream(int fd)
{
    struct place *p = &places[fd];
    ssize_t n = recv(fd, p->in + p->size, sizeof p->in - p->size, MSG_DONTWAIT);
    if (n <= 0) {
        p->what = NOTHING;
        p->life++;
        close(fd);
        return;
    }
    p->size += (size_t)n;
    struct answer a = {.fd = fd, .life = p->life, .came = clock_monotonic_ns()};
    while (p->size > 2 && p->size >= 2 + (a.size = (size_t)p->in[0] << 8 | p->in[1])) {
        memcpy(a.message, p->in + 2, a.size);
        p->size -= 2 + a.size;
        memmove(p->in, p->in + 2 + a.size, p->size);
        if (a.size > HEADER + 5)
            take(&a);
    }
}

// --- life

static void watch(int fd, int what)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (fd >= DESCRIPTORS || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        fail("simulated");
    places[fd].what = what;
    places[fd].size = 0;
}

// An address that the machine has not (no IPv6) is left out.
static void serve(const char *address, uint16_t port, int type)
{
    static const int buffer = 16 << 20, one = 1;
    union sockaddr_any own;
    if (!address_read(address, port, &own))
        abort();
    int fd = socket(own.sa.sa_family, type, 0);
    if (fd < 0 && errno == EAFNOSUPPORT)
        return;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    (void)setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof one);
    if (bind(fd, &own.sa, address_size(&own)) != 0 || (type == SOCK_STREAM && listen(fd, EVENTS) != 0)) {
        if (errno != EADDRNOTAVAIL)
            fail(address);
        close(fd);
        return;
    }
    watch(fd, type == SOCK_STREAM ? LISTENER : DATAGRAMS);
}

static void on_event(int fd)
{
    if (places[fd].what == DATAGRAMS)
        receive_datagrams(fd);
    else if (places[fd].what == CONNECTION)
        receive_stream(fd);
    else if (places[fd].what == LISTENER) {
        int made = accept(fd, NULL, NULL);
        if (made >= 0)
            watch(made, CONNECTION);
    }
}

static void run(void)
{
    struct epoll_event events[EVENTS];
    while (!over) {
        const struct heap_node *first = heap_first(&waiting);
        uint64_t now = clock_monotonic_ns(), left = first == NULL      ? 1000000000
                                                    : first->key > now ? first->key - now
                                                                       : 0;
        const struct timespec time = {.tv_sec = (time_t)(left / 1000000000), .tv_nsec = (long)(left % 1000000000)};
        int n = epoll_pwait2(epoll, events, EVENTS, &time, NULL);
        for (int i = 0; i < n; i++)
            on_event(events[i].data.fd);
        send_due();
    }
}

static void write_delays(const char *path)
{
    FILE *file = fopen(path, "w");
    if (file == NULL)
        fail(path);
    for (size_t i = 0; i < ndelays; i++)
        (void)fprintf(file, "%llu %llu\n", (unsigned long long)delays[i].came, (unsigned long long)delays[i].took);
    if (fclose(file) != 0)
        fail(path);
}

static void on_signal(int number)
{
    (void)number;
    over = 1;
}

int main(int argc, char **argv)
{
    static const char *const addresses[] = {"127.0.0.1", "::1"};
    if (argc < 3 || argc > 4 || !read_model(argv[2])) {
        (void)fputs("usage: simulated PORT constant:MS|bimodal:MS:MS:PERCENT|stall:PERIOD:MS [DELAYS]\n", stderr);
        return 2;
    }
    epoll = epoll_create1(0);
    for (size_t i = 0; i < 2; i++) {
        serve(addresses[i], (uint16_t)atoi(argv[1]), SOCK_DGRAM);
        serve(addresses[i], (uint16_t)atoi(argv[1]), SOCK_STREAM);
    }
    (void)sigaction(SIGTERM, &(struct sigaction){.sa_handler = on_signal}, NULL);
    (void)prctl(PR_SET_TIMERSLACK, 1UL);
    srand48(1);
    started = clock_monotonic_ns();
    (void)puts("ready");
    (void)fflush(stdout);
    run();
    if (argc == 4)
        write_delays(argv[3]);
    return 0;
}
