// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A libcurl handle that is set up for one GET request to the API server: URL, whom to trust, who we are, how the
/// connection behaves. Who gets the answer is client.c's business. Kube thread.
#include "kube/credentials.h"
#include <curl/curl.h>

struct request {
    CURL *easy;
    struct curl_slist *headers, *connect_to; ///< used by `easy`
};

/// `path` with its query, from the slash on; `accept`: media types. `fresh`: on a new connection. Nothing of the
/// arguments is kept. CDNS_ENOMEM.
int request_init(struct request *r, const struct credentials *c, const char *path, const char *accept,
                 bool fresh) CDNS_MUSTCHECK;
/// Frees what is in it; also after a failed request_init().
void request_clear(struct request *r);
