// SPDX-License-Identifier: Apache-2.0
// From Corefile text to routes, through the real parser and the real plugins.
#include "server/generation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static char reports[4096];

static void report(void *arg, const char *text)
{
    (void)arg;
    strcat(reports, text);
    strcat(reports, "\n");
}

static struct generation *build(const char *text)
{
    struct generation *g = NULL;
    reports[0] = '\0';
    int rc = generation_build(NULL, "Corefile", text, 1053, report, NULL, &g);
    assert_int_equal(rc, g != NULL ? 0 : CDNS_ECONFIG);
    return g;
}

struct route_case {
    const char *name, *zone; // the zone that answers; NULL: none
};

static void check_routes(const struct listen_address *l, uint16_t qtype, const struct route_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint8_t name[NAME_MAX_WIRE];
        assert_int_equal(name_from_text(cases[i].name, name), 0);
        const struct query q = {.qname = name, .qname_labels = (uint8_t)name_labels(name), .qtype = qtype};
        const struct route *r;
        const struct block *b = route_query(l, &q, &r);
        if (cases[i].zone == NULL)
            assert_null(b);
        else if (b == NULL)
            fail_msg("%s: no route", cases[i].name);
        else
            assert_string_equal(r->zone_text, cases[i].zone);
    }
}

static void test_longest_suffix_wins(void **state)
{
    (void)state;
    struct generation *g = build("example.org a.example.org:1053 10.0.4.0/22 {\nwhoami\n}\n"
                                 "b.a.example.org {\nwhoami\n}\n.:1054 {\nwhoami\n}\n");
    assert_non_null(g);
    assert_int_equal(g->nlistens, 2);
    const struct route_case inside[] = {
        {"example.org.", "example.org."},
        {"x.y.z.example.org.", "example.org."},
        {"a.example.org.", "a.example.org."},
        {"b.a.example.org.", "b.a.example.org."},
        {"c.b.a.example.org.", "b.a.example.org."},
        {"xa.example.org.", "example.org."},
        {"9.5.0.10.in-addr.arpa.", "5.0.10.in-addr.arpa."},
        {"9.8.0.10.in-addr.arpa.", NULL},
        {"org.", NULL},
        {".", NULL},
    };
    check_routes(&g->listens[0], RR_A, inside, sizeof inside / sizeof inside[0]);
    const struct route_case cut[] = {
        {"b.a.example.org.", "example.org."}, {"example.org.", "example.org."}, {"org.", NULL}};
    check_routes(&g->listens[0], RR_DS, cut, sizeof cut / sizeof cut[0]);
    const struct route_case root[] = {{"a.example.org.", "."}, {".", "."}};
    check_routes(&g->listens[1], RR_A, root, 2);
    generation_free(g);
}

static void test_every_planned_directive_is_named(void **state)
{
    (void)state;
    assert_null(build(".:53 {\nwhoami\nroute53 a:b\nacl\n}\n"));
    assert_non_null(strstr(reports, "Corefile:3 - Error during parsing: directive 'route53' is known to CoreDNS"));
    assert_non_null(strstr(reports, "Corefile:4 - Error during parsing: directive 'acl' is known to CoreDNS"));
}

static void test_unknown_directive(void **state)
{
    (void)state;
    assert_null(build(".:53 {\nwhoamy\n}\n"));
    assert_string_equal(reports, "Corefile:2 - Error during parsing: Unknown directive 'whoamy'\n");
}

static void test_other_transports_are_refused(void **state)
{
    (void)state;
    assert_null(build("tls://example.org {\nwhoami\n}\n"));
    assert_non_null(
        strstr(reports, "Corefile:1 - Error during parsing: tls://example.org: the transport tls:// is not built"));
}

static void test_same_zone_twice(void **state)
{
    (void)state;
    assert_null(build("example.org {\nwhoami\n}\nexample.org:1053 {\nwhoami\n}\n"));
    assert_string_equal(reports, "cannot serve dns://example.org.:1053 - it is already defined (Corefile:4)\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_longest_suffix_wins), cmocka_unit_test(test_every_planned_directive_is_named),
        cmocka_unit_test(test_unknown_directive),   cmocka_unit_test(test_other_transports_are_refused),
        cmocka_unit_test(test_same_zone_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
