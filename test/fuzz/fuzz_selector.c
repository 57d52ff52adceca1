// SPDX-License-Identifier: Apache-2.0
// Any text as a label selector: one that is read has a canonical form that is read as the same.
#include "kube/selector.h"
#include <stdint.h>
#include <string.h>

static const char *lookup(const void *labels, const char *key)
{
    (void)labels;
    return strcmp(key, "app") == 0 ? "web" : strcmp(key, "empty") == 0 ? "" : NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char error[300], unused[300];
    struct arena *a = arena_new(0);
    const char *text = a != NULL ? arena_strndup(a, (const char *)data, size) : NULL;
    const struct selector *first, *second;
    INVARIANT(text != NULL);
    int r = selector_parse(text, a, &first, error, sizeof error);
    if (r == 0) {
        INVARIANT(selector_parse(selector_text(first), a, &second, unused, sizeof unused) == 0);
        INVARIANT(strcmp(selector_text(first), selector_text(second)) == 0);
        INVARIANT(selector_matches(first, lookup, NULL) == selector_matches(second, lookup, NULL));
    } else {
        INVARIANT(r == CDNS_ESYNTAX && error[0] != '\0');
    }
    arena_free(a);
    return 0;
}
