// SPDX-License-Identifier: Apache-2.0
#include "corefile/corefile.h"
#include "corefile/fault.h"
#include "corefile/list.h"
#include <clusterdns/quote.h>
#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

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

// Takes a sign, if there is one; true for '-'.
static bool take_sign(const char **text)
{
    bool negative = **text == '-';
    *text += negative || **text == '+';
    return negative;
}

// Takes decimal digits, at most INT64_MAX + 1 in all; false when the number is larger.
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

// Gives the number its sign. CDNS_ERANGE.
static int store_signed(bool negative, uint64_t number, int64_t *value)
{
    if (number > (uint64_t)INT64_MAX + negative)
        return CDNS_ERANGE;
    *value = negative ? (int64_t)(0 - number) : (int64_t)number;
    return 0;
}

// What Go's strconv says of a text that is no number.
static int number_error(int result, const char *function, const char *text, char *error)
{
    char quoted[CONFIG_ERROR_MAX - 64];
    if (result != 0 && error != NULL)
        snprintf(error, CONFIG_ERROR_MAX, "strconv.%s: parsing %s: %s", function, quote(text, quoted, sizeof quoted),
                 result == CDNS_ESYNTAX  ? "invalid syntax"
                 : result == CDNS_ERANGE ? "value out of range"
                                         : error_text(result));
    return result;
}

static int read_integer(const char *text, int64_t *value)
{
    uint64_t number;
    bool negative = take_sign(&text);
    if (text[0] == '\0' || text[strspn(text, "0123456789")] != '\0')
        return CDNS_ESYNTAX;
    if (!take_number(&text, &number))
        return CDNS_ERANGE;
    return store_signed(negative, number, value);
}

int config_integer(const char *text, int64_t *value, char *error)
{
    return number_error(read_integer(text, value), "Atoi", text, error);
}

static bool is_digit(char c, bool hex)
{
    return hex ? isxdigit((unsigned char)c) : isdigit((unsigned char)c);
}

// Does every underscore stand between two digits, or between the prefix of a hexadecimal number and one?
static bool underscores_are_good(const char *number, bool hex)
{
    for (const char *p = strchr(number, '_'); p != NULL; p = strchr(p + 1, '_'))
        if (p == number || (!is_digit(p[-1], hex) && !(hex && p == number + 2)) || !is_digit(p[1], hex))
            return false;
    return true;
}

// A number without sign and underscores. What the C library takes and Go does not is sorted out before.
static int read_unsigned(const char *number, bool hex, float *value)
{
    char *end;
    if (hex && strpbrk(number, "pP") == NULL)
        return CDNS_ESYNTAX;
    *value = strtof(number, &end);
    if (*end != '\0')
        return CDNS_ESYNTAX;
    return isinf(*value) ? CDNS_ERANGE : 0;
}

static int read_float(const char *text, float *value)
{
    const char *number = text;
    float sign = take_sign(&number) ? -1 : 1;
    bool hex = strncasecmp(number, "0x", 2) == 0;
    if (strcasecmp(number, "inf") == 0 || strcasecmp(number, "infinity") == 0 || strcasecmp(text, "nan") == 0) {
        *value = strcasecmp(text, "nan") == 0 ? NAN : sign * INFINITY;
        return 0;
    }
    if ((number[0] != '.' && !is_digit(number[0], false)) || !underscores_are_good(number, hex))
        return CDNS_ESYNTAX;
    char *plain = strdup(number), *out = plain;
    if (plain == NULL)
        return CDNS_ENOMEM;
    for (; *number != '\0'; number++)
        if (*number != '_')
            *out++ = *number;
    *out = '\0';
    int result = read_unsigned(plain, hex, value);
    *value *= sign;
    free(plain);
    return result;
}

int config_float(const char *text, float *value, char *error)
{
    return number_error(read_float(text, value), "ParseFloat", text, error);
}

