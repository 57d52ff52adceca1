// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// One configuration, immutable once built: server blocks with their plugin instances, and for each listening address
/// the zones it routes. Built, started and freed on the main thread; read by workers inside an RCU section, or while it
/// is pinned by a parked query.
#include "corefile/corefile.h"
#include <clusterdns/plugin.h>
#include <stdatomic.h>

struct generation;
struct block;
struct zone_counters; // counters.c

/// Where an instance stands.
struct placement {
    struct block *block;
    unsigned index; ///< in block->instances
};

struct instance {
    const struct plugin *plugin;
    void *self;
    bool started;
    struct placement at;
    struct plugin_start start; ///< what .start was given; lives as long as the instance
};

/// A server block: plugin instances in order, shared by all its zones.
struct block {
    struct generation *generation;
    struct instance *instances;
    unsigned ninstances;
    const char *const *zones; ///< normalised text, keys and expanded CIDRs
    size_t nzones;
    const char *server; ///< its first address: "dns://:53"
    /// What it is bound to, `nlisten` of it; NULL: all addresses.
    const union sockaddr_any *listen;
    size_t nlisten;
};

/// A zone of a listening address with the blocks that may take it, in file order.
struct route {
    const uint8_t *zone; ///< lower-case wire name
    size_t zone_len;     ///< bytes of `zone`
    const char *zone_text;
    struct block **blocks;
    struct zone_counters **counters; ///< of each block: NULL if it is not counted; NULL: none of them is
    unsigned nblocks;
};

/// A listening address and its zones: an open-addressed table by hash of the wire name.
struct listen_address {
    struct generation *generation;
    const char *server;         ///< "dns://:53", "dns://127.0.0.1:53"
    union sockaddr_any address; ///< without its port; AF_UNSPEC, 0.0.0.0 or :: is all addresses
    uint16_t port;
    bool any_class;       ///< questions of other classes than IN are let in
    struct route **table; ///< `mask` + 1 slots, NULL: empty
    unsigned mask;
    unsigned max_labels; ///< of the longest zone
    struct route *routes;
    unsigned nroutes;
    struct zone_counters *dropped; ///< of what reaches no block; NULL: not counted
};

struct generation {
    struct arena *arena;
    struct block *blocks;
    unsigned nblocks;
    struct listen_address *listens;
    unsigned nlistens;
    uint8_t hash[COREFILE_HASH]; ///< of the Corefile
    atomic_uint pins;            ///< parked queries
    struct generation *next;     ///< of those that are no longer served (reload.c)
    uint64_t retired_ns;         ///< since when, monotonic
};

/// How problems are told while a configuration is built. `text` is complete, with file and line where there is one.
typedef void (*generation_report)(void *arg, const char *text);

/// Builds a generation from a Corefile: `path`, or `text` named `name` when `path` is NULL. Every CoreDNS directive
/// that is not built yet is reported, then the first other error. Returns 0, or CDNS_ECONFIG after at least one report.
int generation_build(const char *path, const char *name, const char *text, uint16_t default_port,
                     generation_report report, void *arg, struct generation **out) CDNS_MUSTCHECK;
/// The part of generation_build() behind the parser, with plugins from `plugins` instead of the registry (unit tests).
int generation_build_parsed(struct arena *arena, const struct corefile *corefile, const struct plugin *const *plugins,
                            size_t nplugins, uint16_t default_port, generation_report report, void *arg,
                            struct generation **out) CDNS_MUSTCHECK;
/// The generation's listening address that is the same as one of another generation; NULL: none.
const struct listen_address *generation_listen(const struct generation *g, const struct listen_address *like);
/// Calls .start of every instance, in order; on an error those started are stopped. `error`: CONFIG_ERROR_MAX bytes.
int generation_start(struct generation *g, struct uv_loop_s *loop, const struct server_state *state,
                     char *error) CDNS_MUSTCHECK;
/// Calls .stop of what was started, in reverse order.
void generation_stop(struct generation *g);
/// Destroys instances and memory. Nothing may be pinned.
void generation_free(struct generation *g);

/// The block that takes the query, and its zone in `*route`: of the zones of `l` that the name is in, the longest one
/// with a block whose .match hooks all take the query, and the first such block of it. A question for DS belongs to the
/// parent of a zone cut, if that is served here too (RFC 4035 §3.1.4.1): for it, as in CoreDNS, the shortest such zone
/// but the root. NULL: none.
const struct block *route_query(const struct listen_address *l, const struct query *q, const struct route **route);
