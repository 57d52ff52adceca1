// SPDX-License-Identifier: Apache-2.0
// The same object in JSON and in protobuf gives equal structs, absurd ones too.
#include "describe.h"
#include "encode.h"
#include "kube/decode.h"
#include <jansson.h>
#include <setjmp.h>

#include <cmocka.h>

static struct arena *arena;
static char error[200];

static char *decoded(int result, const struct kube_object *object)
{
    struct description d = {0};
    say(&d, "%d %s: ", result, result != 0 ? error : "");
    if (result == 0)
        say_object(&d, object);
    return d.text;
}

// Decodes JSON text written with ' for ", and a message; both give the same. Returns what, to be freed.
static char *both(enum kube_kind kind, const char *json, const struct message *m)
{
    struct kube_object object;
    char *copy = strdup(json);
    for (char *p = copy; *p != '\0'; p++)
        if (*p == '\'')
            *p = '"';
    json_t *document = json_loads(copy, JSON_ALLOW_NUL, NULL);
    if (document == NULL)
        fail_msg("test text is no JSON: %s", copy);
    arena_reset(arena);
    error[0] = '\0';
    char *expected = decoded(decode_json(document, (int)kind, arena, &object, error, sizeof error), &object);
    arena_reset(arena);
    error[0] = '\0';
    void *exact = malloc(m->len + 1); // a copy of its own, so that reading beyond it is seen
    memcpy(exact, m->data, m->len);
    char *got = decoded(decode_protobuf(exact, m->len, kind, arena, &object, error, sizeof error), &object);
    free(exact);
    assert_string_equal(got, expected);
    free(expected);
    free(copy);
    json_decref(document);
    return got;
}

static void same(enum kube_kind kind, const char *json, const struct message *m)
{
    free(both(kind, json, m));
}

// Both are the object `expected`.
static void same_as(enum kube_kind kind, const char *json, const struct message *m, const char *expected)
{
    char *got = both(kind, json, m);
    assert_string_equal(got, expected);
    free(got);
}

#define META "'metadata':{'name':'a','namespace':'n'}"

static struct message object(const struct message *second, unsigned number)
{
    struct message m = {0};
    put_metadata(&m, "n", "a", "1");
    put_message(&m, number, second);
    return m;
}

static struct message port(const char *name, const char *protocol, int64_t number)
{
    struct message m = {0};
    put_text(&m, 1, name);
    put_text(&m, 2, protocol);
    put_integer(&m, 3, number);
    put_text(&m, 6, "http");
    return m;
}

static void names(void **unused)
{
    (void)unused;
    static const struct {
        const char *json, *namespace_, *name;
        size_t len;
    } cases[] = {
        {"{'metadata':{'name':'web','namespace':'shop'}}", "shop", "web", 3},
        {"{'metadata':{'name':'','namespace':'shop'}}", "shop", "", 0},
        {"{'metadata':{'name':'a.b','namespace':'shop'}}", "shop", "a.b", 3},
        {"{'metadata':{'name':'A','namespace':'shop'}}", "shop", "A", 1},
        {"{'metadata':{'name':'web','namespace':'x.y'}}", "x.y", "web", 3},
        {"{'metadata':{'name':'web','namespace':''}}", "", "web", 3},
        {"{'metadata':{'name':'a\\u0000b','namespace':'shop'}}", "shop", "a\0b", 3},
    };
    for (int kind = 0; kind < KUBE_KINDS; kind++) {
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            struct message metadata = {0}, m = {0};
            put_data(&metadata, 1, cases[i].name, cases[i].len);
            put_text(&metadata, 3, cases[i].namespace_);
            put_message(&m, 1, &metadata);
            same((enum kube_kind)kind, cases[i].json, &m);
        }
        same((enum kube_kind)kind, "{}", &(struct message){0});
    }
}

