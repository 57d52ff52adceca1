# SPDX-License-Identifier: Apache-2.0
"""Writes objects to a control plane: through the API server over one connection, or straight into etcd."""

import http.client
import json
import uuid

from controlplane import ApiError

REGISTRY = {
    "Namespace": "namespaces",
    "Service": "services/specs",
    "EndpointSlice": "endpointslices",
    "Pod": "pods",
}


def registry_key(obj):
    """Where etcd keeps an object."""
    meta = obj["metadata"]
    namespace = f"{meta['namespace']}/" if "namespace" in meta else ""
    return f"/registry/{REGISTRY[obj['kind']]}/{namespace}{meta['name']}"


class Writer:
    """put() and remove() wait for the API server's answer; put_raw() and remove_raw() need no API server."""

    def __init__(self, plane):
        self.plane, self.connection, self.known = plane, None, {}

    def request(self, method, path, obj=None, content="application/json"):
        """(status, body) of one request; a connection that the server has closed meanwhile is replaced once."""
        body = None if obj is None else json.dumps(obj)
        headers = self.plane.headers(**{"Content-Type": content})
        for again in (True, False):
            if self.connection is None:
                self.connection = self.plane.connect()
            try:
                self.connection.request(method, path, body, headers)
                answer = self.connection.getresponse()
                return answer.status, answer.read()
            except (OSError, http.client.HTTPException):
                self.close()
                if not again:
                    raise
        return None

    def close(self):
        if self.connection:
            self.connection.close()
            self.connection = None

    def put(self, obj):
        """Creates or replaces; a Pod's status is written too. Returns the metadata as they are now."""
        path = self.plane.object_path(obj)
        status, body = self.request("PUT", path, obj)
        if status == 404:
            status, body = self.request("POST", self.plane.object_path(obj, named=False), obj)
        if status in (200, 201) and obj["kind"] == "Pod":
            change = {"status": obj["status"]}
            status, body = self.request("PATCH", f"{path}/status", change, "application/merge-patch+json")
        if status not in (200, 201):
            raise ApiError(status, f"{path}: {body.decode()}")
        meta = self.known[registry_key(obj)] = json.loads(body)["metadata"]
        return meta

    def remove(self, obj):
        path = self.plane.object_path(obj)
        options = {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0}
        status, body = self.request("DELETE", path, options)
        if status != 200:
            raise ApiError(status, f"{path}: {body.decode()}")

    def put_raw(self, obj):
        """As the API server would store it; it gets the identity that it had."""
        key = registry_key(obj)
        known = self.known.setdefault(key, {"uid": str(uuid.uuid4()), "creationTimestamp": "2026-01-01T00:00:00Z"})
        meta = {**obj["metadata"], **{name: known[name] for name in ("uid", "creationTimestamp")}}
        more = {}
        if obj["kind"] == "Namespace":
            more = {"spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}
        self.plane.put_raw([(key, {**obj, **more, "metadata": meta})])

    def remove_raw(self, obj):
        self.known.pop(registry_key(obj), None)
        self.plane.delete_raw(registry_key(obj))
