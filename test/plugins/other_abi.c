// SPDX-License-Identifier: Apache-2.0
// A plugin from another time.
#include <clusterdns/plugin.h>

static const struct plugin plugin = {.abi = CLUSTERDNS_PLUGIN_ABI + 1, .name = "other_abi", .after = "errors"};
const struct plugin *const clusterdns_plugin = &plugin;