static void services(void **unused)
{
    (void)unused;
    struct message spec = {0}, m;
    struct message ports[] = {port("http", "TCP", 80), port("", "UDP", 53), port("", "", 9)};
    for (size_t i = 0; i < 3; i++)
        put_message(&spec, 1, &ports[i]);
    put_text(&spec, 3, "10.0.0.1");
    put_text(&spec, 4, "NodePort");
    put_text(&spec, 10, "");
    put_text(&spec, 18, "10.0.0.1");
    put_text(&spec, 18, "fd00::1");
    m = object(&spec, 2);
    same_as(KUBE_SERVICE,
            "{" META ",'spec':{'type':'NodePort','clusterIP':'10.0.0.1','clusterIPs':['10.0.0.1','fd00::1'],'ports':["
            "{'name':'http','port':80,'protocol':'TCP'},{'port':53,'protocol':'UDP'},{'port':9}]}}",
            &m,
            "0 : 1 n/a: type 0 external none 0a000001 fd000000000000000000000000000001 port http 80 0; port  53 1; "
            "port  9 0; ");
    spec.len = 0;
    put_text(&spec, 3, "10.0.0.2");
    m = object(&spec, 2);
    same_as(KUBE_SERVICE, "{" META ",'spec':{'clusterIP':'10.0.0.2'}}", &m,
            "0 : 1 n/a: type 0 external none 0a000002 ");
    spec.len = 0;
    put_text(&spec, 3, "None");
    m = object(&spec, 2);
    same_as(KUBE_SERVICE, "{" META ",'spec':{'clusterIP':'None'}}", &m, "0 : 1 n/a: type 1 external none ");
    put_text(&spec, 18, "None");
    m = object(&spec, 2);
    same_as(KUBE_SERVICE, "{" META ",'spec':{'clusterIP':'None','clusterIPs':['None']}}", &m,
            "0 : 1 n/a: type 1 external none ");
    spec.len = 0;
    put_text(&spec, 3, "");
    put_text(&spec, 4, "ExternalName");
    put_text(&spec, 10, "Example.COM.");
    m = object(&spec, 2);
    same_as(KUBE_SERVICE, "{" META ",'spec':{'type':'ExternalName','externalName':'Example.COM.'}}", &m,
            "0 : 1 n/a: type 2 external Example.COM. ");
}

static void absurd_services(void **unused)
{
    (void)unused;
    struct message spec = {0}, m, nul = {0}, nothing = {0};
    struct message ports[] = {
        port("", "TCP", 0),  port("", "TCP", 65536),     port("", "TCP", -1),     port("", "TCP", INT64_MIN),
        port("", "ICMP", 1), port("No.Label", "TCP", 2), port("", "SCTP", 65535), port("Capital", "TCP", 3),
    };
    for (size_t i = 0; i < sizeof ports / sizeof ports[0]; i++)
        put_message(&spec, 1, &ports[i]);
    put_data(&nul, 1, "a\0", 2);
    put_integer(&nul, 3, 7);
    put_message(&spec, 1, &nul);
    put_message(&spec, 1, &nothing);
    put_integer(&spec, 1, 5);
    put_text(&spec, 18, "10.0.0.1");
    put_text(&spec, 18, "nonsense");
    put_data(&spec, 18, "10.0.0.3\0", 9);
    put_text(&spec, 18, "");
    put_text(&spec, 18, "1111:2222:3333:4444:5555:6666:7777:8888:9999:0000");
    put_text(&spec, 18, "10.0.0.2");
    put_data(&spec, 4, "ExternalName\0", 13);
    m = object(&spec, 2);
    same_as(KUBE_SERVICE,
            "{" META ",'spec':{'type':'ExternalName\\u0000','clusterIPs':['10.0.0.1','nonsense','10.0.0.3\\u0000','',"
            "'1111:2222:3333:4444:5555:6666:7777:8888:9999:0000','10.0.0.2'],'ports':[{'port':0},{'port':65536},"
            "{'port':-1},{'port':-9223372036854775808},{'port':1,'protocol':'ICMP'},{'port':2,'name':'No.Label'},"
            "{'port':65535,'protocol':'SCTP'},{'port':3,'name':'Capital'},{'port':7,'name':'a\\u0000'},{}]}}",
            &m, "0 : 1 n/a: type 0 external none 0a000001 0a000002 port  65535 2; port Capital 3 0; ");
}

static struct message endpoint(const char *address, int ready, const char *hostname, const char *pod, const char *zone)
{
    struct message m = {0}, conditions = {0}, target = {0};
    put_text(&m, 1, address);
    if (ready >= 0)
        put_integer(&conditions, 1, ready);
    put_integer(&conditions, 2, 1);
    put_message(&m, 2, &conditions);
    put_text(&m, 3, hostname);
    put_text(&target, 1, "Pod");
    put_text(&target, 3, pod);
    put_message(&m, 4, &target);
    put_text(&m, 6, "node-1");
    put_text(&m, 7, zone);
    return m;
}

