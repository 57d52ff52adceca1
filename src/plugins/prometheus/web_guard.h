// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What `tls FILE` puts in front of an address: TLS, basic authentication, headers and a rate limit. The file and those
/// that it names are looked at when a connection comes, at most once a second. Main thread.
#include <clusterdns/http.h>

struct uv_loop_s;

/// Can the file be used, with all that it names? CDNS_ENOMEM, or CDNS_ECONFIG with why in `error` (WEB_ERROR_MAX).
int web_guard_check(const char *path, char *error) CDNS_MUSTCHECK;
/// The guard of a file, read anew; the one that is there already if it speaks TLS now as it did, with the
/// tokens that are left of its rate limit. `path` is copied. Errors as web_guard_check(): then a guard that is there
/// has not changed.
int web_guard_open(const char *path, struct uv_loop_s *loop, struct http_guard **out, char *error) CDNS_MUSTCHECK;
/// The opposite; after the endpoints that had it are closed. NULL is allowed.
void web_guard_close(struct http_guard *guard);
