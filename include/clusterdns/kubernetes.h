// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What the kubernetes plugin tells other plugins of its block: the interface "kubernetes", to be had through .wants
/// and .join (plugin.h).
#include <clusterdns/query.h>
#include <stdbool.h>

#define KUBERNETES_INTERFACE "kubernetes" ///< its name

/// The functions; `provider` is what .join was given.
struct kubernetes_interface {
    /// Can the question get past the plugin to those behind it? False: its name is in a zone that nothing falls through
    /// from. It depends on the configuration alone. Worker.
    bool (*passes)(void *provider, const struct query *q);
    /// Would the plugin answer this question itself, out of its index as it is now? False: the name is in none of its
    /// zones, or falls through to the next plugin, so that what others say of it may be used. Before the first sync it
    /// is true for every name in its zones: nobody knows yet. Worker, inside an RCU read section.
    bool (*has_name)(void *provider, const struct query *q);
};
