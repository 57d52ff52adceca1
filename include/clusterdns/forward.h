// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The interface "forward": what the plugin forward lets other plugins of its block do. loop wants it.
#include <stdbool.h>
#include <stdint.h>

#define FORWARD_INTERFACE "forward"

struct forward_ops {
    /// Switches one of the block's forwards off, or on again: the one that a question for `probe` goes to, by FROM and
    /// `except`. What is off asks no upstream: its questions fail at once, SERVFAIL, "plugin/forward: switched off,
    /// since a loop was detected". Only questions for names below `probe`, by which loop finds out whether the loop is
    /// gone, go on as ever. `probe`: a wire name in lower case that lives as long as the instance. Takes effect for
    /// questions that come from then on. Returns false if no forward takes the name. Main thread, between .start and
    /// .stop.
    bool (*switch_off)(void *forward, const uint8_t *probe, bool off);
};
