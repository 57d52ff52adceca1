// SPDX-License-Identifier: Apache-2.0
// Field numbers: generated.proto of k8s.io/api core/v1 and discovery/v1, k8s.io/apimachinery meta/v1.
#include "kube/decode.h"
#include "kube/draft.h"
#include "kube/protobuf.h"
#include <arpa/inet.h>
#include <string.h>

// A field's text for a draft, copied.
static const char *text_of(struct draft *d, const struct protobuf_field *field)
{
    if (field->len == 0)
        return NULL;
    if (memchr(field->data, '\0', field->len) != NULL)
        return draft_no_text;
    const char *text = protobuf_copy(field, d->arena);
    d->failed = d->failed || text == NULL;
    return text;
}

// A field's text that need not last, in `space`; what does not fit is no address.
static const char *address_of(const struct protobuf_field *field, char space[INET6_ADDRSTRLEN])
{
    if (field->len >= INET6_ADDRSTRLEN || memchr(field->data, '\0', field->len) != NULL)
        return draft_no_text;
    memcpy(space, field->data, field->len);
    space[field->len] = '\0';
    return space;
}

// An entry of a map of texts.
struct entry {
    struct protobuf_field key, value;
};

static struct entry entry_of(struct protobuf m)
{
    struct entry entry = {0};
    struct protobuf_field field;
    while (protobuf_next(&m, &field)) {
        if (field.tag == PROTOBUF_BYTES(1))
            entry.key = field;
        else if (field.tag == PROTOBUF_BYTES(2))
            entry.value = field;
    }
    return entry;
}

static void read_label(struct draft *d, const struct entry *label)
{
    if (protobuf_equals(&label->key, draft_service_label(d)))
        d->service = text_of(d, &label->value);
    else if (protobuf_equals(&label->key, LABEL_CLUSTER))
        d->cluster = text_of(d, &label->value);
}

static void read_annotation(struct draft *d, const struct entry *annotation)
{
    if (protobuf_equals(&annotation->key, ANNOTATION_TRIGGERED))
        d->triggered = text_of(d, &annotation->value);
}

static void read_metadata(struct draft *d, struct protobuf m) // ObjectMeta
{
    struct protobuf_field f;
    struct entry entry;
    while (protobuf_next(&m, &f)) {
        switch (f.tag) {
        case PROTOBUF_BYTES(1): // name
            d->name = text_of(d, &f);
            break;
        case PROTOBUF_BYTES(3): // namespace
            d->namespace_ = text_of(d, &f);
            break;
        case PROTOBUF_BYTES(9): // deletionTimestamp
            d->deleting = true;
            break;
        case PROTOBUF_BYTES(11): // labels
            entry = entry_of(protobuf_inside(&m, &f));
            read_label(d, &entry);
            break;
        case PROTOBUF_BYTES(12): // annotations
            entry = entry_of(protobuf_inside(&m, &f));
            read_annotation(d, &entry);
            break;
        default:
            break;
        }
    }
}

static void read_port(struct draft *d, struct protobuf m) // ServicePort, EndpointPort
{
    struct draft_port port = {0};
    struct protobuf_field f;
    while (protobuf_next(&m, &f)) {
        if (f.tag == PROTOBUF_BYTES(1)) {
            port.name = text_of(d, &f);
        } else if (f.tag == PROTOBUF_BYTES(2)) {
            port.protocol = text_of(d, &f);
        } else if (f.tag == PROTOBUF_INTEGER(3)) {
            port.numbered = true;
            port.number = protobuf_signed(&f);
        }
    }
    draft_port(d, &port);
}

static void read_service(struct draft *d, struct protobuf m) // ServiceSpec
{
    char space[INET6_ADDRSTRLEN];
    struct protobuf_field f;
    while (protobuf_next(&m, &f)) {
        switch (f.tag) {
        case PROTOBUF_BYTES(1): // ports
            read_port(d, protobuf_inside(&m, &f));
            break;
        case PROTOBUF_BYTES(3): // clusterIP
            d->address = text_of(d, &f);
            break;
        case PROTOBUF_BYTES(4): // type
            d->type = text_of(d, &f);
            break;
        case PROTOBUF_BYTES(10): // externalName
            d->external_name = text_of(d, &f);
            break;
        case PROTOBUF_BYTES(18): // clusterIPs
            draft_address(d, address_of(&f, space));
            break;
        default:
            break;
        }
    }
}

