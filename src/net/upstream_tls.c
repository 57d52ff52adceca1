// SPDX-License-Identifier: Apache-2.0
// DNS over TLS (RFC 7858): who the other end is, and bytes through OpenSSL on a descriptor that does not block.
//
// OpenSSL writes with write(): the process ignores SIGPIPE (server/lifecycle.c), threads block it (base/thread.c).
#include "net/upstream_private.h"
#include <arpa/inet.h>
#include <clusterdns/config.h>
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#define OPENSSL_DONE 1 // what OpenSSL's functions return when all is well

// The newest session of any connection is what the next one resumes.
static int on_session(SSL *ssl, SSL_SESSION *session)
{
    struct upstream *u = SSL_get_app_data(ssl);
    pthread_mutex_lock(&u->session_lock);
    SSL_SESSION *old = u->session;
    u->session = session;
    pthread_mutex_unlock(&u->session_lock);
    SSL_SESSION_free(old);
    return 1; // it is ours now
}

// TLS 1.3: each ticket once (RFC 8446 §C.4).
static void resume(struct upstream *u, SSL *ssl)
{
    pthread_mutex_lock(&u->session_lock);
    SSL_SESSION *session = u->session;
    if (session != NULL && SSL_SESSION_get_protocol_version(session) >= TLS1_3_VERSION)
        u->session = NULL;
    else if (session != NULL)
        (void)SSL_SESSION_up_ref(session);
    pthread_mutex_unlock(&u->session_lock);
    if (session == NULL)
        return;
    (void)SSL_set_session(ssl, session); // without it the handshake is a full one
    SSL_SESSION_free(session);
}

// The text of OpenSSL's first error.
static const char *first_error(void)
{
    unsigned long code = ERR_peek_error();
    const char *text = code != 0 ? ERR_reason_error_string(code) : NULL;
    return text != NULL ? text : ERR_SYSTEM_ERROR(code) ? strerrordesc_np(ERR_GET_REASON(code)) : "unknown error";
}

static int load_files(SSL_CTX *ctx, const struct upstream_options *o, char *error)
{
    ERR_clear_error();
    if (o->tls_cert != NULL && (SSL_CTX_use_certificate_chain_file(ctx, o->tls_cert) != OPENSSL_DONE ||
                                SSL_CTX_use_PrivateKey_file(ctx, o->tls_key, SSL_FILETYPE_PEM) != OPENSSL_DONE ||
                                SSL_CTX_check_private_key(ctx) != OPENSSL_DONE)) {
        (void)snprintf(error, CONFIG_ERROR_MAX, "could not load TLS cert: %s, %s: %s", o->tls_cert, o->tls_key,
                       first_error());
        return CDNS_ECONFIG;
    }
    int rc = o->tls_ca != NULL ? SSL_CTX_load_verify_file(ctx, o->tls_ca) : SSL_CTX_set_default_verify_paths(ctx);
    if (rc == OPENSSL_DONE)
        return 0;
    (void)snprintf(error, CONFIG_ERROR_MAX, "error reading %s: %s", o->tls_ca != NULL ? o->tls_ca : "the system's CAs",
                   first_error());
    return CDNS_ECONFIG;
}

int tls_context(struct upstream *u, char *error)
{
    static const uint8_t protocol[] = {3, 'd', 'o', 't'}; // ALPN, as IANA has it for RFC 7858
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    u->tls = ctx;
    if (ctx == NULL || SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != OPENSSL_DONE ||
        SSL_CTX_set_alpn_protos(ctx, protocol, sizeof(protocol)) != 0)
        return CDNS_ENOMEM;
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    // Messages have their own lengths: an end without notice cuts nothing short that would not be seen.
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(ctx,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, on_session);
    return load_files(ctx, &u->options, error);
}

// Whom the certificate has to be for: a name (RFC 8310 §8.1), or an address in its subjectAltName.
static bool set_peer(SSL *ssl, const struct upstream_options *o)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    uint8_t address[sizeof(struct in6_addr)];
    const char *name = o->tls_name;
    if (name == NULL && o->address.sa.sa_family == AF_INET6)
        return X509_VERIFY_PARAM_set1_ip(param, o->address.in6.sin6_addr.s6_addr, sizeof(struct in6_addr)) ==
               OPENSSL_DONE;
    if (name == NULL)
        return X509_VERIFY_PARAM_set1_ip(param, (const uint8_t *)&o->address.in.sin_addr, sizeof(struct in_addr)) ==
               OPENSSL_DONE;
    if (inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(param, name) == OPENSSL_DONE;
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(ssl, name) == OPENSSL_DONE && SSL_set_tlsext_host_name(ssl, name) == OPENSSL_DONE;
}

SSL *tls_client(struct upstream *u, int fd)
{
    SSL *ssl = SSL_new(u->tls);
    if (ssl == NULL)
        return NULL;
    if (SSL_set_fd(ssl, fd) != OPENSSL_DONE || !set_peer(ssl, &u->options)) {
        SSL_free(ssl);
        return NULL;
    }
    SSL_set_app_data(ssl, u);
    SSL_set_connect_state(ssl);
    resume(u, ssl);
    return ssl;
}

static int result_of(SSL *ssl, int n, int *events)
{
    if (n > 0)
        return n;
    switch (SSL_get_error(ssl, n)) {
    case SSL_ERROR_WANT_READ:
        *events = UV_READABLE;
        return TLS_AGAIN;
    case SSL_ERROR_WANT_WRITE:
        *events = UV_WRITABLE;
        return TLS_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    default:
        return TLS_FAILED;
    }
}

int tls_handshake(SSL *ssl, int *events)
{
    ERR_clear_error();
    errno = 0;
    return result_of(ssl, SSL_do_handshake(ssl), events);
}

int tls_read(SSL *ssl, void *data, size_t size, int *events)
{
    ERR_clear_error();
    errno = 0;
    return result_of(ssl, SSL_read(ssl, data, size > INT_MAX ? INT_MAX : (int)size), events);
}

int tls_write(SSL *ssl, const void *data, size_t size, int *events)
{
    ERR_clear_error();
    errno = 0;
    return result_of(ssl, SSL_write(ssl, data, size > INT_MAX ? INT_MAX : (int)size), events);
}

bool tls_pending(const SSL *ssl)
{
    return ssl != NULL && SSL_pending(ssl) > 0;
}

int tls_failure(SSL *ssl, char *text, size_t size)
{
    int system = errno;
    long verified = SSL_get_verify_result(ssl);
    if (verified != X509_V_OK) {
        (void)snprintf(text, size, "certificate not accepted: %s", X509_verify_cert_error_string(verified));
        return CDNS_EDENIED;
    }
    if (ERR_peek_error() != 0 && !ERR_SYSTEM_ERROR(ERR_peek_error()))
        (void)snprintf(text, size, "TLS: %s", first_error());
    else if (system != 0)
        (void)snprintf(text, size, "%s", socket_reason(system));
    else
        (void)snprintf(text, size, "connection closed in the TLS handshake");
    return CDNS_EIO;
}

void tls_free(SSL *ssl, bool failed)
{
    // Not after an error, nor before the handshake has ended (SSL_shutdown(3)).
    if (ssl != NULL && !failed && SSL_is_init_finished(ssl))
        (void)SSL_shutdown(ssl);
    ERR_clear_error();
    SSL_free(ssl);
}
