// SPDX-License-Identifier: Apache-2.0
#include "kube/facts.h"
#include <clusterdns/log.h>

// A text blob that is being written; references are handed out for what is in it.
struct blob {
    uint8_t *base;
    size_t units; // of two bytes
    label_ref previous;
};

// Of a label of `len` bytes; none has none.
static size_t label_units(size_t len)
{
    return len == 0 ? 0 : (1 + len + 1) / 2;
}

// What a text may be. The names of pods and clusters may have dots; names made of them have a label for each part. A
// topology zone is as many labels.
enum text_form { TEXT_LABEL, TEXT_DOTTED, TEXT_ZONE };

// Bytes of a text; 0 when names cannot be made of it: empty, too long, or bytes that no label of Kubernetes has, some
// of which CoreDNS never finds, since they are written with a backslash.
static size_t text_length(const char *text, enum text_form form)
{
    size_t n = 0, most = form == TEXT_ZONE ? 253 : 63;
    for (; text[n] != 0; n++)
        if (n == most || (uint8_t)text[n] <= ' ' || (uint8_t)text[n] >= 0x7f || strchr("\\\"'();@", text[n]) != NULL ||
            (text[n] == '.' && form == TEXT_LABEL))
            return 0;
    return n;
}

static void lower_label(uint8_t *out, const char *text, size_t len)
{
    out[0] = (uint8_t)len;
    for (size_t i = 0; i < len; i++)
        out[1 + i] = (uint8_t)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] + 32 : text[i]);
}

// Appends a label, unless it is the one that was appended last.
static label_ref blob_label(struct blob *b, const char *text, enum text_form form)
{
    size_t len = text_length(text, form);
    if (len == 0)
        return 0;
    uint8_t *place = b->base + 2 * b->units;
    place[2 * label_units(len) - 1] = 0; // where padding is
    lower_label(place, text, len);
    if (b->previous != 0 && label_equal(b->base + 2u * (b->previous - 1u), place))
        return b->previous;
    b->previous = (label_ref)(b->units + 1);
    b->units += label_units(len);
    return b->previous;
}

int pack_name(const char *text, uint8_t *label)
{
    size_t n = 0;
    for (; text[n] != 0; n++)
        if (n == 63 || !((text[n] >= 'a' && text[n] <= 'z') || (text[n] >= '0' && text[n] <= '9') || text[n] == '-'))
            return CDNS_EINVAL;
    lower_label(label, text, n);
    return n == 0 ? CDNS_EINVAL : 0;
}

static size_t ports_bound(const struct kube_port *ports, size_t n)
{
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++)
        bytes += sizeof(struct fact_port) + 2 + strlen(ports[i].name);
    return bytes;
}

#define PORTS_MAX 1000 // far above what the API takes, and their names fit a blob

static uint16_t ports_count(size_t n, const char *what, const char *name)
{
    if (n > PORTS_MAX)
        log_plugin(LOG_LEVEL_WARNING, "kubernetes", "%s %s: only the first %d of %zu ports are used", what, name,
                   PORTS_MAX, n);
    return n > PORTS_MAX ? PORTS_MAX : (uint16_t)n;
}

static void pack_ports(struct fact_port *out, uint16_t n, const struct kube_port *ports, struct blob *text)
{
    for (uint16_t i = 0; i < n; i++) {
        out[i].number = (uint16_t)ports[i].number; // of what is none, the part that SRV has room for, as in CoreDNS
        out[i].numbered = ports[i].number != KUBE_NO_PORT;
        out[i].protocol = (uint8_t)ports[i].protocol;
        out[i].name = blob_label(text, ports[i].name, TEXT_LABEL);
    }
}

size_t pack_service_bound(const struct kube_service *service)
{
    size_t name = service->external_name == NULL ? 0 : strlen(service->external_name);
    return sizeof(struct index_service) + ports_bound(service->ports, service->nports) +
           service->ncluster_ips * (1 + sizeof service->cluster_ips->bytes) + name + 4;
}

