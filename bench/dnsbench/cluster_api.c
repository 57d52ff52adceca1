// SPDX-License-Identifier: Apache-2.0
#include "dnsbench/api.h"
#include "dnsbench/cluster_objects.h"

#include "kube/decode.h"
#include "kube/resource.h"
#include <clusterdns/clock.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGES_MAX 20000                // of all lists: ten million objects
#define LIST_NS UINT64_C(120000000000) // for all of them
#define OBJECT_MAX (256u << 20)        // bytes that one decoded object may take

_Static_assert(API_ERROR_MAX <= CLUSTER_ERROR_MAX, "what the API says has room");

// Who wants to know what: the lists of one API.
struct listing {
    struct cluster *cluster;
    struct api *api;
    struct arena *arena; // of the object at hand
    char *error;
    unsigned pages;
    uint64_t until; // monotonic
};

static int take_item(struct listing *l, enum kube_kind kind, const json_t *item)
{
    char reason[200];
    struct kube_object object;
    arena_reset(l->arena);
    int rc = decode_json(item, (int)kind, l->arena, &object, reason, sizeof reason);
    if (rc == CDNS_EINVAL) // no name: nobody can ask for it
        return 0;
    return rc == 0 ? cluster_take(l->cluster, &object) : rc;
}

static int take_page(struct listing *l, enum kube_kind kind, const struct api_answer *page, char **token)
{
    json_error_t where;
    json_t *list = json_loadb(page->body, page->size, JSON_ALLOW_NUL, &where), *item;
    const json_t *items = json_object_get(list, "items");
    const char *more = json_string_value(json_object_get(json_object_get(list, "metadata"), "continue"));
    size_t i;
    int rc = 0;
    if (!json_is_array(items) && !json_is_null(items)) {
        snprintf(l->error, CLUSTER_ERROR_MAX, "%s: the answer is no list: is the kubeconfig's server a Kubernetes API?",
                 resources[kind].path);
        rc = CDNS_ECONFIG;
    }
    json_array_foreach(items, i, item)
    {
        rc = take_item(l, kind, item);
        if (rc != 0)
            break;
    }
    *token = NULL;
    if (rc == 0 && more != NULL && more[0] != '\0' && (*token = strdup(more)) == NULL)
        rc = CDNS_ENOMEM;
    json_decref(list);
    return rc;
}

static int read_page(struct listing *l, enum kube_kind kind, char **token)
{
    struct api_answer page;
    char *path = resource_list_path(&resources[kind], "", "", *token, LIST_PAGE), *next = NULL;
    if (path == NULL)
        return CDNS_ENOMEM;
    int rc = api_request(l->api, "GET", path, NULL, NULL, &page, l->error);
    if (rc == 0) {
        rc = page.status == 200 ? take_page(l, kind, &page, &next)
                                : api_refused(l->api, "GET", resources[kind].path, &page, l->error);
        api_answer_free(&page);
    }
    free(path);
    free(*token);
    *token = next;
    return rc;
}

static int read_list(struct listing *l, enum kube_kind kind)
{
    char *token = NULL;
    int rc;
    do {
        rc = read_page(l, kind, &token);
        if (rc == 0 && (++l->pages > PAGES_MAX || clock_monotonic_ns() > l->until)) {
            snprintf(l->error, CLUSTER_ERROR_MAX, "%s: the list does not come to its end", resources[kind].path);
            rc = CDNS_ECONFIG;
        }
    } while (rc == 0 && token != NULL);
    free(token);
    return rc;
}

int cluster_list(struct cluster *c, const struct options *o, char *error)
{
    static const enum kube_kind kinds[] = {KUBE_NAMESPACE, KUBE_SERVICE, KUBE_ENDPOINTSLICE, KUBE_POD};
    struct listing l = {
        .cluster = c, .arena = arena_new(OBJECT_MAX), .error = error, .until = clock_monotonic_ns() + LIST_NS};
    int rc = l.arena != NULL ? api_open(o, &l.api, error) : CDNS_ENOMEM;
    for (size_t i = 0; rc == 0 && i < sizeof kinds / sizeof kinds[0]; i++)
        if (kinds[i] != KUBE_POD || (o->names & NAMES_PODS) != 0) // a right that is not needed is not asked for
            rc = read_list(&l, kinds[i]);
    api_close(l.api);
    arena_free(l.arena);
    return rc == 0 || rc == CDNS_ENOMEM ? rc : CDNS_ECONFIG;
}
