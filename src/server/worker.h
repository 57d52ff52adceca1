// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A worker: one thread, one libuv loop, its own sockets, exchanges and deadlines. Unless said otherwise the functions
/// are for the worker's own thread, or for the main thread before the worker's has started.
#include "base/heap.h"
#include <clusterdns/error.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct exchange;
struct listen_address;
struct udp_listener;
struct tcp_listener;

#define WORKER_EXCHANGES 4096 ///< questions a worker has in hand at a time, child questions included
#define WORKER_IDLE 32        ///< exchanges kept for reuse

/// What waits must leave room for what need not: of the exchanges in hand so many may be parked, and these, with their
/// arenas, may hold so many bytes of the heap. What else would wait is answered with SERVFAIL, and counted. An exchange
/// (1.1 KiB) and its arena's first block (1 KiB, the question in it) are 2.1 KiB; 18 KiB when a question or what
/// plugins keep with it passes that block, and more when it passes 16 KiB, as questions over TCP can.
#define WORKER_PARKED 3072
#define WORKER_PARKED_BYTES ((size_t)8 << 20)

/// The sockets of one bound address.
struct worker_socket {
    struct worker_socket *next;
    struct worker *worker;
    const struct listen_address *listen; ///< of the generation that serves it; of a former one while it is drained
    struct udp_listener *udp;
    struct tcp_listener *tcp;
    bool serves;        ///< its listening address is of a generation that was adopted; until then nothing is read
    bool drained;       ///< the address is served no more
    uint64_t closed_ns; ///< when it was given up; a late datagram is waited for then
};

struct worker_task;
struct generation;

struct worker {
    unsigned id;
    uv_loop_t loop;
    pthread_t thread;
    uv_async_t wake;                    ///< main's commands
    atomic_uint command;                ///< enum worker_command
    _Atomic(struct worker_task *) task; ///< of worker_run(); NULL: none
    struct heap deadlines;              ///< of parked exchanges, monotonic nanoseconds
    uv_timer_t timer;                   ///< for the first deadline
    uint64_t timer_due;                 ///< what the timer is set to; 0: not running
    struct exchange *idle;              ///< free list
    struct exchange *active;            ///< every exchange in hand
    unsigned nidle, nactive;
    atomic_uint nparked;        ///< of `active`; the worker writes this and the next, relaxed, and others read them
    atomic_size_t parked_bytes; ///< that these hold
    struct worker_socket *sockets;
    struct worker_socket *late; ///< of which only UDP's are still open, to be closed
    uv_timer_t late_timer;
    uint8_t *scratch; ///< MESSAGE_MAX bytes for late and streamed replies
    uv_timer_t drain_timer;
    uv_async_t *drained_async; ///< main's: sent when the worker has nothing left in hand
    atomic_bool drained;
    bool started; ///< the thread runs; main's
};

enum worker_command {
    WORKER_SERVE,
    WORKER_DRAIN, ///< answer what was received; no new connections
    WORKER_STOP,  ///< end what waits and leave the loop
};

/// Prepares loop, timers and memory; no thread yet. CDNS_ENOMEM, CDNS_EIO.
int worker_init(struct worker *w, unsigned id) CDNS_MUSTCHECK;
// The next four: on the worker's thread (worker_run()), or before it has started.
/// Opens the sockets of an address; worker_adopt() has them read. CDNS_EIO with errno; CDNS_ENOMEM.
int worker_listen(struct worker *w, const struct listen_address *listen) CDNS_MUSTCHECK;
/// Has it sockets of this address, other than drained ones?
bool worker_listens(const struct worker *w, const struct listen_address *listen);
/// From now on questions go to this generation; the sockets of addresses that it has not are drained.
void worker_adopt(struct worker *w, const struct generation *g);
/// Closes the sockets that belong to this generation.
void worker_unlisten(struct worker *w, const struct generation *g);
/// Starts the thread. CDNS_EIO. Main thread.
int worker_start(struct worker *w) CDNS_MUSTCHECK;
/// Gives a command. Main thread; returns at once.
void worker_command(struct worker *w, enum worker_command command);
/// Runs `run` on the worker's thread, between two events of its loop, and waits for what it returns; at once if the
/// thread has not started. Main thread; one at a time.
int worker_run(struct worker *w, int (*run)(struct worker *w, void *arg), void *arg);
/// Waits for the thread's end. Main thread.
void worker_join(struct worker *w);
/// Frees everything; also ends what is still in hand (unit tests run without a thread).
void worker_free(struct worker *w);

/// The worker of the calling thread; NULL elsewhere.
struct worker *worker_current(void);
/// Makes `w` the calling thread's worker (worker_start()'s thread does; unit tests).
void worker_set_current(struct worker *w);
/// Number of workers for worker_count(); once, before any starts.
void worker_set_count(unsigned n);

/// An exchange from the free list, zeroed but for its arena and its message, counted in hand; NULL when
/// WORKER_EXCHANGES are, or memory is short.
struct exchange *worker_exchange(struct worker *w);
/// Gives it back.
void worker_release(struct worker *w, struct exchange *x);
/// Counts the exchange as parked: false if WORKER_PARKED or WORKER_PARKED_BYTES would be passed. Undone by
/// worker_unpark().
bool worker_park(struct worker *w, struct exchange *x) CDNS_MUSTCHECK;
void worker_unpark(struct worker *w, struct exchange *x);
/// Sees to it that chain_expire() is called at the exchange's deadline.
int worker_set_deadline(struct worker *w, struct exchange *x, uint64_t at_ns) CDNS_MUSTCHECK;
void worker_clear_deadline(struct worker *w, struct exchange *x);
