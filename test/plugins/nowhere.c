// SPDX-License-Identifier: Apache-2.0
// A plugin without a place.
#include <clusterdns/plugin.h>

CLUSTERDNS_PLUGIN(nowhere, .after = "no-such-plugin");
