// SPDX-License-Identifier: Apache-2.0
// zonal: names of the endpoints in a topology zone.
#include "kubernetes_test.h"

static const char *const cluster[] = {
    "ns default",
    "svc default/db headless sql:5432/TCP",
    "slice default/db-1 db sql:5432/TCP 10.0.0.1=a%zone-a 10.0.0.2=b%zone-B 10.0.0.3=c%Corp.Example.com 10.0.0.4",
    "slice default/db-2 db sql:5432/TCP fd00::1=a%zone-a 10.0.0.5%zone-b! 10.0.0.6%corp.example",
    // one address in several zones, in one slice and in two: CoreDNS keeps one zone an address and slice
    "svc default/twice headless sql:5432/TCP",
    "slice default/twice-1 twice sql:5432/TCP 10.0.1.1=x%zone-a 10.0.1.1=y%zone-b 10.0.1.1=z",
    "slice default/twice-2 twice sql:5432/TCP 10.0.1.1=w%zone-a",
    "svc default/none headless sql:5432/TCP",
    "svc default/ports headless",
    "slice default/ports-1 ports one:1/TCP two:2/UDP 10.0.2.1%zone-a 10.0.2.2%zone-b",
    "slice default/ports-2 ports 10.0.2.3%zone-a",
    "svc default/web cluster 10.96.0.1 http:80/TCP",
    "slice default/web-1 web http:80/TCP 10.0.3.1%zone-a",
    "svc default/out external example.org",
    "svc default/in external zone-a.pin._zone.db.default.svc.cluster.local",
};

#define DB ".db.default.svc.cluster.local"
#define ALL "NOERROR AN @ 5 A 10.0.0.1; @ 5 A 10.0.0.2; @ 5 A 10.0.0.3; @ 5 A 10.0.0.4; @ 5 A 10.0.0.6"

static const struct answer_case pinned[] = {
    {"zone-a.pin._zone" DB " A", "NOERROR AN @ 5 A 10.0.0.1"},
    {"zone-a.pin._zone" DB " AAAA", "NOERROR AN @ 5 AAAA fd00::1"},
    {"Zone-A.PIN._Zone" DB " A", "NOERROR AN @ 5 A 10.0.0.1"},
    {"zone-b.pin._zone" DB " A", "NOERROR AN @ 5 A 10.0.0.2"},
    {"zone-b.pin._zone" DB " AAAA", "NOERROR"},
    {"corp.example.com.pin._zone" DB " A", "NOERROR AN @ 5 A 10.0.0.3"},
    {"corp.example.pin._zone" DB " A", "NOERROR AN @ 5 A 10.0.0.6"},
    {"corp\\.example.com.pin._zone" DB " A", "NOERROR"}, // another name
    {"corp.pin._zone" DB " A", "NOERROR"},
    {"example.com.pin._zone" DB " A", "NOERROR"},
    {"x.corp.example.com.pin._zone" DB " A", "NOERROR"},
    {"zone-c.pin._zone" DB " A", "NOERROR"},
    {"zone-c.pin._zone" DB " TXT", "NOERROR"},
    {"zone-a.pin._zone" DB " TXT", "NOERROR"},
    {"zone-c.pin._zone" DB " MX", "NOERROR"},
    {"zone-c.pin._zone" DB " PTR", "NOERROR"},
    {"zone-c.pin._zone" DB " SRV", "NOERROR"},
    {"zone-c.pin._zone" DB " HTTPS", "NOERROR"},
    {"zone-a.pin._zone" DB " SRV", "NOERROR AN @ 5 SRV 0 50 5432 a" DB ". AR a" DB ". 5 A 10.0.0.1; a" DB ". 5 AAAA "
                                   "fd00::1"},
    {"zone-a.pin._zone.ports.default.svc.cluster.local SRV",
     "NOERROR AN @ 5 SRV 0 33 1 10-0-2-1.ports.default.svc.cluster.local.; @ 5 SRV 0 33 2 "
     "10-0-2-1.ports.default.svc.cluster.local. AR 10-0-2-1.ports.default.svc.cluster.local. 5 A 10.0.2.1"},
    {"zone-a.pin._zone.ports.default.svc.cluster.local A", "NOERROR AN @ 5 A 10.0.2.1; @ 5 A 10.0.2.3"},
    {"zone-a.pin._zone.none.default.svc.cluster.local A", "NOERROR"},
    {"zone-a.pin._zone.none.default.svc.cluster.local TXT", "NOERROR"},
    {"zone-a.pin._zone.twice.default.svc.cluster.local A", "NOERROR AN @ 5 A 10.0.1.1"},
    {"zone-a.pin._zone.twice.default.svc.cluster.local SRV",
     "NOERROR AN @ 5 SRV 0 100 5432 w.twice.default.svc.cluster.local. AR w.twice.default.svc.cluster.local. 5 A "
     "10.0.1.1"},
    {"zone-b.pin._zone.twice.default.svc.cluster.local SRV",
     "NOERROR AN @ 5 SRV 0 33 5432 x.twice.default.svc.cluster.local.; @ 5 SRV 0 33 5432 "
     "y.twice.default.svc.cluster.local.; @ 5 SRV 0 33 5432 z.twice.default.svc.cluster.local. AR "
     "x.twice.default.svc.cluster.local. 5 A 10.0.1.1; y.twice.default.svc.cluster.local. 5 A 10.0.1.1; "
     "z.twice.default.svc.cluster.local. 5 A 10.0.1.1"},
};

