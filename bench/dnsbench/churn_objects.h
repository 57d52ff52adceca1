// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The objects that --churn changes: a headless Service without pods, and its EndpointSlice with one address, which
/// holds a number. The address is of 198.18.0.0/15, which is there for benchmarks (RFC 2544, RFC 6890): no pod has it,
/// so nobody is led astray by the name, and no pod's reverse name changes. Its 17 bits are enough: numbers have to be
/// told apart only from those that the server may still show. One thread at a time.
#include "dnsbench/options.h"

#define CHURN_ERROR_MAX 1536

struct churn_objects;

/// Writes why --churn cannot be to `error` (CHURN_ERROR_MAX bytes), and returns CDNS_ECONFIG.
int churn_fail(char *error, const char *fmt, ...) CDNS_PRINTF(2, 3);

/// Reads the kubeconfig, and nothing else. CDNS_ECONFIG: what is wrong and what to do is in `error` (CHURN_ERROR_MAX
/// bytes); CDNS_ENOMEM.
int churn_objects_new(const struct options *o, struct churn_objects **out, char *error) CDNS_MUSTCHECK;
void churn_objects_free(struct churn_objects *c);
/// Creates both, with number 0. CDNS_ECONFIG as above; churn_objects_delete() then deletes what there is.
int churn_objects_create(struct churn_objects *c, char *error) CDNS_MUSTCHECK;
/// Writes a number, of which the lowest TRACK_BITS count. CDNS_ECONFIG as above.
int churn_objects_write(struct churn_objects *c, uint32_t number, char *error) CDNS_MUSTCHECK;
/// Deletes what churn_objects_create() has made. CDNS_ECONFIG as above.
int churn_objects_delete(struct churn_objects *c, char *error) CDNS_MUSTCHECK;
/// The number in an answer's address of four bytes; false: it is none of ours.
bool churn_objects_number(const uint8_t address[4], uint32_t *bits);
/// The name whose address changes, as text without a dot at its end.
const char *churn_objects_name(const struct churn_objects *c);
