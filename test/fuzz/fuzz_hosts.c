// SPDX-License-Identifier: Apache-2.0
// \file
// Any bytes as a hosts file, in pieces of two sizes: both say the same, and what is found by name is found by address.
#include "plugins/hosts/hosts.h"
#include <stdint.h>
#include <string.h>

static const uint8_t *const everything[] = {(const uint8_t *)""};
static const struct zone_list zones = {.zones = everything, .n = 1};

static struct hosts_map *parse(const uint8_t *data, size_t size, size_t piece)
{
    struct hosts_parser p = {.map = hosts_map_new(), .zones = &zones, .source = "Fuzz"};
    INVARIANT(p.map != NULL);
    for (size_t at = 0; at < size; at += piece)
        hosts_parse(&p, data + at, size - at < piece ? size - at : piece);
    INVARIANT(hosts_parse_end(&p) == 0);
    INVARIANT(hosts_map_finish(p.map, true) == 0);
    return p.map;
}

// Is there the entry `wanted` among those of its own name, and of its own address?
static void check_entry(const struct hosts_map *m, uint32_t wanted)
{
    const uint8_t *name = hosts_map_name(m, wanted);
    size_t len = name_length(name);
    const struct ip_address a = hosts_map_address(m, wanted);
    INVARIANT(len <= NAME_MAX_WIRE && (a.len == 4 || a.len == 16));
    uint32_t e = hosts_map_find(m, name, len, a.len);
    while (e != 0 && e != wanted)
        e = hosts_map_next(m, e);
    INVARIANT(e == wanted);
    if (name[0] == 1 && name[1] == '*')
        return;
    for (e = hosts_map_find_address(m, &a); e != 0 && e != wanted;)
        e = hosts_map_next_name(m, e);
    INVARIANT(e == wanted);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hosts_map *whole = parse(data, size, size + 1), *bits = parse(data, size, 3);
    INVARIANT(hosts_map_count(whole) == hosts_map_count(bits));
    // Of n entries, at most all have an entry by address too.
    uint32_t n = (uint32_t)(hosts_map_count(whole) + 1) / 2;
    for (uint32_t e = 1; e <= n && n < 1000; e++) {
        check_entry(whole, e);
        INVARIANT(name_equal(hosts_map_name(whole, e), hosts_map_name(bits, e)));
        const struct ip_address a = hosts_map_address(whole, e), b = hosts_map_address(bits, e);
        INVARIANT(a.len == b.len && memcmp(a.bytes, b.bytes, a.len) == 0);
    }
    hosts_map_free(whole);
    hosts_map_free(bits);
    return 0;
}
