// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dnsbench/cluster.h"
#include "dnsbench/digest.h"
#include <clusterdns/name.h>
#include <clusterdns/record.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXAMPLE "zones/example-cluster"

// A cluster in no file: its text is written to one.
static struct cluster *read_text(const char *text)
{
    char path[] = "/tmp/dnsbench-cluster-XXXXXX.yaml", error[CLUSTER_ERROR_MAX];
    struct options o = {.manifests = {path}, .nmanifests = 1, .zone = "cluster.local"};
    struct cluster *c = NULL;
    int fd = mkstemps(path, 5);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    int rc = cluster_read(&o, &c, error);
    unlink(path);
    if (rc != 0)
        fail_msg("%s", error);
    return c;
}

static struct options example(void)
{
    return (struct options){.manifests = {EXAMPLE},
                            .nmanifests = 1,
                            .zone = "cluster.local",
                            .names = NAMES_ALL,
                            .external_names = "www.example.com,example.org",
                            .ndots = 5,
                            .message = {.rd = true}};
}

static struct cluster *read_example(void)
{
    char error[CLUSTER_ERROR_MAX];
    struct options o = example();
    struct cluster *c = NULL;
    assert_int_equal(cluster_read(&o, &c, error), 0);
    return c;
}

// "NAME TYPE"; false: it is not judged.
static bool judge(const struct cluster *c, const char *text, uint64_t *digest)
{
    char copy[512], *type = NULL;
    uint8_t wire[12 + NAME_MAX_WIRE];
    snprintf(copy, sizeof copy, "%s", text);
    const char *name = strtok_r(copy, " ", &type);
    assert_int_equal(name_from_text(name, wire + 12), 0);
    const struct question q = {.wire = wire, .qtype = (uint16_t)rr_type_from_text(type)};
    return cluster_digest(c, &q, digest);
}

static uint64_t digest_of(const struct cluster *c, const char *text)
{
    uint64_t digest = 1;
    if (!judge(c, text, &digest))
        fail_msg("%s is not judged", text);
    return digest;
}

static uint64_t put(uint64_t before, const char *owner, uint16_t type, const void *rdata, size_t size)
{
    uint8_t name[NAME_MAX_WIRE];
    assert_int_equal(name_from_text(owner, name), 0);
    return digest_with(before, name, type, rdata, size);
}

// An address, A or AAAA by its size.
#define WITH(before, owner, address)                                                                                   \
    put(before, owner, sizeof(address) - 1 == 4 ? RR_A : RR_AAAA, address, sizeof(address) - 1)

// A record of a name that has `fixed` (`n` bytes) before it.
static uint64_t with_name(uint64_t before, const char *owner, uint16_t type, const char *fixed, size_t n,
                          const char *target)
{
    uint8_t rdata[8 + NAME_MAX_WIRE];
    if (n > 0)
        memcpy(rdata, fixed, n);
    assert_int_equal(name_from_text(target, rdata + n), 0);
    return put(before, owner, type, rdata, n + name_length(rdata + n));
}

#define NXDOMAIN digest_of_rcode(RCODE_NXDOMAIN)
#define NODATA digest_of_rcode(RCODE_NOERROR)
#define FD(last) "\xfd\0\0\x10\0\x96\0\0\0\0\0\0\0\0\0" last

static void cluster_ips(void **state)
{
    (void)state;
    struct cluster *c = read_example();
    assert_true(digest_of(c, "web.shop.svc.cluster.local A") ==
                WITH(NODATA, "web.shop.svc.cluster.local", "\12\140\12\120"));
    assert_true(digest_of(c, "WEB.Shop.svc.cluster.local AAAA") == NODATA);
    assert_true(digest_of(c, "api.shop.svc.cluster.local AAAA") ==
                WITH(NODATA, "api.shop.svc.cluster.local", FD("\x81")));
    // an endpoint of a Service that has a ClusterIP, and one that is not ready
    assert_true(digest_of(c, "10-244-0-11.web.shop.svc.cluster.local A") ==
                WITH(NODATA, "10-244-0-11.web.shop.svc.cluster.local", "\12\364\0\13"));
    assert_true(digest_of(c, "10-244-1-12.web.shop.svc.cluster.local A") == NXDOMAIN);
    cluster_free(c);
}

