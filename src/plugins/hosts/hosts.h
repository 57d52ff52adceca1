// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The hosts plugin's own header. Text goes: file.c (which notices changes and reads) → parser.c (fields) → map.c
/// (tables); a question: hosts.c → map.c. Source of all behaviour: hosts(5), and CoreDNS 1.15.0.
#include <clusterdns/ip.h>
#include <clusterdns/plugin.h>

// --- map.c

#define HOSTS_NAMES_MAX (1U << 20)  ///< names of one map, each as often as it stands in its source
#define HOSTS_BYTES_MAX (64U << 20) ///< bytes of a file

/// What a file, or the lines of a Corefile, say: an append-only list that becomes an immutable index of names and of
/// addresses. It takes at most 40 bytes a name beside the name's own, 16 more if the address is an IPv6 one, and twice
/// that while it grows.
struct hosts_map;

/// An empty one; NULL when memory is short.
struct hosts_map *hosts_map_new(void);
/// Frees it; NULL is allowed.
void hosts_map_free(struct hosts_map *m);
/// Appends a name (lower case, copied). CDNS_ELIMIT: there are HOSTS_NAMES_MAX; CDNS_ENOMEM.
int hosts_map_add(struct hosts_map *m, const uint8_t *name, const struct ip_address *a) CDNS_MUSTCHECK;
/// Ends the list; from now on any thread may look things up. `reverse`: by address too. CDNS_ENOMEM.
int hosts_map_finish(struct hosts_map *m, bool reverse) CDNS_MUSTCHECK;
/// Names in both directions, as CoreDNS counts them.
size_t hosts_map_count(const struct hosts_map *m);

/// The first entry with this name (lower case, `len` bytes, root included) and an address of `address_len` bytes; if
/// there is none, of "*" in place of its first label. Entries are numbers; 0: none.
uint32_t hosts_map_find(const struct hosts_map *m, const uint8_t *name, size_t len, uint8_t address_len);
/// The next one, in the order of the source.
uint32_t hosts_map_next(const struct hosts_map *m, uint32_t entry);
/// The entry's address.
struct ip_address hosts_map_address(const struct hosts_map *m, uint32_t entry);
/// The first entry with this address; not of a name that begins with "*". 0 without `reverse`.
uint32_t hosts_map_find_address(const struct hosts_map *m, const struct ip_address *a);
uint32_t hosts_map_next_name(const struct hosts_map *m, uint32_t entry);
/// The entry's name, which lives as long as the map.
const uint8_t *hosts_map_name(const struct hosts_map *m, uint32_t entry);

// --- parser.c

#define HOSTS_FIELD_MAX 1024   ///< bytes of a field; no name is that long
#define HOSTS_COMPLAINTS_MAX 8 ///< lines that are complained of, in one reading

struct zone_list {
    const uint8_t *const *zones;
    size_t n;
};
bool zone_list_has(const struct zone_list *list, const uint8_t *name);

/// The text of a hosts file, taken in pieces of any size: of fixed memory, however long its lines are.
struct hosts_parser {
    struct hosts_map *map;         ///< where entries go
    const struct zone_list *zones; ///< names outside of these are passed over
    const char *source;            ///< what it is called in the log
    // The parser's own.
    size_t line, len; ///< counted from 0; bytes of `field`
    unsigned index;   ///< fields of the line before this one
    unsigned complaints;
    bool oversized, comment, has_address;
    struct ip_address address;
    int error; ///< of hosts_map_add(): the rest is passed over
    char field[HOSTS_FIELD_MAX + 1];
};
/// Takes the next bytes.
void hosts_parse(struct hosts_parser *p, const void *data, size_t size);
/// There are no more. 0, or why they could not all be taken: CDNS_ELIMIT, CDNS_ENOMEM.
int hosts_parse_end(struct hosts_parser *p) CDNS_MUSTCHECK;

// --- the plugin

struct hosts_watch; // file.c

/// An instance.
struct hosts {
    const char *path;
    struct zone_list zones;
    struct zone_list fall; ///< names in these go on to the next plugin instead of SERVFAIL
    uint32_t ttl;          ///< seconds
    int64_t reload_ns;     ///< between two looks at the file; 0: there is one only
    bool no_reverse, fallthrough_unsupported;
    struct hosts_map *lines;   ///< of the Corefile
    struct hosts_map *map;     ///< of the file, under RCU; NULL: it has not been read
    struct hosts_watch *watch; ///< between .start and .stop
    struct metric *entries;
};

int hosts_setup(struct config *c, void **self);
void hosts_destroy(void *self);
/// Reads the file, and goes on looking at it.
int hosts_start(void *self, const struct plugin_start *s);
void hosts_stop(void *self);
