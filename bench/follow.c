// SPDX-License-Identifier: Apache-2.0
// For bench/propagation: asks several servers the same questions over UDP, each again and again, until the answer shows
// what is waited for.
//
// follow INTERVAL_US PORT…       servers on 127.0.0.1; a question is asked every INTERVAL_US microseconds
//   standard input, a line for each thing to wait for: NUMBER QUESTION MARK
//     QUESTION: a query packet in hexadecimal digits (its id does not count); MARK: bytes in hexadecimal digits, which
//     only an answer that shows the change has behind its question
//   standard output, a line for each server that shows it: NUMBER SERVER ASKED ANSWERED WRONG LATE
//     SERVER: 0 for the first port; ASKED, ANSWERED: monotonic clock, ns, of the exchange that showed it (0 0: none did
//     for PATIENCE_NS); WRONG: answers on the way that were neither NOERROR nor NXDOMAIN;
//     LATE: questions on the way that were not answered within AGAIN_NS
// Ends when the input has ended and everything has been seen.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SERVERS 4
#define SLOTS 4096 // things waited for at the same time; a slot's number is its questions' id
#define PACKET_MAX 4096
#define HEADER 12
#define QUESTION_MAX 300
#define MARK_MAX 64
#define AGAIN_NS UINT64_C(50000000) // after which an unanswered question counts as lost, and is asked again
#define PATIENCE_NS UINT64_C(10000000000)

struct view { // of one server on one thing
    bool seen;
    uint64_t asked, due; // when it was asked last, when it is to be asked next
    bool outstanding;
    unsigned wrong, late;
};

struct slot {
    bool used;
    unsigned long number;
    uint64_t began;
    uint8_t question[QUESTION_MAX], mark[MARK_MAX];
    size_t question_size, mark_size;
    struct view views[SERVERS];
};

static struct slot slots[SLOTS];
static size_t top, waiting; // slots below `top` may be in use; things waited for
static int sockets[SERVERS];
static size_t servers;
static uint64_t interval;