static void headless(void **state)
{
    (void)state;
    struct cluster *c = read_example();
    assert_true(
        digest_of(c, "db.data.svc.cluster.local A") ==
        WITH(WITH(NODATA, "db.data.svc.cluster.local", "\12\364\0\37"), "db.data.svc.cluster.local", "\12\364\1\37"));
    assert_true(digest_of(c, "db-1.db.data.svc.cluster.local A") ==
                WITH(NODATA, "db-1.db.data.svc.cluster.local", "\12\364\1\37"));
    assert_true(digest_of(c, "10-244-1-31.db.data.svc.cluster.local A") == NXDOMAIN); // it has a hostname
    assert_true(digest_of(c, "tape.archive.data.svc.cluster.local AAAA") == NODATA);
    assert_true(digest_of(c, "tape.archive.data.svc.cluster.local A") ==
                WITH(NODATA, "tape.archive.data.svc.cluster.local", "\xc0\0\2\x3c"));
    cluster_free(c);
}

static void ports(void **state)
{
    (void)state;
    struct cluster *c = read_example();
    assert_true(digest_of(c, "_http._tcp.web.shop.svc.cluster.local SRV") ==
                with_name(NODATA, "_http._tcp.web.shop.svc.cluster.local", RR_SRV, "\0\0\0\x64\0\x50", 6,
                          "web.shop.svc.cluster.local"));
    // two families: two records were counted, one is shown
    assert_true(digest_of(c, "_grpc._tcp.api.shop.svc.cluster.local SRV") ==
                with_name(NODATA, "_grpc._tcp.api.shop.svc.cluster.local", RR_SRV, "\0\0\0\x32\x23\x28", 6,
                          "api.shop.svc.cluster.local"));
    assert_true(digest_of(c, "_http._udp.web.shop.svc.cluster.local SRV") == NXDOMAIN);
    assert_true(digest_of(c, "_https._tcp.web.shop.svc.cluster.local SRV") == NXDOMAIN);
    // headless: each endpoint, by its name (four addresses: 25 each)
    static const char owner[] = "_postgres._tcp.db.data.svc.cluster.local", fixed[] = "\0\0\0\x19\x15\x38";
    assert_true(digest_of(c, "_postgres._tcp.db.data.svc.cluster.local SRV") ==
                with_name(with_name(NODATA, owner, RR_SRV, fixed, 6, "db-0.db.data.svc.cluster.local"), owner, RR_SRV,
                          fixed, 6, "db-1.db.data.svc.cluster.local"));
    cluster_free(c);
}

static void addresses(void **state)
{
    (void)state;
    struct cluster *c = read_example();
    uint64_t digest;
    assert_true(digest_of(c, "80.10.96.10.in-addr.arpa PTR") ==
                with_name(NODATA, "80.10.96.10.in-addr.arpa", RR_PTR, NULL, 0, "web.shop.svc.cluster.local"));
    assert_true(digest_of(c, "31.0.244.10.in-addr.arpa PTR") ==
                with_name(NODATA, "31.0.244.10.in-addr.arpa", RR_PTR, NULL, 0, "db-0.db.data.svc.cluster.local"));
    assert_true(digest_of(c, "11.0.244.10.in-addr.arpa PTR") == with_name(NODATA, "11.0.244.10.in-addr.arpa", RR_PTR,
                                                                          NULL, 0,
                                                                          "10-244-0-11.web.shop.svc.cluster.local"));
#define SIX "1.8.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.6.9.0.0.0.1.0.0.0.0.d.f.ip6.arpa"
    assert_true(digest_of(c, SIX " PTR") == with_name(NODATA, SIX, RR_PTR, NULL, 0, "api.shop.svc.cluster.local"));
    assert_false(judge(c, "12.1.244.10.in-addr.arpa PTR", &digest)); // not ready: nobody's
    assert_false(judge(c, "1.0.0.127.in-addr.arpa PTR", &digest));
    assert_false(judge(c, "10.in-addr.arpa PTR", &digest));
    cluster_free(c);
}

