// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Listening sockets of a worker: bytes in, bytes out; no record is known here. Everything runs on the worker's own
/// libuv loop and thread unless said otherwise.
#include <clusterdns/error.h>
#include <clusterdns/query.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#define NET_BATCH 64       ///< datagrams read or sent with one system call
#define NET_ROUNDS 4       ///< batches per wake-up, so that TCP and timers get their turn
#define NET_UDP_MAX 65535  ///< largest datagram answered into
#define NET_QUERY_MAX 4096 ///< bytes kept of a received datagram; longer ones are answered as malformed

/// Where a UDP answer goes: kept by value in a parked query.
struct udp_peer {
    union sockaddr_any client; ///< who asked
    union sockaddr_any local; ///< the address asked (IP_PKTINFO / IPV6_PKTINFO), the reply's source; port of the socket
    unsigned ifindex;         ///< interface for link-local replies; 0: routing decides
};

struct udp_listener;

/// Called for each datagram, in a batch. `packet` is borrowed until it returns. The answer of at most `cap` bytes goes
/// to `out`; returns its length, or 0: no answer now (dropped, or parked: udp_send() later).
typedef size_t (*udp_handler)(void *arg, struct udp_listener *listener, const struct udp_peer *peer,
                              const uint8_t *packet, size_t size, uint8_t *out, size_t cap);

/// Opens a SO_REUSEPORT socket for `address` on `loop`. `*listener` is owned by the caller; CDNS_EIO with errno.
int udp_listen(uv_loop_t *loop, const union sockaddr_any *address, udp_handler handler, void *arg,
               struct udp_listener **listener) CDNS_MUSTCHECK;
/// Sends a late answer. A full socket buffer drops it (UDP's way) and counts it.
void udp_send(struct udp_listener *listener, const struct udp_peer *peer, const uint8_t *message, size_t size);
/// Stops reading after taking what the kernel has already received; late answers can still be sent.
void udp_drain(struct udp_listener *listener);
/// Closes the socket; the memory is freed by the loop.
void udp_close(struct udp_listener *listener);
/// Address the socket is bound to (the port filled in when 0 was asked).
void udp_address(const struct udp_listener *listener, union sockaddr_any *address);

/// Limits of TCP listeners; all finite.
struct tcp_limits {
    unsigned connections;  ///< open at a time on one listener (default 1024); past it the longest idle one is closed
    unsigned in_flight;    ///< questions of one connection being answered (default 128); then reading pauses
    unsigned queries;      ///< questions a connection may ask in all; 0: no bound
    size_t queued_bytes;   ///< answers waiting in one connection's queue (default 256 KiB); then reading pauses
    size_t buffered_bytes; ///< memory for begun messages and queued answers of all connections of one listener (default
                           ///< 16 MiB); past it the connections that have stood still for longest are reset
    uint64_t idle_ns;      ///< time without a whole question or an answer in flight (default 10 s), then closed
    uint64_t read_ns;      ///< time a begun message may take to arrive (default 3 s)
    uint64_t write_ns;     ///< time a peer may take nothing of what is queued (default 5 s)
};
extern const struct tcp_limits tcp_limits_default;

struct tcp_listener;
struct tcp_connection;

/// Called for each whole message (without its length field). `packet` is borrowed until it returns. The answer goes to
/// `out`
/// (`cap` ≥ 65535 bytes); returns its length; 0: no answer now (tcp_send() or tcp_discard() will follow, exactly once);
/// -1: close the connection.
typedef long (*tcp_handler)(void *arg, struct tcp_connection *connection, const uint8_t *packet, size_t size,
                            uint8_t *out, size_t cap);
/// Called when the queue of a connection that streams has room again, or with `closed` when it is gone.
typedef void (*tcp_drain_cb)(void *arg, struct tcp_connection *connection, bool closed);

int tcp_listen(uv_loop_t *loop, const union sockaddr_any *address, const struct tcp_limits *limits, tcp_handler handler,
               void *arg, struct tcp_listener **listener) CDNS_MUSTCHECK;
/// Peer and own address of a connection.
void tcp_peer(const struct tcp_connection *connection, union sockaddr_any *client, union sockaddr_any *local);
/// A parked query takes a reference, so that the connection's memory outlives a disconnect; released by tcp_send() with
/// `last`, or tcp_discard().
void tcp_hold(struct tcp_connection *connection);
/// Queues a late answer (prefixed with its length); `last`: the question is answered, the reference is released.
/// CDNS_ECANCELED when the connection is gone, CDNS_EAGAIN (message queued all the same) when the queue is now over its
/// bound: wait for drain.
int tcp_send(struct tcp_connection *connection, const uint8_t *message, size_t size, bool last);
/// Ends a held question without an answer; releases the reference.
void tcp_discard(struct tcp_connection *connection);
/// Asks for one call of `callback` when the queue has room or the connection is gone. One at a time per connection.
void tcp_on_drain(struct tcp_connection *connection, tcp_drain_cb callback, void *arg);
/// Closes the connection at once (failed stream).
void tcp_abort(struct tcp_connection *connection);
/// No new connections; existing ones finish the questions they have sent and are closed when they have none in flight.
void tcp_drain(struct tcp_listener *listener);
/// Closes listener and connections; memory is freed by the loop (connections still held: with their last reference).
void tcp_close(struct tcp_listener *listener);
void tcp_address(const struct tcp_listener *listener, union sockaddr_any *address);

/// What the listeners of this thread counted since start.
struct net_counters {
    uint64_t udp_received, udp_sent, udp_send_failed, udp_kernel_drops; ///< SO_RXQ_OVFL
    uint64_t tcp_accepted, tcp_rejected, tcp_timeouts, tcp_open;
};
const struct net_counters *net_counters(const uv_loop_t *loop);

/// Number of CPUs that the process may use: the cgroup's quota (v2 cpu.max, v1 cfs_quota), rounded up, at most the
/// affinity mask's count; at least 1. Any thread.
unsigned net_cpu_count(void);
