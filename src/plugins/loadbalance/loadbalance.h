// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The loadbalance plugin's own header. setup.c reads the directive; loadbalance.c has the hook and the orders of
/// records; weights.c is what a weight file says, file.c keeps it. Source of all behaviour: CoreDNS 1.15.0.
#include <clusterdns/ip.h>
#include <clusterdns/plugin.h>

// --- weights.c

#define WEIGHTS_BYTES_MAX (1U << 20) ///< of a weight file
#define WEIGHTS_MAX (1U << 16)       ///< addresses in it
#define WEIGHT_DEFAULT 1             ///< of what is not in it

/// What a weight file says; immutable. At most 6 MB.
struct weights;

/// Reads the text of the file `name`. CDNS_ECONFIG, with the words in `error` (CONFIG_ERROR_MAX bytes); CDNS_ENOMEM.
int weights_read(const char *name, const void *text, size_t size, struct weights **out, char *error) CDNS_MUSTCHECK;
/// NULL is allowed.
void weights_free(struct weights *w);
/// The weight of an address of a name (in lower case), or WEIGHT_DEFAULT.
uint8_t weights_of(const struct weights *w, const uint8_t *name, const struct ip_address *a);

// --- the plugin

struct weights_watch; // file.c

/// An instance.
struct loadbalance {
    const char *path;          ///< of the weight file; NULL: round_robin
    int64_t reload_ns;         ///< between two looks at it; 0: there is one only
    struct weights *weights;   ///< under RCU; NULL: none yet
    struct ip_network *prefer; ///< addresses in the first of these `nprefer` come first
    uint32_t nprefer;
    struct weights_watch *file; ///< between .start and .stop, with a weight file
};

int loadbalance_setup(struct config *c, void **self);
void loadbalance_destroy(void *self);
/// Reads the weight file, and goes on looking at it.
int loadbalance_start(void *self, const struct plugin_start *s);
void loadbalance_stop(void *self);
