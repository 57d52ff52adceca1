// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The plugins this program has, in the order of plugins/order.h, and those that a Corefile loads. Main thread.
#include "corefile/corefile.h"
#include "server/server.h"
#include <clusterdns/plugin.h>
#include <stddef.h>

#define REGISTRY_LOADED 64 ///< plugins that a Corefile may load

/// Is it a directive of the server's own?
bool registry_is_load(const char *directive);
/// The plugins that this Corefile can use, in order: those that are built and those that its `load` directives name.
/// One of these may stand at the place of a directive that is planned, otherwise it stands behind the one that it names
/// itself. A directive is known from the line on that loads it, so this too says "Unknown directive". The array is in
/// `a`. CDNS_ECONFIG with the text in `error` (CONFIG_ERROR_MAX bytes).
int registry_plugins(struct arena *a, const struct corefile *cf, const struct plugin *const **plugins, size_t *n,
                     char *error) CDNS_MUSTCHECK;
