// SPDX-License-Identifier: Apache-2.0
// The names of the Kubernetes DNS specification and their answers, as CoreDNS 1.15.0 gives them.
#include "kubernetes_test.h"

static const char *const cluster[] = {
    "ns default",
    "ns other",
    "ns empty",
    // ClusterIP: dual-stack; ports that share a number; one family; without a port; without a port's name
    "svc default/web cluster 10.96.0.10 fd00:10::10 http:80/TCP https:443/TCP",
    "svc default/dns cluster 10.96.0.2 dns:53/UDP dns-tcp:53/TCP metrics:9153/TCP",
    "svc default/six cluster fd00:10::6 http:80/TCP",
    "svc default/portless cluster 10.96.0.3",
    "svc default/unnamed cluster 10.96.0.4 -:80/TCP",
    "svc default/7 cluster 10.96.0.7 http:80/TCP",
    "svc default/pending cluster http:80/TCP",
    "svc lingering/web cluster 10.96.9.9 http:80/TCP",
    "slice default/web-1 web http:8080/TCP https:8443/TCP 10.244.0.1 10.244.0.2=named 10.244.0.3!",
    "slice default/web-2 web http:8080/TCP https:8443/TCP fd00:244::1 fd00:244:1::",
    "slice lingering/web-1 web http:8080/TCP 10.244.9.9",
    // headless: hostnames, both families; unready only; one port; no port; the same address twice
    "svc default/db headless sql:5432/TCP",
    "slice default/db-1 db sql:5432/TCP admin:9000/UDP 10.244.1.1=db-0 10.244.1.2=db-1 10.244.1.3",
    "slice default/db-2 db sql:5432/TCP admin:9000/UDP fd00:244::11=db-0",
    "svc default/unready headless sql:5432/TCP",
    "slice default/unready-1 unready sql:5432/TCP 10.244.2.1!",
    "svc other/four headless http:80/TCP",
    "slice other/four-1 four http:8080/TCP 10.244.3.1 10.244.3.2",
    "slice other/four-2 four http:8080/TCP 10.244.3.2 10.244.3.3=",
    "svc other/noport headless",
    "slice other/noport-1 noport 10.244.4.1",
    "svc other/shared headless http:80/TCP",
    "slice other/shared-1 shared http:80/TCP 10.244.5.1=pair 10.244.5.2=pair",
    "slice other/orphan-1 orphan http:80/TCP 10.244.6.1",
    "slice other/odd-1 four http:8080/TCP fd00:244::33~",
    "pod default/p1 10.244.0.1 fd00:244::1",
};

static const struct answer_case service_addresses[] = {
    {"web.default.svc.cluster.local A", "NOERROR AN @ 5 A 10.96.0.10"},
    {"web.default.svc.cluster.local AAAA", "NOERROR AN @ 5 AAAA fd00:10::10"},
    {"WeB.Default.SVC.Cluster.LOCAL A", "NOERROR AN @ 5 A 10.96.0.10"},
    {"dns.default.svc.cluster.local A", "NOERROR AN @ 5 A 10.96.0.2"},
    {"dns.default.svc.cluster.local AAAA", "NOERROR"},
    {"six.default.svc.cluster.local A", "NOERROR"},
    {"six.default.svc.cluster.local AAAA", "NOERROR AN @ 5 AAAA fd00:10::6"},
    {"portless.default.svc.cluster.local A", "NOERROR AN @ 5 A 10.96.0.3"},
    {"7.default.svc.cluster.local A", "NOERROR AN @ 5 A 10.96.0.7"},
    {"pending.default.svc.cluster.local A", "NOERROR"},
    {"pending.default.svc.cluster.local SRV", "NOERROR"},
    {"nosuch.default.svc.cluster.local A", "NXDOMAIN"},
    {"web.nosuch.svc.cluster.local A", "NXDOMAIN"},
    {"web.lingering.svc.cluster.local A", "NXDOMAIN"}, // its namespace is gone
    {"web.other.svc.cluster.local A", "NXDOMAIN"},
    {"*.default.svc.cluster.local A", "NXDOMAIN"},
    {"web.*.svc.cluster.local A", "NXDOMAIN"},
    // a port and protocol before it
    {"_http._tcp.web.default.svc.cluster.local A", "NOERROR AN @ 5 A 10.96.0.10"},
    {"http.tcp.web.default.svc.cluster.local A", "NOERROR AN @ 5 A 10.96.0.10"},
    {"_http._udp.web.default.svc.cluster.local A", "NXDOMAIN"},
    {"_ftp._tcp.web.default.svc.cluster.local A", "NXDOMAIN"},
    {"_tcp.web.default.svc.cluster.local A", "NXDOMAIN"},
    {"_._.web.default.svc.cluster.local A", "NOERROR AN @ 5 A 10.96.0.10"},
    {"_http._tcp.portless.default.svc.cluster.local A", "NXDOMAIN"},
    {"x._http._tcp.web.default.svc.cluster.local A", "NXDOMAIN"}, // too long
    {"a.b.c.d.e.web.default.svc.cluster.local A", "NXDOMAIN"},
    // endpoints of a ClusterIP service have names too
    {"10-244-0-1.web.default.svc.cluster.local A", "NOERROR AN @ 5 A 10.244.0.1"},
    {"10-244-0-1.web.default.svc.cluster.local AAAA", "NOERROR"},
    {"named.web.default.svc.cluster.local A", "NOERROR AN @ 5 A 10.244.0.2"},
    {"NAMED.web.default.svc.cluster.local A", "NOERROR AN @ 5 A 10.244.0.2"},
    {"10-244-0-2.web.default.svc.cluster.local A", "NXDOMAIN"}, // it has a hostname
    {"10-244-0-3.web.default.svc.cluster.local A", "NXDOMAIN"}, // not ready
    {"10-244-0-01.web.default.svc.cluster.local A", "NXDOMAIN"},
    {"fd00-244--1.web.default.svc.cluster.local AAAA", "NOERROR AN @ 5 AAAA fd00:244::1"},
    {"fd00-244-1--0.web.default.svc.cluster.local AAAA", "NOERROR AN @ 5 AAAA fd00:244:1::"},
    {"fd00-244-1--.web.default.svc.cluster.local AAAA", "NXDOMAIN"},
    {"fd00-244-0--1.web.default.svc.cluster.local AAAA", "NXDOMAIN"},
};

