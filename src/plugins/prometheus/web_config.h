// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The file behind `tls FILE`: what it says, read and checked; exporter-toolkit's "web configuration". Any thread;
/// pure.
#include <clusterdns/arena.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEB_ERROR_MAX 512   ///< bytes of an error's text
#define WEB_ENTRIES_MAX 256 ///< of a list or mapping of the file
#define WEB_COST_MAX 16     ///< of a bcrypt hash: it takes seconds, and a connection lives for 15 (server/http.h)

#define WEB_COUNT(array) (sizeof(array) / sizeof(*(array))) ///< entries of a table

/// A text of the file and its line (from 1). NULL: not given, null or empty.
struct web_text {
    const char *text;
    size_t line;
};

/// A list (names are NULL) or a mapping.
struct web_list {
    struct web_entry {
        const char *name;
        struct web_text value;
    } * entries;
    size_t n;
    bool given; ///< also when it is empty
};

/// All of the file. Texts belong to the arena that it was read into.
struct web_config {
    struct web_text cert, key, client_ca;                ///< PEM
    struct web_text cert_file, key_file, client_ca_file; ///< relative ones begin with the folder of the file
    struct web_text client_auth_type, min_version, max_version;
    struct web_list cipher_suites, curve_preferences, client_allowed_sans;
    struct web_list headers, users;
    int64_t burst, interval_ns; ///< rate_limit
};

/// Reads `text` as the file `path` (its name in messages, its folder for others) into `arena`. CDNS_ENOMEM, or
/// CDNS_ECONFIG with "PATH:LINE: what is wrong" in `error` (WEB_ERROR_MAX bytes).
int web_config_parse(const char *path, const char *text, size_t len, struct arena *arena, struct web_config *out,
                     char *error) CDNS_MUSTCHECK;
/// Writes "PATH:LINE: " and the formatted text to `error` (WEB_ERROR_MAX bytes), without line if that is 0. Returns
/// CDNS_ECONFIG.
int web_error(char *error, const char *path, size_t line, const char *fmt, ...) CDNS_PRINTF(4, 5);
