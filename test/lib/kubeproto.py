# SPDX-License-Identifier: Apache-2.0
"""The API's objects as the API server writes them in protobuf, to clients and into etcd: what test/lib/apireplay.py and
test/cluster/seed.py need of it.

Objects are given as in JSON; fields that are not in MESSAGES are left out. Names and numbers are those of generated.proto
in k8s.io/api and k8s.io/apimachinery.
"""

import calendar
import functools
import json
import time

MAGIC = b"k8s\0"


@functools.cache
def _time(text):
    return _integer(1, calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ")))


def _text(number, text):
    """Two halves of a character, as JSON has them, become one."""
    if not text.isascii():
        text = text.encode("utf-16", "surrogatepass").decode("utf-16")
    return _bytes(number, text.encode())


def _entry(item):
    return _text(1, item[0]) + _text(2, item[1])


# message -> {JSON name: (field number, type)}; a type is "text", "integer", "time", "map", "fields" (FieldsV1), "number or
# name" (IntOrString) or a message; a list is repeated.
MESSAGES = {
    "ObjectMeta": {
        "name": (1, "text"),
        "generateName": (2, "text"),
        "namespace": (3, "text"),
        "uid": (5, "text"),
        "resourceVersion": (6, "text"),
        "generation": (7, "integer"),
        "creationTimestamp": (8, "time"),
        "deletionTimestamp": (9, "time"),
        "labels": (11, "map"),
        "annotations": (12, "map"),
        "ownerReferences": (13, ["OwnerReference"]),
        "managedFields": (17, ["ManagedFieldsEntry"]),
    },
    "OwnerReference": {
        "kind": (1, "text"),
        "name": (3, "text"),
        "uid": (4, "text"),
        "apiVersion": (5, "text"),
        "controller": (6, "integer"),
        "blockOwnerDeletion": (7, "integer"),
    },
    "ManagedFieldsEntry": {
        "manager": (1, "text"),
        "operation": (2, "text"),
        "apiVersion": (3, "text"),
        "time": (4, "time"),
        "fieldsType": (6, "text"),
        "fieldsV1": (7, "fields"),
    },
    "ListMeta": {"resourceVersion": (2, "text"), "continue": (3, "text"), "remainingItemCount": (4, "integer")},
    "Namespace": {"metadata": (1, "ObjectMeta"), "spec": (2, "NamespaceSpec"), "status": (3, "NamespaceStatus")},
    "NamespaceSpec": {"finalizers": (1, ["text"])},
    "NamespaceStatus": {"phase": (1, "text")},
    "Service": {"metadata": (1, "ObjectMeta"), "spec": (2, "ServiceSpec"), "status": (3, "ServiceStatus")},
    "ServiceSpec": {
        "ports": (1, ["ServicePort"]),
        "selector": (2, "map"),
        "clusterIP": (3, "text"),
        "type": (4, "text"),
        "sessionAffinity": (7, "text"),
        "externalName": (10, "text"),
        "ipFamilyPolicy": (17, "text"),
        "clusterIPs": (18, ["text"]),
        "ipFamilies": (19, ["text"]),
        "internalTrafficPolicy": (22, "text"),
    },
    "ServicePort": {
        "name": (1, "text"),
        "protocol": (2, "text"),
        "port": (3, "integer"),
        "targetPort": (4, "number or name"),
    },
    "ServiceStatus": {"loadBalancer": (1, "LoadBalancerStatus")},
    "LoadBalancerStatus": {},
    "IPAddress": {"metadata": (1, "ObjectMeta"), "spec": (2, "IPAddressSpec")},
    "IPAddressSpec": {"parentRef": (1, "ParentReference")},
    "ParentReference": {
        "group": (1, "text"),
        "resource": (2, "text"),
        "namespace": (3, "text"),
        "name": (4, "text"),
    },
    "EndpointSlice": {
        "metadata": (1, "ObjectMeta"),
        "endpoints": (2, ["Endpoint"]),
        "ports": (3, ["EndpointPort"]),
        "addressType": (4, "text"),
    },
    "Endpoint": {
        "addresses": (1, ["text"]),
        "conditions": (2, "EndpointConditions"),
        "hostname": (3, "text"),
        "targetRef": (4, "ObjectReference"),
        "nodeName": (6, "text"),
        "zone": (7, "text"),
    },
    "EndpointConditions": {"ready": (1, "integer"), "serving": (2, "integer"), "terminating": (3, "integer")},
    "EndpointPort": {"name": (1, "text"), "protocol": (2, "text"), "port": (3, "integer")},
    "ObjectReference": {"kind": (1, "text"), "namespace": (2, "text"), "name": (3, "text"), "uid": (4, "text")},
    "Pod": {"metadata": (1, "ObjectMeta"), "status": (3, "PodStatus")},
    "PodStatus": {"phase": (1, "text"), "podIP": (6, "text"), "podIPs": (12, ["PodIP"])},
    "PodIP": {"ip": (1, "text")},
    "Status": {
        "status": (2, "text"),
        "message": (3, "text"),
        "reason": (4, "text"),
        "details": (5, "StatusDetails"),
        "code": (6, "integer"),
    },
    "StatusDetails": {"causes": (4, ["StatusCause"]), "retryAfterSeconds": (5, "integer")},
    "StatusCause": {"reason": (1, "text"), "message": (2, "text")},
}


@functools.cache
def _varint(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _bytes(number, data):
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _integer(number, value):
    return _varint(number << 3) + _varint(int(value))


def _number_or_name(value):
    if isinstance(value, int):
        return _integer(1, 0) + _integer(2, value)
    return _integer(1, 1) + _text(3, value)


_MADE_OF = {  # what the bytes of a field of this type are made of
    "time": _time,
    "fields": lambda value: _bytes(1, json.dumps(value, separators=(",", ":")).encode()),
    "number or name": _number_or_name,
}


def _field(number, kind, value):
    if value is None:
        return b""
    if kind == "text":
        return _text(number, value)
    if kind == "integer":
        return _integer(number, value)
    if isinstance(kind, list):
        return b"".join([_field(number, kind[0], element) for element in value])
    if kind == "map":
        return b"".join([_bytes(number, _entry(item)) for item in sorted(value.items())])
    return _bytes(number, _MADE_OF[kind](value) if kind in _MADE_OF else message(kind, value))


def message(kind, obj):
    """An object's message, without its envelope."""
    return b"".join([_field(*field, obj[name]) for name, field in MESSAGES[kind].items() if name in obj])


def envelope(api_version, kind, raw):
    """An object as it is sent."""
    kinds = _bytes(1, api_version.encode()) + _bytes(2, kind.encode())
    return MAGIC + _bytes(1, kinds) + _bytes(2, raw) + _bytes(3, b"") + _bytes(4, b"")


def stored(obj):
    """An object as it stands in etcd."""
    return envelope(obj["apiVersion"], obj["kind"], message(obj["kind"], obj))


def page(metadata, items):
    """A list's message; `items` are messages."""
    return _bytes(1, message("ListMeta", metadata)) + b"".join(_bytes(2, item) for item in items)


def frame(event, obj):
    """An event of a watch; `obj` is in its envelope."""
    data = _bytes(1, event.encode()) + _bytes(2, _bytes(1, obj))
    return len(data).to_bytes(4, "big") + data


# ---- and back ----


def fields(data):
    """(number, value) of each field of a message: bytes or an integer."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at, value, shift = at + 1, value | (byte & 0x7F) << shift, shift + 7
            if byte < 0x80:
                return value

    while at < len(data):
        tag = varint()
        value = varint()
        if tag & 7 == 2:
            at, value = at + value, data[at : at + value]
        yield tag >> 3, value


def opened(data):
    """The message in an envelope."""
    return dict(fields(data[len(MAGIC) :]))[2]


def frames(body):
    """(type, object in its envelope) of each event of a watch."""
    at = 0
    while at < len(body):
        size = int.from_bytes(body[at : at + 4], "big")
        event = dict(fields(body[at + 4 : at + 4 + size]))
        yield event[1].decode(), dict(fields(event[2]))[1]
        at += 4 + size


def identity(item):
    """(namespace, name, resource version) of an object's message."""
    metadata = dict(fields(dict(fields(item))[1]))
    return metadata.get(3, b"").decode(), metadata[1].decode(), metadata.get(6, b"").decode()
