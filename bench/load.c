// SPDX-License-Identifier: Apache-2.0
// Load for `make bench`: asks a fixed number of A questions over UDP from many ports, keeps a fixed number outstanding,
// and checks every answer: id, question, NOERROR, and the address in it.
//
// load IPV4 PORT NAMES COUNT ANSWERS [PER-SECOND]
//   NAMES: a file of lines "NAME ADDRESS"; ANSWERS: records expected in each answer (0: an echo); PER-SECOND:
//   questions, without it as many as are answered.
// Prints one JSON object: received, lost, wrong, seconds.
#include "base/reader.h"
#include "base/writer.h"
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#define SOCKETS 16
#define WINDOW 12       // questions outstanding on one socket; 192 in all fit into an ordinary receive buffer
#define PATIENCE_MS 500 // silence after which what is outstanding counts as lost
#define PACKET_MAX 512
#define HEADER 12
#define NAME_MAX_WIRE 255

struct name {
    uint8_t packet[HEADER + NAME_MAX_WIRE + 4]; // a whole question but for its id
    size_t size;
    struct in_addr address;
};

struct source {
    int fd;
    uint16_t next_id;
    unsigned outstanding;
    uint32_t asked[65536]; // by id: number of the name + 1; 0: not outstanding
};

static struct name *names;
static size_t name_count;
static uint64_t to_send, received, wrong, lost;
static uint64_t turn; // names are taken in a scattered order
static unsigned answers;
static uint64_t total, per_second; // questions sent; 0: as many as are answered
static double began, heard;        // seconds; when the last answer came

static double now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static _Noreturn void fail(const char *what)
{
    perror(what);
    exit(1);
}

// Builds the question from text; false: not a name.
static bool build(struct name *name, const char *text)
{
    struct writer w = writer_init(name->packet, sizeof(name->packet));
    const uint8_t header[HEADER] = {0, 0, 1 /* RD */, 0, 0, 1 /* QDCOUNT */};
    writer_bytes(&w, header, sizeof(header));
    while (*text != '\0') {
        size_t length = strcspn(text, ".");
        if (length == 0 || length > 63)
            return false;
        writer_u8(&w, (uint8_t)length);
        writer_bytes(&w, text, length);
        text += length + (text[length] == '.');
    }
    writer_u8(&w, 0);
    writer_u16(&w, 1); // A
    writer_u16(&w, 1); // IN
    name->size = w.pos;
    return w.error == 0;
}

static void read_names(const char *path)
{
    char line[512], text[300], address[64];
    size_t room = 0;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        fail(path);
    while (fgets(line, sizeof(line), file) != NULL) {
        if (name_count == room) {
            room = room > 0 ? 2 * room : 1024;
            names = realloc(names, room * sizeof(*names));
            if (names == NULL)
                fail("names");
        }
        struct name name;
        if (sscanf(line, "%299s %63s", text, address) == 2 && build(&name, text) &&
            inet_pton(AF_INET, address, &name.address) == 1)
            names[name_count++] = name;
    }
    (void)fclose(file);
}

// Is it the answer to the question `name`?
static bool check(const struct name *name, const uint8_t *packet, size_t size)
{
    struct reader r = reader_init(packet, size);
    reader_seek(&r, 2);
    uint16_t flags = reader_u16(&r), questions = reader_u16(&r), count = reader_u16(&r);
    reader_seek(&r, HEADER);
    const uint8_t *question = reader_bytes(&r, name->size - HEADER);
    if (question == NULL || memcmp(question, name->packet + HEADER, name->size - HEADER) != 0)
        return false;
    if ((flags & 0x8000) == 0 || (flags & 0xf) != 0 || questions != 1 || count != answers)
        return false;
    if (answers == 0)
        return true;
    uint8_t first = reader_u8(&r); // the owner: a pointer to the question, or its name again
    reader_bytes(&r, first >= 0xc0 ? 1 : name->size - HEADER - 4 - 1);
    uint16_t type = reader_u16(&r), class = reader_u16(&r);
    (void)reader_u32(&r);
    uint16_t length = reader_u16(&r);
    const uint8_t *data = reader_bytes(&r, 4);
    return data != NULL && type == 1 && class == 1 && length == 4 && memcmp(data, &name->address, 4) == 0;
}

// How many more questions count and rate allow now.
static uint64_t allowed(void)
{
    if (per_second == 0)
        return to_send;
    uint64_t due = (uint64_t)((now() - began) * (double)per_second);
    return due < total ? 0 : due - total < to_send ? due - total : to_send;
}

