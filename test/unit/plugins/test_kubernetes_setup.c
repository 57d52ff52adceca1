// SPDX-License-Identifier: Apache-2.0
// The directive's grammar, CoreDNS's error texts, and what reaches the source.
#include "kubernetes_test.h"

#define AT(line) "plugin/kubernetes: Corefile:" line " - Error during parsing: "
#define ARGUMENTS(line, word) AT(line) "Wrong argument count or unexpected line ending after '" word "'"
#define OPTION(text) "kubernetes cluster.local {\n" text "\n}"

static const struct setup_case cases[] = {
    {"kubernetes", NULL},
    {"kubernetes cluster.local", NULL},
    {"kubernetes cluster.local 10.0.0.0/8 {\n}", NULL},
    {"kubernetes 10.0.0.0/8", "plugin/kubernetes: non-reverse zone name must be used (Corefile:2)"},
    {"kubernetes 10.0.0.0/8 2001:db8::/32", "plugin/kubernetes: non-reverse zone name must be used (Corefile:2)"},
    {"kubernetes in-addr.arpa ip6.arpa", NULL}, // CoreDNS takes them for any zone
    {"kubernetes a\nkubernetes b",
     "plugin/kubernetes: this plugin can only be used once per Server Block (Corefile:3)"},
    {"kubernetes a {\nfoo\n}\nkubernetes b", AT("3") "unknown property 'foo'"},
    {OPTION("upstream 8.8.8.8"), AT("3") "unknown property 'upstream'"},
    {OPTION("resyncperiod 5m"), AT("3") "unknown property 'resyncperiod'"},
    {OPTION("transfer to *"), AT("3") "unknown property 'transfer'"},
    {OPTION("ttl 10 {\n}"), AT("3") "unknown property '{'"},
    {OPTION("pods disabled"), NULL},
    {OPTION("pods verified"), NULL},
    {OPTION("pods"), ARGUMENTS("3", "pods")},
    {OPTION("pods insecure verified"), ARGUMENTS("3", "verified")},
    {OPTION("pods maybe"), "plugin/kubernetes: wrong value for pods: maybe,  must be one of: disabled, verified, "
                           "insecure (Corefile:3)"},
    {OPTION("endpoint_pod_names"), NULL},
    {OPTION("endpoint_pod_names on"), ARGUMENTS("3", "on")},
    {OPTION("namespaces"), ARGUMENTS("3", "namespaces")},
    {OPTION("namespaces a b"), NULL},
    {OPTION("endpoint"), ARGUMENTS("3", "endpoint")},
    {OPTION("endpoint http://127.0.0.1:8080 http://127.0.0.1:8081"), NULL},
    {OPTION("tls a b"), ARGUMENTS("3", "b")},
    {OPTION("tls a b c"), NULL},
    {OPTION("tls a b c d"), ARGUMENTS("3", "d")},
    {OPTION("kubeconfig"), ARGUMENTS("3", "kubeconfig")},
    {OPTION("kubeconfig file context"), NULL},
    {OPTION("kubeconfig file context more"), ARGUMENTS("3", "more")},
    {OPTION("fallthrough"), NULL},
    {OPTION("fallthrough 10.0.0.0/8 cluster.local"), NULL},
    {OPTION("ttl"), ARGUMENTS("3", "ttl")},
    {OPTION("ttl 0"), NULL},
    {OPTION("ttl 3600"), NULL},
    {OPTION("ttl 5 6"), NULL},
    {OPTION("ttl 3601"), AT("3") "ttl must be in range [0, 3600]: 3601"},
    {OPTION("ttl -1"), AT("3") "ttl must be in range [0, 3600]: -1"},
    {OPTION("ttl x"), "plugin/kubernetes: strconv.Atoi: parsing \"x\": invalid syntax (Corefile:3)"},
    {OPTION("ttl 99999999999999999999"),
     "plugin/kubernetes: strconv.Atoi: parsing \"99999999999999999999\": value out of range (Corefile:3)"},
    {OPTION("noendpoints"), NULL},
    {OPTION("noendpoints x"), ARGUMENTS("3", "x")},
    {OPTION("ignore"), NULL},
    {OPTION("ignore empty_service"), NULL},
    {OPTION("ignore foo"), "plugin/kubernetes: unable to parse ignore value: 'foo' (Corefile:3)"},
    {OPTION("startup_timeout"), ARGUMENTS("3", "startup_timeout")},
    {OPTION("startup_timeout 1s"), NULL},
    {OPTION("startup_timeout 1"), "plugin/kubernetes: failed to parse startup_timeout: 1, time: missing unit in "
                                  "duration \"1\" (Corefile:3)"},
    {OPTION("manifests"), ARGUMENTS("3", "manifests")},
    {OPTION("manifests a b"), NULL},
    {OPTION("manifests a\nkubeconfig b"), "plugin/kubernetes: manifests take the place of an API: leave out endpoint "
                                          "and kubeconfig (Corefile:2)"},
    {OPTION("labels"), ARGUMENTS("3", "labels")},
    {OPTION("labels a=b"), NULL},
    {OPTION("labels \"\""), NULL},
    {OPTION("labels environment in (production, staging, qa),application=nginx"), NULL},
    {OPTION("labels a in (b, c"), "plugin/kubernetes: unable to parse label selector value: 'a in (b, c': couldn't "
                                  "parse the selector string \"a in (b, c\": unable to parse requirement: found '', "
                                  "expected: ',' or ')' (Corefile:3)"},
    {OPTION("labels a!=b"), "plugin/kubernetes: unable to parse label selector value: 'a!=b': \"!=\" is not a valid "
                            "label selector operator (Corefile:3)"},
    {OPTION("namespace_labels"), ARGUMENTS("3", "namespace_labels")},
    {OPTION("namespace_labels a=b"), NULL},
    {OPTION("namespace_labels a>1"), "plugin/kubernetes: unable to parse namespace_label selector value: 'a>1': \"gt\" "
                                     "isn't supported in label selectors (Corefile:3)"},
    {OPTION("namespace_labels a=b\nnamespaces a"), AT("3") "namespaces and namespace_labels cannot both be set"},
    {OPTION("namespaces a\nnamespace_labels \"\"\nttl 1"),
     AT("4") "namespaces and namespace_labels cannot both be set"},
    {OPTION("zonal"), NULL},
    {OPTION("zonal x"), ARGUMENTS("3", "x")},
    {OPTION("zonal\nnoendpoints"), AT("3") "zonal requires the endpoint cache; remove noendpoints"},
    {OPTION("noendpoints\nzonal"), AT("4") "zonal requires the endpoint cache; remove noendpoints"},
    {OPTION("multicluster"), NULL}, // of no zone
    {OPTION("multicluster Cluster.local."), NULL},
    {OPTION("multicluster a"),
     AT("3") "is not authoritative for the multicluster zone a. (authoritative zones: [cluster.local.])"},
    {OPTION("multicluster sub.cluster.local"), AT("3") "is not authoritative for the multicluster zone "
                                                       "sub.cluster.local. (authoritative zones: [cluster.local.])"},
    {OPTION("multicluster a\nmulticluster cluster.local"), NULL}, // the last line counts
    {OPTION("multicluster cluster.local\nmulticluster"), NULL},
    {OPTION("multicluster a\nfoo"), AT("4") "unknown property 'foo'"}, // zones are looked at last
    {OPTION("multicluster cluster.local\nnoendpoints"), NULL},
    {OPTION("multicluster a\nzonal\nnoendpoints"),
     AT("3") "is not authoritative for the multicluster zone a. (authoritative zones: [cluster.local.])"},
    {"kubernetes a b 10.0.0.0/7 {\nmulticluster 11.0.0.0/8 b\n}", NULL},
    {"kubernetes a b 10.0.0.0/7 {\nmulticluster 11.0.0.0/7\n}", NULL},
    {"kubernetes a b 10.0.0.0/7 {\nmulticluster 12.0.0.0/8 b\n}",
     AT("3") "is not authoritative for the multicluster zone 12.in-addr.arpa. (authoritative zones: [a. b. "
             "10.in-addr.arpa. 11.in-addr.arpa.])"},
    {"kubernetes {\nmulticluster a\n}",
     AT("3") "is not authoritative for the multicluster zone a. (authoritative zones: [.])"},
    {"kubernetes a {\nmulticluster b\n}\nkubernetes a",
     AT("3") "is not authoritative for the multicluster zone b. (authoritative zones: [a.])"},
    {OPTION("apiserver_qps"), ARGUMENTS("3", "apiserver_qps")},
    {OPTION("apiserver_qps 1 2"), ARGUMENTS("3", "2")},
    {OPTION("apiserver_qps 0.5"), NULL},
    {OPTION("apiserver_qps NaN"), NULL},
    {OPTION("apiserver_qps inf"), NULL},
    {OPTION("apiserver_qps -0"), NULL},
    {OPTION("apiserver_qps -0.1"), AT("3") "apiserver_qps must be >= 0"},
    {OPTION("apiserver_qps fast"),
     AT("3") "invalid apiserver_qps \"fast\": strconv.ParseFloat: parsing \"fast\": invalid syntax"},
    {OPTION("apiserver_qps 1e39"),
     AT("3") "invalid apiserver_qps \"1e39\": strconv.ParseFloat: parsing \"1e39\": value out of range"},
    {OPTION("apiserver_burst"), ARGUMENTS("3", "apiserver_burst")},
    {OPTION("apiserver_burst 1 2"), ARGUMENTS("3", "2")},
    {OPTION("apiserver_burst 1"), NULL},
    {OPTION("apiserver_burst -1"), AT("3") "apiserver_burst must be >= 0"},
    {OPTION("apiserver_burst 1.5"),
     AT("3") "invalid apiserver_burst \"1.5\": strconv.Atoi: parsing \"1.5\": invalid syntax"},
    {OPTION("apiserver_max_inflight"), ARGUMENTS("3", "apiserver_max_inflight")},
    {OPTION("apiserver_max_inflight 1"), NULL},
    {OPTION("apiserver_max_inflight -1"), AT("3") "apiserver_max_inflight must be >= 0"},
    {OPTION("apiserver_max_inflight 99999999999999999999"),
     AT("3") "invalid apiserver_max_inflight \"99999999999999999999\": strconv.Atoi: parsing "
             "\"99999999999999999999\": value out of range"},
};

