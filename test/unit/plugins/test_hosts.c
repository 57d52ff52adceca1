// SPDX-License-Identifier: Apache-2.0
// hosts: its directive, its parser and map, what it answers, and how it follows its file.
#include "base/clock.h"
#include "base/metrics.h"
#include "base/rcu.h"
#include "metrics_test.h"
#include "plugin_test.h"
#include "plugins/hosts/hosts.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <uv.h>

extern const struct plugin clusterdns_plugin_hosts;
static const struct plugin *const hosts = &clusterdns_plugin_hosts;

static uv_loop_t loop;
static char folder[] = "/tmp/hosts-XXXXXX";

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

#define AT(line) "plugin/hosts: Corefile:" #line " - Error during parsing: "

static void reads_its_directive(void **state)
{
    (void)state;
    static const struct setup_case cases[] = {
        {"hosts", NULL},
        {"hosts none", NULL},
        {"hosts none example.org 10.0.0.0/24", NULL},
        {"hosts none {\n10.0.0.1 a b\nttl 1 what ever\nreload 0s\nno_reverse x\nfallthrough\n}", NULL},
        {"hosts {\nfallthrough a\nfallthrough_unsupported\nttl 65535\nreload 1h\n}", NULL},
        {"hosts {\nttl\n}", AT(3) "ttl needs a time in second"},
        {"hosts {\nttl x\n}", AT(3) "ttl needs a number of second"},
        {"hosts {\nttl 0\n}", AT(3) "ttl provided is invalid"},
        {"hosts {\nttl 65536\n}", AT(3) "ttl provided is invalid"},
        {"hosts {\nreload\n}", AT(3) "reload needs a duration (zero seconds to disable)"},
        {"hosts {\nreload 1s 2s\n}", AT(3) "reload needs a duration (zero seconds to disable)"},
        {"hosts {\nreload 5\n}", AT(3) "invalid duration for reload '5'"},
        {"hosts {\nreload -5s\n}", AT(3) "invalid negative duration for reload '-5s'"},
        {"hosts {\nfallthrough\n10.0.0.1 a\n}", AT(4) "unknown property '10.0.0.1'"},
        {"hosts {\n10.0.0.1 a {\n}\n}", AT(3) "unknown property '{'"},
        {"hosts {\nfallthrough_unsupported x\n}", AT(3) "Wrong argument count or unexpected line ending after 'x'"},
        {"hosts {\nfallthrough_unsupported\n}", AT(2) "fallthrough_unsupported requires fallthrough"},
        {"hosts /dev/null/x", AT(2) "unable to access hosts file '/dev/null/x': stat /dev/null/x: not a directory"},
        {"hosts\nhosts", "plugin/hosts: this plugin can only be used once per Server Block (Corefile:3)"},
    };
    check_setups(hosts, cases, COUNT(cases));
}

static void warns_of_files(void **state)
{
    (void)state;
    struct built b;
    log_begin(LOG_FORMAT_TEXT);
    assert_int_equal(build(hosts, "hosts /nowhere", &b), 0);
    unbuild(hosts, &b);
    assert_int_equal(build(hosts, "hosts /tmp", &b), 0);
    unbuild(hosts, &b);
    assert_string_equal(log_end(), "[WARNING] plugin/hosts: File does not exist: /nowhere\n"
                                   "[WARNING] plugin/hosts: Hosts file \"/tmp\" is a directory\n");
}

// Parser and map -----------------------------------------------------------------------------------------------------

// The map of a text, fed in pieces of `piece` bytes.
static struct hosts_map *parse(const char *text, size_t len, size_t piece, const char *zone)
{
    uint8_t name[NAME_MAX_WIRE];
    assert_int_equal(name_from_text(zone, name), 0);
    const uint8_t *names[] = {name};
    const struct zone_list zones = {.zones = names, .n = 1};
    struct hosts_parser p = {.map = hosts_map_new(), .zones = &zones, .source = "Text"};
    for (size_t at = 0; at < len; at += piece)
        hosts_parse(&p, text + at, len - at < piece ? len - at : piece);
    assert_int_equal(hosts_parse_end(&p), 0);
    assert_int_equal(hosts_map_finish(p.map, true), 0);
    return p.map;
}

