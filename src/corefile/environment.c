// SPDX-License-Identifier: Apache-2.0
#include "corefile/environment.h"
#include <stdlib.h>
#include <string.h>

#define MAX_REFERENCES 1000 // replaced in one word

// Replaces the references that start with `open` and end with `close`.
static int expand(struct arena *a, const char *open, const char *close, const char **text)
{
    for (int replaced = 0;; replaced++) {
        const char *start = strstr(*text, open);
        const char *end = start != NULL ? strstr(start, close) : NULL;
        const char *name = start != NULL ? start + strlen(open) : NULL;
        if (end == NULL || end <= name)
            return 0;
        char *variable = arena_strndup(a, name, (size_t)(end - name));
        if (variable == NULL)
            return CDNS_ENOMEM;
        const char *value = getenv(variable);
        if (value == NULL)
            value = "";
        const char *rest = end + strlen(close);
        size_t before = (size_t)(start - *text);
        if (replaced == MAX_REFERENCES || before + strlen(value) + strlen(rest) > ENVIRONMENT_MAX_TEXT)
            return CDNS_ELIMIT;
        *text = arena_printf(a, "%.*s%s%s", (int)before, *text, value, rest);
        if (*text == NULL)
            return CDNS_ENOMEM;
    }
}

int environment_expand(struct arena *a, const char *text, const char **out)
{
    *out = text;
    int result = expand(a, "{%", "%}", out);
    return result != 0 ? result : expand(a, "{$", "}", out);
}
