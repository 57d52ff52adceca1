// SPDX-License-Identifier: Apache-2.0
// \file
// Keys that cannot be served side by side.
#include "corefile/corefile.h"
#include "corefile/fault.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// A key at one address.
struct listener {
    const struct corefile_key *key;
    const char *address; // "" is the wildcard
    uint16_t port;
    size_t order; // in the file
};

#define MAX_LISTENER_TEXT 512

// "dns://cluster.local.:53", with " on 10.0.0.1" if it is bound.
static const char *listener_text(const struct listener *l, char text[MAX_LISTENER_TEXT])
{
    bool bound = l->address[0] != '\0';
    snprintf(text, MAX_LISTENER_TEXT, "%s://%s:%u%s%s", l->key->scheme, l->key->zone, l->port, bound ? " on " : "",
             bound ? l->address : "");
    return text;
}

// Listeners of the same scheme, zone and port are the same but for the address; they come together, in file order.
static int compare_endpoints(const struct listener *a, const struct listener *b)
{
    int result = (int)a->port - (int)b->port;
    if (result == 0)
        result = strcmp(a->key->scheme, b->key->scheme);
    return result != 0 ? result : strcmp(a->key->zone, b->key->zone);
}

static int compare_listeners(const void *a, const void *b)
{
    const struct listener *x = a, *y = b;
    int result = compare_endpoints(x, y);
    return result != 0 ? result : x->order < y->order ? -1 : 1;
}

// The listener before `l` in its group that it cannot stand beside; NULL if there is none. The wildcard overlaps with
// every address.
static const struct listener *find_conflict(const struct listener *group, const struct listener *l)
{
    const struct listener *overlap = NULL;
    for (const struct listener *other = group; other < l; other++) {
        if (strcmp(other->address, l->address) == 0)
            return other;
        if (other->address[0] == '\0' || l->address[0] == '\0')
            overlap = other;
    }
    return overlap;
}

static int conflict_error(const struct listener *l, const struct listener *other, char *error)
{
    char text[MAX_LISTENER_TEXT], other_text[MAX_LISTENER_TEXT];
    listener_text(l, text);
    if (strcmp(other->address, l->address) == 0)
        return fault_plain(error, NULL, l->key->token, "cannot serve %s - it is already defined", text);
    return fault_plain(error, NULL, l->key->token, "cannot serve %s - zone overlap listener capacity with %s", text,
                       listener_text(other, other_text));
}

// Reports the conflict that comes first in the file.
static int check(struct listener *listeners, size_t n, char *error)
{
    qsort(listeners, n, sizeof *listeners, compare_listeners);
    const struct listener *group = listeners, *first = NULL, *first_other = NULL;
    for (const struct listener *l = listeners; l < listeners + n; l++) {
        if (compare_endpoints(group, l) != 0)
            group = l;
        const struct listener *other = find_conflict(group, l);
        if (other != NULL && (first == NULL || l->order < first->order)) {
            first = l;
            first_other = other;
        }
    }
    return first != NULL ? conflict_error(first, first_other, error) : 0;
}

// Appends the block's listeners.
static size_t add_listeners(const struct corefile_block *b, uint16_t default_port, struct listener *out, size_t n)
{
    static const char *const wildcard[] = {""};
    const char *const *addresses = b->listen != NULL ? b->listen : wildcard;
    size_t naddresses = b->listen != NULL ? b->nlisten : 1;
    for (size_t k = 0; k < b->nkeys; k++) {
        for (size_t i = 0; i < naddresses; i++, n++)
            out[n] = (struct listener){&b->keys[k], addresses[i], corefile_key_port(&b->keys[k], default_port), n};
    }
    return n;
}

int corefile_check_keys(const struct corefile *c, uint16_t default_port, char *error)
{
    size_t n = 0;
    for (size_t i = 0; i < c->nblocks; i++)
        n += c->blocks[i].nkeys * (c->blocks[i].listen != NULL ? c->blocks[i].nlisten : 1);
    struct listener *listeners = calloc(n + 1, sizeof *listeners);
    if (listeners == NULL)
        return fault_memory(error);
    n = 0;
    for (size_t i = 0; i < c->nblocks; i++)
        n = add_listeners(&c->blocks[i], default_port, listeners, n);
    int result = check(listeners, n, error);
    free(listeners);
    return result;
}
