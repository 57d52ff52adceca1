// SPDX-License-Identifier: Apache-2.0
#include "corefile/keys.h"
#include "corefile/fault.h"
#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>

#define MAX_ZONE_TEXT 255 // characters, as CoreDNS counts

// A key or zone argument without its scheme.
struct zone_text {
    struct list zones; // const char *: normalised
    int64_t port;
    bool has_port;
};

static const struct {
    const char *scheme;
    uint16_t port; // 0: that of the command line
} schemes[] = {{"dns", 0}, {"tls", 853}, {"quic", 853}, {"grpc", 443}, {"https3", 443}, {"https", 443}, {"unix", 0}};

uint16_t corefile_key_port(const struct corefile_key *key, uint16_t default_port)
{
    if (key->has_port)
        return key->port;
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        if (strcmp(key->scheme, schemes[i].scheme) == 0 && schemes[i].port != 0)
            return schemes[i].port;
    }
    return default_port;
}

// What follows a known "SCHEME://", whose scheme goes to `*scheme`; else `text`, and "dns".
static const char *skip_scheme(const char *text, const char **scheme)
{
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        size_t len = strlen(schemes[i].scheme);
        if (strncmp(text, schemes[i].scheme, len) == 0 && strncmp(text + len, "://", 3) == 0) {
            *scheme = schemes[i].scheme;
            return text + len + 3;
        }
    }
    *scheme = schemes[0].scheme;
    return text;
}

// Bytes of the escape \DDD or \X at `s`, as far as the text goes.
static size_t escape_length(const char *s)
{
    if (isdigit((unsigned char)s[1]) && isdigit((unsigned char)s[2]) && isdigit((unsigned char)s[3]))
        return 4;
    return s[1] != '\0' ? 2 : 1;
}

// Does `text` follow the syntax of domain names (RFC 1035 §5.1: labels of at most 63 bytes, 255 in all, escapes)? The
// final dot may be missing, in which case *open is set.
static bool is_domain_name(const char *text, bool *open)
{
    *open = false;
    if (strcmp(text, ".") == 0)
        return true;
    size_t total = 1, label = 0; // in wire format, the root's byte included
    for (const char *s = text; *s != '\0'; s += *s == '\\' ? escape_length(s) : 1) {
        bool dot = *s == '.';
        if ((dot && label == 0) || (*s == '\\' && escape_length(s) == 1))
            return false;
        label = dot ? 0 : label + 1;
        if (++total > 255 || label > 63)
            return false;
    }
    *open = label > 0;
    return total > 1 && total + *open <= 255;
}

// Appends the zone in lower case and with a final dot.
static int add_zone(struct arena *a, const char *text, bool open, struct list *zones)
{
    char *zone = arena_printf(a, "%s%s", text, open ? "." : "");
    if (zone == NULL)
        return CDNS_ENOMEM;
    for (char *s = zone; *s != '\0'; s++)
        *s = *s >= 'A' && *s <= 'Z' ? (char)(*s - 'A' + 'a') : *s;
    return list_add(zones, a, &zone, sizeof zone);
}

// An address block.
struct cidr {
    uint8_t address[16];
    unsigned bits, step; // length of addresses; of the part that one label of a reverse name stands for
    unsigned prefix;
};

// Reads "ADDRESS/PREFIX".
static bool read_cidr(const char *text, struct cidr *c)
{
    const char *slash = strchr(text, '/');
    char address[INET6_ADDRSTRLEN];
    if (slash == NULL || slash - text >= INET6_ADDRSTRLEN)
        return false;
    snprintf(address, sizeof address, "%.*s", (int)(slash - text), text);
    bool v4 = inet_pton(AF_INET, address, c->address) == 1;
    if (!v4 && inet_pton(AF_INET6, address, c->address) != 1)
        return false;
    c->bits = v4 ? 32 : 128;
    c->step = v4 ? 8 : 4;
    c->prefix = 0;
    const char *s = slash + 1;
    do {
        if (!isdigit((unsigned char)*s))
            return false;
        c->prefix = c->prefix * 10 + (unsigned)(*s - '0');
    } while (c->prefix <= c->bits && *++s != '\0');
    return c->prefix <= c->bits;
}

// The `i`th part (octet or nibble) of the address.
static unsigned cidr_part(const struct cidr *c, unsigned i)
{
    if (c->step == 8)
        return c->address[i];
    unsigned byte = c->address[i / 2];
    return i % 2 == 0 ? byte >> 4 : byte & 0xF;
}

