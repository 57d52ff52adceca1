// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The grammar: server blocks, their directives and what is inside of these. Source: Caddy v1's parser. Stricter than
/// it where it would take a mistake for something else: a '}' that closes nothing, and a '{' that begins a line of a
/// directive, are errors.
#include "corefile/stream.h"

/// A server block as it is written.
struct parsed_block {
    const struct token *keys; ///< `nkeys` of them, at least one
    size_t nkeys;
    const struct directive *directives;
    size_t ndirectives;
};

/// Reads all server blocks to `blocks` (struct parsed_block), allocated in the stream's arena. `known` as in
/// corefile_parse_file(). CDNS_ECONFIG with the text in the stream's `error`.
int parser_read(struct stream *s, corefile_known known, void *arg, struct list *blocks) CDNS_MUSTCHECK;