#define TEXT_MAX 4096

// Appends a word.
static void add_text(char out[TEXT_MAX], const char *word)
{
    size_t n = strlen(out), len = strlen(word);
    assert_true(n + len + 2 < TEXT_MAX);
    if (n > 0)
        out[n++] = ' ';
    memcpy(out + n, word, len + 1);
}

// "10.0.0.1 10.0.0.2", the addresses of a name in both families.
static const char *addresses(const struct hosts_map *m, const char *name)
{
    static char out[TEXT_MAX];
    uint8_t wire[NAME_MAX_WIRE];
    out[0] = '\0';
    assert_int_equal(name_from_text(name, wire), 0);
    for (uint8_t len = 4; len <= 16; len += 12)
        for (uint32_t e = hosts_map_find(m, wire, name_length(wire), len); e != 0; e = hosts_map_next(m, e)) {
            struct ip_address a = hosts_map_address(m, e);
            char text[INET6_ADDRSTRLEN];
            assert_int_equal(a.len, len);
            add_text(out, inet_ntop(len == 4 ? AF_INET : AF_INET6, a.bytes, text, sizeof text));
        }
    return out;
}

static const char *names(const struct hosts_map *m, const char *address)
{
    static char out[TEXT_MAX];
    struct ip_address a;
    out[0] = '\0';
    assert_true(ip_read(address, &a));
    for (uint32_t e = hosts_map_find_address(m, &a); e != 0; e = hosts_map_next_name(m, e)) {
        char text[NAME_MAX_TEXT];
        name_to_text(hosts_map_name(m, e), text);
        add_text(out, text);
    }
    return out;
}

static const char text[] = "# a comment 10.0.0.9 no\n"
                           "127.0.0.1\tlocalhost LocalHost.Local. # local\r\n"
                           "10.0.0.1   Web.example.org\vwww.example.org\n"
                           "10.0.0.2 web.example.org#x\n"
                           "\f 10.0.0.1 web.example.org\n"
                           "fe80::1%eth0 web.example.org\n"
                           "::ffff:10.0.0.3 mapped.example.org\n"
                           "10.0.0.4 *.w.example.org *.w.example.org\n"
                           "10.0.0.5 a.w.example.org bad..name a\\.b.example.org\n"
                           "fd00::1 *.w.example.org\n"
                           "10.0.0 none.example.org\n"
                           "10.0.0.6\n"
                           "10.0.0.7 .";

static void reads_the_text(void **state)
{
    (void)state;
    for (size_t piece = 1; piece <= sizeof text; piece += piece < 8 ? 1 : 61) {
        struct hosts_map *m = parse(text, sizeof text - 1, piece, ".");
        assert_string_equal(addresses(m, "localhost"), "127.0.0.1");
        assert_string_equal(addresses(m, "localhost.local"), "127.0.0.1");
        assert_string_equal(addresses(m, "web.example.org"), "10.0.0.1 10.0.0.2 10.0.0.1 fe80::1");
        assert_string_equal(addresses(m, "mapped.example.org"), "10.0.0.3");
        assert_string_equal(addresses(m, "x.w.example.org"), "10.0.0.4 10.0.0.4 fd00::1");
        assert_string_equal(addresses(m, "a.w.example.org"), "10.0.0.5 fd00::1");
        assert_string_equal(addresses(m, "*.w.example.org"), "10.0.0.4 10.0.0.4 fd00::1");
        assert_string_equal(addresses(m, "y.x.w.example.org"), "");
        assert_string_equal(addresses(m, "w.example.org"), "");
        assert_string_equal(addresses(m, "none.example.org"), "");
        assert_string_equal(addresses(m, "no"), "");
        assert_string_equal(addresses(m, "x"), "");
        assert_string_equal(addresses(m, "."), "10.0.0.7");
        assert_string_equal(names(m, "127.0.0.1"), "localhost. localhost.local.");
        assert_string_equal(names(m, "10.0.0.1"), "web.example.org. www.example.org. web.example.org.");
        assert_string_equal(names(m, "10.0.0.3"), "mapped.example.org.");
        assert_string_equal(names(m, "10.0.0.4"), "");
        assert_string_equal(names(m, "10.0.0.5"), "a.w.example.org. a\\.b.example.org.");
        assert_string_equal(names(m, "fe80::1"), "web.example.org.");
        assert_int_equal(hosts_map_count(m), 14 + 11);
        hosts_map_free(m);
    }
}

