// SPDX-License-Identifier: Apache-2.0
// JSON objects to struct kube_object: what is taken, what is left out, what is refused.
#include "kube/decode.h"
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct arena *arena;
static json_t *document;
static struct kube_object object;
static char error[200];

// Decodes JSON text written with ' for "; what it gives lives until the next call.
static int decode(const char *text, int kind)
{
    char json[8192];
    assert_true(strlen(text) < sizeof json);
    strcpy(json, text);
    for (char *p = json; *p != '\0'; p++)
        if (*p == '\'')
            *p = '"';
    json_decref(document);
    arena_reset(arena);
    json_error_t e;
    document = json_loads(json, JSON_DECODE_ANY | JSON_ALLOW_NUL, &e);
    if (document == NULL)
        fail_msg("test text is no JSON: %s", e.text);
    error[0] = '\0';
    return decode_json(document, kind, arena, &object, error, sizeof error);
}

static const char *address(const struct kube_address *a)
{
    static char text[64];
    size_t at = 0;
    for (size_t i = 0; i < a->len; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, a->len == 4 ? "%s%d" : "%s%02x", i == 0 ? "" : ".",
                               a->bytes[i]);
    return text;
}

static void kinds(void **unused)
{
    (void)unused;
    static const struct {
        const char *text;
        int kind;
    } cases[] = {
        {"{'apiVersion':'v1','kind':'Namespace'}", KUBE_NAMESPACE},
        {"{'apiVersion':'v1','kind':'Service'}", KUBE_SERVICE},
        {"{'apiVersion':'v1','kind':'Pod'}", KUBE_POD},
        {"{'apiVersion':'discovery.k8s.io/v1','kind':'EndpointSlice'}", KUBE_ENDPOINTSLICE},
        {"{'apiVersion':'discovery.k8s.io/v1beta1','kind':'EndpointSlice'}", -1},
        {"{'apiVersion':'serving.knative.dev/v1','kind':'Service'}", -1},
        {"{'apiVersion':'multicluster.x-k8s.io/v1alpha1','kind':'ServiceImport'}", KUBE_SERVICE_IMPORT},
        {"{'apiVersion':'multicluster.x-k8s.io/v1beta1','kind':'ServiceImport'}", KUBE_SERVICE_IMPORT},
        {"{'apiVersion':'multicluster.x-k8s.io/v1alpha1','kind':'ServiceExport'}", -1},
        {"{'apiVersion':'v1','kind':'Endpoints'}", -1},
        {"{'kind':'Service'}", -1},
        {"{'apiVersion':1,'kind':['Service']}", -1},
        {"[]", -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        (void)!decode(cases[i].text, -1);
        assert_int_equal(decode_kind(document), cases[i].kind);
    }
    assert_int_equal(decode("{'apiVersion':'apps/v1','kind':'Deployment','metadata':{'name':'a'}}", -1), CDNS_ENOENT);
}

static void names(void **unused)
{
    (void)unused;
    assert_int_equal(decode("{'metadata':{'name':'kube-system','resourceVersion':'7'}}", KUBE_NAMESPACE), 0);
    assert_string_equal(object.name, "kube-system");
    assert_string_equal(object.namespace_, "");
    assert_int_equal(decode("{'metadata':{'name':'a.b-1','namespace':'n'}}", KUBE_POD), 0);
    static const char *const refused[] = {
        "{}",
        "[]",
        "7",
        "{'metadata':null}",
        "{'metadata':{'name':7,'namespace':'n'}}",
        "{'metadata':{'name':'','namespace':'n'}}",
        "{'metadata':{'name':'a.b','namespace':'n'}}",
        "{'metadata':{'name':'A','namespace':'n'}}",
        "{'metadata':{'name':'a\\u0000b','namespace':'n'}}",
        "{'metadata':{'name':'a','namespace':'x.y'}}",
        "{'metadata':{'name':'a','namespace':''}}",
        "{'metadata':{'name':'a'}}",
        "{'metadata':{'name':'0123456789012345678901234567890123456789012345678901234567890123','namespace':'n'}}",
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        assert_int_equal(decode(refused[i], KUBE_SERVICE), CDNS_EINVAL);
        assert_true(error[0] != '\0');
    }
    assert_int_equal(
        decode(
            "{'metadata':{'name':'012345678901234567890123456789012345678901234567890123456789012','namespace':'n'}}",
            KUBE_SERVICE),
        0);
}

static void services(void **unused)
{
    (void)unused;
    assert_int_equal(
        decode("{'metadata':{'name':'web','namespace':'shop'},'spec':{'type':'NodePort','clusterIP':'10.0.0.1',"
               "'clusterIPs':['10.0.0.1','fd00::1'],'ports':[{'name':'http','port':80,'protocol':'TCP'},"
               "{'port':53,'protocol':'UDP'},{'name':'x','port':9}]}}",
               KUBE_SERVICE),
        0);
    const struct kube_service *s = &object.service;
    assert_int_equal(s->type, KUBE_CLUSTERIP);
    assert_int_equal(s->ncluster_ips, 2);
    assert_string_equal(address(&s->cluster_ips[0]), "10.0.0.1");
    assert_int_equal(s->cluster_ips[1].len, 16);
    assert_int_equal(s->nports, 3);
    assert_string_equal(s->ports[0].name, "http");
    assert_int_equal(s->ports[0].number, 80);
    assert_int_equal(s->ports[1].protocol, KUBE_UDP);
    assert_string_equal(s->ports[1].name, "");
    assert_int_equal(s->ports[2].protocol, KUBE_TCP);

    assert_int_equal(
        decode("{'metadata':{'name':'web','namespace':'shop'},'spec':{'clusterIP':'10.0.0.2'}}", KUBE_SERVICE), 0);
    assert_int_equal(object.service.ncluster_ips, 1);
    assert_string_equal(address(&object.service.cluster_ips[0]), "10.0.0.2");

    assert_int_equal(decode("{'metadata':{'name':'web','namespace':'shop'}}", KUBE_SERVICE), 0);
    assert_int_equal(object.service.type, KUBE_CLUSTERIP);
    assert_int_equal(object.service.ncluster_ips + object.service.nports, 0);
}

static void service_types(void **unused)
{
    (void)unused;
    static const char *const headless[] = {
        "{'metadata':{'name':'a','namespace':'n'},'spec':{'clusterIP':'None'}}",
        "{'metadata':{'name':'a','namespace':'n'},'spec':{'clusterIP':'None','clusterIPs':['None']}}",
    };
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(decode(headless[i], KUBE_SERVICE), 0);
        assert_int_equal(object.service.type, KUBE_HEADLESS);
        assert_int_equal(object.service.ncluster_ips, 0);
    }
    assert_int_equal(decode("{'metadata':{'name':'a','namespace':'n'},'spec':{'type':'ExternalName','externalName':"
                            "'Example.COM.','ports':[{'port':1}]}}",
                            KUBE_SERVICE),
                     0);
    assert_int_equal(object.service.type, KUBE_EXTERNALNAME);
    assert_string_equal(object.service.external_name, "Example.COM.");
    assert_int_equal(object.service.nports, 1);
    assert_int_equal(decode("{'metadata':{'name':'a','namespace':'n'},'spec':{'type':'ExternalName'}}", KUBE_SERVICE),
                     0);
    assert_string_equal(object.service.external_name, "");
}

