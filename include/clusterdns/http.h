// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// HTTP endpoints of plugins (health, ready, prometheus): GET and HEAD on small fixed paths. Main thread.
#include <clusterdns/error.h>
#include <stddef.h>

/// A response: status, content type and a body that is copied when the handler returns. `body` is at first an empty
/// buffer of `cap` bytes; a handler that needs more sets `owned` to memory from malloc(), which is freed after sending.
struct http_response {
    int status;               ///< 200 unless the handler changes it
    const char *content_type; ///< static; "text/plain; charset=utf-8" unless changed
    char *body;               ///< room for `cap` bytes
    size_t cap, len;          ///< len: set by the handler
    char *owned;              ///< NULL, or the body in place of `body`
};
/// Answers a request. Runs on the main thread; must not block.
typedef void (*http_handler)(void *arg, struct http_response *response);

struct http_endpoint;

/// Serves `path` on `address` ("host:port", ":8080", "[::1]:8080", as Go's net.Listen takes it). One listener serves
/// all paths of an address and lives until its last endpoint is closed. CDNS_EEXIST: the path is taken there;
/// CDNS_EINVAL: not an address; CDNS_EIO: the system refused to listen (errno is set).
int http_open(const char *address, const char *path, http_handler handler, void *arg,
              struct http_endpoint **endpoint) CDNS_MUSTCHECK;
/// Ends the endpoint; its listener closes at once with the last one. NULL is allowed.
void http_close(struct http_endpoint *endpoint);
