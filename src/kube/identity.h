// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Owned copies of source options, and whether two of them mean the same source. Pure.
#include "kube/source.h"

/// A deep copy, one allocation for all, to be freed with free(); NULL when memory is short.
struct source_options *options_copy(const struct source_options *o);
bool options_equal(const struct source_options *a, const struct source_options *b);
