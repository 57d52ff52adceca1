// SPDX-License-Identifier: Apache-2.0
// multicluster: zones of imported services.
#include "kubernetes_test.h"

static const char *const cluster[] = {
    "ns default",
    "svc default/web cluster 10.96.0.10 http:80/TCP",
    "slice default/web-1 web http:8080/TCP 10.0.0.1",
    "svc default/own cluster 10.96.0.11 http:80/TCP",
    "svc default/out external example.org",
    "import default/web cluster 10.128.0.10 fd00:128::10 http:80/TCP dns:53/UDP",
    "imported default/web-1 web@east http:8080/TCP 10.1.0.1 10.1.0.2=named",
    "imported default/web-2 web@West http:8080/TCP dns:53/UDP 10.2.0.2=named fd00:2::1",
    "imported default/web-3 web http:8080/TCP 10.3.0.1 10.3.0.2=named",
    "imported default/web-4 web@in.two http:8080/TCP 10.4.0.1=named",
    "import default/db headless",
    "imported default/db-1 db@east sql:5432/TCP 10.1.1.1=db-0 10.1.1.2!",
    "imported default/db-2 db@west sql:5432/TCP 10.2.1.1=db-0 10.2.1.2+pod.dots",
    "imported default/db-3 db sql:5432/TCP 10.3.1.1",
    "import default/unready headless",
    "imported default/unready-1 unready@east sql:5432/TCP 10.1.2.1!",
    "import default/portless cluster 10.128.0.11",
    "import default/pending cluster http:80/TCP",
    "import default/empty cluster 10.128.0.12 http:80/TCP",
    "imported default/orphan-1 orphan@east http:80/TCP 10.1.3.1",
    "import lingering/web cluster 10.128.0.13 http:80/TCP",
    "pod default/p 10.0.0.1",
};

#define WEB "web.default.svc.set.local"
#define DB "db.default.svc.set.local"