static const struct answer_case headless[] = {
    {"db.default.svc.cluster.local A", "NOERROR AN @ 5 A 10.244.1.1; @ 5 A 10.244.1.2; @ 5 A 10.244.1.3"},
    {"db.default.svc.cluster.local AAAA", "NOERROR AN @ 5 AAAA fd00:244::11"},
    {"db-0.db.default.svc.cluster.local A", "NOERROR AN @ 5 A 10.244.1.1"},
    {"db-0.db.default.svc.cluster.local AAAA", "NOERROR AN @ 5 AAAA fd00:244::11"},
    {"db-1.db.default.svc.cluster.local AAAA", "NOERROR"},
    {"db-2.db.default.svc.cluster.local A", "NXDOMAIN"},
    {"10-244-1-3.db.default.svc.cluster.local A", "NOERROR AN @ 5 A 10.244.1.3"},
    {"10-244-1-1.db.default.svc.cluster.local A", "NXDOMAIN"},
    {"_sql._tcp.db.default.svc.cluster.local A", "NOERROR AN @ 5 A 10.244.1.1; @ 5 A 10.244.1.2; @ 5 A 10.244.1.3"},
    {"_admin._udp.db.default.svc.cluster.local AAAA", "NOERROR AN @ 5 AAAA fd00:244::11"},
    {"_admin._tcp.db.default.svc.cluster.local A", "NXDOMAIN"},
    {"unready.default.svc.cluster.local A", "NXDOMAIN"},
    {"unready.default.svc.cluster.local SRV", "NXDOMAIN"},
    {"unready.default.svc.cluster.local TXT", "NXDOMAIN"},
    {"unready.default.svc.cluster.local HTTPS", "NXDOMAIN"},
    {"four.other.svc.cluster.local A", "NOERROR AN @ 5 A 10.244.3.1; @ 5 A 10.244.3.2; @ 5 A 10.244.3.3"},
    {"pair.shared.other.svc.cluster.local A", "NOERROR AN @ 5 A 10.244.5.1; @ 5 A 10.244.5.2"},
    {"noport.other.svc.cluster.local A", "NOERROR AN @ 5 A 10.244.4.1"},
    {"noport.other.svc.cluster.local SRV", "NOERROR"},
    {"orphan.other.svc.cluster.local A", "NXDOMAIN"},
    {"10-244-6-1.orphan.other.svc.cluster.local A", "NXDOMAIN"},
};

#define WEB "web.default.svc.cluster.local."
#define DB(host) host ".db.default.svc.cluster.local."