static void keeps_to_its_zones(void **state)
{
    (void)state;
    struct hosts_map *m = parse(text, sizeof text - 1, 7, "w.example.org");
    assert_string_equal(addresses(m, "web.example.org"), "");
    assert_string_equal(addresses(m, "a.w.example.org"), "10.0.0.5 fd00::1");
    assert_string_equal(names(m, "10.0.0.1"), "");
    assert_int_equal(hosts_map_count(m), 4 + 1);
    hosts_map_free(m);
}

// Fields of any length cost no memory, and harm no other; a NUL makes a field nothing.
static void drops_what_is_too_long(void **state)
{
    (void)state;
    static char line[500000];
    char *long_field = malloc(200000);
    memset(long_field, '1', 200000);
    long_field[HOSTS_FIELD_MAX + 1] = '\0';
    int n = snprintf(line, sizeof line, "10.0.0.1 %s a\n%s b\n10.0.0.2 b", long_field, long_field);
    memset(long_field, 'x', 200000);
    long_field[199999] = '\0';
    n += snprintf(line + n, sizeof line - (size_t)n, " %s c\n", long_field);
    for (int i = 0; i < 9; i++)
        n += snprintf(line + n, sizeof line - (size_t)n, "10.0.0.1 %.*s\n", HOSTS_FIELD_MAX + 1, long_field);
    n += snprintf(line + n, sizeof line - (size_t)n, "10.0.0.3 d%cx\n10.0.0.3%c e f\nx %s\n", 0, 0, long_field);
    log_begin(LOG_FORMAT_TEXT);
    struct hosts_map *m = parse(line, (size_t)n, 4096, ".");
    const char *lines = log_end();
    assert_non_null(strstr(lines, "[ERROR] plugin/hosts: Text, line 1: name longer than 1024 bytes, dropping the name\n"
                                  "[ERROR] plugin/hosts: Text, line 2: address longer than 1024 bytes, dropping the "
                                  "line\n"
                                  "[ERROR] plugin/hosts: Text, line 3: name longer than 1024 bytes, dropping the "
                                  "name\n"));
    assert_non_null(strstr(lines, "[ERROR] plugin/hosts: Text: 4 more fields are too long\n"));
    assert_null(strstr(lines, "line 9:"));
    assert_string_equal(names(m, "10.0.0.1"), "a.");
    assert_string_equal(names(m, "10.0.0.2"), "b. c.");
    assert_string_equal(names(m, "10.0.0.3"), "");
    hosts_map_free(m);
    free(long_field);
}

// Many names of many addresses, against what they were made of.
static void finds_each_of_many(void **state)
{
    (void)state;
    enum { MANY = 20000 };
    struct hosts_map *m = hosts_map_new();
    for (unsigned i = 0; i < MANY; i++) {
        uint8_t name[NAME_MAX_WIRE];
        char s[32];
        struct ip_address a = {.len = i % 3 == 0 ? 16 : 4,
                               .bytes = {10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i}};
        snprintf(s, sizeof s, "n%u.example.org", i / 2);
        assert_int_equal(name_from_text(s, name), 0);
        assert_int_equal(hosts_map_add(m, name, &a), 0);
    }
    assert_int_equal(hosts_map_finish(m, true), 0);
    for (unsigned i = 0; i < MANY; i++) {
        char s[32];
        uint8_t name[NAME_MAX_WIRE];
        struct ip_address a = {.len = i % 3 == 0 ? 16 : 4,
                               .bytes = {10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i}};
        snprintf(s, sizeof s, "n%u.example.org", i / 2);
        assert_int_equal(name_from_text(s, name), 0);
        uint32_t e = hosts_map_find(m, name, name_length(name), a.len);
        while (e != 0 && e != i + 1)
            e = hosts_map_next(m, e);
        assert_int_equal(e, i + 1);
        assert_int_equal(hosts_map_find_address(m, &a), i + 1);
        assert_int_equal(hosts_map_next_name(m, i + 1), 0);
    }
    hosts_map_free(m);
}

