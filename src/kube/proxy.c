// SPDX-License-Identifier: Apache-2.0
#include "kube/proxy.h"
#include <arpa/inet.h>
#include <curl/curl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENTRY_MAX 300 // bytes of an entry of NO_PROXY; a longer one names nothing

// ---- the proxy's own URL ----

static const struct scheme {
    const char *name, *of_curl, *port;
} schemes[] = {
    {"http", "http", "80"}, {"https", "https", "443"}, {"socks5", "socks5h", "1080"}, {"socks5h", "socks5h", "1080"}};

static const struct scheme *find_scheme(CURLU *url)
{
    const struct scheme *found = NULL;
    char *name = NULL;
    if (curl_url_get(url, CURLUPART_SCHEME, &name, 0) == CURLUE_OK)
        for (size_t i = 0; i < sizeof schemes / sizeof schemes[0] && found == NULL; i++)
            found = strcmp(name, schemes[i].name) == 0 ? &schemes[i] : NULL;
    curl_free(name);
    return found;
}

static bool set_scheme(CURLU *url, const struct scheme *scheme)
{
    char *port = NULL;
    bool good = curl_url_set(url, CURLUPART_SCHEME, scheme->of_curl, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK;
    if (good && curl_url_get(url, CURLUPART_PORT, &port, 0) != CURLUE_OK)
        good = curl_url_set(url, CURLUPART_PORT, scheme->port, 0) == CURLUE_OK;
    curl_free(port);
    return good;
}

int proxy_url(const char *text, char **out)
{
    CURLU *url = curl_url();
    char *whole = NULL;
    bool read = url != NULL && curl_url_set(url, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK;
    const struct scheme *scheme = read ? find_scheme(url) : NULL;
    *out = NULL;
    if (scheme != NULL && set_scheme(url, scheme) && curl_url_get(url, CURLUPART_URL, &whole, 0) == CURLUE_OK)
        *out = strdup(whole);
    curl_free(whole);
    curl_url_cleanup(url);
    return *out != NULL ? 0 : url != NULL && scheme == NULL ? CDNS_EINVAL : CDNS_ENOMEM;
}

// ---- what is asked for without it ----

struct address {
    int family; // 0: none
    uint8_t bytes[16];
};

static struct address read_address(const char *text)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    struct address a = {0};
    if (inet_pton(AF_INET, text, a.bytes) == 1) {
        a.family = AF_INET;
    } else if (inet_pton(AF_INET6, text, a.bytes) == 1) {
        a.family = AF_INET6;
        if (memcmp(a.bytes, mapped, sizeof mapped) == 0) { // an IPv4 address in IPv6's clothes
            memmove(a.bytes, a.bytes + 12, 4);
            a.family = AF_INET;
        }
    }
    return a;
}

static bool same_bits(const struct address *a, const struct address *b, unsigned bits)
{
    if (a->family != b->family || memcmp(a->bytes, b->bytes, bits / 8) != 0)
        return false;
    unsigned rest = bits % 8;
    return rest == 0 || ((a->bytes[bits / 8] ^ b->bytes[bits / 8]) >> (8 - rest)) == 0;
}

static unsigned width(const struct address *a)
{
    return a->family == AF_INET ? 32 : 128;
}

static bool is_this_machine(const char *host)
{
    static const struct address six = {AF_INET6, {[15] = 1}};
    struct address a = read_address(host);
    return strcmp(host, "localhost") == 0 || (a.family == AF_INET && a.bytes[0] == 127) ||
           (a.family == AF_INET6 && same_bits(&a, &six, 128));
}

// "10.0.0.0/8". Sets whether the entry is a prefix at all.
static bool prefix_names(const char *entry, const struct address *host, bool *prefix)
{
    char text[ENTRY_MAX], *end;
    const char *slash = strchr(entry, '/');
    *prefix = false;
    if (slash == NULL || slash[1] < '0' || slash[1] > '9')
        return false;
    snprintf(text, sizeof text, "%.*s", (int)(slash - entry), entry);
    struct address base = read_address(text);
    unsigned long bits = strtoul(slash + 1, &end, 10);
    *prefix = base.family != 0 && *end == '\0' && bits <= width(&base);
    return *prefix && same_bits(&base, host, (unsigned)bits);
}

// Cuts ":PORT" off, and with it brackets around an address; returns the port, NULL: none. "fd00::1" has none.
static const char *cut_port(char **entry)
{
    char *colon = strrchr(*entry, ':');
    if (colon == NULL)
        return NULL;
    if (**entry == '[' && colon[-1] == ']') {
        *entry += 1;
        colon[-1] = '\0';
    } else if (strchr(*entry, ':') != colon) {
        return NULL;
    }
    *colon = '\0';
    return colon + 1;
}

static bool domain_names(const char *domain, const char *host)
{
    if (strncmp(domain, "*.", 2) == 0)
        domain++;
    size_t len = strlen(domain), host_len = strlen(host);
    if (host_len <= len) // nothing is below it
        return strcasecmp(domain, host) == 0 && *domain != '.';
    const char *tail = host + host_len - len;
    return strcasecmp(tail, domain) == 0 && (*domain == '.' || tail[-1] == '.');
}

static bool entry_names(char *entry, const char *host, const char *port)
{
    struct address of_host = read_address(host);
    bool prefix, named = prefix_names(entry, &of_host, &prefix);
    if (prefix)
        return named;
    const char *only_port = cut_port(&entry);
    struct address of_entry = read_address(entry);
    if (*entry == '\0')
        return false;
    if (of_entry.family != 0)
        named = same_bits(&of_entry, &of_host, width(&of_entry));
    else
        named = of_host.family == 0 && domain_names(entry, host);
    return named && (only_port == NULL || *only_port == '\0' || strcmp(only_port, port) == 0);
}

bool proxy_is_excepted(const char *list, const char *host, const char *port)
{
    static const char space[] = " \t\r\n\v\f";
    bool excepted = false;
    for (const char *at = list, *end; !excepted; at = end + 1) {
        char entry[ENTRY_MAX] = "";
        end = strchrnul(at, ',');
        at += strspn(at, space);
        size_t len = at < end ? (size_t)(end - at) : 0;
        while (len > 0 && strchr(space, at[len - 1]) != NULL)
            len--;
        if (len < sizeof entry)
            memcpy(entry, at, len);
        excepted = strcmp(entry, "*") == 0 || (*entry != '\0' && entry_names(entry, host, port));
        if (*end == '\0')
            break;
    }
    return excepted;
}

// ---- environment ----

// The lower case comes first, and an empty value is none.
static const char *variable(const char *lower, const char *upper)
{
    const char *text = getenv(lower);
    if (text == NULL || *text == '\0')
        text = getenv(upper);
    return text != NULL ? text : "";
}

// Is the server, an http or https URL, one that no proxy is asked for?
static bool is_direct(CURLU *server)
{
    char *host = NULL, *port = NULL;
    bool direct = curl_url_get(server, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
                  curl_url_get(server, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) != CURLUE_OK;
    if (!direct) {
        char *bare = host;
        if (*bare == '[')
            *strchrnul(++bare, ']') = '\0';
        direct = is_this_machine(bare) || proxy_is_excepted(variable("no_proxy", "NO_PROXY"), bare, port);
    }
    curl_free(host);
    curl_free(port);
    return direct;
}

int proxy_of_environment(const char *server, char **out)
{
    bool tls = strncasecmp(server, "https://", 8) == 0;
    const char *text = tls ? variable("https_proxy", "HTTPS_PROXY") : variable("http_proxy", "HTTP_PROXY");
    *out = NULL;
    if (*text == '\0')
        return 0;
    CURLU *url = curl_url();
    if (url == NULL)
        return CDNS_ENOMEM;
    (void)curl_url_set(url, CURLUPART_URL, server, 0);
    bool direct = is_direct(url);
    curl_url_cleanup(url);
    if (direct)
        return 0;
    if (asprintf(out, "%s%s", strstr(text, "://") != NULL ? "" : "http://", text) >= 0)
        return 0;
    *out = NULL;
    return CDNS_ENOMEM;
}
