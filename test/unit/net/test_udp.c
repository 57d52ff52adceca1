// SPDX-License-Identifier: Apache-2.0
#include "net_test.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/udp.h>
#include <pthread.h>
#include <stdio.h>

// What the handler under test does, and what it saw.
struct script {
    uv_loop_t loop;
    struct udp_listener *listener;
    const struct net_counters *counters;
    struct net_counters before;
    uint16_t port;
    unsigned calls;
    size_t size;          // of the last question
    struct udp_peer peer; // of the last question
    size_t answer_size;   // 0: as long as the question
    unsigned wrong_every; // every so many answers is one that no socket sends
    bool late, drain, close;
};

static size_t answer(void *arg, struct udp_listener *listener, const struct udp_peer *peer, const uint8_t *packet,
                     size_t size, uint8_t *out, size_t cap)
{
    struct script *s = arg;
    assert_true(cap >= NET_UDP_MAX);
    s->calls++;
    s->size = size;
    s->peer = *peer;
    if (s->drain)
        udp_drain(listener);
    if (s->close) {
        udp_close(listener);
        s->listener = NULL;
    }
    if (s->late)
        return 0;
    if (s->wrong_every > 0 && s->calls % s->wrong_every == 1)
        return 65508; // one byte more than an IPv4 datagram can take
    memcpy(out, packet, size);
    if (s->answer_size == 0)
        return size;
    memset(out + size, 'x', s->answer_size - size);
    return s->answer_size;
}

static struct script *open_script(const char *address)
{
    struct script *s = calloc(1, sizeof(*s));
    assert_non_null(s);
    assert_int_equal(uv_loop_init(&s->loop), 0);
    union sockaddr_any at = strchr(address, ':') != NULL ? ip6(address, 0) : ip4(address, 0);
    assert_int_equal(udp_listen(&s->loop, &at, answer, s, &s->listener), 0);
    s->counters = net_counters(&s->loop);
    s->before = *s->counters;
    udp_address(s->listener, &at);
    s->port = address_port(&at);
    assert_int_not_equal(s->port, 0);
    return s;
}

static void close_script(struct script *s)
{
    if (s->listener != NULL)
        udp_close(s->listener);
    finish_loop(&s->loop);
    free(s);
}

#define COUNTED(s, what) ((s)->counters->what - (s)->before.what)

static int client_at(const union sockaddr_any *source)
{
    int fd = socket(source->sa.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, &source->sa, address_size(source)), 0);
    return fd;
}

static int client4(void)
{
    union sockaddr_any any = ip4("127.0.0.1", 0);
    return client_at(&any);
}

static void ask(int fd, const union sockaddr_any *server, const void *data, size_t size)
{
    assert_int_equal(sendto(fd, data, size, 0, &server->sa, address_size(server)), (ssize_t)size);
}

static ssize_t reply_at(struct script *s, int fd, void *data, size_t size, union sockaddr_any *source)
{
    socklen_t length = sizeof(*source);
    RUN_UNTIL(&s->loop, has_input(fd));
    return recvfrom(fd, data, size, 0, &source->sa, &length);
}

static void assert_same_ip(const union sockaddr_any *a, const union sockaddr_any *b)
{
    assert_int_equal(a->sa.sa_family, b->sa.sa_family);
    assert_int_equal(address_port(a), address_port(b));
    if (a->sa.sa_family == AF_INET)
        assert_memory_equal(&a->in.sin_addr, &b->in.sin_addr, 4);
    else
        assert_memory_equal(&a->in6.sin6_addr, &b->in6.sin6_addr, 16);
}