// Sends as many questions as the window, the count and the rate allow.
static void ask(struct source *s)
{
    static uint8_t packets[WINDOW][PACKET_MAX];
    static struct iovec iov[WINDOW];
    static struct mmsghdr messages[WINDOW];
    uint64_t most = allowed();
    unsigned n = 0;
    for (; s->outstanding + n < WINDOW && n < most; n++) {
        size_t number = turn++ * 7919 % name_count;
        uint16_t id = s->next_id++;
        memcpy(packets[n], names[number].packet, names[number].size);
        packets[n][0] = (uint8_t)(id >> 8);
        packets[n][1] = (uint8_t)id;
        s->asked[id] = (uint32_t)number + 1;
        iov[n] = (struct iovec){packets[n], names[number].size};
        messages[n].msg_hdr = (struct msghdr){.msg_iov = &iov[n], .msg_iovlen = 1};
    }
    for (unsigned done = 0; done < n;) {
        int sent = sendmmsg(s->fd, messages + done, n - done, 0);
        if (sent < 0 && errno != EINTR)
            fail("send");
        done += sent > 0 ? (unsigned)sent : 0;
    }
    s->outstanding += n;
    to_send -= n;
    total += n;
}

// Takes the answers that are there. Returns their number.
static unsigned take(struct source *s)
{
    static uint8_t packets[WINDOW][PACKET_MAX];
    static struct iovec iov[WINDOW];
    static struct mmsghdr messages[WINDOW];
    for (unsigned i = 0; i < WINDOW; i++) {
        iov[i] = (struct iovec){packets[i], PACKET_MAX};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &iov[i], .msg_iovlen = 1};
    }
    int n = recvmmsg(s->fd, messages, WINDOW, MSG_DONTWAIT, NULL);
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        fail("receive");
    for (int i = 0; i < n; i++) {
        uint16_t id = (uint16_t)(packets[i][0] << 8 | packets[i][1]);
        uint32_t number = messages[i].msg_len >= HEADER ? s->asked[id] : 0;
        if (number == 0) { // not outstanding: twice, or after its time
            wrong++;
            continue;
        }
        s->asked[id] = 0;
        s->outstanding--;
        received++;
        if (!check(&names[number - 1], packets[i], messages[i].msg_len))
            wrong++;
    }
    return n > 0 ? (unsigned)n : 0;
}

// Nothing came for long: what is outstanding will not come.
static void give_up(struct source *sources)
{
    for (unsigned i = 0; i < SOCKETS; i++) {
        lost += sources[i].outstanding;
        sources[i].outstanding = 0;
        memset(sources[i].asked, 0, sizeof(sources[i].asked));
    }
}

static void wait_for_answers(struct source *sources)
{
    struct pollfd fds[SOCKETS];
    for (unsigned i = 0; i < SOCKETS; i++)
        fds[i] = (struct pollfd){.fd = sources[i].fd, .events = POLLIN};
    // At a rate there may be something to send before something comes.
    if (poll(fds, SOCKETS, per_second == 0 ? PATIENCE_MS : 1) == 0 && now() - heard > PATIENCE_MS / 1e3) {
        give_up(sources);
        heard = now();
    }
}

static void run(struct source *sources)
{
    for (;;) {
        unsigned taken = 0, outstanding = 0;
        for (unsigned i = 0; i < SOCKETS; i++) {
            taken += take(&sources[i]);
            ask(&sources[i]);
            outstanding += sources[i].outstanding;
        }
        if (outstanding == 0 && to_send == 0)
            return;
        if (taken == 0)
            wait_for_answers(sources);
        else
            heard = now();
    }
}

int main(int argc, char **argv)
{
    static struct source sources[SOCKETS];
    struct sockaddr_in server = {.sin_family = AF_INET};
    if (argc < 6 || argc > 7 || inet_pton(AF_INET, argv[1], &server.sin_addr) != 1) {
        (void)fputs("usage: load IPV4 PORT NAMES COUNT ANSWERS [PER-SECOND]\n", stderr);
        return 2;
    }
    server.sin_port = htons((uint16_t)strtoul(argv[2], NULL, 10));
    read_names(argv[3]);
    to_send = strtoull(argv[4], NULL, 10);
    answers = (unsigned)strtoul(argv[5], NULL, 10);
    per_second = argc > 6 ? strtoull(argv[6], NULL, 10) : 0;
    if (name_count == 0) {
        (void)fprintf(stderr, "%s: no names\n", argv[3]);
        return 1;
    }
    for (unsigned i = 0; i < SOCKETS; i++) {
        sources[i].fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (sources[i].fd < 0 || connect(sources[i].fd, (struct sockaddr *)&server, sizeof(server)) != 0)
            fail("socket");
    }
    began = heard = now();
    run(sources);
    printf("{\"received\": %llu, \"lost\": %llu, \"wrong\": %llu, \"seconds\": %.6f}\n", (unsigned long long)received,
           (unsigned long long)lost, (unsigned long long)wrong, now() - began);
    return 0;
}
