// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A cluster's names, and what a DNS server has to say of them (Kubernetes DNS specification 1.1.0): from manifests or
/// from one listing of a live API. Reads once; to follow an API, read again. One thread at a time.
#include "dnsbench/options.h"
#include "dnsbench/questions.h"
#include <clusterdns/error.h>
#include <stdint.h>

#define CLUSTER_ERROR_MAX 1024

struct cluster;

/// Reads what `o` names: manifests, or the API of a kubeconfig (the lists of Services, EndpointSlices, Pods and
/// Namespaces). CDNS_ECONFIG: what is wrong and what to do is in `error` (CLUSTER_ERROR_MAX bytes); CDNS_ENOMEM.
int cluster_read(const struct options *o, struct cluster **out, char *error) CDNS_MUSTCHECK;
void cluster_free(struct cluster *c);
/// The questions that `o` wants of it: its kinds of names, and the shares of missing and external ones, shuffled by
/// o->seed (so that the n-th in a Zipf order is any name). With o->stub: names as an application writes them
/// (service.namespace, external ones whole), type A. CDNS_ECONFIG as above, for a cluster without such names;
/// CDNS_ENOMEM.
int cluster_questions(const struct cluster *c, const struct options *o, struct questions *out,
                      char *error) CDNS_MUSTCHECK;
/// The digest (digest.h) that the answer to a question has to have. False: the cluster says nothing of it (an external
/// name), so that the answer cannot be judged.
bool cluster_digest(const struct cluster *c, const struct question *q, uint64_t *digest);