// Asks `server` from `source` and looks where the answer comes from; then again with a late answer.
static void asked_address_answers(struct script *s, const union sockaddr_any *source, const union sockaddr_any *server)
{
    char data[16];
    union sockaddr_any from;
    int fd = client_at(source);
    s->late = false;
    ask(fd, server, "prompt", 6);
    assert_int_equal(reply_at(s, fd, data, sizeof(data), &from), 6);
    assert_same_ip(&from, server);
    assert_same_ip(&s->peer.local, server);
    unsigned calls = s->calls;
    s->late = true;
    ask(fd, server, "late", 4);
    RUN_UNTIL(&s->loop, s->calls == calls + 1);
    udp_send(s->listener, &s->peer, (const uint8_t *)"later", 5);
    assert_int_equal(reply_at(s, fd, data, sizeof(data), &from), 5);
    assert_same_ip(&from, server);
    close(fd);
}

static void wildcard4_answers_from_the_address_asked(void **state)
{
    (void)state;
    struct script *s = open_script("0.0.0.0");
    union sockaddr_any source = ip4("127.0.0.1", 0), second = ip4("127.0.0.2", s->port);
    asked_address_answers(s, &source, &second);
    assert_int_equal(COUNTED(s, udp_received), 2);
    assert_int_equal(COUNTED(s, udp_sent), 2);
    close_script(s);
}

static void wildcard6_answers_from_the_address_asked(void **state)
{
    (void)state;
    if (!have_ip6())
        skip();
    struct script *s = open_script("::");
    union sockaddr_any loopback = ip6("::1", s->port), source = ip6("::1", 0);
    asked_address_answers(s, &source, &loopback);
    // Another address of this machine, asked from ::1: without IPV6_PKTINFO the answer would come from ::1.
    struct ifaddrs *list;
    unsigned others = 0;
    assert_int_equal(getifaddrs(&list), 0);
    for (struct ifaddrs *i = list; i != NULL; i = i->ifa_next) {
        if (i->ifa_addr == NULL || i->ifa_addr->sa_family != AF_INET6 || (i->ifa_flags & IFF_LOOPBACK))
            continue;
        union sockaddr_any other = {0};
        memcpy(&other.in6, i->ifa_addr, sizeof(other.in6));
        bool link_local = IN6_IS_ADDR_LINKLOCAL(&other.in6.sin6_addr);
        union sockaddr_any from = link_local ? other : source;
        other.in6.sin6_port = htons(s->port);
        asked_address_answers(s, &from, &other);
        assert_true(link_local ? s->peer.ifindex == other.in6.sin6_scope_id : s->peer.ifindex == 0);
        others++;
    }
    freeifaddrs(list);
    if (others == 0)
        print_message("note: this machine has no IPv6 address but ::1\n");
    close_script(s);
}

static void one_address_needs_no_wildcard(void **state)
{
    (void)state;
    struct script *s = open_script("127.0.0.3");
    union sockaddr_any source = ip4("127.0.0.1", 0), server = ip4("127.0.0.3", s->port);
    asked_address_answers(s, &source, &server);
    close_script(s);
}

static void both_wildcards_share_a_port(void **state)
{
    (void)state;
    if (!have_ip6())
        skip();
    struct script *s = open_script("::");
    struct udp_listener *v4;
    union sockaddr_any any4 = ip4("0.0.0.0", s->port);
    assert_int_equal(udp_listen(&s->loop, &any4, answer, s, &v4), 0);
    char data[16];
    union sockaddr_any server = ip4("127.0.0.2", s->port), from;
    int fd = client4();
    ask(fd, &server, "v4", 2);
    assert_int_equal(reply_at(s, fd, data, sizeof(data), &from), 2);
    assert_int_equal(s->peer.client.sa.sa_family, AF_INET); // no IPv4-mapped address from the IPv6 socket
    udp_close(v4);
    close(fd);
    close_script(s);
}

// Sends `count` numbered questions from four sockets without running the loop.
static void ask_many(struct script *s, int *fds, unsigned count)
{
    union sockaddr_any server = ip4("127.0.0.1", s->port);
    for (unsigned i = 0; i < count; i++)
        ask(fds[i % 4], &server, &i, sizeof(i));
}