static void pods(void **state)
{
    (void)state;
    struct cluster *c = read_example();
    uint64_t digest;
    assert_true(digest_of(c, "10-244-0-31.data.pod.cluster.local A") ==
                WITH(NODATA, "10-244-0-31.data.pod.cluster.local", "\12\364\0\37"));
    assert_true(digest_of(c, "10-244-0-31.data.pod.cluster.local AAAA") == NODATA);
    assert_true(digest_of(c, "fd00-10-244-1--31.data.pod.cluster.local AAAA") != NODATA);
    assert_true(digest_of(c, "10-244-0-31.nowhere.pod.cluster.local A") == NXDOMAIN);
    // "pods insecure" answers it, "pods verified" does not
    assert_false(judge(c, "10-244-0-31.shop.pod.cluster.local A", &digest));
    cluster_free(c);
}

static void other_names(void **state)
{
    (void)state;
    struct cluster *c = read_example();
    static const char *const missing[] = {
        "nothing.shop.svc.cluster.local A",
        "web.nowhere.svc.cluster.local AAAA",
        "x.web.shop.svc.cluster.local A",
        "_tcp.web.shop.svc.cluster.local A",
        "a.b.web.shop.svc.cluster.local A",
        "a.b.c.web.shop.svc.cluster.local A",
        "web.shop.cluster.local A",
        "nowhere.svc.cluster.local A",
        "www.example.com.cluster.local A",
        "web.shop.svc.cluster.local.shop.svc.cluster.local A",
        "x.payments.shop.svc.cluster.local A",
        "web\\000.shop.svc.cluster.local A",
        "\\.\\..web.shop.svc.cluster.local A",
    };
    static const char *const others[] = {
        "www.example.com A",
        "web.shop.svc.other A",
        "payments.shop.svc.cluster.local A",
        "web.shop.svc.cluster.local TXT",
        "ns.dns.cluster.local A",
    };
    uint64_t digest;
    for (size_t i = 0; i < sizeof missing / sizeof missing[0]; i++)
        if (digest_of(c, missing[i]) != NXDOMAIN)
            fail_msg("%s is there", missing[i]);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (judge(c, others[i], &digest))
            fail_msg("%s is judged", others[i]);
    assert_true(digest_of(c, "shop.svc.cluster.local A") == NODATA);
    assert_true(digest_of(c, "svc.cluster.local A") == NODATA);
    cluster_free(c);
}

static void external_names(void **state)
{
    (void)state;
    struct cluster *c = read_example();
    static const char owner[] = "database.shop.svc.cluster.local", target[] = "db.data.svc.cluster.local";
    uint64_t alias = with_name(NODATA, owner, RR_CNAME, NULL, 0, target);
    assert_true(digest_of(c, "database.shop.svc.cluster.local CNAME") == alias);
    assert_true(digest_of(c, "database.shop.svc.cluster.local SRV") == NODATA);
    assert_true(digest_of(c, "database.shop.svc.cluster.local A") ==
                WITH(WITH(alias, target, "\12\364\0\37"), target, "\12\364\1\37"));
    cluster_free(c);
}

#define SERVICE(name, spec)                                                                                            \
    "---\napiVersion: v1\nkind: Service\nmetadata: { name: " name ", namespace: a }\nspec: { " spec " }\n"
#define SLICE(name, service, type, ports, endpoints)                                                                   \
    "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"                                                      \
    "metadata: { name: " name ", namespace: a, labels: { kubernetes.io/service-name: " service " } }\n"                \
    "addressType: " type "\nports: [" ports "]\nendpoints: [" endpoints "]\n"
#define ALIAS(name, target) SERVICE(name, "type: ExternalName, externalName: " target)
#define IN(name) name ".a.svc.cluster.local"

