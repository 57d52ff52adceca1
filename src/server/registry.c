// SPDX-License-Identifier: Apache-2.0
#include "server/registry.h"

#include "corefile/fault.h"
#include "corefile/files.h"
#include "server/load.h"
#include <stdio.h>
#include <string.h>

#define PLUGIN(id) extern const struct plugin clusterdns_plugin_##id;
#define PLANNED(id)
#include "plugins/order.h"
#undef PLUGIN
#undef PLANNED

static const struct place {
    const char *name;
    const struct plugin *plugin; // NULL: planned
} order[] = {
#define PLUGIN(id) {#id, &clusterdns_plugin_##id},
#define PLANNED(id) {#id, NULL},
#include "plugins/order.h"
#undef PLUGIN
#undef PLANNED
};
#define PLACES (sizeof order / sizeof order[0])

// What is being put in order.
struct listing {
    const struct plugin *loaded[REGISTRY_LOADED]; // in the order of the file
    size_t nloaded;
    const struct plugin **plugins;
    size_t n;
};

enum plugin_status server_plugin_status(const char *name)
{
    for (size_t i = 0; i < PLACES; i++)
        if (strcmp(order[i].name, name) == 0)
            return order[i].plugin != NULL ? PLUGIN_BUILT : PLUGIN_PLANNED;
    return PLUGIN_UNKNOWN;
}

void server_print_plugins(void)
{
    printf("Server types:\n  dns\n\nOther plugins:\n");
    for (size_t i = 0; i < PLACES; i++)
        if (order[i].plugin != NULL)
            printf("  dns.%s\n", order[i].name);
}

bool registry_is_load(const char *directive)
{
    return strcmp(directive, "load") == 0;
}

static const struct plugin *find_loaded(const struct listing *l, const char *name)
{
    for (size_t i = 0; i < l->nloaded; i++)
        if (strcmp(l->loaded[i]->name, name) == 0)
            return l->loaded[i];
    return NULL;
}

static bool is_plugin(const struct listing *l, const char *name)
{
    return server_plugin_status(name) != PLUGIN_UNKNOWN || find_loaded(l, name) != NULL;
}

// Can the plugin be had beside the others?
static int check_loaded(struct config *c, const struct listing *l, const struct plugin *p, const struct token *at)
{
    enum plugin_status status = server_plugin_status(p->name);
    if (status == PLUGIN_BUILT || find_loaded(l, p->name) != NULL || registry_is_load(p->name))
        return config_errorf(c, at, "%s brings plugin '%s', which is there already", at->text, p->name);
    if (status == PLUGIN_UNKNOWN && (p->after == NULL || !is_plugin(l, p->after)))
        return config_errorf(c, at, "plugin '%s' of %s wants to stand behind '%s', which is no plugin", p->name,
                             at->text, p->after != NULL ? p->after : "");
    if (l->nloaded == REGISTRY_LOADED)
        return config_errorf(c, at, "more than %d plugins to load", REGISTRY_LOADED);
    return 0;
}

// load PATH
static int load_line(struct config *c, struct listing *l, const struct directive *d)
{
    if (d->ntokens != 2)
        return config_argument_error(c, &d->tokens[d->ntokens > 2 ? 2 : 0]);
    if (d->has_block)
        return config_errorf(c, &d->tokens[0], "load has no options");
    const struct token *at = &d->tokens[1];
    const char *path = files_resolve(c->arena, at->file, at->text);
    if (path == NULL)
        return config_errorf(c, at, "%s", error_text(CDNS_ENOMEM));
    const struct plugin *p = load_plugin(c, at, path);
    if (p == NULL)
        return CDNS_ECONFIG;
    if (find_loaded(l, p->name) == p)
        return 0; // another block wants it too
    int rc = check_loaded(c, l, p, at);
    if (rc == 0)
        l->loaded[l->nloaded++] = p;
    return rc;
}

static int read_line(struct config *c, struct listing *l, const struct directive *d)
{
    const struct token *name = &d->tokens[0];
    if (registry_is_load(name->text))
        return load_line(c, l, d);
    return is_plugin(l, name->text) ? 0 : fault_at(c->error, NULL, name, "Unknown directive '%s'", name->text);
}

// Lists a place's plugin, then those that want to stand behind it, each with those behind itself.
static void list_place(struct listing *l, const char *name, const struct plugin *p)
{
    if (p != NULL)
        l->plugins[l->n++] = p;
    for (size_t i = 0; i < l->nloaded; i++) {
        const struct plugin *q = l->loaded[i];
        if (server_plugin_status(q->name) == PLUGIN_UNKNOWN && strcmp(q->after, name) == 0)
            list_place(l, q->name, q);
    }
}

int registry_plugins(struct arena *a, const struct corefile *cf, const struct plugin *const **plugins, size_t *n,
                     char *error)
{
    struct config c = {.plugin = "load", .arena = a, .error = error};
    struct listing l = {0};
    for (size_t i = 0; i < cf->nblocks; i++)
        for (size_t d = 0; d < cf->blocks[i].ndirectives; d++) {
            int rc = read_line(&c, &l, &cf->blocks[i].directives[d]);
            if (rc != 0)
                return rc;
        }
    l.plugins = arena_calloc(a, PLACES + l.nloaded, sizeof(struct plugin *));
    if (l.plugins == NULL)
        return fault_memory(error);
    for (size_t i = 0; i < PLACES; i++)
        list_place(&l, order[i].name, order[i].plugin != NULL ? order[i].plugin : find_loaded(&l, order[i].name));
    *plugins = l.plugins;
    *n = l.n;
    return 0;
}
