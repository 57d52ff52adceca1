// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// HTTP endpoints of plugins (health, ready, prometheus): GET and HEAD on small fixed paths. Main thread.
#include <clusterdns/address.h>
#include <clusterdns/error.h>
#include <stdbool.h>
#include <stddef.h>

/// A response: status, content type and a body that is copied when the handler returns. `body` is at first an empty
/// buffer of `cap` bytes; a handler that needs more sets `owned` to memory from malloc(), which is freed after sending.
/// What may be large is made while it is sent: `produce` and its like, which may outlive the endpoint.
struct http_response {
    int status;               ///< 200 unless the handler changes it
    const char *content_type; ///< static; "text/plain; charset=utf-8" unless changed
    char *body;               ///< room for `cap` bytes
    size_t cap, len;          ///< len: set by the handler
    char *owned;              ///< NULL, or the body in place of `body`
    /// NULL, or writes the next bytes (at most `cap`) of the body to `out`, in place of `body`; 0: that was all.
    size_t (*produce)(void *stream, char *out, size_t cap);
    void (*finish)(void *stream); ///< with `produce`: the response was sent or given up
    void *stream;
};
/// Answers a request. Runs on the main thread; must not block, open or close endpoints.
typedef void (*http_handler)(void *arg, struct http_response *response);

/// A header of responses; both texts are NUL-terminated.
struct http_header {
    const char *name, *value;
};

struct http_request; ///< a request that waits for its guard's verdict

#define HTTP_ADMIT 0 ///< a verdict: the endpoint may answer
#define HTTP_WAIT 1  ///< a verdict: there is none yet

/// What a guard says of a request.
struct http_verdict {
    int status;                        ///< HTTP_ADMIT, HTTP_WAIT, or the status that the request is refused with
    const struct http_header *headers; ///< `nheaders` for the response, whoever gives it; valid until `leave`
    size_t nheaders;
};

struct gnutls_session_int; // gnutls/gnutls.h: what a gnutls_session_t points to
struct placement;          // query.h

/// Stands before everything on an address: speaks TLS, and decides who may ask. All functions are called on the main
/// thread, must not block (but for reading small files), and open or close no endpoint. The guard has to outlive its
/// endpoints.
struct http_guard {
    bool tls; ///< connections speak TLS
    /// A connection comes. `session` (NULL without `tls`) is its TLS session before the handshake, without certificate:
    /// the guard gives it all that it needs. Returns the guard's own record of the connection, or NULL to refuse it.
    void *(*enter)(struct http_guard *guard, struct gnutls_session_int *session);
    /// Its request: `authorization` is the header of this name (valid during the call) or NULL. After HTTP_WAIT the
    /// guard calls http_resume(request) and is then asked again; no more after `leave`.
    struct http_verdict (*judge)(void *visit, const char *authorization, struct http_request *request);
    /// The connection is over, its request waiting or not; the TLS session is not used any more.
    void (*leave)(void *visit);
};

/// What is served, and where. All that it points to has to outlive the endpoint, but for the two texts.
struct http_service {
    const char *address; ///< as Go's net.Listen takes it: "host:port", ":8080", "[::1]:8080"
    const char *path;    ///< "/metrics"
    http_handler handler;
    void *arg;                ///< for the handler
    struct http_guard *guard; ///< NULL: plain HTTP, open to everybody
    const struct placement
        *at; ///< of the instance that opens it (struct plugin_start): tells one configuration from the next
};

struct http_endpoint;

/// Serves a path on an address: no host, 0.0.0.0 and :: each accept IPv4 and IPv6; of a name's addresses the first IPv4
/// one is taken; a host name is looked up while the caller waits. One listener serves all paths of an address, however
/// the address is spelled, behind the same guard, and lives until its last endpoint is closed. GET and HEAD are
/// answered, other methods with 405, other paths with 404.
/// The same handler may be opened several times on one path (two server blocks, a reload that starts the new
/// configuration before it stops the old one): the newest endpoint answers, and an older one again once that is closed.
/// With another guard than the former configuration's, an address has two listeners until that one is stopped.
/// CDNS_EEXIST: the path is taken there by another handler; CDNS_ECONFIG: the same configuration serves the address
/// behind another guard; CDNS_EINVAL: not an address; CDNS_EIO: the system refused to listen (errno is set);
/// CDNS_ENOMEM.
int http_open(const struct http_service *service, struct http_endpoint **endpoint) CDNS_MUSTCHECK;
/// Why http_open() has just failed, for a message: text of its code, or (CDNS_EIO) of errno, so it is to be called at
/// once. Valid until the next call.
const char *http_open_error(int code);
/// Has the guard asked again about a request that it has let wait, soon after this has returned. Of no effect if it
/// does not wait; not after `leave`, when there is no request any more.
void http_resume(struct http_request *request);
/// Ends the endpoint; its listener closes at once with the last one. NULL is allowed. Not from within a handler.
void http_close(struct http_endpoint *endpoint);
/// Where this machine reaches the endpoint: the address it listens on, a wildcard one replaced by 127.0.0.1.
void http_local_address(const struct http_endpoint *endpoint, union sockaddr_any *out);
/// Is the text of the form that Go's net.SplitHostPort takes? NULL if so, otherwise its words ("address a: missing port
/// in address"), written to `error` (`size` bytes, cut when longer). Nothing is looked up.
const char *http_address_error(const char *address, char *error, size_t size);