static void grammar(void **state)
{
    (void)state;
    log_begin(LOG_FORMAT_TEXT);
    check_setups(kubernetes, cases, COUNT(cases));
    assert_non_null(strstr(log_end(), "[WARNING] plugin/kubernetes: Multiple endpoints have been deprecated, only the "
                                      "first specified endpoint 'http://127.0.0.1:8080' is used\n"));
}

static struct kubernetes *built_with(struct built *b, const char *body)
{
    if (build(kubernetes, body, b) != 0)
        fail_msg("%s", b->error);
    return b->self;
}

static void defaults(void **state)
{
    (void)state;
    struct built b;
    const struct kubernetes *k = built_with(&b, "kubernetes");
    assert_int_equal(k->ttl, 5);
    assert_int_equal(k->startup_timeout_ns, 5000000000);
    assert_int_equal(k->pods, PODS_DISABLED);
    assert_int_equal(k->nzones, 1);
    assert_int_equal(k->zones[0].len, 1); // the block's zone, "."
    assert_true(k->from.store.endpoints);
    assert_false(k->from.store.pods || k->from.store.pod_names || k->from.store.zones || k->from.store.imports);
    assert_false(k->namespaces_only || k->ignore_empty || k->endpoint_pod_names);
    assert_int_equal(k->nfall, 0);
    assert_false(kubernetes->ready(b.self)); // not started
    unbuild(kubernetes, &b);
}

