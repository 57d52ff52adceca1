// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A TCP listener whose handler does what the question's first byte says, and clients that speak to it.
#include "net_test.h"

#define MS UINT64_C(1000000)
#define HELD_MAX 512

struct script {
    uv_loop_t loop;
    struct tcp_listener *listener;
    const struct net_counters *counters;
    struct net_counters before;
    union sockaddr_any address;
    unsigned calls;
    struct tcp_connection *last;           // that asked last
    struct tcp_connection *held[HELD_MAX]; // by 'H' questions, in their order
    char names[HELD_MAX];                  // second byte of those questions
    unsigned nheld;
    size_t big; // bytes of the answer to 'B'
};

/// 'H': held. 'D': held and discarded at once. 'N': held, answered at once through tcp_send(). 'Z': no answer, never
/// held. 'X': closes. 'A': aborts. 'B': a big answer. Anything else is echoed.
static inline long play(void *arg, struct tcp_connection *connection, const uint8_t *packet, size_t size, uint8_t *out,
                        size_t cap)
{
    struct script *s = arg;
    assert_true(cap >= 65535);
    s->calls++;
    s->last = connection;
    switch (size > 0 ? packet[0] : 'e') {
    case 'H':
        assert_true(s->nheld < HELD_MAX);
        tcp_hold(connection);
        s->names[s->nheld] = size > 1 ? (char)packet[1] : '\0';
        s->held[s->nheld++] = connection;
        return 0;
    case 'D':
        tcp_hold(connection);
        tcp_discard(connection);
        return 0;
    case 'N':
        tcp_hold(connection);
        (void)tcp_send(connection, packet, size, true);
        return 0;
    case 'Z':
        return 0;
    case 'A':
        tcp_abort(connection);
        assert_int_equal(packet[0], 'A'); // still there
        return 0;
    case 'X':
        return -1;
    case 'B':
        memset(out, 'b', s->big);
        return (long)s->big;
    default:
        memcpy(out, packet, size);
        return (long)size;
    }
}

#define COUNTED(s, what) ((s)->counters->what - (s)->before.what)

/// Opens a listener; `set` changes the default limits.
static inline struct script *open_script(const char *address, const struct tcp_limits *limits)
{
    struct script *s = calloc(1, sizeof(*s));
    assert_non_null(s);
    assert_int_equal(uv_loop_init(&s->loop), 0);
    union sockaddr_any at = strchr(address, ':') != NULL ? ip6(address, 0) : ip4(address, 0);
    assert_int_equal(tcp_listen(&s->loop, &at, limits, play, s, &s->listener), 0);
    s->counters = net_counters(&s->loop);
    s->before = *s->counters;
    tcp_address(s->listener, &s->address);
    if (address_is_any(&s->address)) {
        uint16_t port = address_port(&s->address);
        s->address = s->address.sa.sa_family == AF_INET ? ip4("127.0.0.1", port) : ip6("::1", port);
    }
    return s;
}

static inline struct script *open_default(void)
{
    return open_script("127.0.0.1", &tcp_limits_default);
}

static inline void close_script(struct script *s)
{
    if (s->listener != NULL)
        tcp_close(s->listener);
    finish_loop(&s->loop);
    free(s);
}

/// A client's socket, connected through the kernel alone: the server need not have accepted it yet. `from`: its own
/// address (IPv4), or NULL.
static inline int client_from(struct script *s, const char *from)
{
    int fd = socket(s->address.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    if (from != NULL) {
        union sockaddr_any own = ip4(from, 0);
        assert_int_equal(bind(fd, &own.sa, address_size(&own)), 0);
    }
    assert_true(socket_set(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, 1));
    assert_int_equal(connect(fd, &s->address.sa, address_size(&s->address)), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

static inline int client_to(struct script *s)
{
    return client_from(s, NULL);
}

/// Writes raw bytes; the loop runs while the kernel takes none.
static inline void put(struct script *s, int fd, const void *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = send(fd, (const char *)data + done, size - done, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0) {
            assert_int_equal(errno, EAGAIN);
            struct pollfd wait = {.fd = fd, .events = POLLOUT};
            RUN_UNTIL(&s->loop, poll(&wait, 1, 0) > 0);
        } else {
            done += (size_t)n;
        }
    }
}

static inline void put_message(struct script *s, int fd, const char *text)
{
    size_t size = strlen(text);
    char frame[512];
    assert_true(size + 2 <= sizeof(frame));
    frame[0] = (char)(size >> 8);
    frame[1] = (char)size;
    memcpy(frame + 2, text, size);
    put(s, fd, frame, size + 2);
}

/// Reads exactly `size` bytes, or fewer when the connection ends before. Returns their number, or -1 after a reset.
static inline ssize_t get(struct script *s, int fd, void *data, size_t size)
{
    size_t done = 0;
    while (done < size) {
        RUN_UNTIL(&s->loop, has_input(fd));
        ssize_t n = recv(fd, (char *)data + done, size - done, 0);
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

/// One whole message; its length, -1 at the connection's end or after a reset.
static inline ssize_t get_message(struct script *s, int fd, void *data, size_t size)
{
    uint8_t prefix[2];
    if (get(s, fd, prefix, 2) != 2)
        return -1;
    size_t length = (size_t)prefix[0] << 8 | prefix[1];
    assert_true(length <= size);
    assert_int_equal(get(s, fd, data, length), length);
    return (ssize_t)length;
}

static inline void expect_message(struct script *s, int fd, const char *text)
{
    char data[512] = "";
    assert_int_equal(get_message(s, fd, data, sizeof(data) - 1), (ssize_t)strlen(text));
    assert_string_equal(data, text);
}

/// The server has closed in good order: end of file, no reset.
static inline void expect_end(struct script *s, int fd)
{
    char byte;
    assert_int_equal(get(s, fd, &byte, 1), 0);
}

static inline void expect_reset(struct script *s, int fd)
{
    char byte;
    assert_int_equal(get(s, fd, &byte, 1), -1);
    assert_int_equal(errno, ECONNRESET);
}

static inline void reset(int fd)
{
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger)), 0);
    close(fd);
}

/// Answers what was held, by the number it was held with.
static inline int release(struct script *s, unsigned i, const char *text)
{
    return tcp_send(s->held[i], (const uint8_t *)text, strlen(text), true);
}
