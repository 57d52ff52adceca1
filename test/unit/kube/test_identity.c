// SPDX-License-Identifier: Apache-2.0
// A copy means the same source; a difference anywhere means another one.
#include "kube/identity.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void copies(void **unused)
{
    (void)unused;
    char file[] = "/etc/config", *names[] = {strdup("a"), strdup("b")};
    struct source_options o = {.endpoint = "http://x",
                               .kubeconfig = file,
                               .context = "",
                               .manifests = (const char *const *)names,
                               .nmanifests = 2,
                               .selectors = {[KUBE_SERVICE] = "app=web", [KUBE_POD] = file},
                               .store = {.pods = true}};
    struct source_options *copy = options_copy(&o);
    assert_non_null(copy);
    assert_true(options_equal(&o, copy));
    names[1][0] = 'c'; // the copy has texts of its own
    assert_false(options_equal(&o, copy));
    names[1][0] = 'b';
    file[1] = 'E';
    assert_false(options_equal(&o, copy));
    assert_string_equal(copy->kubeconfig, "/etc/config");
    assert_string_equal(copy->context, "");
    assert_string_equal(copy->selectors[KUBE_SERVICE], "app=web");
    assert_string_equal(copy->selectors[KUBE_POD], "/etc/config");
    assert_null(copy->tls_ca);
    free(copy);
    free(names[0]);
    free(names[1]);
}

static void differences(void **unused)
{
    (void)unused;
    static const char *const file = "x";
    const struct source_options same = {0}, others[] = {
                                                {.endpoint = file},
                                                {.tls_cert = file},
                                                {.tls_key = file},
                                                {.tls_ca = file},
                                                {.kubeconfig = file},
                                                {.context = file},
                                                {.manifests = &file, .nmanifests = 1},
                                                {.selectors = {[KUBE_NAMESPACE] = file}},
                                                {.selectors = {[KUBE_POD] = file}},
                                                {.limits = {.qps = 1}},
                                                {.limits = {.burst = 1}},
                                                {.limits = {.inflight = 1}},
                                                {.store = {.endpoints = true}},
                                                {.store = {.pods = true}},
                                                {.store = {.pod_names = true}},
                                                {.store = {.zones = true}},
                                                {.store = {.imports = true}},
                                            };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_true(options_equal(&others[i], &others[i]));
        assert_false(options_equal(&same, &others[i]));
        assert_false(options_equal(&others[i], &same));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(copies), cmocka_unit_test(differences)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
