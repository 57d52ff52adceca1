// SPDX-License-Identifier: Apache-2.0
// \file
// Any bytes as a Corefile: a tree or an error text, within bounded memory. Imports read no files here.
#include "corefile/build.h"
#include "corefile/environment.h"

static void ignore(const char *text)
{
    (void)text;
}

// Looks at every byte of the tree; no text may be longer than `max`.
static void inspect(const struct directive *lines, size_t n, size_t max)
{
    for (size_t i = 0; i < n; i++) {
        INVARIANT(lines[i].ntokens > 0 && (lines[i].has_block || lines[i].nblock == 0));
        for (size_t k = 0; k < lines[i].ntokens; k++) {
            INVARIANT(lines[i].tokens[k].line > 0 && strcmp(lines[i].tokens[k].file, "Corefile") == 0);
            INVARIANT(strlen(lines[i].tokens[k].text) <= max);
        }
        inspect(lines[i].block, lines[i].nblock, max);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct stream_options options = {.no_files = true, .warn = ignore};
    struct arena *a = arena_new(64u << 20);
    struct corefile c;
    char error[CONFIG_ERROR_MAX] = "";
    INVARIANT(a != NULL);
    int result = corefile_build(a, "Corefile", (const char *)data, size, NULL, NULL, &options, &c, error);
    INVARIANT(result == 0 || (result == CDNS_ECONFIG && error[0] != '\0'));
    for (size_t i = 0; result == 0 && i < c.nblocks; i++) {
        INVARIANT(c.blocks[i].nkeys > 0);
        for (size_t k = 0; k < c.blocks[i].nkeys; k++) {
            const char *zone = c.blocks[i].keys[k].zone;
            INVARIANT(zone[strlen(zone) - 1] == '.');
        }
        inspect(c.blocks[i].directives, c.blocks[i].ndirectives, size + ENVIRONMENT_MAX_TEXT);
    }
    if (result == 0 && corefile_check_keys(&c, 53, error) != 0)
        INVARIANT(error[0] != '\0');
    arena_free(a);
    return 0;
}