static void slices(void **unused)
{
    (void)unused;
    struct message m = {0}, metadata = {0}, all = {0}, bare = {0};
    put_text(&metadata, 1, "a");
    put_text(&metadata, 3, "n");
    put_entry(&metadata, 11, "app", "x");
    put_entry(&metadata, 11, "kubernetes.io/service-name", "web");
    put_entry(&metadata, 11, "multicluster.kubernetes.io/service-name", "other");
    put_entry(&metadata, 11, "multicluster.kubernetes.io/source-cluster", "East");
    put_entry(&metadata, 12, "endpoints.kubernetes.io/last-change-trigger-time", "2026-11-24T12:42:01.5Z");
    put_message(&m, 1, &metadata);
    struct message endpoints[] = {
        endpoint("10.1.0.1", 1, "web-0", "web-0.x", "zone-1"),
        endpoint("fd00::0001", 0, "", "Bad Name", ""),
        endpoint("10.1.0.256", 1, "", "", ""),
        endpoint("::ffff:10.1.0.3", -1, "not a label", "p", "Zone 2"),
    };
    for (size_t i = 0; i < 4; i++) {
        if (i == 0)
            put_text(&endpoints[i], 1, "10.1.0.2"); // behind what it shares
        put_message(&m, 2, &endpoints[i]);
    }
    put_text(&bare, 1, "10.1.0.9");
    put_message(&m, 2, &bare);
    put_text(&all, 1, "all");
    put_message(&m, 3, &all);
    struct message http = port("http", "TCP", 8080);
    put_message(&m, 3, &http);
    put_text(&m, 4, "IPv4");
    static const char json[] =
        "{'metadata':{'name':'a','namespace':'n','labels':{'app':'x','kubernetes.io/service-name':'web',"
        "'multicluster.kubernetes.io/service-name':'other','multicluster.kubernetes.io/source-cluster':'East'},"
        "'annotations':{'endpoints.kubernetes.io/last-change-trigger-time':'2026-11-24T12:42:01.5Z'}},"
        "'addressType':'IPv4','ports':[{'name':'all'},{'name':'http','port':8080,'protocol':'TCP'}],'endpoints':["
        "{'addresses':['10.1.0.1','10.1.0.2'],'hostname':'web-0','zone':'zone-1','conditions':{'ready':true},"
        "'targetRef':{'kind':'Pod','name':'web-0.x'}},{'addresses':['fd00::0001'],'conditions':{'ready':false},"
        "'targetRef':{'name':'Bad Name'}},{'addresses':['10.1.0.256']},{'addresses':['::ffff:10.1.0.3'],"
        "'hostname':'not a label','targetRef':{'name':'p'},'zone':'Zone 2'},{'addresses':['10.1.0.9']}]}";
    same_as(
        KUBE_ENDPOINTSLICE, json, &m,
        "0 : 2 n/a: service web cluster East triggered 1795524121500000000 0a010001 11 host web-0 pod web-0.x zone "
        "zone-1; 0a010002 11 host web-0 pod web-0.x zone zone-1; fd000000000000000000000000000001 00 host  pod  "
        "zone ; 0a010003 01 host  pod p zone Zone 2; 0a010009 11 host  pod  zone ; port all -1 0; port http 8080 0; ");
    same(KUBE_IMPORTED_SLICE, json, &m);
}

static void absurd_slices(void **unused)
{
    (void)unused;
    struct message m = {0}, metadata = {0}, nul = {0}, empty = {0}, e = endpoint("10.1.0.1", 1, "", "", "");
    put_text(&metadata, 1, "a");
    put_text(&metadata, 3, "n");
    put_entry(&metadata, 11, "kubernetes.io/service-name", "not a label");
    put_entry(&metadata, 12, "endpoints.kubernetes.io/last-change-trigger-time", "yesterday");
    put_message(&m, 1, &metadata);
    put_message(&m, 2, &empty);
    put_data(&nul, 1, "10.1.0.2\0", 9);
    put_data(&nul, 7, "z\0", 2);
    put_text(&nul, 1, "10.1.0.3");
    put_message(&m, 2, &nul);
    same_as(KUBE_ENDPOINTSLICE,
            "{'metadata':{'name':'a','namespace':'n','labels':{'kubernetes.io/service-name':'not a label'},"
            "'annotations':{'endpoints.kubernetes.io/last-change-trigger-time':'yesterday'}},'endpoints':[{},"
            "{'addresses':['10.1.0.2\\u0000','10.1.0.3'],'zone':'z\\u0000'}]}",
            &m, "0 : 2 n/a: service  cluster  triggered 0 0a010003 11 host  pod  zone ; ");
    m.len = 0;
    put_metadata(&m, "n", "a", "1");
    put_message(&m, 2, &e);
    put_text(&m, 4, "FQDN");
    same_as(KUBE_ENDPOINTSLICE, "{" META ",'addressType':'FQDN','endpoints':[{'addresses':['10.1.0.1']}]}", &m,
            "0 : 2 n/a: service  cluster  triggered 0 ");
    m.len = 0; // the API server does not look at the numbers of ports
    put_metadata(&m, "n", "a", "1");
    const int64_t numbers[] = {0, -7, 70000, INT32_MAX, (int64_t)INT32_MAX + 1};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        struct message p = port("p", "TCP", numbers[i]);
        put_message(&m, 3, &p);
    }
    same_as(KUBE_ENDPOINTSLICE,
            "{" META ",'ports':[{'name':'p','port':0},{'name':'p','port':-7},{'name':'p','port':70000},"
            "{'name':'p','port':2147483647},{'name':'p','port':2147483648},{'name':'p','port':'8'}]}",
            &m,
            "0 : 2 n/a: service  cluster  triggered 0 port p 0 0; port p -7 0; port p 70000 0; port p 2147483647 0; ");
}

