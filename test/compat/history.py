# SPDX-License-Identifier: Apache-2.0
"""Every state that a cluster was in, and which of them an answer is right for."""

import bisect
import itertools
import time
from dataclasses import dataclass

from model import SERVICE_LABEL, State, Unknown, answer, labels_of, reverse_address, text_of

KINDS = ("namespaces", "services", "slices", "pods")
LATE_SECONDS = 3.0  # after which a change has to be seen, unless the API was away
MIXED_MOST = 20_000  # states of single objects that are tried


@dataclass(frozen=True)
class Moment:
    """One kind's objects after the change of `key`, which was sent at `begin` and answered at `end` (seconds, monotonic)."""

    begin: float
    end: float
    key: object
    objects: dict


class History:
    """What was, a list of Moments a kind; `outages` are times (begin, end) when the server had no API to look at."""

    def __init__(self):
        self.moments = {kind: [Moment(0, 0, None, {})] for kind in KINDS}
        self.outages = []

    def now(self, kind):
        return self.moments[kind][-1].objects

    def remember(self, kind, key, begin, obj):
        """`obj` is there under `key` (None: is not there) after a change that was sent at `begin`."""
        objects = dict(self.now(kind))
        if obj is None:
            objects.pop(key, None)
        else:
            objects[key] = obj
        self.moments[kind].append(Moment(begin, time.monotonic(), key, objects))

    def changes(self):
        return sum(len(moments) - 1 for moments in self.moments.values())

    def _oldest(self, asked):
        """What was true before this time need not be known any more."""
        oldest = asked - LATE_SECONDS
        for begin, end in reversed(self.outages):
            if end > oldest and begin < asked:
                oldest = min(oldest, begin - LATE_SECONDS)
        return oldest

    def _possible(self, kind, asked, answered):
        """The newest first: what a server may have known of a kind between two moments."""
        moments, oldest = self.moments[kind], self._oldest(asked)
        for number in range(bisect.bisect_right(moments, answered, key=lambda moment: moment.begin) - 1, -1, -1):
            yield moments[number]
            if moments[number].end < oldest:
                return

    def age(self, name, kind, given, asked, answered):
        """How old a state is that `given` is the model's answer of: 0 the newest between the two moments, -1 a mixture of
        objects' states while everything was listed anew, None: no state.

        To be called when all changes are over: one can be answered before it is remembered. Each kind of object reaches a
        server through a stream of its own: their order is kept, but not among them.
        """
        try:
            return self._age(name, kind, given, asked, answered)
        except Unknown:
            return 0

    def _age(self, name, kind, given, asked, answered):
        known = {which: list(self._possible(which, asked, answered)) for which in KINDS}
        keys = _relevant(known, labels_of(name), reverse_address(name))
        choices = [_distinct(known[which], keys[which]) for which in KINDS]
        for tries, state in enumerate(itertools.product(*choices)):
            if given == answer(State(**dict(zip(KINDS, state))), name, kind):
                return tries
        listing = any(begin < answered and asked < end + LATE_SECONDS for begin, end in self.outages)
        return -1 if listing and self._is_mixed(known, keys, name, kind, given) else None

    @staticmethod
    def _is_mixed(known, keys, name, kind, given):
        """Is it the answer if every object may be as it was at any of these moments? A list is taken over object by object."""
        slots = [(which, key) for which in KINDS for key in keys[which]]
        versions = [
            list({id(obj): obj for obj in (moment.objects.get(key) for moment in known[which])}.values())
            for which, key in slots
        ]
        for chosen in itertools.islice(itertools.product(*versions), MIXED_MOST):
            state = {which: {} for which in KINDS}
            for (which, key), obj in zip(slots, chosen):
                if obj is not None:
                    state[which][key] = obj
            if given == answer(State(**state), name, kind):
                return True
        return False


def _distinct(moments, keys):
    """States that differ in these keys, reduced to them."""
    found = {}
    for objects in (moment.objects for moment in moments):
        found.setdefault(
            tuple(id(objects.get(key)) for key in keys), {key: objects[key] for key in keys if key in objects}
        )
    return list(found.values())


def _versions(moments):
    """(key, object) of everything that was at any of these moments, the newest first."""
    changed = [(moment.key, moment.objects[moment.key]) for moment in moments if moment.key in moment.objects]
    return [*changed, *moments[-1].objects.items()]


def _relevant(known, labels, address):
    """The keys of objects that can have a say in the answer, by kind."""
    services, slices = _versions(known["services"]), _versions(known["slices"])
    if address is not None:
        owners = {key for key, obj in services if address in map(text_of, obj["spec"].get("clusterIPs", []))}
        holders = {key for key, item in slices if _has_address(item, address)}
        return {"namespaces": [], "services": sorted(owners), "slices": sorted(holders), "pods": []}
    if "pod" in labels[-3:-2]:
        pods = {key for key, _ in _versions(known["pods"]) if key[0] == labels[-4]}
        return {"namespaces": [labels[-4]], "services": [], "slices": [], "pods": sorted(pods)}
    wanted = {(labels[-4], labels[-5])}
    external = [(key, labels_of(obj["spec"]["externalName"])) for key, obj in services if "externalName" in obj["spec"]]
    for _ in range(12):  # as far as names lead to names
        wanted |= {(target[-4], target[-5]) for key, target in external if key in wanted and len(target) > 4}
    holders = {key for key, item in slices if (key[0], item["metadata"].get("labels", {}).get(SERVICE_LABEL)) in wanted}
    return {
        "namespaces": sorted({key[0] for key in wanted}),
        "services": sorted(wanted),
        "slices": sorted(holders),
        "pods": [],
    }


def _has_address(item, address):
    return any(address == text_of(text) for endpoint in item.get("endpoints") or [] for text in endpoint["addresses"])
