# SPDX-License-Identifier: Apache-2.0
"""10,000 services with 150,000 endpoints from the real API, in a cgroup of 64 MB: ten forced relists in a row, under
load. Every answer is right, and memory does not grow. (bench/scale does the same with 100,000 and 1,000,000.)
"""

import memory
import pytest
import scale
import servers
from controlplane import ControlPlane
from proxy import ExpiringProxy
from seed import Cluster

CLUSTER = Cluster(services=10_000, endpoints=15)
LIMIT = 64 << 20
ANONYMOUS_MAX, RESIDENT_MAX = 14 << 20, 28 << 20
PEAK_RATIO = 1.2  # of the steady resident set, at the worst moment
RELISTS = 10
PER_SECOND = 6000


@pytest.fixture(scope="module")
def full_plane():
    with ControlPlane(fill=CLUSTER.fill) as plane:
        yield plane


def test_size(full_plane):
    with ExpiringProxy(full_plane) as proxy, scale.limited(LIMIT) as group:
        kubeconfig = full_plane.kubeconfig("dns", server=proxy.url)
        with servers.clusterdns(servers.corefile(), ready=False, group=group, KUBECONFIG=kubeconfig) as server:
            scale.first_sync(server)
            assert not scale.wrong_answers(server, CLUSTER)
            scale.wait_quiet(server.process)
            pid = server.process.pid
            steady = memory.usage(pid)
            print(f"synced: {steady}")
            memory.reset_peak(pid)
            after = []
            with scale.Load(server, CLUSTER, PER_SECOND) as load:
                for _ in range(RELISTS):
                    took = scale.relist(server, proxy)
                    after.append(memory.usage(pid))
                    print(f"relist: {took}, {after[-1]}")
            assert not scale.wrong_answers(server, CLUSTER)
            print(f"load: {load.counts}; group: {group and group.peak()}")
            assert load.counts["wrong"] == load.counts["lost"] == 0
            assert steady["anonymous"] <= ANONYMOUS_MAX and steady["rss"] <= RESIDENT_MAX
            assert after[-1]["peak"] <= min(LIMIT, PEAK_RATIO * steady["rss"])
            assert group is None or (group.kills() == 0 and group.peak() <= LIMIT)
