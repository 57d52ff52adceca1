// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What the server counts (docs/plugins/prometheus.md has the list): queries by zone, where a plugin asks for it with
/// server_count_block(); and always what it does not answer, and what its sockets see.
#include <clusterdns/metrics.h>
#include <clusterdns/query.h>

struct exchange;
struct server_state;
struct worker;

/// Why a question from the network got no answer.
enum unanswered {
    UNANSWERED_OVERLOAD, ///< WORKER_EXCHANGES are in hand, or memory is short
    UNANSWERED_IGNORED,  ///< no question: a reply, or shorter than a header
    UNANSWERED_DROPPED,  ///< a plugin, or the shutdown, wanted none
    UNANSWERED_GONE,     ///< the TCP connection was closed meanwhile
};

/// Makes the series that are always counted. Before any worker starts, again for each. Main thread.
void counters_init(void);
/// Counts by a worker, on its thread.
void counters_unanswered(const struct worker *w, enum unanswered why);
/// A question, or a child question, that would have waited: as much as may wait does.
void counters_park_refused(const struct worker *w);
/// A malformed question, or one of an unknown opcode or EDNS version, is answered with this rcode.
void counters_rejected(const struct worker *w, uint16_t rcode);
/// The end of a question that reached no block: in zone "dropped", if that is counted.
void counters_dropped(const struct exchange *x, const struct outcome *o);
/// The end of a question that a block had.
void counters_ended(const struct exchange *x, const struct outcome *o);

/// The sockets' counters are shown from now on, or no longer (before the workers go). Main thread.
void counters_watch(const struct server_state *s);
void counters_unwatch(void);
