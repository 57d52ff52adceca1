// SPDX-License-Identifier: Apache-2.0
// ready, asked over the loopback interface; the server's side of the contract is played here.
#include "plugin_test.h"
#include "server/http_test.h"

extern const struct plugin clusterdns_plugin_ready;
static const struct plugin *const ready = &clusterdns_plugin_ready;

// The server that the plugin asks: instances that can tell, in order.
struct server_state {
    size_t n;
    struct {
        const char *plugin;
        bool ready;
    } instances[40];
    bool stopping;
};

void server_each_ready(const struct server_state *state, void (*fn)(void *arg, const char *plugin, bool ready),
                       void *arg)
{
    for (size_t i = 0; i < state->n; i++)
        fn(arg, state->instances[i].plugin, state->instances[i].ready);
}

bool server_stopping(const struct server_state *state)
{
    return state->stopping;
}

static void reads_address_and_monitor(void **state)
{
    (void)state;
    static const struct setup_case cases[] = {
        {"ready", NULL},
        {"ready :8182", NULL},
        {"ready localhost:8091 {\nmonitor until-ready\n}", NULL},
        {"ready {\nmonitor continuously\n}", NULL},
        {"ready :http-alt", NULL},
        {"ready a b",
         "plugin/ready: Corefile:2 - Error during parsing: Wrong argument count or unexpected line ending after 'b'"},
        {"ready 8080", "plugin/ready: address 8080: missing port in address (Corefile:2)"},
        {"ready [::1]", "plugin/ready: address [::1]: missing port in address (Corefile:2)"},
        {"ready\nready", "plugin/ready: this plugin can only be used once per Server Block (Corefile:3)"},
        {"ready {\nmonitor\n}", "plugin/ready: Corefile:3 - Error during parsing: Wrong argument count or unexpected "
                                "line ending after 'monitor'"},
        {"ready {\nmonitor a b\n}", "plugin/ready: Corefile:3 - Error during parsing: Wrong argument count or "
                                    "unexpected line ending after 'b'"},
        {"ready {\nmonitor foo\n}",
         "plugin/ready: Corefile:3 - Error during parsing: monitor type 'foo' not supported"},
        {"ready {\nfoo\n}", "plugin/ready: Corefile:3 - Error during parsing: unknown property 'foo'"},
    };
    check_setups(ready, cases, COUNT(cases));
}

struct running {
    struct built built;
    uint16_t port;
    struct server_state server;
    char error[CONFIG_ERROR_MAX];
};

static void run(struct running *r, const char *monitor, uint16_t port)
{
    char body[128];
    *r = (struct running){.port = port};
    snprintf(body, sizeof(body), "ready 127.0.0.1:%u {\n%s\n}", port, monitor);
    assert_int_equal(build(ready, body, &r->built), 0);
    const struct plugin_start start = {.loop = &http_loop, .state = &r->server, .error = r->error};
    assert_int_equal(ready->start(r->built.self, &start), 0);
}

static void end(struct running *r)
{
    ready->stop(r->built.self);
    unbuild(ready, &r->built);
}

static void expect(const struct running *r, int status, const char *body, const char *line)
{
    log_begin(LOG_FORMAT_TEXT);
    assert_int_equal(http_ask(r->port, "/ready"), status);
    assert_string_equal(http_body, body);
    assert_string_equal(log_end(), line);
}

static void lists_plugins_that_are_not_ready(void **state)
{
    (void)state;
    struct running r;
    run(&r, "", http_free_port());
    expect(&r, 200, "OK", "");
    r.server = (struct server_state){
        .n = 4, .instances = {{"kubernetes", false}, {"erratic", false}, {"kubernetes", false}, {"secondary", true}}};
    expect(&r, 503, "erratic,kubernetes", "[INFO] plugin/ready: Plugins not ready: \"erratic,kubernetes\"\n");
    end(&r);
}

static void asks_until_ready(void **state)
{
    (void)state;
    struct running r;
    run(&r, "monitor until-ready", http_free_port());
    r.server = (struct server_state){.n = 40};
    for (size_t i = 0; i < r.server.n; i++)
        r.server.instances[i].plugin = "kubernetes";
    r.server.instances[0].ready = true;
    expect(&r, 503, "kubernetes", "[INFO] plugin/ready: Plugins not ready: \"kubernetes\"\n");
    // The first has been ready once; it is not asked again, the others are.
    r.server.instances[0].ready = false;
    for (size_t i = 1; i < r.server.n; i++)
        r.server.instances[i].ready = true;
    expect(&r, 200, "OK", "");
    for (size_t i = 1; i < r.server.n; i++)
        r.server.instances[i].ready = false;
    expect(&r, 200, "OK", "");
    end(&r);
}

static void monitors_continuously(void **state)
{
    (void)state;
    struct running r;
    run(&r, "monitor continuously", http_free_port());
    r.server = (struct server_state){.n = 1, .instances = {{"kubernetes", true}}};
    expect(&r, 200, "OK", "");
    r.server.instances[0].ready = false;
    expect(&r, 503, "kubernetes", "[INFO] plugin/ready: Plugins not ready: \"kubernetes\"\n");
    r.server.instances[0].ready = true;
    expect(&r, 200, "OK", "");
    end(&r);
}

static void is_not_ready_while_stopping(void **state)
{
    (void)state;
    struct running r;
    run(&r, "", http_free_port());
    r.server = (struct server_state){.n = 1, .instances = {{"kubernetes", true}}};
    expect(&r, 200, "OK", "");
    r.server.stopping = true;
    expect(&r, 503, "Shutting down", "");
    end(&r);
}

// A new configuration starts before the old one stops, and remembers nothing of it.
static void next_configuration_begins_anew(void **state)
{
    (void)state;
    struct running old, new;
    run(&old, "", http_free_port());
    old.server = (struct server_state){.n = 1, .instances = {{"kubernetes", true}}};
    expect(&old, 200, "OK", "");
    run(&new, "", old.port);
    new.server = (struct server_state){.n = 1, .instances = {{"kubernetes", false}}};
    expect(&new, 503, "kubernetes", "[INFO] plugin/ready: Plugins not ready: \"kubernetes\"\n");
    end(&old);
    new.server.instances[0].ready = true;
    expect(&new, 200, "OK", "");
    end(&new);
    assert_int_equal(http_ask(new.port, "/ready"), -1);
}

static void says_why_it_cannot_listen(void **state)
{
    (void)state;
    struct built b;
    char error[CONFIG_ERROR_MAX];
    const struct plugin_start start = {.loop = &http_loop, .error = error};
    assert_int_equal(build(ready, "ready 192.0.2.1:8181", &b), 0);
    assert_int_equal(ready->start(b.self, &start), CDNS_EIO);
    assert_string_equal(error, "plugin/ready: listen tcp 192.0.2.1:8181: Cannot assign requested address");
    unbuild(ready, &b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_address_and_monitor),
        cmocka_unit_test_setup_teardown(lists_plugins_that_are_not_ready, http_begin, http_end),
        cmocka_unit_test_setup_teardown(asks_until_ready, http_begin, http_end),
        cmocka_unit_test_setup_teardown(monitors_continuously, http_begin, http_end),
        cmocka_unit_test_setup_teardown(is_not_ready_while_stopping, http_begin, http_end),
        cmocka_unit_test_setup_teardown(next_configuration_begins_anew, http_begin, http_end),
        cmocka_unit_test_setup_teardown(says_why_it_cannot_listen, http_begin, http_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
