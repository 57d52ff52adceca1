// SPDX-License-Identifier: Apache-2.0
// A plugin with the name of one that the server has.
#include <clusterdns/plugin.h>

static const struct plugin plugin = {.abi = CLUSTERDNS_PLUGIN_ABI, .name = "whoami", .after = "errors"};
const struct plugin *const clusterdns_plugin = &plugin;