static const struct answer_case srv[] = {
    {"_http._tcp.web.default.svc.cluster.local SRV",
     "NOERROR AN @ 5 SRV 0 50 80 " WEB " AR " WEB " 5 A 10.96.0.10; " WEB " 5 AAAA fd00:10::10"},
    {"http.tcp.web.default.svc.cluster.local SRV",
     "NOERROR AN @ 5 SRV 0 50 80 " WEB " AR " WEB " 5 A 10.96.0.10; " WEB " 5 AAAA fd00:10::10"},
    {"_http._tcp.web.default.svc.Cluster.Local SRV",
     "NOERROR AN @ 5 SRV 0 50 80 web.default.svc.Cluster.Local. AR web.default.svc.Cluster.Local. 5 A "
     "10.96.0.10; "
     "web.default.svc.Cluster.Local. 5 AAAA fd00:10::10"},
    {"web.default.svc.cluster.local SRV",
     "NOERROR AN @ 5 SRV 0 25 80 " WEB "; @ 5 SRV 0 25 443 " WEB " AR @ 5 A 10.96.0.10; @ 5 AAAA fd00:10::10"},
    // three entries make a third each; those of one number are one record
    {"dns.default.svc.cluster.local SRV", "NOERROR AN @ 5 SRV 0 33 53 dns.default.svc.cluster.local.; @ 5 SRV "
                                          "0 33 9153 dns.default.svc.cluster.local. AR "
                                          "@ 5 A 10.96.0.2"},
    {"_._udp.dns.default.svc.cluster.local SRV", "NOERROR AN @ 5 SRV 0 100 53 dns.default.svc.cluster.local. "
                                                 "AR dns.default.svc.cluster.local. 5 A 10.96.0.2"},
    {"_http._udp.web.default.svc.cluster.local SRV", "NXDOMAIN"},
    {"portless.default.svc.cluster.local SRV", "NOERROR"},
    {"unnamed.default.svc.cluster.local SRV",
     "NOERROR AN @ 5 SRV 0 100 80 unnamed.default.svc.cluster.local. AR @ 5 A 10.96.0.4"},
    {"_._tcp.unnamed.default.svc.cluster.local SRV",
     "NOERROR AN @ 5 SRV 0 100 80 unnamed.default.svc.cluster.local. AR unnamed.default.svc.cluster.local. 5 A "
     "10.96.0.4"},
    {"_sql._tcp.db.default.svc.cluster.local SRV",
     "NOERROR AN @ 5 SRV 0 25 5432 " DB("db-0") "; @ 5 SRV 0 25 5432 " DB("db-1") "; @ 5 SRV 0 25 5432 " DB(
         "10"
         "-2"
         "44"
         "-1"
         "-"
         "3") " AR " DB("db-0") " 5 A 10.244.1.1; " DB("db-1") " 5 A 10.244.1.2; " DB("10-244-1-3") " 5 A "
                                                                                                    "10.244.1."
                                                                                                    "3; " DB(
                                                                                                        "db-0") " 5 "
                                                                                                                "AAAA "
                                                                                                                "fd00:"
                                                                                                                "244::"
                                                                                                                "11"},
    {"db-0.db.default.svc.cluster.local SRV", "NOERROR AN @ 5 SRV 0 25 5432 " DB("db-0") "; @ 5 SRV 0 25 9000 " DB(
                                                  "db-0") " AR @ 5 A 10.244.1.1; @ 5 AAAA fd00:244::11"},
    {"named.web.default.svc.cluster.local SRV",
     "NOERROR AN @ 5 SRV 0 50 8080 named." WEB "; @ 5 SRV 0 50 8443 named." WEB " AR @ 5 A 10.244.0.2"},
    {"shared.other.svc.cluster.local SRV", "NOERROR AN @ 5 SRV 0 50 80 pair.shared.other.svc.cluster.local. AR "
                                           "pair.shared.other.svc.cluster.local. 5 A "
                                           "10.244.5.1; pair.shared.other.svc.cluster.local. 5 A 10.244.5.2"},
    {"cluster.local SRV", "NOERROR"},
    {"nosuch.default.svc.cluster.local SRV", "NXDOMAIN"},
};

static const struct answer_case ptr[] = {
    {"10.0.96.10.in-addr.arpa PTR", "NOERROR AN @ 5 PTR " WEB},
    {"10.0.96.10.IN-ADDR.arpa PTR", "NOERROR AN @ 5 PTR " WEB},
    {"0.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.0.d.f.ip6.arpa PTR", "NOERROR AN @ 5 PTR " WEB},
    {"1.0.244.10.in-addr.arpa PTR", "NOERROR AN @ 5 PTR 10-244-0-1." WEB},
    {"2.0.244.10.in-addr.arpa PTR", "NOERROR AN @ 5 PTR named." WEB},
    {"3.0.244.10.in-addr.arpa PTR", "NXDOMAIN"}, // not ready
    {"1.1.244.10.in-addr.arpa PTR", "NOERROR AN @ 5 PTR " DB("db-0")},
    {"1.6.244.10.in-addr.arpa PTR", "NOERROR AN @ 5 PTR 10-244-6-1.orphan.other.svc.cluster.local."},
    {"9.9.96.10.in-addr.arpa PTR", "NOERROR AN @ 5 PTR web.lingering.svc.cluster.local."},
    {"2.3.244.10.in-addr.arpa PTR", "NOERROR AN @ 5 PTR 10-244-3-2.four.other.svc.cluster.local."},
    {"3.3.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.4.4.2.0.0.0.d.f.ip6.arpa PTR", "NXDOMAIN"}, // not canonical
    {"0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.4.4.2.0.0.0.d.f.ip6.arpa PTR",
     "NOERROR AN @ 5 PTR fd00-244-1--0." WEB},
    {"1.2.3.4.in-addr.arpa PTR", "NXDOMAIN"},
    {"96.10.in-addr.arpa PTR", "NXDOMAIN"},
    {"in-addr.arpa PTR", "NOERROR"},
    {"1.10.0.96.10.in-addr.arpa PTR", "NXDOMAIN"},
    {"010.0.96.10.in-addr.arpa PTR", "NXDOMAIN"},
    {"10.0.96.10.in-addr.arpa A", "NXDOMAIN"},
    {"10.0.96.10.in-addr.arpa TXT", "NXDOMAIN"},
    {"svc.in-addr.arpa A", "NOERROR"},
    {"web.default.svc.in-addr.arpa A", "NXDOMAIN"},
    {"web.default.svc.cluster.local PTR", "NOERROR"},
    {"nosuch.default.svc.cluster.local PTR", "NXDOMAIN"},
    {"cluster.local PTR", "NOERROR"},
    {"ns.dns.cluster.local PTR", "NXDOMAIN"},
};

