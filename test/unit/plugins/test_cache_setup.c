// SPDX-License-Identifier: Apache-2.0
// The directive: what is taken, what is refused and in which words (CoreDNS's), and what it comes to.
#include "plugin_test.h"
#include "plugins/cache/cache.h"

extern const struct plugin clusterdns_plugin_cache;

#define AT(line) "plugin/cache: Corefile:" #line " - Error during parsing: "
#define SAYS(text, line) "plugin/cache: " text " (Corefile:" #line ")"
#define COUNT_AFTER(line, word) AT(line) "Wrong argument count or unexpected line ending after '" word "'"

static void texts(void **state)
{
    (void)state;
    static const struct setup_case cases[] = {
        {"cache", NULL},
        {"cache 30", NULL},
        {"cache example.org 30", NULL},
        {"cache 0", SAYS("cache TTL can not be zero or negative: 0", 2)},
        {"cache -1", SAYS("cache TTL can not be zero or negative: -1", 2)},
        {"cache\ncache", SAYS("this plugin can only be used once per Server Block", 3)},
        {"cache {\nnothing at all\n}", COUNT_AFTER(3, "nothing")},
        {"cache {\nsuccess\n}", COUNT_AFTER(3, "success")},
        {"cache {\nsuccess a\n}", SAYS("strconv.Atoi: parsing \"a\": invalid syntax", 3)},
        {"cache {\nsuccess 5000 0\n}", SAYS("cache TTL can not be zero or negative: 0", 3)},
        {"cache {\ndenial 5000 10 -1\n}", SAYS("cache min TTL can not be negative: -1", 3)},
        {"cache {\ndenial 5000 10 5 what ever\n}", NULL},
        {"cache {\nprefetch\n}", COUNT_AFTER(3, "prefetch")},
        {"cache {\nprefetch 1 1m 10% x\n}", COUNT_AFTER(3, "x")},
        {"cache {\nprefetch -1\n}", SAYS("prefetch amount should be positive: -1", 3)},
        {"cache {\nprefetch 1 1m 10\n}", SAYS("last character of percentage should be `%`, but is: '0'", 3)},
        {"cache {\nprefetch 1 1m 95%\n}", SAYS("percentage should fall in range [10, 90]: 95", 3)},
        {"cache {\nprefetch 1 1\n}", SAYS("time: missing unit in duration \"1\"", 3)},
        {"cache {\nserve_stale -1h\n}", SAYS("invalid negative duration for serve_stale", 3)},
        {"cache {\nserve_stale 1h Other\n}", SAYS("invalid value for serve_stale refresh mode: other", 3)},
        {"cache {\nserve_stale 1h verify -1s\n}", SAYS("invalid negative timeout for serve_stale verify", 3)},
        {"cache {\nserve_stale 1h verify x\n}",
         SAYS("invalid serve_stale verify timeout: time: invalid duration \"x\"", 3)},
        {"cache {\nserve_stale 1h verify 1s 1500ms\n}",
         SAYS("serve_stale response TTL must be a whole number of seconds", 3)},
        {"cache {\nserve_stale 1h immediate 30s 6m\n}", SAYS("serve_stale failure recheck cannot exceed 5 minutes", 3)},
        {"cache {\nserve_stale 1h immediate 30s 30s 30s\n}", COUNT_AFTER(3, "30s")},
        {"cache {\nserve_stale_policy prefer_positive\n}", SAYS("serve_stale_policy requires serve_stale", 2)},
        {"cache {\nserve_stale\nserve_stale_policy x\n}", SAYS("invalid serve_stale_policy: x", 4)},
        {"cache {\nservfail 6m\n}", SAYS("caching SERVFAIL responses over 5 minutes is not permitted", 3)},
        {"cache {\nservfail -1s\n}", SAYS("invalid negative ttl for servfail", 3)},
        {"cache {\nservfail\n}", COUNT_AFTER(3, "servfail")},
        {"cache {\ndisable\n}", COUNT_AFTER(3, "disable")},
        {"cache {\ndisable foo\n}", SAYS("cache type for disable must be \"success\" or \"denial\"", 3)},
        {"cache {\nkeepttl x\n}", COUNT_AFTER(3, "x")},
    };
    check_setups(&clusterdns_plugin_cache, cases, COUNT(cases));
}

static void capacities(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        uint32_t capacity;
    } cases[] = {
        {"cache", 9984},
        {"cache {\nsuccess 1\n}", 1024},
        {"cache {\nsuccess -5\n}", 1024},
        {"cache {\nsuccess 5000\n}", 4864},
        {"cache {\nsuccess 1000000000000\n}", 1 << 24},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct built b;
        assert_int_equal(build(&clusterdns_plugin_cache, cases[i].line, &b), 0);
        const struct cache *c = b.self;
        assert_int_equal(c->limits[KIND_SUCCESS].capacity, cases[i].capacity);
        assert_int_equal(c->limits[KIND_DENIAL].capacity, 9984);
        assert_int_equal(cases[i].capacity % TABLE_WAYS, 0);
        unbuild(&clusterdns_plugin_cache, &b);
    }
}

static void options(void **state)
{
    (void)state;
    struct built b;
    assert_int_equal(build(&clusterdns_plugin_cache,
                           "cache 100 A.example b.example {\nsuccess 2000 50\ndenial 3000 60 0\nprefetch 3 2m 30%\n"
                           "serve_stale 2h VERIFY 100ms 7s 8s\nserve_stale_policy PREFER_POSITIVE\nservfail 1500ms\n"
                           "disable denial x.example y.example\nkeepttl\n}",
                           &b),
                     0);
    const struct cache *c = b.self;
    assert_string_equal(c->zones_text, "a.example.,b.example.");
    assert_int_equal(c->zones.n, 2);
    assert_int_equal(c->limits[KIND_SUCCESS].ttl_max, 50);
    assert_int_equal(c->limits[KIND_SUCCESS].ttl_min, 5);
    assert_int_equal(c->limits[KIND_DENIAL].ttl_max, 60);
    assert_int_equal(c->limits[KIND_DENIAL].ttl_min, 0);
    assert_int_equal(c->limits[KIND_DENIAL].except.n, 2);
    assert_int_equal(c->limits[KIND_SUCCESS].except.n, 0);
    assert_int_equal(c->prefetch, 3);
    assert_int_equal(c->prefetch_gap_ns, 120 * SECOND);
    assert_int_equal(c->prefetch_percent, 30);
    assert_int_equal(c->stale, 7200);
    assert_true(c->stale_verify && c->stale_prefer_positive && c->keepttl);
    assert_int_equal(c->verify_timeout_ns, SECOND / 10);
    assert_int_equal(c->stale_ttl, 7);
    assert_int_equal(c->stale_recheck_ns, 8 * SECOND);
    assert_int_equal(c->servfail, 1);
    unbuild(&clusterdns_plugin_cache, &b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts),
        cmocka_unit_test(capacities),
        cmocka_unit_test(options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