static void bounds_the_names(void **state)
{
    (void)state;
    struct hosts_map *m = hosts_map_new();
    const struct ip_address a = {.len = 4};
    for (unsigned i = 0; i < HOSTS_NAMES_MAX; i++)
        assert_int_equal(hosts_map_add(m, (const uint8_t *)"\1a", &a), 0);
    assert_int_equal(hosts_map_add(m, (const uint8_t *)"\1a", &a), CDNS_ELIMIT);
    hosts_map_free(m);
}

// Answers ------------------------------------------------------------------------------------------------------------

static void start(struct built *b, const char *body)
{
    char error[CONFIG_ERROR_MAX];
    assert_int_equal(uv_loop_init(&loop), 0);
    const struct plugin_start s = {.loop = &loop, .error = error};
    assert_int_equal(build(hosts, body, b), 0);
    assert_int_equal(hosts->start(b->self, &s), 0);
}

static void finish(struct built *b)
{
    hosts->stop(b->self);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    unbuild(hosts, b);
}

// "next", "servfail", or the records as "TTL RDATA …", "" for NODATA.
static const char *ask(struct built *b, const char *name, uint16_t qtype)
{
    static char out[TEXT_MAX];
    struct arena *a = arena_new(1 << 20);
    struct query q = make_query(a, name, qtype);
    out[0] = '\0';
    rcu_section_begin();
    enum verdict v = hosts->query(b->self, &q);
    rcu_section_end();
    if (v == VERDICT_NEXT) {
        assert_int_equal(q.reply.answer.n, 0);
        snprintf(out, sizeof out, "next");
    } else if (q.reply.rcode != 0) {
        assert_int_equal(v, VERDICT_DONE);
        assert_false(q.reply.aa);
        snprintf(out, sizeof out, "%s", q.reply.rcode == RCODE_SERVFAIL ? "servfail" : "?");
    } else {
        assert_true(q.reply.aa);
        assert_int_equal(v, VERDICT_DONE);
    }
    for (uint32_t i = 0; i < q.reply.answer.n && i < 10; i++) {
        const struct record *rr = &q.reply.answer.rr[i];
        char rdata[NAME_MAX_TEXT], ttl[16];
        assert_int_equal(rr->type, qtype);
        assert_true(name_equal(rr->owner, q.qname));
        assert_memory_equal(rr->owner, q.qname, q.qname_len); // in lower case
        if (qtype == RR_PTR)
            name_to_text(rr->rdata, rdata);
        else
            inet_ntop(qtype == RR_A ? AF_INET : AF_INET6, rr->rdata, rdata, sizeof rdata);
        snprintf(ttl, sizeof ttl, "%u", rr->ttl);
        if (i == 0)
            add_text(out, ttl);
        add_text(out, rdata);
    }
    arena_free(a);
    return out;
}