static void absurd_ports(void **unused)
{
    (void)unused;
    assert_int_equal(
        decode(
            "{'metadata':{'name':'a','namespace':'n'},'spec':{'clusterIPs':['10.0.0.1','nonsense',7,null,'10.0.0.2'],"
            "'ports':[{'port':0},{'port':65536},{'port':-1},{'port':'80'},{'port':80.5},{'port':1,'protocol':'ICMP'},"
            "{'port':1,'protocol':6},{'port':2,'name':'No.Label'},{'port':2,'name':7},7,null,[],{},{'name':'n'},"
            "{'port':65535,'protocol':'SCTP','name':''},{'port':4,'name':null,'protocol':null}]}}",
            KUBE_SERVICE),
        0);
    assert_int_equal(object.service.ncluster_ips, 2);
    assert_string_equal(address(&object.service.cluster_ips[1]), "10.0.0.2");
    assert_int_equal(object.service.nports, 2);
    assert_int_equal(object.service.ports[0].number, 65535);
    assert_int_equal(object.service.ports[0].protocol, KUBE_SCTP);
    assert_int_equal(object.service.ports[1].number, 4);
}

static void slices(void **unused)
{
    (void)unused;
    assert_int_equal(
        decode("{'metadata':{'name':'web-x1','namespace':'shop','labels':{'kubernetes.io/service-name':'web'},"
               "'annotations':{'endpoints.kubernetes.io/last-change-trigger-time':'2026-11-24T12:42:01.000000007Z'}},"
               "'addressType':'IPv4','ports':[{'name':'http','port':8080,'protocol':'TCP'},{'name':'all','port':null}],"
               "'endpoints':[{'addresses':['10.1.0.1','10.1.0.2'],'hostname':'web-0','zone':'zone-1','conditions':"
               "{'ready':true,'serving':false},'targetRef':{'kind':'Pod','name':'web-0.x'}},"
               "{'addresses':['10.1.0.3'],'conditions':{'ready':false}},"
               "{'addresses':['10.1.0.4'],'conditions':{},'targetRef':{'kind':'Node','name':'n1'}},"
               "{'addresses':['10.1.0.5']}]}",
               KUBE_ENDPOINTSLICE),
        0);
    const struct kube_slice *s = &object.slice;
    assert_string_equal(s->service, "web");
    assert_int_equal(s->triggered_ns, 1795524121000000007);
    assert_int_equal(s->nports, 2);
    assert_int_equal(s->ports[1].number, KUBE_NO_PORT);
    assert_int_equal(s->nendpoints, 5);
    assert_string_equal(s->endpoints[0].hostname, "web-0");
    assert_string_equal(s->endpoints[0].pod_name, "web-0.x");
    assert_string_equal(address(&s->endpoints[1].address), "10.1.0.2");
    assert_string_equal(s->endpoints[1].hostname, "web-0");
    static const bool ready[] = {true, true, false, true, true};
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(s->endpoints[i].ready, ready[i]);
    assert_string_equal(s->endpoints[3].pod_name, "n1");
    assert_string_equal(s->endpoints[4].hostname, "");
}

