// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What the listeners of one loop share: counters and buffers, so that memory does not grow with listeners. Private to
/// this room. All but net_loop_get() on the loop's thread.
#include "net/net.h"
#include <clusterdns/error.h>
#include <stdint.h>
#include <uv.h>

#define NET_TCP_MESSAGE 65535               ///< largest message over TCP (RFC 1035 §4.2.2)
#define NET_TCP_FRAME (2 + NET_TCP_MESSAGE) ///< the same with its length field
#define NET_TCP_READ 16384  ///< bytes read with one system call: what a paused connection may have to keep
#define NET_OUT_FLUSH 65536 ///< answers collected before they are sent
#define NET_OUT_SIZE (NET_OUT_FLUSH + NET_TCP_FRAME) ///< so there is always room for one more, of any size

struct udp_batch;
struct udp_listener;
struct upstream_loop;

/// Buffers that one event uses from its begin to its end; no event of a loop runs inside another.
struct net_loop {
    struct net_loop *next;
    const uv_loop_t *loop;
    struct net_counters counters;
    unsigned users;                  ///< listeners and such; the buffers below exist while there are any
    struct udp_batch *batch;         ///< owned by udp.c; NULL until the first UDP listener
    struct udp_listener *udp;        ///< those that are read, a list of udp.c's
    uint64_t udp_read_ns;            ///< when datagrams were last looked for (uv_hrtime)
    uint8_t *tcp_in;                 ///< NET_TCP_READ bytes; NULL until the first TCP listener
    uint8_t *tcp_out;                ///< NET_OUT_SIZE bytes, likewise
    struct upstream_loop *upstreams; ///< owned by upstream.c, a user; NULL until the first question to an upstream
    size_t tcp_out_len;              ///< bytes of it waiting to be sent to the connection whose event runs
};

/// The loop's shared state, with one more user; made on first use. NULL: out of memory.
struct net_loop *net_loop_get(uv_loop_t *loop);
/// One user less; the last one frees the buffers. Counters stay: workers live as long as the process.
void net_loop_put(struct net_loop *shared);

/// Takes a batch of datagrams if none were looked for lately. For TCP's events, of which one round of the loop can have
/// thousands with much work each: UDP's clients do not wait for all of them.
void net_udp_turn(struct net_loop *shared);

/// Counts. A plain add by the only writer, stored whole, so that another thread may read at any time.
static inline void net_count(uint64_t *counter, uint64_t n)
{
    __atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}
