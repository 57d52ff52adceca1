// SPDX-License-Identifier: Apache-2.0
// The text of a hosts file: "ADDRESS NAME…" a line, "#" begins a comment wherever it stands.
#include "base/reader.h"
#include "plugins/hosts/hosts.h"

bool zone_list_has(const struct zone_list *list, const uint8_t *name)
{
    for (size_t i = 0; i < list->n; i++)
        if (name_in_zone(name, list->zones[i]))
            return true;
    return false;
}

static void complain(struct hosts_parser *p, const char *what)
{
    if (p->complaints++ < HOSTS_COMPLAINTS_MAX)
        log_plugin(LOG_LEVEL_ERROR, "hosts", "%s, line %zu: %s longer than %d bytes, dropping the %s", p->source,
                   p->line + 1, what, HOSTS_FIELD_MAX, p->index == 0 ? "line" : what);
}

// The interface that an address may name is left out.
static bool take_address(struct hosts_parser *p)
{
    p->field[strcspn(p->field, "%")] = '\0';
    return ip_read(p->field, &p->address);
}

// A name that is none (CoreDNS keeps it, and cannot send a PTR record with it) is passed over.
static void take_name(struct hosts_parser *p)
{
    uint8_t name[NAME_MAX_WIRE];
    if (p->error != 0 || name_from_text(p->field, name) != 0)
        return;
    name_lower(name, name);
    if (zone_list_has(p->zones, name))
        p->error = hosts_map_add(p->map, name, &p->address);
}

static void end_field(struct hosts_parser *p)
{
    if (p->len == 0 && !p->oversized)
        return;
    p->field[p->len] = '\0';
    bool text = !p->oversized && strlen(p->field) == p->len; // no NUL in it
    if (p->oversized && (p->index == 0 || p->has_address))
        complain(p, p->index == 0 ? "address" : "name");
    if (p->index == 0)
        p->has_address = text && take_address(p);
    else if (p->has_address && text)
        take_name(p);
    p->index++;
    p->len = 0;
    p->oversized = false;
}

static void end_line(struct hosts_parser *p)
{
    end_field(p);
    p->index = 0;
    p->comment = p->has_address = false;
    p->line++;
}

static void take_byte(struct hosts_parser *p, char c)
{
    switch (c) {
    case '\n':
        end_line(p);
        break;
    case '#':
        end_field(p);
        p->comment = true;
        break;
    case ' ':
    case '\t':
    case '\v':
    case '\f':
    case '\r':
        end_field(p);
        break;
    default:
        p->oversized = p->oversized || p->len == HOSTS_FIELD_MAX;
        if (p->oversized)
            p->len = 0;
        else
            p->field[p->len++] = c;
    }
}

void hosts_parse(struct hosts_parser *p, const void *data, size_t size)
{
    struct reader r = reader_init(data, size);
    while (reader_left(&r) > 0) {
        char c = (char)reader_u8(&r);
        if (!p->comment || c == '\n')
            take_byte(p, c);
    }
}

int hosts_parse_end(struct hosts_parser *p)
{
    end_field(p);
    if (p->complaints > HOSTS_COMPLAINTS_MAX)
        log_plugin(LOG_LEVEL_ERROR, "hosts", "%s: %u more fields are too long", p->source,
                   p->complaints - HOSTS_COMPLAINTS_MAX);
    return p->error;
}
