// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The plugin chain: the only place that parks, resumes, times out and ends a query. Worker thread.
#include "server/exchange.h"

/// Fills the question's public fields from `x->m`, but for zone and server.
void chain_question(struct exchange *x);
/// Places the exchange in a block behind a route; `first` is the plugin to begin with.
void chain_enter(struct exchange *x, const struct route *route, const struct block *block, unsigned first);
/// Runs the chain until the query ends, and is released, or is parked.
void chain_start(struct exchange *x);
/// The deadline has passed.
void chain_expire(struct exchange *x);
/// Ends the exchange now: shutdown. Its plugin's .cancel is called; no answer is sent.
void chain_cancel(struct exchange *x);
/// The connection of a stream has room again, or is gone.
void chain_stream_drained(struct exchange *x, bool closed);
