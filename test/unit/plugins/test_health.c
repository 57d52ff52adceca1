// SPDX-License-Identifier: Apache-2.0
// health, asked over the loopback interface.
#include "metrics_test.h"
#include "plugin_test.h"
#include "plugins/health/probe.h"
#include "server/http_test.h"

extern const struct plugin clusterdns_plugin_health;
static const struct plugin *const health = &clusterdns_plugin_health;

static void reads_address_and_lameduck(void **state)
{
    (void)state;
    static const struct setup_case cases[] = {
        {"health", NULL},
        {"health :8081", NULL},
        {"health localhost:8091 {\nlameduck 1m30s\n}", NULL},
        {"health {\n}", NULL},
        {"health\nhealth :8081", NULL},
        {"health {\nlameduck -5s\n}", NULL},
        {"health {\nlameduck 5s\nlameduck 7s\n}", NULL},
        {"health a b", "plugin/health: Corefile:2 - Error during parsing: Wrong argument count or unexpected line "
                       "ending after 'b'"},
        {"health a", "plugin/health: address a: missing port in address (Corefile:2)"},
        {"health \"\"", "plugin/health: missing port in address (Corefile:2)"},
        {"health ::1", "plugin/health: address ::1: too many colons in address (Corefile:2)"},
        {"health {\nlameduck\n}", "plugin/health: Corefile:3 - Error during parsing: Wrong argument count or "
                                  "unexpected line ending after 'lameduck'"},
        {"health {\nlameduck 1 2\n}", "plugin/health: Corefile:3 - Error during parsing: Wrong argument count or "
                                      "unexpected line ending after '2'"},
        {"health {\nlameduck 1\n}", "plugin/health: unable to parse lameduck duration value: '1' : time: missing unit "
                                    "in duration \"1\" (Corefile:3)"},
        {"health {\nlameduck abc\n}", "plugin/health: unable to parse lameduck duration value: 'abc' : time: invalid "
                                      "duration \"abc\" (Corefile:3)"},
        {"health {\nfoo\n}", "plugin/health: Corefile:3 - Error during parsing: unknown property 'foo'"},
    };
    check_setups(health, cases, COUNT(cases));
}

static struct built build_at(uint16_t port)
{
    struct built b;
    char body[64];
    snprintf(body, sizeof(body), "health 127.0.0.1:%u {\nlameduck 5s\n}", port);
    assert_int_equal(build(health, body, &b), 0);
    return b;
}

static void says_ok(void **state)
{
    (void)state;
    char error[CONFIG_ERROR_MAX];
    const struct plugin_start start = {.loop = &http_loop, .error = error};
    uint16_t port = http_free_port();
    struct built one = build_at(port), two = build_at(port);
    assert_int_equal(health->start(one.self, &start), 0);
    assert_int_equal(http_ask(port, "/health"), 200);
    assert_string_equal(http_body, "OK");

    // A second server block, or the next configuration, has the same address.
    assert_int_equal(health->start(two.self, &start), 0);
    health->stop(one.self);
    assert_int_equal(http_ask(port, "/health"), 200);
    health->stop(two.self);
    assert_int_equal(http_ask(port, "/health"), -1);
    unbuild(health, &one);
    unbuild(health, &two);
}

#define DURATION "coredns_health_request_duration_seconds"
#define FAILURES "coredns_health_request_failures_total"

// Turns the loop until a metric has this value.
static void run_until(const char *series, double value)
{
    uint64_t deadline = http_now_ms() + HTTP_DEADLINE_MS;
    while (metrics_value_of(series) < value) {
        assert_true(http_now_ms() < deadline);
        uv_run(&http_loop, UV_RUN_ONCE);
    }
}

