// SPDX-License-Identifier: Apache-2.0
// The file behind prometheus's `tls FILE`: what is read of it, and what is wrong with it, by line.
#include "plugin_test.h"
#include "plugins/prometheus/web_config.h"

#define HASH "$2y$10$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234" // of the right form

static int parse(const char *text, struct arena *a, struct web_config *c, char *error)
{
    error[0] = '\0';
    return web_config_parse("dir/web.yml", text, strlen(text), a, c, error);
}

static void reads_all_of_it(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct web_config c;
    char error[WEB_ERROR_MAX];
    static const char text[] = "tls_server_config:\n"
                               "  cert_file: server.crt\n"
                               "  key_file: /etc/server.key\n"
                               "  client_ca_file: ca/../ca.crt\n"
                               "  cert: &pem |\n"
                               "    -----BEGIN\n"
                               "    x\n"
                               "  key: *pem\n"
                               "  client_ca: ''\n"
                               "  client_auth_type: RequireAndVerifyClientCert\n"
                               "  min_version: TLS11\n"
                               "  max_version: \"TLS13\"\n"
                               "  cipher_suites: [TLS_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA]\n"
                               "  curve_preferences: [CurveP521, X25519]\n"
                               "  prefer_server_cipher_suites: no\n"
                               "  client_allowed_sans: [a.example, 10.0.0.1, 7]\n"
                               "http_server_config:\n"
                               "  http2: On\n"
                               "  headers:\n"
                               "    X-XSS-Protection: 0\n"
                               "    X-Frame-Options: sameorigin\n"
                               "    Content-Security-Policy: |\n"
                               "      a\n"
                               "      b\n"
                               "    Strict-Transport-Security:\n"
                               "rate_limit:\n"
                               "  burst: 12\n"
                               "  interval: 1m0.5s\n"
                               "basic_auth_users:\n"
                               "  alice: " HASH "\n"
                               "  1: '" HASH "'\n";
    if (parse(text, a, &c, error) != 0)
        fail_msg("%s", error);
    assert_string_equal(c.cert_file.text, "dir/server.crt");
    assert_int_equal(c.cert_file.line, 2);
    assert_string_equal(c.key_file.text, "/etc/server.key");
    assert_string_equal(c.client_ca_file.text, "dir/ca/../ca.crt");
    assert_string_equal(c.cert.text, "-----BEGIN\nx\n");
    assert_string_equal(c.key.text, "-----BEGIN\nx\n");
    assert_null(c.client_ca.text);
    assert_string_equal(c.client_auth_type.text, "RequireAndVerifyClientCert");
    assert_string_equal(c.min_version.text, "TLS11");
    assert_string_equal(c.max_version.text, "TLS13");
    assert_int_equal(c.cipher_suites.n, 2);
    assert_string_equal(c.cipher_suites.entries[1].value.text, "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA");
    assert_string_equal(c.curve_preferences.entries[0].value.text, "CurveP521");
    assert_int_equal(c.client_allowed_sans.n, 3);
    assert_string_equal(c.client_allowed_sans.entries[2].value.text, "7");
    assert_int_equal(c.headers.n, 4);
    assert_string_equal(c.headers.entries[0].value.text, "0");
    assert_string_equal(c.headers.entries[2].name, "Content-Security-Policy");
    assert_string_equal(c.headers.entries[2].value.text, "a b");
    assert_null(c.headers.entries[3].value.text);
    assert_int_equal(c.burst, 12);
    assert_int_equal(c.interval_ns, INT64_C(60500000000));
    assert_int_equal(c.users.n, 2);
    assert_string_equal(c.users.entries[1].name, "1");
    assert_string_equal(c.users.entries[1].value.text, HASH);
    assert_int_equal(c.users.entries[1].value.line, 31);
    arena_free(a);
}

static void takes_nothing_as_defaults(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "# nothing\n",
                                        "~",
                                        "---\n",
                                        "{}",
                                        "tls_server_config:\nbasic_auth_users: null\n",
                                        "tls_server_config: {min_version: , cipher_suites: ~}\n",
                                        "rate_limit: {interval: 0, burst: 0}\n",
                                        "{}\n---\nsecond: document\n"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct arena *a = arena_new(0);
        struct web_config c;
        char error[WEB_ERROR_MAX];
        if (parse(texts[i], a, &c, error) != 0)
            fail_msg("%s\nis refused: %s", texts[i], error);
        assert_memory_equal(&c.users, &(struct web_list){0}, sizeof c.users);
        assert_null(c.min_version.text);
        assert_int_equal(c.interval_ns, 0);
        arena_free(a);
    }
}

