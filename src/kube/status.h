// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What the API server says when it refuses: a Status object (Kubernetes API conventions, "Response Status Kind"), as
/// the body of a failed request or inside an ERROR event of a watch, in JSON or protobuf. Pure.
#include <stdbool.h>
#include <stddef.h>

struct json_t; // jansson.h

struct api_status {
    int code;          ///< as HTTP's; 0: nothing was refused
    char reason[64];   ///< "Expired", "Forbidden", …; "" when absent
    char message[300]; ///< text for people, control bytes replaced
    bool expired;      ///< 410, or a reason that means it: the resource version or continue token is too old
    bool too_large;    ///< the resource version is ahead of the server's
    long retry_after;  ///< seconds, 0: not said
};

/// Text of a member of the API's JSON; "" when there is none.
const char *api_text(const struct json_t *object, const char *key);
/// From a Status object; anything else gives code 500.
void api_status_decode(const struct json_t *object, struct api_status *out);
/// From a Status message without its envelope; the same.
void api_status_from_protobuf(const void *data, size_t len, struct api_status *out);
/// From a failed answer: HTTP status, body (Status object in either format, or any text) and Retry-After in seconds.
void api_status_from_http(int http, const char *body, size_t len, long retry_after, struct api_status *out);
