// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Listening sockets of a worker: bytes in, bytes out; no record is known here. Everything runs on the worker's own
/// libuv loop and thread unless said otherwise.
#include <clusterdns/address.h>
#include <clusterdns/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#define NET_BATCH 64          ///< datagrams read or sent with one system call
#define NET_ROUNDS 4          ///< batches per wake-up, so that TCP and timers get their turn
#define NET_UDP_MAX 65535     ///< largest datagram answered into
#define NET_UDP_PAYLOAD 65507 ///< most that an IPv4 datagram carries: 65,535 less its header (20) and UDP's (8)
#define NET_QUERY_MAX 4096    ///< bytes kept of a received datagram; longer ones are answered as malformed

/// Where a UDP answer goes: kept by value in a parked query.
struct udp_peer {
    union sockaddr_any client; ///< who asked
    union sockaddr_any local; ///< the address asked (IP_PKTINFO / IPV6_PKTINFO), the reply's source; port of the socket
    unsigned ifindex;         ///< interface for link-local replies; 0: routing decides
};

struct udp_listener;

/// Called for each datagram, in a batch. `packet` is borrowed until it returns; a `size` of NET_QUERY_MAX + 1 says that
/// the datagram was longer and has been cut to that. The answer of at most `cap` (NET_UDP_MAX) bytes goes to `out`;
/// returns its length, or 0: no answer now (dropped, or parked: udp_send() later). Empty datagrams and those from port
/// 0 are counted and not passed on. The handler may send, drain and close, its own listener too.
typedef size_t (*udp_handler)(void *arg, struct udp_listener *listener, const struct udp_peer *peer,
                              const uint8_t *packet, size_t size, uint8_t *out, size_t cap);

/// Opens a SO_REUSEPORT socket for `address` on `loop`. `*listener` is owned by the caller; CDNS_EIO with errno.
///
/// IPv6 sockets take no IPv4, so that clients are never seen with mapped addresses: a key without an address (":53") is
/// two listeners, "0.0.0.0" and "::". On a machine without IPv6 the second fails with EAFNOSUPPORT or EADDRNOTAVAIL,
/// which a server that was not asked for IPv6 by name passes over. Replies leave from the address that was asked, on
/// wildcards by IP_PKTINFO and IPV6_PKTINFO (RFC 3542 §6), and are fragmented by the interface's MTU only, never by
/// what an ICMP message claimed (IP_PMTUDISC_OMIT).
int udp_listen(uv_loop_t *loop, const union sockaddr_any *address, udp_handler handler, void *arg,
               struct udp_listener **listener) CDNS_MUSTCHECK;
/// Leaves what comes with the kernel, until udp_resume(): of a socket that is opened before it is to be served.
void udp_pause(struct udp_listener *listener);
void udp_resume(struct udp_listener *listener);
/// A parked query takes a reference, so that the listener's memory outlives udp_close(); given back by udp_release(),
/// once for each, when it has been answered or is not going to be. After the loop is gone, too.
void udp_hold(struct udp_listener *listener);
void udp_release(struct udp_listener *listener);
/// Sends a late answer; `message` is borrowed until it returns. A full socket buffer drops it (UDP's way) and counts
/// it. After udp_close() nothing is sent.
void udp_send(struct udp_listener *listener, const struct udp_peer *peer, const uint8_t *message, size_t size);
/// Stops reading after taking what the kernel has already received (at most a full receive buffer): the handler is
/// called for it before this returns, or, when a handler calls this, when the batches under way are done. Late answers
/// can still be sent. From now on the kernel gives datagrams to other sockets that take the address (one of all
/// addresses beside it, or a new one), or refuses them.
void udp_drain(struct udp_listener *listener);
/// Has `to`, a socket of all addresses on the same port, answer what the kernel has received for `from`, which is to be
/// closed next: an address that a reload began to listen on, and gave up. Both belong to one loop; not from a handler.
void udp_hand_over(struct udp_listener *from, struct udp_listener *to);
/// Closes the socket; the memory is freed by the loop, so `listener` is good until control goes back to it (while it is
/// held: until its last udp_release()).
void udp_close(struct udp_listener *listener);
/// Address the socket is bound to (the port filled in when 0 was asked).
void udp_address(const struct udp_listener *listener, union sockaddr_any *address);

/// Limits of TCP listeners; all finite (RFC 7766 §6.2.3, RFC 9210 §4). Times are kept to a millisecond.
struct tcp_limits {
    unsigned connections; ///< open at a time on one listener (default 1024); past it the longest idle one is closed,
                          ///< else one whose peer has taken nothing for a second, else one of the client address that
                          ///< has most, if that is more than an eighth (at least 1) and the new one's has less; else
                          ///< the new one
    unsigned in_flight;   ///< questions of one connection being answered (default 128, at least 1); then reading pauses
    unsigned queries;     ///< questions a connection may ask in all; 0: no bound
    size_t queued_bytes;  ///< answers waiting in one connection's queue (default 256 KiB); then reading pauses
    size_t buffered_bytes; ///< memory for begun messages and queued answers of all connections of one listener (default
                           ///< 16 MiB); past it the connections that have stood still for longest are reset
    uint64_t idle_ns;      ///< time without a whole question or an answer in flight (default 10 s), then closed
    uint64_t read_ns;      ///< time a begun message may take to arrive (default 3 s)
    uint64_t write_ns;     ///< time a peer may take nothing of what is queued (default 5 s), then reset
};
extern const struct tcp_limits tcp_limits_default;

