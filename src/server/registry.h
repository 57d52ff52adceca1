// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The plugins this program has, in the order of plugins/order.h. Immutable; any thread.
#include "server/server.h"
#include <clusterdns/plugin.h>
#include <stddef.h>

/// Number of built plugins.
size_t registry_count(void);
/// The built plugin at a place of the order, 0 ≤ place < registry_count().
const struct plugin *registry_plugin(size_t place);
