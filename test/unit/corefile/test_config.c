// SPDX-License-Identifier: Apache-2.0
#include <clusterdns/config.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
// cmocka wants the headers above.
#include <cmocka.h>

static const struct token here = {.text = "ttl", .file = "Corefile", .line = 7};
static const char *const block_zones[] = {"cluster.local.", "in-addr.arpa."};

static char error[CONFIG_ERROR_MAX];

static struct config make_config(struct arena *a)
{
    error[0] = '\0';
    return (struct config){
        .plugin = "kubernetes", .zones = block_zones, .nzones = 2, .server = "dns://:53", .arena = a, .error = error};
}

static void test_error_texts(void **state)
{
    (void)state;
    struct config c = make_config(NULL);
    assert_int_equal(config_errorf(&c, &here, "unknown property '%s'", "x"), CDNS_ECONFIG);
    assert_string_equal(error, "plugin/kubernetes: Corefile:7 - Error during parsing: unknown property 'x'");
    assert_int_equal(config_argument_error(&c, &here), CDNS_ECONFIG);
    assert_string_equal(error, "plugin/kubernetes: Corefile:7 - Error during parsing: "
                               "Wrong argument count or unexpected line ending after 'ttl'");
    assert_int_equal(config_plain_errorf(&c, &here, "no %s", "zones"), CDNS_ECONFIG);
    assert_string_equal(error, "plugin/kubernetes: no zones (Corefile:7)");
    assert_int_equal(config_plain_errorf(&c, NULL, "no zones"), CDNS_ECONFIG);
    assert_string_equal(error, "plugin/kubernetes: no zones");
}

static void test_long_error_texts_are_cut(void **state)
{
    (void)state;
    struct config c = make_config(NULL);
    char text[2 * CONFIG_ERROR_MAX];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    config_errorf(&c, &here, "%s", text);
    assert_int_equal(strlen(error), CONFIG_ERROR_MAX - 1);
    config_plain_errorf(&c, &here, "%s", text);
    assert_int_equal(strlen(error), CONFIG_ERROR_MAX - 1);
}

// Expectations from Go 1.26's time.ParseDuration.
static void test_durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ns;
    } good[] = {
        {"0", 0},
        {"+0", 0},
        {"5s", 5000000000},
        {"1.5s", 1500000000},
        {"300ms", 300000000},
        {"1h2m.5s", 3720500000000},
        {"-1.5h", -5400000000000},
        {"2h45m", 9900000000000},
        {"1h2m3s4ms5us6ns", 3723004005006},
        {"3.141592653589793238462643383279s", 3141592653},
        {".5s", 500000000},
        {"1.s", 1000000000},
        {"12\xC2\xB5s", 12000},
        {"12\xCE\xBCs", 12000},
        {"0.3333333333333333333h", 1200000000000},
        {"9223372036854775807ns", INT64_MAX},
        {"9223372036s854775807ns", INT64_MAX},
        {"-9223372036854775808ns", INT64_MIN},
        {"0.9223372036854775807h", 3320413933267},
    };
    static const struct {
        const char *text;
        int result;
    } bad[] = {
        {"", CDNS_ESYNTAX},
        {"3", CDNS_ESYNTAX},
        {"-", CDNS_ESYNTAX},
        {"s", CDNS_ESYNTAX},
        {".", CDNS_ESYNTAX},
        {".s", CDNS_ESYNTAX},
        {"+.s", CDNS_ESYNTAX},
        {"1d", CDNS_ESYNTAX},
        {"1s ", CDNS_ESYNTAX},
        {" 1s", CDNS_ESYNTAX},
        {"1s5", CDNS_ESYNTAX},
        {"1S", CDNS_ESYNTAX},
        {"--1s", CDNS_ESYNTAX},
        {"1e3s", CDNS_ESYNTAX},
        {"9223372036854775808ns", CDNS_ERANGE},
        {"-9223372036854775809ns", CDNS_ERANGE},
        {"9223372036854775.808us", CDNS_ERANGE},
        {"3000000h", CDNS_ERANGE},
        {"99999999999999999999s", CDNS_ERANGE},
        {"2000000h2000000h", CDNS_ERANGE},
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        int64_t ns = -1;
        int result = config_duration(good[i].text, &ns, error);
        if (result != 0 || ns != good[i].ns)
            fail_msg("\"%s\": %d, %lld ns", good[i].text, result, (long long)ns);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int64_t ns = -1;
        int result = config_duration(bad[i].text, &ns, error);
        if (result != bad[i].result || ns != -1)
            fail_msg("\"%s\": %d, %lld ns", bad[i].text, result, (long long)ns);
    }
}