static const struct answer_case imported[] = {
    {WEB " A", "NOERROR AN @ 5 A 10.128.0.10"},
    {WEB " AAAA", "NOERROR AN @ 5 AAAA fd00:128::10"},
    {"Web.Default.SVC.Set.Local A", "NOERROR AN @ 5 A 10.128.0.10"},
    {"_http._tcp." WEB " SRV", "NOERROR AN @ 5 SRV 0 50 80 " WEB ". AR " WEB ". 5 A 10.128.0.10; " WEB ". 5 AAAA "
                               "fd00:128::10"},
    {"_dns._tcp." WEB " SRV", "NXDOMAIN"},
    {"http._tcp." WEB " A", "NOERROR AN @ 5 A 10.128.0.10"}, // one underscore is enough
    {"_http.tcp." WEB " A", "NOERROR AN @ 5 A 10.128.0.10"},
    {"http.tcp." WEB " A", "NXDOMAIN"}, // endpoint "http" of cluster "tcp"
    {"10-1-0-1.east." WEB " A", "NOERROR AN @ 5 A 10.1.0.1"},
    {"named.east." WEB " A", "NOERROR AN @ 5 A 10.1.0.2"},
    {"Named.WEST." WEB " A", "NOERROR AN @ 5 A 10.2.0.2"},
    {"fd00-2--1.west." WEB " AAAA", "NOERROR AN @ 5 AAAA fd00:2::1"},
    {"10-1-0-1.west." WEB " A", "NXDOMAIN"},
    {"10-1-0-1." WEB " A", "NXDOMAIN"}, // of a cluster: its name says so
    {"named." WEB " A", "NOERROR AN @ 5 A 10.3.0.2"},
    {"named.nowhere." WEB " A", "NXDOMAIN"},
    {"named.in.two." WEB " A", "NXDOMAIN"},
    {"named.in\\.two." WEB " A", "NXDOMAIN"},
    {"x.named.east." WEB " A", "NXDOMAIN"},
    {"named.east." WEB " SRV", "NOERROR AN @ 5 SRV 0 100 8080 named.east." WEB ". AR @ 5 A 10.1.0.2"},
    {DB " A", "NOERROR AN @ 5 A 10.1.1.1; @ 5 A 10.2.1.1; @ 5 A 10.2.1.2; @ 5 A 10.3.1.1"},
    {"db-0.east." DB " A", "NOERROR AN @ 5 A 10.1.1.1"},
    {"db-0.west." DB " A", "NOERROR AN @ 5 A 10.2.1.1"},
    {"_sql._tcp." DB " SRV",
     "NOERROR AN @ 5 SRV 0 25 5432 db-0.east." DB ".; @ 5 SRV 0 25 5432 db-0.west." DB ".; @ 5 SRV 0 25 5432 "
     "10-2-1-2.west." DB ".; @ 5 SRV 0 25 5432 10-3-1-1." DB ". AR db-0.east." DB ". 5 A 10.1.1.1; db-0.west." DB
     ". 5 A 10.2.1.1; 10-2-1-2.west." DB ". 5 A 10.2.1.2; 10-3-1-1." DB ". 5 A 10.3.1.1"},
    {"_sql._udp." DB " A", "NXDOMAIN"},
    {DB " TXT", "NOERROR"},
    {"unready.default.svc.set.local A", "NXDOMAIN"},
    {"portless.default.svc.set.local A", "NXDOMAIN"}, // CoreDNS wants a port
    {"pending.default.svc.set.local A", "NOERROR"},
    {"pending.default.svc.set.local TXT", "NXDOMAIN"},
    {"orphan.default.svc.set.local A", "NXDOMAIN"},
    {"10-1-3-1.east.orphan.default.svc.set.local A", "NXDOMAIN"},
    {"web.lingering.svc.set.local A", "NXDOMAIN"},
    {"own.default.svc.set.local A", "NXDOMAIN"},
    {"out.default.svc.set.local A", "NXDOMAIN"},
    {"default.svc.set.local A", "NOERROR"},
    {"nosuch.svc.set.local A", "NXDOMAIN"},
    {"10-0-0-1.default.pod.set.local A", "NOERROR AN @ 5 A 10.0.0.1"},
    {"dns-version.set.local TXT", "NOERROR AN @ 28800 TXT \"1.1.0\""},
    {"zone-a.pin._zone." DB " A", "NXDOMAIN"},
    {"set.local SOA", "NOERROR AN @ 5 SOA ns.dns.set.local. hostmaster.set.local. 1700000000 7200 1800 86400 5"},
    {"db.default.svc.sub.set.local A", "NOERROR AN @ 5 A 10.1.1.1; @ 5 A 10.2.1.1; @ 5 A 10.2.1.2; @ 5 A 10.3.1.1"},
};

static const struct answer_case own[] = {
    {"web.default.svc.cluster.local A", "NOERROR AN @ 5 A 10.96.0.10"},
    {"10-0-0-1.web.default.svc.cluster.local A", "NOERROR AN @ 5 A 10.0.0.1"},
    {"10-1-0-1.web.default.svc.cluster.local A", "NXDOMAIN"},
    {"10-1-0-1.east.web.default.svc.cluster.local A", "NXDOMAIN"},
    {"http.tcp.web.default.svc.cluster.local A", "NOERROR AN @ 5 A 10.96.0.10"},
    {"db.default.svc.cluster.local A", "NXDOMAIN"},
    {"10.0.96.10.in-addr.arpa PTR", "NOERROR AN @ 5 PTR web.default.svc.cluster.local."},
    {"10.0.128.10.in-addr.arpa PTR", "NXDOMAIN"}, // imports are not found by address
    {"1.0.1.10.in-addr.arpa PTR", "NXDOMAIN"},
};

