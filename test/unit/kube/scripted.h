// SPDX-License-Identifier: Apache-2.0
// An HTTP/1.1 server for tests that answers one request after another by a script, in a thread of its own.
#pragma once
#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

// One request and its answer. Each goes over a connection of its own.
struct scripted_step {
    const char *expect; // what the request's head must hold; NULL: anything
    const char *refuse; // what it must not hold; NULL: nothing
    const char *answer; // sent as it stands: text, or with a Content-Length
    bool hold;          // the connection stays open until the next request has come
};

struct scripted {
    int listener, stop[2];
    unsigned port;
    pthread_t thread;
    const struct scripted_step *steps;
    size_t nsteps;
    size_t done;        // requests that came; atomic
    char trouble[3000]; // the first request that was not as expected; to be read after the end
};

#define OK "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"

static void scripted_read_head(int fd, char *head, size_t size)
{
    size_t len = 0;
    ssize_t n;
    while (len + 1 < size && (n = read(fd, head + len, size - 1 - len)) > 0) {
        len += (size_t)n;
        head[len] = '\0';
        if (strstr(head, "\r\n\r\n") != NULL)
            return;
    }
    head[len] = '\0';
}

static size_t scripted_size(const char *answer)
{
    const char *length = strstr(answer, "\r\nContent-Length: "), *body = strstr(answer, "\r\n\r\n");
    if (length == NULL || length > body)
        return strlen(answer);
    return (size_t)(body + 4 - answer) + strtoul(length + strlen("\r\nContent-Length: "), NULL, 10);
}

static void *scripted_run(void *arg)
{
    struct scripted *s = arg;
    int held = -1;
    for (size_t i = 0;; i++) {
        struct pollfd fds[] = {{.fd = s->listener, .events = POLLIN}, {.fd = s->stop[0], .events = POLLIN}};
        if (poll(fds, 2, -1) < 0 || fds[1].revents != 0)
            break;
        int fd = accept(s->listener, NULL, NULL);
        char head[2000];
        scripted_read_head(fd, head, sizeof head);
        const struct scripted_step *step = i < s->nsteps ? &s->steps[i] : NULL;
        bool wrong = step == NULL || (step->expect != NULL && strstr(head, step->expect) == NULL) ||
                     (step->refuse != NULL && strstr(head, step->refuse) != NULL);
        if (wrong && s->trouble[0] == '\0')
            snprintf(s->trouble, sizeof s->trouble, "request %zu: expected %s, got %s", i,
                     step != NULL ? step->expect : "none", head);
        if (held >= 0)
            close(held);
        held = -1;
        if (step != NULL)
            (void)!write(fd, step->answer, scripted_size(step->answer));
        if (step != NULL && step->hold)
            held = fd;
        else
            close(fd);
        __atomic_store_n(&s->done, i + 1, __ATOMIC_RELEASE);
    }
    if (held >= 0)
        close(held);
    return NULL;
}

static void scripted_start(struct scripted *s, const struct scripted_step *steps, size_t nsteps)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    *s = (struct scripted){.steps = steps, .nsteps = nsteps, .listener = socket(AF_INET, SOCK_STREAM, 0)};
    if (bind(s->listener, (struct sockaddr *)&address, len) != 0 || listen(s->listener, 16) != 0 ||
        getsockname(s->listener, (struct sockaddr *)&address, &len) != 0 || pipe(s->stop) != 0)
        abort();
    s->port = ntohs(address.sin_port);
    pthread_create(&s->thread, NULL, scripted_run, s);
}

static void scripted_stop(struct scripted *s)
{
    close(s->stop[1]);
    pthread_join(s->thread, NULL);
    close(s->stop[0]);
    close(s->listener);
}

__attribute__((unused)) static size_t scripted_done(const struct scripted *s)
{
    return __atomic_load_n(&s->done, __ATOMIC_ACQUIRE);
}
