// SPDX-License-Identifier: Apache-2.0
// resolv.conf, as far as it names servers.
#include "plugins/forward/forward.h"

#include <string.h>

#define NAME_LONGEST 128 // an IPv6 address with its interface is shorter

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

// The next word of the line that ends at `end`; NULL: there is none.
static const char *next_word(const char **at, const char *end, size_t *len)
{
    const char *word = *at;
    while (word < end && is_space(*word))
        word++;
    *at = word;
    while (*at < end && !is_space(**at))
        ++*at;
    *len = (size_t)(*at - word);
    return *len > 0 ? word : NULL;
}

void resolv_each(const char *text, size_t size, void (*each)(void *arg, const char *name), void *arg)
{
    static const char keyword[] = "nameserver";
    const char *end = text + size;
    while (text < end) {
        const char *line_end = memchr(text, '\n', (size_t)(end - text)), *at = text;
        size_t len;
        if (line_end == NULL)
            line_end = end;
        const char *word = next_word(&at, line_end, &len);
        text = line_end < end ? line_end + 1 : end;
        if (word == NULL || len != sizeof keyword - 1 || memcmp(word, keyword, len) != 0)
            continue;
        word = next_word(&at, line_end, &len);
        if (word == NULL || len >= NAME_LONGEST || memchr(word, '\0', len) != NULL)
            continue;
        char name[NAME_LONGEST];
        memcpy(name, word, len);
        name[len] = '\0';
        each(arg, name);
    }
}
