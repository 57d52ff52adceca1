// SPDX-License-Identifier: Apache-2.0
// Credentials from a service account, a kubeconfig and tls files, and their rotation under a running process.
#include "kube/credentials.h"
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/test_credentials.XXXXXX";
static char error[600];
static struct credentials *c;

static const char *path(const char *name)
{
    static char paths[4][256];
    static unsigned n;
    char *p = paths[n++ % 4];
    snprintf(p, sizeof paths[0], "%s/%s", folder, name);
    return p;
}

// Writes a file as rotation does: beside it, then renamed.
static void write_file(const char *name, const char *text)
{
    char fresh[264];
    snprintf(fresh, sizeof fresh, "%s.new", path(name));
    FILE *f = fopen(fresh, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    assert_int_equal(rename(fresh, path(name)), 0);
}

// Makes a key and a certificate of its own signing: NAME.key, NAME.crt.
static void make_pair(const char *name)
{
    char file[200];
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), 0);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, key);
    X509_NAME *subject = X509_get_subject_name(cert);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(cert, subject);
    assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
    snprintf(file, sizeof file, "%s.key", name);
    FILE *f = fopen(path(file), "w");
    PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
    fclose(f);
    snprintf(file, sizeof file, "%s.crt", name);
    f = fopen(path(file), "w");
    PEM_write_X509(f, cert);
    fclose(f);
    X509_free(cert);
    EVP_PKEY_free(key);
}

static void copy_file(const char *from, const char *to)
{
    char text[4000];
    FILE *f = fopen(path(from), "r");
    assert_non_null(f);
    size_t n = fread(text, 1, sizeof text - 1, f);
    text[n] = '\0';
    fclose(f);
    write_file(to, text);
}

static int load(struct source_options o)
{
    credentials_free(c);
    c = NULL;
    error[0] = '\0';
    return credentials_load(&o, &c, error, sizeof error);
}

static void expect_error(struct source_options o, const char *text)
{
    assert_int_equal(load(o), CDNS_ECONFIG);
    if (strstr(error, text) == NULL)
        fail_msg("\"%s\" does not hold \"%s\"", error, text);
}

static void in_cluster(void **unused)
{
    (void)unused;
    const struct source_options o = {0};
    unsetenv("KUBERNETES_SERVICE_HOST");
    setenv("KUBERNETES_SERVICE_PORT", "443", 1);
    setenv(SERVICE_ACCOUNT_DIR_VARIABLE, folder, 1);
    expect_error(o, "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT must be defined");
    setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1", 1);
    expect_error(o, "/token: No such file or directory");
    write_file("token", "secret.token\n");
    expect_error(o, "/ca.crt: No such file or directory");
    write_file("ca.crt", "nothing");
    expect_error(o, "/ca.crt: no certificate in PEM form");
    copy_file("a.crt", "ca.crt");
    assert_int_equal(load(o), 0);
    assert_string_equal(c->server, "https://10.96.0.1:443");
    assert_string_equal(c->token.text, "secret.token");
    assert_non_null(strstr(c->ca.text, "BEGIN CERTIFICATE"));
    setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
    assert_int_equal(load(o), 0);
    assert_string_equal(c->server, "https://[fd00::1]:443");
    write_file("token", "\n");
    expect_error(o, "the token is empty");
    write_file("token", "a\r\nHost: b");
    expect_error(o, "byte 1 can stand in no token");
}

static void rotation(void **unused)
{
    (void)unused;
    const struct source_options o = {0};
    write_file("token", "one");
    copy_file("a.crt", "ca.crt");
    assert_int_equal(load(o), 0);
    char *ca = strdup(c->ca.text);
    write_file("token", "two\n");
    credentials_refresh(c);
    assert_string_equal(c->token.text, "two");
    write_file("token", "");
    write_file("ca.crt", "-----BEGIN CERTIFICATE-----\ncut");
    credentials_refresh(c);
    assert_string_equal(c->token.text, "two");
    assert_string_equal(c->ca.text, ca);
    assert_int_equal(unlink(path("token")), 0);
    copy_file("b.crt", "ca.crt");
    credentials_refresh(c);
    assert_string_equal(c->token.text, "two");
    assert_string_not_equal(c->ca.text, ca);
    write_file("token", "three");
    credentials_refresh(c);
    assert_string_equal(c->token.text, "three");
    free(ca);
}

