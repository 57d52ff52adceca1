// SPDX-License-Identifier: Apache-2.0
#include "kube/decode.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LABEL_MAX 63  // bytes of what becomes a DNS label (RFC 1035 §2.3.4)
#define NAME_MAX_ 253 // bytes of any other object name (Kubernetes: DNS subdomain)

// Labels of an EndpointSlice.
static const char service_label[] = "kubernetes.io/service-name";
static const char imported_label[] = "multicluster.kubernetes.io/service-name";
static const char cluster_label[] = "multicluster.kubernetes.io/source-cluster";

static int refuse(char *error, size_t size, const char *fmt, ...) CDNS_PRINTF(3, 4);
static int refuse(char *error, size_t size, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(error, size, fmt, args);
    va_end(args);
    return CDNS_EINVAL;
}

// Text of a JSON string without NUL bytes inside; NULL for anything else.
static const char *text_of(const json_t *value)
{
    const char *text = json_string_value(value);
    return text != NULL && strlen(text) == json_string_length(value) ? text : NULL;
}

static const char *text_at(const json_t *object, const char *key)
{
    return text_of(json_object_get(object, key));
}

// Lower-case letters, digits, '-', '_' and what of `more` there is, at most `max` bytes, not empty.
static bool is_name(const char *text, size_t max, const char *more)
{
    size_t n = 0;
    for (; text[n] != '\0'; n++) {
        char c = text[n];
        bool good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || strchr(more, c) != NULL;
        if (!good || n >= max)
            return false;
    }
    return n > 0;
}

#define CAPITALS "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

// A label in any case, or "" when the value is none. Nobody checks the names of a ServiceImport's ports, nor the case
// of a cluster's.
static const char *label_of(const json_t *value)
{
    const char *text = text_of(value);
    return text != NULL && is_name(text, LABEL_MAX, CAPITALS) ? text : "";
}

int decode_kind(const json_t *object)
{
    static const struct {
        const char *version, *kind;
        enum kube_kind id;
    } kinds[] = {
        {"v1", "Namespace", KUBE_NAMESPACE},
        {"v1", "Service", KUBE_SERVICE},
        {"v1", "Pod", KUBE_POD},
        {"discovery.k8s.io/v1", "EndpointSlice", KUBE_ENDPOINTSLICE},
        {"multicluster.x-k8s.io/v1alpha1", "ServiceImport", KUBE_SERVICE_IMPORT},
        {"multicluster.x-k8s.io/v1beta1", "ServiceImport", KUBE_SERVICE_IMPORT},
    };
    const char *version = text_at(object, "apiVersion"), *kind = text_at(object, "kind");
    if (version == NULL || kind == NULL)
        return -1;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(version, kinds[i].version) == 0 && strcmp(kind, kinds[i].kind) == 0)
            return (int)kinds[i].id;
    return -1;
}

bool decode_is_imported(const json_t *object)
{
    return json_object_get(json_object_get(json_object_get(object, "metadata"), "labels"), imported_label) != NULL;
}

static int decode_metadata(const json_t *object, struct kube_object *out, char *error, size_t size)
{
    const json_t *metadata = json_object_get(object, "metadata");
    const char *name = text_at(metadata, "name"), *namespace_ = text_at(metadata, "namespace");
    bool label = out->kind == KUBE_NAMESPACE || out->kind == KUBE_SERVICE || out->kind == KUBE_SERVICE_IMPORT;
    if (name == NULL)
        return refuse(error, size, "metadata.name is missing or no text");
    if (!is_name(name, label ? LABEL_MAX : NAME_MAX_, label ? "" : "."))
        return refuse(error, size, "metadata.name \"%.80s\" is no valid name", name);
    if (out->kind == KUBE_NAMESPACE)
        namespace_ = "";
    else if (namespace_ == NULL)
        return refuse(error, size, "\"%.80s\": metadata.namespace is missing or no text", name);
    else if (!is_name(namespace_, LABEL_MAX, ""))
        return refuse(error, size, "\"%.80s\": metadata.namespace \"%.80s\" is no valid name", name, namespace_);
    out->name = name;
    out->namespace_ = namespace_;
    return 0;
}

