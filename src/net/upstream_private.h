// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The parts of upstream.h. Private to this room. Unless said otherwise: the loop's thread.
///
/// upstream.c keeps requests and deadlines, upstream_registry.c what belongs to the process; a request waits on a flow,
/// which is a UDP socket (upstream_udp.c) or a connection (upstream_stream.c, upstream_tls.c). Times are monotonic ns.
#include "base/heap.h"
#include "base/reader.h"
#include "net/bytes.h"
#include "net/loop.h"
#include "net/upstream.h"
#include <openssl/types.h>
#include <pthread.h>
#include <sys/stat.h>

#define UDP_SLOTS 8            // sockets that questions to one upstream leave from at a time
#define UDP_QUESTIONS 64       // of one socket; then another takes its place
#define UDP_AGE_NS 5000000000U // after which no question leaves from a socket
#define UDP_SOCKETS 256        // of a loop; past them the ones in use serve longer, and an upstream has one at least
#define UDP_BATCH 16           // datagrams read with one system call
#define STREAMS 128            // connections of a loop
#define STREAM_IDLE 32         // idle connections of a loop to one upstream
#define STREAM_OUT 65536       // bytes of questions that wait for one connection to take them
#define STREAM_SILENT_NS 2000000000U // a connection that owes an answer for so long gets no new questions
#define WRONG_MAX 64                 // messages that answer nothing, beyond one for each question, that end a flow
#define HEADER 12                    // bytes of the shortest message (RFC 1035 §4.1.1)
#define NEVER UINT64_MAX

struct upstream_timer {
    struct heap_node node;
    void (*fire)(struct upstream_timer *timer, uint64_t now);
};

#define CONTAINER(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

struct upstream {
    struct upstream *next; ///< of the registry
    unsigned refs;         ///< users' and lanes'; under the registry's lock
    unsigned slot;         ///< its place in every loop's `lanes`; no other upstream's as long as it lives
    struct upstream_options options;
    struct stat files[3]; ///< tls_cert, tls_key, tls_ca when they were read
    struct ssl_ctx_st *tls;
    pthread_mutex_t session_lock;
    struct ssl_session_st *session; ///< to be resumed by the next connection; NULL: none
    /// Written by every loop; away from what all only read.
    _Alignas(64) struct upstream_counters counters;
};

/// What a loop has open to one upstream. Made by the first question, gone with its last flow.
struct upstream_lane {
    struct upstream *upstream;
    struct upstream_loop *loop;
    struct upstream_flow *sockets, *streams; ///< lists; connections: most recently used first
    struct upstream_flow *udp[UDP_SLOTS];    ///< the sockets that questions leave from; NULL: to be opened
    bool held;                               ///< stays without a flow: a question looks for one
    unsigned idle;                           ///< connections that wait for nothing
};

/// What requests wait on.
struct upstream_flow {
    uv_poll_t poll;
    struct upstream_lane *lane;
    struct upstream_flow *prev, *next; ///< of the lane
    struct upstream_request *requests; ///< that wait
    unsigned waiting;                  ///< their number
    unsigned asked;                    ///< questions in all
    unsigned wrong;                    ///< messages that answered nothing
    int fd;
    bool stream;
    bool busy;    ///< its event runs: it is settled at its end
    bool retired; ///< gets no new questions, and closes when nothing waits
    struct upstream_timer timer;
    uint64_t made;
    const char *overdue; ///< what it means when a request's deadline passes now
};

struct upstream_request {
    struct upstream_flow *flow;
    struct upstream_request *prev, *next; ///< of the flow; next: of the free list
    struct upstream_request *chain;       ///< of its bucket
    struct upstream_timer deadline;
    upstream_accept accept;
    upstream_cb callback;
    void *arg;
    uint64_t asked;
    const char *failed; ///< why it ends at its deadline, if not for the time
    uint16_t id;        ///< on the way
    uint16_t own_id;    ///< the caller's
    bool reused, kept;  ///< the connection was there; it was established
};

struct upstream_loop {
    struct net_loop *shared;
    uv_timer_t timer;
    uv_prepare_t prepare; ///< runs while there are connections with something to write
    uint64_t timer_due;   ///< 0: not running
    struct heap timers;
    struct upstream_lane **lanes; ///< by the upstream's slot
    size_t nlanes;
    struct upstream_request *free; ///< list
    struct request_chunk *chunks;
    unsigned requests;                                 ///< in flight
    unsigned nsockets, nstreams;                       ///< open
    struct upstream_stream *dirty;                     ///< list of connections with something to write
    struct upstream_request *table[UPSTREAM_REQUESTS]; ///< those in flight, by flow and id
    struct udp_answers *answers;                       ///< what one event receives; NULL until something is
};

// ---- upstream.c

