// SPDX-License-Identifier: Apache-2.0
// bind: the server block is served on these addresses, or those of these interfaces, instead of on all. Interfaces are
// looked up when the configuration is read, as in CoreDNS: what it listens on is part of what is checked.
#include <clusterdns/plugin.h>
#include <clusterdns/quote.h>

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <string.h>

// Addresses in the configuration's arena.
struct list {
    struct arena *arena;
    union sockaddr_any *items;
    size_t n, cap;
};

static bool contains(const struct list *l, const union sockaddr_any *address)
{
    for (size_t i = 0; i < l->n; i++)
        if (address_equal(&l->items[i], address))
            return true;
    return false;
}

static int add(struct list *l, const union sockaddr_any *address)
{
    if (l->n == l->cap) {
        size_t cap = 2 * l->cap + 8;
        union sockaddr_any *items = arena_calloc(l->arena, cap, sizeof *items);
        if (items == NULL)
            return CDNS_ENOMEM;
        if (l->n > 0)
            memcpy(items, l->items, l->n * sizeof *items);
        l->items = items;
        l->cap = cap;
    }
    l->items[l->n++] = *address;
    return 0;
}

// Is it an entry of this interface? An IPv4 address can have a label instead of the name: "eth0:1".
static bool is_of(const struct ifaddrs *entry, const char *interface)
{
    size_t len = strlen(interface);
    return strncmp(entry->ifa_name, interface, len) == 0 &&
           (entry->ifa_name[len] == '\0' || entry->ifa_name[len] == ':');
}

// Appends the addresses of an interface. CDNS_ENOENT: there is none of this name.
static int add_interface(struct list *l, const struct ifaddrs *interfaces, const char *name)
{
    int rc = if_nametoindex(name) != 0 ? 0 : CDNS_ENOENT;
    for (const struct ifaddrs *i = interfaces; i != NULL && rc == 0; i = i->ifa_next) {
        union sockaddr_any address = {0};
        if (i->ifa_addr == NULL || !is_of(i, name))
            continue;
        if (i->ifa_addr->sa_family == AF_INET)
            memcpy(&address.in, i->ifa_addr, sizeof address.in);
        else if (i->ifa_addr->sa_family == AF_INET6)
            memcpy(&address.in6, i->ifa_addr, sizeof address.in6); // with the interface, if it is link-local
        else
            continue;
        rc = add(l, &address);
    }
    return rc;
}

static int read_addresses(struct config *c, const struct ifaddrs *interfaces, const struct token *t, size_t n,
                          struct list *out)
{
    char text[CONFIG_ERROR_MAX];
    union sockaddr_any address;
    for (; n > 0; n--, t++) {
        int rc = add_interface(out, interfaces, t->text);
        if (rc == CDNS_ENOENT && !address_read(t->text, 0, &address))
            return config_plain_errorf(c, t, "not a valid IP address or interface name: %s",
                                       quote(t->text, text, sizeof text));
        if (rc == CDNS_ENOENT)
            rc = add(out, &address);
        if (rc != 0)
            return rc;
    }
    return 0;
}

// One directive: what it names, without what it excepts. Of several `except` the last counts, as in CoreDNS.
static int read_line(struct config *c, const struct ifaddrs *interfaces, const struct directive *d, struct list *out)
{
    struct list named = {.arena = c->arena}, excepted = {.arena = c->arena};
    const struct directive *except = NULL;
    char text[CONFIG_ERROR_MAX];
    if (d->ntokens == 1)
        return config_plain_errorf(c, &d->tokens[0], "at least one address or interface name is expected");
    for (size_t i = 0; i < d->nblock; i++) {
        except = &d->block[i];
        if (strcmp(except->tokens[0].text, "except") != 0)
            return config_plain_errorf(c, &except->tokens[0], "invalid option %s",
                                       quote(except->tokens[0].text, text, sizeof text));
        if (except->ntokens == 1)
            return config_plain_errorf(c, &except->tokens[0],
                                       "at least one address or interface must be given to except subdirective");
    }
    int rc = read_addresses(c, interfaces, d->tokens + 1, d->ntokens - 1, &named);
    if (rc == 0 && except != NULL)
        rc = read_addresses(c, interfaces, except->tokens + 1, except->ntokens - 1, &excepted);
    for (size_t i = 0; i < named.n && rc == 0; i++)
        if (!contains(&excepted, &named.items[i]))
            rc = add(out, &named.items[i]);
    return rc;
}

static int bind_setup(struct config *c, void **self)
{
    static const union sockaddr_any nowhere;
    struct list all = {.arena = c->arena};
    struct ifaddrs *interfaces = NULL;
    int rc = 0;
    *self = NULL;
    if (getifaddrs(&interfaces) != 0)
        log_plugin(LOG_LEVEL_WARNING, "bind", "failed to get interfaces list, cannot bind by interface name");
    for (size_t i = 0; i < c->nlines && rc == 0; i++)
        rc = read_line(c, interfaces, c->lines[i], &all);
    if (interfaces != NULL)
        freeifaddrs(interfaces);
    if (rc == 0 && all.n == 0)
        log_plugin(LOG_LEVEL_WARNING, "bind", "%s:%u - no address is left: the server block is served nowhere",
                   c->lines[0]->tokens[0].file, c->lines[0]->tokens[0].line);
    c->listen = all.n > 0 ? all.items : &nowhere;
    c->nlisten = all.n;
    return rc;
}

CLUSTERDNS_PLUGIN(bind, .setup = bind_setup);
