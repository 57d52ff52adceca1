// SPDX-License-Identifier: Apache-2.0
#include "base/clock.h"
#include "plugin_test.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

extern const struct plugin clusterdns_plugin_errors;
static const struct plugin *const errors = &clusterdns_plugin_errors;

static uv_loop_t loop;

static void reads_consolidate(void **state)
{
    (void)state;
    static const struct setup_case cases[] = {
        {"errors", NULL},
        {"errors stdout", NULL},
        {"errors {\nstacktrace\n}", NULL},
        {"errors {\nstacktrace\nconsolidate 5m \".* i/o timeout$\" warning\nconsolidate 30s ^Failed\n}", NULL},
        {"errors {\nconsolidate 1m30s a info show_first\nconsolidate 0 a debug\nconsolidate -1s a error\n}", NULL},
        {"errors {\nconsolidate 1s a show_first show_first\n}", NULL},
        {"errors {\nconsolidate 1s (?P<a>[[:word:]]+)\\pL(?i:x)\n}", NULL},
        {"errors x", "plugin/errors: Corefile:2 - Error during parsing: invalid log file: x"},
        {"errors a b",
         "plugin/errors: Corefile:2 - Error during parsing: Wrong argument count or unexpected line ending after 'b'"},
        {"errors\nerrors", "plugin/errors: this plugin can only be used once per Server Block (Corefile:3)"},
        {"errors {\nfoo bar\n}",
         "plugin/errors: Corefile:3 - Syntax error: Unexpected token 'foo', expecting 'Unknown field foo'"},
        {"errors {\nstacktrace bar\n}",
         "plugin/errors: Corefile:3 - Syntax error: Unexpected token 'bar', expecting 'Unknown field bar'"},
        {"errors {\nconsolidate\n}", "plugin/errors: Corefile:3 - Error during parsing: Wrong argument count or "
                                     "unexpected line ending after 'consolidate'"},
        {"errors {\nconsolidate 1s\n}", "plugin/errors: Corefile:3 - Error during parsing: Wrong argument count or "
                                        "unexpected line ending after '1s'"},
        {"errors {\nconsolidate 1s a b c d\n}", "plugin/errors: Corefile:3 - Error during parsing: Wrong argument "
                                                "count or unexpected line ending after 'd'"},
        {"errors {\nconsolidate 1x a\n}",
         "plugin/errors: Corefile:3 - Error during parsing: time: unknown unit \"x\" in duration \"1x\""},
        {"errors {\nconsolidate abc a\n}",
         "plugin/errors: Corefile:3 - Error during parsing: time: invalid duration \"abc\""},
        {"errors {\nconsolidate 1 a\n}",
         "plugin/errors: Corefile:3 - Error during parsing: time: missing unit in duration \"1\""},
        {"errors {\nconsolidate 1s a\nconsolidate 1s a warning warning\n}",
         "plugin/errors: Corefile:4 - Error during parsing: multiple log levels specified in consolidate"},
        {"errors {\nconsolidate 1s a show_first warning\n}",
         "plugin/errors: Corefile:3 - Error during parsing: log level must come before show_first in consolidate"},
        {"errors {\nconsolidate 1s a foo\n}",
         "plugin/errors: Corefile:3 - Error during parsing: unknown option in consolidate: foo"},
        {"errors {\nconsolidate 1s (a\n}",
         "plugin/errors: Corefile:3 - Error during parsing: error parsing regexp: missing closing parenthesis: `(a`"},
        {"errors {\nconsolidate 1s [a\n}", "plugin/errors: Corefile:3 - Error during parsing: error parsing regexp: "
                                           "missing terminating ] for character class: `[a`"},
    };
    check_setups(errors, cases, COUNT(cases));
}

static void bounds_the_expression(void **state)
{
    (void)state;
    char body[11000];
    struct built b;
    for (int len = 10000; len <= 10001; len++) {
        int n = snprintf(body, sizeof(body), "errors {\nconsolidate 1s ");
        memset(body + n, 'a', (size_t)len);
        snprintf(body + n + len, sizeof(body) - (size_t)(n + len), "\n}");
        assert_int_equal(build(errors, body, &b), len == 10000 ? 0 : CDNS_ECONFIG);
        if (len > 10000)
            assert_string_equal(b.error, "plugin/errors: Corefile:3 - Error during parsing: regex pattern too long: "
                                         "10001 > 10000");
        unbuild(errors, &b);
    }
}

