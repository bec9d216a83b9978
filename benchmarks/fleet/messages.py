"""What the run on a node tells the driver, as JSON: the courier between them reads none of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Hello:
    """What a run says before it measures: on which machine it is, under which conditions, and what it could do.

    `machine` is the machine's id, `kernel` what all share that run on one kernel, and so on the same processors.
    `undone` names the variables that Ray had set and that this process does not have. `niceness` is how much it
    stands back for other processes. `units` are the groups, and the checks of each op, in the order of the plan.
    """

    machine: str
    cpu: str
    gpus: tuple[str, ...]
    processors: int
    kernel: str
    niceness: int
    undone: tuple[str, ...]
    conditions: Mapping[str, str]
    units: tuple[str, ...]

    @property
    def told(self) -> str:
        """The machine in words."""
        return ", ".join([f"{self.machine}: {self.cpu}", *self.gpus])


@dataclass(frozen=True)
class Done:
    """What a run says after each unit: the ids of the tests that failed."""

    failed: tuple[str, ...] = ()


def text_of(message: Hello | Done) -> str:
    """Return a message as JSON."""
    return json.dumps(asdict(message))


def hello_from(text: str) -> Hello:
    """Return the message in a text."""
    return Hello(**_with_tuples(text))


def done_from(text: str) -> Done:
    """Return the message in a text."""
    return Done(**_with_tuples(text))


def _with_tuples(text: str) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in json.loads(text).items()}
