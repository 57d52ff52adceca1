// SPDX-License-Identifier: Apache-2.0
// A weight file: a line with a name, then lines with an address of it and a weight; "#" begins a comment line.
#include "base/reader.h"
#include "plugins/loadbalance/loadbalance.h"

#include <clusterdns/hash.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_BYTES 65535 // Go's bufio.Scanner takes no longer one
#define FIELDS 2             // of a line that makes sense

struct weight {
    uint32_t name; // where it stands in `names`
    struct ip_address address;
    uint8_t value; // 0: the slot is free
};

struct weights {
    uint8_t *names; // one after the other, and as many bytes more as are compared without a look at the length
    struct weight *slots;
    size_t mask; // slots - 1
};

// A file being read.
struct reading {
    const char *file;
    char *error;
    struct weights *w;
    size_t names_len, n;
    uint32_t owner; // the name that weights belong to, in `names`
    bool has_owner; // there was one …
    bool usable;    // … that is a name at all: nobody is answered another one
};

static int fail(struct reading *r, const char *what, const char *value, const char *more)
{
    if (value == NULL)
        snprintf(r->error, CONFIG_ERROR_MAX, "%s in weight file %s", what, r->file);
    else
        snprintf(r->error, CONFIG_ERROR_MAX, "%s:\"%.400s\" in weight file %s%s", what, value, r->file, more);
    return CDNS_ECONFIG;
}

static struct weight *slot_of(const struct weights *w, const uint8_t *name, size_t len, const struct ip_address *a)
{
    for (uint64_t at = hash_bytes(name, len) ^ hash_bytes(a->bytes, a->len);; at++) {
        struct weight *slot = &w->slots[at & w->mask];
        if (slot->value == 0 || (slot->address.len == a->len && memcmp(slot->address.bytes, a->bytes, a->len) == 0 &&
                                 memcmp(w->names + slot->name, name, len) == 0))
            return slot;
    }
}

static int take_name(struct reading *r, const char *text)
{
    struct ip_address unused;
    uint8_t name[NAME_MAX_WIRE];
    if (ip_read(text, &unused))
        return fail(r, "wrong domain name", text, ". (Maybe a missing weight value?)");
    r->has_owner = true;
    r->usable = name_from_text(text, name) == 0;
    if (!r->usable)
        return 0;
    r->owner = (uint32_t)r->names_len;
    r->names_len += name_lower(name, r->w->names + r->names_len);
    return 0;
}

// 1 to 255; 0 for anything else.
static uint8_t read_weight(const char *text)
{
    unsigned value = 0;
    for (; *text >= '0' && *text <= '9' && value <= UINT8_MAX; text++)
        value = 10 * value + (unsigned)(*text - '0');
    return *text == '\0' && value <= UINT8_MAX ? (uint8_t)value : 0;
}

// Of several weights of an address the first counts.
static int take_weight(struct reading *r, const char *address, const char *weight)
{
    struct ip_address a;
    uint8_t value = read_weight(weight);
    if (!ip_read(address, &a))
        return fail(r, "wrong IP address", address, "");
    if (value == 0)
        return fail(r, "wrong weight value", weight, "");
    if (!r->has_owner)
        return fail(r, "missing domain name", NULL, NULL);
    if (!r->usable)
        return 0;
    if (r->n++ == WEIGHTS_MAX)
        return fail(r, "too many addresses", NULL, NULL);
    const uint8_t *name = r->w->names + r->owner;
    struct weight *slot = slot_of(r->w, name, name_length(name), &a);
    if (slot->value == 0)
        *slot = (struct weight){.name = r->owner, .address = a, .value = value};
    return 0;
}

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

// Cuts a line into fields; returns their number, or FIELDS + 1 for more.
static size_t split(char *line, char *fields[FIELDS])
{
    size_t n = 0;
    for (char *p = line;;) {
        while (is_blank(*p))
            p++;
        if (*p == '\0' || n > FIELDS)
            return n;
        if (n < FIELDS)
            fields[n] = p;
        n++;
        while (*p != '\0' && !is_blank(*p))
            p++;
        if (*p != '\0' && n <= FIELDS)
            *p++ = '\0';
    }
}

static char *trim(char *line, size_t len)
{
    while (len > 0 && is_blank(line[len - 1]))
        len--;
    line[len] = '\0';
    while (is_blank(*line))
        line++;
    return line;
}

static int take_line(struct reading *r, char *line, size_t len)
{
    char whole[512], *fields[FIELDS];
    bool broken = memchr(line, '\0', len) != NULL;
    line = trim(line, len);
    if (*line == '#' || (*line == '\0' && !broken))
        return 0;
    snprintf(whole, sizeof whole, "%s", line);
    size_t n = broken ? 0 : split(line, fields);
    if (n == 1)
        return take_name(r, fields[0]);
    if (n == 2)
        return take_weight(r, fields[0], fields[1]);
    return fail(r, "could not parse weight line", whole, "");
}

static int take_lines(struct reading *r, const void *text, size_t size)
{
    struct reader in = reader_init(text, size);
    char *line = malloc(LINE_MAX_BYTES + 1);
    int rc = line != NULL ? 0 : CDNS_ENOMEM;
    for (size_t len = 0; rc == 0 && (reader_left(&in) > 0 || len > 0);) {
        bool ended = reader_left(&in) == 0;
        char c = (char)reader_u8(&in);
        if (ended || c == '\n') {
            rc = take_line(r, line, len);
            len = 0;
        } else if (len == LINE_MAX_BYTES) {
            snprintf(r->error, CONFIG_ERROR_MAX, "weight file %s parsing error:bufio.Scanner: token too long", r->file);
            rc = CDNS_ECONFIG;
        } else {
            line[len++] = c;
        }
    }
    free(line);
    return rc;
}

int weights_read(const char *name, const void *text, size_t size, struct weights **out, char *error)
{
    struct reading r = {.file = name, .error = error, .w = calloc(1, sizeof *r.w)};
    // No weight takes fewer than "::1 1", and no name in wire form more than two bytes beyond its text.
    size_t most = size / 5 < WEIGHTS_MAX ? size / 5 : WEIGHTS_MAX, slots = 2;
    while (slots < most + most / 2 + 1)
        slots *= 2;
    if (r.w == NULL)
        return CDNS_ENOMEM;
    r.w->mask = slots - 1;
    r.w->slots = calloc(slots, sizeof *r.w->slots);
    r.w->names = calloc(1, 2 * size + 2 + NAME_MAX_WIRE);
    int rc = r.w->slots != NULL && r.w->names != NULL ? take_lines(&r, text, size) : CDNS_ENOMEM;
    if (rc == 0)
        *out = r.w;
    else
        weights_free(r.w);
    return rc;
}

void weights_free(struct weights *w)
{
    if (w == NULL)
        return;
    free(w->names);
    free(w->slots);
    free(w);
}

uint8_t weights_of(const struct weights *w, const uint8_t *name, const struct ip_address *a)
{
    const struct weight *slot = slot_of(w, name, name_length(name), a);
    return slot->value != 0 ? slot->value : WEIGHT_DEFAULT;
}
