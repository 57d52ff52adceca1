// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Requests that change objects of a Kubernetes API server. Each function waits for its answer. A request belongs to
/// one thread at a time.
#include <clusterdns/error.h>

#define API_ERROR_MAX 1024

struct credentials; // kube/credentials.h
struct api_request;

/// A request that can be sent again and again, over a connection of its own that is kept. `method`: POST, PATCH (a
/// merge patch), DELETE; it is not copied. CDNS_ENOMEM.
int api_request_new(const struct credentials *c, const char *method, const char *path,
                    struct api_request **out) CDNS_MUSTCHECK;
/// NULL is allowed.
void api_request_free(struct api_request *r);
/// Sends it with a body of JSON (NULL: without). What went wrong is in `error` (API_ERROR_MAX bytes): CDNS_EDENIED: the
/// API server forbids it, or does not know who we are; CDNS_ENOENT, CDNS_EEXIST: there is no such object, there is one;
/// CDNS_EIO: no answer, or another refusal.
int api_request_send(struct api_request *r, const char *body, char *error) CDNS_MUSTCHECK;
