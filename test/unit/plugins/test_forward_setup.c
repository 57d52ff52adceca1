// SPDX-License-Identifier: Apache-2.0
// The directive's grammar, CoreDNS's error texts, and what is behind TO.
#include "forward_test.h"

#define AT(line) "plugin/forward: Corefile:" line " - Error during parsing: "
#define ARGUMENTS(line, word) AT(line) "Wrong argument count or unexpected line ending after '" word "'"
#define OPTION(text) "forward . 127.0.0.1 {\n" text "\n}"
#define PLAIN(text) "plugin/forward: " text " (Corefile:2)"
#define PLAIN3(text) "plugin/forward: " text " (Corefile:3)"
#define SIXTEEN                                                                                                        \
    "forward . 10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.5 10.0.0.6 10.0.0.7 10.0.0.8 10.0.0.9 10.0.0.10 10.0.0.11 "  \
    "10.0.0.12 10.0.0.13 10.0.0.14 10.0.0.15 10.0.0.16"
#define NO_FILE(text) PLAIN("not an IP address or file: \"" text "\" (host names are not looked up)")

static const struct setup_case cases[] = {
    {"forward", ARGUMENTS("2", "forward")},
    {"forward .", ARGUMENTS("2", ".")},
    {"forward . {\n}", ARGUMENTS("2", ".")},
    {"forward \"a..b\" 127.0.0.1", PLAIN("unable to normalize 'a..b'")},
    {"forward 10.0.0.0/22 127.0.0.1", NULL},
    {"forward . nowhere.invalid", NO_FILE("nowhere.invalid")},
    {"forward . /nonexistent", NO_FILE("/nonexistent")},
    {"forward . /dev/null", NO_FILE("/dev/null")}, // no regular file: reading it may wait
    {"forward . :53", NO_FILE(":53")},
    {"forward . 1.2.3.4:5:6", NO_FILE("1.2.3.4:5:6")},
    {"forward . tls://1.1.1.1%a%b", NO_FILE("tls://1.1.1.1%a%b")},
    {"forward . udp://1.1.1.1", NO_FILE("udp://1.1.1.1")},
    {"forward . dns://", PLAIN("invalid address: \"dns://\"")},
    {"forward . 127.0.0.1:", PLAIN("invalid port in \"127.0.0.1:\"")}, // CoreDNS takes these, and fails later
    {"forward . 127.0.0.1:x", PLAIN("invalid port in \"127.0.0.1:x\"")},
    {"forward . 127.0.0.1:65536", PLAIN("invalid port in \"127.0.0.1:65536\"")},
    {"forward . 127.0.0.1:0", PLAIN("invalid port in \"127.0.0.1:0\"")},
    {"forward . https://1.1.1.1/x", PLAIN("paths are not allowed in HTTPS upstream addresses (the /dns-query path is "
                                          "used by default): https://1.1.1.1/x")},
    {"forward . https://1.1.1.1",
     PLAIN("'https' is not supported as a destination protocol in forward: https://1.1.1.1")},
    {"forward . grpc://1.1.1.1", PLAIN("'grpc' is not supported as a destination protocol in forward: grpc://1.1.1.1")},
    {"forward . quic://1.1.1.1:853",
     PLAIN("'quic' is not supported as a destination protocol in forward: quic://1.1.1.1:853")},
    {"forward . unix:///a", PLAIN("'unix' is not supported as a destination protocol in forward: unix:///a")},
    {"forward . tls://1.1.1.1%x {\ntls_servername y\n}",
     PLAIN("both forward ('y') and proxy level ('x') TLS servernames are set for upstream proxy 'tls://1.1.1.1%x'")},
    {SIXTEEN, PLAIN("more than 15 TOs configured: 16")},
    {SIXTEEN "\nforward . 1.1.1.1 {\nfoo\n}", AT("4") "unknown property 'foo'"},
    {OPTION("foo"), AT("3") "unknown property 'foo'"},
    {OPTION("spray"), AT("3") "unknown property 'spray'"},
    {OPTION("except"), ARGUMENTS("3", "except")},
    {OPTION("except a..b c 10.0.0.0/8"), NULL},
    {OPTION("max_fails"), ARGUMENTS("3", "max_fails")},
    {OPTION("max_fails 0"), NULL},
    {OPTION("max_fails 4294967295"), NULL},
    {OPTION("max_fails x"), PLAIN3("strconv.ParseUint: parsing \"x\": invalid syntax")},
    {OPTION("max_fails -1"), PLAIN3("strconv.ParseUint: parsing \"-1\": invalid syntax")},
    {OPTION("max_fails +1"), PLAIN3("strconv.ParseUint: parsing \"+1\": invalid syntax")},
    {OPTION("max_fails 4294967296"), PLAIN3("strconv.ParseUint: parsing \"4294967296\": value out of range")},
    {OPTION("max_fails 3 force_tcp"), NULL}, // what is left of a line is an option
    {OPTION("max_fails 3 4"), AT("3") "unknown property '4'"},
    {OPTION("max_connect_attempts"), ARGUMENTS("3", "max_connect_attempts")},
    {OPTION("max_connect_attempts x"), PLAIN3("strconv.ParseUint: parsing \"x\": invalid syntax")},
    {OPTION("force_tcp x"), ARGUMENTS("3", "x")},
    {OPTION("prefer_udp x"), ARGUMENTS("3", "x")},
    {OPTION("expire"), ARGUMENTS("3", "expire")},
    {OPTION("expire 1"), PLAIN3("time: missing unit in duration \"1\"")},
    {OPTION("expire -1s"), PLAIN3("expire can't be negative: -1s")},
    {OPTION("expire 20s\nmax_age 10s"), PLAIN("max_age (10s) must not be less than expire (20s)")},
    {OPTION("expire 20s\nmax_age 20s"), NULL},
    {OPTION("max_age 0s"), NULL},
    {OPTION("max_age"), ARGUMENTS("3", "max_age")},
    {OPTION("max_age -1s"), PLAIN3("max_age can't be negative: -1s")},
    {OPTION("max_idle_conns"), ARGUMENTS("3", "max_idle_conns")},
    {OPTION("max_idle_conns -1"), PLAIN3("max_idle_conns can't be negative: -1")},
    {OPTION("max_idle_conns x"), PLAIN3("strconv.Atoi: parsing \"x\": invalid syntax")},
    {OPTION("read_timeout"), ARGUMENTS("3", "read_timeout")},
    {OPTION("read_timeout 0s"), PLAIN3("read_timeout must be positive: 0s")},
    {OPTION("read_timeout -1s"), PLAIN3("read_timeout must be positive: -1s")},
    {OPTION("read_timeout x"), PLAIN3("time: invalid duration \"x\"")},
    {OPTION("policy"), ARGUMENTS("3", "policy")},
    {OPTION("policy x"), AT("3") "unknown policy 'x'"},
    {OPTION("policy random sequential"), AT("3") "unknown property 'sequential'"},
    {OPTION("policy random\npolicy round_robin\npolicy sequential"), NULL},
    {OPTION("health_check"), ARGUMENTS("3", "health_check")},
    {OPTION("health_check x"), PLAIN3("time: invalid duration \"x\"")},
    {OPTION("health_check -1s"), PLAIN3("health_check can't be negative: -1000000000")},
    {OPTION("health_check 1s foo"), PLAIN3("health_check: unknown option foo")},
    {OPTION("health_check 1s no_rec domain"), ARGUMENTS("3", "domain")},
    {OPTION("health_check 1s domain a..b"), PLAIN3("health_check: invalid domain name a..b")},
    {OPTION("health_check 1s domain a no_rec"), NULL},
    {OPTION("max_concurrent"), ARGUMENTS("3", "max_concurrent")},
    {OPTION("max_concurrent x"), PLAIN3("strconv.Atoi: parsing \"x\": invalid syntax")},
    {OPTION("max_concurrent -1"), PLAIN3("max_concurrent can't be negative: -1")},
    {OPTION("next"), ARGUMENTS("3", "next")},
    {OPTION("next foo"), PLAIN3("foo is not a valid rcode")},
    {OPTION("next nxdomain NOTIMPL BadSig noerror"), NULL},
    {OPTION("next BADVERS"), PLAIN3("BADVERS is not a valid rcode")},
    {OPTION("next 12"), PLAIN3("12 is not a valid rcode")},
    {OPTION("next_on_nodata x"), ARGUMENTS("3", "x")},
    {OPTION("failover"), ARGUMENTS("3", "failover")},
    {OPTION("failover noerror"), PLAIN3("NoError cannot be used in failover")},
    {OPTION("failover servfail x"), PLAIN3("x is not a valid rcode")},
    {OPTION("failfast_all_unhealthy_upstreams x"), ARGUMENTS("3", "x")},
    {OPTION("resolver"), ARGUMENTS("3", "resolver")},
    {OPTION("resolver x"), PLAIN3("resolver must be an IP address or IP:port: \"x\"")},
    {OPTION("resolver 1.1.1.1 [fd00::1]:53 fd00::1"), NULL},
    {OPTION("source_address"), ARGUMENTS("3", "source_address")},
    {OPTION("source_address x"), AT("3") "invalid IP address: x"},
    {OPTION("source_address fe80::1%lo"), AT("3") "invalid IP address: fe80::1%lo"},
    {OPTION("source_address 1.1.1.1 2"), AT("3") "unknown property '2'"},
    {OPTION("doh_method"), ARGUMENTS("3", "doh_method")},
    {OPTION("doh_method PUT"), PLAIN3("doh_method must be either POST or GET")},
    {OPTION("doh_method GET"), NULL},
    {OPTION("tls"), NULL},
    {OPTION("tls a b c d"), ARGUMENTS("3", "d")},
    {OPTION("tls /nope"), PLAIN3("error reading /nope: open /nope: no such file or directory")},
    {OPTION("tls /nope /nope2"), PLAIN3("could not load TLS cert: open /nope: no such file or directory")},
    {OPTION("tls /dev/null /nope2"), PLAIN3("could not load TLS cert: open /nope2: no such file or directory")},
    {OPTION("tls_servername"), ARGUMENTS("3", "tls_servername")},
};