static const struct answer_case apex_and_others[] = {
    {"cluster.local A", "NOERROR"},
    {"cluster.local ANY", "NOERROR"},
    {"cluster.local MX", "NOERROR"},
    {"cluster.local CNAME", "NOERROR"},
    {"cluster.local TXT", "NXDOMAIN"},
    {"cluster.local AXFR", "REFUSED no-aa no-soa"},
    {"web.default.svc.cluster.local IXFR", "REFUSED no-aa no-soa"},
    {"cluster.local SOA",
     "NOERROR AN @ 5 SOA ns.dns.cluster.local. hostmaster.cluster.local. 1700000000 7200 1800 86400 5"},
    {"Cluster.Local SOA",
     "NOERROR AN @ 5 SOA ns.dns.Cluster.Local. hostmaster.Cluster.Local. 1700000000 7200 1800 86400 5"},
    {"web.default.svc.cluster.local SOA", "NOERROR"},
    {"nosuch.cluster.local SOA", "NOERROR"}, // it is not looked whether the name is there
    {"svc.cluster.local A", "NOERROR"},
    {"pod.cluster.local A", "NOERROR"},
    {"svc.cluster.local TXT", "NXDOMAIN"},
    {"default.svc.cluster.local A", "NOERROR"},
    {"empty.svc.cluster.local AAAA", "NOERROR"},
    {"default.svc.cluster.local SRV", "NOERROR"},
    {"default.svc.cluster.local TXT", "NXDOMAIN"},
    {"nosuch.svc.cluster.local A", "NXDOMAIN"},
    {"lingering.svc.cluster.local A", "NXDOMAIN"},
    {"default.pod.cluster.local A", "NXDOMAIN"}, // pods disabled
    {"10-244-0-1.default.pod.cluster.local A", "NXDOMAIN"},
    {"dns-version.cluster.local TXT", "NOERROR AN @ 28800 TXT \"1.1.0\""},
    {"DNS-Version.cluster.local TXT", "NOERROR AN @ 28800 TXT \"1.1.0\""},
    {"dns-version.cluster.local A", "NXDOMAIN"},
    {"x.dns-version.cluster.local TXT", "NXDOMAIN"},
    {"web.default.svc.cluster.local TXT", "NOERROR"},
    {"pending.default.svc.cluster.local TXT", "NXDOMAIN"}, // no address: nothing there for TXT
    {"db.default.svc.cluster.local TXT", "NOERROR"},
    {"web.default.svc.cluster.local MX", "NOERROR"},
    {"web.default.svc.cluster.local CNAME", "NOERROR"},
    {"web.default.svc.cluster.local NS", "NOERROR"},
    {"web.default.svc.cluster.local HTTPS", "NOERROR"},
    {"web.default.svc.cluster.local TYPE65280", "NOERROR"},
    {"nosuch.default.svc.cluster.local ANY", "NXDOMAIN"},
    {"foo.cluster.local A", "NXDOMAIN"},
    {"web.default.foo.cluster.local A", "NXDOMAIN"},
    {"example.org A", "NEXT"},
    {"notcluster.local A", "NEXT"},
    {"xcluster.local A", "NEXT"},
    {"local A", "NEXT"},
};

static void answers_of_a_cluster(void **state)
{
    (void)state;
    struct instance in;
    set_up(&in, "cluster.local in-addr.arpa ip6.arpa", cluster, COUNT(cluster));
    check_answers(&in, service_addresses, COUNT(service_addresses));
    check_answers(&in, headless, COUNT(headless));
    check_answers(&in, srv, COUNT(srv));
    check_answers(&in, ptr, COUNT(ptr));
    check_answers(&in, apex_and_others, COUNT(apex_and_others));
    tear_down(&in);
}

static void negative_answers_carry_the_soa(void **state)
{
    (void)state;
    struct instance in;
    struct query q;
    char text[512];
    static const char *const ttls[] = {"0", "30", "3600"};
    static const unsigned soa_ttls[] = {0, 30, 300};
    for (int i = 0; i < 3; i++) {
        snprintf(text, sizeof text, "cluster.local {\nttl %s\n}", ttls[i]);
        set_up(&in, text, cluster, COUNT(cluster));
        ask(&in, "foo.Cluster.local A", &q);
        assert_int_equal(q.reply.authority.n, 1);
        struct text t = {text, sizeof text};
        put_section(&t, "", &q, &q.reply.authority);
        char want[512];
        snprintf(want, sizeof want,
                 "Cluster.local. %u SOA ns.dns.Cluster.local. hostmaster.Cluster.local. 1700000000 7200 1800 86400 %s",
                 soa_ttls[i], ttls[i]);
        assert_string_equal(text, want);
        ask(&in, "web.default.svc.cluster.local A", &q);
        assert_int_equal(q.reply.answer.rr[0].ttl, atoi(ttls[i]));
        tear_down(&in);
    }
}

