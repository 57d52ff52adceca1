// SPDX-License-Identifier: Apache-2.0
#pragma once
// Looks at what the registry shows.
#include <clusterdns/metrics.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static char metrics_shown[1 << 20]; // the latest exposition

// The exposition, handed out in pieces of `cap` bytes.
static inline const char *metrics_scrape(size_t cap)
{
    const size_t size = sizeof(metrics_shown) - 1;
    struct metrics_text *t = metrics_text_begin();
    assert_non_null(t);
    size_t len = 0, n;
    while ((n = metrics_text_next(t, metrics_shown + len, len + cap < size ? cap : size - len)) > 0)
        len += n;
    metrics_text_end(t);
    assert_true(len < size);
    metrics_shown[len] = '\0';
    return metrics_shown;
}

// The number of the series `name{labels}`, written as it is shown; -1: it is not.
static inline double metrics_shown_value(const char *series)
{
    size_t len = strlen(series);
    for (const char *line = metrics_shown; *line != '\0'; line = strchr(line, '\n') + 1)
        if (strncmp(line, series, len) == 0 && line[len] == ' ')
            return strtod(line + len, NULL);
    return -1;
}

// The same of a new scrape.
static inline double metrics_value_of(const char *series)
{
    metrics_scrape(sizeof(metrics_shown));
    return metrics_shown_value(series);
}

#define assert_metric(series, expected)                                                                                \
    do {                                                                                                               \
        double have_ = metrics_value_of(series);                                                                       \
        if (have_ != (expected))                                                                                       \
            fail_msg("%s is %g, not %g, in:\n%s", series, have_, (double)(expected), metrics_shown);                   \
    } while (0)