// Is EndpointConditions.ready false?
static bool is_unready(struct protobuf m)
{
    bool unready = false;
    struct protobuf_field f;
    while (protobuf_next(&m, &f))
        if (f.tag == PROTOBUF_INTEGER(1))
            unready = f.integer == 0;
    return unready;
}

static const char *name_of_target(struct draft *d, struct protobuf m) // ObjectReference
{
    const char *name = NULL;
    struct protobuf_field f;
    while (protobuf_next(&m, &f))
        if (f.tag == PROTOBUF_BYTES(3))
            name = text_of(d, &f);
    return name;
}

static void read_endpoint(struct draft *d, struct protobuf m) // Endpoint
{
    struct draft_endpoint endpoint = {0};
    size_t first = d->endpoints.n;
    char space[INET6_ADDRSTRLEN];
    struct protobuf_field f;
    while (protobuf_next(&m, &f)) {
        switch (f.tag) {
        case PROTOBUF_BYTES(1): // addresses
            draft_endpoint_address(d, address_of(&f, space));
            break;
        case PROTOBUF_BYTES(2): // conditions
            endpoint.unready = is_unready(protobuf_inside(&m, &f));
            break;
        case PROTOBUF_BYTES(3): // hostname
            endpoint.hostname = text_of(d, &f);
            break;
        case PROTOBUF_BYTES(4): // targetRef
            endpoint.target = name_of_target(d, protobuf_inside(&m, &f));
            break;
        case PROTOBUF_BYTES(7): // zone
            endpoint.zone = text_of(d, &f);
            break;
        default:
            break;
        }
    }
    draft_endpoint_end(d, first, &endpoint);
}

static void read_pod(struct draft *d, struct protobuf m) // PodStatus
{
    char space[INET6_ADDRSTRLEN];
    struct protobuf_field f, ip;
    while (protobuf_next(&m, &f)) {
        if (f.tag == PROTOBUF_BYTES(1)) {
            d->phase = text_of(d, &f);
        } else if (f.tag == PROTOBUF_BYTES(6)) {
            d->address = text_of(d, &f);
        } else if (f.tag == PROTOBUF_BYTES(12)) {
            struct protobuf inside = protobuf_inside(&m, &f);
            const char *text = NULL;
            while (protobuf_next(&inside, &ip))
                if (ip.tag == PROTOBUF_BYTES(1))
                    text = address_of(&ip, space);
            draft_address(d, text);
        }
    }
}

static void read_slice_field(struct draft *d, const struct protobuf *m, const struct protobuf_field *f)
{
    if (f->tag == PROTOBUF_BYTES(2))
        read_endpoint(d, protobuf_inside(m, f));
    else if (f->tag == PROTOBUF_BYTES(3))
        read_port(d, protobuf_inside(m, f));
    else if (f->tag == PROTOBUF_BYTES(4))
        d->address_type = text_of(d, f);
}

int decode_protobuf(const void *data, size_t len, enum kube_kind kind, struct arena *a, struct kube_object *out,
                    char *error, size_t error_size)
{
    bool broken = false;
    struct protobuf m = protobuf_init(data, len, &broken);
    struct draft d = draft_init(kind, a);
    struct protobuf_field f;
    while (protobuf_next(&m, &f)) {
        if (f.tag == PROTOBUF_BYTES(1))
            read_metadata(&d, protobuf_inside(&m, &f));
        else if (kind == KUBE_ENDPOINTSLICE || kind == KUBE_IMPORTED_SLICE)
            read_slice_field(&d, &m, &f);
        else if (kind == KUBE_SERVICE && f.tag == PROTOBUF_BYTES(2))
            read_service(&d, protobuf_inside(&m, &f));
        else if (kind == KUBE_POD && f.tag == PROTOBUF_BYTES(3))
            read_pod(&d, protobuf_inside(&m, &f));
    }
    return broken ? CDNS_ESYNTAX : draft_finish(&d, out, error, error_size);
}
