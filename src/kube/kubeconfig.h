// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// kubeconfig files (Kubernetes: "Organizing Cluster Access Using kubeconfig Files", client-go's clientcmd/api/v1):
/// one context of one file, its cluster and its user. Any thread.
#include <clusterdns/error.h>
#include <stdbool.h>
#include <stddef.h>

/// A context, resolved. Text is owned; NULL: not given. Paths are absolute or relative to the process, no longer to the
/// file's directory. Of a file and its -data, only the data is set.
struct kubeconfig {
    char *server;          ///< as written
    char *tls_server_name; ///< name to verify the server's certificate by, and SNI
    char *proxy_url;
    char *ca_file, *cert_file, *key_file, *token_file;
    char *ca_data, *cert_data, *key_data; ///< PEM text
    char *token, *username, *password;
    bool insecure;     ///< insecure-skip-tls-verify
    bool uncompressed; ///< disable-compression
};

/// Reads the context `context` (NULL or "": current-context) of a file. CDNS_ECONFIG with "FILE: …" or "FILE:LINE: …"
/// in `error` (`out` is empty then); also for what a DNS server cannot do: exec, auth-provider, impersonation.
int kubeconfig_read(const char *path, const char *context, struct kubeconfig *out, char *error,
                    size_t error_size) CDNS_MUSTCHECK;
/// The same from memory; `path` is what messages and relative paths go by.
int kubeconfig_parse(const char *path, const char *text, size_t len, const char *context, struct kubeconfig *out,
                     char *error, size_t error_size) CDNS_MUSTCHECK;
/// Frees what is in it.
void kubeconfig_clear(struct kubeconfig *k);