// A query that ended with SERVFAIL and the text.
static void end_query(struct built *b, const char *name, uint16_t qtype, const char *error)
{
    struct arena *a = arena_new(1 << 20);
    struct query q = make_query(a, name, qtype);
    const struct outcome o = {.rcode = RCODE_SERVFAIL, .sent = true, .error = error};
    errors->done(b->self, &q, &o);
    arena_free(a);
}

static void prints_errors_one_by_one(void **state)
{
    (void)state;
    struct built b;
    assert_int_equal(build(errors, "errors", &b), 0);
    log_begin(LOG_FORMAT_TEXT);
    end_query(&b, "Example.ORG.", RR_A, "plugin/forward: no next plugin found");
    end_query(&b, ".", 65280, "read udp 10.0.0.1:53: i/o timeout\n[INFO] forged");
    end_query(&b, "fine.", RR_A, NULL);
    assert_string_equal(log_end(),
                        "[ERROR] plugin/errors: 2 example.org. A: plugin/forward: no next plugin found\n"
                        "[ERROR] plugin/errors: 2 . TYPE65280: read udp 10.0.0.1:53: i/o timeout\\n[INFO] forged\n");
    unbuild(errors, &b);
}

static void start(struct built *b, const char *body)
{
    char error[CONFIG_ERROR_MAX];
    assert_int_equal(uv_loop_init(&loop), 0);
    const struct plugin_start s = {.loop = &loop, .error = error};
    assert_int_equal(build(errors, body, b), 0);
    assert_int_equal(errors->start(b->self, &s), 0);
    log_begin(LOG_FORMAT_TEXT);
}

// Stops the plugin when it still runs, lets the loop go, and gives back what was logged.
static const char *finish(struct built *b)
{
    errors->stop(b->self);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    const char *lines = log_end();
    unbuild(errors, b);
    return lines;
}

// Turns the loop until something is logged, and gives it back.
static const char *next_lines(void)
{
    static char text[4096];
    uint64_t deadline = clock_monotonic_ns() + UINT64_C(10000000000);
    struct pollfd p = {.fd = log_pipe[0], .events = POLLIN};
    while (poll(&p, 1, 1) == 0) {
        uv_run(&loop, UV_RUN_NOWAIT);
        assert_true(clock_monotonic_ns() < deadline);
    }
    ssize_t n = read(log_pipe[0], text, sizeof(text) - 1);
    assert_true(n > 0);
    text[n] = '\0';
    return text;
}

static void counts_errors_alike(void **state)
{
    (void)state;
    struct built b;
    start(&b, "errors {\nconsolidate 1h \"^read udp .* i/o timeout$\"\nconsolidate 2h ^read warning\n}");
    for (int i = 0; i < 3; i++)
        end_query(&b, "a.", RR_A, "read udp 10.0.0.1:53->8.8.8.8:53: i/o timeout");
    end_query(&b, "a.", RR_A, "read: connection refused"); // the second expression's
    end_query(&b, "a.", RR_A, "other");
    assert_string_equal(finish(&b),
                        "[ERROR] plugin/errors: 2 a. A: other\n"
                        "[ERROR] plugin/errors: 3 errors like '^read udp .* i/o timeout$' occurred in last 1h0m0s\n"
                        "[WARNING] plugin/errors: 1 errors like '^read' occurred in last 2h0m0s\n");
}

static void shows_the_first_if_asked(void **state)
{
    (void)state;
    struct built b;
    start(&b, "errors {\nconsolidate 1m one info show_first\nconsolidate 1m three warning show_first\n}");
    end_query(&b, "a.", RR_A, "one");
    for (int i = 0; i < 3; i++)
        end_query(&b, "a.", RR_A, "three");
    assert_string_equal(finish(&b), "[INFO] plugin/errors: 2 a. A: one\n"
                                    "[WARNING] plugin/errors: 2 a. A: three\n"
                                    "[WARNING] plugin/errors: 3 errors like 'three' occurred in last 1m0s\n");
}

