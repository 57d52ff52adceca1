// SPDX-License-Identifier: Apache-2.0
#include "kube/credentials.h"
#include "kube/kubeconfig.h"
#include "kube/proxy.h"
#include <clusterdns/file.h>
#include <clusterdns/log.h>
#include <curl/curl.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECRET_MAX (1u << 20) // bytes of a token, CA bundle, certificate or key

// Where a failure's text goes.
struct report {
    char *text;
    size_t size;
};

static int fail(struct report *r, const char *fmt, ...) CDNS_PRINTF(2, 3);
static int fail(struct report *r, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(r->text, r->size, fmt, args);
    va_end(args);
    return CDNS_ECONFIG;
}

// ---- secrets ----

static void secret_clear(struct secret *s)
{
    if (s->text != NULL)
        explicit_bzero(s->text, s->len);
    free(s->text);
    free(s->path);
    *s = (struct secret){0};
}

// Reads the file anew into `out`, which gets the path too.
static int secret_read(const char *path, struct secret *out, struct report *r)
{
    *out = (struct secret){.path = strdup(path)};
    if (out->path == NULL || file_read(path, true, SECRET_MAX, &out->text, &out->len, &out->seen) != 0) {
        int result = fail(r, "%s: %s", path, strerror(errno));
        secret_clear(out);
        return result;
    }
    size_t len = strlen(out->text); // what follows a NUL byte is not part of it
    explicit_bzero(out->text + len, out->len - len);
    out->len = len;
    return 0;
}

// Could the file's content be another than what is kept?
static bool secret_changed(const struct secret *s)
{
    struct stat now;
    return s->path != NULL && (stat(s->path, &now) != 0 || !file_same(&s->seen, &now));
}

// The name of a secret in messages.
static const char *secret_name(const struct secret *s)
{
    return s->path != NULL ? s->path : "the kubeconfig's data";
}

// ---- what a secret must be ----

static int check_certificates(const struct secret *s, struct report *r)
{
    BIO *bio = BIO_new_mem_buf(s->text, (int)s->len);
    X509 *first = bio != NULL ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    int result = first != NULL ? 0 : fail(r, "%s: no certificate in PEM form", secret_name(s));
    X509_free(first);
    BIO_free(bio);
    ERR_clear_error();
    return result;
}

static int no_passphrase(char *buffer, int size, int writing, void *arg)
{
    (void)buffer;
    (void)size;
    (void)writing;
    (void)arg;
    return 0;
}

static int check_pair(const struct secret *cert, const struct secret *key, struct report *r)
{
    int result = check_certificates(cert, r);
    if (result != 0)
        return result;
    BIO *cert_bio = BIO_new_mem_buf(cert->text, (int)cert->len), *key_bio = BIO_new_mem_buf(key->text, (int)key->len);
    X509 *first = cert_bio != NULL ? PEM_read_bio_X509(cert_bio, NULL, NULL, NULL) : NULL;
    EVP_PKEY *private = key_bio != NULL ? PEM_read_bio_PrivateKey(key_bio, NULL, no_passphrase, NULL) : NULL;
    if (private == NULL)
        result = fail(r, "%s: no private key in PEM form (or one with a passphrase)", secret_name(key));
    else if (first == NULL || X509_check_private_key(first, private) != 1)
        result = fail(r, "%s does not belong to the certificate in %s", secret_name(key), secret_name(cert));
    X509_free(first);
    EVP_PKEY_free(private);
    BIO_free(cert_bio);
    BIO_free(key_bio);
    ERR_clear_error();
    return result;
}

// Cuts white space at the end; the rest must be able to stand in a header (RFC 9110 §5.5).
static int check_token(struct secret *s, struct report *r)
{
    while (s->len > 0 && strchr(" \t\r\n", s->text[s->len - 1]) != NULL)
        s->text[--s->len] = '\0';
    if (s->len == 0)
        return fail(r, "%s: the token is empty", secret_name(s));
    for (size_t i = 0; i < s->len; i++)
        if (s->text[i] < 0x21 || s->text[i] > 0x7e)
            return fail(r, "%s: byte %zu can stand in no token", secret_name(s), i);
    return 0;
}

// ---- filling credentials ----

// A secret from a file (`path` not NULL) or a given text (not NULL); neither: stays empty.
static int secret_set(struct secret *s, const char *path, const char *text, struct report *r)
{
    if (text != NULL) {
        s->text = strdup(text);
        s->len = strlen(text);
        return s->text != NULL ? 0 : fail(r, "out of memory");
    }
    return path != NULL ? secret_read(path, s, r) : 0;
}

// Is it an http or https URL without user, query and fragment?
static bool is_server(const char *url)
{
    CURLU *u = curl_url();
    char *scheme = NULL, *user = NULL, *query = NULL, *fragment = NULL;
    bool good = u != NULL && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
                curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
                (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);
    if (good) {
        (void)curl_url_get(u, CURLUPART_USER, &user, 0);
        (void)curl_url_get(u, CURLUPART_QUERY, &query, 0);
        (void)curl_url_get(u, CURLUPART_FRAGMENT, &fragment, 0);
        good = user == NULL && query == NULL && fragment == NULL;
    }
    curl_free(scheme);
    curl_free(user);
    curl_free(query);
    curl_free(fragment);
    curl_url_cleanup(u);
    return good;
}

