// SPDX-License-Identifier: Apache-2.0
#pragma once
// Asks an endpoint of this process over IPv4 loopback; the loop and the client share the thread.
#include "server/http.h"

#include <arpa/inet.h>
#include <errno.h>
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

static uv_loop_t http_loop;
static const char *http_body;

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

// A port that nothing listens on at this moment.
static inline uint16_t http_free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    close(fd);
    return ntohs(a.sin_port);
}

// The status of GET `path`, the body in http_body; -1 when nobody listens.
static inline int http_ask(uint16_t port, const char *path)
{
    static char response[8192];
    char request[256];
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    if (connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0) {
        close(fd);
        return -1;
    }
    int n = snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
    assert_int_equal(send(fd, request, (size_t)n, MSG_NOSIGNAL), n);
    size_t len = 0;
    ssize_t got;
    time_t deadline = time(NULL) + 10;
    do {
        uv_run(&http_loop, UV_RUN_NOWAIT);
        got = recv(fd, response + len, sizeof(response) - 1 - len, MSG_DONTWAIT);
        len += got > 0 ? (size_t)got : 0;
        struct pollfd p = {.fd = fd, .events = POLLIN};
        poll(&p, 1, 1);
        assert_true(time(NULL) < deadline);
    } while (got > 0 || (got < 0 && errno == EAGAIN));
    close(fd);
    response[len] = '\0';
    assert_memory_equal(response, "HTTP/1.1 ", 9);
    const char *end = strstr(response, "\r\n\r\n");
    assert_non_null(end);
    http_body = end + 4;
    return atoi(response + 9);
}