static void pods_insecure(void **state)
{
    (void)state;
    static const struct answer_case cases[] = {
        {"10-244-0-1.default.pod.cluster.local A", "NOERROR AN @ 5 A 10.244.0.1"},
        {"1-2-3-4.default.pod.cluster.local A", "NOERROR AN @ 5 A 1.2.3.4"},
        {"1-2-3-4.default.pod.cluster.local AAAA", "NOERROR"},
        {"1-2-3-4.default.pod.cluster.local TXT", "NOERROR"},
        {"1-2-3-4.Default.pod.cluster.local SRV",
         "NOERROR AN @ 5 SRV 0 100 0 1-2-3-4.default.pod.cluster.local. AR 1-2-3-4.default.pod.cluster.local. 5 A "
         "1.2.3.4"},
        {"1-2-3-4.nosuch.pod.cluster.local A", "NXDOMAIN"},
        {"1-2-3.default.pod.cluster.local A", "NXDOMAIN"},
        {"1-2-3-256.default.pod.cluster.local A", "NXDOMAIN"},
        {"1-2-3-04.default.pod.cluster.local A", "NXDOMAIN"},
        {"fd00--1.default.pod.cluster.local AAAA", "NOERROR AN @ 5 AAAA fd00::1"},
        {"fd00-0-0-0-0-0-0-1.default.pod.cluster.local AAAA", "NOERROR AN @ 5 AAAA fd00::1"},
        {"--1.default.pod.cluster.local AAAA", "NOERROR AN @ 5 AAAA ::1"},
        {"--.default.pod.cluster.local AAAA", "NOERROR AN @ 5 AAAA ::"},
        {"--ffff-102-304.default.pod.cluster.local A", "NOERROR AN @ 5 A 1.2.3.4"},
        {"nothing.default.pod.cluster.local A", "NXDOMAIN"},
        {"x.1-2-3-4.default.pod.cluster.local A", "NOERROR AN @ 5 A 1.2.3.4"},
        {"x.y.1-2-3-4.default.pod.cluster.local A", "NOERROR AN @ 5 A 1.2.3.4"},
        {"x.y.z.1-2-3-4.default.pod.cluster.local A", "NXDOMAIN"},
        {"default.pod.cluster.local A", "NOERROR"},
        {"nosuch.pod.cluster.local A", "NXDOMAIN"},
        {"1\\.2\\.3\\.4.default.pod.cluster.local A", "NXDOMAIN"},
    };
    struct instance in;
    set_up(&in, "cluster.local {\npods insecure\n}", cluster, COUNT(cluster));
    check_answers(&in, cases, COUNT(cases));
    tear_down(&in);
}

static void pods_verified(void **state)
{
    (void)state;
    static const struct answer_case cases[] = {
        {"10-244-0-1.default.pod.cluster.local A", "NOERROR AN @ 5 A 10.244.0.1"},
        {"10-244-0-1.other.pod.cluster.local A", "NXDOMAIN"},
        {"10-244-0-2.default.pod.cluster.local A", "NXDOMAIN"},
        {"fd00-244--1.default.pod.cluster.local AAAA", "NOERROR AN @ 5 AAAA fd00:244::1"},
        {"fd00-244-0-0-0-0-0-1.default.pod.cluster.local AAAA", "NXDOMAIN"}, // not as the pod has it
        {"default.pod.cluster.local A", "NOERROR"},
    };
    struct instance in;
    set_up(&in, "cluster.local {\npods verified\n}", cluster, COUNT(cluster));
    check_answers(&in, cases, COUNT(cases));
    tear_down(&in);
}

static void endpoint_pod_names(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "ns default",
        "svc default/db headless sql:5432/TCP",
        "slice default/db-1 db sql:5432/TCP 10.0.0.1=host+db-pod-0 10.0.0.2+db-pod-1 10.0.0.3 10.0.0.4+dotted.pod",
    };
    static const struct answer_case cases[] = {
        {"host.db.default.svc.cluster.local A", "NOERROR AN @ 5 A 10.0.0.1"},
        {"db-pod-0.db.default.svc.cluster.local A", "NXDOMAIN"},
        {"db-pod-1.db.default.svc.cluster.local A", "NOERROR AN @ 5 A 10.0.0.2"},
        {"10-0-0-2.db.default.svc.cluster.local A", "NXDOMAIN"},
        {"10-0-0-3.db.default.svc.cluster.local A", "NOERROR AN @ 5 A 10.0.0.3"},
        {"2.0.0.10.in-addr.arpa PTR", "NOERROR AN @ 5 PTR " DB("db-pod-1")},
        {"4.0.0.10.in-addr.arpa PTR", "NOERROR AN @ 5 PTR dotted." DB("pod")},
    };
    struct instance in;
    set_up(&in, "cluster.local in-addr.arpa {\nendpoint_pod_names\n}", lines, COUNT(lines));
    check_answers(&in, cases, COUNT(cases));
    tear_down(&in);
    static const struct answer_case without[] = {
        {"10-0-0-2.db.default.svc.cluster.local A", "NOERROR AN @ 5 A 10.0.0.2"},
        {"db-pod-1.db.default.svc.cluster.local A", "NXDOMAIN"},
    };
    set_up(&in, "cluster.local in-addr.arpa", lines, COUNT(lines));
    check_answers(&in, without, COUNT(without));
    tear_down(&in);
}

