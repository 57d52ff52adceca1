// SPDX-License-Identifier: Apache-2.0
#include "base/clock.h"
#include "plugin_test.h"

#include <time.h>

extern const struct plugin clusterdns_plugin_log;
static const struct plugin *const log_ = &clusterdns_plugin_log;

static void reads_names_format_and_classes(void **state)
{
    (void)state;
    static const struct setup_case cases[] = {
        {"log", NULL},
        {"log example.org", NULL},
        {"log \"\" Example.ORG {combined}", NULL},
        {"log . \"{proto} {name} {foo} }{ {\"", NULL},
        {"log {\n}\nlog a {\nclass all\n}", NULL},
        {"log . {\nclass denial\nclass success error\n}", NULL},
        {"log {\nclass\n}", "plugin/log: Corefile:3 - Error during parsing: Wrong argument count or unexpected line "
                            "ending after 'class'"},
        {"log {\nclass denial foo\n}", "plugin/log: invalid Class: foo (Corefile:3)"},
        {"log {\nclass ALL\n}", "plugin/log: invalid Class: ALL (Corefile:3)"},
        {"log {\nfoo\n}", "plugin/log: Corefile:3 - Error during parsing: unknown property 'foo'"},
        {"log a..b", "plugin/log: Corefile:2 - Error during parsing: 'a..b' is not a domain name"},
    };
    check_setups(log_, cases, COUNT(cases));
}

static void warns_of_a_format_in_a_names_place(void **state)
{
    (void)state;
    struct built b;
    log_begin(LOG_FORMAT_TEXT);
    assert_int_equal(build(log_, "log {combined}", &b), 0);
    assert_string_equal(log_end(), "[WARNING] plugin/log: Corefile:2 - '{combined}' is read as a name; a format "
                                   "follows a name: log . FORMAT\n");
    unbuild(log_, &b);
}

static struct arena *memory;

static int begin(void **state)
{
    (void)state;
    memory = arena_new(0);
    return memory == NULL;
}

static int end(void **state)
{
    (void)state;
    arena_free(memory);
    return 0;
}

// What `body` logs of a query.
static const char *logged(const char *body, const struct query *q, const struct outcome *o)
{
    struct built b;
    assert_int_equal(build(log_, body, &b), 0);
    log_begin(LOG_FORMAT_TEXT);
    log_->done(b.self, q, o);
    const char *text = log_end();
    unbuild(log_, &b);
    return text;
}

static void add(struct query *q, struct records *set, const char *owner, uint16_t type, const void *rdata,
                uint16_t rdlen)
{
    uint8_t *name = arena_alloc(q->arena, NAME_MAX_WIRE);
    assert_int_equal(name_from_text(owner, name), 0);
    assert_int_equal(records_add(set, q->arena, name, type, 5, rdata, rdlen), 0);
}

// As CoreDNS logs whoami's answer to the same question, ports, times and the wire size of the question aside.
static void writes_the_common_format(void **state)
{
    (void)state;
    struct query q = make_query(memory, "Example.org.", RR_A);
    q.edns = true;
    q.udp_size = 1232;
    q.request_size = 51;
    q.reply.aa = true;
    add(&q, &q.reply.additional, "Example.org.", RR_A, "\x0a\0\0\1", 4);
    add(&q, &q.reply.additional, "_udp.Example.org.", RR_SRV, "\0\0\0\0\x14\xe9\0", 7);
    const struct outcome o = {.sent = true, .size = 106, .duration_ns = 123000};
    assert_string_equal(
        logged("log", &q, &o),
        "[INFO] 10.0.0.1:5353 - 42 \"A IN example.org. udp 51 false 1232\" NOERROR qr,aa,rd 91 0.000123s\n");
    assert_string_equal(
        logged("log . {combined}", &q, &o),
        "[INFO] 10.0.0.1:5353 - 42 \"A IN example.org. udp 51 false 1232\" NOERROR qr,aa,rd 91 0.000123s \"0\"\n");
}

