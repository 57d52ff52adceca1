// SPDX-License-Identifier: Apache-2.0
#include "dnsbench/api.h"

#include "dnsbench/text.h"
#include "kube/credentials.h"
#include "kube/request.h"
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct api {
    struct credentials *credentials;
    CURLSH *share; // what requests have in common: the connections
};

int api_open(const struct options *o, struct api **out, char *error)
{
    const struct source_options place = {.kubeconfig = o->kubeconfig, .context = o->context};
    struct api *a = calloc(1, sizeof *a);
    if (a == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(a);
        return CDNS_ENOMEM;
    }
    int rc = credentials_load(&place, &a->credentials, error, API_ERROR_MAX);
    if (rc == 0) {
        a->share = curl_share_init();
        rc = a->share == NULL || curl_share_setopt(a->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_CONNECT) != CURLSHE_OK
                 ? CDNS_ENOMEM
                 : 0;
    }
    if (rc == 0)
        *out = a;
    else
        api_close(a);
    return rc;
}

void api_close(struct api *a)
{
    if (a == NULL)
        return;
    curl_share_cleanup(a->share);
    credentials_free(a->credentials);
    free(a);
}

// --- a request

static size_t on_data(char *data, size_t one, size_t n, void *arg)
{
    struct api_answer *out = arg;
    if (out->size + one * n > API_BODY_MAX)
        return CURL_WRITEFUNC_ERROR;
    char *body = realloc(out->body, out->size + one * n + 1);
    if (body == NULL)
        return CURL_WRITEFUNC_ERROR;
    out->body = body;
    memcpy(body + out->size, data, one * n);
    out->size += one * n;
    body[out->size] = '\0';
    return one * n;
}

static bool set_body(struct request *r, const char *content_type, const char *body)
{
    char header[256];
    if (body == NULL)
        return true;
    snprintf(header, sizeof header, "Content-Type: %s", content_type);
    struct curl_slist *longer = curl_slist_append(r->headers, header);
    if (longer == NULL)
        return false;
    r->headers = longer;
    curl_easy_setopt(r->easy, CURLOPT_HTTPHEADER, r->headers);
    curl_easy_setopt(r->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body));
    curl_easy_setopt(r->easy, CURLOPT_POSTFIELDS, body);
    return true;
}

static int perform(struct api *a, struct request *r, struct api_answer *out, char *error)
{
    char detail[CURL_ERROR_SIZE] = "";
    curl_easy_setopt(r->easy, CURLOPT_ERRORBUFFER, detail);
    CURLcode code = curl_easy_perform(r->easy);
    curl_easy_setopt(r->easy, CURLOPT_ERRORBUFFER, NULL);
    if (code == CURLE_OK && curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &out->status) == CURLE_OK &&
        (out->body != NULL || on_data("", 1, 0, out) == 0))
        return 0;
    if (code == CURLE_WRITE_ERROR && out->size > 0) {
        snprintf(error, API_ERROR_MAX, "%s: an answer of more than %u MB: is that a Kubernetes API?",
                 a->credentials->server, API_BODY_MAX >> 20);
        return CDNS_EIO;
    }
    if (code == CURLE_OK || code == CURLE_WRITE_ERROR || code == CURLE_OUT_OF_MEMORY)
        return CDNS_ENOMEM;
    snprintf(error, API_ERROR_MAX,
             "%s: %s: look whether the API server runs and can be reached from here, and whether the kubeconfig's "
             "context names the right one",
             a->credentials->server, detail[0] != '\0' ? detail : curl_easy_strerror(code));
    return CDNS_EIO;
}

int api_request(struct api *a, const char *method, const char *path, const char *content_type, const char *body,
                struct api_answer *out, char *error)
{
    struct request r;
    *out = (struct api_answer){0};
    credentials_refresh(a->credentials);
    int rc = request_init(&r, a->credentials, path, "application/json", false);
    if (rc == 0 && !set_body(&r, content_type, body))
        rc = CDNS_ENOMEM;
    if (rc == 0) {
        curl_easy_setopt(r.easy, CURLOPT_CUSTOMREQUEST, method);
        curl_easy_setopt(r.easy, CURLOPT_SHARE, a->share);
        curl_easy_setopt(r.easy, CURLOPT_TIMEOUT, (long)API_TIMEOUT_SECONDS);
        curl_easy_setopt(r.easy, CURLOPT_WRITEFUNCTION, on_data);
        curl_easy_setopt(r.easy, CURLOPT_WRITEDATA, out);
        rc = perform(a, &r, out, error);
    }
    request_clear(&r);
    if (rc != 0)
        api_answer_free(out);
    return rc;
}

void api_answer_free(struct api_answer *answer)
{
    free(answer->body);
    *answer = (struct api_answer){0};
}

// --- refusals

int api_refused(const struct api *a, const char *method, const char *path, const struct api_answer *answer, char *error)
{
    json_t *status = json_loadb(answer->body, answer->size, 0, NULL);
    const char *message = json_string_value(json_object_get(status, "message")), *remedy = "";
    if (answer->status == 401)
        remedy = ": the kubeconfig's credentials are not (or no longer) good: get new ones, or name another --context";
    else if (answer->status == 403)
        remedy = ": a ClusterRole has to let this user do it, or name another --context (kubectl auth can-i asks)";
    snprintf(error, API_ERROR_MAX, "%s%.200s: %s: %ld%s%.400s%s", a->credentials->server, path, method, answer->status,
             message != NULL ? " " : "", message != NULL ? message : "", remedy);
    text_clean(error);
    json_decref(status);
    switch (answer->status) {
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
