// SPDX-License-Identifier: Apache-2.0
#include <clusterdns/name.h>

#include "dns/lower.h"

size_t name_length(const uint8_t *name)
{
    const uint8_t *p = name;
    while (*p != 0)
        p += *p + 1;
    return (size_t)(p - name) + 1;
}

unsigned name_labels(const uint8_t *name)
{
    unsigned n = 0;
    for (; *name != 0; name += *name + 1)
        n++;
    return n;
}

bool name_equal(const uint8_t *a, const uint8_t *b)
{
    if (a == b)
        return true;
    size_t length = name_length(a);
    return name_length(b) == length && lower_same(a, b, length);
}

bool name_in_zone(const uint8_t *name, const uint8_t *zone)
{
    size_t left = name_length(name), want = name_length(zone);
    while (left > want) {
        left -= *name + 1U;
        name += *name + 1;
    }
    return left == want && lower_same(name, zone, want);
}

const uint8_t *name_skip(const uint8_t *name, unsigned n)
{
    for (; n > 0 && *name != 0; n--)
        name += *name + 1;
    return name;
}

size_t name_lower(const uint8_t *name, uint8_t *out)
{
    size_t length = name_length(name);
    lower_copy(out, name, length);
    return length;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

// Reads the byte behind a backslash, as \X or \DDD, and moves `*text` past it; -1 when it is neither.
static int read_escape(const char **text)
{
    const char *p = *text;
    if (*p == '\0')
        return -1;
    if (!is_digit(p[0])) {
        *text = p + 1;
        return (uint8_t)p[0];
    }
    if (!is_digit(p[1]) || !is_digit(p[2]))
        return -1;
    int value = (p[0] - '0') * 100 + (p[1] - '0') * 10 + (p[2] - '0');
    *text = p + 3;
    return value <= 255 ? value : -1;
}

int name_from_text(const char *text, uint8_t *out)
{
    if (text[0] == '.' && text[1] == '\0') {
        out[0] = 0;
        return 0;
    }
    size_t length_at = 0, pos = 1; // of the present label: its length byte, its next byte
    for (;;) {
        int c = (uint8_t)*text;
        bool ends = c == '.' || c == '\0';
        if (ends) {
            size_t label = pos - length_at - 1;
            if (label == 0)
                return CDNS_EINVAL;
            out[length_at] = (uint8_t)label;
            length_at = pos++;
            if (c == '\0' || text[1] == '\0')
                break;
            text++;
            continue;
        }
        text++;
        if (c == '\\' && (c = read_escape(&text)) < 0)
            return CDNS_EINVAL;
        // The root's byte must still fit behind this one.
        if (pos - length_at > NAME_MAX_LABEL || pos + 1 >= NAME_MAX_WIRE)
            return CDNS_ERANGE;
        out[pos++] = (uint8_t)c;
    }
    out[length_at] = 0;
    return 0;
}

// Presentation form of one byte of a label; returns its length.
static size_t byte_to_text(uint8_t c, char *out)
{
    switch (c) {
    case '.':
    case '(':
    case ')':
    case ';':
    case ' ':
    case '@':
    case '"':
    case '\\':
    case '\'':
        out[0] = '\\';
        out[1] = (char)c;
        return 2;
    default:
        if (c > ' ' && c <= '~') {
            out[0] = (char)c;
            return 1;
        }
        out[0] = '\\';
        out[1] = (char)('0' + c / 100);
        out[2] = (char)('0' + c / 10 % 10);
        out[3] = (char)('0' + c % 10);
        return 4;
    }
}

size_t name_to_text(const uint8_t *name, char *out)
{
    char *p = out;
    if (*name == 0)
        *p++ = '.';
    for (; *name != 0; name += *name + 1) {
        for (unsigned i = 1; i <= *name; i++)
            p += byte_to_text(name[i], p);
        *p++ = '.';
    }
    *p = '\0';
    return (size_t)(p - out);
}

int name_join(const uint8_t *first, const uint8_t *second, uint8_t *out)
{
    size_t head = name_length(first) - 1, tail = name_length(second);
    if (head + tail > NAME_MAX_WIRE)
        return CDNS_ERANGE;
    memmove(out + head, second, tail);
    memmove(out, first, head);
    return (int)(head + tail);
}

int name_prepend_label(const uint8_t *label, size_t len, const uint8_t *rest, uint8_t *out)
{
    size_t tail = name_length(rest);
    if (len == 0 || len > NAME_MAX_LABEL || 1 + len + tail > NAME_MAX_WIRE)
        return CDNS_ERANGE;
    memmove(out + 1 + len, rest, tail);
    memmove(out + 1, label, len);
    out[0] = (uint8_t)len;
    return (int)(1 + len + tail);
}

static int hex_digit(uint8_t c)
{
    c = lower_byte(c);
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// One decimal octet label without leading zeros; -1 for anything else.
static int octet_label(const uint8_t *label)
{
    int value = 0;
    if (*label == 0 || *label > 3 || (*label > 1 && label[1] == '0'))
        return -1;
    for (unsigned i = 1; i <= *label; i++) {
        if (label[i] < '0' || label[i] > '9')
            return -1;
        value = value * 10 + (label[i] - '0');
    }
    return value <= 255 ? value : -1;
}

static int address_from_octets(const uint8_t *name, uint8_t *addr)
{
    for (int i = 3; i >= 0; i--, name += *name + 1) {
        int octet = octet_label(name);
        if (octet < 0)
            return 0;
        addr[i] = (uint8_t)octet;
    }
    return name_equal(name, (const uint8_t *)"\7in-addr\4arpa") ? 4 : 0;
}

static int address_from_nibbles(const uint8_t *name, uint8_t *addr)
{
    for (int i = 31; i >= 0; i--, name += *name + 1) {
        int nibble = *name == 1 ? hex_digit(name[1]) : -1;
        if (nibble < 0)
            return 0;
        if (i % 2 != 0)
            addr[i / 2] = (uint8_t)nibble;
        else
            addr[i / 2] = (uint8_t)(addr[i / 2] | nibble << 4);
    }
    return name_equal(name, (const uint8_t *)"\3ip6\4arpa") ? 16 : 0;
}

int name_to_address(const uint8_t *name, uint8_t addr[16])
{
    unsigned labels = name_labels(name);
    return labels == 6 ? address_from_octets(name, addr) : labels == 34 ? address_from_nibbles(name, addr) : 0;
}
