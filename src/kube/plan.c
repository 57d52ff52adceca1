// SPDX-License-Identifier: Apache-2.0
#include "kube/plan.h"
#include <limits.h>

// Doubles with each failure; jittered, so that servers that lost the API together do not come back together.
static uint64_t backoff(unsigned failures, uint64_t last, uint32_t random)
{
    uint64_t base = PLAN_BACKOFF_FIRST_MS;
    for (unsigned i = PLAN_FREE; i < failures && base < last / 2; i++)
        base *= 2;
    if (base > last / 2)
        base = last / 2;
    return base + (base * random >> 32);
}

// The step that tries the same again.
static enum step same(const struct ending *e)
{
    return e->purpose == PURPOSE_WATCH || e->purpose == PURPOSE_CHECK ? STEP_WATCH : STEP_SYNC;
}

// Watches end for all sorts of good reasons; only one that ends early again and again is a burden to the server.
static struct plan answered_watch(const struct ending *e, uint32_t random)
{
    struct plan p = {.step = STEP_WATCH, .good = e->lived_ms >= PLAN_LIVED_MS, .quiet = true};
    // A network that cuts what the server sends must not lengthen the waits for the server itself.
    p.normal = e->failures > PLAN_FREE;
    if (!p.good && e->failures >= PLAN_FREE)
        p.wait_ms = backoff(e->failures, PLAN_CHEAP_LAST_MS, random);
    return p;
}

// What was asked for is too old, or newer than the server's state.
static struct plan version_unusable(const struct ending *e, uint64_t wait)
{
    if (e->purpose == PURPOSE_WATCH) { // a state not older than the last one can still be had
        bool at_once = e->lived_ms >= PLAN_LIVED_LONG_MS || e->failures < PLAN_FREE;
        return (struct plan){.step = STEP_SYNC, .wait_ms = at_once ? 0 : wait, .quiet = true};
    }
    if (e->next_page)
        return (struct plan){.step = STEP_LIST_ANEW, .quiet = true, .normal = true};
    if (e->has_version)
        return (struct plan){.step = STEP_SYNC_ANEW, .quiet = true, .normal = true};
    return (struct plan){.step = STEP_SYNC_ANEW, .wait_ms = wait};
}

// The server does not understand the request.
static bool is_unsupported(int code)
{
    return code == 400 || code == 404 || code == 405 || code == 406 || code == 415 || code == 422;
}

static struct plan after_status(const struct ending *e, uint64_t wait)
{
    const struct api_status *s = &e->status;
    if (s->expired || s->too_large)
        return version_unusable(e, wait);
    if (e->protobuf && (s->code == 406 || s->code == 415))
        return (struct plan){.step = same(e), .quiet = true, .normal = true, .json = true};
    if (e->purpose == PURPOSE_WATCHLIST && is_unsupported(s->code))
        return (struct plan){.step = STEP_LIST, .quiet = true, .normal = true};
    if (s->retry_after > 0 && (s->code == 429 || s->code >= 500) && e->failures < PLAN_RETRY_AFTER_TIMES) {
        long seconds = s->retry_after < PLAN_RETRY_AFTER_LAST ? s->retry_after : PLAN_RETRY_AFTER_LAST;
        return (struct plan){.step = same(e), .wait_ms = (uint64_t)seconds * 1000};
    }
    // The watch's resource version may be what the server stumbles over.
    bool anew = is_unsupported(s->code) || (s->code != 401 && s->code != 403 && e->failures >= PLAN_WATCH_FAILURES);
    // A server that has just started answers before it knows roles and service accounts.
    bool early = e->returning && (s->code == 401 || s->code == 403);
    return (struct plan){.step = anew ? STEP_SYNC : same(e), .wait_ms = wait, .early = early};
}

// A kind that a cluster may do without is asked for seldom where the server has it not, or does not show it.
static struct plan of_optional(const struct ending *e, struct plan p, uint32_t random)
{
    bool missing = (e->status.code == 403 || e->status.code == 404) && !p.early;
    p.refused = !p.normal && (missing || e->failures >= PLAN_OPTIONAL_FAILURES);
    if (p.refused && missing)
        p.wait_ms = backoff(UINT_MAX, PLAN_BACKOFF_LAST_MS, random);
    return p;
}

enum reach plan_reach(const struct ending *e)
{
    if (e->unheard)
        return REACH_NOBODY;
    return e->answered || e->status.expired || e->status.too_large ? REACH_ANSWER : REACH_REFUSAL;
}

unsigned plan_failures(unsigned failures, enum reach before, enum reach now)
{
    return now > before ? 0 : failures;
}

struct plan plan_next(const struct ending *e, uint32_t random)
{
    uint64_t wait = backoff(e->failures, e->unheard ? PLAN_CHEAP_LAST_MS : PLAN_BACKOFF_LAST_MS, random);
    if (e->corrupt) // what was lost is not known
        return (struct plan){.step = STEP_SYNC, .wait_ms = wait};
    if (e->status.code != 0 && e->optional)
        return of_optional(e, after_status(e, wait), random);
    if (e->status.code != 0)
        return after_status(e, wait);
    if (e->purpose == PURPOSE_WATCH && e->answered)
        return answered_watch(e, random);
    // Without the bookmark at its end a WatchList was not understood: an old server takes it for a plain watch.
    if (e->purpose == PURPOSE_WATCHLIST && e->answered && (e->silent || !e->failed))
        return (struct plan){.step = STEP_LIST, .wait_ms = wait, .quiet = !e->silent};
    return (struct plan){.step = same(e), .wait_ms = wait};
}