static void grammar(void **state)
{
    (void)state;
    check_setups(plugin_forward, cases, COUNT(cases));
}

static const struct stanza *built_with(struct built *b, const char *body)
{
    if (build(plugin_forward, body, b) != 0)
        fail_msg("%s", b->error);
    return ((const struct forward *)b->self)->stanzas;
}

static void defaults(void **state)
{
    (void)state;
    struct built b;
    const struct stanza *s = built_with(&b, "forward . 127.0.0.1");
    assert_int_equal(s->expire_ns, 10000000000);
    assert_int_equal(s->max_age_ns, 0);
    assert_int_equal(s->read_timeout_ns, 2000000000);
    assert_int_equal(s->health.interval_ns, 500000000);
    assert_int_equal(s->health.max_fails, 2);
    assert_true(s->health.rec);
    assert_false(s->health.tcp);
    assert_int_equal(s->health.domain[0], 0);
    assert_int_equal(s->policy, POLICY_RANDOM);
    assert_false(s->has_max_connect_attempts);
    assert_false(s->force_tcp || s->prefer_udp || s->failfast || s->next_on_nodata || s->files);
    assert_int_equal(s->max_concurrent, 0);
    assert_int_equal(s->nexcept, 0);
    assert_int_equal(s->source.sa.sa_family, AF_UNSPEC);
    unbuild(plugin_forward, &b);
}

