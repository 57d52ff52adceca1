// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A query with everything the server keeps about it on its way: where it stands in the chain, how it is answered,
/// whose child it is. Worker thread.
#include "base/heap.h"
#include "dns/message.h"
#include "net/net.h"
#include "server/generation.h"
#include "server/worker.h"

#define EXCHANGE_ARENA_LIMIT (1U << 20) ///< bytes a query may use

enum phase {
    PHASE_IN,     ///< .query hooks, at = the next one
    PHASE_OUT,    ///< .reply hooks, at - 1 = the next one
    PHASE_STREAM, ///< producing messages
    PHASE_END,
};

/// An answer while the socket's handler is still running: it goes into the batch. Lives on the handler's stack.
struct prompt_answer {
    uint8_t *out; ///< room for `cap` bytes
    size_t cap;
    size_t written;
    bool finished; ///< the query has ended
};

/// Where the answer of a client's question goes.
struct client_path {
    struct udp_listener *udp;     ///< or NULL
    struct tcp_connection *tcp;   ///< or NULL
    struct udp_peer peer;         ///< with udp
    struct prompt_answer *prompt; ///< NULL once the query has been parked: the answer is late
    bool held;                    ///< tcp: a reference is held
};

struct exchange {
    struct query q; ///< first: query_exchange()
    struct worker *worker;
    struct exchange *active_next, *active_prev; ///< worker->active
    const struct listen_address *listen;
    const struct route *route; ///< that led to the block; NULL: none did (a child question)
    const struct block *block;
    unsigned first;   ///< the plugin the way in began with
    unsigned at;      ///< see enum phase
    unsigned entered; ///< plugins first … entered - 1 were entered
    enum phase phase;
    bool in_hook;      ///< a hook is being called
    bool resumed;      ///< query_resume() came while it was
    bool parked;       ///< waiting for query_resume()
    bool expired;      ///< its deadline has passed: it must not wait again
    bool dropped;      ///< no answer
    bool packet_owned; ///< q.packet is in the arena
    enum verdict resumed_with;
    size_t parked_bytes;  ///< what it counts for while it is parked
    uint64_t deadline_ns; ///< monotonic; 0: QUERY_TIMEOUT_NS after receipt
    struct heap_node deadline;

    /// Writes the answer and fills in the outcome's `sent`, `size`, `tc`.
    void (*deliver)(struct exchange *x, struct outcome *o);
    struct client_path client;

    struct exchange *parent; ///< NULL: none, or it has ended
    struct exchange *children, *sibling_next, *sibling_prev;
    unsigned descendants; ///< child questions asked on behalf of this top-level query
    query_ask_cb callback;
    void *callback_arg;
    int failed; ///< what the callback is told

    query_stream_cb produce;
    void *produce_arg;
    struct arena *stream_arena;
    /// Sends q.reply as the stream's next message; 0, CDNS_EAGAIN (chain_stream_drained() will follow), CDNS_ECANCELED.
    int (*stream_send)(struct exchange *x, bool last);
    uint32_t streamed; ///< bytes so far

    struct message m; ///< the question's names live here
};

static inline struct exchange *query_exchange(struct query *q)
{
    return (struct exchange *)q;
}
