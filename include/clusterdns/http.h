// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// HTTP endpoints of plugins (health, ready, prometheus): GET and HEAD on small fixed paths. Main thread.
#include <clusterdns/address.h>
#include <clusterdns/error.h>
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

struct http_endpoint;

/// Serves `path` on `address` ("host:port", ":8080", "[::1]:8080", as Go's net.Listen takes it: no host, 0.0.0.0 and ::
/// each accept IPv4 and IPv6; of a name's addresses the first IPv4 one is taken; a host name is looked up while the
/// caller waits). One listener serves all paths of an address, however the address is spelled, and lives until its last
/// endpoint is closed. GET and HEAD are answered, other methods with 405, other paths with 404.
/// The same handler may be opened several times on one path (two server blocks, a reload that starts the new
/// configuration before it stops the old one): the newest endpoint answers, and an older one again once that is closed.
/// CDNS_EEXIST: the path is taken there by another handler; CDNS_EINVAL: not an address; CDNS_EIO: the system refused
/// to listen (errno is set); CDNS_ENOMEM.
int http_open(const char *address, const char *path, http_handler handler, void *arg,
              struct http_endpoint **endpoint) CDNS_MUSTCHECK;
/// Ends the endpoint; its listener closes at once with the last one. NULL is allowed. Not from within a handler.
void http_close(struct http_endpoint *endpoint);
/// Where this machine reaches the endpoint: the address it listens on, a wildcard one replaced by 127.0.0.1.
void http_local_address(const struct http_endpoint *endpoint, union sockaddr_any *out);
/// Is the text of the form that Go's net.SplitHostPort takes? NULL if so, otherwise its words ("address a: missing port
/// in address"), written to `error` (`size` bytes, cut when longer). Nothing is looked up.
const char *http_address_error(const char *address, char *error, size_t size);