// The server's URL; a bare HOST:PORT is https when TLS files are given, else http.
static int set_server(struct credentials *c, const char *text, bool tls, struct report *r)
{
    const char *scheme = strstr(text, "://") != NULL ? "" : tls ? "https://" : "http://";
    if (asprintf(&c->server, "%s%s", scheme, text) < 0) {
        c->server = NULL;
        return fail(r, "out of memory");
    }
    if (!is_server(c->server))
        return fail(r, "'%s' is no URL of an API server: http://HOST:PORT or https://HOST:PORT", text);
    for (size_t len = strlen(c->server); len > 0 && c->server[len - 1] == '/'; len--)
        c->server[len - 1] = '\0';
    return 0;
}

static int set_proxy(struct credentials *c, const char *text, const char *where, struct report *r)
{
    int result = proxy_url(text, &c->proxy_url);
    if (result == CDNS_EINVAL)
        return fail(r, "%s: '%s' is no URL of a proxy: http://, https:// or socks5://HOST:PORT", where, text);
    return result == 0 ? 0 : fail(r, "out of memory");
}

// The proxy that the environment names, unless the kubeconfig has named one.
static int add_proxy(struct credentials *c, struct report *r)
{
    char *text = NULL;
    if (c->proxy_url != NULL)
        return 0;
    if (proxy_of_environment(c->server, &text) != 0)
        return fail(r, "out of memory");
    int result = text != NULL ? set_proxy(c, text, "HTTP_PROXY or HTTPS_PROXY", r) : 0;
    free(text);
    return result;
}

static int from_cluster(struct credentials *c, struct report *r)
{
    const char *host = getenv("KUBERNETES_SERVICE_HOST"), *port = getenv("KUBERNETES_SERVICE_PORT");
    const char *dir = getenv(SERVICE_ACCOUNT_DIR_VARIABLE);
    char text[512];
    if (host == NULL || *host == '\0' || port == NULL || *port == '\0')
        return fail(r, "unable to load in-cluster configuration, KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT "
                       "must be defined (outside a cluster use kubeconfig, endpoint or manifests)");
    snprintf(text, sizeof text, strchr(host, ':') != NULL ? "https://[%s]:%s" : "https://%s:%s", host, port);
    int result = set_server(c, text, true, r);
    snprintf(text, sizeof text, "%s/token", dir != NULL ? dir : SERVICE_ACCOUNT_DIR);
    if (result == 0)
        result = secret_set(&c->token, text, NULL, r);
    snprintf(text, sizeof text, "%s/ca.crt", dir != NULL ? dir : SERVICE_ACCOUNT_DIR);
    return result == 0 ? secret_set(&c->ca, text, NULL, r) : result;
}

static int from_endpoint(struct credentials *c, const struct source_options *o, struct report *r)
{
    int result = set_server(c, o->endpoint, o->tls_ca != NULL || o->tls_cert != NULL, r);
    if (result == 0)
        result = secret_set(&c->ca, o->tls_ca, NULL, r);
    if (result == 0 && (o->tls_cert != NULL) != (o->tls_key != NULL))
        result = fail(r, "tls: a certificate and its key belong together");
    if (result == 0)
        result = secret_set(&c->cert, o->tls_cert, NULL, r);
    return result == 0 ? secret_set(&c->key, o->tls_key, NULL, r) : result;
}

// Moves a text out of the kubeconfig.
static char *take(char **text)
{
    char *taken = *text;
    *text = NULL;
    return taken;
}

static int adopt_kubeconfig(struct credentials *c, struct kubeconfig *k, struct report *r)
{
    bool tls = k->ca_file != NULL || k->ca_data != NULL || k->cert_file != NULL || k->cert_data != NULL;
    int result = set_server(c, k->server, tls, r);
    if (result == 0 && !k->insecure) // a CA beside insecure-skip-tls-verify has no say
        result = secret_set(&c->ca, k->ca_file, k->ca_data, r);
    if (result == 0)
        result = secret_set(&c->cert, k->cert_file, k->cert_data, r);
    if (result == 0)
        result = secret_set(&c->key, k->key_file, k->key_data, r);
    if (result == 0 && k->token_file != NULL)
        result = secret_set(&c->token, k->token_file, NULL, r);
    else if (result == 0)
        result = secret_set(&c->token, NULL, k->token, r);
    c->tls_server_name = take(&k->tls_server_name);
    if (result == 0 && k->proxy_url != NULL)
        result = set_proxy(c, k->proxy_url, "proxy-url", r);
    c->username = take(&k->username);
    c->password = take(&k->password);
    c->insecure = k->insecure;
    c->uncompressed = k->uncompressed;
    return result;
}

