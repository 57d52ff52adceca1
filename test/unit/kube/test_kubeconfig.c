// SPDX-License-Identifier: Apache-2.0
// kubeconfig texts to a context's server and credentials; broken ones to clear messages.
#include "kube/kubeconfig.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct kubeconfig config;
static char error[400];

static int parse(const char *text, const char *context)
{
    kubeconfig_clear(&config);
    error[0] = '\0';
    return kubeconfig_parse("/etc/kube/config", text, strlen(text), context, &config, error, sizeof error);
}

#define CONTEXTS                                                                                                       \
    "contexts:\n- {name: one, context: {cluster: c, user: u}}\n- {name: anonymous, context: {cluster: c}}\n"           \
    "- {name: bad, context: {cluster: c, user: nobody}}\n- {name: worse, context: {cluster: none, user: u}}\n"         \
    "- {name: worst, context: {}}\ncurrent-context: one\n"
#define CLUSTER                                                                                                        \
    "clusters:\n- {name: x, cluster: {server: 'http://x'}}\n- name: c\n  cluster: {server: 'https://a:6443'}\n"

static void plain_fields(void **unused)
{
    (void)unused;
    assert_int_equal(
        parse("apiVersion: v1\nkind: Config\nclusters:\n- name: c\n  cluster:\n    server: https://api:6443\n"
              "    certificate-authority: ../pki/ca.crt\n    tls-server-name: kubernetes\n"
              "    proxy-url: socks5://p:1080\nusers:\n- name: u\n  user:\n    client-certificate: c.pem\n"
              "    client-key: /k.pem\n    token: abc\n    tokenFile: token\n    username: me\n"
              "    password: secret\n" CONTEXTS,
              NULL),
        0);
    assert_string_equal(config.server, "https://api:6443");
    assert_string_equal(config.ca_file, "/etc/kube/../pki/ca.crt");
    assert_string_equal(config.tls_server_name, "kubernetes");
    assert_string_equal(config.proxy_url, "socks5://p:1080");
    assert_string_equal(config.cert_file, "/etc/kube/c.pem");
    assert_string_equal(config.key_file, "/k.pem");
    assert_string_equal(config.token, "abc");
    assert_string_equal(config.token_file, "/etc/kube/token");
    assert_string_equal(config.username, "me");
    assert_string_equal(config.password, "secret");
    assert_false(config.insecure);
}

static void data_wins(void **unused)
{
    (void)unused;
    assert_int_equal(
        parse("clusters:\n- name: c\n  cluster: {server: s, certificate-authority: f, "
              "certificate-authority-data: Q0E=, insecure-skip-tls-verify: true}\nusers:\n- name: u\n  user:\n"
              "    client-certificate-data: |\n      Q0V\n      SVA==\n    client-key-data: \"\\\n"
              "      S0VZ\"\n" CONTEXTS,
              "one"),
        0);
    assert_null(config.ca_file);
    assert_string_equal(config.ca_data, "CA");
    assert_string_equal(config.cert_data, "CERT");
    assert_string_equal(config.key_data, "KEY");
    assert_true(config.insecure);
    assert_false(config.uncompressed);
    assert_int_equal(parse("clusters:\n- name: c\n  cluster: {server: s, disable-compression: true}\nusers:\n- name: "
                           "u\n  user: {token: t}\n" CONTEXTS,
                           "one"),
                     0);
    assert_true(config.uncompressed);
}

static void json_and_contexts(void **unused)
{
    (void)unused;
    assert_int_equal(parse("{\"clusters\":[{\"name\":\"c\",\"cluster\":{\"server\":\"http://s\"}}],\"contexts\":"
                           "[{\"name\":\"a\",\"context\":{\"cluster\":\"c\"}}]}",
                           "a"),
                     0);
    assert_string_equal(config.server, "http://s");
    assert_int_equal(parse(CLUSTER CONTEXTS, "anonymous"), 0);
    assert_string_equal(config.server, "https://a:6443");
    assert_null(config.token);
}

static void messages(void **unused)
{
    (void)unused;
    static const struct {
        const char *text, *context, *message;
    } cases[] = {
        {"", NULL, "/etc/kube/config: no kubeconfig"},
        {"- 1\n", NULL, "/etc/kube/config: no kubeconfig"},
        {"a: [\n", NULL, "/etc/kube/config:2: "},
        {"a: b\n", NULL, "/etc/kube/config: no current-context is set"},
        {CLUSTER CONTEXTS, "two", "/etc/kube/config: context \"two\" does not exist"},
        {CLUSTER CONTEXTS, "bad", "/etc/kube/config: user \"nobody\" does not exist"},
        {CLUSTER CONTEXTS, "worse", "/etc/kube/config: cluster \"none\" does not exist"},
        {CLUSTER CONTEXTS, "worst", "/etc/kube/config: context \"worst\" names no cluster"},
        {"clusters: [{name: c, cluster: {}}]\n" CONTEXTS, NULL, "/etc/kube/config: cluster \"c\" has no server"},
        {"clusters: 7\ncontexts: {a: b}\ncurrent-context: 8\n", "x", "/etc/kube/config: context \"x\" does not exist"},
        {CLUSTER "users: [{name: u, user: {exec: {command: aws}}}]\n" CONTEXTS, NULL,
         "/etc/kube/config: user \"u\" gets its credentials from a program (exec)"},
        {CLUSTER "users: [{name: u, user: {auth-provider: {name: gcp}}}]\n" CONTEXTS, NULL,
         "/etc/kube/config: user \"u\" has an auth-provider"},
        {CLUSTER "users: [{name: u, user: {as: root}}]\n" CONTEXTS, NULL,
         "/etc/kube/config: user \"u\" impersonates (as)"},
        {CLUSTER "users: [{name: u, user: {client-key: k}}]\n" CONTEXTS, NULL,
         "/etc/kube/config: user \"u\" has a client key without its certificate"},
        {CLUSTER "users: [{name: u, user: {client-certificate-data: '!!!'}}]\n" CONTEXTS, NULL,
         "/etc/kube/config: client-certificate-data is no base64"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(parse(cases[i].text, cases[i].context), CDNS_ECONFIG);
        if (strncmp(error, cases[i].message, strlen(cases[i].message)) != 0)
            fail_msg("\"%s\" does not begin with \"%s\"", error, cases[i].message);
    }
    assert_int_equal(kubeconfig_read("/nonexistent/config", NULL, &config, error, sizeof error), CDNS_ECONFIG);
    assert_string_equal(error, "/nonexistent/config: No such file or directory");
    // A pipe that nobody writes to is not waited for.
    char folder[] = "/tmp/clusterdns-kubeconfig-XXXXXX", pipe[64];
    assert_non_null(mkdtemp(folder));
    snprintf(pipe, sizeof pipe, "%s/pipe", folder);
    assert_int_equal(mkfifo(pipe, 0600), 0);
    assert_int_equal(kubeconfig_read(pipe, NULL, &config, error, sizeof error), CDNS_ECONFIG);
    assert_non_null(strstr(error, "pipe: not a regular file"));
    unlink(pipe);
    rmdir(folder);
}

static int teardown(void **unused)
{
    (void)unused;
    kubeconfig_clear(&config);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_fields),
        cmocka_unit_test(data_wins),
        cmocka_unit_test(json_and_contexts),
        cmocka_unit_test(messages),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
