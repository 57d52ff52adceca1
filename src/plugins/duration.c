// SPDX-License-Identifier: Apache-2.0
#include "plugins/duration.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const char digits[] = "0123456789";

static bool is_unit(const char *text, size_t len)
{
    static const char *const units[] = {"ns", "us", "µs", "μs", "ms", "s", "m", "h"};
    for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
        if (strlen(units[i]) == len && memcmp(units[i], text, len) == 0)
            return true;
    }
    return false;
}

// Finds the first thing in `text` that is wrong with it: numbers each followed by a unit, after a sign.
static void explain(const char *text, char error[DURATION_ERROR_MAX])
{
    const char *p = text + (text[0] == '+' || text[0] == '-');
    while (*p != '\0') {
        size_t whole = strspn(p, digits), fraction = 0;
        p += whole;
        if (*p == '.') {
            fraction = strspn(p + 1, digits);
            p += 1 + fraction;
        }
        if (whole + fraction == 0)
            break;
        size_t unit = strcspn(p, ".0123456789");
        if (unit == 0) {
            snprintf(error, DURATION_ERROR_MAX, "time: missing unit in duration \"%s\"", text);
            return;
        }
        if (!is_unit(p, unit)) {
            snprintf(error, DURATION_ERROR_MAX, "time: unknown unit \"%.*s\" in duration \"%s\"", (int)unit, p, text);
            return;
        }
        p += unit;
    }
    snprintf(error, DURATION_ERROR_MAX, "time: invalid duration \"%s\"", text);
}

int duration_parse(const char *text, int64_t *ns, char error[DURATION_ERROR_MAX])
{
    int rc = config_duration(text, ns);
    if (rc != 0)
        explain(text, error);
    return rc;
}

// `value` of units of 10^`places` nanoseconds, without zeros at the end of its fraction.
static void print_decimal(char *out, size_t size, uint64_t value, int places, const char *unit)
{
    uint64_t scale = 1;
    for (int i = 0; i < places; i++)
        scale *= 10;
    uint64_t fraction = value % scale;
    while (places > 0 && fraction % 10 == 0) {
        fraction /= 10;
        places--;
    }
    if (places == 0)
        snprintf(out, size, "%" PRIu64 "%s", value / scale, unit);
    else
        snprintf(out, size, "%" PRIu64 ".%0*" PRIu64 "%s", value / scale, places, fraction, unit);
}

const char *duration_text(int64_t ns, char out[DURATION_TEXT_MAX])
{
    const uint64_t second = 1000000000;
    uint64_t u = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;
    size_t n = 0;
    if (ns < 0)
        out[n++] = '-';
    if (u == 0) {
        memcpy(out, "0s", 3);
    } else if (u < second) {
        int places = u < 1000 ? 0 : u < 1000000 ? 3 : 6;
        print_decimal(out + n, DURATION_TEXT_MAX - n, u, places, places == 0 ? "ns" : places == 3 ? "µs" : "ms");
    } else {
        uint64_t minutes = u / second / 60;
        if (minutes >= 60)
            n += (size_t)snprintf(out + n, DURATION_TEXT_MAX - n, "%" PRIu64 "h", minutes / 60);
        if (minutes > 0)
            n += (size_t)snprintf(out + n, DURATION_TEXT_MAX - n, "%" PRIu64 "m", minutes % 60);
        print_decimal(out + n, DURATION_TEXT_MAX - n, u % (60 * second), 9, "s");
    }
    return out;
}
