// SPDX-License-Identifier: Apache-2.0
// What a server may write into a connection on which three questions wait. The first byte of the input says how many
// bytes are written at a time; a message whose id is 0, 1 or 2 gets the id of that question. However it is cut and
// whatever it is, each question ends once.
#include "base/clock.h"
#include "net/socket.h"
#include "net/upstream.h"
#include <arpa/inet.h>
#include <clusterdns/config.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define QUESTIONS 3
#define SIZE 16 // bytes of a question
#define INPUT_MAX 200000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uv_loop_t loop;
static struct upstream *server;
static int listener = -1;
static unsigned ended;

static void open_server(void)
{
    struct upstream_options options = {.expire_ns = UINT64_C(1000000000)};
    union sockaddr_any any = {.in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
    char error[CONFIG_ERROR_MAX];
    listener = socket_open(&any, SOCK_STREAM, &options.address);
    INVARIANT(listener >= 0 && listen(listener, 8) == 0 && uv_loop_init(&loop) == 0);
    INVARIANT(upstream_get(&options, &server, error) == 0);
}

static bool accept_even(void *arg, const uint8_t *message, size_t size)
{
    (void)arg;
    return size >= 12 && message[size - 1] % 2 == 0;
}

static void on_end(void *arg, const struct upstream_result *result)
{
    unsigned *times = arg;
    INVARIANT(++*times == 1);
    if (result->error == 0)
        INVARIANT(result->message[0] == 'i' && result->message[1] == 'd' && result->size >= 12);
    ended++;
}

// The server's end, once the questions are there; their ids are in `ids`.
static int accept_questions(uint8_t ids[QUESTIONS][2])
{
    uint8_t frames[QUESTIONS][2 + SIZE];
    int fd = -1;
    for (size_t have = 0; have < sizeof(frames);) {
        (void)uv_run(&loop, UV_RUN_NOWAIT);
        if (fd < 0)
            fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        ssize_t n = fd >= 0 ? recv(fd, (uint8_t *)frames + have, sizeof(frames) - have, 0) : 0;
        have += n > 0 ? (size_t)n : 0;
    }
    for (unsigned i = 0; i < QUESTIONS; i++)
        memcpy(ids[i], frames[i] + 2, 2);
    return fd;
}

static void put_ids(uint8_t *data, size_t size, uint8_t ids[QUESTIONS][2])
{
    for (size_t pos = 0; pos + 4 <= size; pos += 2 + ((size_t)data[pos] << 8 | data[pos + 1]))
        if (data[pos + 2] == 0 && data[pos + 3] < QUESTIONS)
            memcpy(data + pos + 2, ids[data[pos + 3]], 2);
}

static void write_all(int fd, const uint8_t *data, size_t size, size_t piece)
{
    while (size > 0 && ended < QUESTIONS) {
        ssize_t n = send(fd, data, piece < size ? piece : size, MSG_NOSIGNAL);
        data += n > 0 ? n : 0;
        size -= n > 0 ? (size_t)n : 0;
        (void)uv_run(&loop, UV_RUN_NOWAIT);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t question[SIZE] = "id";
    uint8_t ids[QUESTIONS][2];
    unsigned times[QUESTIONS] = {0};
    struct upstream_request *request;
    if (size < 1 || size > INPUT_MAX)
        return 0;
    if (listener < 0)
        open_server();
    ended = 0;
    for (unsigned i = 0; i < QUESTIONS; i++)
        INVARIANT(upstream_ask(server, &loop, UPSTREAM_TCP, question, SIZE,
                               clock_monotonic_ns() + UINT64_C(10000000000), accept_even, on_end, &times[i],
                               &request) == 0);
    int fd = accept_questions(ids);
    uint8_t *copy = malloc(size);
    INVARIANT(copy != NULL);
    memcpy(copy, data + 1, size - 1);
    put_ids(copy, size - 1, ids);
    write_all(fd, copy, size - 1, 1 + (size_t)data[0] * data[0]);
    free(copy);
    close(fd);
    while (ended < QUESTIONS)
        (void)uv_run(&loop, UV_RUN_ONCE);
    upstream_close_loop(&loop);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    return 0;
}
