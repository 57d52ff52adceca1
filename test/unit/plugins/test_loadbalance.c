// SPDX-License-Identifier: Apache-2.0
// loadbalance: its directive, the orders it makes, and the weight file. What goes by chance is checked with bounds that
// a right program passes but once in more than 10^15 runs.
#include "base/clock.h"
#include "base/rcu.h"
#include "plugin_test.h"
#include "plugins/loadbalance/loadbalance.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <uv.h>

extern const struct plugin clusterdns_plugin_loadbalance;
static const struct plugin *const loadbalance = &clusterdns_plugin_loadbalance;

static uv_loop_t loop;
static char folder[] = "/tmp/loadbalance-XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    rcu_thread_start();
    return mkdtemp(folder) == NULL || chdir(folder) != 0;
}

static int remove_folder(void **state)
{
    (void)state;
    rcu_thread_end();
    return chdir("/") != 0 || rmdir(folder) != 0;
}

static void write_file(const char *name, const char *text)
{
    FILE *f = fopen(name, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

#define AT(line) "plugin/loadbalance: Corefile:" #line " - Error during parsing: "

static void reads_its_directive(void **state)
{
    (void)state;
    static const struct setup_case cases[] = {
        {"loadbalance", NULL},
        {"loadbalance round_robin", NULL},
        {"loadbalance {\nprefer\nprefer 10.9.20.0/24 fd00::/8\nprefer ::/0\n}", NULL},
        {"loadbalance weighted file", NULL},
        {"loadbalance weighted file {\nreload 0s\nreload 1h\n}", NULL},
        {"loadbalance\nloadbalance round_robin", NULL},
        {"loadbalance fleeb", "plugin/loadbalance: unknown policy: fleeb (Corefile:2)"},
        {"loadbalance\nloadbalance foo", "plugin/loadbalance: unknown policy: foo (Corefile:3)"},
        {"loadbalance round_robin x", AT(2) "unknown property for round_robin"},
        {"loadbalance {\nreload 5s\n}", AT(3) "unknown property 'reload'"},
        {"loadbalance {\nprefer 10.0.0.0\n}", AT(3) "invalid CIDR \"10.0.0.0\": invalid CIDR address: 10.0.0.0"},
        {"loadbalance {\nprefer ::/0 10.0.0.0/33 x\n}",
         AT(3) "invalid CIDR \"10.0.0.0/33\": invalid CIDR address: 10.0.0.0/33"},
        {"loadbalance weighted", AT(2) "missing weight file argument"},
        {"loadbalance weighted a b", AT(2) "unexpected argument(s)"},
        {"loadbalance weighted a {\nreload\n}", AT(3) "reload duration value is missing"},
        {"loadbalance weighted a {\nreload 1 2\n}", AT(3) "unexpected argument"},
        {"loadbalance weighted a {\nreload 1\n}", AT(3) "invalid reload duration '1'"},
        {"loadbalance weighted a {\nreload -1s\n}", AT(3) "invalid reload duration '-1s'"},
        {"loadbalance weighted a {\nprefer 10.0.0.0/8\n}", AT(3) "unknown property 'prefer'"},
    };
    check_setups(loadbalance, cases, COUNT(cases));
}

// Orders -------------------------------------------------------------------------------------------------------------

// Adds records by their words: "A1", "A2" (10.0.0.1 …), "6" AAAA, "C" CNAME, "M" MX, "T" TXT, each with a number.
static void add_records(struct records *set, struct arena *a, const char *words, const uint8_t *owner)
{
    char copy[4096], *save = NULL;
    snprintf(copy, sizeof copy, "%s", words);
    for (char *w = strtok_r(copy, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save)) {
        uint16_t type = w[0] == 'A'   ? RR_A
                        : w[0] == '6' ? RR_AAAA
                        : w[0] == 'C' ? RR_CNAME
                        : w[0] == 'M' ? RR_MX
                                      : RR_TXT;
        uint8_t *rdata = arena_calloc(a, 1, 16);
        rdata[0] = type == RR_A ? 10 : type == RR_AAAA ? 0xfd : 0;
        uint16_t len = type == RR_A ? 4 : 16;
        rdata[len - 1] = (uint8_t)atoi(w + 1);
        assert_int_equal(records_add(set, a, owner, type, 5, rdata, len), 0);
    }
}

// The words of a section.
static const char *words_of(const struct records *set)
{
    static char out[4096];
    size_t n = 0;
    out[0] = '\0';
    for (uint32_t i = 0; i < set->n; i++) {
        const struct record *rr = &set->rr[i];
        n += (size_t)snprintf(out + n, sizeof out - n, "%s%c%u", i > 0 ? " " : "",
                              rr->type == RR_A       ? 'A'
                              : rr->type == RR_AAAA  ? '6'
                              : rr->type == RR_CNAME ? 'C'
                              : rr->type == RR_MX    ? 'M'
                                                     : 'T',
                              rr->rdata[rr->rdlen - 1]);
    }
    return out;
}

// The answer section `words` after the plugin has seen it.
static const char *order(struct built *b, const char *name, uint16_t qtype, uint16_t rcode, const char *words)
{
    struct arena *a = arena_new(1 << 20);
    struct query q = make_query(a, name, qtype);
    q.reply.rcode = rcode;
    add_records(&q.reply.answer, a, words, q.qname_asked);
    rcu_section_begin();
    assert_int_equal(loadbalance->reply(b->self, &q), VERDICT_NEXT);
    rcu_section_end();
    const char *text = words_of(&q.reply.answer);
    arena_free(a);
    return text;
}

static void puts_types_in_order(void **state)
{
    (void)state;
    static const struct {
        const char *before, *after;
    } cases[] = {
        {"", ""},
        {"A1", "A1"},
        {"A1 C1", "C1 A1"},
        {"M1 A1 T2 C1 T1 C2", "C1 C2 T2 T1 A1 M1"},
        {"T1 T2 T3 C1", "C1 T1 T2 T3"},
        {"C2 C1 A1", "C2 C1 A1"},
    };
    struct built b;
    assert_int_equal(build(loadbalance, "loadbalance", &b), 0);
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_string_equal(order(&b, "a.", RR_A, RCODE_NOERROR, cases[i].before), cases[i].after);
    // Not of failures and transfers.
    assert_string_equal(order(&b, "a.", RR_A, RCODE_NXDOMAIN, "A1 C1"), "A1 C1");
    assert_string_equal(order(&b, "a.", RR_AXFR, RCODE_NOERROR, "A1 C1"), "A1 C1");
    assert_string_equal(order(&b, "a.", RR_IXFR, RCODE_NOERROR, "A1 C1"), "A1 C1");
    unbuild(loadbalance, &b);
}

static void prefers_networks(void **state)
{
    (void)state;
    static const struct {
        const char *body, *before, *after;
    } cases[] = {
        {"prefer 10.0.0.3/32", "A1 C1 A3", "C1 A3 A1"},
        {"prefer fd00::4/128 10.0.0.3/32 10.0.0.2/32", "T1 A2 M1 A1 A3 64", "64 A3 A2 A1 M1 T1"},
        {"prefer fd00::/8\nprefer 10.0.0.2/31", "A1 A2 61", "61 A2 A1"},
        {"prefer 192.0.2.0/24", "A1 T1 C1", "C1 A1 T1"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct built b;
        char body[256];
        snprintf(body, sizeof body, "loadbalance round_robin {\n%s\n}", cases[i].body);
        assert_int_equal(build(loadbalance, body, &b), 0);
        for (int k = 0; k < 20; k++)
            assert_string_equal(order(&b, "a.", RR_A, RCODE_NOERROR, cases[i].before), cases[i].after);
        unbuild(loadbalance, &b);
    }
}

// Networks count whatever the order of directives, up to the last `weighted`.
static void takes_the_last_policy(void **state)
{
    (void)state;
    struct built b;
    assert_int_equal(build(loadbalance, "loadbalance {\nprefer 10.0.0.3/32\n}\nloadbalance round_robin", &b), 0);
    for (int k = 0; k < 50; k++)
        assert_string_equal(order(&b, "a.", RR_A, RCODE_NOERROR, "A1 A3"), "A3 A1");
    unbuild(loadbalance, &b);
    assert_int_equal(
        build(loadbalance, "loadbalance {\nprefer 10.0.0.3/32\n}\nloadbalance weighted x\nloadbalance round_robin", &b),
        0);
    unsigned first = 0;
    for (int k = 0; k < 100; k++)
        first += strcmp(order(&b, "a.", RR_A, RCODE_NOERROR, "A1 A3"), "A1 A3") == 0;
    assert_in_range(first, 1, 99);
    unbuild(loadbalance, &b);
}

// All 24 orders of four come, as often as each other: 12,000 draws, 500 expected each, standard deviation 22; the
// bounds are nine of them away.
static void shuffles_evenly(void **state)
{
    (void)state;
    static const char *const kinds[] = {"A1 A2 A3 A4", "A1 62 A3 64", "M1 M2 M3 M4"};
    struct built b;
    assert_int_equal(build(loadbalance, "loadbalance", &b), 0);
    for (size_t k = 0; k < COUNT(kinds); k++) {
        unsigned seen[256] = {0}, orders = 0;
        for (int i = 0; i < 12000; i++) {
            const char *w = order(&b, "a.", RR_A, RCODE_NOERROR, kinds[k]);
            seen[(w[1] - '1') << 6 | (w[4] - '1') << 4 | (w[7] - '1') << 2 | (w[10] - '1')]++;
        }
        for (size_t i = 0; i < 256; i++) {
            if (seen[i] == 0)
                continue;
            orders++;
            assert_in_range(seen[i], 300, 700);
        }
        assert_int_equal(orders, 24);
    }
    unbuild(loadbalance, &b);
}

static void shuffles_all_sections(void **state)
{
    (void)state;
    struct built b;
    unsigned moved[3] = {0};
    assert_int_equal(build(loadbalance, "loadbalance", &b), 0);
    for (int i = 0; i < 200; i++) {
        struct arena *a = arena_new(1 << 20);
        struct query q = make_query(a, "a.", RR_A);
        struct records *sections[] = {&q.reply.answer, &q.reply.authority, &q.reply.additional};
        for (int s = 0; s < 3; s++)
            add_records(sections[s], a, "A1 A2", q.qname);
        loadbalance->reply(b.self, &q);
        for (int s = 0; s < 3; s++)
            moved[s] += strcmp(words_of(sections[s]), "A2 A1") == 0;
        arena_free(a);
    }
    for (int s = 0; s < 3; s++)
        assert_in_range(moved[s], 30, 170); // 100 expected, standard deviation 7
    unbuild(loadbalance, &b);
}

// Without memory nothing is moved, and nothing is lost.
static void leaves_it_without_memory(void **state)
{
    (void)state;
    struct built b;
    assert_int_equal(build(loadbalance, "loadbalance {\nprefer 10.0.0.2/32\n}", &b), 0);
    struct arena *a = arena_new(1 << 14);
    struct query q = make_query(a, "a.", RR_A);
    add_records(&q.reply.answer, a, "A1 C1 T1 A2", q.qname);
    while (arena_alloc(a, 8) != NULL)
        ;
    loadbalance->reply(b.self, &q);
    assert_int_equal(q.reply.answer.n, 4);
    unsigned types = 0;
    for (uint32_t i = 0; i < 4; i++)
        types += q.reply.answer.rr[i].type;
    assert_int_equal(types, RR_A + RR_CNAME + RR_TXT + RR_A);
    arena_free(a);
    unbuild(loadbalance, &b);
}

// Weights ------------------------------------------------------------------------------------------------------------

static void reads_weight_files(void **state)
{
    (void)state;
    static const struct {
        const char *text, *error; // NULL: taken
    } cases[] = {
        {"", NULL},
        {"# comment\n\n  \t\na\n1.2.3.4 5\n::1 255\n  b. \r\n 1.2.3.4\t007 \n", NULL},
        {"a\na\n1.2.3.4 1\n1.2.3.4 2\nbad..name\n1.2.3.4 1", NULL},
        {"1.2.3.4 5\n", "missing domain name in weight file F"},
        {"a\n1.2.3.4\n", "wrong domain name:\"1.2.3.4\" in weight file F. (Maybe a missing weight value?)"},
        {"a\n::1\n", "wrong domain name:\"::1\" in weight file F. (Maybe a missing weight value?)"},
        {"a\n1.2.3 4\n", "wrong IP address:\"1.2.3\" in weight file F"},
        {"a\nfe80::1%eth0 4\n", "wrong IP address:\"fe80::1%eth0\" in weight file F"},
        {"a\n1.2.3.4 0\n", "wrong weight value:\"0\" in weight file F"},
        {"a\n1.2.3.4 256\n", "wrong weight value:\"256\" in weight file F"},
        {"a\n1.2.3.4 5x\n", "wrong weight value:\"5x\" in weight file F"},
        {"a\n1.2.3.4 +5\n", "wrong weight value:\"+5\" in weight file F"},
        {"a\n1.2.3.4 18446744073709551617\n", "wrong weight value:\"18446744073709551617\" in weight file F"},
        {"a\n 1.2.3.4  1 2 \n", "could not parse weight line:\"1.2.3.4  1 2\" in weight file F"},
        {"a\n1.2.3.4 1 # x\n", "could not parse weight line:\"1.2.3.4 1 # x\" in weight file F"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct weights *w = NULL;
        char error[CONFIG_ERROR_MAX] = "";
        int rc = weights_read("F", cases[i].text, strlen(cases[i].text), &w, error);
        assert_int_equal(rc, cases[i].error == NULL ? 0 : CDNS_ECONFIG);
        assert_string_equal(error, cases[i].error == NULL ? "" : cases[i].error);
        weights_free(w);
    }
}

static void bounds_weight_files(void **state)
{
    (void)state;
    struct weights *w = NULL;
    char error[CONFIG_ERROR_MAX], *text = malloc(1 << 20);
    memset(text, 'a', 1 << 20);
    text[65535] = '\n';
    assert_int_equal(weights_read("F", text, 65536, &w, error), 0);
    weights_free(w);
    text[65535] = 'a';
    assert_int_equal(weights_read("F", text, 65537, &w, error), CDNS_ECONFIG);
    assert_string_equal(error, "weight file F parsing error:bufio.Scanner: token too long");
    assert_int_equal(weights_read("F", "a\n1.2.3.4\0 5\n", 13, &w, error), CDNS_ECONFIG);
    size_t n = (size_t)snprintf(text, 16, "a\n");
    for (unsigned i = 0; i < WEIGHTS_MAX; i++)
        n += (size_t)snprintf(text + n, 32, "::%x 9\n", i);
    assert_int_equal(weights_read("F", text, n, &w, error), 0);
    for (unsigned i = 0; i < WEIGHTS_MAX; i++) {
        const struct ip_address a = {.len = 16, .bytes = {[14] = (uint8_t)(i >> 8), [15] = (uint8_t)i}};
        assert_int_equal(weights_of(w, (const uint8_t *)"\1a", &a), 9);
        assert_int_equal(weights_of(w, (const uint8_t *)"\1b", &a), 1);
    }
    weights_free(w);
    n += (size_t)snprintf(text + n, 32, "1.2.3.4 1\n");
    assert_int_equal(weights_read("F", text, n, &w, error), CDNS_ECONFIG);
    assert_string_equal(error, "too many addresses in weight file F");
    free(text);
}

static int start(struct built *b, const char *body, char *error)
{
    assert_int_equal(uv_loop_init(&loop), 0);
    const struct plugin_start s = {.loop = &loop, .error = error};
    error[0] = '\0';
    assert_int_equal(build(loadbalance, body, b), 0);
    return loadbalance->start(b->self, &s);
}

static void finish(struct built *b)
{
    loadbalance->stop(b->self);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    unbuild(loadbalance, b);
}

// How often each of three addresses is the first, in 6,000 draws.
static void count_firsts(struct built *b, const char *name, uint16_t qtype, unsigned firsts[3])
{
    memset(firsts, 0, 3 * sizeof *firsts);
    for (int i = 0; i < 6000; i++) {
        const char *w = order(b, name, qtype, RCODE_NOERROR, "A1 A2 A3");
        firsts[w[1] - '1']++;
    }
}

// 3 : 1 : 2 of 6,000: standard deviations 39, 29, 37.
static void weighs(void **state)
{
    (void)state;
    struct built b;
    char error[CONFIG_ERROR_MAX];
    unsigned n[3];
    write_file("weights", "www.example.com\n10.0.0.1 3\n10.0.0.1 200\n10.0.0.3 2\n");
    log_begin(LOG_FORMAT_TEXT);
    assert_int_equal(start(&b, "loadbalance weighted weights", error), 0);
    assert_string_equal(log_end(), "[INFO] plugin/loadbalance: Successfully reloaded weight file weights\n");
    count_firsts(&b, "WWW.example.com.", RR_A, n);
    assert_in_range(n[0], 2650, 3350);
    assert_in_range(n[1], 740, 1260);
    assert_in_range(n[2], 1660, 2340);
    count_firsts(&b, "other.example.com.", RR_SRV, n);
    for (int i = 0; i < 3; i++)
        assert_in_range(n[i], 1660, 2340);
    count_firsts(&b, "www.example.com.", RR_MX, n); // not of these
    assert_int_equal(n[0], 6000);
    // The first one changes places, no other moves; types are put in order if there is an address.
    for (int i = 0; i < 100; i++) {
        const char *w = order(&b, "a.", RR_A, RCODE_NOERROR, "M1 A1 T1 A2 A3 C1");
        assert_true(strcmp(w, "C1 T1 A1 A2 A3 M1") == 0 || strcmp(w, "C1 T1 A2 A1 A3 M1") == 0 ||
                    strcmp(w, "C1 T1 A3 A2 A1 M1") == 0);
    }
    assert_string_equal(order(&b, "a.", RR_A, RCODE_NOERROR, "M1 T1 C1"), "M1 T1 C1");
    finish(&b);
    unlink("weights");
}

static void wait_for_line(const char *line)
{
    static char text[4096];
    uint64_t deadline = clock_monotonic_ns() + UINT64_C(10000000000);
    for (size_t n = 0; n < strlen(line);) {
        uv_run(&loop, UV_RUN_ONCE);
        assert_true(clock_monotonic_ns() < deadline);
        fcntl(log_pipe[0], F_SETFL, O_NONBLOCK);
        ssize_t more = read(log_pipe[0], text + n, sizeof text - 1 - n);
        n += more > 0 ? (size_t)more : 0;
        text[n] = '\0';
    }
    fcntl(log_pipe[0], F_SETFL, 0);
    assert_string_equal(text, line);
}

static void follows_its_file(void **state)
{
    (void)state;
    struct built b;
    char error[CONFIG_ERROR_MAX];
    unsigned n[3];
    log_begin(LOG_FORMAT_TEXT);
    assert_int_equal(start(&b, "loadbalance weighted weights {\nreload 2ms\n}", error), 0);
    wait_for_line("[WARNING] plugin/loadbalance: Failed to open weight file:weight file open error. Will try again in "
                  "2ms\n");
    write_file("new", "a\n10.0.0.2 255\n");
    rename("new", "weights");
    wait_for_line("[INFO] plugin/loadbalance: Successfully reloaded weight file weights\n");
    count_firsts(&b, "a.", RR_A, n);
    assert_in_range(n[1], 5800, 6000);
    write_file("new", "a\n10.0.0.2\n");
    rename("new", "weights");
    wait_for_line("[ERROR] plugin/loadbalance: wrong domain name:\"10.0.0.2\" in weight file weights. (Maybe a missing "
                  "weight value?)\n");
    unlink("weights");
    wait_for_line("[ERROR] plugin/loadbalance: weight file open error\n");
    mkdir("weights", 0700);
    for (int i = 0; i < 5; i++)
        uv_run(&loop, UV_RUN_ONCE);
    rmdir("weights");
    count_firsts(&b, "a.", RR_A, n);
    assert_in_range(n[1], 5800, 6000);
    write_file("new", "a\n10.0.0.3 255\n");
    assert_int_equal(truncate("new", WEIGHTS_BYTES_MAX + 1), 0);
    rename("new", "weights");
    wait_for_line("[ERROR] plugin/loadbalance: weight file weights has more than 1048576 bytes\n");
    write_file("new", "a\n10.0.0.3 255\n");
    rename("new", "weights");
    wait_for_line("[INFO] plugin/loadbalance: Successfully reloaded weight file weights\n");
    count_firsts(&b, "a.", RR_A, n);
    assert_in_range(n[2], 5800, 6000);
    assert_string_equal(log_end(), "");
    finish(&b);
    unlink("weights");
}

static void does_not_start_with_a_wrong_file(void **state)
{
    (void)state;
    struct built b;
    char error[CONFIG_ERROR_MAX];
    assert_int_equal(start(&b, "loadbalance weighted weights {\nreload 0s\n}", error), CDNS_EIO);
    assert_string_equal(error, "plugin/loadbalance: weight file open error");
    finish(&b);
    write_file("weights", "10.0.0.1 3\n");
    assert_int_equal(start(&b, "loadbalance weighted weights", error), CDNS_ECONFIG);
    assert_string_equal(error, "plugin/loadbalance: missing domain name in weight file weights");
    finish(&b);
    write_file("weights", "a\n10.0.0.1 3\n");
    assert_int_equal(start(&b, "loadbalance weighted weights {\nreload 0s\n}", error), 0);
    assert_int_equal(uv_run(&loop, UV_RUN_NOWAIT), 0);
    finish(&b);
    unlink("weights");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_its_directive),      cmocka_unit_test(puts_types_in_order),
        cmocka_unit_test(prefers_networks),         cmocka_unit_test(takes_the_last_policy),
        cmocka_unit_test(shuffles_evenly),          cmocka_unit_test(shuffles_all_sections),
        cmocka_unit_test(leaves_it_without_memory), cmocka_unit_test(reads_weight_files),
        cmocka_unit_test(bounds_weight_files),      cmocka_unit_test(weighs),
        cmocka_unit_test(follows_its_file),         cmocka_unit_test(does_not_start_with_a_wrong_file),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
