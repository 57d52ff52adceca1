// SPDX-License-Identifier: Apache-2.0
#pragma once
// Asks HTTP endpoints of this process over the loopback interface; the loop and the clients share the thread.
#include "server/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define HTTP_DEADLINE_MS 10000

static uv_loop_t http_loop;
static char http_response_text[65536]; // the last response, whole
static const char *http_body;          // inside of it

static inline int http_begin(void **state)
{
    (void)state;
    if (uv_loop_init(&http_loop) != 0)
        return -1;
    http_init(&http_loop);
    return 0;
}

static inline int http_end(void **state)
{
    (void)state;
    http_shutdown();
    uv_run(&http_loop, UV_RUN_DEFAULT);
    return uv_loop_close(&http_loop);
}

static inline uint64_t http_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

// The loopback address of a family; returns its size.
static inline socklen_t http_loopback(int family, uint16_t port, struct sockaddr_in6 *out)
{
    *out = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = in6addr_loopback};
    if (family == AF_INET6)
        return sizeof(*out);
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    memcpy(out, &in, sizeof(in));
    return sizeof(in);
}

// A port of 127.0.0.1 that nothing listens on at this moment.
static inline uint16_t http_free_port(void)
{
    struct sockaddr_in6 a;
    socklen_t len = http_loopback(AF_INET, 0, &a);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    close(fd);
    return ntohs(a.sin6_port); // at the same place in both families
}

// A connection that does not block; -1 when nobody listens.
static inline int http_connect(int family, uint16_t port)
{
    struct sockaddr_in6 a;
    socklen_t len = http_loopback(family, port, &a);
    int fd = socket(family, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    if (connect(fd, (struct sockaddr *)&a, len) != 0) {
        close(fd);
        return -1;
    }
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

static inline void http_send(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

// Turns the loop until the server has closed the connection. Returns the status, or 0 when it said nothing; the
// response is in http_response_text and http_body.
static inline int http_finish(int fd)
{
    uint64_t deadline = http_now_ms() + HTTP_DEADLINE_MS;
    size_t len = 0;
    ssize_t n;
    do {
        uv_run(&http_loop, UV_RUN_NOWAIT);
        n = recv(fd, http_response_text + len, sizeof(http_response_text) - 1 - len, 0);
        len += n > 0 ? (size_t)n : 0;
        assert_true(http_now_ms() < deadline);
        struct pollfd p = {.fd = fd, .events = POLLIN};
        poll(&p, 1, 1);
    } while (n > 0 || (n < 0 && errno == EAGAIN));
    close(fd);
    http_response_text[len] = '\0';
    http_body = NULL;
    if (len == 0)
        return 0;
    assert_memory_equal(http_response_text, "HTTP/1.1 ", 9);
    const char *end = strstr(http_response_text, "\r\n\r\n");
    assert_non_null(end);
    http_body = end + 4;
    return atoi(http_response_text + 9);
}

// Takes the chunks' sizes out of http_body, in place.
static inline void http_join_chunks(void)
{
    char *to = http_response_text + (http_body - http_response_text), *from = to;
    for (;;) {
        size_t size = strtoul(from, &from, 16);
        assert_memory_equal(from, "\r\n", 2);
        memmove(to, from + 2, size);
        to += size;
        from += 2 + size + 2;
        if (size == 0)
            break;
    }
    *to = '\0';
}

// The status of a request, as http_finish(); -1 when nobody listens.
static inline int http_request(int family, uint16_t port, const char *method, const char *path)
{
    char request[512];
    int fd = http_connect(family, port);
    if (fd < 0)
        return -1;
    snprintf(request, sizeof(request), "%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", method, path);
    http_send(fd, request);
    return http_finish(fd);
}

static inline int http_ask(uint16_t port, const char *path)
{
    return http_request(AF_INET, port, "GET", path);
}