static void writes_every_label(void **state)
{
    (void)state;
    struct query q = make_query(memory, "a\\032b.\\200.", 65280);
    set_ipv6(&q.client, "fd00::1", 1);
    set_ipv6(&q.local, "::ffff:10.96.0.10", 53);
    q.qclass = CLASS_CH;
    q.transport = TRANSPORT_TCP;
    q.opcode = OPCODE_NOTIFY;
    q.do_ = q.cd = true;
    q.rd = false;
    q.reply.aa = q.reply.ra = q.reply.ad = true;
    const struct outcome o = {.rcode = 4000, .sent = true, .tc = true, .duration_ns = UINT64_C(1500000000)};
    static const struct {
        const char *format, *line;
    } cases[] = {
        {"{type}", "TYPE65280"},
        {"{name}", "a\\ b.\\200."},
        {"{class}", "CH"},
        {"{proto}", "tcp"},
        {"{remote}", "[fd00::1]"},
        {"{local}", "10.96.0.10"},
        {"{size}", "23"},
        {"{port}", "1"},
        {"{duration}", "1.5s"},
        {"{rcode}", "4000"},
        {"{rsize}", "23"},
        {"{>rflags}", "qr,aa,tc,ra,ad"}, // CD does not come back in a NOTIFY
        {"{>bufsize}", "65535"},
        {"{>do}", "true"},
        {"{>id}", "42"},
        {"{>opcode}", "4"},
        {"{/log/type} {/log/class}", "META error"},
        {"{/kubernetes/service} {/}", "- -"},
        {"{foo} {>foo} {} {type {type}} }{ {", "{foo} {>foo} {} {type TYPE65280} }{ {"},
        {"A } {type}", "A } TYPE65280"},
        {"<{>opcode}{>opcode}>", "<44>"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char body[128], line[128];
        snprintf(body, sizeof(body), "log . \"%s\"", cases[i].format);
        snprintf(line, sizeof(line), "[INFO] %s\n", cases[i].line);
        assert_string_equal(logged(body, &q, &o), line);
    }
}

static void writes_durations_as_coredns(void **state)
{
    (void)state;
    static const struct {
        uint64_t ns;
        const char *line;
    } cases[] = {{0, "[INFO] 0s\n"},          {1, "[INFO] 0.000000001s\n"},  {170253, "[INFO] 0.000170253s\n"},
                 {1000000000, "[INFO] 1s\n"}, {10000000000, "[INFO] 10s\n"}, {61020000000, "[INFO] 61.02s\n"}};
    struct query q = make_query(memory, "a.", RR_A);
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct outcome o = {.sent = true, .duration_ns = cases[i].ns};
        assert_string_equal(logged("log . {duration}", &q, &o), cases[i].line);
    }
}

// A dropped query has no reply; a child question has no message and no client.
static void writes_what_there_is(void **state)
{
    (void)state;
    struct query q = make_query(memory, "a.", RR_A);
    const struct outcome dropped = {.sent = false}, sent = {.sent = true, .size = 1000000};
    assert_string_equal(logged("log . \"{rcode} {>rflags} {rsize} {/log/class}\"", &q, &dropped),
                        "[INFO] - - 0 error\n");
    q.transport = TRANSPORT_INTERNAL;
    q.request_size = 0;
    q.edns = true;
    q.client = (union sockaddr_any){0};
    assert_string_equal(logged("log . \"{remote}:{port} {proto} {size}\"", &q, &sent), "[INFO] -:0 udp 30\n");
    q.qtype = RR_AXFR;
    assert_string_equal(logged("log . {rsize}", &q, &sent), "[INFO] 1000000\n");
}

static void cuts_long_lines(void **state)
{
    (void)state;
    char body[8192];
    int n = snprintf(body, sizeof(body), "log . \"");
    memset(body + n, 'x', 6000);
    snprintf(body + n + 6000, sizeof(body) - (size_t)n - 6000, "{type}\"");
    struct query q = make_query(memory, "a.", RR_A);
    const char *line = logged(body, &q, &(struct outcome){.sent = true});
    assert_int_equal(strlen(line), LOG_LINE_MAX);
    assert_int_equal(line[LOG_LINE_MAX - 1], '\n');
}

