"""Who measures what: each unit of a plan once on each kind of machine that is asked for, and never divided."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from backends.nearest import nearest
from benchmarks.fleet.messages import Hello
from benchmarks.quantities import listing
from benchmarks.record.merge import HARMLESS
from benchmarks.record.planned import WHOLE

MOST_LOSSES = 2
"""A unit in which this many nodes were lost is not given to another: it may be what ended them."""


@dataclass(frozen=True)
class Node:
    """A node of the cluster: its id, its address, and how much it has of each resource."""

    id: str
    address: str
    resources: Mapping[str, float]

    @property
    def name(self) -> str:
        """What it is called where nobody need know its address."""
        return self.id[:6]

    @property
    def processors(self) -> float:
        """How many processors it offers."""
        return self.resources.get("CPU", 0.0)


@dataclass
class Pile:
    """The units that one kind of machine is to measure, each once.

    The first machine of the kind says what there is, and under which conditions: others must agree.
    """

    first: Hello
    _busy: dict[str, str] = field(default_factory=dict)
    _losses: Counter[str] = field(default_factory=Counter)
    _given_up: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._left = deque(self.first.units)

    @property
    def n_units(self) -> int:
        """How many units there are."""
        return len(self.first.units)

    @property
    def n_done(self) -> int:
        """How many of them are measured."""
        return self.n_units - len(self._left) - len(self._busy) - len(self._given_up)

    @property
    def is_over(self) -> bool:
        """Whether nothing is left, nor could come back from a node that is lost."""
        return not self._left and not self._busy

    @property
    def missing(self) -> tuple[str, ...]:
        """The units that no node has measured."""
        return (*self._given_up, *self._busy.values(), *self._left)

    def next(self, node: str) -> str | None:
        """Give a node its next unit; None where none is left for now."""
        if not self._left:
            return None
        self._busy[node] = self._left.popleft()
        return self._busy[node]

    def done(self, node: str) -> str:
        """Take note that a node has measured its unit; return it."""
        return self._busy.pop(node)

    def lost(self, node: str) -> str | None:
        """Take back the unit of a node that is lost, to be the next of another; return it, or None."""
        unit = self._busy.pop(node, None)
        if unit is not None:
            self._losses[unit] += 1
            if self.is_given_up(unit):
                self._given_up.append(unit)
            else:
                self._left.appendleft(unit)
        return unit

    def is_given_up(self, unit: str) -> bool:
        """Tell whether a unit has ended too many nodes."""
        return self._losses[unit] >= MOST_LOSSES

    def differences(self, hello: Hello) -> list[str]:
        """Return, a phrase each, in what a machine of this kind differs that its results depend on."""
        ours, theirs = self.first.conditions, hello.conditions
        names = [name for name in {**ours, **theirs} if name not in HARMLESS or name == WHOLE]
        pairs = [(name, ours.get(name, "none"), theirs.get(name, "none")) for name in names]
        return [f"{name}: {there} there, {here} elsewhere" for name, here, there in pairs if here != there]


def kinds(hellos: Iterable[Hello]) -> dict[str, list[Hello]]:
    """Return machines by their kind."""
    found: dict[str, list[Hello]] = {}
    for hello in hellos:
        found.setdefault(hello.machine, []).append(hello)
    return found


def fitting(nodes: Iterable[Node], resources: Sequence[str]) -> list[Node]:
    """Return the nodes that may take part: those with processors, and with a resource that is named, if any is."""
    able = [node for node in nodes if node.processors >= 1]
    return [node for node in able if not resources or any(node.resources.get(name) for name in resources)]


def require_known(nodes: Iterable[Node], resources: Iterable[str]) -> None:
    """Raise ValueError for a resource that no node has, with the nearest one that there is."""
    known = list(dict.fromkeys(name for node in nodes for name in node.resources))
    for name in resources:
        if name not in known:
            near = nearest(name, known)
            hint = f" (did you mean {near!r}?)" if near else ""
            raise ValueError(
                f"--machines: no node has {name!r}{hint}; there are {listing(sorted(known), most=20)}"
            )