static void endpoint(void **unused)
{
    (void)unused;
    assert_int_equal(load((struct source_options){.endpoint = "http://localhost:8080/"}), 0);
    assert_string_equal(c->server, "http://localhost:8080");
    assert_int_equal(load((struct source_options){.endpoint = "localhost:8080"}), 0);
    assert_string_equal(c->server, "http://localhost:8080");
    char *cert = strdup(path("a.crt")), *key = strdup(path("a.key"));
    struct source_options tls = {.endpoint = "api:6443", .tls_cert = cert, .tls_key = key, .tls_ca = cert};
    assert_int_equal(load(tls), 0);
    assert_string_equal(c->server, "https://api:6443");
    tls.tls_key = path("b.key");
    expect_error(tls, "b.key does not belong to the certificate in ");
    tls.tls_key = cert;
    expect_error(tls, "a.crt: no private key in PEM form");
    tls.tls_key = NULL;
    expect_error(tls, "belong together");
    static const char *const bad[] = {"ftp://x",        "https://",        "http://u:p@x", "http://x?a",
                                      "http://x:99999", "http://a b:8080", "unix:///x"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        expect_error((struct source_options){.endpoint = bad[i]}, "is no URL of an API server");
    free(cert);
    free(key);
}

// The certificate is replaced before its key: the old pair stays until the new one is whole.
static void pair_rotation(void **unused)
{
    (void)unused;
    copy_file("a.crt", "tls.crt");
    copy_file("a.key", "tls.key");
    char *cert = strdup(path("tls.crt")), *key = strdup(path("tls.key"));
    assert_int_equal(load((struct source_options){.endpoint = "https://x", .tls_cert = cert, .tls_key = key}), 0);
    char *old = strdup(c->cert.text);
    copy_file("b.crt", "tls.crt");
    credentials_refresh(c);
    assert_string_equal(c->cert.text, old);
    copy_file("b.key", "tls.key");
    credentials_refresh(c);
    assert_string_not_equal(c->cert.text, old);
    free(old);
    free(cert);
    free(key);
}

static void write_kubeconfig(const char *server, const char *user)
{
    char text[2000];
    snprintf(text, sizeof text,
             "clusters: [{name: c, cluster: {server: '%s', certificate-authority: a.crt, tls-server-name: name.test, "
             "proxy-url: "
             "'http://p:1'}}]\nusers: [{name: u, user: {%s}}]\ncontexts: [{name: x, context: {cluster: c, user: u}}]\n"
             "current-context: x\n",
             server, user);
    write_file("config", text);
}

static void kubeconfig(void **unused)
{
    (void)unused;
    char *config = strdup(path("config"));
    const struct source_options o = {.kubeconfig = config};
    write_kubeconfig("https://one:6443/prefix/", "token: t1");
    assert_int_equal(load(o), 0);
    assert_string_equal(c->server, "https://one:6443/prefix");
    assert_string_equal(c->token.text, "t1");
    assert_string_equal(c->tls_server_name, "name.test");
    assert_string_equal(c->proxy_url, "http://p:1/");
    write_kubeconfig("https://one:6443/prefix", "username: u, password: p");
    credentials_refresh(c);
    assert_null(c->token.text);
    assert_string_equal(c->username, "u");
    write_kubeconfig("https://two:6443", "token: t2"); // another cluster: only a reload goes there
    credentials_refresh(c);
    assert_string_equal(c->server, "https://one:6443/prefix");
    assert_string_equal(c->username, "u");
    write_file("config", "{");
    credentials_refresh(c);
    assert_string_equal(c->username, "u");
    write_kubeconfig("https://one:6443/prefix", "tokenFile: t, token: ignored");
    write_file("t", "from-file\n");
    credentials_refresh(c);
    assert_string_equal(c->token.text, "from-file");
    write_file("t", "from-file-2\n");
    credentials_refresh(c);
    assert_string_equal(c->token.text, "from-file-2");
    write_file("config", "clusters: [{name: c, cluster: {server: 'https://a', proxy-url: 'ftp://p'}}]\n"
                         "contexts: [{name: x, context: {cluster: c}}]\ncurrent-context: x\n");
    expect_error(o, "proxy-url: 'ftp://p' is no URL of a proxy: http://, https:// or socks5://HOST:PORT");
    write_kubeconfig("tcp://x", "");
    expect_error(o, "is no URL of an API server");
    free(config);
}

static int setup(void **unused)
{
    (void)unused;
    if (mkdtemp(folder) == NULL)
        return 1;
    make_pair("a");
    make_pair("b");
    return 0;
}

static int teardown(void **unused)
{
    (void)unused;
    char command[100];
    credentials_free(c);
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_cluster),    cmocka_unit_test(rotation),   cmocka_unit_test(endpoint),
        cmocka_unit_test(pair_rotation), cmocka_unit_test(kubeconfig),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
