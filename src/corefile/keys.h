// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Keys of server blocks. Sources: CoreDNS plugin/normalize.go, plugin/pkg/{parse,cidr}, core/dnsserver/register.go.
#include "corefile/corefile.h"
#include "corefile/list.h"

/// Reads one key as written and appends it, or one for each of its reverse zones, to `keys` (struct corefile_key).
/// `token` must live as long as they do. `warn` is told of an unknown scheme, which is taken as part of the zone.
/// CDNS_ECONFIG with the text in `error`.
int keys_read(struct arena *a, const struct token *token, void (*warn)(const char *text), struct list *keys,
              char *error) CDNS_MUSTCHECK;