static void options(void **state)
{
    (void)state;
    struct built b;
    const struct stanza *s =
        built_with(&b, "forward Example.org 127.0.0.1 {\nexcept a.example.org B.example.org\nexcept c.example.org\n"
                       "force_tcp\nmax_fails 0\nmax_connect_attempts 0\nhealth_check 5s no_rec domain Example.NET\n"
                       "next NXDOMAIN\nnext SERVFAIL\nfailover REFUSED\nsource_address ::ffff:192.0.2.1\n"
                       "max_concurrent 7\nmax_idle_conns 3\npolicy round_robin\n}");
    assert_memory_equal(s->from[0], "\7example\3org", 13);
    assert_int_equal(s->nexcept, 3);
    assert_memory_equal(s->except[1], "\1b\7example\3org", 15);
    assert_true(s->force_tcp && s->health.tcp && !s->health.rec);
    assert_memory_equal(s->health.domain, "\7example\3net", 13);
    assert_int_equal(s->health.interval_ns, 5000000000);
    assert_int_equal(s->health.max_fails, 0);
    assert_true(s->has_max_connect_attempts && s->max_connect_attempts == 0);
    assert_int_equal(s->next_rcodes, 1 << 3 | 1 << 2);
    assert_int_equal(s->failover_rcodes, 1 << 5);
    assert_int_equal(s->source.sa.sa_family, AF_INET);
    assert_int_equal(ntohl(s->source.in.sin_addr.s_addr), 0xc0000201);
    assert_int_equal(s->max_concurrent, 7);
    assert_int_equal(s->max_idle, 3);
    assert_int_equal(s->policy, POLICY_ROUND_ROBIN);
    unbuild(plugin_forward, &b);
}

