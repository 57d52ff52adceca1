// SPDX-License-Identifier: Apache-2.0
#include "kube/resource.h"
#include <curl/curl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// "status.phase!=Succeeded,status.phase!=Failed,status.phase!=Unknown": pods that have ended keep their address.
#define LIVE_PODS "status.phase%21%3DSucceeded%2Cstatus.phase%21%3DFailed%2Cstatus.phase%21%3DUnknown"
// "multicluster.kubernetes.io/service-name": there is such a label.
#define IMPORTED "multicluster.kubernetes.io%2Fservice-name"

static const struct resource imports_v1beta1 = {
    .plural = "serviceimports",
    .group = "multicluster.x-k8s.io",
    .path = "/apis/multicluster.x-k8s.io/v1beta1/serviceimports",
    .kind = "ServiceImport",
    .version = "multicluster.x-k8s.io/v1beta1",
    .json_only = true,
};

const struct resource resources[KUBE_KINDS] = {
    [KUBE_NAMESPACE] =
        {.plural = "namespaces", .group = "", .path = "/api/v1/namespaces", .kind = "Namespace", .version = "v1"},
    [KUBE_SERVICE] =
        {.plural = "services", .group = "", .path = "/api/v1/services", .kind = "Service", .version = "v1"},
    [KUBE_ENDPOINTSLICE] = {.plural = "endpointslices",
                            .group = "discovery.k8s.io",
                            .path = "/apis/discovery.k8s.io/v1/endpointslices",
                            .kind = "EndpointSlice",
                            .version = "discovery.k8s.io/v1"},
    [KUBE_POD] = {.plural = "pods",
                  .group = "",
                  .path = "/api/v1/pods",
                  .kind = "Pod",
                  .version = "v1",
                  .field_selector = LIVE_PODS},
    [KUBE_SERVICE_IMPORT] = {.plural = "serviceimports",
                             .group = "multicluster.x-k8s.io",
                             .path = "/apis/multicluster.x-k8s.io/v1alpha1/serviceimports",
                             .kind = "ServiceImport",
                             .version = "multicluster.x-k8s.io/v1alpha1",
                             .json_only = true,
                             .other = &imports_v1beta1},
    [KUBE_IMPORTED_SLICE] = {.plural = "endpointslices",
                             .group = "discovery.k8s.io",
                             .path = "/apis/discovery.k8s.io/v1/endpointslices",
                             .kind = "EndpointSlice",
                             .version = "discovery.k8s.io/v1",
                             .label_selector = IMPORTED},
};

// "NAME=value&" with the value escaped; "" (allocated) when `value` is empty.
static char *parameter(const char *name, const char *value)
{
    if (*value == '\0')
        return strdup("");
    char *out = NULL, *escaped = curl_easy_escape(NULL, value, 0);
    if (escaped != NULL && asprintf(&out, "%s=%s&", name, escaped) < 0)
        out = NULL;
    curl_free(escaped);
    return out;
}

// "fieldSelector=…&labelSelector=…&", or what of it there is.
static char *selectors(const struct resource *r, const char *labels)
{
    const char *field = r->field_selector, *label = r->label_selector;
    char *out = NULL, *escaped = curl_easy_escape(NULL, labels, 0);
    bool both = label != NULL && *labels != '\0', any = label != NULL || *labels != '\0';
    if (escaped != NULL && asprintf(&out, "%s%s%s%s%s%s%s%s", field != NULL ? "fieldSelector=" : "",
                                    field != NULL ? field : "", field != NULL ? "&" : "", any ? "labelSelector=" : "",
                                    escaped, both ? "%2C" : "", label != NULL ? label : "", any ? "&" : "") < 0)
        out = NULL;
    curl_free(escaped);
    return out;
}

static char *watch_path(const struct resource *r, const char *labels, const char *rv, const char *initial,
                        unsigned seconds)
{
    char *out = NULL, *version = parameter("resourceVersion", rv), *objects = selectors(r, labels);
    if (version != NULL && objects != NULL &&
        asprintf(&out, "%s?allowWatchBookmarks=true&%s%s%stimeoutSeconds=%u&watch=true", r->path, objects, version,
                 initial, seconds) < 0)
        out = NULL;
    free(version);
    free(objects);
    return out;
}

char *resource_watchlist_path(const struct resource *r, const char *labels, const char *rv, unsigned seconds)
{
    return watch_path(r, labels, rv, "resourceVersionMatch=NotOlderThan&sendInitialEvents=true&", seconds);
}

char *resource_watch_path(const struct resource *r, const char *labels, const char *rv, unsigned seconds)
{
    return watch_path(r, labels, rv, "", seconds);
}

char *resource_check_path(const struct resource *r, const char *rv)
{
    char *out = NULL, *version = parameter("resourceVersion", rv);
    if (version != NULL && asprintf(&out, "%s?limit=1&%sresourceVersionMatch=NotOlderThan", r->path, version) < 0)
        out = NULL;
    free(version);
    return out;
}

char *resource_list_path(const struct resource *r, const char *labels, const char *rv, const char *token,
                         unsigned limit)
{
    char *out = NULL, page[32] = "";
    char *place = token != NULL ? parameter("continue", token) : parameter("resourceVersion", rv);
    char *objects = selectors(r, labels);
    if (limit > 0)
        snprintf(page, sizeof page, "limit=%u&", limit);
    if (place != NULL && objects != NULL) {
        int n =
            asprintf(&out, "%s?%s%s%s", r->path, token != NULL ? place : page, token != NULL ? page : place, objects);
        if (n < 0)
            out = NULL;
        else
            out[n - 1] = '\0'; // the last '&', or the '?' when there are no parameters
    }
    free(place);
    free(objects);
    return out;
}
