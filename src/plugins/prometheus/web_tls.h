// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// TLS as tls_server_config wants it, by GnuTLS. Immutable once made; main thread.
#include "plugins/prometheus/web_config.h"

/// Does exporter-toolkit have such a name for …? Pure.
bool web_tls_has_cipher(const char *name);
bool web_tls_has_curve(const char *name);
bool web_tls_has_version(const char *name);
bool web_tls_has_client_auth(const char *name);

/// A file's contents, NUL behind them.
struct web_blob {
    char *data; ///< NULL: no such file is named
    size_t len;
};

/// What the fields cert_file, key_file and client_ca_file name; those that are NULL are given in the text, or not.
struct web_pems {
    struct web_blob cert, key, client_ca;
};

struct web_tls;
struct gnutls_session_int;

/// Is TLS wanted at all?
bool web_tls_wanted(const struct web_config *c);
/// Makes it of a configuration (which has to outlive it) for which web_tls_wanted(); `pems` are used during the call.
/// CDNS_ENOMEM, or CDNS_ECONFIG with a text as web_config_parse()'s in `error`.
int web_tls_new(const char *path, const struct web_config *c, const struct web_pems *pems, struct web_tls **out,
                char *error) CDNS_MUSTCHECK;
/// Does every client have to show a certificate that is verified? NULL is allowed: no.
bool web_tls_verifies(const struct web_tls *tls);
/// No session may use it any more. NULL is allowed.
void web_tls_free(struct web_tls *tls);
/// Prepares a session for its handshake; it keeps nothing of `tls` when this gives false, for lack of memory.
bool web_tls_begin(const struct web_tls *tls, struct gnutls_session_int *session) CDNS_MUSTCHECK;
