# SPDX-License-Identifier: Apache-2.0
"""What kubectl does shows in the answers within a second."""

import json

import pytest
import yaml
from processes import wait_for

VISIBLE_SECONDS = 1.0
ZONE = "svc.cluster.local"

SERVICE = """
apiVersion: v1
kind: Service
metadata: { name: NAME, namespace: NAMESPACE }
spec: { clusterIP: ADDRESS, ports: [{ name: http, port: 80 }] }
"""
SLICE = """
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: NAME-1, namespace: NAMESPACE, labels: { kubernetes.io/service-name: NAME } }
addressType: IPv4
ports: [{ name: http, port: 8080, protocol: TCP }]
endpoints: ENDPOINTS
"""


def visible(condition, what):
    """Waits for a condition at most as long as a change may take to show."""
    return wait_for(condition, VISIBLE_SECONDS, what, interval=0.005)


@pytest.fixture
def namespace(plane, server, request):
    """A namespace of the test's own, which the server knows already."""
    name = request.node.name.replace("_", "-").removeprefix("test-")
    plane.kubectl("create", "namespace", name)
    visible(lambda: server.ask(f"{name}.{ZONE} A").rcode == "NOERROR", f"namespace {name}")
    yield name
    plane.kubectl("delete", "namespace", name, "--wait=false")


def apply(plane, template, **values):
    text = template
    for key, value in values.items():
        text = text.replace(key, value if isinstance(value, str) else json.dumps(value))
    plane.kubectl("apply", "-f", "-", stdin=text)


def patch(plane, namespace, what, change, kind="merge"):
    plane.kubectl("patch", "-n", namespace, *what.split("/"), "--type", kind, "-p", json.dumps(change))


def endpoints(*addresses, **more):
    return [{"addresses": [address], **more} for address in addresses]


def test_cluster_ip_service(plane, server, namespace):
    name = f"web.{namespace}.{ZONE}"
    apply(plane, SERVICE, NAMESPACE=namespace, NAME="web", ADDRESS="10.96.50.1")
    visible(lambda: server.ask(f"{name} A").addresses() == ["10.96.50.1"], "the new service")
    assert server.ask("ptr:10.96.50.1 PTR").rdata() == [f"{name}."]
    patch(plane, namespace, "service/web", {"spec": {"ports": [{"name": "https", "port": 443}]}})
    visible(lambda: server.ask(f"_https._tcp.{name} SRV").rdata() == [f"0 100 443 {name}."], "the new port")
    assert server.ask(f"_http._tcp.{name} SRV").rcode == "NXDOMAIN"
    dual = {"spec": {"ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv4", "IPv6"]}}
    patch(plane, namespace, "service/web", dual)
    visible(lambda: len(server.ask(f"{name} AAAA").addresses()) == 1, "the second family")
    plane.kubectl("delete", "-n", namespace, "service", "web")
    visible(lambda: server.ask(f"{name} A").rcode == "NXDOMAIN", "the service to go")
    assert server.ask("ptr:10.96.50.1 PTR").rcode == "NXDOMAIN"


def test_headless_service(plane, server, namespace):
    name = f"db.{namespace}.{ZONE}"
    apply(plane, SERVICE, NAMESPACE=namespace, NAME="db", ADDRESS="None")
    apply(plane, SLICE, NAMESPACE=namespace, NAME="db", ENDPOINTS=endpoints("10.250.0.1", "10.250.0.2"))
    visible(lambda: server.ask(f"{name} A").addresses() == ["10.250.0.1", "10.250.0.2"], "both endpoints")
    new = endpoints("10.250.0.2") + endpoints("10.250.0.3", hostname="three")
    patch(plane, namespace, "endpointslice/db-1", {"endpoints": new})
    visible(lambda: server.ask(f"{name} A").addresses() == ["10.250.0.2", "10.250.0.3"], "the exchanged endpoint")
    assert server.ask(f"three.{name} A").addresses() == ["10.250.0.3"]
    assert server.ask("ptr:10.250.0.1 PTR").rcode == "NXDOMAIN"
    assert server.ask("ptr:10.250.0.3 PTR").rdata() == [f"three.{name}."]
    unready = [{"op": "add", "path": "/endpoints/0/conditions", "value": {"ready": False}}]
    patch(plane, namespace, "endpointslice/db-1", unready, kind="json")
    visible(lambda: server.ask(f"{name} A").addresses() == ["10.250.0.3"], "the unready endpoint to go")
    plane.kubectl("delete", "-n", namespace, "endpointslice", "db-1")
    visible(lambda: server.ask(f"{name} A").rcode == "NXDOMAIN", "the name to go with its endpoints")