static void odd_services(void **state)
{
    (void)state;
    struct cluster *c = read_text(
        SERVICE("web", "clusterIP: 10.0.0.1") SERVICE("web", "clusterIP: 10.0.0.2") // the last one counts
        SERVICE("none", "clusterIP: None") SERVICE("unready", "clusterIP: None")
            SERVICE("pending", "ports: [{ name: http, port: 80 }]")
                SLICE("unready-1", "unready", "IPv4", "", "{ addresses: [10.1.0.1], conditions: { ready: false } }")
                    ALIAS("loop", "loop.a.svc.cluster.local") ALIAS("one", "two.a.svc.cluster.local")
                        ALIAS("two", "one.a.svc.cluster.local") ALIAS("literal", "10.0.0.1")
                            ALIAS("lost", "x.a.svc.cluster.local") ALIAS("empty", "''") ALIAS("bad", "a..b")
                                SERVICE("twin", "clusterIP: 10.0.0.9") SERVICE("twin2", "clusterIP: 10.0.0.9"));
    uint64_t digest;
    assert_true(digest_of(c, IN("web") " A") == WITH(NODATA, IN("web"), "\12\0\0\2"));
    assert_true(digest_of(c, IN("none") " A") == NXDOMAIN);
    assert_true(digest_of(c, IN("unready") " A") == NXDOMAIN);
    assert_true(digest_of(c, IN("pending") " A") == NODATA);
    assert_true(digest_of(c, IN("loop") " A") == NODATA);
    assert_true(digest_of(c, IN("one") " AAAA") == NODATA);
    assert_true(digest_of(c, IN("lost") " A") == NODATA);
    assert_true(digest_of(c, IN("literal") " A") == NXDOMAIN);
    assert_false(judge(c, IN("empty") " A", &digest));
    assert_false(judge(c, IN("bad") " CNAME", &digest));
    assert_false(judge(c, "9.0.0.10.in-addr.arpa PTR", &digest)); // of two Services
    cluster_free(c);
}

