// SPDX-License-Identifier: Apache-2.0
#include "kube/status.h"
#include "kube/protobuf.h"
#include <jansson.h>
#include <string.h>

// Copies at most the first line of `text`, `len` bytes, without control bytes.
static void copy_text(char *out, size_t size, const char *text, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len && n + 1 < size && text[i] != '\n' && text[i] != '\r'; i++)
        out[n++] = (unsigned char)text[i] < 0x20 || text[i] == 0x7f ? ' ' : text[i];
    out[n] = '\0';
}

const char *api_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

// What a Status object says, in whatever format; texts borrowed.
struct said {
    int64_t code, retry_after;
    const char *reason, *message;
    size_t reason_len, message_len;
    bool too_large; // a cause says so
};

// The reason of a cause (StatusCause) of what struct api_status calls too_large.
static const char too_large_reason[] = "ResourceVersionTooLarge";

static void judge(struct api_status *out)
{
    out->expired = out->code == 410 || strcmp(out->reason, "Expired") == 0 || strcmp(out->reason, "Gone") == 0;
}

static void take(const struct said *said, struct api_status *out)
{
    *out = (struct api_status){.code = 500};
    if (said->code >= 100 && said->code <= 999)
        out->code = (int)said->code;
    if (said->retry_after > 0 && said->retry_after <= 3600)
        out->retry_after = (long)said->retry_after;
    copy_text(out->reason, sizeof out->reason, said->reason, said->reason_len);
    copy_text(out->message, sizeof out->message, said->message, said->message_len);
    out->too_large = said->too_large || strstr(out->message, "Too large resource version") != NULL; // before 1.19
    judge(out);
}

void api_status_decode(const json_t *object, struct api_status *out)
{
    const json_t *cause, *details = json_object_get(object, "details"), *causes = json_object_get(details, "causes");
    struct said said = {
        .code = json_integer_value(json_object_get(object, "code")),
        .retry_after = json_integer_value(json_object_get(details, "retryAfterSeconds")),
        .reason = api_text(object, "reason"),
        .message = api_text(object, "message"),
    };
    said.reason_len = strlen(said.reason);
    said.message_len = strlen(said.message);
    size_t i;
    json_array_foreach(causes, i, cause)
    {
        said.too_large = said.too_large || strcmp(api_text(cause, "reason"), too_large_reason) == 0;
    }
    take(&said, out);
}

static bool is_too_large(struct protobuf m) // StatusCause
{
    bool found = false;
    struct protobuf_field f;
    while (protobuf_next(&m, &f))
        if (f.tag == PROTOBUF_BYTES(1))
            found = protobuf_equals(&f, too_large_reason);
    return found;
}

static void read_details(struct said *said, struct protobuf m) // StatusDetails
{
    struct protobuf_field f;
    while (protobuf_next(&m, &f)) {
        if (f.tag == PROTOBUF_BYTES(4))
            said->too_large = said->too_large || is_too_large(protobuf_inside(&m, &f));
        else if (f.tag == PROTOBUF_INTEGER(5))
            said->retry_after = protobuf_signed(&f);
    }
}

// What is broken is taken as far as it can be read: it is a refusal in any case.
void api_status_from_protobuf(const void *data, size_t len, struct api_status *out)
{
    bool broken = false;
    struct said said = {0};
    struct protobuf_field f;
    struct protobuf m = protobuf_init(data, len, &broken); // Status
    while (protobuf_next(&m, &f)) {
        if (f.tag == PROTOBUF_BYTES(3)) {
            said.message = (const char *)f.data;
            said.message_len = f.len;
        } else if (f.tag == PROTOBUF_BYTES(4)) {
            said.reason = (const char *)f.data;
            said.reason_len = f.len;
        } else if (f.tag == PROTOBUF_BYTES(5)) {
            read_details(&said, protobuf_inside(&m, &f));
        } else if (f.tag == PROTOBUF_INTEGER(6)) {
            said.code = protobuf_signed(&f);
        }
    }
    take(&said, out);
}

// From the body of a failed answer; whatever is no Status is taken for text.
static void from_body(const char *body, size_t len, struct api_status *out)
{
    struct protobuf_object object;
    json_t *json = NULL;
    *out = (struct api_status){0};
    if (protobuf_is_object(body, len)) {
        if (protobuf_open(body, len, &object) == 0)
            api_status_from_protobuf(object.raw.data, object.raw.len, out);
        return;
    }
    if (len > 0)
        json = json_loadb(body, len, JSON_ALLOW_NUL, NULL);
    if (json != NULL)
        api_status_decode(json, out);
    else
        copy_text(out->message, sizeof out->message, body, len);
    json_decref(json);
}

void api_status_from_http(int http, const char *body, size_t len, long retry_after, struct api_status *out)
{
    from_body(body, len, out);
    out->code = http; // what was sent as the answer's status counts
    if (retry_after > 0)
        out->retry_after = retry_after;
    judge(out);
}
