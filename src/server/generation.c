// SPDX-License-Identifier: Apache-2.0
#include "server/generation.h"

#include "base/siphash.h"
#include "server/registry.h"
#include "server/state.h"
#include <stdio.h>
#include <string.h>

_Static_assert(CONFIG_REST == COREFILE_HASH, "config.h says how long it is");

// What building needs at hand.
struct build {
    struct generation *g;
    const struct plugin *const *plugins;
    size_t nplugins;
    uint16_t default_port;
    generation_report report;
    void *report_arg;
    char error[CONFIG_ERROR_MAX];
};

static int out_of_memory(struct build *b)
{
    snprintf(b->error, sizeof b->error, "out of memory while building the configuration");
    return CDNS_ECONFIG;
}

// Directives of one name in a block, in file order.
static size_t directives_named(const struct corefile_block *cb, const char *name, const struct directive **out)
{
    size_t n = 0;
    for (size_t i = 0; i < cb->ndirectives; i++)
        if (strcmp(cb->directives[i].tokens[0].text, name) == 0)
            out[n++] = &cb->directives[i];
    return n;
}

// For each plugin that the block has directives of: config's `rest`. From the last plugin to the first.
static int number_rests(const struct build *b, const struct corefile_block *cb, const struct directive **lines,
                        uint8_t (*rests)[COREFILE_HASH])
{
    struct corefile_block keys = {.keys = cb->keys, .nkeys = cb->nkeys};
    uint8_t hash[COREFILE_HASH];
    int rc = corefile_hash(&(const struct corefile){.blocks = &keys, .nblocks = 1}, hash);
    for (size_t i = b->nplugins; rc == 0 && i-- > 0;) {
        size_t n = directives_named(cb, b->plugins[i]->name, lines);
        if (n == 0)
            continue;
        rc = corefile_hash_more(hash, lines, n);
        memcpy(rests[i], hash, sizeof hash);
    }
    return rc;
}

static int build_instance(struct build *b, struct block *block, const struct plugin *plugin,
                          const struct directive *const *lines, size_t nlines, const uint8_t *rest)
{
    struct instance *in = &block->instances[block->ninstances];
    *in = (struct instance){.plugin = plugin, .at = {.block = block, .index = block->ninstances}};
    struct config c = {.plugin = plugin->name,
                       .lines = lines,
                       .nlines = nlines,
                       .zones = block->zones,
                       .nzones = block->nzones,
                       .server = block->server,
                       .rest = rest,
                       .arena = b->g->arena,
                       .error = b->error};
    if (plugin->setup != NULL) {
        int rc = plugin->setup(&c, &in->self);
        if (rc != 0 && rc != CDNS_ECONFIG)
            config_plain_errorf(&c, &lines[0]->tokens[0], "%s", error_text(rc));
        if (rc != 0)
            return CDNS_ECONFIG;
    }
    block->ninstances++;
    return 0;
}

// Hands each wanted interface of the block's instances its provider.
static void join_interfaces(const struct block *block)
{
    for (unsigned i = 0; i < block->ninstances; i++) {
        const struct instance *in = &block->instances[i];
        for (const char *const *want = in->plugin->wants; want != NULL && *want != NULL; want++)
            for (unsigned j = 0; j < block->ninstances; j++)
                for (const struct plugin_interface *p = block->instances[j].plugin->provides;
                     p != NULL && p->name != NULL; p++)
                    if (strcmp(p->name, *want) == 0)
                        in->plugin->join(in->self, p->name, p->ops, block->instances[j].self);
    }
}

static int build_block(struct build *b, const struct corefile_block *cb, struct block *block)
{
    struct arena *a = b->g->arena;
    const char **zones = arena_calloc(a, cb->nkeys, sizeof *zones);
    const struct directive **lines = arena_calloc(a, cb->ndirectives + 1, sizeof(struct directive *));
    *block = (struct block){.generation = b->g, .zones = zones, .nzones = cb->nkeys};
    uint8_t(*rests)[COREFILE_HASH] = arena_alloc(a, b->nplugins * sizeof *rests);
    block->instances = arena_calloc(a, b->nplugins, sizeof *block->instances);
    const struct corefile_key *first = &cb->keys[0];
    block->server = arena_printf(a, "%s://:%u", first->scheme, (unsigned)corefile_key_port(first, b->default_port));
    if (zones == NULL || lines == NULL || rests == NULL || block->instances == NULL || block->server == NULL ||
        number_rests(b, cb, lines, rests) != 0)
        return out_of_memory(b);
    for (size_t i = 0; i < cb->nkeys; i++)
        zones[i] = cb->keys[i].zone;
    for (size_t i = 0; i < b->nplugins; i++) {
        size_t n = directives_named(cb, b->plugins[i]->name, lines);
        if (n == 0)
            continue;
        const struct directive **own = arena_memdup(a, lines, n * sizeof(struct directive *));
        if (own == NULL)
            return out_of_memory(b);
        if (build_instance(b, block, b->plugins[i], own, n, rests[i]) != 0)
            return CDNS_ECONFIG;
    }
    join_interfaces(block);
    return 0;
}