static _Noreturn void fail(const char *what)
{
    perror(what);
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static size_t from_hex(const char *text, uint8_t *out, size_t room)
{
    size_t n = 0;
    for (unsigned byte; n < room && sscanf(text + 2 * n, "%2x", &byte) == 1; n++)
        out[n] = (uint8_t)byte;
    return n;
}

// Takes one line of the input.
static void take_line(char *line)
{
    char question[2 * QUESTION_MAX + 1], mark[2 * MARK_MAX + 1];
    size_t i = 0;
    while (i < SLOTS && slots[i].used)
        i++;
    struct slot *s = &slots[i];
    if (i == SLOTS || sscanf(line, "%lu %600s %128s", &s->number, question, mark) != 3) {
        (void)fprintf(stderr, "no room, or no line: %s\n", line);
        exit(1);
    }
    *s = (struct slot){.used = true, .number = s->number, .began = now_ns()};
    s->question_size = from_hex(question, s->question, QUESTION_MAX);
    s->mark_size = from_hex(mark, s->mark, MARK_MAX);
    s->question[0] = (uint8_t)(i >> 8);
    s->question[1] = (uint8_t)i;
    top = i + 1 > top ? i + 1 : top;
    waiting++;
}

// Takes what there is of the input; false: it has ended.
static bool take_input(void)
{
    static char text[65536];
    static size_t len;
    ssize_t n = read(STDIN_FILENO, text + len, sizeof text - 1 - len);
    if (n <= 0)
        return n < 0 && (errno == EAGAIN || errno == EINTR);
    len += (size_t)n;
    text[len] = '\0';
    char *line = text;
    for (char *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        *end = '\0';
        take_line(line);
    }
    len -= (size_t)(line - text);
    memmove(text, line, len);
    return true;
}

static void shown(struct slot *s, size_t server, uint64_t asked, uint64_t answered)
{
    struct view *v = &s->views[server];
    v->seen = true;
    (void)printf("%lu %zu %llu %llu %u %u\n", s->number, server, (unsigned long long)asked,
                 (unsigned long long)answered, v->wrong, v->late);
    for (size_t i = 0; i < servers; i++)
        if (!s->views[i].seen)
            return;
    s->used = false;
    waiting--;
    (void)fflush(stdout);
}

static void take_answers(size_t server)
{
    uint8_t packet[PACKET_MAX];
    for (ssize_t n; (n = recv(sockets[server], packet, sizeof packet, MSG_DONTWAIT)) > 0 || errno == ECONNREFUSED;) {
        uint64_t now = now_ns();
        size_t id = n < HEADER ? SLOTS : (size_t)(packet[0] << 8 | packet[1]), size = (size_t)n;
        struct slot *s = id < top ? &slots[id] : NULL;
        if (s == NULL || !s->used || s->views[server].seen || size < s->question_size ||
            memcmp(packet + HEADER, s->question + HEADER, s->question_size - HEADER) != 0)
            continue;
        struct view *v = &s->views[server];
        int rcode = packet[3] & 15;
        v->outstanding = false;
        v->wrong += rcode != 0 && rcode != 3;
        if (memmem(packet + s->question_size, size - s->question_size, s->mark, s->mark_size) != NULL)
            shown(s, server, v->asked, now);
        else
            v->due = v->asked + interval;
    }
}

static void ask(struct slot *s, size_t server, uint64_t now)
{
    struct view *v = &s->views[server];
    if (!s->used || v->seen || now < v->due)
        return;
    if (now - s->began > PATIENCE_NS) {
        shown(s, server, 0, 0);
        return;
    }
    v->late += v->outstanding;
    v->outstanding = true;
    v->asked = now_ns();
    v->due = v->asked + AGAIN_NS; // sooner when there is an answer
    (void)!send(sockets[server], s->question, s->question_size, 0);
}

// Asks what is due; who comes first changes from thing to thing. Returns when the next is due.
static uint64_t ask_all(uint64_t now)
{
    uint64_t next = now + AGAIN_NS;
    while (top > 0 && !slots[top - 1].used)
        top--;
    for (size_t i = 0; i < top; i++) {
        for (size_t j = 0; j < servers; j++)
            ask(&slots[i], (slots[i].number + j) % servers, now);
        for (size_t j = 0; j < servers; j++)
            if (slots[i].used && !slots[i].views[j].seen && slots[i].views[j].due < next)
                next = slots[i].views[j].due;
    }
    return next;
}

static void open_sockets(char **ports, size_t count)
{
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (servers = 0; servers < count; servers++) {
        server.sin_port = htons((uint16_t)strtoul(ports[servers], NULL, 10));
        int fd = sockets[servers] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || connect(fd, (struct sockaddr *)&server, sizeof server) != 0)
            fail("socket");
    }
}

int main(int argc, char **argv)
{
    if (argc < 3 || argc > 2 + SERVERS) {
        (void)fputs("usage: follow INTERVAL_US PORT...\n", stderr);
        return 2;
    }
    interval = strtoull(argv[1], NULL, 10) * 1000;
    open_sockets(argv + 2, (size_t)argc - 2);
    (void)fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);
    bool more = true;
    while (more || waiting > 0) {
        uint64_t now = now_ns(), next = ask_all(now);
        struct pollfd fds[1 + SERVERS] = {{.fd = more ? STDIN_FILENO : -1, .events = POLLIN}};
        for (size_t i = 0; i < servers; i++)
            fds[1 + i] = (struct pollfd){.fd = sockets[i], .events = POLLIN};
        now = now_ns();
        uint64_t wait = next > now ? next - now : 0;
        struct timespec timeout = {.tv_sec = (time_t)(wait / 1000000000), .tv_nsec = (long)(wait % 1000000000)};
        if (ppoll(fds, 1 + servers, &timeout, NULL) < 0 && errno != EINTR)
            fail("poll");
        for (size_t i = 0; i < servers; i++)
            take_answers(i);
        if (more && fds[0].revents != 0)
            more = take_input();
    }
    return 0;
}
