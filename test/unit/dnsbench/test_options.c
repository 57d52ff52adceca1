// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dnsbench/options.h"
#include <stdio.h>
#include <string.h>

#define MOST 24
#define MS UINT64_C(1000000)

// Reads a command line, without the program's name.
static int read_line(const char *line, struct options *o, char *error)
{
    static char copy[512]; // options point into it
    char *argv[MOST + 2] = {(char[]){"dnsbench"}}, *rest = copy;
    int argc = 1;
    assert_true(strlen(line) < sizeof copy);
    strcpy(copy, line);
    for (char *word; (word = strsep(&rest, " ")) != NULL && argc <= MOST;)
        if (*word != '\0')
            argv[argc++] = word;
    return options_read(argc, argv, o, error);
}

static void must_read(const char *line, struct options *o)
{
    char error[OPTIONS_ERROR_MAX];
    if (read_line(line, o, error) != 0)
        fail_msg("%s: %s", line, error);
}

static void the_help_fits_a_screen(void **state)
{
    (void)state;
    unsigned lines = 0;
    for (const char *at = options_help, *end; *at != '\0'; at = end + 1, lines++) {
        end = strchr(at, '\n');
        assert_non_null(end);
        if (end - at > 80)
            fail_msg("%.*s", (int)(end - at), at);
    }
    assert_in_range(lines, 20, 50);
}

// Is "--name" there, and not as the beginning of another option?
static bool is_in_help(const char *name)
{
    char dashed[64];
    snprintf(dashed, sizeof dashed, "--%s", name);
    for (const char *at = options_help; (at = strstr(at, dashed)) != NULL; at++)
        if (strchr(" ,:;\n", at[strlen(dashed)]) != NULL)
            return true;
    return false;
}

static void the_help_has_every_option(void **state)
{
    (void)state;
    size_t n = 0;
    assert_false(is_in_help("quest"));
    for (; options_name(n) != NULL; n++)
        if (!is_in_help(options_name(n)))
            fail_msg("--%s is not in the help", options_name(n));
    assert_true(n > 40);
}