static void only_some_namespaces(void **state)
{
    (void)state;
    static const struct answer_case cases[] = {
        {"four.other.svc.cluster.local A", "NOERROR AN @ 5 A 10.244.3.1; @ 5 A 10.244.3.2; @ 5 A 10.244.3.3"},
        {"web.default.svc.cluster.local A", "NXDOMAIN"},
        {"default.svc.cluster.local A", "NXDOMAIN"},
        {"1-2-3-4.default.pod.cluster.local A", "NXDOMAIN"},
        {"1-2-3-4.other.pod.cluster.local A", "NOERROR AN @ 5 A 1.2.3.4"},
        {"10.0.96.10.in-addr.arpa PTR", "NXDOMAIN"},
        {"1.0.244.10.in-addr.arpa PTR", "NXDOMAIN"},
        {"9.9.96.10.in-addr.arpa PTR", "NXDOMAIN"}, // configured, but gone
        {"1.3.244.10.in-addr.arpa PTR", "NOERROR AN @ 5 PTR 10-244-3-1.four.other.svc.cluster.local."},
    };
    struct instance in;
    set_up(&in, "cluster.local in-addr.arpa {\npods insecure\nnamespaces other\nnamespaces lingering\n}", cluster,
           COUNT(cluster));
    check_answers(&in, cases, COUNT(cases));
    tear_down(&in);
}

static void without_endpoints(void **state)
{
    (void)state;
    static const struct answer_case cases[] = {
        {"web.default.svc.cluster.local A", "NOERROR AN @ 5 A 10.96.0.10"},
        {"db.default.svc.cluster.local A", "NXDOMAIN"},
        {"10-244-0-1.web.default.svc.cluster.local A", "NXDOMAIN"},
        {"1.0.244.10.in-addr.arpa PTR", "NXDOMAIN"},
    };
    struct instance in;
    set_up(&in, "cluster.local in-addr.arpa {\nnoendpoints\n}", cluster, COUNT(cluster));
    check_answers(&in, cases, COUNT(cases));
    tear_down(&in);
}

static void empty_services_ignored(void **state)
{
    (void)state;
    static const struct answer_case cases[] = {
        {"web.default.svc.cluster.local A", "NOERROR AN @ 5 A 10.96.0.10"},
        {"dns.default.svc.cluster.local A", "NXDOMAIN"},
        {"dns.default.svc.cluster.local SRV", "NXDOMAIN"},
        {"db.default.svc.cluster.local A", "NOERROR AN @ 5 A 10.244.1.1; @ 5 A 10.244.1.2; @ 5 A 10.244.1.3"},
        {"2.0.96.10.in-addr.arpa PTR", "NOERROR AN @ 5 PTR dns.default.svc.cluster.local."},
    };
    struct instance in;
    set_up(&in, "cluster.local in-addr.arpa {\nignore empty_service\n}", cluster, COUNT(cluster));
    check_answers(&in, cases, COUNT(cases));
    tear_down(&in);
}

static void fallthrough(void **state)
{
    (void)state;
    static const struct answer_case some[] = {
        {"nosuch.default.svc.cluster.local A", "NXDOMAIN"},
        {"1.2.3.4.in-addr.arpa PTR", "NEXT"},
        {"10.0.96.10.in-addr.arpa A", "NEXT"},
        {"10.0.96.10.in-addr.arpa PTR", "NOERROR AN @ 5 PTR " WEB},
        {"nosuch.other.svc.cluster.local A", "NEXT"},
        {"four.other.svc.cluster.local AAAA", "NOERROR AN @ 5 AAAA fd00:244::33"},
        {"noport.other.svc.cluster.local AAAA", "NOERROR"}, // never for a name that exists
    };
    struct instance in;
    set_up(&in, "cluster.local in-addr.arpa ip6.arpa {\nfallthrough in-addr.arpa other.svc.cluster.local\n}", cluster,
           COUNT(cluster));
    check_answers(&in, some, COUNT(some));
    tear_down(&in);
    static const struct answer_case all[] = {
        {"nosuch.default.svc.cluster.local A", "NEXT"},
        {"cluster.local TXT", "NEXT"},
        {"cluster.local A", "NOERROR"},
    };
    set_up(&in, "cluster.local {\nfallthrough\n}", cluster, COUNT(cluster));
    check_answers(&in, all, COUNT(all));
    tear_down(&in);
}

