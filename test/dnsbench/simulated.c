// SPDX-License-Identifier: Apache-2.0
// A DNS server of known behaviour for the tests of dnsbench: it answers each question with one record after a delay
// that a model gives, and misbehaves where a name's first label says so. Over UDP, on loopback.
//
// simulated PORT MODEL
//   constant:MS              each answer takes so long
//   bimodal:MS:MS:PERCENT    so many take the second time, the others the first
//   stall:PERIOD:MS          nothing is answered in the first MS of each PERIOD (milliseconds), then all that has come
// First labels: lose-…, late-… (3 seconds more), twice-…, wrong-… (another question), other-… (another id), cut-…
// (truncated), fail-… (SERVFAIL), none-… (NXDOMAIN), short-… (five bytes).
#include "base/heap.h"
#include <arpa/inet.h>
#include <clusterdns/clock.h>
#include <errno.h>
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
#define LATER_MS 3000

struct answer {
    struct heap_node node; // first; its key is when it is to be sent
    struct sockaddr_in to;
    size_t size;
    uint8_t message[QUESTION_MAX + 16];
};

static struct {
    char kind;
    double first, second, percent;
} model;

static struct heap waiting;
static uint64_t started;

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
    if (is_named(m, "wrong-"))
        m[HEADER + 1] ^= 1;
    if (is_named(m, "other-"))
        m[0] ^= 0x80;
    if (is_named(m, "short-"))
        a->size = 5;
}

static void enqueue(const struct answer *a, uint64_t at)
{
    struct answer *copy = malloc(sizeof *copy);
    if (copy == NULL)
        abort();
    *copy = *a;
    copy->node = (struct heap_node){.key = at};
    if (heap_insert(&waiting, &copy->node) != 0)
        abort();
}

static void receive(int fd)
{
    struct answer a;
    for (;;) {
        socklen_t length = sizeof a.to;
        ssize_t n = recvfrom(fd, a.message, QUESTION_MAX, MSG_DONTWAIT, (struct sockaddr *)&a.to, &length);
        if (n < HEADER + 5)
            return;
        uint64_t at = due(clock_monotonic_ns());
        bool lost = is_named(a.message, "lose-"), twice = is_named(a.message, "twice-");
        if (is_named(a.message, "late-"))
            at += (uint64_t)(LATER_MS * MS);
        a.size = (size_t)n;
        make(&a);
        if (!lost)
            enqueue(&a, at);
        if (twice)
            enqueue(&a, at);
    }
}

static void send_due(int fd)
{
    struct heap_node *first;
    while ((first = heap_first(&waiting)) != NULL && first->key <= clock_monotonic_ns()) {
        struct answer *a = (struct answer *)first;
        heap_remove(&waiting, first);
        (void)!sendto(fd, a->message, a->size, 0, (struct sockaddr *)&a->to, sizeof a->to);
        free(a);
    }
}

int main(int argc, char **argv)
{
    static const int buffer = 16 << 20;
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (argc != 3 || !read_model(argv[2])) {
        fputs("usage: simulated PORT constant:MS|bimodal:MS:MS:PERCENT|stall:PERIOD:MS\n", stderr);
        return 2;
    }
    own.sin_port = htons((uint16_t)atoi(argv[1]));
    int fd = socket(AF_INET, SOCK_DGRAM, 0), epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN};
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer);
    if (bind(fd, (struct sockaddr *)&own, sizeof own) != 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
        perror("simulated");
        return 1;
    }
    (void)prctl(PR_SET_TIMERSLACK, 1UL);
    srand48(1);
    started = clock_monotonic_ns();
    puts("ready");
    (void)fflush(stdout);
    for (;;) {
        const struct heap_node *first = heap_first(&waiting);
        uint64_t now = clock_monotonic_ns(), left = first == NULL      ? 1000000000
                                                    : first->key > now ? first->key - now
                                                                       : 0;
        const struct timespec time = {.tv_sec = (time_t)(left / 1000000000), .tv_nsec = (long)(left % 1000000000)};
        (void)epoll_pwait2(epoll, &event, 1, &time, NULL);
        receive(fd);
        send_due(fd);
    }
}
