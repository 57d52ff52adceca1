// SPDX-License-Identifier: Apache-2.0
#include "dnsbench/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Bytes of the character that begins with `s`, 0: it is none (RFC 3629 §4).
static size_t character(const uint8_t *s)
{
    size_t n = s[0] < 0x80                   ? 1
               : s[0] >= 0xc2 && s[0] < 0xe0 ? 2
               : s[0] >= 0xe0 && s[0] < 0xf0 ? 3
               : s[0] >= 0xf0 && s[0] < 0xf5 ? 4
                                             : 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
        (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return n;
}

char *text_clean(char *text)
{
    for (uint8_t *s = (uint8_t *)text; *s != '\0';) {
        size_t n = character(s);
        bool control = (*s < 0x20 && *s != '\n' && *s != '\t') || *s == 0x7f || (*s == 0xc2 && n == 2 && s[1] < 0xa0);
        if (n == 0 || control) {
            *s = '?';
            n = 1;
        }
        s += n;
    }
    return text;
}
