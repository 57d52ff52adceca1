// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Bytes as they arrive, whole frames out: a watch stream in protobuf has one event in each frame, behind its length (4
/// bytes, big-endian).
#include "kube/buffer.h"
#include <clusterdns/error.h>
#include <stddef.h>

struct frames {
    struct buffer begun; ///< a frame whose end has not come, with its length
    size_t max;          ///< bytes a frame may have
};

void frames_init(struct frames *f, size_t max);
/// Forgets what is kept and frees it; the structure can be fed again.
void frames_reset(struct frames *f);
/// Calls `frame` (valid until the call returns) for each complete frame; an error that it returns ends the feeding.
/// CDNS_ELIMIT: a frame is longer than `max`; CDNS_ENOMEM.
int frames_feed(struct frames *f, const char *data, size_t len, int (*frame)(void *arg, const char *data, size_t len),
                void *arg) CDNS_MUSTCHECK;
