// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Bytes as they arrive, whole lines out: a watch stream has one JSON event a line.
#include "kube/buffer.h"
#include <clusterdns/error.h>
#include <stddef.h>

struct lines {
    struct buffer begun; ///< the beginning of a line whose end has not come
    size_t max;          ///< bytes a line may have
};

void lines_init(struct lines *l, size_t max);
/// Forgets what is kept and frees it; the structure can be fed again.
void lines_reset(struct lines *l);
/// Calls `line` (not empty, without its end; valid until the call returns) for each complete line; an error that it
/// returns ends the feeding. CDNS_ELIMIT: a line is longer than `max`; CDNS_ENOMEM.
int lines_feed(struct lines *l, const char *data, size_t len, int (*line)(void *arg, const char *text, size_t len),
               void *arg) CDNS_MUSTCHECK;