// Appends the reverse zone of the first `parts` parts, the last of which has the value `last`.
static int add_reverse_zone(struct arena *a, const struct cidr *c, unsigned parts, unsigned last, struct list *zones)
{
    char zone[sizeof "ip6.arpa." + 64] = "";
    size_t len = 0;
    for (unsigned i = parts; i-- > 0;) {
        unsigned value = i + 1 == parts ? last : cidr_part(c, i);
        len += (size_t)snprintf(zone + len, sizeof zone - len, c->step == 8 ? "%u." : "%x.", value);
    }
    snprintf(zone + len, sizeof zone - len, "%s", c->step == 8 ? "in-addr.arpa" : "ip6.arpa");
    return add_zone(a, zone, true, zones);
}

// Appends the reverse zones that make up the block: several when its prefix ends inside of a part.
static int add_reverse_zones(struct arena *a, const struct cidr *c, struct list *zones)
{
    unsigned parts = (c->prefix + c->step - 1) / c->step;
    unsigned spare = parts * c->step - c->prefix; // bits of the last part that the prefix leaves open
    unsigned first = parts == 0 ? 0 : cidr_part(c, parts - 1) >> spare << spare;
    for (unsigned i = 0; i < 1u << spare; i++) {
        int result = add_reverse_zone(a, c, parts, first + i, zones);
        if (result != 0)
            return result;
    }
    return 0;
}

// Reads "ZONE[:PORT]". CDNS_EINVAL with the text of the error in `*why`, CDNS_ENOMEM.
static int read_zone_text(struct arena *a, const char *text, struct zone_text *out, const char **why)
{
    *out = (struct zone_text){0};
    const char *colon = strrchr(text, ':'), *zone = text;
    if (text[0] == '\0' || (colon != NULL && colon[1] == '\0')) {
        *why = arena_printf(a, "expecting data after last colon: \"%s\"", text);
        return CDNS_EINVAL;
    }
    // Only a number after the last colon is a port; anything else belongs to the zone.
    if (colon != NULL && config_integer(colon + 1, &out->port, NULL) == 0) {
        out->has_port = true;
        zone = arena_strndup(a, text, (size_t)(colon - text));
        if (zone == NULL)
            return CDNS_ENOMEM;
    }
    bool open = false;
    size_t len = strlen(zone);
    if (len > MAX_ZONE_TEXT) {
        *why = arena_printf(a, "specified zone is too long: %zu > %d", len, MAX_ZONE_TEXT);
        return CDNS_EINVAL;
    }
    if (!is_domain_name(zone, &open)) {
        *why = arena_printf(a, "zone is not a valid domain name: %s", zone);
        return CDNS_EINVAL;
    }
    struct cidr cidr;
    if (!read_cidr(zone, &cidr))
        return add_zone(a, zone, open, &out->zones);
    if (zone[0] == ':' || (zone[0] == '0' && strchr(zone, ':') != NULL)) {
        *why = arena_printf(a, "invalid CIDR %s", zone);
        return CDNS_EINVAL;
    }
    return add_reverse_zones(a, &cidr, &out->zones);
}

int corefile_zones(struct arena *a, const char *text, const char *const **zones, size_t *n)
{
    const char *scheme, *why = NULL;
    struct zone_text zone;
    int result = read_zone_text(a, skip_scheme(text, &scheme), &zone, &why);
    if (result != 0)
        return result;
    *zones = zone.zones.items;
    *n = zone.zones.n;
    return 0;
}

static void warn_scheme(const struct token *token, void (*warn)(const char *text))
{
    char text[CONFIG_ERROR_MAX];
    fault_plain(text, NULL, token, "Unknown scheme in '%s': it is taken as part of the zone's name", token->text);
    warn(text);
}

int keys_read(struct arena *a, const struct token *token, void (*warn)(const char *text), struct list *keys,
              char *error)
{
    struct corefile_key key = {.token = token};
    struct zone_text zone;
    const char *why = NULL, *text = skip_scheme(token->text, &key.scheme);
    if (text == token->text && strstr(text, "://") != NULL)
        warn_scheme(token, warn);
    if (strcmp(key.scheme, "unix") == 0)
        return fault_plain(error, NULL, token, "nothing can be served on unix://: %s", token->text);
    int result = read_zone_text(a, text, &zone, &why);
    if (result == CDNS_EINVAL && why != NULL)
        return fault_plain(error, NULL, token, "error inspecting server blocks: %s", why);
    if (result != 0)
        return fault_memory(error);
    if (zone.port < 0 || zone.port > UINT16_MAX)
        return fault_plain(error, NULL, token, "address %lld: invalid port", (long long)zone.port);
    key.port = (uint16_t)zone.port;
    key.has_port = zone.has_port;
    for (size_t i = 0; i < zone.zones.n; i++) {
        key.zone = ((const char **)zone.zones.items)[i];
        if (list_add(keys, a, &key, sizeof key) != 0)
            return fault_memory(error);
    }
    return 0;
}