static void before_the_first_sync(void **state)
{
    (void)state;
    static const struct answer_case cases[] = {
        {"web.default.svc.cluster.local A", "NOERROR AN @ 5 A 10.96.0.10"},
        {"nosuch.default.svc.cluster.local A", "SERVFAIL"},
        {"cluster.local TXT", "SERVFAIL"},
        {"cluster.local A", "NOERROR"},
        {"1.2.3.4.in-addr.arpa PTR", "SERVFAIL"}, // before it can fall through
        {"cluster.local SOA", "NOERROR AN @ 5 SOA ns.dns.cluster.local. hostmaster.cluster.local. 0 7200 1800 86400 5"},
    };
    struct instance in;
    log_begin(LOG_FORMAT_TEXT);
    set_up(&in, "cluster.local in-addr.arpa {\nfallthrough\n}", cluster, COUNT(cluster));
    // The same over a store that nobody calls synced.
    struct store *synced = the_source.store;
    the_source.store = store_new(&the_source.options.store);
    fill(the_source.store, cluster, COUNT(cluster));
    syncs_after = 1000;
    char error[CONFIG_ERROR_MAX];
    assert_int_equal(kubernetes->start(in.k, &(struct plugin_start){.error = error, .loop = uv_default_loop()}), 0);
    assert_false(kubernetes->ready(in.k));
    const char *log = log_end();
    assert_non_null(strstr(log, "[INFO] plugin/kubernetes: waiting for Kubernetes API before starting server\n"));
    assert_non_null(strstr(log, "[WARNING] plugin/kubernetes: starting server with unsynced Kubernetes API\n"));
    // A reload is refused instead, and says why.
    struct plugin_start again = {.error = error, .loop = uv_default_loop(), .reloading = true};
    log_begin(LOG_FORMAT_TEXT);
    syncs_after = 1000;
    the_source.references = 0; // one that nobody else has
    assert_int_equal(kubernetes->start(in.k, &again), CDNS_ETIMEOUT);
    assert_string_equal(error, "plugin/kubernetes: the Kubernetes API is not synced after 5s: services: 403 Forbidden; "
                               "what was served before is served on");
    log = log_end();
    assert_string_equal(log,
                        "[INFO] plugin/kubernetes: waiting for Kubernetes API before serving the new configuration\n");
    the_source.references = 2;
    in.k->nlocal = 0;
    check_answers(&in, cases, COUNT(cases));
    store_set_synced(the_source.store);
    assert_true(kubernetes->ready(in.k));
    static const struct answer_case after[] = {{"nosuch.default.svc.cluster.local A", "NEXT"}};
    check_answers(&in, after, COUNT(after));
    source_release(&the_source); // of the second start
    store_free(synced);
    tear_down(&in);
}

static void name_servers(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "ns kube-system",
        "svc kube-system/kube-dns cluster 10.96.0.10 fd00:10::a dns:53/UDP",
        "slice kube-system/kube-dns-1 kube-dns dns:53/UDP 10.244.0.5 10.244.0.6",
        "svc kube-system/hidden headless dns:53/UDP",
        "slice kube-system/hidden-1 hidden dns:53/UDP 10.244.0.7 10.244.0.8=eight",
        "slice kube-system/hidden-2 hidden dns:53/UDP 10.244.0.9",
        "slice kube-system/orphan-1 orphan dns:53/UDP 10.244.0.10",
    };
    static const struct answer_case none[] = {
        {"cluster.local NS", "NOERROR"},
        {"ns.dns.cluster.local A", "NOERROR"},
    };
    static const struct answer_case own[] = {
        {"cluster.local NS", "NOERROR AN @ 5 NS ns.dns.cluster.local. AR ns.dns.cluster.local. 5 A 192.168.0.1; "
                             "ns.dns.cluster.local. 5 AAAA fe80::1"},
        {"ns.dns.cluster.local A", "NOERROR AN @ 5 A 192.168.0.1"},
        {"NS.dns.cluster.local AAAA", "NOERROR AN @ 5 AAAA fe80::1"},
        {"ns.dns.cluster.local HTTPS", "NOERROR"},
        {"ns.dns.cluster.local SRV", "NOERROR"},
        {"ns.dns.cluster.local MX", "NOERROR"},
        {"ns.dns.cluster.local TXT", "NXDOMAIN"},
        {"dns.cluster.local A", "NXDOMAIN"},
        {"x.ns.dns.cluster.local A", "NXDOMAIN"},
    };
    static const struct answer_case service[] = {
        {"cluster.local NS",
         "NOERROR AN @ 5 NS kube-dns.kube-system.svc.cluster.local. AR kube-dns.kube-system.svc.cluster.local. 5 A "
         "10.96.0.10; kube-dns.kube-system.svc.cluster.local. 5 AAAA fd00:10::a"},
        {"Cluster.Local NS",
         "NOERROR AN @ 5 NS kube-dns.kube-system.svc.Cluster.Local. AR kube-dns.kube-system.svc.Cluster.Local. 5 A "
         "10.96.0.10; kube-dns.kube-system.svc.Cluster.Local. 5 AAAA fd00:10::a"},
        {"ns.dns.cluster.local A", "NOERROR AN @ 5 A 10.96.0.10"},
    };
    static const struct answer_case hidden[] = {
        {"cluster.local NS",
         "NOERROR AN @ 5 NS 10-244-0-7.hidden.kube-system.svc.cluster.local.; @ 5 NS "
         "eight.hidden.kube-system.svc.cluster.local. AR 10-244-0-7.hidden.kube-system.svc.cluster.local. 5 A "
         "10.244.0.7; eight.hidden.kube-system.svc.cluster.local. 5 A 10.244.0.8"},
    };
    struct instance in;
    set_up(&in, "cluster.local", lines, COUNT(lines));
    check_answers(&in, none, COUNT(none));
    add_local(&in, "192.168.0.1");
    add_local(&in, "fe80::1");
    check_answers(&in, own, COUNT(own));
    add_local(&in, "10.244.0.5");
    check_answers(&in, service, COUNT(service));
    in.k->nlocal = 0;
    add_local(&in, "10.244.0.7");
    check_answers(&in, hidden, COUNT(hidden));
    in.k->nlocal = 0;
    add_local(&in, "10.244.0.10"); // an endpoint, but of no service
    check_answers(&in, none, COUNT(none));
    tear_down(&in);
}