static const struct answer_case preferred[] = {
    {"zone-a.prefer._zone" DB " A", "NOERROR AN @ 5 A 10.0.0.1"},
    {"zone-c.prefer._zone" DB " A", ALL},
    {"zone-c.prefer._zone" DB " AAAA", "NOERROR AN @ 5 AAAA fd00::1"},
    {"zone-b.prefer._zone" DB " AAAA", "NOERROR"}, // it has an endpoint, though of the other family
    {"zone-c.prefer._zone" DB " TXT", "NOERROR"},
    {"zone-c.prefer._zone.none.default.svc.cluster.local A", "NOERROR"},
    {"zone-c.prefer._zone.none.default.svc.cluster.local TXT", "NOERROR"},
    {"zone-c.prefer._zone.twice.default.svc.cluster.local A", "NOERROR AN @ 5 A 10.0.1.1"},
};

static const struct answer_case no_names[] = {
    {"zone-a.pin._zone.ghost.default.svc.cluster.local A", "NXDOMAIN"},
    {"zone-a.pin._zone.db.nosuch.svc.cluster.local A", "NXDOMAIN"},
    {"zone-a.pin._zone.web.default.svc.cluster.local A", "NXDOMAIN"},
    {"zone-a.prefer._zone.web.default.svc.cluster.local TXT", "NXDOMAIN"},
    {"zone-a.pin._zone.out.default.svc.cluster.local A", "NXDOMAIN"},
    {"zone-a.florp._zone" DB " A", "NXDOMAIN"},
    {"zone-a.pin._zones" DB " A", "NXDOMAIN"},
    {"zone-a.pin.zone" DB " A", "NXDOMAIN"},
    {"pin._zone" DB " A", "NXDOMAIN"}, // a port "pin" of the protocol "zone"
    {"_zone" DB " A", "NXDOMAIN"},
    {"zone-a.pin._zone.db.default.pod.cluster.local A", "NXDOMAIN"},
    {"zone-a.pin._zone.db.default.svc.in-addr.arpa A", "NXDOMAIN"},
    {"zone-a.pin._zone.db.default.svc.in-addr.arpa TXT", "NXDOMAIN"},
    {"a.b.c.d.e" DB " A", "NXDOMAIN"},
};

static void names_by_zone(void **state)
{
    (void)state;
    struct instance in;
    set_up(&in, "cluster.local in-addr.arpa {\nzonal\n}", cluster, COUNT(cluster));
    check_answers(&in, pinned, COUNT(pinned));
    check_answers(&in, preferred, COUNT(preferred));
    check_answers(&in, no_names, COUNT(no_names));
    static const struct answer_case others[] = {
        {"db.default.svc.cluster.local A", ALL},
        {"a" DB " A", "NOERROR AN @ 5 A 10.0.0.1"},
        {"in.default.svc.cluster.local A",
         "NOERROR AN @ 5 CNAME zone-a.pin._zone" DB ".; zone-a.pin._zone" DB ". 5 A 10.0.0.1"},
    };
    check_answers(&in, others, COUNT(others));
    tear_down(&in);
}

static void without_the_option(void **state)
{
    (void)state;
    static const struct answer_case cases[] = {
        {"zone-a.pin._zone" DB " A", "NXDOMAIN"},
        {"zone-a.pin._zone" DB " TXT", "NXDOMAIN"},
        {"zone-c.prefer._zone" DB " A", "NXDOMAIN"},
        {"db.default.svc.cluster.local A", ALL},
    };
    struct instance in;
    set_up(&in, "cluster.local", cluster, COUNT(cluster));
    check_answers(&in, cases, COUNT(cases));
    tear_down(&in);
}

// The longest name that fits, and the most labels.
static void longest_names(void **state)
{
    (void)state;
    char zone[254] = "", line[1000], question[1000];
    const size_t room = 253 - strlen(".pin._zone" DB);
    while (strlen(zone) < room)
        strcat(zone, strlen(zone) % 2 == 0 ? "z" : ".");
    if (zone[room - 1] == '.')
        zone[room - 1] = 'z';
    snprintf(line, sizeof line, "slice default/db-1 db sql:5432/TCP 10.0.0.1%%%s 10.0.0.2%%%s.z", zone, zone);
    const char *lines[] = {"ns default", "svc default/db headless sql:5432/TCP", line};
    struct instance in;
    set_up(&in, "cluster.local {\nzonal\n}", lines, COUNT(lines));
    snprintf(question, sizeof question, "%s.pin._zone" DB " A", zone);
    const struct answer_case cases[] = {{question, "NOERROR AN @ 5 A 10.0.0.1"}};
    check_answers(&in, cases, COUNT(cases));
    tear_down(&in);
}

int main(void)
{
    rcu_thread_start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_by_zone),
        cmocka_unit_test(without_the_option),
        cmocka_unit_test(longest_names),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rcu_thread_end();
    return failed;
}
