// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Certificates made on the spot, and a server in a thread that answers every question over TLS.
#include "upstream_test.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

struct identity {
    EVP_PKEY *key;
    X509 *cert;
};

static inline void add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(cert, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

/// A certificate valid from `from` to `to` seconds from now, signed by `ca` (NULL: a CA of its own). `names` is a
/// subjectAltName; NULL: none.
static inline struct identity make_identity(const struct identity *ca, const char *names, long from, long to)
{
    static long serial = 1;
    struct identity id = {.key = EVP_EC_gen("P-256"), .cert = X509_new()};
    assert_non_null(id.key);
    assert_non_null(id.cert);
    X509 *issuer = ca != NULL ? ca->cert : id.cert;
    X509_set_version(id.cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(id.cert), serial++);
    X509_gmtime_adj(X509_getm_notBefore(id.cert), from);
    X509_gmtime_adj(X509_getm_notAfter(id.cert), to);
    X509_set_pubkey(id.cert, id.key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(id.cert), "CN", MBSTRING_ASC,
                               (const uint8_t *)(ca != NULL ? "server" : "test CA"), -1, -1, 0);
    X509_set_issuer_name(id.cert, X509_get_subject_name(issuer));
    add_extension(id.cert, issuer, NID_basic_constraints, ca != NULL ? "CA:FALSE" : "critical,CA:TRUE");
    if (names != NULL)
        add_extension(id.cert, issuer, NID_subject_alt_name, names);
    assert_true(X509_sign(id.cert, ca != NULL ? ca->key : id.key, EVP_sha256()) > 0);
    return id;
}

static inline void free_identity(struct identity *id)
{
    EVP_PKEY_free(id->key);
    X509_free(id->cert);
}

/// Writes a temporary PEM file of the certificate, or of the key. Its name is in `path`.
static inline void write_pem(char path[32], X509 *cert, EVP_PKEY *key)
{
    (void)snprintf(path, 32, "/tmp/upstream-test-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    FILE *file = fdopen(fd, "w");
    assert_non_null(file);
    assert_int_equal(
        cert != NULL ? PEM_write_X509(file, cert) : PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
    (void)fclose(file);
}

enum tls_manner {
    TLS_ANSWERS,
    TLS_STALLS,          ///< takes the connection and says nothing
    TLS_CLOSES,          ///< in the handshake
    TLS_SPEAKS_PLAINLY,  ///< no TLS
    TLS_ONE_ANSWER_EACH, ///< then closes
};

struct tls_server {
    int listener, stop[2];
    union sockaddr_any address;
    pthread_t thread;
    SSL_CTX *ctx;
    enum tls_manner manner;
    size_t padding; // bytes behind each answer
    atomic_uint connections, resumed, dot;
    atomic_uint alerts; // handshakes that the client ended
    char name[64];      // last SNI; to be read after the end
};

static inline int choose_protocol(SSL *ssl, const uint8_t **out, uint8_t *out_len, const uint8_t *in, unsigned in_len,
                                  void *arg)
{
    struct tls_server *s = arg;
    (void)ssl;
    if (in_len != 4 || memcmp(in, "\3dot", 4) != 0)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    atomic_fetch_add(&s->dot, 1);
    *out = in + 1;
    *out_len = 3;
    return SSL_TLSEXT_ERR_OK;
}

static inline bool ssl_read_all(SSL *ssl, uint8_t *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        int n = SSL_read(ssl, data + done, (int)(size - done));
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

static inline void answer_all(struct tls_server *s, SSL *ssl)
{
    static _Thread_local uint8_t frame[2 + 65535];
    for (;;) {
        if (!ssl_read_all(ssl, frame, 2))
            return;
        size_t size = (size_t)frame[0] << 8 | frame[1];
        if (!ssl_read_all(ssl, frame + 2, size))
            return;
        frame[4] |= 0x80;
        memset(frame + 2 + size, 'p', s->padding);
        size += s->padding;
        frame[0] = (uint8_t)(size >> 8);
        frame[1] = (uint8_t)size;
        if (SSL_write(ssl, frame, (int)(2 + size)) <= 0 || s->manner == TLS_ONE_ANSWER_EACH)
            return;
    }
}

static inline void serve_tls(struct tls_server *s, int fd)
{
    SSL *ssl = SSL_new(s->ctx);
    SSL_set_fd(ssl, fd);
    if (SSL_accept(ssl) == 1) {
        atomic_fetch_add(&s->resumed, (unsigned)SSL_session_reused(ssl));
        const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
        (void)snprintf(s->name, sizeof(s->name), "%s", name != NULL ? name : "");
        answer_all(s, ssl);
        SSL_shutdown(ssl);
    } else {
        atomic_fetch_add(&s->alerts, 1);
    }
    SSL_free(ssl);
    ERR_clear_error();
}

static inline void *tls_server_run(void *arg)
{
    struct tls_server *s = arg;
    for (;;) {
        struct pollfd fds[] = {{.fd = s->listener, .events = POLLIN}, {.fd = s->stop[0], .events = POLLIN}};
        if (poll(fds, 2, -1) < 0 || fds[1].revents != 0)
            return NULL;
        int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
        struct timeval patience = {.tv_sec = 5}; // a failing test must end
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
        atomic_fetch_add(&s->connections, 1);
        struct pollfd client = {.fd = fd, .events = POLLIN};
        char hello[4096];
        switch (s->manner) {
        case TLS_STALLS:
            (void)poll(&fds[1], 1, -1);
            break;
        case TLS_CLOSES:
            (void)poll(&client, 1, 5000);
            (void)!recv(fd, hello, sizeof(hello), 0);
            break;
        case TLS_SPEAKS_PLAINLY:
            (void)!write(fd, "220 smtp.example\r\n", 18);
            (void)poll(&client, 1, 5000);
            (void)!recv(fd, hello, sizeof(hello), 0);
            break;
        case TLS_ANSWERS:
        case TLS_ONE_ANSWER_EACH:
            serve_tls(s, fd);
            break;
        }
        close(fd);
    }
}

/// Starts a server on 127.0.0.1; with a highest version of the protocol, 0: any.
static inline struct tls_server *start_tls(const struct identity *id, enum tls_manner manner, int version)
{
    struct tls_server *s = calloc(1, sizeof(*s));
    assert_non_null(s);
    (void)signal(SIGPIPE, SIG_IGN);
    s->manner = manner;
    s->listener = serve_at("127.0.0.1", SOCK_STREAM, &s->address);
    assert_int_equal(listen(s->listener, 16), 0);
    assert_int_equal(pipe(s->stop), 0);
    s->ctx = SSL_CTX_new(TLS_server_method());
    assert_int_equal(SSL_CTX_use_certificate(s->ctx, id->cert), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(s->ctx, id->key), 1);
    assert_int_equal(SSL_CTX_set_max_proto_version(s->ctx, version), 1);
    SSL_CTX_set_alpn_select_cb(s->ctx, choose_protocol, s);
    return s;
}

static inline void run_tls(struct tls_server *s)
{
    assert_int_equal(pthread_create(&s->thread, NULL, tls_server_run, s), 0);
}

static inline void stop_tls(struct tls_server *s)
{
    close(s->stop[1]);
    pthread_join(s->thread, NULL);
    close(s->stop[0]);
    close(s->listener);
    SSL_CTX_free(s->ctx);
    free(s);
}