static void answers(void **state)
{
    (void)state;
    struct built b;
    write_file("hosts", "10.0.0.1 web.example.org\nfd00::1 web.example.org\n10.0.0.2 other.net\n::ffff:10.0.0.3 "
                        "v4.example.org\n10.0.0.4 *.w.example.org\n");
    start(&b, "hosts hosts example.org {\n10.0.0.9 web.example.org inline.example.org\nttl 77\n"
              "fallthrough sub.example.org\n}");
    assert_string_equal(ask(&b, "WEB.example.org", RR_A), "77 10.0.0.1 10.0.0.9");
    assert_string_equal(ask(&b, "web.example.org", RR_AAAA), "77 fd00::1");
    assert_string_equal(ask(&b, "web.example.org", RR_MX), "");
    assert_string_equal(ask(&b, "web.example.org", RR_ANY), "");
    assert_string_equal(ask(&b, "inline.example.org", RR_AAAA), "");
    assert_string_equal(ask(&b, "nope.example.org", RR_A), "servfail");
    assert_string_equal(ask(&b, "nope.example.org", RR_TXT), "servfail");
    assert_string_equal(ask(&b, "nope.sub.example.org", RR_A), "next");
    assert_string_equal(ask(&b, "nope.sub.example.org", RR_TXT), "next");
    assert_string_equal(ask(&b, "other.net", RR_A), "next");
    assert_string_equal(ask(&b, "other.net", RR_TXT), "next");
    assert_string_equal(ask(&b, "x.w.example.org", RR_A), "77 10.0.0.4");
    assert_string_equal(ask(&b, "x.w.example.org", RR_TXT), "");
    assert_string_equal(ask(&b, "1.0.0.10.in-addr.arpa", RR_PTR), "77 web.example.org.");
    assert_string_equal(ask(&b, "9.0.0.10.IN-ADDR.arpa", RR_PTR), "77 web.example.org. inline.example.org.");
    assert_string_equal(ask(&b, "3.0.0.10.in-addr.arpa", RR_PTR), "77 v4.example.org.");
    assert_string_equal(ask(&b, "3.0.0.0.0.0.a.0.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa", RR_PTR),
                        "77 v4.example.org.");
    assert_string_equal(ask(&b, "2.0.0.10.in-addr.arpa", RR_PTR), "next"); // its name is in no zone
    assert_string_equal(ask(&b, "4.0.0.10.in-addr.arpa", RR_PTR), "next");
    assert_string_equal(ask(&b, "web.example.org", RR_PTR), "next");
    assert_string_equal(ask(&b, "1.0.0.10.in-addr.arpa", RR_A), "next");
    finish(&b);
    start(&b, "hosts hosts {\nno_reverse\nfallthrough example.org\nfallthrough_unsupported\n}");
    assert_string_equal(ask(&b, "web.example.org", RR_A), "3600 10.0.0.1");
    assert_string_equal(ask(&b, "web.example.org", RR_TXT), "next");
    assert_string_equal(ask(&b, "other.net", RR_TXT), "");
    assert_string_equal(ask(&b, "1.0.0.10.in-addr.arpa", RR_PTR), "next");
    finish(&b);
    unlink("hosts");
}

// More than a message holds: what fits, and the mark that it is not all.
static void cuts_what_is_too_long(void **state)
{
    (void)state;
    struct built b;
    FILE *f = fopen("hosts", "w");
    for (int i = 0; i < 6000; i++)
        fprintf(f, "10.0.0.1 a n%d\n", i);
    fclose(f);
    start(&b, "hosts hosts");
    for (int i = 0; i < 2; i++) {
        struct arena *a = arena_new(1 << 20);
        struct query q = make_query(a, i == 0 ? "a" : "1.0.0.10.in-addr.arpa", i == 0 ? RR_A : RR_PTR);
        rcu_section_begin();
        assert_int_equal(hosts->query(b.self, &q), VERDICT_DONE);
        rcu_section_end();
        assert_true(q.reply.tc);
        assert_int_equal(q.reply.answer.n, i == 0 ? 65535 / 16 : q.reply.answer.n);
        assert_true(q.reply.answer.n > 3000);
        arena_free(a);
    }
    finish(&b);
    unlink("hosts");
}

// The file -----------------------------------------------------------------------------------------------------------

