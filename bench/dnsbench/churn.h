// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Changes a name through the API at a rate, and measures until the server's answers show each change. One thread
/// writes. Another one asks the server, over UDP through a few sockets in turn, so that it meets several of the
/// server's workers; the first answer that shows a change counts, and one that goes back behind it is stale. The
/// functions here are for the main thread.
#include "dnsbench/churn_objects.h"
#include "dnsbench/track.h"
#include "dnsbench/worker.h"
#include <signal.h>

struct churn;

/// Makes the objects and waits until the server's answers show them. Whatever it returns, churn_end() deletes them.
/// `*interrupted` ends the waiting. `load` is kept. CDNS_ECONFIG: what is wrong and what to do is in `error`
/// (CHURN_ERROR_MAX bytes), `*out` is NULL or to be ended; CDNS_ENOMEM.
int churn_open(const struct options *o, const struct load *load, const volatile sig_atomic_t *interrupted,
               struct churn **out, char *error) CDNS_MUSTCHECK;
/// Changes begin at load->start_ns, and end with the load's duration. CDNS_EIO: there can be no thread.
int churn_begin(struct churn *c) CDNS_MUSTCHECK;
/// Ends the changes, waits for those that are not seen yet (not if it is `early`), and deletes the objects.
/// CDNS_ECONFIG as above: they could not be.
int churn_end(struct churn *c, bool early, char *error) CDNS_MUSTCHECK;
/// What it came to, after the end.
const struct track_results *churn_results(const struct churn *c);
/// Why the first write that failed did so, after the end; "" if none did.
const char *churn_api_error(const struct churn *c);
/// After the end. NULL is allowed.
void churn_free(struct churn *c);