void pack_service(const struct kube_service *service, const char *name, struct index_service *out)
{
    *out = (struct index_service){
        .type = (uint8_t)service->type,
        .nports = ports_count(service->nports, "service", name),
    };
    uint8_t *p = (uint8_t *)(out->slices) + out->nports * sizeof(struct fact_port);
    for (size_t i = 0; i < service->ncluster_ips && out->nips < UINT8_MAX; i++) {
        const struct kube_address *a = &service->cluster_ips[i];
        p[0] = a->len;
        memcpy(p + 1, a->bytes, a->len);
        if (view_find_ip(out, p) != NULL)
            continue; // once is enough, and the table of addresses takes them to be distinct
        p += 1 + a->len;
        out->nips++;
    }
    struct blob text = {.base = p};
    if (service->type == KUBE_EXTERNALNAME) {
        const char *target = service->external_name == NULL ? "" : service->external_name;
        size_t len = strnlen(target, 255);
        memcpy(p, target, len);
        text.units = (len + 2) / 2;
        memset(p + len, 0, 2 * text.units - len);
    }
    pack_ports((struct fact_port *)(out->slices), out->nports, service->ports, &text);
    out->text_units = (uint16_t)text.units;
}

static const char *cluster_of(const struct kube_object *o)
{
    return o->kind == KUBE_IMPORTED_SLICE ? o->slice.cluster : "";
}

// Imported services have no names by zone.
static bool with_zones(const struct kube_object *o, const struct store_options *options)
{
    return options->zones && o->kind == KUBE_ENDPOINTSLICE;
}

size_t pack_slice_bound(const struct kube_object *o, const struct store_options *options)
{
    const struct kube_slice *slice = &o->slice;
    bool zones = with_zones(o, options);
    size_t bytes = sizeof(struct slice) + ports_bound(slice->ports, slice->nports) + 2 + strlen(cluster_of(o));
    for (size_t i = 0; i < slice->nendpoints; i++) {
        const struct kube_endpoint *e = &slice->endpoints[i];
        bytes += sizeof(struct endpoint6) + 4 + strlen(e->hostname) + strlen(e->pod_name);
        bytes += zones ? sizeof(label_ref) + 2 + strlen(e->zone) : 0;
    }
    return bytes;
}

// How many of the endpoints fit: 65,535 addresses and the blob.
static size_t endpoints_count(const struct kube_slice *slice, size_t text_units, bool pod_names, struct slice *out)
{
    size_t i = 0;
    for (; i < slice->nendpoints; i++) {
        const struct kube_endpoint *e = &slice->endpoints[i];
        if (!e->ready)
            continue;
        text_units += label_units(text_length(e->hostname, TEXT_LABEL));
        if (pod_names)
            text_units += label_units(text_length(e->pod_name, TEXT_DOTTED));
        if (text_units > TEXT_UNITS_MAX || out->n4 + out->n6 == UINT16_MAX)
            break;
        if (e->address.len == 4)
            out->n4++;
        else
            out->n6++;
    }
    return i;
}

// Exact for small slices; large ones are taken to have duplicates, which only costs readers a look.
static bool may_have_duplicates(const struct slice *s)
{
    size_t n = (size_t)s->n4 + s->n6;
    if (n > 32)
        return true;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++)
            if (slice_same_address(s, i, s, j))
                return true;
    return false;
}

static void pack_endpoints(const struct kube_endpoint *endpoints, size_t n, bool pod_names, struct slice *out,
                           struct blob *text)
{
    struct endpoint4 *e4 = (struct endpoint4 *)(out + 1);
    struct endpoint6 *e6 = (struct endpoint6 *)(e4 + out->n4);
    for (size_t i = 0; i < n; i++) {
        const struct kube_endpoint *e = &endpoints[i];
        if (!e->ready)
            continue;
        label_ref host = blob_label(text, e->hostname, TEXT_LABEL);
        label_ref pod = pod_names ? blob_label(text, e->pod_name, TEXT_DOTTED) : 0;
        if (e->address.len == 4) {
            memcpy(e4->address, e->address.bytes, 4);
            e4->hostname = host;
            e4->pod_name = pod;
            e4++;
        } else {
            memcpy(e6->address, e->address.bytes, 16);
            e6->hostname = host;
            e6->pod_name = pod;
            e6->canonical = e->canonical;
            e6++;
        }
    }
}

// Topology zones: few, each of many endpoints, so that each stands in the text once.
struct zones {
    size_t n, units; // of text
    const char *texts[1000];
    label_ref refs[1000];
};