// One slice, seen in two ways.
static void imported_slices(void **unused)
{
    (void)unused;
    static const char slice[] =
        "{'metadata':{'name':'w','namespace':'n','labels':{'kubernetes.io/service-name':'derived-1',"
        "'multicluster.kubernetes.io/service-name':'web','multicluster.kubernetes.io/source-cluster':'East.1'}},"
        "'endpoints':[{'addresses':['10.0.0.1'],'zone':'Zone-1'}]}";
    assert_int_equal(decode(slice, KUBE_ENDPOINTSLICE), 0);
    assert_true(decode_is_imported(document));
    assert_string_equal(object.slice.service, "derived-1");
    assert_string_equal(object.slice.endpoints[0].zone, "Zone-1");
    assert_int_equal(decode(slice, KUBE_IMPORTED_SLICE), 0);
    assert_string_equal(object.slice.service, "web");
    assert_string_equal(object.slice.cluster, "East.1");
    assert_int_equal(decode("{'metadata':{'name':'w','namespace':'n'}}", KUBE_IMPORTED_SLICE), 0);
    assert_false(decode_is_imported(document));
    assert_string_equal(object.slice.service, "");
    assert_string_equal(object.slice.cluster, "");
}

static void service_imports(void **unused)
{
    (void)unused;
    assert_int_equal(
        decode(
            "{'metadata':{'name':'a','namespace':'n'},'spec':{'type':'ClusterSetIP','ips':['10.0.0.1','x','fd00::1'],"
            "'ports':[{'name':'HTTP','port':80},{'name':'no name','port':81},{'port':70000}]}}",
            KUBE_SERVICE_IMPORT),
        0);
    const struct kube_service *s = &object.service;
    assert_int_equal(s->type, KUBE_CLUSTERIP);
    assert_int_equal(s->ncluster_ips, 2);
    assert_int_equal(s->cluster_ips[1].len, 16);
    assert_int_equal(s->nports, 1);
    assert_string_equal(s->ports[0].name, "HTTP"); // nobody checks it
    assert_int_equal(s->ports[0].protocol, KUBE_TCP);
    assert_int_equal(
        decode("{'metadata':{'name':'a','namespace':'n'},'spec':{'type':'Headless'}}", KUBE_SERVICE_IMPORT), 0);
    assert_int_equal(object.service.type, KUBE_HEADLESS);
    assert_int_equal(decode("{'metadata':{'name':'a','namespace':'n'},'spec':7}", KUBE_SERVICE_IMPORT), 0);
    assert_int_equal(decode("{'metadata':{'name':'a.b','namespace':'n'}}", KUBE_SERVICE_IMPORT), CDNS_EINVAL);
}