static const struct {
    const char *text, *error;
} wrong[] = {
    {"foo: 1\n",
     "1: field foo not found in type web.Config: there are tls_server_config, http_server_config, rate_limit, "
     "basic_auth_users"},
    {"rate_limit:\n  bust: 1\n", "2: field bust not found in type web.RateLimiterConfig: there are burst, interval"},
    {"rate_limit: {}\nrate_limit: {}\n", "2: field rate_limit already set in type web.Config: remove one of the two"},
    {"junk", "1: the file: cannot unmarshal a scalar into web.Config"},
    {"[a]", "1: the file: cannot unmarshal a list into web.Config"},
    {"tls_server_config: x\n", "1: tls_server_config: cannot unmarshal a scalar into web.TLSConfig"},
    {"a: {\nb: [\n", "3: yaml: did not find expected node content"},
    {"a: \xff\n", "1: yaml: invalid leading UTF-8 octet"},
    {"*x : 1\n", "1: yaml: found undefined alias"},
    {"tls_server_config:\n  cert_file: [a]\n", "2: cert_file: cannot unmarshal a list into text"},
    {"tls_server_config:\n  cert: \"a\\0b\"\n", "2: cert: cannot unmarshal a scalar into text"},
    {"tls_server_config:\n  min_version: TLS14\n",
     "2: unknown TLS version: \"TLS14\": docs/plugins/prometheus.md lists the names"},
    {"tls_server_config:\n  client_auth_type: Always\n",
     "2: invalid ClientAuth: \"Always\": docs/plugins/prometheus.md lists the names"},
    {"tls_server_config:\n  cipher_suites:\n  - TLS_AES_128_GCM_SHA256\n  - TLS_RSA_WITH_AES_128_CBC_SHA\n",
     "4: unknown cipher: \"TLS_RSA_WITH_AES_128_CBC_SHA\": docs/plugins/prometheus.md lists the names"},
    {"tls_server_config:\n  cipher_suites: TLS_AES_128_GCM_SHA256\n",
     "2: cipher_suites: cannot unmarshal a scalar into a list"},
    {"tls_server_config:\n  curve_preferences: [P256]\n",
     "2: unknown curve: \"P256\": docs/plugins/prometheus.md lists the names"},
    {"tls_server_config:\n  client_allowed_sans: &s [*s]\n",
     "2: client_allowed_sans: cannot unmarshal a list into text"},
    {"http_server_config:\n  http2: 'true'\n", "2: http2: cannot unmarshal a scalar into bool: say true or false"},
    {"http_server_config:\n  headers: {X-Own: a}\n",
     "2: HTTP header \"X-Own\" can not be configured: there are Strict-Transport-Security, X-Content-Type-Options, "
     "X-Frame-Options, X-XSS-Protection, Content-Security-Policy"},
    {"http_server_config:\n  headers: {X-Frame-Options: maybe}\n",
     "2: invalid value for X-Frame-Options. Expected one of: [\"deny\" \"sameorigin\"], but got: \"maybe\""},
    {"http_server_config:\n  headers: {X-Content-Type-Options: }\n",
     "2: invalid value for X-Content-Type-Options. Expected one of: [\"nosniff\"], but got: \"\""},
    {"rate_limit: {burst: many}\n", "1: burst: cannot unmarshal a scalar into int"},
    {"rate_limit: {burst: 1s}\n", "1: burst: cannot unmarshal a scalar into int"},
    {"rate_limit: {interval: 1 s}\n", "1: interval: cannot unmarshal a scalar into time.Duration: say 1s or 500ms"},
    {"basic_auth_users: {a: " HASH ",\n a: " HASH "}\n", "2: key \"a\" already set in map: remove one of the two"},
    {"basic_auth_users: [a]\n", "1: basic_auth_users: cannot unmarshal a list into a mapping"},
    {"basic_auth_users:\n  bob: secret\n",
     "2: user \"bob\": crypto/bcrypt: hashedSecret too short to be a bcrypted password: make one with htpasswd -nBC 10 "
     "USER"},
    {"basic_auth_users:\n  bob:\n",
     "2: user \"bob\": crypto/bcrypt: hashedSecret too short to be a bcrypted password: make one with htpasswd -nBC 10 "
     "USER"},
    {"basic_auth_users:\n  bob: " HASH "5\n",
     "2: user \"bob\": this is no bcrypt hash: make one with htpasswd -nBC 10 USER"},
    {"basic_auth_users:\n  bob: $6$10$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ012345\n",
     "2: user \"bob\": this is no bcrypt hash: make one with htpasswd -nBC 10 USER"},
    {"basic_auth_users:\n  bob: $2y$03$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234\n",
     "2: user \"bob\": this is no bcrypt hash: make one with htpasswd -nBC 10 USER"},
    {"basic_auth_users:\n  bob: $2y$18$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234\n",
     "2: user \"bob\": cost 18 takes longer than a request may: hash again with cost 10 (at most 16)"},
};

static void names_what_is_wrong(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(wrong); i++) {
        struct arena *a = arena_new(0);
        struct web_config c;
        char error[WEB_ERROR_MAX], expected[WEB_ERROR_MAX];
        int rc = parse(wrong[i].text, a, &c, error);
        if (rc != CDNS_ECONFIG)
            fail_msg("%s\nis taken (%d)", wrong[i].text, rc);
        snprintf(expected, sizeof expected, "dir/web.yml:%s", wrong[i].error);
        assert_string_equal(error, expected);
        arena_free(a);
    }
}

static void bounds_its_lists(void **state)
{
    (void)state;
    char text[16384] = "basic_auth_users:\n", error[WEB_ERROR_MAX];
    struct arena *a = arena_new(0);
    struct web_config c;
    for (unsigned i = 0; i <= WEB_ENTRIES_MAX; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "  u%u: x\n", i);
    assert_int_equal(parse(text, a, &c, error), CDNS_ECONFIG);
    assert_string_equal(error, "dir/web.yml:2: basic_auth_users: more than 256 entries");
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_all_of_it),
        cmocka_unit_test(takes_nothing_as_defaults),
        cmocka_unit_test(names_what_is_wrong),
        cmocka_unit_test(bounds_its_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
