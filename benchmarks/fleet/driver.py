"""The driver: gives units to nodes, writes what comes back, and gives what a lost node had to an equal one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import Protocol

from benchmarks.fleet.assignment import Node, Pile, fitting, kinds, require_known
from benchmarks.fleet.messages import Hello, done_from, hello_from
from benchmarks.fleet.parts import Origin, Part
from benchmarks.quantities import duration, listing, plural

POLL_S = 2.0
"""How often it is looked whether a node has joined."""
PATIENCE_S = 60.0
"""Nodes that do not answer for so long are not waited for, once another one has."""
TESTS_FAILED = 1
"""pytest's exit status where a test failed, which is no failure of the run."""


@dataclass(frozen=True)
class Answer:
    """What a node has answered to the last request: a text and lines of its journal, or why there is none."""

    node: str
    text: str = ""
    lines: Sequence[bytes] = ()
    error: str = ""


class Cluster(Protocol):
    """The courier's side: requests to a node return at once, and their answers come from `wait`."""

    def nodes(self) -> Sequence[Node]:
        """Return the nodes that are alive."""

    def start(self, node: Node) -> None:
        """Start a run on a node, alone on it; its hello is the answer."""

    def measure(self, node: str, unit: str) -> None:
        """Have a node measure a unit."""

    def finish(self, node: str) -> None:
        """Have the run on a node end; its exit status is the answer."""

    def end(self, node: str) -> None:
        """End whatever is on a node, without an answer."""

    def wait(self, limit_s: float) -> Sequence[Answer]:
        """Return the next answers; none where none comes in time."""


class State(Enum):
    """What a node is about."""

    STARTING = auto()
    WAITING = auto()
    BUSY = auto()
    FINISHING = auto()
    GONE = auto()


@dataclass
class Worker:
    """A node that takes part, with what it has said, the pile that it takes from, and its journal."""

    node: Node
    state: State = State.STARTING
    hello: Hello | None = None
    pile: Pile | None = None
    part: Part | None = None
    since: float = field(default_factory=time.monotonic)

    @property
    def kernel(self) -> str:
        """What it shares with nodes on the same processors."""
        return (self.hello and self.hello.kernel) or self.node.id