// The unit of this name, in nanoseconds; 0 when there is none.
static uint64_t unit_ns(const char *name, size_t len)
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
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strlen(units[i].name) == len && memcmp(units[i].name, name, len) == 0)
            return units[i].ns;
    return 0;
}

// Takes the digits after a decimal point: as a number, as far as it fits, that is to be divided by `*scale`.
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

// Takes one "1.5h" of a duration and adds it to `*ns`. A unit that is missing or unknown is left in `*bad_unit`.
static int take_duration(const char **text, uint64_t *ns, const char **bad_unit)
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
    if (!digits)
        return CDNS_ESYNTAX;
    size_t len = strcspn(*text, ".0123456789");
    uint64_t unit = unit_ns(*text, len);
    if (unit == 0) {
        *bad_unit = *text;
        return CDNS_ESYNTAX;
    }
    *text += len;
    if (whole > max / unit)
        return CDNS_ERANGE;
    // In doubles, as Go does it, so that the result is the same to the nanosecond.
    uint64_t part = whole * unit + (uint64_t)((double)fraction * ((double)unit / scale));
    if (part > max || *ns > max - part)
        return CDNS_ERANGE;
    *ns += part;
    return 0;
}

static int read_duration(const char *text, int64_t *ns, const char **bad_unit)
{
    uint64_t total = 0;
    bool negative = take_sign(&text);
    if (strcmp(text, "0") == 0) {
        *ns = 0;
        return 0;
    }
    do {
        int result = take_duration(&text, &total, bad_unit);
        if (result != 0)
            return result;
    } while (*text != '\0');
    return store_signed(negative, total, ns);
}

#define QUOTED_MAX (CONFIG_ERROR_MAX / 2 - 32) // two have room in an error

// Writes `len` bytes of text as Go's package time quotes them: bytes that are not ASCII's printable ones in
// hexadecimal.
static const char *quote_bytes(const char *text, size_t len, char out[QUOTED_MAX])
{
    size_t n = 0;
    out[n++] = '"';
    for (size_t i = 0; i < len && n + 6 < QUOTED_MAX; i++) {
        unsigned char c = (unsigned char)text[i];
        const char *form = c < ' ' || c >= 0x80 ? "\\x%02x" : c == '"' || c == '\\' ? "\\%c" : "%c";
        n += (size_t)snprintf(out + n, QUOTED_MAX - n, form, c);
    }
    out[n++] = '"';
    out[n] = '\0';
    return out;
}

int config_duration(const char *text, int64_t *ns, char *error)
{
    char whole[QUOTED_MAX], unit[QUOTED_MAX];
    const char *bad_unit = NULL;
    int result = read_duration(text, ns, &bad_unit);
    if (result == 0)
        return 0;
    size_t len = bad_unit != NULL ? strcspn(bad_unit, ".0123456789") : 0;
    quote_bytes(text, strlen(text), whole);
    if (bad_unit == NULL)
        snprintf(error, CONFIG_ERROR_MAX, "time: invalid duration %s", whole);
    else if (len == 0)
        snprintf(error, CONFIG_ERROR_MAX, "time: missing unit in duration %s", whole);
    else
        snprintf(error, CONFIG_ERROR_MAX, "time: unknown unit %s in duration %s", quote_bytes(bad_unit, len, unit),
                 whole);
    return result;
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

const char *config_duration_text(int64_t ns, char out[CONFIG_DURATION_MAX])
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
        print_decimal(out + n, CONFIG_DURATION_MAX - n, u, places, places == 0 ? "ns" : places == 3 ? "µs" : "ms");
    } else {
        uint64_t minutes = u / second / 60;
        if (minutes >= 60)
            n += (size_t)snprintf(out + n, CONFIG_DURATION_MAX - n, "%" PRIu64 "h", minutes / 60);
        if (minutes > 0)
            n += (size_t)snprintf(out + n, CONFIG_DURATION_MAX - n, "%" PRIu64 "m", minutes % 60);
        print_decimal(out + n, CONFIG_DURATION_MAX - n, u % (60 * second), 9, "s");
    }
    return out;
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
