// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Where the API server is and how to prove who we are: in a cluster the pod's service account, else a kubeconfig's
/// context or the addresses and files of `endpoint` and `tls`. Files are looked at again before each request, since
/// tokens and certificates are rotated under a running process; a new content that is broken is not taken.
/// Loaded on the main thread, then used by the kube thread alone.
#include "kube/source.h"
#include <clusterdns/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

/// Folder of the service account's files; tests name another one in the environment variable below.
#define SERVICE_ACCOUNT_DIR "/var/run/secrets/kubernetes.io/serviceaccount"
#define SERVICE_ACCOUNT_DIR_VARIABLE "CLUSTERDNS_SERVICEACCOUNT_DIR"

/// A text from a file that may change, or given once. All NULL: none.
struct secret {
    char *path; ///< NULL: the text does not change
    char *text; ///< NUL-terminated
    size_t len;
    struct stat seen; ///< of the file when `text` was read
};

/// What a client needs; read-only for it. NULL, or a secret without text: not given.
struct credentials {
    char *server; ///< URL without a slash at its end: "https://10.0.0.1:443", "https://rancher/k8s/clusters/c-1"
    char *tls_server_name;
    char *proxy_url; ///< from the kubeconfig or the environment, as proxy_url() makes it
    char *username, *password;
    struct secret ca, cert, key; ///< PEM; `key` belongs to `cert`
    struct secret token;         ///< bearer token; wins over username and password
    bool insecure;               ///< the server's certificate is not verified
    bool uncompressed;           ///< answers are not to be compressed
    char *kubeconfig, *context;  ///< where they were read from; NULL: not from a kubeconfig
    struct stat kubeconfig_seen;
};

/// Reads all that `options` names. CDNS_ECONFIG with text in `error`.
int credentials_load(const struct source_options *options, struct credentials **out, char *error,
                     size_t error_size) CDNS_MUSTCHECK;
void credentials_free(struct credentials *c);
/// Takes over what has changed in the files. What cannot be read or is no certificate, key or token is logged and the
/// old content stays. The server's address does not change.
void credentials_refresh(struct credentials *c);