static void the_source_is_told(void **state)
{
    (void)state;
    struct built b;
    built_with(&b, "kubernetes cluster.local {\nendpoint https://a:6443\ntls cert key ca\npods verified\n"
                   "endpoint_pod_names\n}");
    const struct source_options *o = &the_source.options;
    assert_string_equal(o->endpoint, "https://a:6443");
    assert_string_equal(o->tls_cert, "cert");
    assert_string_equal(o->tls_key, "key");
    assert_string_equal(o->tls_ca, "ca");
    assert_true(o->store.pods && o->store.pod_names && o->store.endpoints);
    unbuild(kubernetes, &b);
    built_with(&b, "kubernetes cluster.local {\nkubeconfig file context\nnoendpoints\n}");
    assert_string_equal(o->kubeconfig, "file");
    assert_string_equal(o->context, "context");
    assert_false(o->store.endpoints);
    assert_true(o->limits.qps == 0 && o->limits.burst == 0 && o->limits.inflight == 0);
    assert_null(o->selectors[KUBE_SERVICE]);
    assert_null(o->selectors[KUBE_NAMESPACE]);
    unbuild(kubernetes, &b);
    built_with(
        &b, "kubernetes cluster.local {\nkubeconfig file\nlabels x\nlabels c in (e,   d),b==1\nnamespace_labels !f\n}");
    assert_string_equal(o->selectors[KUBE_SERVICE], "b=1,c in (d,e)");
    assert_string_equal(o->selectors[KUBE_ENDPOINTSLICE], "b=1,c in (d,e)");
    assert_string_equal(o->selectors[KUBE_IMPORTED_SLICE], "b=1,c in (d,e)");
    assert_string_equal(o->selectors[KUBE_POD], "b=1,c in (d,e)");
    assert_string_equal(o->selectors[KUBE_NAMESPACE], "!f");
    assert_string_equal(o->selectors[KUBE_SERVICE_IMPORT], "!f");
    unbuild(kubernetes, &b);
    built_with(&b, "kubernetes cluster.local {\nkubeconfig file\napiserver_qps 0x1p-2\napiserver_burst 3\n"
                   "apiserver_max_inflight 2\n}");
    assert_true(o->limits.qps == 0.25f && o->limits.burst == 3 && o->limits.inflight == 2);
    unbuild(kubernetes, &b);
    built_with(&b, "kubernetes cluster.local {\nmanifests a b\nmanifests c\n}");
    assert_int_equal(o->nmanifests, 3);
    assert_string_equal(o->manifests[0], "a");
    assert_string_equal(o->manifests[2], "c");
    unbuild(kubernetes, &b);
}

