// SPDX-License-Identifier: Apache-2.0
#include "kube/decode.h"
#include "plugins/kubernetes/kubernetes.h"
#include <string.h>

#define LABELS_MAX 5 // _port._protocol.service.namespace.svc, and what stands behind a topology zone

static bool is(const uint8_t *label, const char *text)
{
    size_t len = strlen(text);
    return label[0] == len && memcmp(label + 1, text, len) == 0;
}

static struct part without_underscore(const uint8_t *label)
{
    size_t skip = label[1] == '_';
    return (struct part){.text = label + 1 + skip, .len = label[0] - skip};
}

// What stands left of service.namespace.svc.
static void parse_left(const uint8_t *const *label, unsigned labels, bool multicluster, struct name_parts *out)
{
    if (labels == 4) {
        out->endpoint = label[3];
    } else if (labels == 5 && multicluster && label[3][1] != '_' && label[4][1] != '_') {
        out->cluster = label[3];
        out->endpoint = label[4];
    } else if (labels == 5) {
        out->protocol = without_underscore(label[3]);
        out->port = without_underscore(label[4]);
    }
}

// topology-zone.pin|prefer._zone.service.namespace.svc, where the topology zone is a label or several.
static void parse_zonal(const uint8_t *name, unsigned labels, struct name_parts *out)
{
    const uint8_t *label[LABELS_MAX], *p = name_skip(name, labels - LABELS_MAX);
    for (unsigned i = LABELS_MAX; i-- > 0; p += 1 + p[0])
        label[i] = p;
    out->prefer = is(label[4], "prefer");
    if (!is(label[0], "svc") || !is(label[3], "_zone") || (!out->prefer && !is(label[4], "pin")))
        return;
    out->form = NAME_ZONAL;
    out->ns = label[1];
    out->service = label[2];
    out->topology = name;
    out->ntopology = labels - LABELS_MAX;
}

bool name_is_topology(const struct name_parts *r, const uint8_t *zone)
{
    const uint8_t *label = r->topology, *p = zone + 1, *end = p + zone[0];
    for (unsigned i = 0; i < r->ntopology; i++, label += 1 + label[0]) {
        if (i > 0 && (p == end || *p++ != '.'))
            return false;
        if (label[0] > end - p || memcmp(label + 1, p, label[0]) != 0 || memchr(label + 1, '.', label[0]) != NULL)
            return false;
        p += label[0];
    }
    return p == end;
}

void name_parse(const uint8_t *name, unsigned labels, const struct zone *zone, bool zonal, struct name_parts *out)
{
    const uint8_t *label[LABELS_MAX];
    *out = (struct name_parts){.form = labels == 0 ? NAME_EMPTY : NAME_INVALID};
    if (labels > LABELS_MAX && zonal && !zone->multicluster && !zone->reverse)
        parse_zonal(name, labels, out);
    if (labels == 0 || labels > LABELS_MAX)
        return;
    for (unsigned i = labels; i-- > 0; name += 1 + name[0])
        label[i] = name; // label[0] stands next to the zone
    bool service = is(label[0], "svc");
    if (!service && !is(label[0], "pod")) {
        if (labels == 2 && is(label[0], "dns") && is(label[1], "ns"))
            out->form = NAME_SERVER;
        else if (labels == 1 && is(label[0], "dns-version"))
            out->form = NAME_VERSION;
        return;
    }
    if (labels > 1 && zone->reverse)
        return;
    out->form = labels == 1 ? NAME_EMPTY : service ? NAME_SERVICE : NAME_POD;
    out->ns = labels > 1 ? label[1] : NULL;
    out->service = labels > 2 ? label[2] : NULL;
    parse_left(label, labels, zone->multicluster, out);
}

const struct zone *name_zone(const struct zone *zones, size_t n, const uint8_t *name, size_t len)
{
    const struct zone *best = NULL;
    for (size_t i = 0; i < n; i++) {
        const struct zone *z = &zones[i];
        if (z->len > len || (best != NULL && z->len <= best->len) || memcmp(name + len - z->len, z->name, z->len) != 0)
            continue;
        const uint8_t *p = name; // the same bytes: do they start at a label?
        while (p < name + len - z->len)
            p += 1 + p[0];
        if (p == name + len - z->len)
            best = z;
    }
    return best;
}

