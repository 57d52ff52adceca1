# SPDX-License-Identifier: Apache-2.0
"""Kubernetes objects as the API server keeps them in etcd: protocol buffers, made of the same dicts as JSON.

Only the fields that are in FIELDS can be written; another one raises KeyError. Numbers and types are those of
generated.proto in k8s.io/api and k8s.io/apimachinery.
"""

import calendar
import functools
import json
import time

TEXT, NUMBER, TIME, MAP, RAW, INT_OR_STRING = "text", "number", "time", "map", "raw", "int or string"

_OWNER = {
    "kind": (1, TEXT), "name": (3, TEXT), "uid": (4, TEXT), "apiVersion": (5, TEXT), "controller": (6, NUMBER),
    "blockOwnerDeletion": (7, NUMBER),
}  # fmt: skip
_MANAGED = {
    "manager": (1, TEXT), "operation": (2, TEXT), "apiVersion": (3, TEXT), "time": (4, TIME), "fieldsType": (6, TEXT),
    "fieldsV1": (7, RAW),
}  # fmt: skip
_METADATA = {
    "name": (1, TEXT), "generateName": (2, TEXT), "namespace": (3, TEXT), "uid": (5, TEXT), "generation": (7, NUMBER),
    "creationTimestamp": (8, TIME), "labels": (11, MAP), "annotations": (12, MAP), "ownerReferences": (13, _OWNER),
    "managedFields": (17, _MANAGED),
}  # fmt: skip
_SERVICE_PORT = {"name": (1, TEXT), "protocol": (2, TEXT), "port": (3, NUMBER), "targetPort": (4, INT_OR_STRING)}
_SERVICE = {
    "ports": (1, _SERVICE_PORT), "selector": (2, MAP), "clusterIP": (3, TEXT), "type": (4, TEXT),
    "sessionAffinity": (7, TEXT), "ipFamilyPolicy": (17, TEXT), "clusterIPs": (18, TEXT), "ipFamilies": (19, TEXT),
    "internalTrafficPolicy": (22, TEXT),
}  # fmt: skip
_TARGET = {"kind": (1, TEXT), "namespace": (2, TEXT), "name": (3, TEXT), "uid": (4, TEXT)}
_ENDPOINT = {
    "addresses": (1, TEXT), "conditions": (2, {"ready": (1, NUMBER), "serving": (2, NUMBER), "terminating": (3, NUMBER)}),
    "targetRef": (4, _TARGET), "nodeName": (6, TEXT), "zone": (7, TEXT),
}  # fmt: skip
_PARENT = {"group": (1, TEXT), "resource": (2, TEXT), "namespace": (3, TEXT), "name": (4, TEXT)}

FIELDS = {  # kind -> its fields: name -> number, type
    "Namespace": {"metadata": (1, _METADATA), "spec": (2, {"finalizers": (1, TEXT)}), "status": (3, {"phase": (1, TEXT)})},
    "Service": {"metadata": (1, _METADATA), "spec": (2, _SERVICE), "status": (3, {"loadBalancer": (1, {})})},
    "EndpointSlice": {
        "metadata": (1, _METADATA),
        "endpoints": (2, _ENDPOINT),
        "ports": (3, {"name": (1, TEXT), "protocol": (2, TEXT), "port": (3, NUMBER)}),
        "addressType": (4, TEXT),
    },
    "IPAddress": {"metadata": (1, _METADATA), "spec": (2, {"parentRef": (1, _PARENT)})},
}


def encode(obj):
    """The bytes of an object, in the envelope that the API server reads."""
    fields = FIELDS[obj["kind"]]
    message = _message({key: value for key, value in obj.items() if key not in ("apiVersion", "kind")}, fields)
    about = _bytes(1, obj["apiVersion"].encode()) + _bytes(2, obj["kind"].encode())
    return b"k8s\0" + _bytes(1, about) + _bytes(2, message)


@functools.cache
def _varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _bytes(number, data):
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _number(number, value):
    return _varint(number << 3) + _varint(value)


@functools.cache
def _time(text):
    return _number(1, calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ")))


def _entry(item):
    return _bytes(1, item[0].encode()) + _bytes(2, item[1].encode())


_ENCODERS = {  # type -> bytes of a value
    TEXT: str.encode,
    TIME: _time,
    RAW: lambda value: _bytes(1, json.dumps(value, separators=(",", ":")).encode()),
    INT_OR_STRING: lambda value: _number(1, 0) + _number(2, value),
}


def _message(obj, fields):
    out = []
    for key, value in obj.items():
        number, kind = fields[key]
        if kind is NUMBER:
            out.append(_number(number, int(value)))
        elif kind is MAP:
            out += [_bytes(number, _entry(item)) for item in value.items()]
        else:
            encoder = _ENCODERS[kind] if isinstance(kind, str) else functools.partial(_message, fields=kind)
            values = value if isinstance(value, list) else (value,)
            out += [_bytes(number, encoder(one)) for one in values]
    return b"".join(out)
