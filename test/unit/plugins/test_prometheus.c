// SPDX-License-Identifier: Apache-2.0
// prometheus: its directive, and /metrics over the loopback interface. What is counted:
// test/unit/server/test_counters.c.
#include "plugin_test.h"
#include "server/generation.h"
#include "server/http_test.h"

extern const struct plugin clusterdns_plugin_prometheus;
static const struct plugin *const prometheus = &clusterdns_plugin_prometheus;

static void reads_its_directive(void **state)
{
    (void)state;
    static const struct setup_case cases[] = {
        {"prometheus", NULL},
        {"prometheus :9153", NULL},
        {"prometheus localhost:9253", NULL},
        {"prometheus {\n}", NULL},
        {"prometheus localhost:9253 {\nruntime_metrics\n}", NULL},
        {"prometheus a:1 b c",
         "plugin/prometheus: Corefile:2 - Error during parsing: Wrong argument count or unexpected "
         "line ending after 'c'"},
        {"prometheus {}", "plugin/prometheus: address {}: missing port in address (Corefile:2)"},
        {"prometheus /foo", "plugin/prometheus: address /foo: missing port in address (Corefile:2)"},
        {"prometheus ::1", "plugin/prometheus: address ::1: too many colons in address (Corefile:2)"},
        {"prometheus {\nruntime_metrics now\n}", "plugin/prometheus: Corefile:3 - Error during parsing: Wrong argument "
                                                 "count or unexpected line ending after 'now'"},
        {"prometheus {\nfoo bar\n}", "plugin/prometheus: Corefile:3 - Error during parsing: unknown option: foo"},
        {"prometheus {\ntls /dev/null/web.yml\n}",
         "plugin/prometheus: Invalid TLS config: /dev/null/web.yml: open: Not a directory (Corefile:3)"},
        {"prometheus {\ntls /dev/null\n}",
         "plugin/prometheus: Invalid TLS config: /dev/null: open: Operation not supported (Corefile:3)"},
        {"prometheus {\ntls\n}", "plugin/prometheus: Corefile:3 - Error during parsing: Wrong argument count or "
                                 "unexpected line ending after 'tls'"},
        {"prometheus {\ntls a b\n}", "plugin/prometheus: Corefile:3 - Error during parsing: Wrong argument count or "
                                     "unexpected line ending after 'b'"},
        {"prometheus\nprometheus :9154",
         "plugin/prometheus: this plugin can only be used once per Server Block (Corefile:3)"},
        // The first one's own mistake comes first.
        {"prometheus /foo\nprometheus", "plugin/prometheus: address /foo: missing port in address (Corefile:2)"},
    };
    check_setups(prometheus, cases, COUNT(cases));
}

static void report(void *arg, const char *text)
{
    (void)arg;
    fail_msg("%s", text);
}

// Starts a generation whose blocks have the plugin at 127.0.0.1:PORT, wherever `%u` stands.
static int start(const char *format, unsigned port, struct generation **g, char *error)
{
    char text[1024];
    struct corefile cf;
    struct arena *a = arena_new(0);
    size_t len = (size_t)snprintf(text, sizeof(text), format, port, port);
    assert_int_equal(corefile_parse_text(a, "Corefile", text, len, any_directive, NULL, &cf, error), 0);
    assert_int_equal(generation_build_parsed(a, &cf, &prometheus, 1, 53, report, NULL, g), 0);
    return generation_start(*g, &http_loop, NULL, error);
}

static void end(struct generation *g)
{
    generation_stop(g);
    generation_free(g);
}

static void shows_metrics(void **state)
{
    (void)state;
    static const char two[] = "a.test {\nprometheus 127.0.0.1:%u\n}\nb.test {\nprometheus 127.0.0.1:%u\n}\n";
    char error[CONFIG_ERROR_MAX];
    uint16_t port = http_free_port();
    struct generation *g, *next;
    assert_int_equal(start(two, port, &g, error), 0);
    assert_int_equal(http_ask(port, "/metrics"), 200);
    assert_non_null(strstr(http_response_text, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    http_join_chunks();
    static const char *const shown[] = {
        "\ncoredns_build_info{version=\"" CDNS_VERSION "\",revision=\"",
        "\ncoredns_plugin_enabled{server=\"dns://:53\",zone=\"a.test.\",view=\"\",name=\"prometheus\"} 1\n",
        "\ncoredns_plugin_enabled{server=\"dns://:53\",zone=\"b.test.\",view=\"\",name=\"prometheus\"} 1\n",
        "\ncoredns_panics_total 0\n",
        "\nprocess_cpu_seconds_total ",
        "\nprocess_open_fds ",
        "\ngo_goroutines ",
        "\nprocess_max_fds ",
        "\nprocess_resident_memory_bytes ",
        "\nprocess_start_time_seconds ",
    };
    for (size_t i = 0; i < COUNT(shown); i++)
        if (strstr(http_body, shown[i]) == NULL)
            fail_msg("%s is not in:\n%s", shown[i], http_body);
    assert_int_equal(http_ask(port, "/"), 404);

    // The next configuration starts before this one stops.
    assert_int_equal(start("c.test {\nprometheus 127.0.0.1:%u\n}\n", port, &next, error), 0);
    end(g);
    assert_int_equal(http_ask(port, "/metrics"), 200);
    assert_non_null(strstr(http_response_text, "zone=\"c.test.\""));
    assert_null(strstr(http_response_text, "zone=\"a.test.\""));
    end(next);
    assert_int_equal(http_ask(port, "/metrics"), -1);
}

static void says_why_it_cannot_listen(void **state)
{
    (void)state;
    char error[CONFIG_ERROR_MAX] = "";
    struct generation *g;
    assert_int_not_equal(start("a.test {\nprometheus 192.0.2.1:%u\n}\n", 9153, &g, error), 0);
    assert_string_equal(error, "plugin/prometheus: listen tcp 192.0.2.1:9153: Cannot assign requested address");
    end(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_its_directive),
        cmocka_unit_test_setup_teardown(shows_metrics, http_begin, http_end),
        cmocka_unit_test_setup_teardown(says_why_it_cannot_listen, http_begin, http_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
