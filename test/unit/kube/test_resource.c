// SPDX-License-Identifier: Apache-2.0
// The requests as they are written.
#include "kube/resource.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void expect(char *path, const char *text)
{
    assert_non_null(path);
    assert_string_equal(path, text);
    free(path);
}

#define PODS "fieldSelector=status.phase%21%3DSucceeded%2Cstatus.phase%21%3DFailed%2Cstatus.phase%21%3DUnknown"

#define IMPORTED "labelSelector=multicluster.kubernetes.io%2Fservice-name"

static void paths(void **unused)
{
    (void)unused;
    const struct resource *services = &resources[KUBE_SERVICE], *pods = &resources[KUBE_POD];
    expect(resource_watchlist_path(services, "", "", 300),
           "/api/v1/services?allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan&sendInitialEvents=true&"
           "timeoutSeconds=300&watch=true");
    expect(resource_watchlist_path(pods, "", "17", 300),
           "/api/v1/pods?allowWatchBookmarks=true&" PODS "&resourceVersion=17&resourceVersionMatch=NotOlderThan&"
           "sendInitialEvents=true&timeoutSeconds=300&watch=true");
    expect(resource_watch_path(services, "", "a&b", 5),
           "/api/v1/services?allowWatchBookmarks=true&resourceVersion=a%26b&timeoutSeconds=5&watch=true");
    expect(resource_check_path(services, "a&b"),
           "/api/v1/services?limit=1&resourceVersion=a%26b&resourceVersionMatch=NotOlderThan");
    expect(resource_list_path(services, "", "", NULL, 0), "/api/v1/services");
    expect(resource_list_path(services, "", "0", NULL, 500), "/api/v1/services?limit=500&resourceVersion=0");
    expect(resource_list_path(services, "", "9", "x=", 500), "/api/v1/services?continue=x%3D&limit=500");
    expect(resource_list_path(pods, "", "9", NULL, 0), "/api/v1/pods?resourceVersion=9&" PODS);
    expect(resource_list_path(&resources[KUBE_ENDPOINTSLICE], "", "9", NULL, 0),
           "/apis/discovery.k8s.io/v1/endpointslices?resourceVersion=9");
    const struct resource *imported = &resources[KUBE_IMPORTED_SLICE];
    expect(resource_list_path(imported, "", "", "x", 500),
           "/apis/discovery.k8s.io/v1/endpointslices?continue=x&limit=500&" IMPORTED);
    expect(resource_list_path(imported, "", "", NULL, 0), "/apis/discovery.k8s.io/v1/endpointslices?" IMPORTED);
    expect(resource_watch_path(imported, "", "9", 5),
           "/apis/discovery.k8s.io/v1/endpointslices?allowWatchBookmarks=true&" IMPORTED
           "&resourceVersion=9&timeoutSeconds=5&watch=true");
    expect(resource_list_path(&resources[KUBE_NAMESPACE], "", "", NULL, 500), "/api/v1/namespaces?limit=500");
}

// A selector of the user's stands beside the resource's own.
static void labels(void **unused)
{
    (void)unused;
    const char *selector = "app=web,tier in (a,b),!old";
#define LABELS "labelSelector=app%3Dweb%2Ctier%20in%20%28a%2Cb%29%2C%21old"
    expect(resource_list_path(&resources[KUBE_SERVICE], selector, "", NULL, 0), "/api/v1/services?" LABELS);
    expect(resource_list_path(&resources[KUBE_POD], selector, "9", "x", 500),
           "/api/v1/pods?continue=x&limit=500&" PODS "&" LABELS);
    expect(resource_watch_path(&resources[KUBE_NAMESPACE], selector, "9", 5),
           "/api/v1/namespaces?allowWatchBookmarks=true&" LABELS "&resourceVersion=9&timeoutSeconds=5&watch=true");
    expect(resource_list_path(&resources[KUBE_IMPORTED_SLICE], selector, "", NULL, 0),
           "/apis/discovery.k8s.io/v1/endpointslices?" LABELS "%2Cmulticluster.kubernetes.io%2Fservice-name");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(paths), cmocka_unit_test(labels)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