// Expected texts are what Go 1.26 prints.
static void test_duration_texts(void **state)
{
    (void)state;
    static const struct {
        int64_t ns;
        const char *text;
    } cases[] = {
        {0, "0s"},
        {1, "1ns"},
        {999, "999ns"},
        {1000, "1µs"},
        {1500, "1.5µs"},
        {1000000, "1ms"},
        {300000000, "300ms"},
        {999999999, "999.999999ms"},
        {1000000000, "1s"},
        {1500000000, "1.5s"},
        {-1500000000, "-1.5s"},
        {60000000000, "1m0s"},
        {300000000000, "5m0s"},
        {3600000000000, "1h0m0s"},
        {5400100000000, "1h30m0.1s"},
        {INT64_MAX, "2562047h47m16.854775807s"},
        {INT64_MIN, "-2562047h47m16.854775808s"},
    };
    char text[CONFIG_DURATION_MAX];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_string_equal(config_duration_text(cases[i].ns, text), cases[i].text);
}

static void test_duration_errors(void **state)
{
    (void)state;
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"", "time: invalid duration \"\""},
        {"-", "time: invalid duration \"-\""},
        {"abc", "time: invalid duration \"abc\""},
        {".s", "time: invalid duration \".s\""},
        {"3", "time: missing unit in duration \"3\""},
        {"1.5", "time: missing unit in duration \"1.5\""},
        {"1h2", "time: missing unit in duration \"1h2\""},
        {"5d", "time: unknown unit \"d\" in duration \"5d\""},
        {"1s5 s", "time: unknown unit \" s\" in duration \"1s5 s\""},
        {"1h-2m", "time: unknown unit \"h-\" in duration \"1h-2m\""},
        {"99999999999999999999x", "time: invalid duration \"99999999999999999999x\""},
        {"99999999999h", "time: invalid duration \"99999999999h\""},
        {"1ä", "time: unknown unit \"\\xc3\\xa4\" in duration \"1\\xc3\\xa4\""},
        {"1\"\\\n", "time: unknown unit \"\\\"\\\\\\x0a\" in duration \"1\\\"\\\\\\x0a\""},
    };
    int64_t ns;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_not_equal(config_duration(cases[i].text, &ns, error), 0);
        assert_string_equal(error, cases[i].error);
    }
}

static void test_integers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int result;
        int64_t value;
    } cases[] = {
        {"0", 0, 0},
        {"-0", 0, 0},
        {"+42", 0, 42},
        {"007", 0, 7},
        {"9223372036854775807", 0, INT64_MAX},
        {"-9223372036854775808", 0, INT64_MIN},
        {"9223372036854775808", CDNS_ERANGE, -1},
        {"-9223372036854775809", CDNS_ERANGE, -1},
        {"18446744073709551616", CDNS_ERANGE, -1},
        {"99999999999999999999999", CDNS_ERANGE, -1},
        {"", CDNS_ESYNTAX, -1},
        {"+", CDNS_ESYNTAX, -1},
        {"+-1", CDNS_ESYNTAX, -1},
        {"1_000", CDNS_ESYNTAX, -1},
        {"0x10", CDNS_ESYNTAX, -1},
        {" 1", CDNS_ESYNTAX, -1},
        {"1 ", CDNS_ESYNTAX, -1},
        {"99999999999999999999999x", CDNS_ESYNTAX, -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t value = -1;
        int result = config_integer(cases[i].text, &value, NULL);
        if (result != cases[i].result || value != cases[i].value)
            fail_msg("\"%s\": %d, %lld", cases[i].text, result, (long long)value);
    }
}