// Receives until each of `count` numbers came back exactly once.
static void take_many(struct script *s, int *fds, unsigned count)
{
    bool *seen = calloc(count, sizeof(*seen));
    assert_non_null(seen);
    for (unsigned got = 0; got < count; got++) {
        unsigned number, k = 0;
        RUN_UNTIL(&s->loop, (k = 0, has_input(fds[0])) || (k = 1, has_input(fds[1])) || (k = 2, has_input(fds[2])) ||
                                (k = 3, has_input(fds[3])));
        assert_int_equal(recv(fds[k], &number, sizeof(number), 0), sizeof(number));
        assert_true(number < count && number % 4 == k && !seen[number]);
        seen[number] = true;
    }
    free(seen);
}

static void batches_answer_everyone_once(void **state)
{
    (void)state;
    struct script *s = open_script("0.0.0.0");
    int fds[4] = {client4(), client4(), client4(), client4()};
    for (int round = 0; round < 3; round++) {
        ask_many(s, fds, 200);
        take_many(s, fds, 200);
    }
    assert_int_equal(COUNTED(s, udp_received), 600);
    assert_int_equal(COUNTED(s, udp_sent), 600);
    for (int i = 0; i < 4; i++)
        close(fds[i]);
    close_script(s);
}

static void a_wakeup_is_bounded(void **state)
{
    (void)state;
    struct script *s = open_script("127.0.0.1");
    int fds[4] = {client4(), client4(), client4(), client4()};
    unsigned most = NET_BATCH * NET_ROUNDS;
    ask_many(s, fds, most + 10);
    while (s->calls == 0)
        uv_run(&s->loop, UV_RUN_NOWAIT);
    assert_int_equal(s->calls, most);
    take_many(s, fds, most + 10);
    for (int i = 0; i < 4; i++)
        close(fds[i]);
    close_script(s);
}

static void long_datagrams_are_told(void **state)
{
    (void)state;
    static char big[9000], data[9000];
    struct script *s = open_script("127.0.0.1");
    union sockaddr_any server = ip4("127.0.0.1", s->port), from;
    int fd = client4();
    ask(fd, &server, big, NET_QUERY_MAX);
    assert_int_equal(reply_at(s, fd, data, sizeof(data), &from), NET_QUERY_MAX);
    assert_int_equal(s->size, NET_QUERY_MAX);
    ask(fd, &server, big, sizeof(big));
    assert_int_equal(reply_at(s, fd, data, sizeof(data), &from), NET_QUERY_MAX + 1);
    assert_int_equal(s->size, NET_QUERY_MAX + 1);
    ask(fd, &server, "short again", 11);
    assert_int_equal(reply_at(s, fd, data, sizeof(data), &from), 11);
    close(fd);
    close_script(s);
}

static void answers_of_any_size(void **state)
{
    (void)state;
    static char data[70000];
    struct script *s = open_script("127.0.0.1");
    union sockaddr_any server = ip4("127.0.0.1", s->port), from;
    int fd = client4();
    s->answer_size = 25000;
    for (unsigned i = 0; i < 6; i++) // more than the batch has room for at a time
        ask(fd, &server, &i, sizeof(i));
    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(reply_at(s, fd, data, sizeof(data), &from), 25000);
        unsigned number;
        memcpy(&number, data, sizeof(number));
        assert_int_equal(number, i);
        assert_int_equal(data[24999], 'x');
    }
    s->answer_size = 60000;
    ask(fd, &server, "jumbo", 5);
    assert_int_equal(reply_at(s, fd, data, sizeof(data), &from), 60000);
    close(fd);
    close_script(s);
}

static void one_that_cannot_be_sent_does_not_harm_others(void **state)
{
    (void)state;
    struct script *s = open_script("127.0.0.1");
    union sockaddr_any server = ip4("127.0.0.1", s->port), from;
    int fd = client4();
    s->wrong_every = 5;
    for (unsigned i = 1; i <= 60; i++)
        ask(fd, &server, &i, sizeof(i));
    for (unsigned i = 1; i <= 60; i++) {
        unsigned number;
        if (i % 5 == 1)
            continue;
        assert_int_equal(reply_at(s, fd, &number, sizeof(number), &from), sizeof(number));
        assert_int_equal(number, i);
    }
    assert_int_equal(COUNTED(s, udp_sent), 48);
    assert_int_equal(COUNTED(s, udp_send_failed), 12);
    close(fd);
    close_script(s);
}

