// SPDX-License-Identifier: Apache-2.0
// \file
// Any bytes as the file behind prometheus's `tls FILE`: a configuration that keeps its bounds, or a message with its
// name.
#include "plugins/prometheus/web_config.h"
#include <string.h>

static void look(const struct web_list *l)
{
    INVARIANT(l->n <= WEB_ENTRIES_MAX && (l->given || l->n == 0));
    for (size_t i = 0; i < l->n; i++)
        INVARIANT(l->entries[i].value.line > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new(0);
    struct web_config c;
    char error[WEB_ERROR_MAX] = "";
    int r = web_config_parse("dir/web.yml", (const char *)data, size, a, &c, error);
    INVARIANT(r == 0 || (r == CDNS_ECONFIG && strncmp(error, "dir/web.yml:", 12) == 0));
    look(&c.users);
    look(&c.headers);
    look(&c.client_allowed_sans);
    for (size_t i = 0; r == 0 && i < c.users.n; i++)
        INVARIANT(strlen(c.users.entries[i].value.text) == 60);
    arena_free(a);
    return 0;
}
