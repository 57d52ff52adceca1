// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// When questions are to be sent: fixed before the run, whatever the server does. Each thread has a part of a schedule;
/// together they are the whole. Pure but for the generator's state; one thread at a time for each part.
#include <stdbool.h>
#include <stdint.h>

enum schedule_form {
    SCHEDULE_CONSTANT, ///< evenly
    SCHEDULE_POISSON,  ///< independent of each other: exponential gaps
    SCHEDULE_BURST,    ///< `burst` at once, evenly in between
    SCHEDULE_RAMP,     ///< evenly, at a rate that goes from `rate` to `to_rate` over the whole time
    SCHEDULE_STEP,     ///< evenly, at a rate that goes from `rate` to `to_rate` in `steps` equal pieces of the time
};

/// "constant", "poisson" …; NULL: there is no such form.
const char *schedule_form_text(unsigned form);

/// What is wanted.
struct schedule_plan {
    enum schedule_form form;
    double rate;          ///< questions a second, above 0
    double to_rate;       ///< RAMP, STEP: the last rate, above 0
    uint32_t burst;       ///< BURST: at least 1
    uint32_t steps;       ///< STEP: at least 2
    uint64_t duration_ns; ///< nothing is sent at or after it
    uint64_t seed;        ///< POISSON: repeats it
};

/// A thread's part.
struct schedule {
    struct schedule_plan plan;
    unsigned part, parts;
    uint64_t number; ///< of questions taken so far
    double at;       ///< POISSON: the last time, seconds
    uint64_t random; ///< its generator
};

/// Part `part` of `parts`.
void schedule_begin(struct schedule *s, const struct schedule_plan *plan, unsigned part, unsigned parts);
/// For how long `n` questions are asked, all parts together: until the next one would be due, on the average; at most
/// the duration. Nanoseconds.
uint64_t schedule_span(const struct schedule_plan *plan, uint64_t n);
/// The time of the next question, in nanoseconds after the start; not before the last one. False: there is none.
bool schedule_next(struct schedule *s, uint64_t *at_ns);