static void empty_datagrams_are_ignored(void **state)
{
    (void)state;
    struct script *s = open_script("127.0.0.1");
    union sockaddr_any server = ip4("127.0.0.1", s->port), from;
    char data[16];
    int fd = client4();
    ask(fd, &server, "", 0);
    ask(fd, &server, "full", 4);
    assert_int_equal(reply_at(s, fd, data, sizeof(data), &from), 4);
    assert_int_equal(s->calls, 1);
    assert_int_equal(COUNTED(s, udp_received), 2);
    close(fd);
    close_script(s);
}

static void source_port_0_is_ignored(void **state)
{
    (void)state;
    int raw = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_UDP);
    if (raw < 0) {
        print_message("not tested here: raw sockets need CAP_NET_RAW: %s\n", strerror(errno));
        skip();
    }
    struct script *s = open_script("127.0.0.1");
    union sockaddr_any server = ip4("127.0.0.1", s->port), from;
    struct {
        struct udphdr udp;
        char data[4];
    } packet = {.udp = {.uh_dport = htons(s->port), .uh_ulen = htons(sizeof(packet))}, .data = "zero"};
    union sockaddr_any to = ip4("127.0.0.1", 0);
    ask(raw, &to, &packet, sizeof(packet));
    char data[16];
    int fd = client4();
    ask(fd, &server, "full", 4);
    assert_int_equal(reply_at(s, fd, data, sizeof(data), &from), 4);
    assert_int_equal(s->calls, 1);
    assert_int_equal(COUNTED(s, udp_received), 2);
    assert_int_equal(COUNTED(s, udp_send_failed), 0);
    close(raw);
    close(fd);
    close_script(s);
}

static void a_client_that_is_gone_changes_nothing(void **state)
{
    (void)state;
    struct script *s = open_script("127.0.0.1");
    union sockaddr_any server = ip4("127.0.0.1", s->port), from;
    char data[16];
    for (int i = 0; i < 20; i++) {
        int gone = client4();
        ask(gone, &server, "gone", 4);
        close(gone); // the answer causes an ICMP error
    }
    int fd = client4();
    ask(fd, &server, "here", 4);
    assert_int_equal(reply_at(s, fd, data, sizeof(data), &from), 4);
    assert_int_equal(COUNTED(s, udp_received), 21);
    ask(fd, &server, "again", 5);
    assert_int_equal(reply_at(s, fd, data, sizeof(data), &from), 5);
    close(fd);
    close_script(s);
}

static void kernel_drops_are_counted(void **state)
{
    (void)state;
    struct script *s = open_script("127.0.0.1");
    union sockaddr_any server = ip4("127.0.0.1", s->port);
    static char data[1000];
    int fd = client4();
    s->late = true;
    unsigned sent = 0;
    for (; sent < 20000; sent++) // 20 MB: more than any receive buffer we ask for
        ask(fd, &server, data, sizeof(data));
    RUN_UNTIL(&s->loop, COUNTED(s, udp_received) > 0 && (run_a_bit(&s->loop), s->calls == COUNTED(s, udp_received)));
    // The counter comes with a datagram that arrives after the loss.
    unsigned calls;
    do {
        calls = s->calls;
        run_a_bit(&s->loop);
    } while (s->calls != calls);
    ask(fd, &server, data, 1);
    sent++;
    RUN_UNTIL(&s->loop, s->calls == calls + 1);
    assert_true(COUNTED(s, udp_kernel_drops) > 0);
    assert_int_equal(COUNTED(s, udp_kernel_drops) + COUNTED(s, udp_received), sent);
    close(fd);
    close_script(s);
}