// A port, or false when a part of it is absurd. Only a slice's (`all`) may go without a number, which stands for all
// ports and is 0 here.
static bool decode_port(const json_t *value, bool all, struct kube_port *out)
{
    const json_t *name = json_object_get(value, "name"), *protocol = json_object_get(value, "protocol");
    const json_t *number = json_object_get(value, "port");
    bool open = all && json_is_object(value) && (number == NULL || json_is_null(number));
    if (!open &&
        (!json_is_integer(number) || json_integer_value(number) < 1 || json_integer_value(number) > UINT16_MAX))
        return false;
    out->number = open ? 0 : (uint16_t)json_integer_value(number);
    out->name = label_of(name);
    const char *given = text_of(name);
    if (out->name[0] == '\0' && name != NULL && !json_is_null(name) && (given == NULL || given[0] != '\0'))
        return false;
    if (protocol == NULL || json_is_null(protocol)) {
        out->protocol = KUBE_TCP;
        return true;
    }
    static const char *const names[] = {[KUBE_TCP] = "TCP", [KUBE_UDP] = "UDP", [KUBE_SCTP] = "SCTP"};
    const char *text = text_of(protocol);
    for (size_t i = 0; text != NULL && i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(text, names[i]) == 0) {
            out->protocol = (enum kube_protocol)i;
            return true;
        }
    }
    return false;
}

static int decode_ports(const json_t *list, bool all, struct arena *a, const struct kube_port **ports, size_t *nports)
{
    struct kube_port *out = arena_calloc(a, json_array_size(list), sizeof *out);
    if (out == NULL)
        return CDNS_ENOMEM;
    size_t n = 0, i;
    const json_t *value;
    json_array_foreach(list, i, value) if (decode_port(value, all, &out[n])) n++;
    *ports = out;
    *nports = n;
    return 0;
}

// Addresses of a list whose elements are texts, or objects with the text under `key`; `alone` is the text that counts
// when the list is empty or absent.
static int decode_addresses(const json_t *list, const char *key, const char *alone, struct arena *a,
                            const struct kube_address **addresses, size_t *naddresses)
{
    size_t count = json_array_size(list), n = 0;
    struct kube_address *out = arena_calloc(a, count + 1, sizeof *out);
    if (out == NULL)
        return CDNS_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        const json_t *value = json_array_get(list, i);
        const char *text = key != NULL ? text_at(value, key) : text_of(value);
        if (text != NULL && decode_address(text, &out[n], NULL) == 0)
            n++;
    }
    if (count == 0 && alone != NULL && decode_address(alone, &out[0], NULL) == 0)
        n = 1;
    *addresses = out;
    *naddresses = n;
    return 0;
}

static int decode_service(const json_t *object, struct arena *a, struct kube_service *out)
{
    const json_t *spec = json_object_get(object, "spec"), *ips = json_object_get(spec, "clusterIPs");
    const char *type = text_at(spec, "type"), *ip = text_at(spec, "clusterIP");
    int r = decode_ports(json_object_get(spec, "ports"), false, a, &out->ports, &out->nports);
    if (r != 0)
        return r;
    if (type != NULL && strcmp(type, "ExternalName") == 0) {
        const char *target = text_at(spec, "externalName");
        out->type = KUBE_EXTERNALNAME;
        out->external_name = target != NULL ? target : "";
        return 0;
    }
    const char *first = json_array_size(ips) > 0 ? text_of(json_array_get(ips, 0)) : ip;
    if (first != NULL && strcmp(first, "None") == 0) {
        out->type = KUBE_HEADLESS;
        return 0;
    }
    out->type = KUBE_CLUSTERIP;
    return decode_addresses(ips, NULL, ip, a, &out->cluster_ips, &out->ncluster_ips);
}

static int decode_import(const json_t *object, struct arena *a, struct kube_service *out)
{
    const json_t *spec = json_object_get(object, "spec");
    const char *type = text_at(spec, "type");
    int r = decode_ports(json_object_get(spec, "ports"), false, a, &out->ports, &out->nports);
    if (r != 0)
        return r;
    out->type = type != NULL && strcmp(type, "Headless") == 0 ? KUBE_HEADLESS : KUBE_CLUSTERIP;
    return decode_addresses(json_object_get(spec, "ips"), NULL, NULL, a, &out->cluster_ips, &out->ncluster_ips);
}

