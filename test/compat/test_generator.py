# SPDX-License-Identifier: Apache-2.0
"""The random clusters, Corefiles, questions and packets hold what they are meant to hold. Needs no cluster."""

import random
from collections import Counter

import features
import pytest
import random_cluster
import random_corefile
import random_packets
import random_questions
from random_cluster import LONGEST

LONG = LONGEST[:20]
QUESTIONS = 4000  # of two runs of the size that CI asks
COREFILES = 60

CLUSTER = """
service ClusterIP; service NodePort; service LoadBalancer; service headless; service ExternalName; service with a status
service 1 addresses ['IPv4']; service 1 addresses ['IPv6']; service 2 addresses ['IPv4', 'IPv6']; service 2 addresses ['IPv6', 'IPv4']
service externalIPs; service publishNotReadyAddresses; service selector; headless without a selector; headless without ports
service port TCP; service port UDP; service port SCTP; service port without a name; service port with appProtocol; service of 100 ports
ClusterIP 0 slices; ClusterIP 1 slices; ClusterIP 2 slices; headless 0 slices; headless 1 slices; headless 2 slices; headless many slices
ExternalName 1 slices; service with endpoints of both families; address in several services
service svc; service pod; service ns; service dns; service dns-version; service {LONG}; service that begins with a digit
namespace svc; namespace pod; namespace dns; namespace {LONG}; Namespace that is ending; Namespace that is being deleted
target in zone; target out of zone; target with dot at the end; target in odd case; target with an underscore; target like an address
target that is itself; target of a chain; target of a loop; longest target
slice IPv4; slice IPv6; slice FQDN; slice without endpoints; slice without service label; orphan slice; slice of a service that cannot be
slice with 0 ports; slice with 1 ports; slice with several ports; slice with 100 ports; slice with a long name
slice port TCP; slice port UDP; slice port SCTP; slice port without protocol; slice port without number; slice port of an odd number
slice port without a name; slice port with appProtocol
endpoint ready True; endpoint ready False; endpoint serving True; endpoint serving False; endpoint terminating True; endpoint terminating False
endpoint with hostname; endpoint with targetRef; endpoint with zone; endpoint with hints; endpoint with nodeName
endpoint with deprecatedTopology; endpoint with several addresses
shared hostname; duplicate address; unusual address; hostname like an address; hostname tcp; hostname svc; hostname ns; hostname {LONG}
pod Running; pod Pending; pod Succeeded; pod Failed; pod Unknown; pod with 1 addresses; pod with 2 addresses; pod on the host's network
topology zone with dots; topology zone in odd case
import ClusterSetIP 1 addresses; import ClusterSetIP 2 addresses; import Headless 0 addresses; import port without protocol
imported slice of a cluster; imported slice of no cluster; imported slice that has a service here too; imported slice alone
Service that is being deleted; EndpointSlice that is being deleted; Pod that is being deleted
""".format(
    LONG=LONG
)

COREFILE = """
pods disabled; pods insecure; pods verified; noendpoints; endpoint_pod_names; ignore empty_service; option namespaces; option ttl
option zonal; option multicluster; option namespace_labels; option labels; option fallthrough; fallthrough in some zones; ttl 0
ttl 3600; root zone; zone of a reverse block; zones in odd case; zones of the block
nested zones; several blocks; whoami behind
"""

QUESTION = """
a service's name; an endpoint's name; a port's name; a port's name without underscores; a pod's name; a pod's name, IPv6; a namespace's name
reverse, IPv4; reverse, IPv6; reverse, in part; dns-version; ns.dns; apex; a zonal name, pin; a zonal name, prefer; a zonal name of several labels
an import's name; an import's port's name; an import's endpoint's name; odd case; escaped name; longest name; longest label
type A; type AAAA; type SRV; type PTR; type TXT; type CNAME; type NS; type SOA; type MX; type ANY; type HTTPS; type AXFR; type DS; type OPT
option edns; option do; option ver; option opt; option nord; option ad; option cd; option aa; option tc; option ra; option z; option tcp
class=CH; class=ANY; class=NONE; opcode=STATUS; opcode=NOTIFY; size 0; size 512; size 1232; size 4096; size 65535
"""

PACKET = """
questions 0; questions 1; questions 2; answers 1; answers 2; authorities 1; additional 0; additional 1; additional 2; additional 3
bit rd; bit rd off; bit aa; bit tc; bit ra; bit z; bit ad; bit cd; a query; a response; opcode 0; opcode 4; opcode 5; opcode 15
0 OPT; 1 OPT; 2 OPT; OPT with options; OPT below the root; record TYPE1; record TYPE250; record TYPE24; record TYPE65280
pointer in the question; long packet; short header; transport udp; transport tcp
"""


def missing(wanted, found):
    """Names of `wanted` that do not occur in a Counter."""
    return [name for name in wanted.replace("\n", ";").replace("; ", ";").split(";") if name and name not in found]


@pytest.fixture(scope="module", params=[1, 2, 3])
def generated(request):
    """(cluster, Corefiles, questions, packets) of a seed."""
    rng = random.Random(request.param)
    cluster = random_cluster.objects(rng)
    corefiles = [random_corefile.corefile(rng) for _ in range(COREFILES)]
    lines, packets = [], []
    for corefile in corefiles:
        lines += random_questions.questions(rng, cluster, corefile, QUESTIONS // COREFILES)
        packets += random_packets.packets(rng, cluster, corefile, QUESTIONS // COREFILES)
    return cluster, corefiles, lines, packets


def test_clusters(generated):
    assert not missing(CLUSTER, Counter(features.of_cluster(generated[0])))


def test_corefiles(generated):
    assert not missing(
        COREFILE, Counter(name for corefile in generated[1] for name in features.of_corefile(corefile.text))
    )


def test_questions(generated):
    found = Counter(name for line in generated[2] for name in features.of_line(line))
    assert not missing(QUESTION, found)
    assert len([name for name in found if name.startswith("type ")]) > 60


def test_packets(generated):
    assert not missing(PACKET, Counter(name for line in generated[3] for name in features.of_packet(line)))


def test_a_seed_repeats():
    once, again = (random_cluster.objects(random.Random(7)) for _ in range(2))
    assert once == again