static void drain_takes_what_was_received(void **state)
{
    (void)state;
    struct script *s = open_script("0.0.0.0");
    union sockaddr_any server = ip4("127.0.0.1", s->port), from;
    int fds[4] = {client4(), client4(), client4(), client4()};
    ask_many(s, fds, 300); // more than one wake-up takes
    udp_drain(s->listener);
    assert_int_equal(s->calls, 300);
    take_many(s, fds, 300);
    ask(fds[0], &server, "too late", 8);
    for (int i = 0; i < 5; i++)
        run_a_bit(&s->loop);
    assert_int_equal(s->calls, 300);
    char data[8];
    udp_send(s->listener, &s->peer, (const uint8_t *)"late", 4);
    assert_int_equal(reply_at(s, fds[(300 - 1) % 4], data, sizeof(data), &from), 4);
    for (int i = 0; i < 4; i++)
        close(fds[i]);
    close_script(s);
}

static void drain_from_a_handler(void **state)
{
    (void)state;
    struct script *s = open_script("127.0.0.1");
    int fds[4] = {client4(), client4(), client4(), client4()};
    s->drain = true;
    ask_many(s, fds, 300);
    take_many(s, fds, 300);
    union sockaddr_any server = ip4("127.0.0.1", s->port);
    ask(fds[0], &server, "too late", 8);
    for (int i = 0; i < 5; i++)
        run_a_bit(&s->loop);
    assert_int_equal(s->calls, 300);
    for (int i = 0; i < 4; i++)
        close(fds[i]);
    close_script(s);
}

// What waits for an answer keeps the memory, not the socket; the loop may be gone before it.
static void held_listener_outlives_its_socket(void **state)
{
    (void)state;
    struct script *s = open_script("127.0.0.1");
    struct udp_listener *listener = s->listener;
    union sockaddr_any server = ip4("127.0.0.1", s->port);
    int fd = client4();
    s->late = true;
    ask(fd, &server, "one", 3);
    RUN_UNTIL(&s->loop, s->calls == 1);
    udp_hold(listener);
    udp_hold(listener);
    udp_close(listener);
    finish_loop(&s->loop);
    udp_send(listener, &s->peer, (const uint8_t *)"late", 4);
    udp_release(listener);
    udp_send(listener, &s->peer, (const uint8_t *)"late", 4);
    udp_release(listener);
    assert_int_equal(COUNTED(s, udp_sent) + COUNTED(s, udp_send_failed), 0);
    close(fd);
    free(s);
}

// What comes for a drained socket is no longer its own, though it is still there for late answers.
static void drained_socket_leaves_the_port_to(const char *old_address, const char *new_address)
{
    struct script *old = open_script(old_address), *new = calloc(1, sizeof(*new));
    bool v6 = strchr(old_address, ':') != NULL;
    union sockaddr_any at = v6 ? ip6(new_address, old->port) : ip4(new_address, old->port), from;
    union sockaddr_any server = v6 ? ip6("::1", old->port) : ip4("127.0.0.1", old->port);
    union sockaddr_any source = v6 ? ip6("::1", 0) : ip4("127.0.0.1", 0);
    char data[16];
    int fd = client_at(&source);
    old->late = true;
    ask(fd, &server, "before", 6);
    udp_drain(old->listener);
    assert_int_equal(old->calls, 1);
    assert_int_equal(uv_loop_init(&new->loop), 0);
    assert_int_equal(udp_listen(&new->loop, &at, answer, new, &new->listener), 0);
    for (unsigned i = 0; i < 50; i++) { // by chance, half of them would go to the old one
        int other = client_at(&source);
        ask(other, &server, "after", 5);
        assert_int_equal(reply_at(new, other, data, sizeof(data), &from), 5);
        close(other);
    }
    udp_send(old->listener, &old->peer, (const uint8_t *)"later", 5);
    assert_int_equal(reply_at(old, fd, data, sizeof(data), &from), 5);
    assert_same_ip(&from, &server);
    close(fd);
    close_script(old);
    close_script(new);
}

