# SPDX-License-Identifier: Apache-2.0
"""Corefiles by chance, of everything that CoreDNS and our server both have; a seed gives the same one again."""

from dataclasses import dataclass

from random_cluster import NAMESPACES, chance

USUAL = ["cluster.local", "in-addr.arpa", "ip6.arpa"]
ODD = [  # zones of a kubernetes directive that ask for care
    ["cluster.local", "sub.cluster.local", "in-addr.arpa"],
    ["cluster.local", "web.shop.svc.cluster.local", "ip6.arpa"],
    ["second.test", "cluster.local", "10.in-addr.arpa", "ip6.arpa"],
    ["CLUSTER.Local", "IN-ADDR.arpa"],
    ["96.10.in-addr.arpa", "svc.cluster.local"],
    ["cluster.local", "10.96.0.0/13", "10.244.0.0/23", "fd00:10:244::/48"],
    ["local", "."],
    ["."],
]
FORWARD = [
    "cluster.local",
    "second.test",
    "sub.cluster.local",
    "svc.cluster.local",
    "local",
    "odd.svc.cluster.local",
    ".",
]
MULTICLUSTER = ["clusterset.local", "clusterset.local", "CLUSTERSET.local", "sub.clusterset.local clusterset.local"]
SELECTORS = [  # of anything
    "app=web",
    "app in (web, db)",
    "app notin (web)",
    "app",
    "!app",
    "app=web,env=test",
    "app=",
    "env notin (prod,test)",
]
REVERSE = [
    "in-addr.arpa",
    "ip6.arpa",
    "10.in-addr.arpa",
    "96.10.in-addr.arpa",
    "10.244.0.0/16",
    "10.96.10.0/26",
    "fd00::/8",
    "arpa",
]
FALLTHROUGHS = [
    "", "", "in-addr.arpa ip6.arpa", "shop.svc.cluster.local 10.in-addr.arpa", "CLUSTER.local", "odd.svc.cluster.local a.svc.cluster.local", ".",
]  # fmt: skip
LABELS = [  # of slices mostly: nothing else has so many
    "!service.kubernetes.io/headless",
    "!endpointslice.kubernetes.io/managed-by",
    "kubernetes.io/service-name notin (web, db, svc)",
    "!nobody,kubernetes.io/service-name notin (pod,)",
    "kubernetes.io/service-name",
]
NAMESPACE_LABELS = [
    "kubernetes.io/metadata.name in (shop, a, odd, absent)",
    "kubernetes.io/metadata.name notin (shop, 1st-floor)",
    "kubernetes.io/metadata.name=shop",
    "!clusterdns.test/delete",
]
TTLS = [0, 1, 5, 30, 299, 300, 301, 3600]


@dataclass(frozen=True)
class Corefile:
    text: str
    zones: tuple  # what questions are about


def zones_of(rng):
    """The zones of a directive; mostly what nearly everybody has."""
    form = rng.random()
    if form < 0.45:
        return list(USUAL)
    if form < 0.75:
        return list(rng.choice(ODD))
    zones = rng.sample(FORWARD, rng.randint(1, 3)) + rng.sample(REVERSE, rng.randint(0, 3))
    rng.shuffle(zones)
    return [zone.upper() if chance(rng, 0.25) and "/" not in zone else zone for zone in zones]


def _options(rng, multicluster):
    """Lines of a kubernetes directive."""
    lines = [f"multicluster {multicluster}"] if multicluster else []
    if chance(rng, 0.75):
        lines.append(f"pods {rng.choice(['disabled', 'insecure', 'insecure', 'verified', 'verified'])}")
    if chance(rng, 0.5):
        lines.append(f"ttl {rng.choice([*TTLS, 0, 3600, rng.randrange(3601)])}")
    if chance(rng, 0.4):
        lines.append(f"fallthrough {rng.choice(FALLTHROUGHS)}".rstrip())
    lines += [option for option in ("endpoint_pod_names", "ignore empty_service") if chance(rng, 0.3)]
    if chance(rng, 0.1):
        lines.append("noendpoints")
    elif chance(rng, 0.25):
        lines.append("zonal")
    if chance(rng, 0.12):
        lines.append("namespaces " + " ".join(rng.sample([*NAMESPACES, "absent"], rng.randint(2, 8))))
    elif chance(rng, 0.1):
        lines.append(f"namespace_labels {rng.choice(NAMESPACE_LABELS + SELECTORS)}")
    if chance(rng, 0.12):
        lines.append(f"labels {rng.choice(LABELS + SELECTORS)}")
    rng.shuffle(lines)
    return lines


def _directive(rng, zones, lines=()):
    inside = "".join(f"        {line}\n" for line in ["kubeconfig @KUBECONFIG@", *lines])
    return f"    kubernetes {' '.join(zones)}".rstrip() + f" {{\n{inside}    }}\n"


def corefile(rng):
    """A Corefile that CoreDNS and our server both take."""
    zones, multicluster = zones_of(rng), rng.choice(MULTICLUSTER) if chance(rng, 0.2) else ""
    zones = zones + multicluster.split() if chance(rng, 0.9) else multicluster.split() + zones
    lines = _options(rng, multicluster)
    through = any(line.startswith("fallthrough") for line in lines)
    after = "    whoami\n" if chance(rng, 0.8 if through else 0.2) else ""
    block = "." if chance(rng, 0.6) else " ".join(zones)
    named = zones if block == "." or chance(rng, 0.5) else []  # without any, they are the block's
    text = f"{block} {{\n    errors\n    ready 127.0.0.1:@READY@\n{_directive(rng, named, lines)}{after}}}\n"
    taken = {zone.lower() for zone in block.split()}
    for other, lines in (
        ("second.test", ["ttl 7"]),
        ("odd.svc.cluster.local", ["pods insecure", "ttl 9"]),
        ("arpa", []),
    ):
        if other not in taken and not any("/" in zone for zone in taken) and chance(rng, 0.15):
            zones = [*zones, other]
            text += f"{other} {{\n{_directive(rng, [], lines)}}}\n"
    if "example.com" not in taken and chance(rng, 0.2):
        text += f"example.com {{\n    {rng.choice(['whoami', 'errors'])}\n}}\n"
    return Corefile(text, tuple(zone for zone in zones if "/" not in zone))
