// SPDX-License-Identifier: Apache-2.0
#include "kube/decode.h"
#include "kube/draft.h"
#include <jansson.h>
#include <stdio.h>
#include <string.h>

// Text of a JSON value for a draft.
static const char *text_of(const json_t *value)
{
    const char *text = json_string_value(value);
    if (value == NULL || json_is_null(value))
        return NULL;
    return text != NULL && strlen(text) == json_string_length(value) ? text : draft_no_text;
}

static const char *text_at(const json_t *object, const char *key)
{
    return text_of(json_object_get(object, key));
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
    return json_object_get(json_object_get(json_object_get(object, "metadata"), "labels"), LABEL_IMPORTED) != NULL;
}

static void read_metadata(struct draft *d, const json_t *metadata)
{
    const json_t *labels = json_object_get(metadata, "labels"), *deleted;
    d->name = text_at(metadata, "name");
    d->namespace_ = text_at(metadata, "namespace");
    d->service = text_at(labels, draft_service_label(d));
    d->cluster = text_at(labels, LABEL_CLUSTER);
    d->triggered = text_at(json_object_get(metadata, "annotations"), ANNOTATION_TRIGGERED);
    deleted = json_object_get(metadata, "deletionTimestamp");
    d->deleting = deleted != NULL && !json_is_null(deleted);
}

static void read_ports(struct draft *d, const json_t *list)
{
    const json_t *value;
    size_t i;
    json_array_foreach(list, i, value)
    {
        const json_t *number = json_object_get(value, "port");
        const struct draft_port port = {
            .name = text_at(value, "name"),
            .protocol = text_at(value, "protocol"),
            .numbered = !json_is_object(value) || (number != NULL && !json_is_null(number)),
            .number = json_is_integer(number) ? json_integer_value(number) : DRAFT_NO_NUMBER,
        };
        draft_port(d, &port);
    }
}

// Elements are texts, or objects with the text under `key`.
static void read_addresses(struct draft *d, const json_t *list, const char *key)
{
    const json_t *value;
    size_t i;
    json_array_foreach(list, i, value) draft_address(d, key != NULL ? text_at(value, key) : text_of(value));
}

static void read_service(struct draft *d, const json_t *spec)
{
    d->type = text_at(spec, "type");
    d->external_name = text_at(spec, "externalName");
    if (d->kind == KUBE_SERVICE)
        d->address = text_at(spec, "clusterIP");
    read_addresses(d, json_object_get(spec, d->kind == KUBE_SERVICE ? "clusterIPs" : "ips"), NULL);
    read_ports(d, json_object_get(spec, "ports"));
}

static void read_endpoint(struct draft *d, const json_t *value)
{
    const json_t *addresses = json_object_get(value, "addresses"), *address;
    const struct draft_endpoint endpoint = {
        .hostname = text_at(value, "hostname"),
        .zone = text_at(value, "zone"),
        .target = text_at(json_object_get(value, "targetRef"), "name"),
        .unready = json_is_false(json_object_get(json_object_get(value, "conditions"), "ready")),
    };
    size_t first = d->endpoints.n, i;
    json_array_foreach(addresses, i, address) draft_endpoint_address(d, text_of(address));
    draft_endpoint_end(d, first, &endpoint);
}

static void read_slice(struct draft *d, const json_t *object)
{
    const json_t *list = json_object_get(object, "endpoints"), *endpoint;
    size_t i;
    d->address_type = text_at(object, "addressType");
    json_array_foreach(list, i, endpoint) read_endpoint(d, endpoint);
    read_ports(d, json_object_get(object, "ports"));
}

static void read_pod(struct draft *d, const json_t *status)
{
    d->phase = text_at(status, "phase");
    d->address = text_at(status, "podIP");
    read_addresses(d, json_object_get(status, "podIPs"), "ip");
}

int decode_json(const json_t *object, int kind, struct arena *a, struct kube_object *out, char *error,
                size_t error_size)
{
    if (!json_is_object(object)) {
        snprintf(error, error_size, "not an object");
        return CDNS_EINVAL;
    }
    if (kind < 0)
        kind = decode_kind(object);
    if (kind < 0)
        return CDNS_ENOENT;
    struct draft d = draft_init((enum kube_kind)kind, a);
    read_metadata(&d, json_object_get(object, "metadata"));
    if (d.kind == KUBE_SERVICE || d.kind == KUBE_SERVICE_IMPORT)
        read_service(&d, json_object_get(object, "spec"));
    else if (d.kind == KUBE_ENDPOINTSLICE || d.kind == KUBE_IMPORTED_SLICE)
        read_slice(&d, object);
    else if (d.kind == KUBE_POD)
        read_pod(&d, json_object_get(object, "status"));
    return draft_finish(&d, out, error, error_size);
}