// As many name servers as the Service has endpoints: none is left out.
static void many_name_servers(void **state)
{
    (void)state;
    static char slice[32768];
    const char *const lines[] = {"ns kube-system", "svc kube-system/many headless dns:53/UDP", slice};
    size_t len = (size_t)snprintf(slice, sizeof slice, "slice kube-system/many-1 many dns:53/UDP");
    for (unsigned i = 0; i < 1500; i++)
        len += (size_t)snprintf(slice + len, sizeof slice - len, " 10.245.%u.%u", i / 250, i % 250);
    struct instance in;
    struct query q;
    set_up(&in, "cluster.local", lines, COUNT(lines));
    add_local(&in, "10.245.3.7");
    assert_int_equal(ask(&in, "ns.dns.cluster.local A", &q), VERDICT_DONE);
    assert_int_equal(q.reply.answer.n, 1500);
    assert_int_equal(ask(&in, "cluster.local NS", &q), VERDICT_DONE);
    assert_int_equal(q.reply.answer.n, 1500);
    assert_int_equal(q.reply.additional.n, 1500);
    tear_down(&in);
}

static void several_zones(void **state)
{
    (void)state;
    static const struct answer_case cases[] = {
        {"web.default.svc.b.example A", "NOERROR AN @ 5 A 10.96.0.10"},
        {"web.default.svc.sub.b.example A", "NOERROR AN @ 5 A 10.96.0.10"}, // the longer zone
        {"sub.b.example A", "NOERROR"},
        {"web.default.svc.example A", "NEXT"},
        {"_http._tcp.web.default.svc.b.example SRV",
         "NOERROR AN @ 5 SRV 0 50 80 web.default.svc.b.example. AR web.default.svc.b.example. 5 A 10.96.0.10; "
         "web.default.svc.b.example. 5 AAAA fd00:10::10"},
        {"10.0.96.10.in-addr.arpa PTR", "NOERROR AN @ 5 PTR web.default.svc.b.example."},
    };
    struct instance in;
    set_up(&in, "10.in-addr.arpa b.example sub.b.example a.example", cluster, COUNT(cluster));
    check_answers(&in, cases, COUNT(cases));
    tear_down(&in);
    static const struct answer_case root[] = {
        {"web.default.svc A", "NOERROR AN @ 5 A 10.96.0.10"},
        {". A", "NOERROR"},
        {". SOA", "NOERROR AN @ 5 SOA ns.dns. hostmaster. 1700000000 7200 1800 86400 5"},
        {"example.org A", "NXDOMAIN"},
    };
    set_up(&in, "", cluster, COUNT(cluster)); // the block's zone
    check_answers(&in, root, COUNT(root));
    tear_down(&in);
}

static void more_endpoints_than_fit(void **state)
{
    (void)state;
    struct instance in;
    char *line = malloc(8000 * 24);
    size_t len = (size_t)sprintf(line, "slice default/big-1 big http:80/TCP");
    for (int i = 0; i < 8000; i++)
        len += (size_t)sprintf(line + len, " 10.1.%d.%d", i / 256, i % 256);
    const char *const lines[] = {"ns default", "svc default/big headless http:80/TCP", line};
    set_up(&in, "cluster.local", lines, COUNT(lines));
    struct query q;
    assert_int_equal(ask(&in, "big.default.svc.cluster.local A", &q), VERDICT_DONE);
    assert_int_equal(q.reply.answer.n, RECORDS_MAX);
    assert_true(q.reply.tc);
    assert_int_equal(ask(&in, "big.default.svc.cluster.local SRV", &q), VERDICT_DONE);
    assert_true(q.reply.tc && q.reply.answer.n > 1000);
    assert_int_equal(ask(&in, "10-1-31-3.big.default.svc.cluster.local A", &q), VERDICT_DONE);
    assert_false(q.reply.tc);
    assert_int_equal(q.reply.answer.n, 1);
    tear_down(&in);
    free(line);
}

int main(void)
{
    rcu_thread_start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_of_a_cluster), cmocka_unit_test(negative_answers_carry_the_soa),
        cmocka_unit_test(pods_insecure),        cmocka_unit_test(pods_verified),
        cmocka_unit_test(endpoint_pod_names),   cmocka_unit_test(only_some_namespaces),
        cmocka_unit_test(without_endpoints),    cmocka_unit_test(empty_services_ignored),
        cmocka_unit_test(fallthrough),          cmocka_unit_test(before_the_first_sync),
        cmocka_unit_test(name_servers),         cmocka_unit_test(many_name_servers),
        cmocka_unit_test(several_zones),        cmocka_unit_test(more_endpoints_than_fit),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rcu_thread_end();
    return failed;
}