// Writes a label's bytes, with a new label at each dot; returns the bytes written, at most 2 + the label's.
static size_t write_parted(const uint8_t *label, uint8_t *out)
{
    const uint8_t *p = label + 1, *end = p + label[0];
    size_t n = 0;
    while (p < end) {
        const uint8_t *dot = memchr(p, '.', (size_t)(end - p));
        size_t len = (size_t)((dot == NULL ? end : dot) - p);
        if (len > 0) {
            out[n] = (uint8_t)len;
            memcpy(out + n + 1, p, len);
            n += 1 + len;
        }
        p += len + 1;
    }
    return n;
}

size_t name_compose(const uint8_t *const *labels, size_t n, const uint8_t *rest, uint8_t *out)
{
    size_t len = 0, rest_len = name_length(rest);
    for (size_t i = 0; i < n; i++) {
        if (len + 1 + labels[i][0] > NAME_MAX_WIRE)
            return 0;
        len += write_parted(labels[i], out + len);
    }
    if (len + rest_len > NAME_MAX_WIRE)
        return 0;
    memcpy(out + len, rest, rest_len);
    return len + rest_len;
}

static size_t write_number(uint8_t *out, unsigned value, unsigned base)
{
    uint8_t digits[5];
    size_t n = 0;
    do
        digits[n++] = (uint8_t) "0123456789abcdef"[value % base];
    while ((value /= base) > 0);
    for (size_t i = 0; i < n; i++)
        out[i] = digits[n - 1 - i];
    return n;
}

// RFC 5952 with dashes for colons: the first longest run of two or more zero groups becomes "--". Nothing may end in a
// dash: then a zero is put behind it.
static size_t write_ipv6(const uint8_t *bytes, uint8_t *out)
{
    unsigned group[8], run = 8, run_len = 1;
    for (unsigned i = 0; i < 8; i++)
        group[i] = (unsigned)bytes[2 * i] << 8 | bytes[2 * i + 1];
    for (unsigned i = 0, len = 0; i < 8; i++) {
        len = group[i] == 0 ? len + 1 : 0;
        if (len > run_len) {
            run_len = len;
            run = i + 1 - len;
        }
    }
    size_t n = 0;
    for (unsigned i = 0; i < 8; i++) {
        if (i == run) {
            out[n++] = '-';
            if (run == 0) // else the first one stands there already
                out[n++] = '-';
            i += run_len - 1;
            continue;
        }
        n += write_number(out + n, group[i], 16);
        if (i < 7)
            out[n++] = '-';
    }
    if (out[n - 1] == '-')
        out[n++] = '0';
    return n;
}

void name_address_label(const struct kube_address *a, uint8_t *label)
{
    size_t n = 0;
    if (a->len == 16) {
        n = write_ipv6(a->bytes, label + 1);
    } else {
        for (unsigned i = 0; i < 4; i++) {
            n += write_number(label + 1 + n, a->bytes[i], 10);
            if (i < 3)
                label[1 + n++] = '-';
        }
    }
    label[0] = (uint8_t)n;
}

bool name_pod_address(const uint8_t *label, struct kube_address *out, bool *canonical)
{
    char text[64];
    unsigned dashes = 0;
    bool twice = false;
    memcpy(text, label + 1, label[0]);
    text[label[0]] = 0;
    for (unsigned i = 0; i < label[0]; i++) {
        dashes += text[i] == '-';
        twice |= text[i] == '-' && text[i + 1] == '-';
        if (text[i] == 0 || text[i] == '.' || text[i] == ':')
            return false;
    }
    for (unsigned i = 0; i < label[0]; i++)
        if (text[i] == '-')
            text[i] = dashes == 3 && !twice ? '.' : ':';
    return decode_address(text, out, canonical) == 0;
}

bool name_label_address(const uint8_t *label, struct kube_address *out)
{
    uint8_t again[64];
    bool canonical;
    if (!name_pod_address(label, out, &canonical))
        return false;
    name_address_label(out, again);
    return again[0] == label[0] && memcmp(again, label, 1u + label[0]) == 0;
}