// As Go 1.26 does it.
static void test_floats(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        float value;
    } cases[] = {
        {"0", 0},
        {"-0", 0},
        {"+1.5", 1.5f},
        {"1e3", 1000},
        {"1E+3", 1000},
        {".5", .5f},
        {"5.", 5},
        {"1_000", 1000},
        {"1e1_0", 1e10f},
        {"0x1p4", 16},
        {"0X1P4", 16},
        {"0x1.8p1", 3},
        {"0x_1p4", 16},
        {"0x.8p0", .5f},
        {"0x1_0p0", 16},
        {"inf", INFINITY},
        {"+INF", INFINITY},
        {"-inf", -INFINITY},
        {"Infinity", INFINITY},
        {"3.4028235e38", 3.4028235e38f},
        {"1e-50", 0},
        {"16777217", 16777216},
        {"00012", 12},
        {"-12.5", -12.5f},
    };
    float value;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (config_float(cases[i].text, &value, NULL) != 0 || value != cases[i].value)
            fail_msg("\"%s\": %g", cases[i].text, (double)value);
    assert_int_equal(config_float("NaN", &value, NULL), 0);
    assert_true(isnan(value));
    static const char *const bad[] = {"_1",   "1_",      "1__0",   "1_.5",    "1._5", "0x10", "0x1p", "0x.p1",
                                      "0b1",  "0o7",     "infx",   "+nan",    "nanx", "",     "+",    ".",
                                      "e5",   "1e",      "1e+",    "1 ",      " 1",   "0x",   "1f",   "1d",
                                      "1e_5", "infinit", "nan(1)", "0x1p1_a", "1\t",  "--1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (config_float(bad[i], &value, NULL) != CDNS_ESYNTAX)
            fail_msg("\"%s\" is taken for a number", bad[i]);
    static const char *const large[] = {"1e39", "-1e39", "3.4028236e38", "0x1p200", "1e400"};
    for (size_t i = 0; i < sizeof large / sizeof large[0]; i++)
        assert_int_equal(config_float(large[i], &value, NULL), CDNS_ERANGE);
}

static void test_number_errors(void **state)
{
    (void)state;
    int64_t i;
    float f;
    assert_int_equal(config_integer("a\"\x01", &i, error), CDNS_ESYNTAX);
    assert_string_equal(error, "strconv.Atoi: parsing \"a\\\"\\x01\": invalid syntax");
    assert_int_equal(config_integer("99999999999999999999", &i, error), CDNS_ERANGE);
    assert_string_equal(error, "strconv.Atoi: parsing \"99999999999999999999\": value out of range");
    assert_int_equal(config_float("fast", &f, error), CDNS_ESYNTAX);
    assert_string_equal(error, "strconv.ParseFloat: parsing \"fast\": invalid syntax");
    assert_int_equal(config_float("1e39", &f, error), CDNS_ERANGE);
    assert_string_equal(error, "strconv.ParseFloat: parsing \"1e39\": value out of range");
}

static void test_zones_of_the_block(void **state)
{
    (void)state;
    struct config c = make_config(NULL);
    const char *const *zones;
    size_t n;
    assert_int_equal(config_zones(&c, &here, 0, &zones, &n), 0);
    assert_int_equal(n, 2);
    assert_ptr_equal(zones, block_zones);
}

static void test_zones_of_arguments(void **state)
{
    (void)state;
    static const struct token args[] = {
        {.text = "Example.ORG"}, {.text = "bad..zone"},       {.text = "10.0.2.0/23"},
        {.text = "tls://x.y:5"}, {.text = "2001:db8:8::/45"}, {.text = "."},
    };
    static const char *const expected[] = {
        "example.org.",
        "2.0.10.in-addr.arpa.",
        "3.0.10.in-addr.arpa.",
        "x.y.",
        "8.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.",
        "9.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.",
        "a.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.",
        "b.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.",
        "c.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.",
        "d.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.",
        "e.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.",
        "f.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.",
        ".",
    };
    struct arena *a = arena_new(0);
    struct config c = make_config(a);
    const char *const *zones;
    size_t n;
    assert_int_equal(config_zones(&c, args, sizeof args / sizeof args[0], &zones, &n), 0);
    assert_int_equal(n, sizeof expected / sizeof expected[0]);
    for (size_t i = 0; i < n; i++)
        assert_string_equal(zones[i], expected[i]);
    arena_free(a);
}

static void test_zones_need_memory(void **state)
{
    (void)state;
    struct arena *a = arena_new(64);
    struct config c = make_config(a);
    const struct token wide = {.text = "10.0.0.0/9"};
    const char *const *zones;
    size_t n;
    assert_int_equal(config_zones(&c, &wide, 1, &zones, &n), CDNS_ENOMEM);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_error_texts),
        cmocka_unit_test(test_long_error_texts_are_cut),
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_duration_texts),
        cmocka_unit_test(test_duration_errors),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_floats),
        cmocka_unit_test(test_number_errors),
        cmocka_unit_test(test_zones_of_the_block),
        cmocka_unit_test(test_zones_of_arguments),
        cmocka_unit_test(test_zones_need_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
