// SPDX-License-Identifier: Apache-2.0
#include "kube/request.h"
#include "kube/client.h"
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// libcurl's receive buffer of one request, bytes. A larger one saves nothing: it reads one TLS record after the other.
#define BUFFER_SIZE 16384L

// Appends formatted text to a list; false when memory is short.
static bool add(struct curl_slist **list, const char *fmt, ...) CDNS_PRINTF(2, 3);
static bool add(struct curl_slist **list, const char *fmt, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, fmt);
    int n = vasprintf(&text, fmt, args);
    va_end(args);
    if (n < 0)
        return false;
    struct curl_slist *longer = curl_slist_append(*list, text);
    explicit_bzero(text, (size_t)n); // it can be a token
    free(text);
    if (longer != NULL)
        *list = longer;
    return longer != NULL;
}

// ---- whom to trust, who we are ----

static void blob(CURL *easy, CURLoption option, const struct secret *s)
{
    // A copy: credentials may change while libcurl still compares connections by it.
    struct curl_blob b = {.data = s->text, .len = s->len, .flags = CURL_BLOB_COPY};
    curl_easy_setopt(easy, option, &b);
}

// Blobs are part of what libcurl tells connections apart by: a changed CA or certificate gets connections of its own.
static void set_tls(CURL *easy, const struct credentials *c)
{
    curl_easy_setopt(easy, CURLOPT_CAPATH, NULL); // else the public CAs would be trusted beside the cluster's
    curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, 0L);
    curl_easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (c->insecure) {
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
    } else if (c->ca.text != NULL) {
        blob(easy, CURLOPT_CAINFO_BLOB, &c->ca);
    }
    if (c->cert.text != NULL) {
        blob(easy, CURLOPT_SSLCERT_BLOB, &c->cert);
        blob(easy, CURLOPT_SSLKEY_BLOB, &c->key);
    }
}

static bool set_identity(struct request *r, const struct credentials *c)
{
    // Whoever listens on the way could use them: as client-go, only over TLS.
    if (strncasecmp(c->server, "https://", 8) != 0)
        return true;
    if (c->token.text != NULL)
        return add(&r->headers, "Authorization: Bearer %s", c->token.text);
    if (c->username != NULL) {
        curl_easy_setopt(r->easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
        curl_easy_setopt(r->easy, CURLOPT_USERNAME, c->username);
        curl_easy_setopt(r->easy, CURLOPT_PASSWORD, c->password != NULL ? c->password : "");
    }
    return true;
}

// ---- where to ----

// An https proxy's certificate is verified like the API server's, as by client-go.
static void set_proxy(CURL *easy, const struct credentials *c)
{
    curl_easy_setopt(easy, CURLOPT_PROXY, c->proxy_url != NULL ? c->proxy_url : ""); // "": not libcurl's own choice
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "");
    curl_easy_setopt(easy, CURLOPT_PROXY_CAPATH, NULL);
    if (c->insecure) {
        curl_easy_setopt(easy, CURLOPT_PROXY_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(easy, CURLOPT_PROXY_SSL_VERIFYHOST, 0L);
    } else if (c->ca.text != NULL) {
        blob(easy, CURLOPT_PROXY_CAINFO_BLOB, &c->ca);
    }
}

// With tls-server-name the URL has that name, so that SNI and verification go by it, and the connection is led to the
// real host, whose name stays in the Host header.
static bool rename_host(struct request *r, CURLU *url, const char *name, const char *host)
{
    char *port = NULL;
    bool good = curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
                curl_url_set(url, CURLUPART_HOST, name, 0) == CURLUE_OK &&
                add(&r->connect_to, "%s:%s:%s:%s", name, port, host, port) &&
                add(&r->headers, "Host: %s:%s", host, port);
    curl_easy_setopt(r->easy, CURLOPT_CONNECT_TO, r->connect_to);
    curl_free(port);
    return good;
}

static bool set_path(struct request *r, CURLU *url, const char *path)
{
    char *base = NULL, *full = NULL;
    if (curl_url_get(url, CURLUPART_URL, &base, 0) != CURLUE_OK)
        return false;
    size_t len = strlen(base);
    while (len > 0 && base[len - 1] == '/')
        len--;
    bool good = asprintf(&full, "%.*s%s", (int)len, base, path) >= 0;
    curl_free(base);
    if (good) {
        curl_easy_setopt(r->easy, CURLOPT_URL, full);
        free(full);
    }
    return good;
}

static bool set_url(struct request *r, const struct credentials *c, const char *path)
{
    CURLU *url = curl_url();
    char *host = NULL;
    bool good = url != NULL && curl_url_set(url, CURLUPART_URL, c->server, 0) == CURLUE_OK &&
                curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK;
    if (good && c->tls_server_name != NULL)
        good = rename_host(r, url, c->tls_server_name, host);
    good = good && set_path(r, url, path);
    curl_free(host);
    curl_url_cleanup(url);
    return good;
}

// ---- how ----

static int on_new_socket(void *arg, curl_socket_t fd, curlsocktype purpose)
{
    (void)arg;
    (void)purpose;
    unsigned ms = CLIENT_DEAD_PEER_MS;
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof ms);
    return CURL_SOCKOPT_OK;
}

static void set_transport(CURL *easy, bool fresh)
{
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); // ending a request does not wait for its name to be resolved
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L); // a proxy's 200 is not the server's
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "clusterdns/" CDNS_VERSION);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, BUFFER_SIZE);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, (long)CLIENT_CONNECT_SECONDS);
    curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, 0L); // the name may lead to another address since it was lost
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, 30L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, 15L);
    curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, on_new_socket);
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, fresh ? 1L : 0L);
}

int request_init(struct request *r, const struct credentials *c, const char *path, const char *accept, bool fresh)
{
    *r = (struct request){.easy = curl_easy_init()};
    if (r->easy == NULL)
        return CDNS_ENOMEM;
    set_transport(r->easy, fresh);
    set_tls(r->easy, c);
    set_proxy(r->easy, c);
    // Only lists are compressed, by an API server that finds them large. Both sides spend as much CPU as without: what
    // zlib takes, TLS and the kernel save, for a tenth of the bytes. It is undone as it streams, a buffer at a time.
    if (!c->uncompressed)
        curl_easy_setopt(r->easy, CURLOPT_ACCEPT_ENCODING, "gzip");
    bool good = set_url(r, c, path) && set_identity(r, c) && add(&r->headers, "Accept: %s", accept);
    curl_easy_setopt(r->easy, CURLOPT_HTTPHEADER, r->headers);
    return good ? 0 : CDNS_ENOMEM;
}

void request_clear(struct request *r)
{
    curl_easy_cleanup(r->easy);
    curl_slist_free_all(r->headers);
    curl_slist_free_all(r->connect_to);
}
