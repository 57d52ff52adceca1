// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A Corefile as a tree (shared/reference: CoreDNS's grammar, Caddy v1). Main thread; no knowledge of plugins.
#include <clusterdns/arena.h>
#include <clusterdns/config.h>

/// One listening key of a server block: "[SCHEME://]ZONE[:PORT]".
struct corefile_key {
    const struct token *token; ///< where it stands
    const char *scheme;        ///< "dns", "tls", "https", "grpc", "quic", "https3"
    const char *zone; ///< normalised: lower case, final dot; reverse CIDRs become in-addr.arpa./ip6.arpa. zones
    uint16_t port;    ///< explicit, or 0: the scheme's (or -dns.port's) default
};

/// A server block.
struct corefile_block {
    const struct corefile_key *keys; ///< CIDR keys are expanded: a key can stand here several times with other zones
    size_t nkeys;
    const struct directive *directives; ///< in file order, imports resolved
    size_t ndirectives;
};

struct corefile {
    const struct corefile_block *blocks;
    size_t nblocks;
    uint8_t hash[32]; ///< over the parsed tokens, imports included (reload)
};

/// Reads and parses `path` ("-" or NULL: nothing; `text` is used instead when given, named `name` in messages).
/// Everything is allocated in `a`. `known(arg, directive)` says whether a directive name is known; an unknown one is
/// the error "FILE:LINE - Error during parsing: Unknown directive 'x'". Returns 0 or CDNS_ECONFIG with the text in
/// `error` (CONFIG_ERROR_MAX bytes). Warnings (empty import glob, unknown scheme) go to the log.
int corefile_parse_file(struct arena *a, const char *path, bool (*known)(void *arg, const char *directive), void *arg,
                        struct corefile *out, char *error) CDNS_MUSTCHECK;
int corefile_parse_text(struct arena *a, const char *name, const char *text, size_t len,
                        bool (*known)(void *arg, const char *directive), void *arg, struct corefile *out,
                        char *error) CDNS_MUSTCHECK;

/// Normalises a zone argument as CoreDNS's plugin.Host(x).NormalizeExact does: scheme and port stripped, lower case,
/// final dot; a CIDR becomes one or several reverse zones. `*zones` gets `*n` texts in `a`. CDNS_EINVAL if it is no
/// zone.
int corefile_zones(struct arena *a, const char *text, const char *const **zones, size_t *n) CDNS_MUSTCHECK;
