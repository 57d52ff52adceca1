// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What the tests of src/net share: addresses, real sockets on loopback, and a loop that runs until something is true
/// or a deadline has passed.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/net.h"
#include "net/socket.h"

#define DEADLINE_MS 10000 // only a failing test waits so long

static inline union sockaddr_any ip4(const char *text, uint16_t port)
{
    union sockaddr_any address = {.in = {.sin_family = AF_INET, .sin_port = htons(port)}};
    assert_int_equal(inet_pton(AF_INET, text, &address.in.sin_addr), 1);
    return address;
}

static inline union sockaddr_any ip6(const char *text, uint16_t port)
{
    union sockaddr_any address = {.in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)}};
    assert_int_equal(inet_pton(AF_INET6, text, &address.in6.sin6_addr), 1);
    return address;
}

/// Does this machine have IPv6 at all? Says so if not.
static inline bool have_ip6(void)
{
    union sockaddr_any address = ip6("::1", 0), bound;
    int fd = socket_open(&address, SOCK_DGRAM, &bound);
    if (fd < 0) {
        print_message("IPv6 is not tested: no ::1 on this machine: %s\n", strerror(errno));
        return false;
    }
    socket_close(fd);
    return true;
}

static inline uint64_t test_now_ms(void)
{
    return uv_hrtime() / 1000000;
}

/// One look at the loop, waiting a moment for something to happen.
static inline void run_a_bit(uv_loop_t *loop)
{
    uv_run(loop, UV_RUN_NOWAIT);
    struct pollfd wait = {.fd = uv_backend_fd(loop), .events = POLLIN};
    (void)poll(&wait, 1, 2);
}

/// Runs the loop until `condition` holds; fails the test when that takes too long.
#define RUN_UNTIL(loop, condition)                                                                                     \
    do {                                                                                                               \
        uint64_t until_ = test_now_ms() + DEADLINE_MS;                                                                 \
        while (!(condition) && test_now_ms() < until_)                                                                 \
            run_a_bit(loop);                                                                                           \
        assert_true(condition);                                                                                        \
    } while (0)

static inline bool has_input(int fd)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    return poll(&wait, 1, 0) > 0;
}

/// Closes what is left on a loop and the loop itself; every handle must have been closed by its owner.
static inline void finish_loop(uv_loop_t *loop)
{
    uv_run(loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(loop), 0);
}