static struct listen_address *listen_for(struct build *b, const struct corefile_key *key)
{
    uint16_t port = corefile_key_port(key, b->default_port);
    struct generation *g = b->g;
    for (unsigned i = 0; i < g->nlistens; i++)
        if (g->listens[i].port == port)
            return &g->listens[i];
    struct listen_address *l = &g->listens[g->nlistens++];
    *l = (struct listen_address){
        .generation = g, .port = port, .server = arena_printf(g->arena, "dns://:%u", (unsigned)port)};
    return l;
}

static struct route *route_for(struct build *b, struct listen_address *l, const char *zone_text)
{
    uint8_t name[NAME_MAX_WIRE];
    if (name_from_text(zone_text, name) != 0) {
        snprintf(b->error, sizeof b->error, "%s is not a domain name", zone_text);
        return NULL;
    }
    for (unsigned i = 0; i < l->nroutes; i++)
        if (name_equal(l->routes[i].zone, name))
            return &l->routes[i];
    struct arena *a = b->g->arena;
    uint8_t *lower = arena_alloc(a, NAME_MAX_WIRE);
    struct block **blocks = arena_calloc(a, b->g->nblocks, sizeof(struct block *));
    if (lower == NULL || blocks == NULL) {
        out_of_memory(b);
        return NULL;
    }
    struct route *r = &l->routes[l->nroutes++];
    *r = (struct route){.zone = lower, .zone_len = name_lower(name, lower), .zone_text = zone_text, .blocks = blocks};
    if (name_labels(lower) > l->max_labels)
        l->max_labels = name_labels(lower);
    return r;
}

static int fill_table(struct listen_address *l, struct arena *a)
{
    unsigned size = 4;
    while (size < 2 * l->nroutes)
        size *= 2;
    l->mask = size - 1;
    l->table = arena_calloc(a, size, sizeof(struct route *));
    if (l->table == NULL)
        return CDNS_ENOMEM;
    for (unsigned i = 0; i < l->nroutes; i++) {
        unsigned slot = (unsigned)siphash13(siphash_process_key(), l->routes[i].zone, l->routes[i].zone_len) & l->mask;
        while (l->table[slot] != NULL)
            slot = (slot + 1) & l->mask;
        l->table[slot] = &l->routes[i];
    }
    return 0;
}

static int check_scheme(struct build *b, const struct corefile_key *key)
{
    if (strcmp(key->scheme, "dns") == 0)
        return 0;
    snprintf(b->error, sizeof b->error,
             "%s:%u - Error during parsing: %s: the transport %s:// is not built yet in clusterdns " CDNS_VERSION
             "; use dns://",
             key->token->file, key->token->line, key->token->text, key->scheme);
    return CDNS_ECONFIG;
}

static int build_routes(struct build *b, const struct corefile *cf)
{
    size_t nkeys = 0;
    for (size_t i = 0; i < cf->nblocks; i++)
        nkeys += cf->blocks[i].nkeys;
    struct generation *g = b->g;
    g->listens = arena_calloc(g->arena, nkeys, sizeof *g->listens);
    if (g->listens == NULL)
        return out_of_memory(b);
    for (size_t i = 0; i < cf->nblocks; i++)
        for (size_t k = 0; k < cf->blocks[i].nkeys; k++) {
            const struct corefile_key *key = &cf->blocks[i].keys[k];
            if (check_scheme(b, key) != 0)
                return CDNS_ECONFIG;
            struct listen_address *l = listen_for(b, key);
            if (l->routes == NULL)
                l->routes = arena_calloc(g->arena, nkeys, sizeof *l->routes);
            if (l->routes == NULL || l->server == NULL)
                return out_of_memory(b);
            struct route *r = route_for(b, l, key->zone);
            if (r == NULL)
                return CDNS_ECONFIG;
            r->blocks[r->nblocks++] = &g->blocks[i];
        }
    for (unsigned i = 0; i < g->nlistens; i++)
        if (fill_table(&g->listens[i], g->arena) != 0)
            return out_of_memory(b);
    return 0;
}

static bool has_plugin(const struct build *b, const char *name)
{
    for (size_t i = 0; i < b->nplugins; i++)
        if (strcmp(b->plugins[i]->name, name) == 0)
            return true;
    return false;
}

// Reports every directive that CoreDNS has and this program not yet.
static bool report_planned(struct build *b, const struct corefile *cf)
{
    bool found = false;
    for (size_t i = 0; i < cf->nblocks; i++)
        for (size_t d = 0; d < cf->blocks[i].ndirectives; d++) {
            const struct token *t = &cf->blocks[i].directives[d].tokens[0];
            if (server_plugin_status(t->text) != PLUGIN_PLANNED || has_plugin(b, t->text))
                continue;
            snprintf(b->error, sizeof b->error,
                     "%s:%u - Error during parsing: directive '%s' is known to CoreDNS but not built yet in "
                     "clusterdns " CDNS_VERSION "; remove it to serve without it",
                     t->file, t->line, t->text);
            b->report(b->report_arg, b->error);
            found = true;
        }
    return found;
}