static void multicluster_zones(void **state)
{
    (void)state;
    struct built b;
    const struct kubernetes *k =
        built_with(&b, "kubernetes cluster.local set.local sub.set.local set {\nmulticluster set.local\n}");
    static const bool marked[] = {false, true, true, false}; // those below count, as in CoreDNS
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(k->zones[i].multicluster, marked[i]);
    assert_true(k->from.store.imports);
    unbuild(kubernetes, &b);
    k = built_with(&b, "kubernetes a b {\nmulticluster a\nmulticluster\n}");
    assert_false(k->from.store.imports || k->zones[0].multicluster || k->zones[1].multicluster);
    unbuild(kubernetes, &b);
}

static void primary_zone_is_no_reverse_zone(void **state)
{
    (void)state;
    struct built b;
    const struct kubernetes *k = built_with(&b, "kubernetes in-addr.arpa 10.0.0.0/8 cluster.local b");
    assert_ptr_equal(k->primary, &k->zones[2]);
    unbuild(kubernetes, &b);
}

static void trouble_with_the_source(void **state)
{
    (void)state;
    struct built b;
    char error[CONFIG_ERROR_MAX] = "";
    source_complaint = "no such file";
    assert_int_equal(build(kubernetes, "kubernetes a {\nkubeconfig /nowhere\n}", &b), CDNS_ECONFIG);
    assert_string_equal(b.error, "plugin/kubernetes: no such file (Corefile:2)");
    unbuild(kubernetes, &b);
    source_complaint = NULL;
    built_with(&b, "kubernetes a");
    source_complaint = "it went away";
    assert_int_equal(kubernetes->start(b.self, &(struct plugin_start){.error = error, .loop = uv_default_loop()}),
                     CDNS_ECONFIG);
    assert_string_equal(error, "plugin/kubernetes: it went away");
    source_complaint = NULL;
    unbuild(kubernetes, &b);
    assert_int_equal(the_source.references, 0);
}

int main(void)
{
    rcu_thread_start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grammar),
        cmocka_unit_test(defaults),
        cmocka_unit_test(the_source_is_told),
        cmocka_unit_test(multicluster_zones),
        cmocka_unit_test(primary_zone_is_no_reverse_zone),
        cmocka_unit_test(trouble_with_the_source),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rcu_thread_end();
    return failed;
}
