// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Requests to the API server of a kubeconfig, one after the other over connections that are kept. They block. One
/// thread at a time for each struct api.
#include "dnsbench/options.h"
#include <clusterdns/error.h>
#include <stddef.h>

#define API_ERROR_MAX 1024
#define API_BODY_MAX (64u << 20) ///< bytes of an answer
#define API_TIMEOUT_SECONDS 20   ///< for a whole request

struct api;

struct api_answer {
    long status; ///< HTTP status, never 0
    char *body;  ///< `size` bytes and a NUL; from malloc()
    size_t size;
};

/// For o->kubeconfig and o->context; nothing is asked yet. CDNS_ECONFIG: what is wrong is in `error` (API_ERROR_MAX
/// bytes); CDNS_ENOMEM.
int api_open(const struct options *o, struct api **out, char *error) CDNS_MUSTCHECK;
/// NULL is allowed.
void api_close(struct api *a);
/// One request: `path` with its query, from the slash on; `body` of `content_type`, or both NULL. 0: an answer came,
/// whatever its status; the caller gives it to api_answer_free(). CDNS_EIO: none came; why and what to do is in
/// `error`; CDNS_ENOMEM.
int api_request(struct api *a, const char *method, const char *path, const char *content_type, const char *body,
                struct api_answer *out, char *error) CDNS_MUSTCHECK;
void api_answer_free(struct api_answer *answer);
/// For an answer whose status is not the one hoped for: writes what the server says and what to do to `error`.
/// Returns CDNS_EDENIED for 401 and 403, CDNS_ENOENT for 404, CDNS_EEXIST for 409, else CDNS_EIO.
int api_refused(const struct api *a, const char *method, const char *path, const struct api_answer *answer,
                char *error);
