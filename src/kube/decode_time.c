// SPDX-License-Identifier: Apache-2.0
#include "kube/decode.h"
#include <string.h>

// A number of exactly `digits` digits at `*text`, which moves behind it and the byte `behind` ('\0': none). -1: there
// is none, or it is larger than `max`.
static int number(const char **text, int digits, int max, char behind)
{
    int n = 0;
    for (int i = 0; i < digits; i++, ++*text) {
        if (**text < '0' || **text > '9')
            return -1;
        n = 10 * n + (**text - '0');
    }
    if (behind != '\0' && *(*text)++ != behind)
        return -1;
    return n <= max ? n : -1;
}

static bool is_leap(int year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

// Days from 1970-01-01 to a date; month and day count from 1.
static int64_t days(int year, int month, int day)
{
    static const int before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    int64_t y = year - 1; // whole years since the year 1
    return y * 365 + y / 4 - y / 100 + y / 400 - 719162 + before[month - 1] + (month > 2 && is_leap(year)) + day - 1;
}

static int month_length(int year, int month)
{
    static const int length[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return length[month - 1] + (month == 2 && is_leap(year));
}

// A fraction of a second in ns at `*text`, which moves behind it; 0: there is none. -1: a point without digits.
static int64_t fraction(const char **text)
{
    if (**text != '.')
        return 0;
    int64_t ns = 0, unit = 100000000;
    const char *start = ++*text;
    for (; **text >= '0' && **text <= '9'; ++*text, unit /= 10)
        ns += unit * (**text - '0');
    return *text > start ? ns : -1;
}

// What is to be subtracted to get UTC, in seconds, from "Z" or "+hh:mm" that ends the text. -1 (no offset is): it is
// neither.
static int64_t offset(const char *text)
{
    if (strcmp(text, "Z") == 0)
        return 0;
    char sign = *text;
    if (sign != '+' && sign != '-')
        return -1;
    text++;
    int hours = number(&text, 2, 23, ':');
    int minutes = hours < 0 ? -1 : number(&text, 2, 59, '\0');
    if (minutes < 0 || *text != '\0')
        return -1;
    return (sign == '+' ? 1 : -1) * (hours * 3600 + minutes * 60);
}

int decode_time(const char *text, int64_t *ns)
{
    static const struct {
        int digits, max;
        char behind;
    } parts[] = {{4, 9999, '-'}, {2, 12, '-'}, {2, 31, 'T'}, {2, 23, ':'}, {2, 59, ':'}, {2, 59, '\0'}};
    int v[6];
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if ((v[i] = number(&text, parts[i].digits, parts[i].max, parts[i].behind)) < 0)
            return CDNS_EINVAL;
    if (v[0] < 1 || v[1] < 1 || v[2] < 1 || v[2] > month_length(v[0], v[1]))
        return CDNS_EINVAL;
    int64_t part = fraction(&text), east = part < 0 ? -1 : offset(text);
    if (east == -1)
        return CDNS_EINVAL;
    int64_t seconds = days(v[0], v[1], v[2]) * 86400 + v[3] * 3600 + v[4] * 60 + v[5] - east;
    if (__builtin_mul_overflow(seconds, 1000000000, ns) || __builtin_add_overflow(*ns, part, ns))
        return CDNS_ERANGE;
    return 0;
}
