// SPDX-License-Identifier: Apache-2.0
// What stands behind TO: an address with its scheme, port and TLS name, or a file. As CoreDNS's plugin/pkg/parse.
#include "plugins/forward/forward.h"

#include <arpa/inet.h>
#include <clusterdns/quote.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_LONGEST (1U << 20) // bytes of a resolv.conf

// --- TO

static const struct scheme {
    const char *name, *prefix;
    uint16_t port;
    bool good;
} schemes[] = {
    {"dns", "dns://", 53, true},     {"tls", "tls://", 853, true},        {"quic", "quic://", 853, false},
    {"grpc", "grpc://", 443, false}, {"https3", "https3://", 443, false}, {"https", "https://", 443, false},
    {"unix", "unix://", 0, false},
};

// The text's scheme, "dns" if it has none, and what is behind it.
static const struct scheme *take_scheme(const char **text)
{
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        size_t len = strlen(schemes[i].prefix);
        if (strncmp(*text, schemes[i].prefix, len) == 0) {
            *text += len;
            return &schemes[i];
        }
    }
    return &schemes[0];
}

// Cuts "host:port" or "[host]:port" as Go's net.SplitHostPort does: false if there is no port. `text` is changed.
static bool cut_port(char *text, char **host, const char **port)
{
    char *colon = strrchr(text, ':');
    if (colon == NULL)
        return false;
    if (text[0] == '[') {
        char *end = strchr(text, ']');
        if (end == NULL || end + 1 != colon)
            return false;
        *end = '\0';
        *host = text + 1;
    } else {
        if (strchr(text, ':') != colon)
            return false;
        *colon = '\0';
        *host = text;
    }
    *port = colon + 1;
    return true;
}

// The text without brackets at its ends; it is changed.
static char *without_brackets(char *text)
{
    while (*text == '[' || *text == ']')
        text++;
    for (size_t n = strlen(text); n > 0 && (text[n - 1] == '[' || text[n - 1] == ']'); n--)
        text[n - 1] = '\0';
    return text;
}

// "%name" behind the last per cent sign, and without what brackets it; NULL: none. `host` ends before it.
static const char *cut_name(char *host)
{
    char *percent = strrchr(host, '%');
    if (percent == NULL)
        return NULL;
    *percent = '\0';
    size_t len = strlen(percent + 1);
    if (len > 0 && percent[len] == ']')
        percent[len] = '\0';
    return percent[1] != '\0' ? percent + 1 : NULL;
}

static bool is_file(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

bool target_is_address(const char *text)
{
    char copy[INET6_ADDRSTRLEN + 16], *host = copy;
    const char *port;
    union sockaddr_any address;
    if (strlen(text) >= sizeof copy || strchr(text, '%') != NULL)
        return false;
    memcpy(copy, text, strlen(text) + 1);
    (void)cut_port(copy, &host, &port);
    return address_read(host, 0, &address);
}

// An address, with a "%name" of TLS or of an interface.
static bool read_address(const struct scheme *scheme, char *host, struct target *out)
{
    out->tls = strcmp(scheme->name, "tls") == 0;
    out->tls_name = out->tls ? cut_name(host) : NULL;
    return (!out->tls || strchr(host, '%') == NULL) && address_read(host, scheme->port, &out->address);
}

// Sets the target's port to what the text says.
static int read_port(struct config *c, const struct token *t, const char *text, struct target *out)
{
    int64_t number;
    char quoted[CONFIG_ERROR_MAX / 2];
    if (config_integer(text, &number, NULL) != 0 || number < 1 || number > UINT16_MAX)
        return config_plain_errorf(c, t, "invalid port in %s", quote(t->text, quoted, sizeof quoted));
    out->address.in.sin_port = htons((uint16_t)number); // where IPv6 has it too
    return 0;
}

int target_read(struct config *c, const struct token *t, struct to *out)
{
    char quoted[CONFIG_ERROR_MAX / 2], *host;
    const char *text = t->text, *port = NULL;
    const struct scheme *scheme = take_scheme(&text);
    *out = (struct to){0};
    if (*text == '\0')
        return config_plain_errorf(c, t, "invalid address: %s", quote(t->text, quoted, sizeof quoted));
    char *copy = arena_strndup(c->arena, text, strlen(text));
    if (copy == NULL)
        return CDNS_ENOMEM;
    if (!cut_port(copy, &host, &port))
        host = without_brackets(copy);
    bool address = read_address(scheme, host, &out->target);
    if (!scheme->good && (address || scheme->port == 0))
        return config_plain_errorf(c, t, "'%s' is not supported as a destination protocol in forward: %s", scheme->name,
                                   t->text);
    if (address)
        return port != NULL ? read_port(c, t, port, &out->target) : 0;
    if (!is_file(text))
        return config_plain_errorf(c, t, "not an IP address or file: %s (host names are not looked up)",
                                   quote(t->text, quoted, sizeof quoted));
    out->path = text;
    return 0;
}

// --- lists

static bool same_target(const struct target *a, const struct target *b)
{
    const char *x = a->tls_name != NULL ? a->tls_name : "", *y = b->tls_name != NULL ? b->tls_name : "";
    return a->tls == b->tls && address_port_equal(&a->address, &b->address) && strcasecmp(x, y) == 0;
}

// Adds a target that is not in the list. False: the list is full.
static bool add(struct targets *list, const struct target *t)
{
    for (unsigned i = 0; i < list->n; i++)
        if (same_target(&list->all[i], t))
            return true;
    if (list->n == FORWARD_UPSTREAMS)
        return false;
    list->all[list->n++] = *t;
    return true;
}

struct from_file {
    struct targets *list;
    bool full;
};

// What is no address is passed over, as the C library does.
static void add_nameserver(void *arg, const char *name)
{
    struct from_file *f = arg;
    struct target t = {0};
    if (address_read(name, 53, &t.address) && !add(f->list, &t))
        f->full = true;
}

// CDNS_EIO, CDNS_ELIMIT.
static int add_file(struct to *to, struct targets *out)
{
    char *text;
    size_t size;
    struct from_file f = {.list = out};
    if (file_read(to->path, true, FILE_LONGEST, &text, &size, &to->seen) != 0)
        return CDNS_EIO;
    resolv_each(text, size, add_nameserver, &f);
    free(text);
    return f.full ? CDNS_ELIMIT : 0;
}

int targets_expand(struct to *tos, size_t n, struct targets *out, const struct to **failed)
{
    out->n = 0;
    for (size_t i = 0; i < n; i++) {
        *failed = &tos[i];
        int rc = tos[i].path != NULL ? add_file(&tos[i], out) : add(out, &tos[i].target) ? 0 : CDNS_ELIMIT;
        if (rc != 0)
            return rc;
    }
    return 0;
}

bool targets_changed(const struct to *tos, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct stat now;
        if (tos[i].path == NULL)
            continue;
        if (stat(tos[i].path, &now) != 0)
            now = (struct stat){0};
        if (!file_same(&now, &tos[i].seen))
            return true;
    }
    return false;
}