static void drained_sockets_take_nothing(void **state)
{
    (void)state;
    drained_socket_leaves_the_port_to("127.0.0.1", "127.0.0.1");
    drained_socket_leaves_the_port_to("127.0.0.1", "0.0.0.0");
    drained_socket_leaves_the_port_to("0.0.0.0", "0.0.0.0");
    drained_socket_leaves_the_port_to("::1", "::");
    drained_socket_leaves_the_port_to("::", "::");
}

// The kernel may have chosen the socket just before it was drained. Only itself can still send to it now.
static void drained_socket_takes_what_comes_late(void **state)
{
    (void)state;
    struct script *s = open_script("127.0.0.1");
    union sockaddr_any self = ip4("127.0.0.1", s->port);
    struct udp_peer peer = {.client = self, .local = self};
    s->late = true;
    udp_drain(s->listener);
    udp_send(s->listener, &peer, (const uint8_t *)"late", 4);
    RUN_UNTIL(&s->loop, s->calls == 1);
    close_script(s);
}

// What came to an address that is given up is answered by the socket of all addresses, from that address.
static void handed_over_is_answered(void **state)
{
    (void)state;
    struct script *all = open_script("0.0.0.0");
    union sockaddr_any server = ip4("127.0.0.2", all->port), from;
    struct udp_listener *one;
    char data[16];
    int fds[3] = {client4(), client4(), client4()};
    assert_int_equal(udp_listen(&all->loop, &server, answer, NULL, &one), 0);
    udp_pause(one);
    for (int i = 0; i < 2; i++)
        ask(fds[i], &server, "early", 5);
    udp_hand_over(one, all->listener);
    ask(fds[2], &server, "later", 5);
    udp_close(one);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(reply_at(all, fds[i], data, sizeof(data), &from), 5);
        assert_same_ip(&from, &server);
        close(fds[i]);
    }
    close_script(all);
}

static void paused_socket_waits(void **state)
{
    (void)state;
    struct script *s = open_script("127.0.0.1");
    union sockaddr_any server = ip4("127.0.0.1", s->port), from;
    char data[16];
    int fd = client4();
    udp_pause(s->listener);
    ask(fd, &server, "early", 5);
    run_a_bit(&s->loop);
    assert_int_equal(s->calls, 0);
    udp_resume(s->listener);
    assert_int_equal(reply_at(s, fd, data, sizeof(data), &from), 5);
    close(fd);
    close_script(s);
}

static void close_from_a_handler(void **state)
{
    (void)state;
    struct script *s = open_script("127.0.0.1");
    int fds[4] = {client4(), client4(), client4(), client4()};
    ask_many(s, fds, 8);
    s->close = true;
    RUN_UNTIL(&s->loop, s->calls > 0);
    assert_int_equal(s->calls, 1);
    for (int i = 0; i < 4; i++)
        close(fds[i]);
    close_script(s);
}

static void errors_of_listen(void **state)
{
    (void)state;
    uv_loop_t loop;
    struct udp_listener *listener;
    assert_int_equal(uv_loop_init(&loop), 0);
    union sockaddr_any nowhere = ip4("192.0.2.1", 0);
    assert_int_equal(udp_listen(&loop, &nowhere, answer, NULL, &listener), CDNS_EIO);
    assert_int_equal(errno, EADDRNOTAVAIL);
    int fd = client4(); // without SO_REUSEPORT: the port is its own
    union sockaddr_any taken;
    socklen_t size = sizeof(taken);
    assert_int_equal(getsockname(fd, &taken.sa, &size), 0);
    assert_int_equal(udp_listen(&loop, &taken, answer, NULL, &listener), CDNS_EIO);
    assert_int_equal(errno, EADDRINUSE);
    close(fd);
    finish_loop(&loop);
}

// Two workers on one port, their counters read by a third thread.

struct worker {
    pthread_t thread;
    uv_loop_t loop;
    uv_async_t stop;
    struct udp_listener *listener;
    union sockaddr_any address;
};

