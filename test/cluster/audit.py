# SPDX-License-Identifier: Apache-2.0
"""What the API server itself says about the requests it got: its audit log.

    audit = Audit(folder)
    with ControlPlane(api_flags=audit.flags) as plane:
        mark = audit.mark()
        ...
        audit.requests(mark, user="clusterdns", resource="services")
"""

import json
import os
import urllib.parse
from dataclasses import dataclass

from processes import wait_for

# A line for each list and watch of what we ask for: of a watch when it begins, of a list when it is over.
POLICY = """
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  verbs: [list, watch]
  resources:
  - { group: "", resources: [namespaces, services, pods] }
  - { group: discovery.k8s.io, resources: [endpointslices] }
- level: None
"""
CREDENTIAL = "authentication.kubernetes.io/credential-id"


@dataclass
class Asked:
    """A request: `what` is "initial" (WatchList), "list", "page" (a later one of a list) or "watch"."""

    what: str
    resource: str
    query: dict
    status: int
    user: str
    credential: str  # what the API server calls the token or certificate

    @property
    def version(self):
        return self.query.get("resourceVersion")


def _what(query):
    if query.get("watch"):
        return "initial" if query.get("sendInitialEvents") else "watch"
    return "page" if query.get("continue") else "list"


def _asked(event):
    query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(event["requestURI"]).query))
    user = event["user"]
    credential = (user.get("extra", {}).get(CREDENTIAL) or [""])[0]
    resource, status = event["objectRef"]["resource"], event.get("responseStatus", {}).get("code", 0)
    return Asked(_what(query), resource, query, status, user.get("username", ""), credential)


class Audit:
    def __init__(self, folder):
        self.path = os.path.join(folder, "audit.log")
        policy = os.path.join(folder, "policy.yaml")
        with open(policy, "w", encoding="utf-8") as file:
            file.write(POLICY)
        self.flags = ["--audit-policy-file", policy, "--audit-log-path", self.path, "--audit-log-mode", "blocking"]

    def mark(self):
        """A place in the log."""
        return os.path.getsize(self.path) if os.path.exists(self.path) else 0

    def requests(self, mark=0, user=None, resource=None):
        """Our servers' requests since a mark, in their order."""
        with open(self.path, "rb") as file:
            file.seek(mark)
            lines = file.read().splitlines(keepends=True)
        events = [json.loads(line) for line in lines if line.endswith(b"\n")]
        asked = [  # a watch has a second line when it ends
            _asked(event)
            for event in events
            if event.get("userAgent", "").startswith("clusterdns/")
            and (event["stage"] == "ResponseStarted" or event["verb"] != "watch")
        ]
        return [one for one in asked if user in (None, one.user) and resource in (None, one.resource)]

    def wait(self, mark, count, seconds, **chosen):
        """Until there are so many of them; returns them."""

        def enough():
            found = self.requests(mark, **chosen)
            return found if len(found) >= count else None

        return wait_for(enough, seconds, f"{count} requests: {chosen}", interval=0.05)