// What TOs come to: "address[/TLS name]" with spaces between.
static const char *expanded(const struct stanza *s)
{
    static char out[4096];
    char text[ADDRESS_TEXT_MAX];
    struct targets list;
    const struct to *failed;
    size_t n = 0;
    assert_int_equal(targets_expand(s->tos, s->ntos, &list, &failed), 0);
    out[0] = '\0';
    for (unsigned i = 0; i < list.n; i++)
        n += (size_t)snprintf(out + n, sizeof out - n, "%s%s%s%s%s", i > 0 ? " " : "", list.all[i].tls ? "tls:" : "",
                              address_text(&list.all[i].address, text), list.all[i].tls_name != NULL ? "/" : "",
                              list.all[i].tls_name != NULL ? list.all[i].tls_name : "");
    return out;
}

static void check_targets(const char *tos, const char *expect)
{
    struct built b;
    char body[1024];
    snprintf(body, sizeof body, "forward . %s", tos);
    assert_string_equal(expanded(built_with(&b, body)), expect);
    unbuild(plugin_forward, &b);
}

static void targets(void **state)
{
    (void)state;
    check_targets("10.0.0.1", "10.0.0.1:53");
    check_targets("10.0.0.1:5353 dns://10.0.0.2 dns://10.0.0.3:1", "10.0.0.1:5353 10.0.0.2:53 10.0.0.3:1");
    check_targets("fd00::1 [fd00::2] [fd00::3]:5353", "[fd00::1]:53 [fd00::2]:53 [fd00::3]:5353");
    check_targets("10.0.0.1 10.0.0.1:53 dns://10.0.0.1", "10.0.0.1:53");
    check_targets("tls://9.9.9.9 9.9.9.9:853", "tls:9.9.9.9:853 9.9.9.9:853");
    check_targets("tls://9.9.9.9%dns.quad9.net tls://9.9.9.9%DNS.quad9.net tls://9.9.9.9%b",
                  "tls:9.9.9.9:853/dns.quad9.net tls:9.9.9.9:853/b");
    check_targets("tls://9.9.9.9%dns.quad9.net:10853", "tls:9.9.9.9:10853/dns.quad9.net");
    check_targets("tls://[2620:fe::fe%dns.quad9.net]:853 tls://2620:fe::9%x",
                  "tls:[2620:fe::fe]:853/dns.quad9.net tls:[2620:fe::9]:853/x");
}