// The first rule whose zone holds the name decides, even when its classes do not take the reply.
static void first_rule_decides(void **state)
{
    (void)state;
    static const char body[] = "log Example.ORG {\nclass error\n}\nlog org net {proto} {\nclass success\n}";
    static const struct {
        const char *name;
        uint16_t rcode;
        bool logged;
    } cases[] = {
        {"a.example.org.", RCODE_NOERROR, false},
        {"example.org.", RCODE_SERVFAIL, true},
        {"other.org.", RCODE_NOERROR, true},
        {"other.org.", RCODE_SERVFAIL, false},
        {"net.", RCODE_NOERROR, true},
        {"com.", RCODE_NOERROR, false},
        {"xexample.org.", RCODE_SERVFAIL, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct query q = make_query(memory, cases[i].name, RR_A);
        const struct outcome o = {.rcode = cases[i].rcode, .sent = true};
        assert_int_equal(logged(body, &q, &o)[0] != '\0', cases[i].logged);
    }
}

static void classifies_replies(void **state)
{
    (void)state;
    static const struct {
        uint16_t qtype, rcode, answer, authority; // type of a record in each section, or 0
        uint8_t opcode;
        const char *line;
    } cases[] = {
        {RR_A, RCODE_NOERROR, RR_A, 0, 0, "[INFO] NOERROR success\n"},
        {RR_A, RCODE_NOERROR, 0, 0, 0, "[INFO] NOERROR success\n"},
        {RR_A, RCODE_NOERROR, 0, RR_NS, 0, "[INFO] DELEGATION success\n"},
        {RR_A, RCODE_NOERROR, 0, RR_SOA, 0, "[INFO] NODATA denial\n"},
        {RR_A, RCODE_NXDOMAIN, 0, RR_SOA, 0, "[INFO] NXDOMAIN denial\n"},
        {RR_A, RCODE_NXDOMAIN, 0, 0, 0, "[INFO] NXDOMAIN denial\n"},
        {RR_A, RCODE_NXDOMAIN, RR_CNAME, 0, 0, "[INFO] OTHERERROR error\n"},
        {RR_A, RCODE_SERVFAIL, 0, 0, 0, "[INFO] SERVERERROR error\n"},
        {RR_A, RCODE_NOTIMP, 0, 0, 0, "[INFO] SERVERERROR error\n"},
        {RR_A, RCODE_REFUSED, 0, 0, 0, "[INFO] OTHERERROR error\n"},
        {RR_A, RCODE_NOERROR, 0, 0, OPCODE_NOTIFY, "[INFO] META error\n"},
        {RR_A, RCODE_NOERROR, 0, 0, OPCODE_UPDATE, "[INFO] UPDATE error\n"},
        {RR_AXFR, RCODE_NOERROR, RR_SOA, 0, 0, "[INFO] META error\n"},
        {RR_IXFR, RCODE_NOERROR, RR_SOA, 0, 0, "[INFO] META error\n"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct query q = make_query(memory, "a.", cases[i].qtype);
        q.opcode = cases[i].opcode;
        if (cases[i].answer != 0)
            add(&q, &q.reply.answer, "a.", cases[i].answer, "", 0);
        if (cases[i].authority != 0)
            add(&q, &q.reply.authority, "a.", cases[i].authority, "", 0);
        const struct outcome o = {.rcode = cases[i].rcode, .sent = true};
        assert_string_equal(logged("log . \"{/log/type} {/log/class}\"", &q, &o), cases[i].line);
    }
}

// A signature outside of its period is an error to a client that asked for signatures.
static void knows_expired_signatures(void **state)
{
    (void)state;
    uint32_t now = (uint32_t)time(NULL);
    static const struct {
        int32_t begins, expires; // seconds from now
        bool do_;
        const char *line;
    } cases[] = {
        {-1000, 1000, true, "[INFO] NOERROR\n"},
        {-2000, -1000, true, "[INFO] OTHERERROR\n"},
        {1000, 2000, true, "[INFO] OTHERERROR\n"},
        {-2000, -1000, false, "[INFO] NOERROR\n"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct query q = make_query(memory, "a.", RR_A);
        q.do_ = cases[i].do_;
        uint8_t rdata[19] = {0};
        uint32_t expires = htonl(now + (uint32_t)cases[i].expires), begins = htonl(now + (uint32_t)cases[i].begins);
        memcpy(rdata + 8, &expires, 4);
        memcpy(rdata + 12, &begins, 4);
        add(&q, &q.reply.answer, "a.", RR_RRSIG, rdata, sizeof(rdata));
        assert_string_equal(logged("log . {/log/type}", &q, &(struct outcome){.sent = true}), cases[i].line);
    }
}

static void writes_typed_members_in_json(void **state)
{
    (void)state;
    struct built b;
    struct query q = make_query(memory, "a\\\".", RR_A);
    set_ipv6(&q.client, "fd00::1", 4321);
    const struct outcome answered = {.sent = true, .duration_ns = 1000000}, dropped = {.sent = false};
    assert_int_equal(build(log_, "log . \"{rcode} {name}\"", &b), 0);
    log_begin(LOG_FORMAT_JSON);
    clock_set_for_test(1, 1789459200000000000);
    log_->done(b.self, &q, &answered);
    log_->done(b.self, &q, &dropped);
    clock_set_for_test(0, 0);
    assert_string_equal(
        log_end(),
        "{\"time\":\"2026-09-15T08:00:00.000000000Z\",\"level\":\"INFO\",\"msg\":\"NOERROR a\\\\\\\".\",\"plugin\":"
        "\"log\",\"client_ip\":\"fd00::1\",\"client_port\":4321,\"qname\":\"a\\\\\\\".\",\"qtype\":\"A\",\"qclass\":"
        "\"IN\",\"protocol\":\"udp\",\"id\":42,\"opcode\":0,\"request_size\":20,\"dnssec_ok\":false,\"bufsize\":512,"
        "\"rcode\":\"NOERROR\",\"response_size\":20,\"duration_seconds\":0.001}\n"
        "{\"time\":\"2026-09-15T08:00:00.000000000Z\",\"level\":\"INFO\",\"msg\":\"- a\\\\\\\".\",\"plugin\":\"log\","
        "\"client_ip\":\"fd00::1\",\"client_port\":4321,\"qname\":\"a\\\\\\\".\",\"qtype\":\"A\",\"qclass\":\"IN\","
        "\"protocol\":\"udp\",\"id\":42,\"opcode\":0,\"request_size\":20,\"dnssec_ok\":false,\"bufsize\":512,\"rcode\":"
        "null,\"response_size\":0,\"duration_seconds\":0}\n");
    unbuild(log_, &b);
}

// The longest name there is, every byte escaped, leaves the record whole.
static void json_holds_the_longest_name(void **state)
{
    (void)state;
    struct built b;
    uint8_t name[NAME_MAX_WIRE];
    struct query q = make_query(memory, "a.", RR_A);
    memset(name, 0xff, sizeof(name));
    name[0] = name[64] = name[128] = 63;
    name[192] = 61;
    name[254] = 0;
    q.qname = name;
    q.qname_len = 255;
    assert_int_equal(build(log_, "log", &b), 0);
    log_begin(LOG_FORMAT_JSON);
    log_->done(b.self, &q, &(struct outcome){.sent = true, .duration_ns = UINT64_MAX});
    const char *line = log_end();
    assert_non_null(strstr(line, ",\"duration_seconds\":18446744073.709551615}\n"));
    unbuild(log_, &b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_names_format_and_classes),
        cmocka_unit_test(warns_of_a_format_in_a_names_place),
        cmocka_unit_test_setup_teardown(writes_the_common_format, begin, end),
        cmocka_unit_test_setup_teardown(writes_every_label, begin, end),
        cmocka_unit_test_setup_teardown(writes_durations_as_coredns, begin, end),
        cmocka_unit_test_setup_teardown(writes_what_there_is, begin, end),
        cmocka_unit_test_setup_teardown(cuts_long_lines, begin, end),
        cmocka_unit_test_setup_teardown(first_rule_decides, begin, end),
        cmocka_unit_test_setup_teardown(classifies_replies, begin, end),
        cmocka_unit_test_setup_teardown(knows_expired_signatures, begin, end),
        cmocka_unit_test_setup_teardown(writes_typed_members_in_json, begin, end),
        cmocka_unit_test_setup_teardown(json_holds_the_longest_name, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