// Appends the addresses of one endpoint to `out`; returns how many.
static size_t decode_endpoint(const json_t *value, struct kube_endpoint *out)
{
    const json_t *target = json_object_get(value, "targetRef"), *addresses = json_object_get(value, "addresses");
    const char *zone = text_at(value, "zone"),
               *pod = text_at(target, "name"); // CoreDNS does not ask whether its kind is Pod
    struct kube_endpoint common = {
        .ready = !json_is_false(json_object_get(json_object_get(value, "conditions"), "ready")),
        .hostname = label_of(json_object_get(value, "hostname")),
        .pod_name = "",
        .zone = zone != NULL ? zone : "",
    };
    if (pod != NULL && is_name(pod, NAME_MAX_, "."))
        common.pod_name = pod;
    size_t n = 0, i;
    const json_t *address;
    json_array_foreach(addresses, i, address)
    {
        const char *text = text_of(address);
        out[n] = common;
        if (text != NULL && decode_address(text, &out[n].address, &out[n].canonical) == 0)
            n++;
    }
    return n;
}

static int decode_slice(const json_t *object, bool imported, struct arena *a, struct kube_slice *out)
{
    const json_t *metadata = json_object_get(object, "metadata"), *labels = json_object_get(metadata, "labels");
    const json_t *list = json_object_get(object, "endpoints"), *endpoint;
    const char *type = text_at(object, "addressType"), *cluster = text_at(labels, cluster_label);
    size_t room = 0, n = 0, i;
    json_array_foreach(list, i, endpoint) room += json_array_size(json_object_get(endpoint, "addresses"));
    struct kube_endpoint *endpoints = arena_calloc(a, room, sizeof *endpoints);
    if (endpoints == NULL)
        return CDNS_ENOMEM;
    if (type == NULL || strcmp(type, "FQDN") != 0)
        json_array_foreach(list, i, endpoint) n += decode_endpoint(endpoint, endpoints + n);
    out->service = label_of(json_object_get(labels, imported ? imported_label : service_label));
    out->cluster = cluster != NULL ? cluster : "";
    out->endpoints = endpoints;
    out->nendpoints = n;
    return decode_ports(json_object_get(object, "ports"), true, a, &out->ports, &out->nports);
}

static int decode_pod(const json_t *object, struct arena *a, struct kube_pod *out)
{
    const json_t *status = json_object_get(object, "status");
    const json_t *deleted = json_object_get(json_object_get(object, "metadata"), "deletionTimestamp");
    const char *phase = text_at(status, "phase");
    out->terminated = phase != NULL && (strcmp(phase, "Succeeded") == 0 || strcmp(phase, "Failed") == 0 ||
                                        strcmp(phase, "Unknown") == 0);
    out->deleting = deleted != NULL && !json_is_null(deleted);
    return decode_addresses(json_object_get(status, "podIPs"), "ip", text_at(status, "podIP"), a, &out->ips,
                            &out->nips);
}

int decode_object(const json_t *object, int kind, struct arena *a, struct kube_object *out, char *error,
                  size_t error_size)
{
    if (!json_is_object(object))
        return refuse(error, error_size, "not an object");
    if (kind < 0)
        kind = decode_kind(object);
    if (kind < 0)
        return CDNS_ENOENT;
    *out = (struct kube_object){.kind = (enum kube_kind)kind};
    int r = decode_metadata(object, out, error, error_size);
    if (r != 0)
        return r;
    switch (out->kind) {
    case KUBE_SERVICE:
        r = decode_service(object, a, &out->service);
        break;
    case KUBE_SERVICE_IMPORT:
        r = decode_import(object, a, &out->service);
        break;
    case KUBE_ENDPOINTSLICE:
    case KUBE_IMPORTED_SLICE:
        r = decode_slice(object, kind == KUBE_IMPORTED_SLICE, a, &out->slice);
        break;
    case KUBE_POD:
        r = decode_pod(object, a, &out->pod);
        break;
    default:
        break;
    }
    if (r == CDNS_ENOMEM)
        snprintf(error, error_size, "\"%.80s\" is too large", out->name);
    return r;
}
