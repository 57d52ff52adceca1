// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stdlib.h>

/// The environment variable CLUSTERDNS_CHURN_EVENTS, which lengthens tests of constant change; without it `usual`.
static inline unsigned churn_events(unsigned usual)
{
    const char *text = getenv("CLUSTERDNS_CHURN_EVENTS");
    return text != NULL ? (unsigned)strtoul(text, NULL, 10) : usual;
}