static void odd_endpoints(void **state)
{
    (void)state;
    struct cluster *c = read_text(
        SERVICE("db", "clusterIP: None") SERVICE("six", "clusterIP: None")
            SLICE("db-1", "db", "IPv4", "{ name: x, port: 1 }",
                  "{ addresses: [10.1.0.1, no, 10.1.0.2], hostname: pair }, { addresses: [10.1.0.3] }, null, 7")
                SLICE("db-2", "db", "IPv4", "", "{ addresses: [10.1.0.3] }") // … in both
        SLICE("db-3", "db", "FQDN", "", "{ addresses: [db.example.com] }")
            SLICE("lost-1", "lost", "IPv4", "", "{ addresses: [10.1.0.9] }")
                SLICE("six-1", "six", "IPv6", "", "{ addresses: ['fd00::'] }, { addresses: ['fd00:0::2'] }"));
    uint64_t digest;
    uint64_t pair = WITH(WITH(NODATA, IN("pair.db"), "\12\1\0\1"), IN("pair.db"), "\12\1\0\2");
    assert_true(digest_of(c, IN("pair.db") " A") == pair);
    assert_true(digest_of(c, IN("db") " A") ==
                WITH(WITH(WITH(NODATA, IN("db"), "\12\1\0\1"), IN("db"), "\12\1\0\2"), IN("db"), "\12\1\0\3"));
    // a slice without ports has no protocol either: weight 100 / 3
    uint64_t one = with_name(NODATA, IN("_x._tcp.db"), RR_SRV, "\0\0\0\x21\0\1", 6, IN("pair.db"));
    assert_true(digest_of(c, IN("_x._tcp.db") " SRV") ==
                with_name(one, IN("_x._tcp.db"), RR_SRV, "\0\0\0\x21\0\1", 6, IN("10-1-0-3.db")));
    // slices of no Service have PTR records
    assert_true(digest_of(c, "9.0.1.10.in-addr.arpa PTR") ==
                with_name(NODATA, "9.0.1.10.in-addr.arpa", RR_PTR, NULL, 0, IN("10-1-0-9.lost")));
    assert_true(digest_of(c, IN("10-1-0-9.lost") " A") == NXDOMAIN);
    // one is not written as RFC 5952 says: what it is called is not judged, its address is
    assert_true(digest_of(c, IN("six") " AAAA") == WITH(WITH(NODATA, IN("six"), "\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
                                                        IN("six"), "\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\2"));
    assert_false(judge(c, IN("fd00--0.six") " AAAA", &digest));
    cluster_free(c);
}

// Namespaces that manifests without Namespace objects name are there; with one, only that is.
static void namespaces(void **state)
{
    (void)state;
    struct cluster *c = read_text(SERVICE("web", "clusterIP: 10.0.0.1"));
    assert_true(digest_of(c, "a.svc.cluster.local A") == NODATA);
    cluster_free(c);
    c = read_text("apiVersion: v1\nkind: Namespace\nmetadata: { name: b }\n" SERVICE("web", "clusterIP: 10.0.0.1"));
    assert_true(digest_of(c, IN("web") " A") == NXDOMAIN);
    assert_true(digest_of(c, "a.svc.cluster.local A") == NXDOMAIN);
    assert_true(digest_of(c, "b.svc.cluster.local A") == NODATA);
    cluster_free(c);
}

// --- questions

struct count {
    size_t all, missing, external, by_type[64];
};

static struct count count(const struct cluster *c, const struct questions *set)
{
    struct count n = {.all = set->n};
    for (size_t i = 0; i < set->n; i++) {
        uint64_t digest = 0;
        bool judged = cluster_digest(c, &set->all[i], &digest);
        n.external += !judged;
        n.missing += judged && digest == NXDOMAIN;
        assert_in_range(set->all[i].qtype, 1, 63);
        n.by_type[set->all[i].qtype]++;
    }
    return n;
}

static struct count ask(const struct cluster *c, const struct options *o)
{
    struct questions set;
    char error[CLUSTER_ERROR_MAX];
    assert_int_equal(cluster_questions(c, o, &set, error), 0);
    struct count n = count(c, &set);
    questions_free(&set);
    return n;
}

static void kinds(void **state)
{
    (void)state;
    struct cluster *c = read_example();
    struct options o = example();
    struct count n = ask(c, &o);
    assert_int_equal(n.all, 77);
    assert_int_equal(n.missing + n.external, 0);
    assert_int_equal(n.by_type[RR_SRV], 13);
    assert_int_equal(n.by_type[RR_CNAME], 2);
    o.names = NAMES_PTR;
    n = ask(c, &o);
    assert_int_equal(n.all, n.by_type[RR_PTR]);
    assert_int_equal(n.all, 8 + 16);
    o.names = NAMES_PODS;
    n = ask(c, &o);
    assert_int_equal(n.by_type[RR_A], 4);
    assert_int_equal(n.by_type[RR_AAAA], 2);
    o.names = NAMES_HEADLESS;
    n = ask(c, &o);
    assert_int_equal(n.all, 2 * (3 + 2 + 2 + 1));
    cluster_free(c);
}

static void shares(void **state)
{
    (void)state;
    struct cluster *c = read_example();
    struct options o = example();
    o.missing = 20;
    o.external = 30;
    struct count n = ask(c, &o);
    assert_int_equal(n.all, 77 * 2);
    assert_in_range(n.missing, 30, 32);
    assert_in_range(n.external, 45, 47);
    o.missing = 0.5; // so few that the others are copied
    o.external = 0;
    n = ask(c, &o);
    assert_true((double)n.missing / (double)n.all > 0.0047 && (double)n.missing / (double)n.all < 0.0053);
    o.missing = 40;
    o.external = 60;
    n = ask(c, &o);
    assert_int_equal(n.missing, 400);
    assert_int_equal(n.external, 600);
    cluster_free(c);
}

static void seeds(void **state)
{
    (void)state;
    struct cluster *c = read_example(), *again = read_example();
    struct options o = example();
    struct questions a, b;
    char error[CLUSTER_ERROR_MAX];
    o.seed = 7;
    assert_int_equal(cluster_questions(c, &o, &a, error), 0);
    assert_int_equal(cluster_questions(again, &o, &b, error), 0);
    for (size_t i = 0; i < a.n; i++)
        assert_memory_equal(a.all[i].wire, b.all[i].wire, a.all[i].size);
    questions_free(&b);
    o.seed = 8;
    size_t same = 0;
    assert_int_equal(cluster_questions(c, &o, &b, error), 0);
    for (size_t i = 0; i < a.n; i++)
        same += a.all[i].size == b.all[i].size && memcmp(a.all[i].wire, b.all[i].wire, a.all[i].size) == 0;
    assert_true(same < a.n / 4);
    questions_free(&a);
    questions_free(&b);
    cluster_free(c);
    cluster_free(again);
}

static void stub_names(void **state)
{
    (void)state;
    struct cluster *c = read_example();
    struct options o = example();
    struct questions set;
    char error[CLUSTER_ERROR_MAX], text[1200];
    bool service = false, endpoint = false, pod = false;
    o.stub = true;
    assert_int_equal(cluster_questions(c, &o, &set, error), 0);
    for (size_t i = 0; i < set.n; i++) {
        question_text(&set.all[i], text, sizeof text);
        assert_int_equal(set.all[i].qtype, RR_A);
        assert_null(strstr(text, "cluster.local"));
        service |= strcmp(text, "web.shop. A") == 0;
        endpoint |= strcmp(text, "db-0.db.data. A") == 0;
        pod |= strcmp(text, "10-244-0-11.shop.pod. A") == 0;
    }
    assert_true(service && endpoint && pod);
    questions_free(&set);
    o.ndots = 1; // what is longer would be taken as it stands first
    o.missing = 10;
    assert_int_equal(cluster_questions(c, &o, &set, error), 0);
    for (size_t i = 0; i < set.n; i++)
        assert_int_equal(name_labels(set.all[i].wire + 12), 2);
    questions_free(&set);
    cluster_free(c);
}

static void mistakes(void **state)
{
    (void)state;
    struct options o = example();
    struct cluster *c = read_text(SERVICE("web", "clusterIP: 10.0.0.1"));
    struct questions set;
    char error[CLUSTER_ERROR_MAX] = "";
    o.names = NAMES_PODS;
    assert_int_equal(cluster_questions(c, &o, &set, error), CDNS_ECONFIG);
    assert_non_null(strstr(error, "--names"));
    o.names = NAMES_ALL;
    o.external = 10;
    o.external_names = "a..b";
    assert_int_equal(cluster_questions(c, &o, &set, error), CDNS_ECONFIG);
    assert_non_null(strstr(error, "a..b"));
    o.external_names = "";
    assert_int_equal(cluster_questions(c, &o, &set, error), CDNS_ECONFIG);
    cluster_free(c);
    o.zone = "cluster..local";
    assert_int_equal(cluster_read(&o, &c, error), CDNS_ECONFIG);
    assert_non_null(strstr(error, "--zone"));
    o.zone = "cluster.local";
    o.manifests[0] = "/nowhere";
    assert_int_equal(cluster_read(&o, &c, error), CDNS_ECONFIG);
    assert_non_null(strstr(error, "/nowhere"));
    o.nmanifests = 0;
    o.kubeconfig = "/nowhere/config";
    assert_int_equal(cluster_read(&o, &c, error), CDNS_ECONFIG);
    assert_non_null(strstr(error, "/nowhere/config"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cluster_ips),    cmocka_unit_test(headless),     cmocka_unit_test(ports),
        cmocka_unit_test(addresses),      cmocka_unit_test(pods),         cmocka_unit_test(other_names),
        cmocka_unit_test(external_names), cmocka_unit_test(odd_services), cmocka_unit_test(odd_endpoints),
        cmocka_unit_test(namespaces),     cmocka_unit_test(kinds),        cmocka_unit_test(shares),
        cmocka_unit_test(seeds),          cmocka_unit_test(stub_names),   cmocka_unit_test(mistakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
