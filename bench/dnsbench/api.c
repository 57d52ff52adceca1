// SPDX-License-Identifier: Apache-2.0
#include "dnsbench/api.h"

#include "kube/buffer.h"
#include "kube/request.h"
#include "kube/status.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BODY_MAX 65536   // bytes of an answer
#define ANSWER_MS 10000L // for a whole request
#define JSON "Content-Type: application/json"
#define PATCH "Content-Type: application/merge-patch+json"

struct api_request {
    struct request request;
    const char *method;
    char path[256];
    struct buffer body; // of the answer
    char reason[CURL_ERROR_SIZE];
};

static size_t take(char *data, size_t size, size_t n, void *arg)
{
    return buffer_append(arg, BODY_MAX, data, size * n) == 0 ? size * n : 0;
}

int api_request_new(const struct credentials *c, const char *method, const char *path, struct api_request **out)
{
    struct api_request *r = calloc(1, sizeof *r);
    if (r == NULL)
        return CDNS_ENOMEM;
    r->method = method;
    snprintf(r->path, sizeof r->path, "%s", path);
    int rc = request_init(&r->request, c, path, "application/json", false);
    CURL *easy = r->request.easy;
    struct curl_slist *headers =
        rc == 0 ? curl_slist_append(r->request.headers, strcmp(method, "PATCH") == 0 ? PATCH : JSON) : NULL;
    if (headers == NULL) {
        api_request_free(r);
        return CDNS_ENOMEM;
    }
    r->request.headers = headers;
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, ANSWER_MS);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &r->body);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, r->reason);
    *out = r;
    return 0;
}

void api_request_free(struct api_request *r)
{
    if (r == NULL)
        return;
    request_clear(&r->request);
    buffer_free(&r->body);
    free(r);
}

static int judge(const struct api_request *r, int http, char *error)
{
    struct api_status said;
    if (http >= 200 && http < 300)
        return 0;
    api_status_from_http(http, r->body.data, r->body.len, 0, &said);
    snprintf(error, API_ERROR_MAX, "%s %s: %d %s", r->method, r->path, http, said.message);
    switch (http) {
    case 401:
    case 403:
        return CDNS_EDENIED;
    case 404:
        return CDNS_ENOENT;
    case 409:
        return CDNS_EEXIST;
    default:
        return CDNS_EIO;
    }
}

int api_request_send(struct api_request *r, const char *body, char *error)
{
    long http = 0;
    CURL *easy = r->request.easy;
    buffer_clear(&r->body);
    r->reason[0] = '\0';
    if (body != NULL) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body); // not copied
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)strlen(body));
    }
    CURLcode code = curl_easy_perform(easy);
    if (code != CURLE_OK) {
        snprintf(error, API_ERROR_MAX, "%s %s: %s", r->method, r->path,
                 r->reason[0] != '\0' ? r->reason : curl_easy_strerror(code));
        return CDNS_EIO;
    }
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &http);
    return judge(r, (int)http, error);
}