static size_t echo(void *arg, struct udp_listener *listener, const struct udp_peer *peer, const uint8_t *packet,
                   size_t size, uint8_t *out, size_t cap)
{
    (void)arg, (void)listener, (void)peer, (void)cap;
    memcpy(out, packet, size);
    return size;
}

static void on_stop(uv_async_t *async)
{
    struct worker *w = async->data;
    udp_close(w->listener);
    uv_close((uv_handle_t *)async, NULL);
}

static void *run_worker(void *arg)
{
    struct worker *w = arg;
    uv_run(&w->loop, UV_RUN_DEFAULT);
    return NULL;
}

static void start_worker(struct worker *w)
{
    assert_int_equal(uv_loop_init(&w->loop), 0);
    assert_int_equal(uv_async_init(&w->loop, &w->stop, on_stop), 0);
    w->stop.data = w;
    assert_int_equal(udp_listen(&w->loop, &w->address, echo, NULL, &w->listener), 0);
    udp_address(w->listener, &w->address);
    assert_int_equal(pthread_create(&w->thread, NULL, run_worker, w), 0);
}

static uint64_t received(const struct worker *w)
{
    return __atomic_load_n(&net_counters(&w->loop)->udp_received, __ATOMIC_RELAXED);
}

static void workers_share_a_port(void **state)
{
    (void)state;
    static struct worker workers[2];
    workers[0].address = ip4("127.0.0.1", 0);
    start_worker(&workers[0]);
    workers[1].address = workers[0].address;
    start_worker(&workers[1]);
    uint64_t first = received(&workers[0]), second = received(&workers[1]), rounds = 0;
    uint64_t until = test_now_ms() + DEADLINE_MS;
    do { // a new source port each time, until both have had some
        char data[8];
        int fd = client4();
        ask(fd, &workers[0].address, "share", 5);
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        assert_int_equal(poll(&wait, 1, DEADLINE_MS), 1);
        assert_int_equal(recv(fd, data, sizeof(data), 0), 5);
        close(fd);
        rounds++;
    } while ((received(&workers[0]) == first || received(&workers[1]) == second) && test_now_ms() < until);
    assert_true(received(&workers[0]) > first && received(&workers[1]) > second);
    for (int i = 0; i < 2; i++) {
        uv_async_send(&workers[i].stop);
        pthread_join(workers[i].thread, NULL);
        finish_loop(&workers[i].loop);
    }
    assert_int_equal(received(&workers[0]) - first + received(&workers[1]) - second, rounds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wildcard4_answers_from_the_address_asked),
        cmocka_unit_test(wildcard6_answers_from_the_address_asked),
        cmocka_unit_test(one_address_needs_no_wildcard),
        cmocka_unit_test(both_wildcards_share_a_port),
        cmocka_unit_test(batches_answer_everyone_once),
        cmocka_unit_test(a_wakeup_is_bounded),
        cmocka_unit_test(long_datagrams_are_told),
        cmocka_unit_test(answers_of_any_size),
        cmocka_unit_test(one_that_cannot_be_sent_does_not_harm_others),
        cmocka_unit_test(empty_datagrams_are_ignored),
        cmocka_unit_test(source_port_0_is_ignored),
        cmocka_unit_test(a_client_that_is_gone_changes_nothing),
        cmocka_unit_test(kernel_drops_are_counted),
        cmocka_unit_test(drain_takes_what_was_received),
        cmocka_unit_test(drain_from_a_handler),
        cmocka_unit_test(held_listener_outlives_its_socket),
        cmocka_unit_test(drained_sockets_take_nothing),
        cmocka_unit_test(drained_socket_takes_what_comes_late),
        cmocka_unit_test(handed_over_is_answered),
        cmocka_unit_test(paused_socket_waits),
        cmocka_unit_test(close_from_a_handler),
        cmocka_unit_test(errors_of_listen),
        cmocka_unit_test(workers_share_a_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