static void absurd_slices(void **unused)
{
    (void)unused;
    assert_int_equal(
        decode("{'metadata':{'name':'w','namespace':'n'},'endpoints':[{'addresses':['10.0.0.256','1.2.3','::1%eth0',"
               "'010.0.0.1','','fd00::0001','fd00::1']},7,null,{'addresses':'10.0.0.1'},{'addresses':[7,null]},"
               "{'addresses':['10.0.0.9'],'hostname':'not a label','zone':{},'conditions':7,'targetRef':[]}]}",
               KUBE_ENDPOINTSLICE),
        0);
    const struct kube_slice *s = &object.slice;
    assert_string_equal(s->service, "");
    assert_int_equal(s->nendpoints, 3);
    assert_false(s->endpoints[0].canonical);
    assert_true(s->endpoints[1].canonical);
    assert_string_equal(s->endpoints[2].hostname, "");
    assert_true(s->endpoints[2].ready);
    assert_int_equal(decode("{'metadata':{'name':'w','namespace':'n'},'addressType':'FQDN','endpoints':[{'addresses':"
                            "['10.0.0.1']}]}",
                            KUBE_ENDPOINTSLICE),
                     0);
    assert_int_equal(object.slice.nendpoints, 0);
    assert_int_equal(
        decode("{'metadata':{'name':'w','namespace':'n'},'endpoints':{'a':1},'ports':7}", KUBE_ENDPOINTSLICE), 0);
}

static void pods(void **unused)
{
    (void)unused;
    assert_int_equal(decode("{'metadata':{'name':'p','namespace':'n'},'status':{'phase':'Running','podIP':'10.0.0.1',"
                            "'podIPs':[{'ip':'10.0.0.1'},{'ip':'fd00::1'},{'ip':''},7]}}",
                            KUBE_POD),
                     0);
    assert_int_equal(object.pod.nips, 2);
    assert_false(object.pod.terminated);
    assert_false(object.pod.deleting);
    assert_int_equal(decode("{'metadata':{'name':'p','namespace':'n','deletionTimestamp':'2026-01-01T00:00:00Z'},"
                            "'status':{'phase':'Failed','podIP':'10.0.0.1'}}",
                            KUBE_POD),
                     0);
    assert_int_equal(object.pod.nips, 1);
    assert_true(object.pod.terminated);
    assert_true(object.pod.deleting);
}

