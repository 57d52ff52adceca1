// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// One TCP connection and the listener it belongs to. Private to this room; the loop's thread.
///
/// tcp.c opens and ends connections and watches the clock; connection.c moves their bytes. Times are the loop's
/// milliseconds (uv_now).
#include "net/bytes.h"
#include "net/loop.h"

enum connection_state {
    CONNECTION_OPEN,      ///< reads questions
    CONNECTION_FINISHING, ///< reads no more; what was asked is answered, then it ends
    CONNECTION_LINGERING, ///< our end is closed; what still comes is thrown away, so that no reset destroys our answers
    CONNECTION_CLOSED,    ///< no descriptor; the memory waits for the loop and for holds
};

struct tcp_connection {
    uv_poll_t poll;
    struct tcp_listener *listener;
    struct tcp_connection *older, *newer; ///< the listener's list, by the last question
    int fd;
    int armed; ///< events polled for
    enum connection_state state;
    bool busy;         ///< its event runs: connection_settle() follows at its end
    bool eof;          ///< the peer has closed its end
    bool last_read;    ///< drained: no questions are taken after those that the kernel has received
    bool look;         ///< drained, and it has not been looked what the kernel has received
    unsigned refs;     ///< holds, and one of the loop's handle
    uint16_t crowd;    ///< of its client's address: index in the listener's crowds
    unsigned asked;    ///< questions in all
    struct bytes in;   ///< received and not handled: a begun message, or what was read when reading paused
    struct bytes out;  ///< frames that the kernel did not take yet
    uint64_t idle_at;  ///< when the last question came, or the last answer went
    uint64_t begun_at; ///< when the begun message began
    uint64_t write_at; ///< when the peer last took something, or waiting for it began
    uint64_t linger_at;
    tcp_drain_cb drain;
    void *drain_arg;
    union sockaddr_any client, local;
};

#define CROWDS 1024 ///< a power of two

struct tcp_listener {
    uv_poll_t poll;
    uv_timer_t timer;
    struct net_loop *shared;
    tcp_handler handler;
    void *arg;
    struct tcp_limits limits;
    int fd; ///< -1 when no connections are accepted any more
    bool draining, closed;
    unsigned refs; ///< connections' memory, and one of each handle
    unsigned open; ///< connections with a descriptor
    /// Of `open`, by a keyed hash of the client's address: those of one address, and seldom of a few.
    unsigned crowds[CROWDS];
    size_t buffered;    ///< bytes allocated for all connections' buffers
    uint64_t wake_at;   ///< when the timer is due; UINT64_MAX: not set
    uint64_t accept_at; ///< accepting pauses until then; 0: it does not
    struct tcp_connection *oldest, *newest;
    union sockaddr_any address;
};

#define NEVER UINT64_MAX

/// Starts reading a connection that tcp.c has filled in and listed.
void connection_start(struct tcp_connection *connection);
/// Closes the descriptor at once; with `reset` the peer learns that something is missing. The memory is freed later.
void connection_close(struct tcp_connection *connection, bool reset);
/// Reads no more and forgets what is unhandled; ends when all questions are answered.
void connection_finish(struct tcp_connection *connection);
/// Does what the present state asks for: ends it, or polls for the events that can bring it on.
void connection_settle(struct tcp_connection *connection);
/// Drains: a last look at what the kernel has received.
void connection_drain(struct tcp_connection *connection);
/// Gives back a hold or the loop's reference.
void connection_release(struct tcp_connection *connection);
/// When something has to happen unless bytes move before; NEVER if nothing has to.
uint64_t connection_deadline(const struct tcp_connection *connection);
/// The deadline has passed.
void connection_expire(struct tcp_connection *connection, uint64_t now);

/// The listener's part (tcp.c): a question came, so it is the newest; its descriptor is closed; its memory is going.
void listener_touch(struct tcp_connection *connection);
void listener_forget(struct tcp_connection *connection);
void listener_release(struct tcp_listener *listener);
/// Makes sure that deadlines are looked at by `at`.
void listener_wake(struct tcp_listener *listener, uint64_t at);
/// When the buffers of all connections take more than they may: closes those that have stood still for longest.
void listener_relieve(struct tcp_listener *listener);
/// Milliseconds of a limit, rounded up.
static inline uint64_t limit_ms(uint64_t ns)
{
    return ns / 1000000 + (ns % 1000000 != 0);
}
