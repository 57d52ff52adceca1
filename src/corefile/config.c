// SPDX-License-Identifier: Apache-2.0
#include "corefile/corefile.h"
#include "corefile/fault.h"
#include "corefile/list.h"
#include <ctype.h>

int config_errorf(struct config *c, const struct token *at, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int result = fault_vat(c->error, c->plugin, at, fmt, args);
    va_end(args);
    return result;
}

int config_argument_error(struct config *c, const struct token *at)
{
    return config_errorf(c, at, "Wrong argument count or unexpected line ending after '%s'", at->text);
}

int config_plain_errorf(struct config *c, const struct token *at, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int result = fault_vplain(c->error, c->plugin, at, fmt, args);
    va_end(args);
    return result;
}

/// Takes a sign, if there is one; true for '-'.
static bool take_sign(const char **text)
{
    bool negative = **text == '-';
    *text += negative || **text == '+';
    return negative;
}

/// Takes decimal digits, at most INT64_MAX + 1 in all; false when the number is larger.
static bool take_number(const char **text, uint64_t *value)
{
    const uint64_t max = (uint64_t)INT64_MAX + 1;
    *value = 0;
    for (; isdigit((unsigned char)**text); ++*text) {
        uint64_t digit = (uint64_t)(**text - '0');
        if (*value > (max - digit) / 10)
            return false;
        *value = *value * 10 + digit;
    }
    return true;
}

/// Gives the number its sign. CDNS_ERANGE.
static int store_signed(bool negative, uint64_t number, int64_t *value)
{
    if (number > (uint64_t)INT64_MAX + negative)
        return CDNS_ERANGE;
    *value = negative ? (int64_t)(0 - number) : (int64_t)number;
    return 0;
}

int config_integer(const char *text, int64_t *value)
{
    uint64_t number;
    bool negative = take_sign(&text);
    if (text[0] == '\0' || text[strspn(text, "0123456789")] != '\0')
        return CDNS_ESYNTAX;
    if (!take_number(&text, &number))
        return CDNS_ERANGE;
    return store_signed(negative, number, value);
}

/// Takes the name of a unit; its length in nanoseconds, or 0 when there is none of this name.
static uint64_t take_unit(const char **text)
{
    static const struct {
        const char *name;
        uint64_t ns;
    } units[] = {{"ns", 1},
                 {"us", 1000},
                 {"µs", 1000}, // U+00B5
                 {"μs", 1000} /* U+03BC */,
                 {"ms", 1000000},
                 {"s", 1000000000},
                 {"m", 60000000000},
                 {"h", 3600000000000}};
    size_t len = strcspn(*text, ".0123456789");
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strlen(units[i].name) == len && strncmp(*text, units[i].name, len) == 0) {
            *text += len;
            return units[i].ns;
        }
    }
    return 0;
}

/// Takes the digits after a decimal point: as a number, as far as it fits, that is to be divided by `*scale`.
static uint64_t take_fraction(const char **text, double *scale)
{
    uint64_t digits = 0;
    bool full = false;
    *scale = 1;
    for (; isdigit((unsigned char)**text); ++*text) {
        uint64_t next = digits * 10 + (uint64_t)(**text - '0');
        full = full || digits > (uint64_t)INT64_MAX / 10 || next > (uint64_t)INT64_MAX + 1;
        if (full)
            continue;
        digits = next;
        *scale *= 10;
    }
    return digits;
}

/// Takes one "1.5h" of a duration and adds it to `*ns`.
static int take_duration(const char **text, uint64_t *ns)
{
    const uint64_t max = (uint64_t)INT64_MAX + 1;
    uint64_t whole, fraction = 0;
    double scale = 1;
    const char *start = *text;
    if (!take_number(text, &whole))
        return CDNS_ERANGE;
    bool digits = *text > start;
    if (**text == '.') {
        const char *point = (*text)++;
        fraction = take_fraction(text, &scale);
        digits = digits || *text > point + 1;
    }
    uint64_t unit = digits ? take_unit(text) : 0;
    if (unit == 0)
        return CDNS_ESYNTAX;
    if (whole > max / unit)
        return CDNS_ERANGE;
    // In doubles, as Go does it, so that the result is the same to the nanosecond.
    uint64_t part = whole * unit + (uint64_t)((double)fraction * ((double)unit / scale));
    if (part > max || *ns > max - part)
        return CDNS_ERANGE;
    *ns += part;
    return 0;
}

int config_duration(const char *text, int64_t *ns)
{
    uint64_t total = 0;
    bool negative = take_sign(&text);
    if (strcmp(text, "0") == 0) {
        *ns = 0;
        return 0;
    }
    do {
        int result = take_duration(&text, &total);
        if (result != 0)
            return result;
    } while (*text != '\0');
    return store_signed(negative, total, ns);
}

int config_zones(struct config *c, const struct token *args, size_t n, const char *const **zones, size_t *nzones)
{
    if (n == 0) {
        *zones = c->zones;
        *nzones = c->nzones;
        return 0;
    }
    struct list all = {0};
    for (size_t i = 0; i < n; i++) {
        const char *const *some;
        size_t nsome;
        int result = corefile_zones(c->arena, args[i].text, &some, &nsome);
        if (result == CDNS_EINVAL)
            continue; // CoreDNS ignores what is no zone
        for (size_t k = 0; result == 0 && k < nsome; k++)
            result = list_add(&all, c->arena, &some[k], sizeof some[k]);
        if (result != 0)
            return result;
    }
    *zones = all.items;
    *nzones = all.n;
    return 0;
}
