// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Text of a Corefile to words. Source of the rules: Caddy v1's lexer.
///   - Words are separated by white space (Unicode's); carriage returns and a leading byte order mark are skipped.
///   - A word that starts with '"' goes on to the next '"', over lines too; \" is the only escape, other backslashes
///     stay. What follows the closing quote is another word.
///   - '#' starts a comment anywhere. After the beginning of a word it ends at the next white space, not at the end of
///     the line: `log#a b` is the words `log` and `b`.
#include <clusterdns/config.h>

/// A word as written, without quotes and escapes; references to the environment are not yet expanded.
struct word {
    struct token token;
    bool starts_line; ///< the word before, if any, ended on an earlier line
};

struct words {
    const struct word *at; ///< `n` words
    size_t n;
};

/// Splits `len` bytes into words, which are allocated in `a`; `text` need not live on, `file` (its name in messages)
/// must. CDNS_ECONFIG with the text in `error` (CONFIG_ERROR_MAX bytes) when there are more than `max` words, a NUL
/// byte or too little memory.
int lex(struct arena *a, const char *file, const void *text, size_t len, size_t max, struct words *out,
        char *error) CDNS_MUSTCHECK;
