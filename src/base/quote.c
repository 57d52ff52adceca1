// SPDX-License-Identifier: Apache-2.0
#include <clusterdns/quote.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

// Takes one character off the text; its bytes, or 0 when no UTF-8 begins there.
static size_t take_character(const char *text, uint32_t *character)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    uint8_t first = (uint8_t)text[0];
    size_t len = first < 0x80 ? 1 : first < 0xC0 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF8 ? 4 : 0;
    *character = len > 1 ? first & (0x7Fu >> len) : first;
    for (size_t i = 1; i < len; i++) {
        uint8_t next = (uint8_t)text[i]; // the NUL at the end is none of these
        if ((next & 0xC0) != 0x80)
            return 0;
        *character = *character << 6 | (next & 0x3F);
    }
    bool good = len > 0 && *character >= least[len] && *character <= 0x10FFFF && (*character & 0xFFFFF800) != 0xD800;
    return good ? len : 0;
}

static bool is_printable(uint32_t c)
{
    // Controls, white space, characters without a shape, private ones.
    static const struct {
        uint32_t first, last;
    } hidden[] = {{0, 0x1F},        {0x7F, 0xA0},       {0xAD, 0xAD},       {0x600, 0x605},     {0x61C, 0x61C},
                  {0x6DD, 0x6DD},   {0x70F, 0x70F},     {0x1680, 0x1680},   {0x180E, 0x180E},   {0x2000, 0x200F},
                  {0x2028, 0x202F}, {0x205F, 0x206F},   {0x3000, 0x3000},   {0xE000, 0xF8FF},   {0xFEFF, 0xFEFF},
                  {0xFFF0, 0xFFFB}, {0x1D173, 0x1D17A}, {0xE0000, 0xE00FF}, {0xF0000, 0x10FFFF}};
    for (size_t i = 0; i < sizeof hidden / sizeof hidden[0]; i++)
        if (c >= hidden[i].first && c <= hidden[i].last)
            return false;
    return (c & 0xFFFE) != 0xFFFE;
}

// What stands for a character, or a stray byte if `len` is 0.
static void write_character(const char *text, size_t len, uint32_t c, char out[16])
{
    static const char letters[] = "abtnvfr"; // from 7 on
    if (len == 0)
        snprintf(out, 16, "\\x%02x", (unsigned)(uint8_t)text[0]);
    else if (c == '"' || c == '\\')
        snprintf(out, 16, "\\%c", (char)c);
    else if (is_printable(c))
        snprintf(out, 16, "%.*s", (int)len, text);
    else if (c >= '\a' && c <= '\r')
        snprintf(out, 16, "\\%c", letters[c - '\a']);
    else if (c < 0x80)
        snprintf(out, 16, "\\x%02x", (unsigned)c);
    else
        snprintf(out, 16, c < 0x10000 ? "\\u%04x" : "\\U%08x", (unsigned)c);
}

const char *quote(const char *text, char *out, size_t size)
{
    size_t n = 0;
    char one[16] = "\"";
    for (bool end = false; n + strlen(one) < size;) {
        n += (size_t)snprintf(out + n, size - n, "%s", one);
        if (end)
            return out;
        if (*text == '\0') {
            end = true;
            memcpy(one, "\"", 2);
            continue;
        }
        uint32_t c;
        size_t len = take_character(text, &c);
        write_character(text, len, c, one);
        text += len > 0 ? len : 1;
    }
    out[n] = '\0';
    return out;
}