/// Puts the timer to another time.
void timer_move(struct upstream_loop *loop, struct upstream_timer *timer, uint64_t at);
/// Lists the request with the flow, under a random id.
void request_add(struct upstream_request *r, struct upstream_flow *flow, uint64_t now);
/// Ends the request with CDNS_EIO, by the timer: not while its caller is asking. The reason is static.
void request_fail_later(struct upstream_request *r, const char *reason);
/// … all that wait on the flow but one (or NULL).
void flow_fail_later(struct upstream_flow *flow, const char *reason, const struct upstream_request *except);
/// Ends all that waits on the flow, and closes it.
void flow_fail(struct upstream_flow *flow, int error, const char *reason);
/// Hands a message to the request that it answers; the flow is busy. False: so many have answered nothing that the flow
/// cannot be trusted.
bool flow_deliver(struct upstream_flow *flow, uint8_t *message, size_t size, uint64_t now) CDNS_MUSTCHECK;
/// Does what the state asks for: an unused flow that is retired closes.
void flow_settle(struct upstream_flow *flow);
/// Lists a flow whose descriptor is open. CDNS_ENOMEM, CDNS_EIO with errno; then nothing has changed.
int flow_open(struct upstream_flow *flow, struct upstream_lane *lane) CDNS_MUSTCHECK;
/// Closes it, and frees it when libuv lets go; nothing may wait on it. The lane goes with its last flow.
void flow_close(struct upstream_flow *flow);
/// A text for an errno that a socket gave. Static.
const char *socket_reason(int error);
/// The lane goes if it has no flow.
void lane_settle(struct upstream_lane *lane);
/// Has stream_flush_all() called before the loop waits.
void loop_flush_later(struct upstream_loop *loop);
/// Memory for what one event receives. NULL: none.
struct udp_answers *loop_answers(struct upstream_loop *loop);

// ---- upstream_registry.c

/// One user more, one less; the last one frees it. Any thread.
void upstream_ref(struct upstream *u);
void upstream_unref(struct upstream *u);
/// Any thread.
static inline void upstream_count(uint64_t *counter)
{
    __atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

// ---- upstream_udp.c

#define ANSWER_SIZE 65535
// No multiple of 4 KiB: otherwise the starts of all answers would compete for the same set of the first-level cache.
#define ANSWER_STRIDE (ANSWER_SIZE + 1 + 192)

/// What was received and is being looked at. Untouched pages take no memory.
struct udp_answers {
    struct mmsghdr messages[UDP_BATCH];
    struct iovec iov[UDP_BATCH];
    uint8_t data[UDP_BATCH][ANSWER_STRIDE];
};

/// The flow that the question leaves from. CDNS_EIO with errno, CDNS_ENOMEM.
int udp_pick(struct upstream_lane *lane, uint64_t now, struct upstream_flow **flow) CDNS_MUSTCHECK;
/// Sends. What goes wrong is told through the callback, later.
void udp_send_question(struct upstream_request *r, const uint8_t *message, size_t size);

// ---- upstream_stream.c

/// The connection that the question goes to; `*reused`: it was there. CDNS_EIO with errno, CDNS_ENOMEM, CDNS_ELIMIT.
int stream_pick(struct upstream_lane *lane, uint64_t now, struct upstream_flow **flow, bool *reused) CDNS_MUSTCHECK;
/// Sends when the connection is there. CDNS_ENOMEM.
int stream_send_question(struct upstream_request *r, const uint8_t *message, size_t size) CDNS_MUSTCHECK;
/// Nothing came of the question in its time.
void stream_overdue(struct upstream_flow *flow, uint64_t asked);
void stream_settle(struct upstream_flow *flow);
/// Frees what a connection has beside the flow.
void stream_clear(struct upstream_flow *flow);
/// Writes what waits.
void stream_flush_all(struct upstream_loop *loop);

// ---- upstream_tls.c

/// The context for an upstream's options. CDNS_ECONFIG with a text, CDNS_ENOMEM. Any thread.
int tls_context(struct upstream *u, char *error) CDNS_MUSTCHECK;
/// A connection's end on a descriptor that it does not own; NULL: no memory.
struct ssl_st *tls_client(struct upstream *u, int fd);
/// Results of the three: > 0 (bytes), 0 (the peer has closed), or one of these.
enum {
    TLS_AGAIN = -1, ///< when the descriptor is ready for `*events` (UV_READABLE, UV_WRITABLE)
    TLS_FAILED = -2,
};
int tls_handshake(struct ssl_st *ssl, int *events);
int tls_read(struct ssl_st *ssl, void *data, size_t size, int *events);
int tls_write(struct ssl_st *ssl, const void *data, size_t size, int *events);
/// Has it bytes that the descriptor does not tell of? False for NULL.
bool tls_pending(const struct ssl_st *ssl);
/// Why it failed: CDNS_EDENIED (the certificate), CDNS_EIO, with a text of at most `size` bytes.
int tls_failure(struct ssl_st *ssl, char *text, size_t size);
/// Tells the peer if it may be told, and frees.
void tls_free(struct ssl_st *ssl, bool failed);