static int from_kubeconfig(struct credentials *c, const char *path, const char *context, struct report *r)
{
    struct kubeconfig k;
    c->kubeconfig = strdup(path);
    c->context = context != NULL ? strdup(context) : NULL;
    // Looked at before reading: a change in between is then seen the next time.
    if (c->kubeconfig == NULL || (context != NULL && c->context == NULL) || stat(path, &c->kubeconfig_seen) != 0)
        return fail(r, "%s: %s", path, strerror(errno));
    int result = kubeconfig_read(path, context, &k, r->text, r->size);
    if (result != 0)
        return result;
    result = adopt_kubeconfig(c, &k, r);
    kubeconfig_clear(&k);
    return result;
}

// What all ways of filling have in common.
static int complete(struct credentials *c, struct report *r)
{
    int result = add_proxy(c, r);
    if (result == 0 && c->ca.text != NULL)
        result = check_certificates(&c->ca, r);
    if (result == 0 && c->cert.text != NULL)
        result = check_pair(&c->cert, &c->key, r);
    if (result == 0 && c->token.text != NULL)
        result = check_token(&c->token, r);
    return result;
}

int credentials_load(const struct source_options *options, struct credentials **out, char *error, size_t error_size)
{
    struct report r = {error, error_size};
    struct credentials *c = calloc(1, sizeof *c);
    if (c == NULL)
        return CDNS_ENOMEM;
    int result;
    if (options->kubeconfig != NULL)
        result = from_kubeconfig(c, options->kubeconfig, options->context, &r);
    else if (options->endpoint != NULL)
        result = from_endpoint(c, options, &r);
    else
        result = from_cluster(c, &r);
    if (result == 0)
        result = complete(c, &r);
    if (result == 0)
        *out = c;
    else
        credentials_free(c);
    return result;
}

// Frees what is in it.
static void clear(struct credentials *c)
{
    struct secret *secrets[] = {&c->ca, &c->cert, &c->key, &c->token};
    for (size_t i = 0; i < sizeof secrets / sizeof secrets[0]; i++)
        secret_clear(secrets[i]);
    char *texts[] = {c->server, c->tls_server_name, c->proxy_url, c->username, c->password, c->kubeconfig, c->context};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        free(texts[i]);
}

void credentials_free(struct credentials *c)
{
    if (c == NULL)
        return;
    clear(c);
    free(c);
}

// ---- changes ----

// Takes a fresh secret in the place of an old one.
static void replace(struct secret *old, struct secret *fresh)
{
    secret_clear(old);
    *old = *fresh;
}

static void refuse(const struct report *r)
{
    log_plugin(LOG_LEVEL_WARNING, "kubernetes", "credentials have changed, but the old ones stay in use: %s", r->text);
}

// A changed CA or token file.
static void refresh_one(struct secret *s, bool is_token)
{
    char text[512];
    struct report r = {text, sizeof text};
    struct secret fresh;
    if (!secret_changed(s))
        return;
    if (secret_read(s->path, &fresh, &r) == 0 &&
        (is_token ? check_token(&fresh, &r) : check_certificates(&fresh, &r)) == 0) {
        replace(s, &fresh);
        return;
    }
    secret_clear(&fresh);
    refuse(&r);
}

// A changed certificate or key: both are read, for they belong together.
static void refresh_pair(struct credentials *c)
{
    char text[512];
    struct report r = {text, sizeof text};
    struct secret cert = {0}, key = {0};
    if (c->cert.path == NULL || c->key.path == NULL || (!secret_changed(&c->cert) && !secret_changed(&c->key)))
        return;
    if (secret_read(c->cert.path, &cert, &r) == 0 && secret_read(c->key.path, &key, &r) == 0 &&
        check_pair(&cert, &key, &r) == 0) {
        replace(&c->cert, &cert);
        replace(&c->key, &key);
        return;
    }
    secret_clear(&cert);
    secret_clear(&key);
    refuse(&r);
}

static void refresh_kubeconfig(struct credentials *c)
{
    char text[512];
    struct report r = {text, sizeof text};
    struct stat now;
    if (c->kubeconfig == NULL || stat(c->kubeconfig, &now) != 0 || file_same(&c->kubeconfig_seen, &now))
        return;
    c->kubeconfig_seen = now;
    struct credentials fresh = {0};
    int result = from_kubeconfig(&fresh, c->kubeconfig, c->context, &r);
    if (result == 0)
        result = complete(&fresh, &r);
    if (result == 0 && strcmp(fresh.server, c->server) != 0)
        result = fail(&r, "%s names another server now; reload the configuration to go there", c->kubeconfig);
    if (result != 0) {
        refuse(&r);
        clear(&fresh);
        return;
    }
    clear(c);
    *c = fresh;
}

void credentials_refresh(struct credentials *c)
{
    refresh_kubeconfig(c);
    refresh_one(&c->token, true);
    refresh_one(&c->ca, false);
    refresh_pair(c);
}
