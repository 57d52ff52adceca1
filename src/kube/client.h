// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// GET requests to one API server: libcurl's multi interface on the kube thread's libuv loop. Bodies are handed out as
/// they arrive. HTTP/2 when the server offers it (all requests then share one connection). Redirects are not followed;
/// a dead peer is found by TCP (TCP_USER_TIMEOUT), a silent one by whoever made the request. Requests beyond the limits
/// wait here for their turn, which comes in the order in which they were made. Each counts: lists, every page of one,
/// watches. Kube thread.
#include "kube/credentials.h"
#include "kube/limits.h"
#include <clusterdns/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#define CLIENT_CONNECT_SECONDS 10 ///< for the connection, TLS included
#define CLIENT_DEAD_PEER_MS 45000 ///< sent bytes, or keep-alive probes, may stay unacknowledged for so long
#define CLIENT_AHEAD_MS 1000      ///< so long the others wait for the first request's answer (client.c)
#define CLIENT_BODY_MAX 16384     ///< bytes of a failure's body that are kept

struct client;
struct transfer;

/// How a request ended.
struct client_result {
    int status;         ///< HTTP status; 0: there was no answer
    int error;          ///< 0: the answer came whole; CDNS_EIO: the connection failed or was cut; or a handler's
    int cause;          ///< a number that equal failures of the connection share, 0: none
    long retry_after;   ///< seconds of a Retry-After header, 0: none
    const char *reason; ///< text of a failed connection ("Connection refused"), else ""
    const char *body;   ///< of a status other than 200: the beginning of its body, `body_len` bytes
    size_t body_len;
};

/// Who gets the answer. In none of these but `done` may a request be made or cancelled.
struct client_handler {
    /// Its turn has come: the request is on its way. Perhaps before client_get() returns; may be NULL.
    void (*sent)(void *arg);
    /// A 200 has come; its body follows. A result other than 0 ends the request; may be NULL.
    int (*answer)(void *arg);
    /// Bytes of the body of a 200; a result other than 0 ends the request.
    int (*data)(void *arg, const char *data, size_t len);
    /// The end, once for each request that is not cancelled. The transfer is gone when it is called.
    void (*done)(void *arg, const struct client_result *result);
    void *arg;
};

/// NULL when memory is short. `credentials` are borrowed and must outlive the client; `limits` are copied.
struct client *client_new(uv_loop_t *loop, struct credentials *credentials, const struct limits *limits);
/// The server's URL.
const char *client_server(const struct client *c);
/// Cancels all requests and closes the connections; `closed` is called when the loop holds nothing of it any more.
void client_close(struct client *c, void (*closed)(void *arg), void *arg);

/// Makes a request for `path` (with its query, from the slash on) in one of the media types that `accept` lists.
/// `fresh`: on a new connection. CDNS_ENOMEM.
int client_get(struct client *c, const char *path, const char *accept, bool fresh, const struct client_handler *handler,
               struct transfer **out) CDNS_MUSTCHECK;
/// Ends a request, sent or not; `done` is not called.
void client_cancel(struct transfer *t);
/// The HTTP status of an answer that has begun; 0 before.
int client_status(const struct transfer *t);
/// Its Content-Type, borrowed; "" when there is none.
const char *client_content_type(const struct transfer *t);