static void addresses(void **unused)
{
    (void)unused;
    static const struct {
        const char *text;
        int result;
        bool canonical;
    } cases[] = {
        {"1.2.3.4", 0, true},
        {"255.255.255.255", 0, true},
        {"01.2.3.4", CDNS_EINVAL, false},
        {"1.2.3.4 ", CDNS_EINVAL, false},
        {"1.2.3", CDNS_EINVAL, false},
        {"", CDNS_EINVAL, false},
        {"::", 0, true},
        {"::1", 0, true},
        {"2001:db8::1", 0, true},
        {"2001:DB8::1", 0, false},
        {"2001:db8:0:0:1:0:0:1", 0, false},
        {"2001:db8::1:0:0:1", 0, true},
        {"2001:db8:0:1:1:1:1:1", 0, true},
        {"2001:db8::1:1:1:1:1", 0, false},
        {"1::", 0, true},
        {"fe80::1%eth0", CDNS_EINVAL, false},
        {"::ffff:1.2.3.4", 0, false},
        {"::ffff:102:304", 0, false},
        {"::fffe:102:304", 0, true},
        {"::102:304", 0, true},
        {"::1.2.3.4", 0, false},
        {"12345::", CDNS_EINVAL, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct kube_address a;
        bool canonical = false;
        if (decode_address(cases[i].text, &a, &canonical) != cases[i].result || canonical != cases[i].canonical)
            fail_msg("%s", cases[i].text);
    }
}

static void times(void **unused)
{
    (void)unused;
    static const struct {
        const char *text;
        int result;
        int64_t ns;
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0, 0},
        {"2026-11-24T12:42:01Z", 0, 1795524121000000000},
        {"2026-11-24T12:42:01.5Z", 0, 1795524121500000000},
        {"2026-11-24T12:42:01.123456789Z", 0, 1795524121123456789},
        {"2026-11-24T12:42:01.1234567899Z", 0, 1795524121123456789},
        {"2026-11-24T14:12:01+01:30", 0, 1795524121000000000},
        {"2026-11-23T21:42:01-15:00", 0, 1795524121000000000},
        {"2000-02-29T00:00:00Z", 0, 951782400000000000},
        {"2000-03-01T00:00:00Z", 0, 951868800000000000},
        {"1969-12-31T23:59:59.5Z", 0, -500000000},
        {"2262-04-11T23:47:16.854775807Z", 0, INT64_MAX},
        {"2262-04-11T23:47:16.854775808Z", CDNS_ERANGE, 0},
        {"9999-12-31T23:59:59Z", CDNS_ERANGE, 0},
        {"0001-01-01T00:00:00Z", CDNS_ERANGE, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t ns = 0;
        if (decode_time(cases[i].text, &ns) != cases[i].result || (cases[i].result == 0 && ns != cases[i].ns))
            fail_msg("%s: %lld", cases[i].text, (long long)ns);
    }
    static const char *const wrong[] = {
        "",
        "Z",
        "2026",
        "2026-11-24",
        "2026-11-24T12:42:01",
        "2026-11-24T12:42:01z",
        "2026-11-24 12:42:01Z",
        "2026-11-24T12:42:01.Z",
        "2026-11-24T12:42:01Z ",
        "2026-11-24T12:42:60Z",
        "2026-11-24T24:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "2026-01-00T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "2026-1-01T00:00:00Z",
        "2026-11-24T12:42:01+0100",
        "2026-11-24T12:42:01+01",
        "2026-11-24T12:42:01+01:60",
        "2026-11-24T12:42:01+24:00",
        "2026-11-24T12:42:01+",
        "-026-11-24T12:42:01Z",
        "2026-11-24T12:42:01,5Z",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        int64_t ns;
        if (decode_time(wrong[i], &ns) != CDNS_EINVAL)
            fail_msg("%s", wrong[i]);
    }
}

// As in Go, where an address of 16 bytes may be one of IPv4.
static void mapped_address(void **unused)
{
    (void)unused;
    struct kube_address a;
    assert_int_equal(decode_address("::ffff:1.2.3.4", &a, NULL), 0);
    assert_int_equal(a.len, 4);
    assert_memory_equal(a.bytes, ((uint8_t[16]){1, 2, 3, 4}), 16);
    assert_int_equal(decode_address("::fffe:102:304", &a, NULL), 0);
    assert_int_equal(a.len, 16);
}

// A text that an annotation may well hold must not cost the object.
static void nul_in_text(void **unused)
{
    (void)unused;
    assert_int_equal(decode("{'metadata':{'name':'a','namespace':'n','annotations':{'x':'\\u0000'}},"
                            "'spec':{'clusterIP':'10.0.0.1'}}",
                            KUBE_SERVICE),
                     0);
    assert_int_equal(object.service.ncluster_ips, 1);
}

static int setup(void **unused)
{
    (void)unused;
    arena = arena_new(0);
    return arena == NULL;
}

static int teardown(void **unused)
{
    (void)unused;
    json_decref(document);
    arena_free(arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds),           cmocka_unit_test(names),
        cmocka_unit_test(services),        cmocka_unit_test(service_types),
        cmocka_unit_test(absurd_ports),    cmocka_unit_test(slices),
        cmocka_unit_test(imported_slices), cmocka_unit_test(service_imports),
        cmocka_unit_test(absurd_slices),   cmocka_unit_test(pods),
        cmocka_unit_test(addresses),       cmocka_unit_test(mapped_address),
        cmocka_unit_test(times),           cmocka_unit_test(nul_in_text),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