static void pods(void **unused)
{
    (void)unused;
    struct message m = {0}, metadata = {0}, status = {0}, ips[3] = {0}, when = {0};
    put_text(&ips[0], 1, "10.0.0.1");
    put_text(&ips[1], 1, "fd00::1");
    put_text(&status, 1, "Running");
    put_text(&status, 6, "10.0.0.1");
    for (size_t i = 0; i < 3; i++)
        put_message(&status, 12, &ips[i]);
    m = object(&status, 3);
    same_as(KUBE_POD,
            "{" META
            ",'status':{'phase':'Running','podIP':'10.0.0.1','podIPs':[{'ip':'10.0.0.1'},{'ip':'fd00::1'},{}]}}",
            &m, "0 : 3 n/a: 00 0a000001 fd000000000000000000000000000001 ");
    put_text(&metadata, 1, "a");
    put_text(&metadata, 3, "n");
    put_integer(&when, 1, 1795524121);
    put_message(&metadata, 9, &when);
    status.len = m.len = 0;
    put_text(&status, 1, "Failed");
    put_text(&status, 6, "10.0.0.2");
    put_message(&m, 3, &status);
    put_message(&m, 1, &metadata); // in any order
    same_as(KUBE_POD,
            "{'metadata':{'name':'a','namespace':'n','deletionTimestamp':'2026-11-24T12:42:01Z'},'status':"
            "{'phase':'Failed','podIP':'10.0.0.2'}}",
            &m, "0 : 3 n/a: 11 0a000002 ");
}

// Any byte of an object may be missing or another one: it is decoded, refused with a reason, or no protobuf.
static void damage(void **unused)
{
    (void)unused;
    struct message m = {0}, spec = {0}, e = endpoint("10.1.0.1", 1, "h", "p", "z"), http = port("http", "TCP", 80);
    struct kube_object out;
    put_metadata(&m, "n", "a", "1");
    put_text(&spec, 4, "ClusterIP");
    put_text(&spec, 18, "10.0.0.1");
    put_message(&spec, 1, &http);
    put_message(&m, 2, &spec);
    put_message(&m, 2, &e);
    put_message(&m, 3, &http);
    for (size_t i = 0; i < m.len; i++) {
        for (unsigned value = 0; value <= 256; value++) {
            size_t len = value == 256 ? i : m.len;
            uint8_t *copy = malloc(len + 1);
            memcpy(copy, m.data, len);
            if (value < 256)
                copy[i] = (uint8_t)value;
            for (int kind = 0; kind < KUBE_KINDS; kind++) {
                arena_reset(arena);
                error[0] = '\0';
                int r = decode_protobuf(copy, len, (enum kube_kind)kind, arena, &out, error, sizeof error);
                assert_true(r == 0 || r == CDNS_ESYNTAX || (r == CDNS_EINVAL && error[0] != '\0'));
                free(decoded(r, &out));
            }
            free(copy);
        }
    }
}

static int setup(void **unused)
{
    (void)unused;
    arena = arena_new(1 << 20);
    return arena == NULL;
}

static int teardown(void **unused)
{
    (void)unused;
    arena_free(arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),  cmocka_unit_test(services),      cmocka_unit_test(absurd_services),
        cmocka_unit_test(slices), cmocka_unit_test(absurd_slices), cmocka_unit_test(pods),
        cmocka_unit_test(damage),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
