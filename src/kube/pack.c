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

// Bytes of a label's text; 0 when it cannot be one: empty, too long, or bytes that no label of Kubernetes has. Pod
// names may have dots; names made of them have a label for each part.
static size_t label_length(const char *text, bool dots)
{
    size_t n = 0;
    for (; text[n] != 0; n++)
        if (n == 63 || (uint8_t)text[n] <= ' ' || (uint8_t)text[n] >= 0x7f || text[n] == '\\' ||
            (text[n] == '.' && !dots))
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
static label_ref blob_label(struct blob *b, const char *text, bool dots)
{
    size_t len = label_length(text, dots);
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
        out[i].number = ports[i].number;
        out[i].protocol = (uint16_t)ports[i].protocol;
        out[i].name = blob_label(text, ports[i].name, false);
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

size_t pack_slice_bound(const struct kube_slice *slice)
{
    size_t bytes = sizeof(struct slice) + ports_bound(slice->ports, slice->nports);
    for (size_t i = 0; i < slice->nendpoints; i++)
        bytes +=
            sizeof(struct endpoint6) + 4 + strlen(slice->endpoints[i].hostname) + strlen(slice->endpoints[i].pod_name);
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
        text_units += label_units(label_length(e->hostname, false));
        if (pod_names)
            text_units += label_units(label_length(e->pod_name, true));
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
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < i; j++) {
            size_t leni, lenj;
            const uint8_t *a = slice_address(s, i, &leni), *b = slice_address(s, j, &lenj);
            if (leni == lenj && memcmp(a, b, leni) == 0)
                return true;
        }
    }
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
        label_ref host = blob_label(text, e->hostname, false);
        label_ref pod = pod_names ? blob_label(text, e->pod_name, true) : 0;
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

void pack_slice(const struct kube_slice *slice, bool pod_names, const char *name, struct slice *out)
{
    memset(out, 0, sizeof *out);
    out->nports = ports_count(slice->nports, "slice", name);
    size_t port_units = 0;
    for (size_t i = 0; i < out->nports; i++)
        port_units += label_units(strnlen(slice->ports[i].name, 63));
    size_t n = endpoints_count(slice, port_units, pod_names, out);
    if (n < slice->nendpoints)
        log_plugin(LOG_LEVEL_WARNING, "kubernetes", "slice %s: only the first %zu of %zu endpoints are used", name, n,
                   slice->nendpoints);
    struct blob text = {.base = (uint8_t *)slice_text(out)};
    pack_ports((struct fact_port *)slice_ports(out), out->nports, slice->ports, &text);
    pack_endpoints(slice->endpoints, n, pod_names, out, &text);
    out->text_units = (uint16_t)text.units;
    out->duplicates = may_have_duplicates(out);
}
