# SPDX-License-Identifier: Apache-2.0
"""The differences from CoreDNS that are meant. Each is a class: a name, the reason, and a predicate over one case and
the two answers (CoreDNS's first) that says whether this class, and nothing else, explains all that differs."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Accepted:
    name: str
    reason: str
    explains: Callable  # (case, CoreDNS's answer, our answer) -> bool


CLASSES: list[Accepted] = []
