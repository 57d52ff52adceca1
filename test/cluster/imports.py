# SPDX-License-Identifier: Apache-2.0
"""What a control plane needs for services that other clusters export: the resource definition of ServiceImports, and the
rights to see them."""

import os

import yaml

from controlplane import PATHS, TOKENS, role_binding

HERE = os.path.dirname(os.path.abspath(__file__))
ROLE = os.path.join(os.path.dirname(os.path.dirname(HERE)), "deploy", "multicluster.yaml")
GROUP = "multicluster.x-k8s.io"
ESTABLISHED_SECONDS = 30

PATHS["CustomResourceDefinition"] = ("/apis/apiextensions.k8s.io/v1", "customresourcedefinitions", False)
PATHS["ServiceImport"] = (f"/apis/{GROUP}/v1alpha1", "serviceimports", True)


def _schema():
    """As loose as that of the Multi-Cluster Services API: nobody checks addresses, ports and names."""
    text, number = {"type": "string"}, {"type": "integer", "format": "int32"}
    port = {"type": "object", "required": ["port"], "properties": {"name": text, "protocol": text, "port": number}}
    spec = {
        "type": "object",
        "required": ["ports", "type"],
        "properties": {
            "type": {"type": "string", "enum": ["ClusterSetIP", "Headless"]},
            "ips": {"type": "array", "maxItems": 2, "items": text},
            "ports": {"type": "array", "items": port},
        },
    }
    return {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}


def definition(*versions):
    """The CustomResourceDefinition; the last of `versions` is the one that is stored."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"serviceimports.{GROUP}",
        },
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {"plural": "serviceimports", "singular": "serviceimport", "kind": "ServiceImport"},
            "versions": [
                {"name": version, "served": True, "storage": version == versions[-1], "schema": _schema()} for version in versions
            ],
        },
    }


def define(plane, *versions):
    """Installs the resource definition, and waits until the API server serves all versions."""
    plane.apply_object(definition(*versions))
    for version in versions:
        plane.wait_for_object(f"/apis/{GROUP}/{version}/serviceimports", ESTABLISHED_SECONDS)


def allow(plane, user="dns"):
    """Gives a user of TOKENS the rights that deploy/multicluster.yaml gives away."""
    with open(ROLE, encoding="utf-8") as file:
        role = next(obj for obj in yaml.safe_load_all(file) if obj["kind"] == "ClusterRole")
    binding = role_binding(role["metadata"]["name"], TOKENS[user][1])
    plane.apply_object(role)
    plane.apply_object(binding)


def prepare(plane):
    """A plane on which the user "dns" sees ServiceImports."""
    define(plane, "v1alpha1")
    allow(plane)