struct tcp_listener;
struct tcp_connection;

/// Called for each whole message (without its length field); `size` may be anything from 0. `packet` is borrowed until
/// it returns. The answer goes to `out` (`cap` is 65535 bytes); returns its length; 0: no answer now: either the
/// question is dropped, or the handler has called tcp_hold(), and tcp_send() with `last` or tcp_discard() follows, once
/// for each hold, then or later; -1: the connection is closed when what was asked before is answered.
/// Prompt answers are sent together when all that was read at a time has been handled.
typedef long (*tcp_handler)(void *arg, struct tcp_connection *connection, const uint8_t *packet, size_t size,
                            uint8_t *out, size_t cap);
/// Called when the queue of a connection that streams has room again (is half empty), or with `closed` when it is gone;
/// a hold is still to be released then.
typedef void (*tcp_drain_cb)(void *arg, struct tcp_connection *connection, bool closed);

/// Opens a SO_REUSEPORT listener; addresses as for udp_listen(). `limits` is copied. CDNS_EIO with errno.
int tcp_listen(uv_loop_t *loop, const union sockaddr_any *address, const struct tcp_limits *limits, tcp_handler handler,
               void *arg, struct tcp_listener **listener) CDNS_MUSTCHECK;
/// Leaves new connections with the kernel, until tcp_resume().
void tcp_pause(struct tcp_listener *listener);
void tcp_resume(struct tcp_listener *listener);
/// Peer and own address of a connection; also of one that is gone and held.
void tcp_peer(const struct tcp_connection *connection, union sockaddr_any *client, union sockaddr_any *local);
/// A parked query takes a reference, so that the connection's memory outlives a disconnect; released by tcp_send() with
/// `last`, or tcp_discard(). Holds are what `in_flight` counts.
void tcp_hold(struct tcp_connection *connection);
/// Queues a late answer of 1 … 65535 bytes (prefixed with its length), or sends it at once; `message` is borrowed until
/// it returns. `last`: the question is answered, the reference is released, and the connection is not to be used again
/// without another. CDNS_ECANCELED when the connection is gone, CDNS_EAGAIN (message queued all the same) when the
/// queue is now over its bound: wait for drain.
int tcp_send(struct tcp_connection *connection, const uint8_t *message, size_t size, bool last);
/// Ends a held question without an answer; releases the reference. After the loop is gone, too.
void tcp_discard(struct tcp_connection *connection);
/// Asks for one call of `callback` when the queue has room (from the loop, never before this returns) or the connection
/// is gone (at once, if it is already). One at a time per connection; NULL takes the request back.
void tcp_on_drain(struct tcp_connection *connection, tcp_drain_cb callback, void *arg);
/// Closes the connection at once, with a reset (failed stream: the peer must not take it for whole).
void tcp_abort(struct tcp_connection *connection);
/// No new connections; existing ones finish the questions they have sent (a begun message may still be completed) and
/// are closed when they have none in flight: first our end, then, when the peer closes or after a second, the rest.
void tcp_drain(struct tcp_listener *listener);
/// Closes listener and connections; memory is freed by the loop (connections still held: with their last reference).
void tcp_close(struct tcp_listener *listener);
void tcp_address(const struct tcp_listener *listener, union sockaddr_any *address);

/// What the listeners of a loop counted since its first one; kept when listeners close, for the life of the process.
/// Only the loop's thread writes; others read each value with a relaxed atomic load.
struct net_counters {
    uint64_t udp_received;    ///< datagrams
    uint64_t udp_sent;        ///< answers
    uint64_t udp_send_failed; ///< answers that the kernel refused: buffer full, too long, no route
    uint64_t
        udp_kernel_drops;  ///< datagrams lost before they were read (SO_RXQ_OVFL; seen with the next one that is not)
    uint64_t tcp_accepted; ///< connections
    uint64_t tcp_rejected; ///< connections closed as they came: `connections` reached, or no memory
    uint64_t tcp_timeouts; ///< connections ended by idle_ns, read_ns, write_ns or buffered_bytes
    uint64_t tcp_open;     ///< connections with a descriptor now
};
/// Counters of `loop`; zeros when it never had a listener. Any thread. The pointer stays good.
const struct net_counters *net_counters(const uv_loop_t *loop);

/// Number of CPUs that the process may use: the cgroup's quota (v2 cpu.max, v1 cfs_quota), rounded up, at most the
/// affinity mask's count; at least 1. Any thread.
unsigned net_cpu_count(void);
