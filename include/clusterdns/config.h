// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The Corefile as plugins see it: directives with file and line on every token. Main thread only; everything lives as
/// long as the generation that is being built.
#include <clusterdns/address.h>
#include <clusterdns/arena.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// One word of a Corefile, quotes and escapes removed, environment references expanded.
struct token {
    const char *text; ///< NUL-terminated
    const char *file; ///< as it is named in messages
    uint32_t line;    ///< from 1
};

/// A line of tokens, with the lines of its block when it has one: a directive, or a property inside of a directive.
struct directive {
    const struct token *tokens;    ///< `ntokens` of them; tokens[0] is the name
    size_t ntokens;                ///< at least 1
    const struct directive *block; ///< `nblock` lines between the braces
    size_t nblock;                 ///< 0 for an empty block too
    bool has_block;                ///< braces were there
};

/// What .setup is given. `arena` is the place for the instance's memory too.
struct config {
    const char *plugin;                   ///< the plugin's name
    const struct directive *const *lines; ///< every directive of this name in the block, in file order
    size_t nlines;                        ///< at least 1
    const char *const *zones;             ///< the block's zones, normalised ("cluster.local."), reverse CIDRs expanded
    size_t nzones;                        ///< at least 1
    const char *server;                   ///< where the block is served, but for what bind says: "dns://:53"
    /// A number (CONFIG_REST bytes) for the block's keys, these directives and all those of plugins behind this one. If
    /// it is the same in the next configuration, what was learned from the plugins behind holds on.
    const uint8_t *rest;
    struct arena *arena; ///< lives as long as the generation
    char *error;         ///< filled by the functions below: CONFIG_ERROR_MAX bytes
    /// Set by .setup (bind's): the addresses that the block is served on, `nlisten` in c->arena, their ports ignored.
    /// NULL: all that the machine has; none at all: the block is served nowhere.
    const union sockaddr_any *listen;
    size_t nlisten;
};

#define CONFIG_ERROR_MAX 1024
#define CONFIG_REST 64

/// Records "plugin/NAME: FILE:LINE - Error during parsing: TEXT" and returns CDNS_ECONFIG: Caddy's Errf in CoreDNS.
int config_errorf(struct config *c, const struct token *at, const char *fmt, ...) CDNS_PRINTF(3, 4);
/// Records "plugin/NAME: FILE:LINE - Error during parsing: Wrong argument count or unexpected line ending after
/// 'TOKEN'".
int config_argument_error(struct config *c, const struct token *at);
/// Records "plugin/NAME: TEXT", for what CoreDNS reports without a place, followed by " (FILE:LINE)" if `at` is given.
int config_plain_errorf(struct config *c, const struct token *at, const char *fmt, ...) CDNS_PRINTF(3, 4);

/// Reads a duration as Go's time.ParseDuration does ("1.5s", "300ms", "1h2m"); nanoseconds in `*ns`. CDNS_ESYNTAX when
/// it is not one, CDNS_ERANGE when it does not fit: then ParseDuration's words ("time: missing unit in duration "1""),
/// to be passed on to one of the functions above, are in `error` (CONFIG_ERROR_MAX bytes, not c->error).
int config_duration(const char *text, int64_t *ns, char *error) CDNS_MUSTCHECK;
#define CONFIG_DURATION_MAX 32 ///< bytes of the longest text of a duration, NUL included
/// Writes a duration as Go prints it ("5m0s", "1.5s", "300ms"); returns `out`.
const char *config_duration_text(int64_t ns, char out[CONFIG_DURATION_MAX]);
/// Reads a decimal integer as Go's strconv.Atoi does, whole text, optional sign. CDNS_ESYNTAX, CDNS_ERANGE: then Atoi's
/// words are in `error` (CONFIG_ERROR_MAX bytes, not c->error; may be NULL).
int config_integer(const char *text, int64_t *value, char *error) CDNS_MUSTCHECK;
/// Reads a number as Go's strconv.ParseFloat does with 32 bits: decimal or hexadecimal, with underscores between
/// digits, "inf", "nan". Otherwise as config_integer(), with ParseFloat's words; CDNS_ENOMEM too.
int config_float(const char *text, float *value, char *error) CDNS_MUSTCHECK;
/// Zones of arguments `args[0…n)` normalised as CoreDNS's plugin.OriginsFromArgsOrServerBlock does: lower case, final
/// dot, CIDRs expanded to octet or nibble zones; what is no zone is left out, as there; with n = 0 the block's zones.
/// The texts are for name_from_text(), the array is in c->arena. CDNS_ENOMEM.
int config_zones(struct config *c, const struct token *args, size_t n, const char *const **zones,
                 size_t *nzones) CDNS_MUSTCHECK;
