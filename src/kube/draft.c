// SPDX-License-Identifier: Apache-2.0
#include "kube/draft.h"
#include "kube/decode.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LABEL_MAX 63  // bytes of what becomes a DNS label (RFC 1035 §2.3.4)
#define NAME_MAX_ 253 // bytes of any other object name (Kubernetes: DNS subdomain)

const char draft_no_text[] = "(no text)"; // no name, no address, no word that is known

static bool is_absent(const char *text)
{
    return text == NULL || text[0] == '\0';
}

static bool equals(const char *text, const char *expected)
{
    return text != NULL && strcmp(text, expected) == 0;
}

// Text of which nothing else is known.
static const char *plain(const char *text)
{
    return text != NULL && text != draft_no_text ? text : "";
}

// What a name may be made of; NUL is nothing of it.
enum { COMMON = 1, DOT = 2, CAPITAL = 4 };
static const uint8_t letters[256] = {
    ['a' ... 'z'] = COMMON,  ['0' ... '9'] = COMMON, ['-'] = COMMON, ['_'] = COMMON, ['.'] = DOT,
    ['A' ... 'Z'] = CAPITAL,
};

// Letters of these sorts, at most `max` bytes, not empty.
static bool is_name(const char *text, size_t max, unsigned sorts)
{
    size_t n = 0;
    while (n <= max && (letters[(uint8_t)text[n]] & sorts) != 0)
        n++;
    return n > 0 && n <= max && text[n] == '\0';
}

// A label in any case, or "" when the text is none. Nobody checks the names of a ServiceImport's ports, nor the case
// of a cluster's.
static const char *label_of(const char *text)
{
    return text != NULL && is_name(text, LABEL_MAX, COMMON | CAPITAL) ? text : "";
}

struct draft draft_init(enum kube_kind kind, struct arena *a)
{
    return (struct draft){.kind = kind, .arena = a};
}

const char *draft_service_label(const struct draft *d)
{
    return d->kind == KUBE_IMPORTED_SLICE ? LABEL_IMPORTED : LABEL_SERVICE;
}

// The place behind the last element, for one of `size` bytes; NULL when memory is short.
static void *next(struct draft *d, struct draft_array *array, size_t size)
{
    if (array->n == array->cap) {
        size_t cap = array->cap == 0 ? 8 : 2 * array->cap;
        void *items = arena_calloc(d->arena, cap, size);
        if (items == NULL) {
            d->failed = true;
            return NULL;
        }
        if (array->n > 0)
            memcpy(items, array->items, array->n * size);
        array->items = items;
        array->cap = cap;
    }
    return (char *)array->items + array->n * size;
}

static bool find_protocol(const char *text, enum kube_protocol *out)
{
    static const char *const names[] = {[KUBE_TCP] = "TCP", [KUBE_UDP] = "UDP", [KUBE_SCTP] = "SCTP"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(is_absent(text) ? "TCP" : text, names[i]) == 0) {
            *out = (enum kube_protocol)i;
            return true;
        }
    }
    return false;
}

void draft_port(struct draft *d, const struct draft_port *port)
{
    // Only a slice's may go without a number, which stands for all ports, or have any, as the API server does not look.
    bool slice = d->kind == KUBE_ENDPOINTSLICE || d->kind == KUBE_IMPORTED_SLICE;
    int64_t least = slice ? INT32_MIN : 1, most = slice ? INT32_MAX : UINT16_MAX;
    bool good = port->numbered ? port->number >= least && port->number <= most : slice;
    struct kube_port *out = next(d, &d->ports, sizeof *out);
    if (out == NULL || !good)
        return;
    out->number = port->numbered ? (int32_t)port->number : KUBE_NO_PORT;
    out->name = label_of(port->name);
    if ((is_absent(port->name) || out->name[0] != '\0') && find_protocol(port->protocol, &out->protocol))
        d->ports.n++;
}

void draft_address(struct draft *d, const char *text)
{
    if (!d->listed)
        d->headless = equals(text, "None");
    d->listed = true;
    struct kube_address *out = next(d, &d->addresses, sizeof *out);
    if (out != NULL && text != NULL && decode_address(text, out, NULL) == 0)
        d->addresses.n++;
}

void draft_endpoint_address(struct draft *d, const char *text)
{
    struct kube_endpoint *out = next(d, &d->endpoints, sizeof *out);
    if (out != NULL && text != NULL && decode_address(text, &out->address, &out->canonical) == 0)
        d->endpoints.n++;
}

