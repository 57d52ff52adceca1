// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A source that is fed by an API server: one client, one reflector for each kind that the store wants. Kube thread.
#include "kube/credentials.h"
#include "kube/feed.h"
#include "kube/reflector.h"
#include "kube/source.h"

struct api_source;

/// Starts the reflectors. `feed` and `options` are borrowed; `credentials` are taken over. NULL when memory is short
/// (they are freed then).
struct api_source *api_source_start(uv_loop_t *loop, struct feed *feed, struct credentials *credentials,
                                    const struct source_options *options, const struct reflector_timing *timing);
/// Ends everything; `closed` is called when the loop holds nothing of it any more.
void api_source_close(struct api_source *s, void (*closed)(void *arg), void *arg);
