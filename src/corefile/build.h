// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The parser with its options, for tests and fuzzing.
#include "corefile/corefile.h"
#include "corefile/stream.h"

/// As corefile_parse_text(); warnings go where `options` says.
int corefile_build(struct arena *a, const char *name, const char *text, size_t len, corefile_known known, void *arg,
                   const struct stream_options *options, struct corefile *out, char *error) CDNS_MUSTCHECK;