static void asks_itself(void **state)
{
    (void)state;
    static const char *const addresses[] = {"127.0.0.1:%u", ":%u", "localhost:%u"};
    char error[CONFIG_ERROR_MAX], body[64], format[64];
    const struct plugin_start start = {.loop = &http_loop, .error = error};
    for (size_t i = 0; i < COUNT(addresses); i++) {
        struct built b;
        snprintf(format, sizeof(format), "health %s", addresses[i]);
        snprintf(body, sizeof(body), format, http_free_port());
        assert_int_equal(build(health, body, &b), 0);
        assert_int_equal(health->start(b.self, &start), 0);
        run_until(DURATION "_count", (double)i + 1);
        health->stop(b.self);
        unbuild(health, &b);
    }
    assert_metric(FAILURES, 0);
    assert_metric(DURATION "_bucket{le=\"+Inf\"}", COUNT(addresses));
    assert_true(metrics_shown_value(DURATION "_sum") > 0);
}

static void counts_requests_that_fail(void **state)
{
    (void)state;
    uint16_t port = http_free_port();
    const union sockaddr_any nobody = {
        .in = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
    double before = metrics_value_of(DURATION "_count");
    log_begin(LOG_FORMAT_TEXT);
    struct probe *p = probe_start(&http_loop, &nobody, "http://localhost:8080/health");
    run_until(FAILURES, 1);
    probe_stop(p);
    assert_string_equal(log_end(), "[WARNING] plugin/health: Local health request to \"http://localhost:8080/health\" "
                                   "failed: connection refused\n");
    assert_metric(DURATION "_count", before + 1);
}

// One that accepts, and says nothing.
static void gives_up_after_a_while(void **state)
{
    (void)state;
    union sockaddr_any silent = {.in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(silent);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, &silent.sa, sizeof(silent.in)), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, &silent.sa, &size), 0);
    double before = metrics_value_of(FAILURES);
    uint64_t begin = http_now_ms();
    log_begin(LOG_FORMAT_TEXT);
    struct probe *p = probe_start(&http_loop, &silent, "x");
    run_until(FAILURES, before + 1);
    assert_true(http_now_ms() - begin >= PROBE_PATIENCE_MS);
    probe_stop(p);
    assert_string_equal(log_end(), "[WARNING] plugin/health: Local health request to \"x\" failed: timed out\n");
    close(fd);
}

static void says_why_it_cannot_listen(void **state)
{
    (void)state;
    char error[CONFIG_ERROR_MAX];
    const struct plugin_start start = {.loop = &http_loop, .error = error};
    static const struct setup_case cases[] = {
        {"health 192.0.2.1:8080", "plugin/health: listen tcp 192.0.2.1:8080: Cannot assign requested address"},
        {"health :99999", "plugin/health: listen tcp :99999: invalid value"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct built b;
        assert_int_equal(build(health, cases[i].body, &b), 0);
        assert_int_not_equal(health->start(b.self, &start), 0);
        assert_string_equal(error, cases[i].error);
        unbuild(health, &b);
    }
}

static void lameduck_delays_shutdown(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        uint64_t ns;
        const char *line;
    } cases[] = {
        {"health", 0, ""},
        {"health {\nlameduck 0\n}", 0, ""},
        {"health {\nlameduck -5s\n}", 0, ""},
        {"health {\nlameduck 5s\n}", 5000000000, "[INFO] plugin/health: Going into lameduck mode for 5s\n"},
        {"health {\nlameduck 300ms\n}", 300000000, "[INFO] plugin/health: Going into lameduck mode for 300ms\n"},
        {"health {\nlameduck 5m\n}\nhealth {\nlameduck 90s\n}", 90000000000,
         "[INFO] plugin/health: Going into lameduck mode for 1m30s\n"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct built b;
        assert_int_equal(build(health, cases[i].body, &b), 0);
        log_begin(LOG_FORMAT_TEXT);
        assert_true(health->shutdown(b.self) == cases[i].ns);
        assert_string_equal(log_end(), cases[i].line);
        unbuild(health, &b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_address_and_lameduck),
        cmocka_unit_test_setup_teardown(says_ok, http_begin, http_end),
        cmocka_unit_test_setup_teardown(asks_itself, http_begin, http_end),
        cmocka_unit_test_setup_teardown(counts_requests_that_fail, http_begin, http_end),
        cmocka_unit_test_setup_teardown(gives_up_after_a_while, http_begin, http_end),
        cmocka_unit_test_setup_teardown(says_why_it_cannot_listen, http_begin, http_end),
        cmocka_unit_test(lameduck_delays_shutdown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