// Turns the loop until the name has this answer.
static void wait_for(struct built *b, const char *name, const char *answer)
{
    uint64_t deadline = clock_monotonic_ns() + UINT64_C(10000000000);
    while (strcmp(ask(b, name, RR_A), answer) != 0) {
        uv_run(&loop, UV_RUN_ONCE);
        if (clock_monotonic_ns() > deadline)
            fail_msg("%s is %s, not %s", name, ask(b, name, RR_A), answer);
    }
}

static void follows_its_file(void **state)
{
    (void)state;
    struct built b;
    start(&b, "hosts link {\n10.0.0.9 inline\nreload 1ms\n}");
    assert_string_equal(ask(&b, "a", RR_A), "servfail");
    assert_string_equal(ask(&b, "inline", RR_A), "3600 10.0.0.9");
    assert_metric("coredns_hosts_entries{hostsfile=\"link\"}", 2);
    write_file("one", "10.0.0.1 a\n");
    write_file("two", "10.0.0.2 a\n");
    assert_int_equal(symlink("one", "link"), 0);
    wait_for(&b, "a", "3600 10.0.0.1");
    assert_metric("coredns_hosts_entries{hostsfile=\"link\"}", 4);
    // Same size, and the same time to the nanosecond.
    struct stat st;
    assert_int_equal(stat("one", &st), 0);
    const struct timespec times[2] = {st.st_mtim, st.st_mtim};
    assert_int_equal(utimensat(AT_FDCWD, "two", times, 0), 0);
    assert_int_equal(symlink("two", "link.new"), 0);
    assert_int_equal(rename("link.new", "link"), 0);
    wait_for(&b, "a", "3600 10.0.0.2");
    // Gone: what it said holds. Back: it says something new.
    unlink("link");
    for (int i = 0; i < 5; i++)
        uv_run(&loop, UV_RUN_ONCE);
    assert_string_equal(ask(&b, "a", RR_A), "3600 10.0.0.2");
    write_file("link", "10.0.0.3 a b\n");
    wait_for(&b, "a", "3600 10.0.0.3");
    wait_for(&b, "b", "3600 10.0.0.3");
    finish(&b);
    unlink("one");
    unlink("two");
    unlink("link");
}

static void looks_once_if_told_so(void **state)
{
    (void)state;
    struct built b;
    write_file("hosts", "10.0.0.1 a\n");
    start(&b, "hosts hosts {\nreload 0s\n}");
    assert_int_equal(uv_run(&loop, UV_RUN_NOWAIT), 0);
    assert_string_equal(ask(&b, "a", RR_A), "3600 10.0.0.1");
    finish(&b);
    unlink("hosts");
}

// Folders, devices, files beyond the bound: one line in the log, and what was there before.
static void refuses_what_is_no_file(void **state)
{
    (void)state;
    struct built b;
    write_file("hosts", "10.0.0.1 a\n");
    start(&b, "hosts hosts {\nreload 1ms\n}");
    log_begin(LOG_FORMAT_TEXT);
    unlink("hosts");
    assert_int_equal(mkdir("hosts", 0700), 0);
    for (int i = 0; i < 10; i++)
        uv_run(&loop, UV_RUN_ONCE);
    rmdir("hosts");
    assert_int_equal(mkfifo("hosts", 0600), 0);
    for (int i = 0; i < 10; i++)
        uv_run(&loop, UV_RUN_ONCE);
    unlink("hosts");
    write_file("hosts", "10.0.0.2 a\n");
    assert_int_equal(truncate("hosts", HOSTS_BYTES_MAX + 1), 0);
    for (unsigned i = 0; i < 2 * (HOSTS_BYTES_MAX >> 16) + 10; i++)
        uv_run(&loop, UV_RUN_ONCE);
    assert_string_equal(ask(&b, "a", RR_A), "3600 10.0.0.1");
    assert_string_equal(
        log_end(),
        "[ERROR] plugin/hosts: Failed to parse hosts file \"hosts\": read hosts: is a directory\n"
        "[ERROR] plugin/hosts: Failed to parse hosts file \"hosts\": read hosts: not a regular file\n"
        "[ERROR] plugin/hosts: Hosts file \"hosts\", line 2: address longer than 1024 bytes, dropping the line\n"
        "[ERROR] plugin/hosts: Hosts file \"hosts\" has more than 1048576 names or 67108864 bytes: it "
        "is not taken, what was read before is served on\n");
    finish(&b);
    unlink("hosts");
}

