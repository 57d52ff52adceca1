// SPDX-License-Identifier: Apache-2.0
// TLS of the web configuration. Ciphers, curves and versions are those that Go's crypto/tls has, by its names.
#include "plugins/prometheus/web_tls.h"

#include <arpa/inet.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct word {
    const char *name, *gnutls;
};

// Those up to TLS 1.2, in the order that Go prefers; `gnutls` is the cipher, the key exchange is in the name.
static const struct word suites[] = {
    {"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "AES-128-GCM"},
    {"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "AES-128-GCM"},
    {"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "AES-256-GCM"},
    {"TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "AES-256-GCM"},
    {"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "CHACHA20-POLY1305"},
    {"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "CHACHA20-POLY1305"},
    {"TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", "AES-128-CBC"},
    {"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", "AES-128-CBC"},
    {"TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", "AES-256-CBC"},
    {"TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", "AES-256-CBC"},
};
// Accepted in cipher_suites, without meaning there: with TLS 1.3 all of them are always on.
static const struct word tls13_suites[] = {
    {"TLS_AES_128_GCM_SHA256", NULL}, {"TLS_AES_256_GCM_SHA384", NULL}, {"TLS_CHACHA20_POLY1305_SHA256", NULL}};
static const struct word curves[] = {{"X25519", "GROUP-X25519"},
                                     {"CurveP256", "GROUP-SECP256R1"},
                                     {"CurveP384", "GROUP-SECP384R1"},
                                     {"CurveP521", "GROUP-SECP521R1"}};
static const struct word versions[] = {
    {"TLS10", "VERS-TLS1.0"}, {"TLS11", "VERS-TLS1.1"}, {"TLS12", "VERS-TLS1.2"}, {"TLS13", "VERS-TLS1.3"}};
enum { TLS12 = 2, TLS13 = 3 }; // places in it

static const struct client_auth {
    const char *name;
    bool ask, require, verify;
} client_auths[] = {
    {"NoClientCert", false, false, false},          {"RequestClientCert", true, false, false},
    {"RequireAnyClientCert", true, true, false},    {"RequireClientCert", true, true, false},
    {"VerifyClientCertIfGiven", true, false, true}, {"RequireAndVerifyClientCert", true, true, true},
};

struct web_tls {
    gnutls_certificate_credentials_t credentials;
    gnutls_priority_t priorities;  // of all versions
    gnutls_priority_t up_to_tls12; // with cipher_suites: once such a version is agreed on; NULL: none is left then
    bool restricted;               // there are cipher_suites
    bool system_cas;               // clients are not told their names
    const struct client_auth *client_auth;
    const struct web_list *sans; // NULL: any will do
};

static size_t find(const struct word *words, size_t n, const char *name)
{
    size_t i = 0;
    while (i < n && strcmp(words[i].name, name) != 0)
        i++;
    return i;
}

static bool has(const struct word *words, size_t n, const char *name)
{
    return find(words, n, name) < n;
}

bool web_tls_has_cipher(const char *name)
{
    return has(suites, WEB_COUNT(suites), name) || has(tls13_suites, WEB_COUNT(tls13_suites), name);
}

bool web_tls_has_curve(const char *name)
{
    return has(curves, WEB_COUNT(curves), name);
}

bool web_tls_has_version(const char *name)
{
    return has(versions, WEB_COUNT(versions), name);
}

static const struct client_auth *find_client_auth(const char *name)
{
    for (size_t i = 0; i < WEB_COUNT(client_auths); i++)
        if (strcmp(client_auths[i].name, name) == 0)
            return &client_auths[i];
    return NULL;
}

bool web_tls_has_client_auth(const char *name)
{
    return find_client_auth(name) != NULL;
}

bool web_tls_wanted(const struct web_config *c)
{
    return c->cert_file.text != NULL || c->cert.text != NULL || c->key_file.text != NULL || c->key.text != NULL ||
           c->client_ca_file.text != NULL || c->client_ca.text != NULL || c->client_auth_type.text != NULL;
}

// What is agreed on ---------------------------------------------------------------------------------------------------

static bool is_listed(const struct web_list *list, const char *name)
{
    for (size_t i = 0; i < list->n; i++)
        if (list->entries[i].value.text != NULL && strcmp(list->entries[i].value.text, name) == 0)
            return true;
    return false;
}

static void add(char *text, size_t size, const char *word)
{
    size_t len = strlen(text);
    snprintf(text + len, size - len, ":+%s", word);
}

// All ciphers, or those that are listed for a key exchange ("ECDHE-RSA"). False: it would be none.
static bool add_ciphers(char *text, size_t size, const struct web_list *listed, const char *exchange)
{
    bool any = false;
    char infix[24] = "";
    if (exchange != NULL)
        snprintf(infix, sizeof infix, "_ECDHE_%s_", exchange + strlen("ECDHE-"));
    for (size_t i = 0; i < WEB_COUNT(suites); i++)
        if (exchange == NULL || (strstr(suites[i].name, infix) != NULL && is_listed(listed, suites[i].name))) {
            add(text, size, suites[i].gnutls);
            any = true;
        }
    return any;
}

// GnuTLS's words for the versions from `min` to `max` with those ciphers; NULL: there are none.
static int priorities(const struct web_config *c, size_t min, size_t max, const char *exchange, gnutls_priority_t *out)
{
    char text[640] = "NONE:+COMP-NULL:+SIGN-ALL:+AEAD:+SHA1";
    *out = NULL;
    for (size_t i = max + 1; i-- > min;)
        add(text, sizeof text, versions[i].gnutls);
    add(text, sizeof text, exchange != NULL ? exchange : "ECDHE-ECDSA:+ECDHE-RSA");
    if (!add_ciphers(text, sizeof text, &c->cipher_suites, exchange))
        return 0;
    for (size_t i = 0; i < WEB_COUNT(curves); i++)
        if (c->curve_preferences.n == 0 || is_listed(&c->curve_preferences, curves[i].name))
            add(text, sizeof text, curves[i].gnutls);
    size_t len = strlen(text);
    snprintf(text + len, sizeof text - len, ":%%SERVER_PRECEDENCE");
    return gnutls_priority_init(out, text, NULL) == GNUTLS_E_SUCCESS ? 0 : CDNS_ENOMEM;
}

static int set_priorities(struct web_tls *t, const char *path, const struct web_config *c, const char *exchange,
                          char *error)
{
    size_t min = c->min_version.text != NULL ? find(versions, WEB_COUNT(versions), c->min_version.text) : TLS12;
    size_t max = c->max_version.text != NULL ? find(versions, WEB_COUNT(versions), c->max_version.text) : TLS13;
    if (min > max)
        return web_error(error, path, c->min_version.line > 0 ? c->min_version.line : c->max_version.line,
                         "min_version %s is above max_version %s: no client could connect", versions[min].name,
                         versions[max].name);
    int rc = priorities(c, min, max, NULL, &t->priorities);
    t->restricted = c->cipher_suites.n > 0;
    if (rc == 0 && t->restricted && min <= TLS12)
        rc = priorities(c, min, max < TLS12 ? max : TLS12, exchange, &t->up_to_tls12);
    return rc;
}

// Which version it will be is known, which cipher not yet. (The pointer for a session cache, which there is none of, is
// the one that libmicrohttpd leaves free in a session.)
static int on_hello(gnutls_session_t session)
{
    const struct web_tls *t = gnutls_db_get_ptr(session);
    if (!t->restricted || gnutls_protocol_get_version(session) >= GNUTLS_TLS1_3)
        return 0;
    return t->up_to_tls12 != NULL ? gnutls_priority_set(session, t->up_to_tls12) : GNUTLS_E_NO_CIPHER_SUITES;
}

bool web_tls_verifies(const struct web_tls *t)
{
    return t != NULL && t->client_auth->require && t->client_auth->verify;
}

// Certificates --------------------------------------------------------------------------------------------------------

static bool san_is_allowed(const struct web_tls *t, gnutls_x509_subject_alt_name_t type, const char *san, size_t size)
{
    char address[INET6_ADDRSTRLEN];
    if (type == GNUTLS_SAN_IPADDRESS && size != sizeof(struct in_addr) && size != sizeof(struct in6_addr))
        return false;
    if (type == GNUTLS_SAN_IPADDRESS)
        san = inet_ntop(size == sizeof(struct in6_addr) ? AF_INET6 : AF_INET, san, address, sizeof address);
    else if (strlen(san) != size) // a NUL in it: "a.example\0.other" is not "a.example"
        return false;
    else if (type != GNUTLS_SAN_DNSNAME && type != GNUTLS_SAN_RFC822NAME && type != GNUTLS_SAN_URI)
        return false;
    return san != NULL && is_listed(t->sans, san);
}

static bool has_allowed_san(const struct web_tls *t, const gnutls_datum_t *certificate)
{
    gnutls_x509_crt_t crt;
    bool good = false;
    if (gnutls_x509_crt_init(&crt) != GNUTLS_E_SUCCESS)
        return false;
    int rc = gnutls_x509_crt_import(crt, certificate, GNUTLS_X509_FMT_DER);
    for (unsigned i = 0; rc >= 0 && !good; i++) {
        char san[1024];
        size_t size = sizeof san - 1;
        rc = gnutls_x509_crt_get_subject_alt_name(crt, i, san, &size, NULL);
        if (rc == GNUTLS_E_SHORT_MEMORY_BUFFER) { // longer than any that is worth a line of the file
            rc = 0;
        } else if (rc >= 0) {
            san[size] = '\0';
            good = san_is_allowed(t, (gnutls_x509_subject_alt_name_t)rc, san, size);
        }
    }
    gnutls_x509_crt_deinit(crt);
    return good;
}

// Which alert ends the handshake; 0: none.
static int complaint(const struct web_tls *t, gnutls_session_t session)
{
    unsigned n = 0, status = 0;
    const gnutls_datum_t *chain = gnutls_certificate_get_peers(session, &n);
    if (n == 0 && t->client_auth->require)
        return gnutls_protocol_get_version(session) >= GNUTLS_TLS1_3 ? GNUTLS_A_CERTIFICATE_REQUIRED
                                                                     : GNUTLS_A_HANDSHAKE_FAILURE;
    if (n > 0 && t->client_auth->verify) {
        gnutls_typed_vdata_st purpose = {.type = GNUTLS_DT_KEY_PURPOSE_OID,
                                         .data = (unsigned char *)(uintptr_t)GNUTLS_KP_TLS_WWW_CLIENT};
        if (gnutls_certificate_verify_peers(session, &purpose, 1, &status) != GNUTLS_E_SUCCESS)
            return GNUTLS_A_BAD_CERTIFICATE;
        if ((status & GNUTLS_CERT_SIGNER_NOT_FOUND) != 0)
            return GNUTLS_A_UNKNOWN_CA;
        if ((status & GNUTLS_CERT_EXPIRED) != 0)
            return GNUTLS_A_CERTIFICATE_EXPIRED;
        if (status != 0)
            return GNUTLS_A_BAD_CERTIFICATE;
    }
    return t->sans != NULL && (n == 0 || !has_allowed_san(t, &chain[0])) ? GNUTLS_A_BAD_CERTIFICATE : 0;
}

static int verify(gnutls_session_t session)
{
    int alert = complaint(gnutls_db_get_ptr(session), session);
    if (alert != 0) // libmicrohttpd closes without a word
        (void)gnutls_alert_send(session, GNUTLS_AL_FATAL, (gnutls_alert_description_t)alert);
    return alert != 0 ? GNUTLS_E_CERTIFICATE_ERROR : 0;
}

static gnutls_datum_t datum(const struct web_blob *blob, const struct web_text *text)
{
    const char *data = blob->data != NULL ? blob->data : text->text;
    return (gnutls_datum_t){.data = (unsigned char *)(uintptr_t)data,
                            .size = (unsigned)(blob->data != NULL ? blob->len : strlen(data))};
}

// The key exchange of a certificate, up to TLS 1.2.
static const char *key_exchange(gnutls_certificate_credentials_t credentials)
{
    gnutls_x509_crt_t *chain = NULL;
    unsigned n = 0;
    int pk = GNUTLS_PK_UNKNOWN;
    if (gnutls_certificate_get_x509_crt(credentials, 0, &chain, &n) != GNUTLS_E_SUCCESS)
        return "ECDHE-ECDSA";
    if (n > 0)
        pk = gnutls_x509_crt_get_pk_algorithm(chain[0], NULL);
    for (unsigned i = 0; i < n; i++)
        gnutls_x509_crt_deinit(chain[i]);
    gnutls_free(chain);
    return pk == GNUTLS_PK_RSA || pk == GNUTLS_PK_RSA_PSS ? "ECDHE-RSA" : "ECDHE-ECDSA";
}

static int set_certificate(struct web_tls *t, const char *path, const struct web_config *c, const struct web_pems *pems,
                           char *error)
{
    const struct web_text *cert_at = c->cert_file.text != NULL ? &c->cert_file : &c->cert;
    const struct web_text *key_at = c->key_file.text != NULL ? &c->key_file : &c->key;
    if (cert_at->text == NULL)
        return web_error(error, path, 0, "tls_server_config: missing one of cert or cert_file");
    if (key_at->text == NULL)
        return web_error(error, path, 0, "tls_server_config: missing one of key or key_file");
    const gnutls_datum_t cert = datum(&pems->cert, &c->cert), key = datum(&pems->key, &c->key);
    int rc = gnutls_certificate_set_x509_key_mem2(t->credentials, &cert, &key, GNUTLS_X509_FMT_PEM, NULL, 0);
    if (rc >= 0)
        return 0;
    return web_error(error, path, cert_at->line, "failed to load X509KeyPair (%s, %s): %s",
                     c->cert_file.text != NULL ? c->cert_file.text : "cert",
                     c->key_file.text != NULL ? c->key_file.text : "key", gnutls_strerror(rc));
}

static int set_client_cas(struct web_tls *t, const char *path, const struct web_config *c, const struct web_pems *pems,
                          char *error)
{
    const struct web_text *at = c->client_ca_file.text != NULL ? &c->client_ca_file : &c->client_ca;
    if (at->text == NULL) {
        t->system_cas = t->client_auth->verify; // what Go takes when there are no others
        if (t->system_cas && gnutls_certificate_set_x509_system_trust(t->credentials) < 0)
            return web_error(error, path, c->client_auth_type.line,
                             "%s: this system has no CA certificates: name them in client_ca_file",
                             t->client_auth->name);
        return 0;
    }
    if (!t->client_auth->ask)
        return web_error(error, path, at->line,
                         "client CA's have been configured without a Client Auth Policy: set client_auth_type to "
                         "RequireAndVerifyClientCert");
    const gnutls_datum_t cas = datum(&pems->client_ca, &c->client_ca);
    int rc = gnutls_certificate_set_x509_trust_mem(t->credentials, &cas, GNUTLS_X509_FMT_PEM);
    if (rc > 0)
        return 0;
    return web_error(error, path, at->line, "no CA certificate in %s: %s",
                     c->client_ca_file.text != NULL ? c->client_ca_file.text : "client_ca",
                     rc < 0 ? gnutls_strerror(rc) : "it is empty");
}

int web_tls_new(const char *path, const struct web_config *c, const struct web_pems *pems, struct web_tls **out,
                char *error)
{
    struct web_tls *t = calloc(1, sizeof *t);
    if (t == NULL || gnutls_certificate_allocate_credentials(&t->credentials) != GNUTLS_E_SUCCESS) {
        free(t);
        return CDNS_ENOMEM;
    }
    t->client_auth = find_client_auth(c->client_auth_type.text != NULL ? c->client_auth_type.text : "NoClientCert");
    t->sans = c->client_allowed_sans.given ? &c->client_allowed_sans : NULL;
    int rc = set_certificate(t, path, c, pems, error);
    if (rc == 0)
        rc = set_client_cas(t, path, c, pems, error);
    if (rc == 0)
        rc = set_priorities(t, path, c, key_exchange(t->credentials), error);
    if (rc != 0) {
        web_tls_free(t);
        return rc;
    }
    *out = t;
    return 0;
}

void web_tls_free(struct web_tls *t)
{
    if (t == NULL)
        return;
    gnutls_certificate_free_credentials(t->credentials);
    if (t->priorities != NULL)
        gnutls_priority_deinit(t->priorities);
    if (t->up_to_tls12 != NULL)
        gnutls_priority_deinit(t->up_to_tls12);
    free(t);
}

bool web_tls_begin(const struct web_tls *t, gnutls_session_t session)
{
    if (gnutls_priority_set(session, t->priorities) != GNUTLS_E_SUCCESS ||
        gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, t->credentials) != GNUTLS_E_SUCCESS)
        return false;
    gnutls_db_set_ptr(session, (void *)(uintptr_t)t);
    gnutls_handshake_set_post_client_hello_function(session, on_hello);
    if (t->client_auth->ask) {
        gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUEST); // verify() knows who must have one
        gnutls_session_set_verify_function(session, verify);
        gnutls_certificate_send_x509_rdn_sequence(session, t->system_cas);
    }
    return true;
}
