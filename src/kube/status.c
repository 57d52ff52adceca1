// SPDX-License-Identifier: Apache-2.0
#include "kube/status.h"
#include <stdio.h>
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

static bool is_too_large(const json_t *object)
{
    const json_t *cause, *causes = json_object_get(json_object_get(object, "details"), "causes");
    size_t i;
    json_array_foreach(causes, i, cause)
    {
        if (strcmp(api_text(cause, "reason"), "ResourceVersionTooLarge") == 0)
            return true;
    }
    return strstr(api_text(object, "message"), "Too large resource version") != NULL; // before 1.19
}

static void judge(struct api_status *out)
{
    out->expired = out->code == 410 || strcmp(out->reason, "Expired") == 0 || strcmp(out->reason, "Gone") == 0;
}

void api_status_decode(const json_t *object, struct api_status *out)
{
    *out = (struct api_status){.code = 500};
    json_int_t code = json_integer_value(json_object_get(object, "code"));
    json_int_t wait = json_integer_value(json_object_get(json_object_get(object, "details"), "retryAfterSeconds"));
    const char *message = api_text(object, "message"), *reason = api_text(object, "reason");
    if (code >= 100 && code <= 999)
        out->code = (int)code;
    if (wait > 0 && wait <= 3600)
        out->retry_after = (long)wait;
    copy_text(out->reason, sizeof out->reason, reason, strlen(reason));
    copy_text(out->message, sizeof out->message, message, strlen(message));
    out->too_large = is_too_large(object);
    judge(out);
}

void api_status_from_http(int http, const char *body, size_t len, long retry_after, struct api_status *out)
{
    json_t *object = len > 0 ? json_loadb(body, len, JSON_ALLOW_NUL, NULL) : NULL;
    if (object != NULL) {
        api_status_decode(object, out);
        json_decref(object);
    } else {
        *out = (struct api_status){0};
        copy_text(out->message, sizeof out->message, body, len);
    }
    out->code = http; // what was sent as the answer's status counts
    if (retry_after > 0)
        out->retry_after = retry_after;
    judge(out);
}
