// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Asking other servers over UDP, TCP and TLS: bytes out, bytes back; no record is known here.
///
/// An upstream is a server's address with the way to it. It belongs to the process: whoever asks for the same gets the
/// same, so connections live on when a configuration is replaced. Each loop that asks has its own sockets to it.
///
/// Against forged answers (RFC 5452): a UDP question leaves from one of several connected sockets with random ports,
/// each used for a bounded number of questions and a bounded time, under a random id; what comes from another address
/// never reaches the socket, and what does not answer a question in flight is passed over and counted. Whoever sends
/// too much of that (64 messages more than questions were asked on a socket or connection) ends it, with its questions.
///
/// What a loop can have open is bounded, whatever servers do: 256 UDP sockets (past them those in use serve longer;
/// each upstream has one at least) and 128 connections (past them idle ones close). Memory: requests, 1 KiB each at
/// most; for a connection at most 64 KiB of a begun answer, 64 KiB of questions that its server does not take, and
/// TLS's own (some 40 KiB); what is not needed is given back.
#include <clusterdns/address.h>
#include <clusterdns/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct ssl_ctx_st;

/// The way to a server.
struct upstream_options {
    union sockaddr_any address;     ///< with its port
    union sockaddr_any source;      ///< to ask from; sa_family AF_UNSPEC: any
    bool tls;                       ///< over TLS only (RFC 7858)
    const char *tls_name;           ///< name the certificate has to be for, and SNI; NULL: the address
    const char *tls_cert, *tls_key; ///< PEM files of our own certificate; NULL: none
    const char *tls_ca;             ///< PEM file of the CAs to trust; NULL: the system's
    uint64_t expire_ns;             ///< an idle connection is closed after so long (CoreDNS: 10 s)
    uint64_t max_age_ns;            ///< a connection that is so old gets no new questions; 0: no bound
    unsigned max_idle;              ///< idle connections kept by a loop; 0: no bound but the built-in one
};

struct upstream;

/// The upstream with these options (texts are copied); made if there is none. To be given back with upstream_put().
/// A certificate file that has been replaced since makes another upstream. On an error (CDNS_ECONFIG: certificate
/// files; CDNS_ENOMEM) the text is in `error` (CONFIG_ERROR_MAX bytes). Main thread.
int upstream_get(const struct upstream_options *options, struct upstream **out, char *error) CDNS_MUSTCHECK;
/// Gives it back: what its loops have in flight goes on; idle connections close when they expire. Main thread.
void upstream_put(struct upstream *u);

enum upstream_way {
    UPSTREAM_UDP, ///< (an upstream over TLS is asked over TLS all the same)
    UPSTREAM_TCP, ///< a connection that stays, several questions at a time (RFC 7766); over TLS if the upstream says so
};

struct upstream_request;

/// What became of a request.
struct upstream_result {
    int error; ///< 0; CDNS_ETIMEOUT, CDNS_EIO (refused, reset, unreachable, closed, flooded), CDNS_EDENIED (TLS: the
               ///< server's certificate), CDNS_ENOMEM
    const char *reason;     ///< of an error, for people: "connection refused"; static or valid until the callback ends
    const uint8_t *message; ///< the answer, its id the one that the caller wrote; borrowed until the callback returns
    size_t size;
    uint64_t duration_ns; ///< since upstream_ask(), so with the time it took to connect
    bool reused;          ///< a socket or connection that was there was used
    bool stale;           ///< an error on a connection that was kept from before: asking again at once may well work
};

/// Called once, on the loop's thread, never before upstream_ask() has returned; the request is gone. May ask and cancel
/// others, may not close the loop's upstreams.
typedef void (*upstream_cb)(void *arg, const struct upstream_result *result);
/// Is this the answer to the question `arg` asked? If not it is passed over, and waiting goes on. At least 12 bytes,
/// and the id is right; asks and cancels nothing.
typedef bool (*upstream_accept)(void *arg, const uint8_t *message, size_t size);

/// Asks. `message` (12 to UPSTREAM_QUESTION_MAX bytes, a question with a header) is copied; its id is replaced on the
/// way. `loop` is the calling thread's own. The request ends at `deadline_ns` (monotonic) at the latest.
/// CDNS_ELIMIT: UPSTREAM_REQUESTS are in flight on this loop, or all its connections are at work; CDNS_ENOMEM; CDNS_EIO
/// with errno (no socket): then there is no callback. What fails later, if only a moment, is told to the callback.
int upstream_ask(struct upstream *u, uv_loop_t *loop, enum upstream_way way, const uint8_t *message, size_t size,
                 uint64_t deadline_ns, upstream_accept accept, upstream_cb callback, void *arg,
                 struct upstream_request **request) CDNS_MUSTCHECK;
/// Ends a request without its callback. A connection that it was waiting for, and nobody else, closes.
void upstream_cancel(struct upstream_request *request);

/// Closes everything that the loop has open to upstreams; requests end without a callback. The loop has to run on to
/// free the memory. On its thread, or any when that has ended; every loop that has asked, before it ends.
void upstream_close_loop(uv_loop_t *loop);

#define UPSTREAM_QUESTION_MAX 512 ///< bytes of a question
#define UPSTREAM_REQUESTS 4096    ///< in flight on a loop; each takes at most 1 KiB beside what its caller has
#define UPSTREAM_PIPELINE 128     ///< questions in flight on one connection; beyond them another connection is opened

/// Counted since the start of the process, over all loops. Any thread (relaxed).
struct upstream_counters {
    uint64_t sent_udp, sent_stream;  ///< questions
    uint64_t conn_hits, conn_misses; ///< … over a connection that was there; that had to be opened (streams)
    uint64_t unexpected;             ///< messages that answered nothing in flight: late, forged, garbage
};
void upstream_counters(const struct upstream *u, struct upstream_counters *out);
