// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// From one configuration to the next while serving. Main thread, outside of the loop's callbacks.
#include "server/generation.h"
#include "server/server.h"
#include "server/state.h"

/// Builds a generation of the Corefile that the options name: -conf, else ./Corefile, else the built-in one. As
/// generation_build().
int reload_build(const struct server_options *o, generation_report report, void *arg,
                 struct generation **out) CDNS_MUSTCHECK;
/// Prepares the timer that reclaims generations, and shows the count of failed reloads. Before the first start.
void reload_init(struct server_state *s);

/// Does what `s->reload` asks for: builds and starts what the Corefile says now, lets the workers serve it, stops what
/// was served before. On any error all stays as it was, the log says why, and coredns_reload_failed_total counts it.
void reload_run(struct server_state *s);
/// Says in the log which configuration runs, by its hash, if the plugin `reload` is in it.
void reload_announce(const struct generation *g);
/// Frees generations that are no longer served and that no query is under way in.
void reload_reclaim(struct server_state *s);
/// The same at the end, when there are no queries any more.
void reload_reclaim_all(struct server_state *s);
