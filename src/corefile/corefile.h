// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A Corefile as a tree. Main thread; no knowledge of plugins.
///
/// The grammar is that of CoreDNS 1.15.0 (Caddy v1), as are the texts of errors; test/cases/corefile shows it by
/// example and says where CoreDNS differs. These differences are meant:
///   - Errors here: a '}' that closes nothing; a '{' that begins a line, but for a server block's; words behind the '}'
///     of a directive's block; a snippet without a body; a NUL byte; a key with unix://. CoreDNS takes these for zones,
///     further directives, or nothing at all.
///   - A '}' at the end of a line inside of a directive closes the block; for some plugins of CoreDNS it is an
///   argument.
///   - An import that is the first thing in a snippet is followed inside of a directive's block, too.
///   - What comes from the environment is a plain word even if it is "{" or "}". A variable that refers to itself is an
///     error, as is every other thing that has no end; everything is bounded.
#include <clusterdns/arena.h>
#include <clusterdns/config.h>

// Bounds; each has an error text of its own.
#define COREFILE_MAX_FILE (8u << 20)   ///< bytes of one file
#define COREFILE_MAX_BYTES (64u << 20) ///< bytes of all files together, each counted as often as it is imported
#define COREFILE_MAX_TOKENS 1000000    ///< tokens, imports and snippets counted as often as they are used
#define COREFILE_MAX_IMPORTS 10000     ///< import directives that are followed
#define COREFILE_MAX_DEPTH 100         ///< imports inside of imports
#define COREFILE_MAX_MATCHES 1000      ///< files that one import pattern may match
#define COREFILE_MAX_NESTING 32        ///< blocks inside of a directive's block
#define COREFILE_MAX_KEYS 65536        ///< keys of all server blocks, reverse zones of CIDRs counted one by one

/// One listening key of a server block: "[SCHEME://]ZONE[:PORT]".
struct corefile_key {
    const struct token *token; ///< where it stands
    const char *scheme;        ///< "dns", "tls", "https", "grpc", "quic", "https3"
    const char *zone; ///< normalised: lower case, final dot; reverse CIDRs become in-addr.arpa./ip6.arpa. zones
    uint16_t port;    ///< explicit, or 0: the scheme's (or -dns.port's) default. See corefile_key_port()
    bool has_port;    ///< a port was written; it may be 0 (the system picks one)
};

/// A server block.
struct corefile_block {
    const struct corefile_key *keys;    ///< CIDR keys are expanded: a key can stand here several times with other zones
    size_t nkeys;                       ///< at least 1
    const struct directive *directives; ///< in file order, imports resolved
    size_t ndirectives;
    /// Addresses of the block's `bind` directives, set by the server before corefile_check_keys(); NULL: the wildcard.
    const char *const *listen;
    size_t nlisten;
};

struct corefile {
    struct corefile_block *blocks;
    size_t nblocks; ///< 0 when the file says nothing: the caller takes its built-in default
};

/// Says whether `directive` is a name to be accepted.
typedef bool (*corefile_known)(void *arg, const char *directive);

/// Reads and parses the file `path` ("stdin": standard input), named in messages as it is given here; imported files
/// are named by their absolute path. Everything is allocated in `a`, which must live as long as `out` is used.
/// A directive that `known` (NULL: all are) does not accept is the error "FILE:LINE - Error during parsing: Unknown
/// directive 'x'". Returns 0 or CDNS_ECONFIG with the text in `error` (CONFIG_ERROR_MAX bytes). Warnings (a pattern
/// that matches no file, an unknown scheme, a block without keys) go to the log.
int corefile_parse_file(struct arena *a, const char *path, corefile_known known, void *arg, struct corefile *out,
                        char *error) CDNS_MUSTCHECK;
/// As corefile_parse_file() for `len` bytes of text that need not live on; `name` stands for the path, in messages and
/// for relative imports.
int corefile_parse_text(struct arena *a, const char *name, const char *text, size_t len, corefile_known known,
                        void *arg, struct corefile *out, char *error) CDNS_MUSTCHECK;

#define COREFILE_HASH 64 ///< bytes: SHA-512
/// A number for what a configuration says, imports and environment included; comments, blanks and the names of files
/// make no difference. CDNS_ENOMEM.
int corefile_hash(const struct corefile *c, uint8_t hash[COREFILE_HASH]) CDNS_MUSTCHECK;
/// Adds directives to a number: `hash` becomes that of what it was a number for, and these. CDNS_ENOMEM.
int corefile_hash_more(uint8_t hash[COREFILE_HASH], const struct directive *const *lines, size_t n) CDNS_MUSTCHECK;
/// The same as corefile_hash() for the regular file `path` as it is now; nothing else can be read again. Warnings are
/// left to whoever uses the configuration. CDNS_ECONFIG with the text in `error` (CONFIG_ERROR_MAX bytes).
int corefile_hash_file(const char *path, uint8_t hash[COREFILE_HASH], char *error) CDNS_MUSTCHECK;

/// The port a key listens on: its own, or else its scheme's: `default_port` for dns, 853 for tls and quic, 443 for
/// grpc, https and https3.
uint16_t corefile_key_port(const struct corefile_key *key, uint16_t default_port);

/// Do two keys want the same zone, port and address? CDNS_ECONFIG with "cannot serve dns://.:53 - it is already
/// defined", or "cannot serve dns://.:53 on 127.0.0.1 - zone overlap listener capacity with dns://.:53" when one of
/// them is bound to an address and the other to all; the text ends in " (FILE:LINE)" of the later key.
/// Source: CoreDNS core/dnsserver/{register,address}.go.
int corefile_check_keys(const struct corefile *c, uint16_t default_port, char *error) CDNS_MUSTCHECK;

/// Normalises a zone argument as CoreDNS's plugin.Host(x).NormalizeExact does: scheme and port stripped, lower case,
/// final dot; a CIDR becomes one or several reverse zones. `*zones` gets `*n` texts in `a`. CDNS_EINVAL if it is no
/// zone, CDNS_ENOMEM.
int corefile_zones(struct arena *a, const char *text, const char *const **zones, size_t *n) CDNS_MUSTCHECK;