def test_external_name(plane, server, namespace):
    name = f"out.{namespace}.{ZONE}"
    plane.kubectl("create", "-n", namespace, "service", "externalname", "out", "--external-name", "foo.example.com")
    visible(lambda: server.ask(f"{name} CNAME").rdata() == ["foo.example.com."], "the external name")
    patch(plane, namespace, "service/out", {"spec": {"externalName": "bar.example.com"}})
    visible(lambda: server.ask(f"{name} CNAME").rdata() == ["bar.example.com."], "the edited name")
    retyped = {"type": "ClusterIP", "externalName": None, "clusterIP": "10.96.50.2", "ports": [{"port": 80}]}
    patch(plane, namespace, "service/out", {"spec": retyped})
    visible(lambda: server.ask(f"{name} A").addresses() == ["10.96.50.2"], "the retyped service")
    assert server.ask(f"{name} CNAME").rdata() == []


def test_namespace(plane, server, namespace):
    """A namespace goes with everything in it (by the namespace controller), not before."""
    apply(plane, SERVICE, NAMESPACE=namespace, NAME="web", ADDRESS="10.96.50.3")
    visible(lambda: server.ask(f"web.{namespace}.{ZONE} A").rcode == "NOERROR", "the service")
    plane.kubectl("delete", "namespace", namespace)
    visible(lambda: server.ask(f"{namespace}.{ZONE} A").rcode == "NXDOMAIN", "the namespace to go")
    assert server.ask(f"web.{namespace}.{ZONE} A").rcode == "NXDOMAIN"
    assert server.ask("ptr:10.96.50.3 PTR").rcode == "NXDOMAIN"
    plane.kubectl("create", "namespace", namespace)


def test_verified_pod(plane, server, namespace):
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "one", "namespace": namespace},
        "spec": {"nodeName": "node-0", "containers": [{"name": "c", "image": "none"}]},
    }
    plane.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(pod))
    path = f"/api/v1/namespaces/{namespace}/pods/one"
    address = wait_for(lambda: plane.call("GET", path)["status"].get("podIP"), 10, "the pod's address")
    name = f"{address.replace('.', '-')}.{namespace}.pod.cluster.local"
    visible(lambda: server.ask(f"{name} A").addresses() == [address], "the pod's name")
    plane.kubectl("delete", "-n", namespace, "pod", "one")
    visible(lambda: server.ask(f"{name} A").rcode == "NXDOMAIN", "the pod's name to go")


def test_many_changes(plane, server, namespace):
    """A hundred services at once, all there a second later, all gone a second after they are deleted."""
    names = [f"s{number}" for number in range(100)]
    text = "---".join(
        SERVICE.replace("NAMESPACE", namespace).replace("NAME", n).replace("ADDRESS", '""') for n in names
    )
    plane.kubectl("apply", "-f", "-", stdin=text)
    items = plane.call("GET", f"/api/v1/namespaces/{namespace}/services")["items"]
    wanted = {item["metadata"]["name"]: [item["spec"]["clusterIP"]] for item in items}
    assert len(wanted) == len(names)

    def answers():
        return {name: server.ask(f"{name}.{namespace}.{ZONE} A").addresses() for name in names}

    visible(lambda: answers() == wanted, "a hundred services")
    plane.kubectl("delete", "-n", namespace, "service", "--all")
    visible(lambda: set(map(tuple, answers().values())) == {()}, "a hundred services to go")