static size_t zones_find(const struct zones *z, const char *text)
{
    size_t i = 0;
    while (i < z->n && z->texts[i] != text && strcmp(z->texts[i], text) != 0)
        i++;
    return i;
}

// Those that names can be made of. What a list of no sense has more than fits stays without a zone.
static void zones_collect(struct zones *z, const struct kube_slice *slice)
{
    for (size_t i = 0; i < slice->nendpoints; i++) {
        const struct kube_endpoint *e = &slice->endpoints[i];
        size_t units = label_units(text_length(e->zone, TEXT_ZONE));
        if (!e->ready || units == 0 || z->units + units > TEXT_UNITS_MAX / 2 || zones_find(z, e->zone) < z->n ||
            z->n == sizeof z->texts / sizeof z->texts[0])
            continue;
        z->texts[z->n++] = e->zone;
        z->units += units;
    }
}

// An address that stands in the slice several times is in the zone that it was given last.
static void zones_settle(struct slice *s, label_ref *zones)
{
    uint16_t slots[2 << 16], first[UINT16_MAX]; // the first endpoint of an address: number + 1
    size_t n = (size_t)s->n4 + s->n6, mask = 15;
    while (mask < 2 * n)
        mask = 2 * mask + 1;
    memset(slots, 0, (mask + 1) * sizeof slots[0]);
    for (size_t i = 0; i < n; i++) {
        size_t len;
        const uint8_t *address = slice_address(s, i, &len);
        size_t at = hash_address(address, len) & mask;
        while (slots[at] != 0 && !slice_same_address(s, slots[at] - 1u, s, i))
            at = (at + 1) & mask;
        if (slots[at] == 0)
            slots[at] = (uint16_t)(i + 1);
        else if (zones[i] != 0)
            zones[slots[at] - 1] = zones[i];
        first[i] = slots[at];
    }
    for (size_t i = 0; i < n; i++)
        zones[i] = zones[first[i] - 1];
}

static void pack_zones(const struct kube_endpoint *endpoints, size_t n, struct zones *z, struct slice *out,
                       struct blob *text)
{
    label_ref *zones = (label_ref *)slice_zones(out);
    size_t next4 = 0, next6 = out->n4;
    for (size_t i = 0; i < z->n; i++)
        z->refs[i] = blob_label(text, z->texts[i], TEXT_ZONE);
    for (size_t i = 0; i < n; i++) {
        if (!endpoints[i].ready)
            continue;
        size_t zone = zones_find(z, endpoints[i].zone);
        zones[endpoints[i].address.len == 4 ? next4++ : next6++] = zone < z->n ? z->refs[zone] : 0;
    }
    if (out->duplicates)
        zones_settle(out, zones);
}

void pack_slice(const struct kube_object *o, const struct store_options *options, struct slice *out)
{
    const struct kube_slice *slice = &o->slice;
    struct zones zones;
    zones.n = zones.units = 0;
    if (with_zones(o, options))
        zones_collect(&zones, slice);
    memset(out, 0, sizeof *out);
    out->nports = ports_count(slice->nports, "slice", o->name);
    size_t units = zones.units + label_units(text_length(cluster_of(o), TEXT_DOTTED));
    for (size_t i = 0; i < out->nports; i++)
        units += label_units(strnlen(slice->ports[i].name, 63));
    size_t n = endpoints_count(slice, units, options->pod_names, out);
    if (n < slice->nendpoints)
        log_plugin(LOG_LEVEL_WARNING, "kubernetes", "slice %s: only the first %zu of %zu endpoints are used", o->name,
                   n, slice->nendpoints);
    out->zones = zones.n > 0;
    struct blob text = {.base = (uint8_t *)slice_text(out)};
    pack_ports((struct fact_port *)slice_ports(out), out->nports, slice->ports, &text);
    out->cluster = blob_label(&text, cluster_of(o), TEXT_DOTTED);
    pack_endpoints(slice->endpoints, n, options->pod_names, out, &text);
    out->duplicates = may_have_duplicates(out);
    if (out->zones)
        pack_zones(slice->endpoints, n, &zones, out, &text);
    out->text_units = (uint16_t)text.units;
}