// A large file is read in turns: the loop has others between them; and a stop in the middle leaves nothing behind.
static void reads_in_turns(void **state)
{
    (void)state;
    struct built b;
    write_file("hosts", "10.0.0.1 a\n");
    start(&b, "hosts hosts {\nreload 1ms\n}");
    FILE *f = fopen("hosts", "w");
    for (int i = 0; i < 100000; i++)
        fprintf(f, "10.0.0.2 name-%d.example.org\n", i);
    fputs("10.0.0.2 a\n", f);
    fclose(f);
    unsigned turns = 0;
    while (strcmp(ask(&b, "a", RR_A), "3600 10.0.0.1") == 0 && turns++ < 1000)
        uv_run(&loop, UV_RUN_ONCE);
    assert_in_range(turns, 5, 999);
    assert_string_equal(ask(&b, "name-99999.example.org", RR_A), "3600 10.0.0.2");
    write_file("hosts", "10.0.0.3 a\n");
    f = fopen("hosts", "a");
    for (int i = 0; i < 100000; i++)
        fprintf(f, "10.0.0.2 name-%d.example.org\n", i);
    fclose(f);
    struct stat st;
    assert_int_equal(stat("hosts", &st), 0);
    assert_true(st.st_size > 1 << 20);
    uv_run(&loop, UV_RUN_ONCE);
    uv_run(&loop, UV_RUN_ONCE);
    finish(&b);
    unlink("hosts");
}

static atomic_bool over;

// A worker that asks all the time: always the whole of one file.
static void *worker(void *arg)
{
    struct built *b = arg;
    rcu_thread_start();
    while (!atomic_load(&over)) {
        struct arena *a = arena_new(1 << 20);
        struct query q = make_query(a, "a.example.org", RR_A);
        rcu_section_begin();
        INVARIANT(hosts->query(b->self, &q) == VERDICT_DONE);
        rcu_section_end();
        INVARIANT(q.reply.answer.n == 2);
        INVARIANT(q.reply.answer.rr[0].rdata[3] == q.reply.answer.rr[1].rdata[3]);
        arena_free(a);
    }
    rcu_thread_end();
    return NULL;
}

static void serves_while_it_changes(void **state)
{
    (void)state;
    struct built b;
    pthread_t threads[2];
    char body[128], answer[64];
    write_file("hosts", "10.0.0.0 a.example.org a.example.org");
    start(&b, "hosts hosts {\nreload 1ms\n}");
    atomic_store(&over, false);
    for (size_t i = 0; i < COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, worker, &b), 0);
    for (int i = 1; i <= 50; i++) {
        snprintf(body, sizeof body, "10.0.0.%d a.example.org a.example.org\n", i);
        write_file("new", body);
        assert_int_equal(rename("new", "hosts"), 0);
        snprintf(answer, sizeof answer, "3600 10.0.0.%d 10.0.0.%d", i, i);
        wait_for(&b, "a.example.org", answer);
    }
    atomic_store(&over, true);
    for (size_t i = 0; i < COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    finish(&b);
    unlink("hosts");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_its_directive),    cmocka_unit_test(warns_of_files),
        cmocka_unit_test(reads_the_text),         cmocka_unit_test(keeps_to_its_zones),
        cmocka_unit_test(drops_what_is_too_long), cmocka_unit_test(finds_each_of_many),
        cmocka_unit_test(bounds_the_names),       cmocka_unit_test(answers),
        cmocka_unit_test(cuts_what_is_too_long),  cmocka_unit_test(follows_its_file),
        cmocka_unit_test(looks_once_if_told_so),  cmocka_unit_test(refuses_what_is_no_file),
        cmocka_unit_test(reads_in_turns),         cmocka_unit_test(serves_while_it_changes),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
