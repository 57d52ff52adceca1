// SPDX-License-Identifier: Apache-2.0
// What stands behind TO: an address with its scheme, port and TLS name, or a file. As CoreDNS's plugin/pkg/parse.
#include "plugins/forward/forward.h"

#include <arpa/inet.h>
#include <clusterdns/quote.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_LONGEST 65536 // bytes of a resolv.conf

bool target_address(const char *text, uint16_t port, union sockaddr_any *out)
{
    char host[INET6_ADDRSTRLEN];
    size_t len = strcspn(text, "%");
    *out = (union sockaddr_any){.in6 = {0}};
    if (len >= sizeof host)
        return false;
    memcpy(host, text, len);
    host[len] = '\0';
    if (inet_pton(AF_INET, host, &out->in.sin_addr) == 1) {
        out->in.sin_family = AF_INET;
        out->in.sin_port = htons(port);
        return true;
    }
    if (inet_pton(AF_INET6, host, &out->in6.sin6_addr) != 1)
        return false;
    out->in6.sin6_family = AF_INET6;
    out->in6.sin6_port = htons(port);
    if (text[len] == '%' && IN6_IS_ADDR_LINKLOCAL(&out->in6.sin6_addr))
        out->in6.sin6_scope_id = if_nametoindex(text + len + 1);
    return true;
}

const char *target_text(const union sockaddr_any *address, char out[TARGET_TEXT])
{
    char host[INET6_ADDRSTRLEN];
    if (address->sa.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &address->in6.sin6_addr, host, sizeof host);
        snprintf(out, TARGET_TEXT, "[%s]:%u", host, ntohs(address->in6.sin6_port));
    } else {
        inet_ntop(AF_INET, &address->in.sin_addr, host, sizeof host);
        snprintf(out, TARGET_TEXT, "%s:%u", host, ntohs(address->in.sin_port));
    }
    return out;
}

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
    return target_address(host, 0, &address);
}

// An address, with a "%name" of TLS or of an interface.
static bool read_address(const struct scheme *scheme, char *host, struct target *out)
{
    out->tls = strcmp(scheme->name, "tls") == 0;
    out->tls_name = out->tls ? cut_name(host) : NULL;
    return (!out->tls || strchr(host, '%') == NULL) && target_address(host, scheme->port, &out->address);
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

static bool same_address(const union sockaddr_any *a, const union sockaddr_any *b)
{
    if (a->sa.sa_family != b->sa.sa_family || a->in.sin_port != b->in.sin_port) // where IPv6 has it too
        return false;
    if (a->sa.sa_family == AF_INET)
        return a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
    return IN6_ARE_ADDR_EQUAL(&a->in6.sin6_addr, &b->in6.sin6_addr) && a->in6.sin6_scope_id == b->in6.sin6_scope_id;
}

static bool same_target(const struct target *a, const struct target *b)
{
    const char *x = a->tls_name != NULL ? a->tls_name : "", *y = b->tls_name != NULL ? b->tls_name : "";
    return a->tls == b->tls && same_address(&a->address, &b->address) && strcasecmp(x, y) == 0;
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
    if (target_address(name, 53, &t.address) && !add(f->list, &t))
        f->full = true;
}

// What tells one state of a file from another without reading it.
static void look_at(const char *path, uint8_t seen[40])
{
    struct stat st;
    uint64_t facts[5] = {0};
    if (stat(path, &st) == 0) {
        facts[0] = (uint64_t)st.st_ino;
        facts[1] = (uint64_t)st.st_size;
        facts[2] = (uint64_t)st.st_mtim.tv_sec * 1000000000 + (uint64_t)st.st_mtim.tv_nsec;
        facts[3] = (uint64_t)st.st_ctim.tv_sec * 1000000000 + (uint64_t)st.st_ctim.tv_nsec;
        facts[4] = (uint64_t)st.st_dev + 1;
    }
    memcpy(seen, facts, sizeof facts);
}

// CDNS_EIO, CDNS_ELIMIT.
static int add_file(struct to *to, struct targets *out)
{
    char text[FILE_LONGEST];
    size_t size = 0;
    ssize_t n;
    struct from_file f = {.list = out};
    look_at(to->path, to->seen);
    int fd = open(to->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return CDNS_EIO;
    while ((n = read(fd, text + size, sizeof text - size)) > 0)
        size += (size_t)n;
    int error = errno;
    close(fd);
    errno = error;
    if (n < 0)
        return CDNS_EIO;
    resolv_each(text, size, add_nameserver, &f);
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
        uint8_t now[sizeof tos[i].seen];
        if (tos[i].path == NULL)
            continue;
        look_at(tos[i].path, now);
        if (memcmp(now, tos[i].seen, sizeof now) != 0)
            return true;
    }
    return false;
}