static int build_all(struct build *b, const struct corefile *cf)
{
    struct generation *g = b->g;
    g->blocks = arena_calloc(g->arena, cf->nblocks, sizeof *g->blocks);
    if (g->blocks == NULL)
        return out_of_memory(b);
    for (size_t i = 0; i < cf->nblocks; i++) {
        g->nblocks++; // counted first: generation_free() destroys what a failing block has built
        int rc = build_block(b, &cf->blocks[i], &g->blocks[i]);
        if (rc != 0)
            return rc;
    }
    // First, since a route has room for each block once.
    int rc = corefile_check_keys(cf, b->default_port, b->error);
    return rc != 0 ? rc : build_routes(b, cf);
}

int generation_build_parsed(struct arena *arena, const struct corefile *corefile, const struct plugin *const *plugins,
                            size_t nplugins, uint16_t default_port, generation_report report, void *arg,
                            struct generation **out)
{
    struct build b = {
        .plugins = plugins, .nplugins = nplugins, .default_port = default_port, .report = report, .report_arg = arg};
    b.g = arena_calloc(arena, 1, sizeof *b.g);
    if (b.g == NULL) {
        arena_free(arena);
        report(arg, error_text(CDNS_ENOMEM));
        return CDNS_ECONFIG;
    }
    b.g->arena = arena;
    if (corefile_hash(corefile, b.g->hash) != 0) {
        arena_free(arena);
        report(arg, error_text(CDNS_ENOMEM));
        return CDNS_ECONFIG;
    }
    bool planned = report_planned(&b, corefile);
    int rc = build_all(&b, corefile);
    if (rc != 0)
        report(arg, b.error);
    if (rc != 0 || planned) {
        generation_free(b.g);
        return CDNS_ECONFIG;
    }
    *out = b.g;
    return 0;
}

// From the first `load` on any name may be a plugin's; registry_plugins() knows when all loading has been done.
static bool directive_known(void *arg, const char *name)
{
    bool *loads = arg;
    *loads = *loads || registry_is_load(name);
    return *loads || server_plugin_status(name) != PLUGIN_UNKNOWN;
}

int generation_build(const char *path, const char *name, const char *text, uint16_t default_port,
                     generation_report report, void *arg, struct generation **out)
{
    char error[CONFIG_ERROR_MAX] = "";
    struct corefile cf;
    struct arena *a = arena_new(0);
    if (a == NULL) {
        report(arg, error_text(CDNS_ENOMEM));
        return CDNS_ECONFIG;
    }
    bool loads = false;
    const struct plugin *const *plugins = NULL;
    size_t n = 0;
    int rc = path != NULL ? corefile_parse_file(a, path, directive_known, &loads, &cf, error)
                          : corefile_parse_text(a, name, text, strlen(text), directive_known, &loads, &cf, error);
    if (rc == 0)
        rc = registry_plugins(a, &cf, &plugins, &n, error);
    if (rc != 0) {
        report(arg, error);
        arena_free(a);
        return CDNS_ECONFIG;
    }
    return generation_build_parsed(a, &cf, plugins, n, default_port, report, arg, out);
}

const struct listen_address *generation_listen(const struct generation *g, uint16_t port)
{
    for (unsigned l = 0; l < g->nlistens; l++)
        if (g->listens[l].port == port)
            return &g->listens[l];
    return NULL;
}

int generation_start(struct generation *g, struct uv_loop_s *loop, const struct server_state *state, char *error)
{
    error[0] = '\0';
    for (unsigned b = 0; b < g->nblocks; b++)
        for (unsigned i = 0; i < g->blocks[b].ninstances; i++) {
            struct instance *in = &g->blocks[b].instances[i];
            in->start = (struct plugin_start){.placement = &in->at,
                                              .loop = loop,
                                              .server = g->blocks[b].server,
                                              .state = state,
                                              .reloading = state != NULL && state->generation != g,
                                              .error = error};
            int rc = in->plugin->start != NULL ? in->plugin->start(in->self, &in->start) : 0;
            if (rc != 0) {
                if (error[0] == '\0')
                    snprintf(error, CONFIG_ERROR_MAX, "plugin/%s: %s", in->plugin->name, error_text(rc));
                generation_stop(g);
                return rc;
            }
            in->started = true;
        }
    return 0;
}

void generation_stop(struct generation *g)
{
    for (unsigned b = g->nblocks; b-- > 0;)
        for (unsigned i = g->blocks[b].ninstances; i-- > 0;) {
            struct instance *in = &g->blocks[b].instances[i];
            if (in->started && in->plugin->stop != NULL)
                in->plugin->stop(in->self);
            in->started = false;
        }
}

void generation_free(struct generation *g)
{
    INVARIANT(atomic_load(&g->pins) == 0);
    for (unsigned b = g->nblocks; b-- > 0;)
        for (unsigned i = g->blocks[b].ninstances; i-- > 0;) {
            const struct instance *in = &g->blocks[b].instances[i];
            if (in->plugin->destroy != NULL)
                in->plugin->destroy(in->self);
        }
    arena_free(g->arena);
}