@dataclass
class Driver:
    """Measures a plan on a cluster, into journals in `folder`, a file a node.

    `machines` names the resources of nodes that may take part. The plan is measured on machines of one kind, or
    `everywhere`: once on each kind. `tell` gets a sentence about everything that happens.
    """

    cluster: Cluster
    folder: Path
    origin: Origin
    tell: Callable[[str], None]
    machines: Sequence[str] = ()
    everywhere: bool = False
    facts: dict[str, object] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    _workers: dict[str, Worker] = field(default_factory=dict)
    _piles: dict[str, Pile] = field(default_factory=dict)
    _began: float = field(default_factory=time.monotonic)

    def run(self) -> None:
        """Measure until nothing is left, or nobody is there to measure it.

        Raises ValueError where nobody can take part, or machines of several kinds and not `everywhere`.
        """
        nodes = self.cluster.nodes()
        require_known(nodes, self.machines)
        if not fitting(nodes, self.machines):
            raise ValueError("--address: no node of the cluster has a processor to offer (Ray's --num-cpus)")
        try:
            while not self._is_over:
                self._welcome()
                for answer in self.cluster.wait(POLL_S):
                    self._take(answer)
                self._choose()
                self._give()
        finally:
            self._close()
        if not self._piles:
            raise ValueError("no node takes part")

    @property
    def missing(self) -> dict[str, tuple[str, ...]]:
        """What was not measured, by kind of machine."""
        return {machine: pile.missing for machine, pile in self._piles.items() if pile.missing}

    @property
    def has_measured(self) -> bool:
        """Whether there is any journal."""
        return any(worker.part and worker.part.has_begun for worker in self._workers.values())

    @property
    def _is_over(self) -> bool:
        states = {worker.state for worker in self._workers.values()}
        if not states or states & {State.WAITING, State.BUSY, State.FINISHING}:
            return False
        return State.STARTING not in states or (bool(self._piles) and all(p.is_over for p in self._piles.values()))

    def _welcome(self) -> None:
        """Start a run on nodes that are new, while there is something to do."""
        if self._piles and all(pile.is_over for pile in self._piles.values()):
            return
        for node in fitting(self.cluster.nodes(), self.machines):
            if node.id not in self._workers:
                self._workers[node.id] = Worker(node)
                self._say(node, f"at {node.address}, {node.processors:g} processors: starts")
                self.cluster.start(node)

    def _take(self, answer: Answer) -> None:
        """Take note of what a node has answered."""
        worker = self._workers[answer.node]
        if worker.state is State.GONE:
            return
        if answer.error:
            self._lose(worker, answer.error)
        elif worker.state is State.STARTING:
            worker.hello, worker.state = hello_from(answer.text), State.WAITING
            if self._piles:
                self._admit(worker, worker.hello)
        elif worker.part and worker.pile:
            self._receive(worker, worker.part, worker.pile, answer)

    def _receive(self, worker: Worker, part: Part, pile: Pile, answer: Answer) -> None:
        """Write what a node has measured, first of all."""
        part.add(answer.lines, cut_short=worker.state is State.FINISHING and bool(pile.missing))
        if worker.state is State.FINISHING:
            worker.state = State.GONE
            if int(answer.text) > TESTS_FAILED:
                self._say(worker.node, f"its run ended with exit status {answer.text}")
            self.cluster.end(worker.node.id)
            return
        unit, took_s = pile.done(worker.node.id), time.monotonic() - worker.since
        worker.state = State.WAITING
        self.tell(f"[{pile.n_done}/{pile.n_units}] {unit} on {worker.node.name}, {duration(took_s)}")
        for test in done_from(answer.text).failed:
            self.failed.append(test)
            self._say(worker.node, f"FAILED {test}")

    def _lose(self, worker: Worker, reason: str) -> None:
        """Give up a node; its unit is the next of an equal one, unless it has ended too many."""
        before, worker.state = worker.state, State.GONE
        self.cluster.end(worker.node.id)
        if worker.pile is None or worker.part is None:
            self._say(worker.node, f"takes no part: {reason}")
            return
        unit = worker.pile.lost(worker.node.id)
        where = f"while it measured {unit}" if unit else "before it had ended"
        self._say(worker.node, f"was lost {where}: {reason}")
        if unit and worker.pile.is_given_up(unit):
            self.tell(f"{unit}: not measured, since several nodes were lost there")
        elif unit:
            self.tell(f"{unit}: to be measured again, on an equal machine")
        if unit or before is State.FINISHING:
            worker.part.warn(
                f"The node that measured this part was lost {where}; what it had measured before counts."
            )

    def _choose(self) -> None:
        """Make a pile for each kind of machine, once all nodes have said what they are."""
        heard = [worker for worker in self._workers.values() if worker.hello and worker.state is State.WAITING]
        is_patient = time.monotonic() - self._began < PATIENCE_S
        if self._piles or not heard:
            return
        if is_patient and any(worker.state is State.STARTING for worker in self._workers.values()):
            return
        found = kinds(worker.hello for worker in heard if worker.hello)
        if len(found) > 1 and not self.everywhere:
            raise ValueError("\n".join(self._several(heard)))
        self._piles = {machine: Pile(hellos[0]) for machine, hellos in found.items()}
        for worker in heard:
            if worker.hello:
                self._admit(worker, worker.hello)

    def _several(self, heard: Sequence[Worker]) -> Iterator[str]:
        yield "the nodes are of several kinds, whose results cannot be one run:"
        for machine, hellos in kinds(worker.hello for worker in heard if worker.hello).items():
            those = [each.node.address for each in heard if each.hello and each.hello.machine == machine]
            yield f"  {hellos[0].told}: {listing([f'node:{address}' for address in those], most=6)}"
        yield "Choose one with --machines, or measure the plan on each kind with --everywhere."

    def _admit(self, worker: Worker, hello: Hello) -> None:
        """Let a node take part, unless it is of another kind or differs in what results depend on."""
        pile = self._piles.get(hello.machine)
        if pile is None and self.everywhere:
            pile = self._piles[hello.machine] = Pile(hello)
        refusal = "is of another kind: " + hello.told if pile is None else "; ".join(pile.differences(hello))
        if pile is None or refusal:
            worker.state = State.GONE
            self._say(worker.node, f"takes no part: {refusal}")
            self.cluster.end(worker.node.id)
            return
        path = self.folder / f"{worker.node.id}.jsonl"
        facts = self.facts | {
            "node": worker.node.name,
            "object_store_bytes": worker.node.resources.get("object_store_memory"),
            "niceness": hello.niceness,
            "undone": hello.undone,
        }
        worker.pile, worker.part = pile, Part(path, self.origin, facts)
        undone = f"; undone: {', '.join(hello.undone)}" if hello.undone else ""
        self._say(worker.node, f"takes part as {hello.told}{undone}")
        for text in _doubts(worker.node, hello):
            self._say(worker.node, text)
            worker.part.warn(text)
        alike = [each.part for each in self._workers.values() if each.part and each.kernel == worker.kernel]
        if len(alike) > 1:
            text = f"{plural(len(alike), 'node')} share one machine and measure in turn: do not trust their times."
            self.tell(text)
            for part in alike:
                part.warn(text)

    def _give(self) -> None:
        """Give every node that waits what it can do now: of those on one machine, one at a time is measuring."""
        for worker in sorted(self._workers.values(), key=lambda each: each.since):  # who waits longest comes first
            if worker.state is not State.WAITING or not worker.pile or not worker.part:
                continue
            active = [each for each in self._workers.values() if each.state in (State.BUSY, State.FINISHING)]
            if any(each.kernel == worker.kernel for each in active):
                continue
            if unit := worker.pile.next(worker.node.id):
                worker.state, worker.since = State.BUSY, time.monotonic()
                self.cluster.measure(worker.node.id, unit)
            elif worker.pile.is_over and worker.part.has_begun:
                worker.state = State.FINISHING
                self.cluster.finish(worker.node.id)
            elif worker.pile.is_over:
                worker.state = State.GONE
                self.cluster.end(worker.node.id)

    def _close(self) -> None:
        for worker in self._workers.values():
            if worker.part and worker.pile:
                worker.part.close(complete=not worker.pile.missing)

    def _say(self, node: Node, text: str) -> None:
        self.tell(f"{node.name}: {text}")


def _doubts(node: Node, hello: Hello) -> Iterator[str]:
    """Yield why what a node measures may be slower than it would be without Ray, or with nobody else there."""
    if hello.niceness > 0:
        yield (
            f"Ray's workers stand back for other processes (niceness {hello.niceness}), and the right to undo "
            "that is missing: start Ray with RAY_worker_niceness=0."
        )
    if hello.processors > node.processors:
        yield (
            f"Ray offers {node.processors:g} of the machine's {hello.processors} processors: whoever has the "
            "others may be at work."
        )