// The period begins with the first error; the next begins a new one.
static void reports_when_the_period_is_over(void **state)
{
    (void)state;
    struct built b;
    start(&b, "errors {\nconsolidate 20ms x\n}");
    for (int round = 0; round < 2; round++) {
        uint64_t began = clock_monotonic_ns();
        end_query(&b, "a.", RR_A, "x");
        end_query(&b, "a.", RR_A, "x");
        assert_string_equal(next_lines(), "[ERROR] plugin/errors: 2 errors like 'x' occurred in last 20ms\n");
        assert_true(clock_monotonic_ns() - began >= 19000000);
    }
    assert_string_equal(finish(&b), "");
}

static void prints_one_by_one_when_stopped(void **state)
{
    (void)state;
    struct built b;
    start(&b, "errors {\nconsolidate 1h x info\n}");
    end_query(&b, "a.", RR_A, "x");
    errors->stop(b.self);
    end_query(&b, "b.", RR_A, "x");
    assert_string_equal(finish(&b), "[INFO] plugin/errors: 1 errors like 'x' occurred in last 1h0m0s\n"
                                    "[INFO] plugin/errors: 2 b. A: x\n");
}

// An expression with a bad worst case neither hangs the worker nor hides the error.
static void bounds_the_match(void **state)
{
    (void)state;
    struct built b;
    char text[4096], expected[4200];
    memset(text, 'a', sizeof(text));
    text[200] = '\0';
    start(&b, "errors {\nconsolidate 1h \"^(a|a|aa)*(a|a|aa)*b$\"\n}");
    end_query(&b, "a.", RR_A, text);
    snprintf(expected, sizeof(expected), "[ERROR] plugin/errors: 2 a. A: %s\n", text);
    assert_string_equal(finish(&b), expected);
}

// Text that is not UTF-8 can be matched, and '$' means the very end, as in Go.
static void matches_as_go(void **state)
{
    (void)state;
    static const struct {
        const char *regex, *text;
        bool matches;
    } cases[] = {
        {"timeout$", "i/o timeout", true}, {"timeout$", "i/o timeout\n", false}, {"^a.c$", "a\303\251c", true},
        {"timeout", "\xff timeout", true}, {"^(?i)TIME", "timeout", true},       {"a.b", "a\nb", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct built b;
        char body[128], expected[128];
        snprintf(body, sizeof(body), "errors {\nconsolidate 1h \"%s\"\n}", cases[i].regex);
        start(&b, body);
        end_query(&b, "a.", RR_A, cases[i].text);
        snprintf(expected, sizeof(expected), "[ERROR] plugin/errors: 1 errors like '%s' occurred in last 1h0m0s\n",
                 cases[i].regex);
        assert_int_equal(strcmp(finish(&b), expected) == 0, cases[i].matches);
    }
}

#define THREADS 4
#define ERRORS 400 // their lines fit the pipe

static atomic_bool stop_now;

static void *worker(void *arg)
{
    for (int i = 0; i < ERRORS; i++) {
        end_query(arg, "a.", RR_A, "x");
        if (i == ERRORS / 2)
            atomic_store(&stop_now, true);
    }
    return NULL;
}

// Workers count while the main thread reports and stops: nothing is lost, nothing is counted twice.
static void loses_no_error(void **state)
{
    (void)state;
    struct built b;
    pthread_t threads[THREADS];
    atomic_store(&stop_now, false);
    start(&b, "errors {\nconsolidate 1ms x\n}");
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, worker, &b), 0);
    while (!atomic_load(&stop_now))
        uv_run(&loop, UV_RUN_NOWAIT);
    errors->stop(b.self);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    unsigned total = 0;
    for (const char *line = finish(&b); *line != '\0'; line = strchr(line, '\n') + 1) {
        unsigned n = 1;
        int like = 0;
        sscanf(line, "[ERROR] plugin/errors: %u errors like%n", &n, &like);
        total += like > 0 ? n : 1;
    }
    assert_int_equal(total, THREADS * ERRORS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_consolidate),
        cmocka_unit_test(bounds_the_expression),
        cmocka_unit_test(prints_errors_one_by_one),
        cmocka_unit_test(counts_errors_alike),
        cmocka_unit_test(shows_the_first_if_asked),
        cmocka_unit_test(reports_when_the_period_is_over),
        cmocka_unit_test(prints_one_by_one_when_stopped),
        cmocka_unit_test(bounds_the_match),
        cmocka_unit_test(matches_as_go),
        cmocka_unit_test(loses_no_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
