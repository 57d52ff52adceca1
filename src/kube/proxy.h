// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The proxy on the way to an API server: from a kubeconfig's proxy-url, else from the environment, read as Go's
/// clients read it (golang.org/x/net/http/httpproxy), which differs from libcurl's way. The environment is only read,
/// so any thread may call while none changes it.
#include <clusterdns/error.h>
#include <stdbool.h>
#include <stddef.h>

/// Brings a proxy's URL, http, https or socks5, to the form that libcurl needs: with a port, Go's default when none is
/// given (80, 443, 1080), and names left to a SOCKS proxy to look up. `*out` is the caller's to free. CDNS_EINVAL,
/// CDNS_ENOMEM.
int proxy_url(const char *text, char **out) CDNS_MUSTCHECK;

/// The value of http_proxy, https_proxy or their capital forms that holds for `server` (an http or https URL), with
/// "http://" before it if it has no scheme; NULL in `*out` when there is none, or the server is this machine or named
/// by no_proxy. `*out` is the caller's to free. CDNS_ENOMEM.
int proxy_of_environment(const char *server, char **out) CDNS_MUSTCHECK;

/// Does `list`, a NO_PROXY, name the host (no brackets around IPv6) or, where an entry has a port, both? Entries,
/// between commas: an address, a prefix (10.0.0.0/8), a domain (itself and all below; with "." or "*." before it only
/// those below), "*".
bool proxy_is_excepted(const char *list, const char *host, const char *port);
