// SPDX-License-Identifier: Apache-2.0
// Which proxy the environment means; the answers are those of Go's golang.org/x/net/http/httpproxy.
#include "kube/proxy.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void exceptions(void **unused)
{
    (void)unused;
    static const struct {
        const char *list, *host;
        bool excepted;
    } cases[] = {
        // Addresses and prefixes.
        {"10.96.0.1", "10.96.0.1", true},
        {"10.96.0.1", "10.96.0.10", false},
        {"10.96.0.1:443", "10.96.0.1", true},
        {"10.96.0.1:6443", "10.96.0.1", false},
        {"10.96.0.0/12", "10.111.255.255", true},
        {"10.96.0.0/12", "10.112.0.0", false},
        {"10.96.5.5/12", "10.100.0.0", true},
        {"0.0.0.0/0", "203.0.113.9", true},
        {"0.0.0.0/0", "fd00::1", false},
        {"0.0.0.0/0", "api.example", false},
        {"10.0.0.0/33", "10.0.0.1", false},
        {"10.0.0.0/", "10.0.0.1", false},
        {"10.0.0.0/8x", "10.0.0.1", false},
        {"10.0.0.0/ 8", "10.0.0.1", false},
        {"fd00:10::/32", "fd00:10:ffff::1", true},
        {"fd00:10::/33", "fd00:10:ffff::1", false},
        {"fd00::1", "fd00:0::1", true},
        {"[fd00::1]", "fd00::1", false},
        {"[fd00::1]:443", "fd00::1", true},
        {"[fd00::1]:444", "fd00::1", false},
        {"::ffff:10.0.0.1", "10.0.0.1", true},
        {"10.0.0.0/8", "::ffff:10.0.0.1", true},
        // Domains.
        {"example.com", "example.com", true},
        {"example.com", "API.Example.COM", true},
        {"example.com", "notexample.com", false},
        {"example.com", "com", false},
        {".example.com", "example.com", false},
        {".example.com", "api.example.com", true},
        {"*.example.com", "api.example.com", true},
        {"*.example.com", "example.com", false},
        {"svc", "kubernetes.default.svc", true},
        {"svc:443", "kubernetes.default.svc", true},
        {"svc:80", "kubernetes.default.svc", false},
        {"svc:", "kubernetes.default.svc", true},
        {"0.1", "10.96.0.1", false},
        // Lists.
        {"", "a", false},
        {"*", "10.0.0.1", true},
        {"*", "a", true},
        {"b, * ,c", "a", true},
        {"*a", "a", false},
        {" b ,\ta\n", "a", true},
        {",,:443,,a", "a", true},
        {":443", "a", false},
        {"[:443", "a", false},
        {"[]:443", "a", false},
        {".", "a", false},
        {"a b", "a", false},
        {"b;a", "a", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (proxy_is_excepted(cases[i].list, cases[i].host, "443") != cases[i].excepted)
            fail_msg("NO_PROXY=\"%s\" and %s", cases[i].list, cases[i].host);
}

static void longest_entry(void **unused)
{
    (void)unused;
    char list[1000];
    memset(list, 'x', sizeof list);
    memcpy(list + sizeof list - 3, ",a", 3);
    assert_true(proxy_is_excepted(list, "a", "443"));
    list[sizeof list - 3] = 'x';
    assert_false(proxy_is_excepted(list, "a", "443"));
}

static void urls(void **unused)
{
    (void)unused;
    static const char *const cases[][2] = {
        {"http://proxy", "http://proxy:80/"},
        {"http://proxy:3128", "http://proxy:3128/"},
        {"HTTPS://me:secret@proxy", "https://me:secret@proxy:443/"},
        {"socks5://proxy", "socks5h://proxy:1080/"},
        {"socks5h://[fd00::1]:1", "socks5h://[fd00::1]:1/"},
        {"socks4://proxy", NULL},
        {"ftp://proxy", NULL},
        {"proxy:3128", NULL},
        {"http://", NULL},
        {"http://proxy:99999", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *out;
        assert_int_equal(proxy_url(cases[i][0], &out), cases[i][1] != NULL ? 0 : CDNS_EINVAL);
        if (cases[i][1] != NULL)
            assert_string_equal(out, cases[i][1]);
        free(out);
    }
}

static void expect(const char *server, const char *expected)
{
    char *out;
    assert_int_equal(proxy_of_environment(server, &out), 0);
    if (expected == NULL)
        assert_null(out);
    else
        assert_string_equal(out, expected);
    free(out);
}

static void environment(void **unused)
{
    (void)unused;
    static const char *const names[] = {"http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY",
                                        "no_proxy",   "NO_PROXY",   "all_proxy",   "ALL_PROXY"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        unsetenv(names[i]);
    expect("https://api", NULL);
    setenv("ALL_PROXY", "http://all", 1); // not Go's
    expect("https://api", NULL);
    setenv("HTTPS_PROXY", "upper:3128", 1);
    setenv("HTTP_PROXY", "http://plain", 1);
    expect("https://api", "http://upper:3128");
    expect("http://api", "http://plain");
    setenv("https_proxy", "socks5://lower", 1);
    expect("https://api", "socks5://lower");
    setenv("https_proxy", "", 1);
    expect("https://api", "http://upper:3128");
    static const char *const here[] = {"https://localhost", "https://127.0.0.1:6443", "https://127.9.9.9",
                                       "https://[::1]:6443", "https://[::ffff:127.0.0.1]"};
    for (size_t i = 0; i < sizeof here / sizeof here[0]; i++)
        expect(here[i], NULL);
    setenv("NO_PROXY", "10.96.0.0/12,[fd00::1]:6443,.svc", 1);
    expect("https://10.96.0.1:443", NULL);
    expect("https://[fd00::1]:6443/prefix", NULL);
    expect("https://[fd00::1]", "http://upper:3128");
    expect("https://kubernetes.default.svc", NULL);
    expect("https://10.95.0.1", "http://upper:3128");
    setenv("no_proxy", "api", 1);
    expect("https://10.96.0.1", "http://upper:3128");
    expect("https://api", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exceptions),
        cmocka_unit_test(longest_entry),
        cmocka_unit_test(urls),
        cmocka_unit_test(environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
