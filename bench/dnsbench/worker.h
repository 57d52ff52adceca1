// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A thread of load. It takes what is due by its schedule, gives it to flows (sockets or connections) in turn, and
/// accounts for everything that comes back; how bytes travel is the transport's part: udp.c, stream.c. What is due is a
/// question, or with --stub a look-up, which asks several (stub.h).
#include "dnsbench/check.h"
#include "dnsbench/questions.h"
#include "dnsbench/results.h"
#include "dnsbench/schedule.h"
#include "dnsbench/stub.h"
#include <clusterdns/address.h>
#include <clusterdns/error.h>
#include <stdatomic.h>

#define WORKER_BATCH 32 ///< questions that a flow is given at once
#define FLOW_IDS 65536

struct worker;
struct flow;

/// How a flow's bytes travel. All functions are called on the worker's thread, but for `open` and `close`, which are
/// called before and after it runs.
struct transport {
    size_t flow_size; ///< bytes of a flow, of which struct flow is the first member
    /// Prepares the flow, zeroed but for what is the worker's, and registers it with worker_watch(). CDNS_EIO: errno.
    int (*open)(struct worker *w, struct flow *f);
    /// How many questions the flow takes now, at most WORKER_BATCH; 0: none. With look-ups it is never 1.
    unsigned (*room)(struct worker *w, struct flow *f);
    /// Sends the `n` newest questions of the flow; each ends as flow_sent() or flow_unsent().
    void (*send)(struct worker *w, struct flow *f, unsigned n);
    /// Epoll's events of the flow; messages that come go to flow_take().
    void (*event)(struct worker *w, struct flow *f, uint32_t events);
    void (*close)(struct flow *f);
};

extern const struct transport transport_udp, transport_stream;

/// What all threads do.
struct load {
    const struct transport *transport;
    union sockaddr_any server, source; ///< source: AF_UNSPEC: any
    const struct questions *questions;
    const struct candidates *lookups; ///< names that are looked up, with these `questions`; NULL: questions are asked
    unsigned attempts;                ///< of a look-up's question
    enum pick_order order;
    const struct alias *zipf;
    uint64_t seed;
    struct schedule_plan plan; ///< of an open loop; of a closed one its duration counts
    uint64_t queries;          ///< of all threads, questions (look-ups), at most; 0: any number
    uint32_t outstanding;    ///< 0: an open loop; else as many questions (look-ups) are on their way at a time, of all
                             ///< threads
    unsigned threads, flows; ///< flows of each thread
    uint32_t per_connection; ///< questions after which a connection is made anew; 0: never
    struct ssl_ctx_st *tls;  ///< transport_stream: DNS over TLS (RFC 7858); NULL: over TCP
    const char *tls_name;    ///< that the server's certificate has to be for; NULL: any
    uint64_t timeout_ns;
    uint64_t start_ns;   ///< in the monotonic clock's time: when the schedule begins
    struct check *check; ///< that answers are given to; NULL: none
    atomic_bool stop;    ///< nothing more is sent; what is on its way is waited for
};

/// A question on its way, by its id.
struct slot {
    uint64_t due;                      ///< nanoseconds after the start
    uint32_t lag;                      ///< until it was sent: nanoseconds, or a coarse measure of a long time
    uint32_t question : 30, state : 2; ///< place in the set
};

/// A socket or a connection. Ids are given out in a circle, so that slots lie in the order in which questions were
/// sent.
struct flow {
    int fd;
    uint16_t next, oldest;       ///< ids: the next to be given, the oldest whose end is not settled
    uint32_t waiting;            ///< questions on their way
    struct stub_ticket *tickets; ///< which look-up a question is of, by id; NULL: there are no look-ups
    struct slot slots[FLOW_IDS];
};

struct worker {
    const struct load *load;
    unsigned part; ///< of the load
    struct results results;
    struct schedule schedule;
    struct picker picker;
    int epoll;
    unsigned turn;    ///< flow that is given questions next
    uint64_t due;     ///< of the next question or look-up; UINT64_MAX: there is none
    uint64_t freed;   ///< what was due before then had to wait for the server: that is not this thread's lateness
    uint64_t stopped; ///< when the run was ended early; 0: it was not
    uint64_t left;    ///< that may still be begun
    uint64_t outstanding, most;
    struct stub *stub;     ///< NULL: there are no look-ups
    uint64_t look, expiry; ///< when flows are looked through for losses, and when the next one is expected
    struct flow **flows;
};

/// Thread `part` of the load, with its flows open. CDNS_EIO: errno says why they are not; CDNS_ENOMEM.
int worker_new(const struct load *load, unsigned part, struct worker **out) CDNS_MUSTCHECK;
void worker_free(struct worker *w);
/// Runs until all is sent and answered or lost: the thread's work. The results can be had while it runs (live) and
/// after.
void worker_run(struct worker *w);
/// Nanoseconds since the start.
uint64_t worker_now(const struct worker *w);

// --- for transports

/// Has epoll's `events` of the flow's descriptor told; again: changed.
int worker_watch(struct worker *w, struct flow *f, uint32_t events, bool again) CDNS_MUSTCHECK;
/// A socket to the server, not blocking, with the load's source. -1: errno.
int worker_socket(const struct load *load, int type);
/// The message of an id.
const struct question *flow_question(const struct worker *w, const struct flow *f, uint16_t id);
/// It was given to the kernel at a time.
void flow_sent(struct worker *w, struct flow *f, uint16_t id, uint64_t at);
/// It was not, and is not on its way.
void flow_unsent(struct worker *w, struct flow *f, uint16_t id);
/// A message that came at a time.
void flow_take(struct worker *w, struct flow *f, const uint8_t *message, size_t size, uint64_t at);
