// SPDX-License-Identifier: Apache-2.0
// \file
// Any bytes as a resolv.conf: every name is a whole word of the text, and one that is an address has a text that is
// read as the same.
#include "plugins/forward/forward.h"
#include <stdlib.h>
#include <string.h>

struct source {
    const char *text;
    size_t size;
};

static void check(void *arg, const char *name)
{
    const struct source *s = arg;
    union sockaddr_any address, again;
    char text[ADDRESS_TEXT_MAX], host[ADDRESS_TEXT_MAX];
    size_t len = strlen(name);
    INVARIANT(len > 0 && name[strcspn(name, " \t\n\v\f\r")] == '\0');
    INVARIANT(memmem(s->text, s->size, name, len) != NULL);
    if (!address_read(name, 53, &address))
        return;
    address_text(&address, text);
    size_t n = strlen(text);
    INVARIANT(n > 3 && strcmp(text + n - 3, ":53") == 0);
    memcpy(host, text, n + 1);
    host[n - 3] = '\0';
    char *start = host + (host[0] == '[');
    start[strcspn(start, "]")] = '\0';
    INVARIANT(address_read(start, 53, &again));
    INVARIANT(strcmp(text, address_text(&again, host)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *exact = malloc(size > 0 ? size : 1); // what is read beyond is noticed
    INVARIANT(exact != NULL);
    memcpy(exact, data, size);
    struct source s = {.text = exact, .size = size};
    resolv_each(exact, size, check, &s);
    free(exact);
    return 0;
}