static char folder[] = "/tmp/forward-XXXXXX";

static void put(const char *name, const char *text, char path[64])
{
    char other[80];
    snprintf(path, 64, "%s/%s", folder, name);
    snprintf(other, sizeof other, "%s.new", path);
    FILE *f = fopen(other, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(rename(other, path), 0);
}

static void files(void **state)
{
    (void)state;
    struct built b;
    char path[64], empty[64], body[256];
    assert_non_null(mkdtemp(folder));
    put("empty", "# nameserver 10.9.9.9\nsearch x\n", empty);
    put("resolv.conf",
        "nameserver 10.0.0.1\n nameserver\t10.0.0.2 # no\nnameserver fe80::1%lo\nnameserver\n"
        "nameserver host\nnameservers 10.0.0.8\nsearch a\nnameserver 10.0.0.1\r\noptions edns0\n"
        "nameserver 10.0.0.3",
        path);
    snprintf(body, sizeof body, "forward . 10.0.0.3 %s %s", empty, path);
    const struct stanza *s = built_with(&b, body);
    assert_string_equal(expanded(s), "10.0.0.3:53 10.0.0.1:53 10.0.0.2:53 [fe80::1%lo]:53");
    assert_true(s->files);
    assert_false(targets_changed(s->tos, s->ntos));
    put("resolv.conf", "nameserver 10.0.0.4\n", path);
    assert_true(targets_changed(s->tos, s->ntos));
    assert_string_equal(expanded(s), "10.0.0.3:53 10.0.0.4:53");
    assert_false(targets_changed(s->tos, s->ntos));
    unlink(path);
    assert_true(targets_changed(s->tos, s->ntos));
    unbuild(plugin_forward, &b);
    snprintf(body, sizeof body, "forward . %s", empty);
    assert_int_equal(build(plugin_forward, body, &b), CDNS_ECONFIG);
    assert_string_equal(b.error, PLAIN("no valid upstream addresses found"));
    unbuild(plugin_forward, &b);
    unlink(empty);
    rmdir(folder);
}

static void policies(void **state)
{
    (void)state;
    static struct peer peers[5];
    struct upstream_set *set = calloc(1, sizeof *set + 5 * sizeof(struct peer *));
    static struct stanza_worker slot; // the sanitizer's stack does not align it
    struct stanza s = {.policy = POLICY_SEQUENTIAL, .workers = &slot};
    assert_non_null(set);
    for (set->n = 0; set->n < 5; set->n++)
        set->peers[set->n] = &peers[set->n];
    uint8_t order[FORWARD_UPSTREAMS];
    unsigned first[5] = {0};
    policy_order(&s, set, 0, order);
    assert_memory_equal(order, "\0\1\2\3\4", 5);
    s.policy = POLICY_ROUND_ROBIN;
    policy_order(&s, set, 0, order);
    assert_memory_equal(order, "\1\0\2\3\4", 5);
    policy_order(&s, set, 0, order);
    assert_memory_equal(order, "\2\0\1\3\4", 5);
    s.policy = POLICY_RANDOM;
    for (unsigned i = 0; i < 5000; i++) {
        unsigned seen = 0;
        policy_order(&s, set, 0, order);
        for (unsigned k = 0; k < 5; k++)
            seen |= 1U << order[k];
        assert_int_equal(seen, 31);
        first[order[0]]++;
    }
    for (unsigned i = 0; i < 5; i++)
        assert_in_range(first[i], 850, 1150);
    s.policy = POLICY_SEQUENTIAL; // what is being checked comes last
    atomic_store(&peers[0].wanted, true);
    atomic_store(&peers[3].wanted, true);
    policy_order(&s, set, 0, order);
    assert_memory_equal(order, "\1\2\4\0\3", 5);
    free(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grammar), cmocka_unit_test(defaults), cmocka_unit_test(options),
        cmocka_unit_test(targets), cmocka_unit_test(files),    cmocka_unit_test(policies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
