// SPDX-License-Identifier: Apache-2.0
#include "dnsbench/schedule.h"

#include "base/splitmix.h"
#include <math.h>
#include <stddef.h>

#define SECOND 1e9

const char *schedule_form_text(unsigned form)
{
    static const char *const texts[] = {"constant", "poisson", "burst", "ramp", "step"};
    return form < sizeof texts / sizeof texts[0] ? texts[form] : NULL;
}

static double seconds(uint64_t ns)
{
    return (double)ns / SECOND;
}

// Uniform in (0, 1].
static double draw(uint64_t *state)
{
    return (double)((splitmix_next(state) >> 11) + 1) * 0x1p-53;
}

void schedule_begin(struct schedule *s, const struct schedule_plan *plan, unsigned part, unsigned parts)
{
    *s = (struct schedule){.plan = *plan, .part = part, .parts = parts, .random = plan->seed + part};
    (void)draw(&s->random);
}

static double step_rate(const struct schedule_plan *p, uint32_t step)
{
    return p->rate + (p->to_rate - p->rate) * step / (p->steps - 1);
}

// The time of the n-th question when the rate grows evenly: n = rate t + (to_rate - rate) t² / (2 duration).
static double ramp_time(const struct schedule_plan *p, double n)
{
    double growth = (p->to_rate - p->rate) / seconds(p->duration_ns), under = p->rate * p->rate + 2 * growth * n;
    if (fabs(growth) < 1e-9)
        return n / p->rate;
    return under < 0 ? INFINITY : (sqrt(under) - p->rate) / growth;
}

static double step_time(const struct schedule_plan *p, double n)
{
    double length = seconds(p->duration_ns) / p->steps, before = 0;
    for (uint32_t step = 0; step < p->steps; step++) {
        double rate = step_rate(p, step);
        if (n < before + rate * length)
            return step * length + (n - before) / rate;
        before += rate * length;
    }
    return INFINITY;
}

// The time of the whole schedule's n-th question, in seconds.
static double time_of(const struct schedule_plan *p, uint64_t n)
{
    switch (p->form) {
    case SCHEDULE_BURST:
        return (double)(n - n % p->burst) / p->rate;
    case SCHEDULE_RAMP:
        return ramp_time(p, (double)n);
    case SCHEDULE_STEP:
        return step_time(p, (double)n);
    case SCHEDULE_CONSTANT:
    case SCHEDULE_POISSON:
        break;
    }
    return (double)n / p->rate;
}

uint64_t schedule_span(const struct schedule_plan *plan, uint64_t n)
{
    double span = plan->form == SCHEDULE_BURST ? (double)n / plan->rate : time_of(plan, n);
    return span < seconds(plan->duration_ns) ? (uint64_t)(span * SECOND) : plan->duration_ns;
}

bool schedule_next(struct schedule *s, uint64_t *at_ns)
{
    uint64_t number = s->number++;
    if (s->plan.form == SCHEDULE_POISSON)
        s->at -= log(draw(&s->random)) * s->parts / s->plan.rate;
    else
        s->at = time_of(&s->plan, number * s->parts + s->part);
    if (s->at >= seconds(s->plan.duration_ns))
        return false;
    *at_ns = (uint64_t)(s->at * SECOND);
    return true;
}