void draft_endpoint_end(struct draft *d, size_t first, const struct draft_endpoint *endpoint)
{
    const char *hostname = label_of(endpoint->hostname), *zone = plain(endpoint->zone), *pod = "";
    // CoreDNS does not ask whether the target's kind is Pod.
    if (endpoint->target != NULL && is_name(endpoint->target, NAME_MAX_, COMMON | DOT))
        pod = endpoint->target;
    for (size_t i = first; i < d->endpoints.n; i++) {
        struct kube_endpoint *out = (struct kube_endpoint *)d->endpoints.items + i;
        out->ready = !endpoint->unready;
        out->hostname = hostname;
        out->pod_name = pod;
        out->zone = zone;
    }
}

static int refuse(char *error, size_t size, const char *fmt, ...) CDNS_PRINTF(3, 4);
static int refuse(char *error, size_t size, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(error, size, fmt, args);
    va_end(args);
    return CDNS_EINVAL;
}

static int finish_names(const struct draft *d, struct kube_object *out, char *error, size_t size)
{
    bool label = d->kind == KUBE_NAMESPACE || d->kind == KUBE_SERVICE || d->kind == KUBE_SERVICE_IMPORT;
    if (plain(d->name)[0] == '\0')
        return refuse(error, size, "metadata.name is missing or no text");
    if (!is_name(d->name, label ? LABEL_MAX : NAME_MAX_, label ? COMMON : COMMON | DOT))
        return refuse(error, size, "metadata.name \"%.80s\" is no valid name", d->name);
    out->name = d->name;
    out->namespace_ = "";
    if (d->kind == KUBE_NAMESPACE)
        return 0;
    if (plain(d->namespace_)[0] == '\0')
        return refuse(error, size, "\"%.80s\": metadata.namespace is missing or no text", d->name);
    if (!is_name(d->namespace_, LABEL_MAX, COMMON))
        return refuse(error, size, "\"%.80s\": metadata.namespace \"%.80s\" is no valid name", d->name, d->namespace_);
    out->namespace_ = d->namespace_;
    return 0;
}

static void finish_service(const struct draft *d, struct kube_service *out)
{
    out->ports = d->ports.items;
    out->nports = d->ports.n;
    if (d->kind == KUBE_SERVICE_IMPORT) {
        out->type = equals(d->type, "Headless") ? KUBE_HEADLESS : KUBE_CLUSTERIP;
    } else if (equals(d->type, "ExternalName")) {
        out->type = KUBE_EXTERNALNAME;
        out->external_name = plain(d->external_name);
        return;
    } else {
        out->type = d->headless ? KUBE_HEADLESS : KUBE_CLUSTERIP;
        if (d->headless)
            return;
    }
    out->cluster_ips = d->addresses.items;
    out->ncluster_ips = d->addresses.n;
}

static void finish_slice(const struct draft *d, struct kube_slice *out)
{
    out->service = label_of(d->service);
    out->cluster = plain(d->cluster);
    if (d->triggered != NULL && decode_time(d->triggered, &out->triggered_ns) != 0)
        out->triggered_ns = 0;
    out->endpoints = d->endpoints.items;
    out->nendpoints = equals(d->address_type, "FQDN") ? 0 : d->endpoints.n;
    out->ports = d->ports.items;
    out->nports = d->ports.n;
}

static void finish_pod(const struct draft *d, struct kube_pod *out)
{
    out->terminated = equals(d->phase, "Succeeded") || equals(d->phase, "Failed") || equals(d->phase, "Unknown");
    out->deleting = d->deleting;
    out->ips = d->addresses.items;
    out->nips = d->addresses.n;
}

int draft_finish(struct draft *d, struct kube_object *out, char *error, size_t error_size)
{
    *out = (struct kube_object){.kind = d->kind};
    if (!d->listed && !is_absent(d->address))
        draft_address(d, d->address);
    int result = finish_names(d, out, error, error_size);
    if (result != 0)
        return result;
    if (d->failed) {
        snprintf(error, error_size, "\"%.80s\" is too large", d->name);
        return CDNS_ENOMEM;
    }
    if (d->kind == KUBE_SERVICE || d->kind == KUBE_SERVICE_IMPORT)
        finish_service(d, &out->service);
    else if (d->kind == KUBE_ENDPOINTSLICE || d->kind == KUBE_IMPORTED_SLICE)
        finish_slice(d, &out->slice);
    else if (d->kind == KUBE_POD)
        finish_pod(d, &out->pod);
    return 0;
}