static void wrong_arguments_name_the_remedy(void **state)
{
    (void)state;
    static const struct {
        const char *line, *remedy;
    } all[] = {
        {"", "Say its ADDRESS"},
        {"-q f", "Say its ADDRESS"},
        {"-q f 127.0.0.1 127.0.0.2", "127.0.0.2 is too much"},
        {"-q f localhost", "say 10.96.0.10, 10.96.0.10:53 or [fd00::1]:53"},
        {"-q f 127.0.0.1:65536", "this is no IP address"},
        {"-q f 127.0.0.1:0", "this is no IP address"},
        {"-q f [::1:53", "this is no IP address"},
        {"127.0.0.1", "--questions FILE, or a cluster, --manifests PATH or --kubeconfig FILE"},
        {"--fast -q f 127.0.0.1", "there is no option --fast: --help lists them"},
        {"-x -q f 127.0.0.1", "--help lists them"},
        {"-q f 127.0.0.1 --rate", "--rate needs a value: --help says which"},
        {"-q f 127.0.0.1 -r", "-r needs a value"},
        {"-q f -r 0 127.0.0.1", "--rate 0: say a number of questions a second, above 0"},
        {"-q f -r -5 127.0.0.1", "say a number of questions a second"},
        {"-q f -r 1e3x 127.0.0.1", "say a number of questions a second"},
        {"-q f -r nan 127.0.0.1", "say a number of questions a second"},
        {"-q f -r 20001 127.0.0.1", "add --unlimited"},
        {"-q f -d 0 127.0.0.1", "--duration 0: say a time like 500ms, 10s or 2m"},
        {"-q f -d 10sec 127.0.0.1", "say a time like 500ms, 10s or 2m"},
        {"-q f -d 200h 127.0.0.1", "up to a week"},
        {"-q f -d 301 127.0.0.1", "add --unlimited"},
        {"-q f -t 5% 127.0.0.1", "--timeout 5%: say a time"},
        {"-q f --schedule even 127.0.0.1", "say constant, poisson, burst:N, ramp:RATE or step:RATE:STEPS"},
        {"-q f --schedule constant:5 127.0.0.1", "say constant, poisson, burst:N"},
        {"-q f --schedule burst 127.0.0.1", "say constant, poisson, burst:N"},
        {"-q f --schedule burst:0 127.0.0.1", "say a whole number from 1 to"},
        {"-q f --schedule ramp:fast 127.0.0.1", "say a number of questions a second"},
        {"-q f --schedule ramp:30000 127.0.0.1", "add --unlimited"},
        {"-q f --schedule step:2000 127.0.0.1", "step:RATE:STEPS"},
        {"-q f --schedule step:2000:1 127.0.0.1", "say a whole number from 2 to"},
        {"-q f --order random 127.0.0.1", "say turn, uniform, zipf or zipf:EXPONENT"},
        {"-q f --order zipf:-1 127.0.0.1", "zipf:EXPONENT (0 to 10)"},
        {"-q f --edns 100 127.0.0.1", "--edns 100: say a whole number from 512 to 65535"},
        {"-q f --threads 1.5 127.0.0.1", "--threads 1.5: say a whole number from 1 to 256"},
        {"-q f --sockets 0 127.0.0.1", "say a whole number from 1 to"},
        {"-q f --seed x 127.0.0.1", "--seed x: say a whole number"},
        {"-q f --source ::1 127.0.0.1", "both IPv4, or both IPv6"},
        {"-q f --source here 127.0.0.1", "--source here: this is no IP address"},
        {"-q f --reference there 127.0.0.1", "--reference there: this is no IP address"},
        {"-q f --outstanding 5 127.0.0.1", "add --unlimited"},
        {"-q f --max 127.0.0.1", "add --unlimited"},
        {"-q f --outstanding 2 --threads 3 --unlimited 127.0.0.1", "say fewer --threads"},
        {"-q f --max --find-knee p99<5ms --unlimited 127.0.0.1", "leave one out"},
        {"-q f --max --outstanding 5 --unlimited 127.0.0.1", "leave --outstanding out"},
        {"-q f --find-knee p99<5ms --outstanding 5 --unlimited 127.0.0.1", "leave --outstanding out"},
        {"-q f --find-knee p99<5ms --schedule ramp:5 127.0.0.1", "say --schedule constant, poisson or burst:N"},
        {"-q f --find-knee p99<5ms --reference 127.0.0.2 127.0.0.1", "and then run at that rate"},
        {"--kubeconfig k --max --churn 1 --unlimited 127.0.0.1", "and then run at that rate"},
        {"-q f --find-knee p99 127.0.0.1", "say NAME<BOUND"},
        {"-q f --find-knee , 127.0.0.1", "say what is to hold, like p99<5ms,lost<0.1%"},
        {"-q f --manifests m 127.0.0.1", "leave one out"},
        {"--manifests m --kubeconfig k 127.0.0.1", "leave one out"},
        {"--manifests m --names services,all 127.0.0.1", "say some of services,headless,srv,ptr,pods"},
        {"--manifests m --names , 127.0.0.1", "say some of services,headless,srv,ptr,pods"},
        {"--manifests m --missing 101 127.0.0.1", "say a percentage, 0 to 100"},
        {"--manifests m --external x 127.0.0.1", "say PERCENT or PERCENT:NAME,NAME"},
        {"--manifests m --missing 60 --external 50 127.0.0.1", "more than all questions"},
        {"--manifests m --check --reference 127.0.0.2 127.0.0.1", "leave one out"},
        {"--manifests m --churn 1 127.0.0.1", "--kubeconfig FILE"},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        char error[OPTIONS_ERROR_MAX] = "";
        struct options o;
        if (read_line(all[i].line, &o, error) != CDNS_ECONFIG)
            fail_msg("%s: was taken", all[i].line);
        if (strstr(error, all[i].remedy) == NULL)
            fail_msg("%s: \"%s\" has no \"%s\"", all[i].line, error, all[i].remedy);
    }
}

static void addresses(void **state)
{
    (void)state;
    static const struct {
        const char *line, *server;
    } all[] = {{"-q f 10.96.0.10", "10.96.0.10:53"},      {"-q f 10.96.0.10:5353", "10.96.0.10:5353"},
               {"-q f fd00::1", "[fd00::1]:53"},          {"-q f [fd00::1]:5353", "[fd00::1]:5353"},
               {"-q f --tcp 127.0.0.1", "127.0.0.1:53"},  {"-q f --tls 127.0.0.1", "127.0.0.1:853"},
               {"127.0.0.1 -q f --tls", "127.0.0.1:853"}, {"-q f --tls [::1]:53", "[::1]:53"}};
    char text[ADDRESS_TEXT_MAX];
    struct options o;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        must_read(all[i].line, &o);
        assert_string_equal(address_text(&o.server, text), all[i].server);
    }
    must_read("-q f --source 127.0.0.2 --reference 127.0.0.3 127.0.0.1", &o);
    assert_string_equal(address_text(&o.source, text), "127.0.0.2:0");
    assert_string_equal(address_text(&o.reference, text), "127.0.0.3:53");
}

