// SPDX-License-Identifier: Apache-2.0
#include "dnsbench/reference.h"

#include "dnsbench/digest.h"
#include "dnsbench/run.h"
#include "dnsbench/wire.h"
#include <clusterdns/clock.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define WINDOW 64
#define WAIT_MS 500 // for an answer
#define TRIES 3
#define IN_TURN 100 // questions that are asked again though nothing differed, at each look
#define ANSWER_MAX 65535

struct reference {
    const union sockaddr_any *server;
    const struct questions *set;
    int fd;
    uint16_t id; // of the window's first question
    size_t turn; // next one that is asked in turn
    uint8_t answer[ANSWER_MAX];
};

// Questions that are on their way together.
struct window {
    uint32_t question[WINDOW];
    bool answered[WINDOW];
    unsigned n, left;
};

struct reference *reference_new(const union sockaddr_any *server, const struct questions *set)
{
    struct reference *r = calloc(1, sizeof *r);
    if (r == NULL)
        return NULL;
    *r = (struct reference){.server = server, .set = set};
    r->fd = socket(server->sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (r->fd >= 0 && connect(r->fd, &server->sa, address_size(server)) == 0)
        return r;
    reference_free(r);
    return NULL;
}

void reference_free(struct reference *r)
{
    int saved = errno;
    if (r != NULL && r->fd >= 0)
        close(r->fd);
    free(r);
    errno = saved;
}

static void send_question(struct reference *r, const struct window *w, unsigned i)
{
    const struct question *q = &r->set->all[w->question[i]];
    uint16_t id = (uint16_t)(r->id + i);
    uint8_t head[2] = {(uint8_t)(id >> 8), (uint8_t)id};
    struct iovec iov[2] = {{head, 2}, {(void *)(uintptr_t)(q->wire + 2), q->size - 2U}};
    (void)sendmsg(r->fd, &(struct msghdr){.msg_iov = iov, .msg_iovlen = 2}, MSG_NOSIGNAL);
}

static void take(struct reference *r, struct window *w, struct check *c, const uint8_t *m, size_t size)
{
    uint64_t digest;
    unsigned i = size < WIRE_HEADER ? WINDOW : (uint16_t)(wire_u16(m) - r->id);
    if (i >= w->n || w->answered[i] || (m[2] & 0x80) == 0 || !question_is_of(&r->set->all[w->question[i]], m, size))
        return;
    w->answered[i] = true;
    w->left--;
    if ((m[2] & 2) == 0 && digest_of_message(m, size, &digest))
        check_expect(c, w->question[i], digest);
}

// False: there was no answer at all.
static bool ask_window(struct reference *r, struct window *w, struct check *c)
{
    w->left = w->n;
    memset(w->answered, 0, sizeof w->answered);
    for (unsigned try = 0; try < TRIES && w->left > 0; try++) {
        for (unsigned i = 0; i < w->n; i++)
            if (!w->answered[i])
                send_question(r, w, i);
        uint64_t until = clock_monotonic_ns() + WAIT_MS * UINT64_C(1000000), now;
        while (w->left > 0 && (now = clock_monotonic_ns()) < until) {
            struct pollfd poll_fd = {.fd = r->fd, .events = POLLIN};
            if (poll(&poll_fd, 1, (int)((until - now) / 1000000) + 1) <= 0)
                continue;
            ssize_t n = recv(r->fd, r->answer, sizeof r->answer, MSG_DONTWAIT);
            if (n > 0)
                take(r, w, c, r->answer, (size_t)n);
        }
    }
    bool any = w->left < w->n;
    r->id = (uint16_t)(r->id + w->n);
    w->n = 0;
    return any;
}

// False: as ask_window().
static bool ask(struct reference *r, struct window *w, struct check *c, uint32_t question)
{
    w->question[w->n++] = question;
    return w->n < WINDOW || ask_window(r, w, c);
}

static int silent(const struct reference *r, char *error)
{
    char text[ADDRESS_TEXT_MAX];
    snprintf(error, QUESTIONS_ERROR_MAX, "the reference server %s does not answer", address_text(r->server, text));
    return CDNS_ECONFIG;
}

static int look_first(struct reference *r, struct check *c, char *error)
{
    struct window w = {0};
    bool any = true;
    for (size_t i = 0; any && i < r->set->n && !run_interrupted(); i++)
        any = ask(r, &w, c, (uint32_t)i);
    if (any && w.n > 0)
        any = ask_window(r, &w, c);
    if (!run_interrupted())
        return any ? 0 : silent(r, error);
    snprintf(error, QUESTIONS_ERROR_MAX, "interrupted");
    return CDNS_ECONFIG;
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

int reference_look(void *reference, struct check *c, bool first, const uint32_t *asked, size_t n, char *error)
{
    struct reference *r = reference;
    struct window w = {0};
    if (first)
        return look_first(r, c, error);
    uint32_t *sorted = n > 0 ? malloc(n * sizeof *sorted) : NULL;
    if (n > 0 && sorted == NULL)
        return CDNS_ENOMEM;
    if (n > 0)
        memcpy(sorted, asked, n * sizeof *sorted);
    if (n > 0)
        qsort(sorted, n, sizeof *sorted, by_number);
    bool any = true;
    for (size_t i = 0; any && i < n; i++)
        if (i == 0 || sorted[i] != sorted[i - 1])
            any = ask(r, &w, c, sorted[i]);
    free(sorted);
    for (unsigned i = 0; any && i < IN_TURN && i < r->set->n; i++, r->turn = (r->turn + 1) % r->set->n)
        any = ask(r, &w, c, (uint32_t)r->turn);
    if (any && w.n > 0)
        any = ask_window(r, &w, c);
    return any ? 0 : silent(r, error);
}
