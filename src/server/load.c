// SPDX-License-Identifier: Apache-2.0
#include "server/load.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

// Open objects, for the life of the process.
static struct object {
    struct object *next;
    const struct plugin *plugin;
    char path[];
} * objects;

// What the object says it is; NULL with an error.
static const struct plugin *plugin_of(struct config *c, const struct token *at, const char *path, void *handle)
{
    const struct plugin *const *symbol = dlsym(handle, "clusterdns_plugin");
    const struct plugin *p = symbol != NULL ? *symbol : NULL;
    if (p == NULL)
        config_errorf(c, at, "%s is no plugin: it has no clusterdns_plugin", path);
    else if (p->abi != CLUSTERDNS_PLUGIN_ABI)
        config_errorf(c, at,
                      "%s is for plugin ABI %u, and this is clusterdns " CDNS_VERSION " with ABI %u: build it again",
                      path, (unsigned)p->abi, (unsigned)CLUSTERDNS_PLUGIN_ABI);
    else if (p->name == NULL || p->name[0] == '\0')
        config_errorf(c, at, "the plugin in %s has no name", path);
    else
        return p;
    return NULL;
}

static const struct plugin *keep(const char *path, const struct plugin *p)
{
    size_t size = strlen(path) + 1;
    struct object *o = malloc(sizeof *o + size);
    if (o == NULL)
        return NULL;
    o->next = objects;
    o->plugin = p;
    memcpy(o->path, path, size);
    objects = o;
    return p;
}

const struct plugin *load_plugin(struct config *c, const struct token *at, const char *path)
{
    for (const struct object *o = objects; o != NULL; o = o->next)
        if (strcmp(o->path, path) == 0)
            return o->plugin;
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) {
        config_errorf(c, at, "%s", dlerror());
        return NULL;
    }
    const struct plugin *p = plugin_of(c, at, path, handle);
    if (p != NULL && keep(path, p) == NULL) {
        config_errorf(c, at, "%s", error_text(CDNS_ENOMEM));
        p = NULL;
    }
    if (p == NULL)
        dlclose(handle);
    return p;
}