static void durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t ns;
    } all[] = {{"30", 30000 * MS},   {"1.5s", 1500 * MS}, {"250ms", 250 * MS}, {"2m", 120000 * MS},
               {"1h", 3600000 * MS}, {"700us", 700000},   {"50ns", 50},        {"168h", 604800000 * MS}};
    static const char *const none[] = {"", "s", "0", "-1s", "1d", "1 s", "inf", "nan", "169h", "0.1ns"};
    uint64_t ns;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        assert_true(options_duration(all[i].text, &ns));
        assert_int_equal(ns, all[i].ns);
    }
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        if (options_duration(none[i], &ns))
            fail_msg("\"%s\" was taken", none[i]);
}

static void schedules(void **state)
{
    (void)state;
    struct options o;
    must_read("-q f 127.0.0.1", &o);
    assert_true(o.plan.form == SCHEDULE_CONSTANT && o.plan.rate == 1000 && o.plan.duration_ns == 10000 * MS);
    must_read("-q f -r 250.5 -d 3 --schedule poisson --seed 7 127.0.0.1", &o);
    assert_true(o.plan.form == SCHEDULE_POISSON && o.plan.rate == 250.5 && o.plan.duration_ns == 3000 * MS);
    assert_true(o.plan.seed == 7 && o.seed == 7);
    must_read("-q f --schedule burst:50 127.0.0.1", &o);
    assert_true(o.plan.form == SCHEDULE_BURST && o.plan.burst == 50);
    must_read("-q f --schedule ramp:20000 127.0.0.1", &o);
    assert_true(o.plan.form == SCHEDULE_RAMP && o.plan.to_rate == 20000);
    must_read("-q f --schedule step:5000:5 127.0.0.1", &o);
    assert_true(o.plan.form == SCHEDULE_STEP && o.plan.to_rate == 5000 && o.plan.steps == 5);
    must_read("-q f --unlimited -r 1e6 -d 1h 127.0.0.1", &o);
    assert_true(o.plan.rate == 1e6 && o.plan.duration_ns == 3600000 * MS);
}

static void the_rest(void **state)
{
    (void)state;
    struct options o;
    must_read("--manifests a --manifests b --names srv,ptr --missing 5 --external 10:x.example --order zipf:0.9 "
              "--check --stub --ndots 2 --attempts 3 --edns 4096 --no-recurse 127.0.0.1",
              &o);
    assert_true(o.nmanifests == 2 && strcmp(o.manifests[1], "b") == 0);
    assert_true(o.names == (NAMES_SRV | NAMES_PTR) && o.missing == 5 && o.external == 10);
    assert_string_equal(o.external_names, "x.example");
    assert_true(o.order == PICK_ZIPF && o.zipf == 0.9 && o.check && o.stub && o.ndots == 2 && o.attempts == 3);
    assert_true(o.message.edns && o.message.edns_size == 4096 && !o.message.rd && !o.message.do_);
    must_read("-q - --dnssec -o 8 --threads 2 --sockets 3 --unlimited --tcp --per-connection 9 --json j 127.0.0.1", &o);
    assert_true(o.message.edns && o.message.do_ && o.message.edns_size == 1232 && o.message.rd);
    assert_true(o.outstanding == 8 && o.threads == 2 && o.sockets == 3 && o.per_connection == 9);
    assert_true(o.transport == OVER_TCP && strcmp(o.json, "j") == 0 && strcmp(o.questions, "-") == 0);
    must_read("-q f --find-knee p99<5ms,lost<0.1% -d 3 127.0.0.1", &o);
    assert_true(o.objective.below_ns[3] == 5 * MS && o.objective.lost > 0);
    must_read("--help", &o);
    assert_true(o.help);
    must_read("--version", &o);
    assert_true(o.version);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_help_fits_a_screen),
        cmocka_unit_test(the_help_has_every_option),
        cmocka_unit_test(wrong_arguments_name_the_remedy),
        cmocka_unit_test(addresses),
        cmocka_unit_test(durations),
        cmocka_unit_test(schedules),
        cmocka_unit_test(the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
