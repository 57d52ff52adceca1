// SPDX-License-Identifier: Apache-2.0
#include "server/registry.h"

#include <stdio.h>
#include <string.h>

#define PLUGIN(id) extern const struct plugin clusterdns_plugin_##id;
#define PLANNED(id)
#include "plugins/order.h"
#undef PLUGIN
#undef PLANNED

static const struct plugin *const built[] = {
#define PLUGIN(id) &clusterdns_plugin_##id,
#define PLANNED(id)
#include "plugins/order.h"
#undef PLUGIN
#undef PLANNED
};

static const char *const planned[] = {
#define PLUGIN(id)
#define PLANNED(id) #id,
#include "plugins/order.h"
#undef PLUGIN
#undef PLANNED
};

size_t registry_count(void)
{
    return sizeof built / sizeof built[0];
}

const struct plugin *registry_plugin(size_t place)
{
    return built[place];
}

enum plugin_status server_plugin_status(const char *name)
{
    for (size_t i = 0; i < registry_count(); i++)
        if (strcmp(built[i]->name, name) == 0)
            return PLUGIN_BUILT;
    for (size_t i = 0; i < sizeof planned / sizeof planned[0]; i++)
        if (strcmp(planned[i], name) == 0)
            return PLUGIN_PLANNED;
    return PLUGIN_UNKNOWN;
}

void server_print_plugins(void)
{
    printf("Server types:\n  dns\n\nOther plugins:\n");
    for (size_t i = 0; i < registry_count(); i++)
        printf("  dns.%s\n", built[i]->name);
}