static void zones_of_imports(void **state)
{
    (void)state;
    struct instance in;
    set_up(&in, "cluster.local set.local sub.set.local in-addr.arpa {\nmulticluster set.local\npods verified\nzonal\n}",
           cluster, COUNT(cluster));
    check_answers(&in, imported, COUNT(imported));
    check_answers(&in, own, COUNT(own));
    tear_down(&in);
    set_up(&in, "cluster.local set.local {\nmulticluster set.local\nendpoint_pod_names\n}", cluster, COUNT(cluster));
    static const struct answer_case pod_names[] = {
        {"_sql._tcp." DB " SRV",
         "NOERROR AN @ 5 SRV 0 25 5432 db-0.east." DB ".; @ 5 SRV 0 25 5432 db-0.west." DB ".; @ 5 SRV 0 25 5432 "
         "pod.dots.west." DB ".; @ 5 SRV 0 25 5432 10-3-1-1." DB ". AR db-0.east." DB ". 5 A 10.1.1.1; db-0.west." DB
         ". 5 A 10.2.1.1; pod.dots.west." DB ". 5 A 10.2.1.2; 10-3-1-1." DB ". 5 A 10.3.1.1"},
    };
    check_answers(&in, pod_names, COUNT(pod_names));
    tear_down(&in);
}

static void with_other_options(void **state)
{
    (void)state;
    struct instance in;
    set_up(&in, "cluster.local set.local {\nmulticluster set.local\nignore empty_service\nnoendpoints\nfallthrough\n}",
           cluster, COUNT(cluster));
    static const struct answer_case cases[] = {
        {"web.default.svc.set.local A", "NOERROR AN @ 5 A 10.128.0.10"},
        {"empty.default.svc.set.local A", "NEXT"}, // ignore empty_service
        {DB " A", "NOERROR AN @ 5 A 10.1.1.1; @ 5 A 10.2.1.1; @ 5 A 10.2.1.2; @ 5 A 10.3.1.1"},
        {"10-0-0-1.web.default.svc.cluster.local A", "NEXT"}, // noendpoints is about the cluster's own
        {"web.default.svc.cluster.local A", "NEXT"},
        {"nosuch.default.svc.set.local A", "NEXT"},
    };
    check_answers(&in, cases, COUNT(cases));
    tear_down(&in);
}

// Nobody knows what is imported while the API server does not show it; all else is known.
static void imports_not_known(void **state)
{
    (void)state;
    static const struct answer_case cases[] = {
        {"web.default.svc.cluster.local A", "NOERROR AN @ 5 A 10.96.0.10"},
        {"nosuch.default.svc.cluster.local A", "NXDOMAIN"},
        {WEB " A", "NOERROR AN @ 5 A 10.128.0.10"}, // what is known is known
        {"nosuch.default.svc.set.local A", "SERVFAIL"},
        {"set.local A", "NOERROR"},
        {"set.local SOA", "NOERROR AN @ 5 SOA ns.dns.set.local. hostmaster.set.local. 0 7200 1800 86400 5"},
    };
    struct instance in;
    set_up(&in, "cluster.local set.local {\nmulticluster set.local\n}", cluster, COUNT(cluster));
    struct store *known = the_source.store;
    the_source.store = store_new(&the_source.options.store);
    fill(the_source.store, cluster, COUNT(cluster));
    store_set_synced(the_source.store);
    in.k->store = the_source.store;
    check_answers(&in, cases, COUNT(cases));
    assert_true(kubernetes->ready(in.k));
    store_set_imports_synced(the_source.store);
    static const struct answer_case after[] = {{"nosuch.default.svc.set.local A", "NXDOMAIN"}};
    check_answers(&in, after, COUNT(after));
    store_free(known);
    tear_down(&in);
}

int main(void)
{
    rcu_thread_start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zones_of_imports),
        cmocka_unit_test(with_other_options),
        cmocka_unit_test(imports_not_known),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rcu_thread_end();
    return failed;
}
