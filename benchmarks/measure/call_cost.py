"""What a backend costs before it computes: its start, a call that does nothing, and a call on one element."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.machine.pulse import Pulse
from benchmarks.measure import sampling
from benchmarks.measure.group import Entry, Group
from benchmarks.measure.pool import CaseError, Pool
from benchmarks.measure.sampling import Rule, Sampling
from benchmarks.measure.stopwatch import Stopwatch
from benchmarks.plan.cases import Case

OPS = ("relu", "linear")
"""A call on one element is timed for the first of these that the backend has."""


@dataclass(frozen=True)
class CallCost:
    """The `columns` of its record, the rounds of the call that does nothing (`floor`), and what is doubtful."""

    columns: Mapping[str, Any]
    floor: Sampling
    warnings: tuple[str, ...]


def measure(
    pool: Pool, backend: str, device: str, rule: Rule, order: random.Random, pulse: Pulse, watch: Stopwatch
) -> CallCost:
    """Measure a backend's costs. Raises CaseError where it cannot be had."""
    with watch.phase("starting workers"):
        facts = pool.facts(backend, device)
    floor = _floor(pool, backend, device, rule, order)
    columns = {
        "backend": backend,
        "device": device,
        **{name: facts[name] for name in ("backend_version", "start_s", "import_s")},
        **_named(floor, "floor"),
        **_one_element(pool, backend, device, rule, order, pulse, watch),
    }
    return CallCost(columns, floor, tuple(_too_many_threads(pool, backend, device)))


def _floor(pool: Pool, backend: str, device: str, rule: Rule, order: random.Random) -> Sampling:
    """Time a call that does nothing."""
    pool.call(backend, device, "prepare_floor")
    lane = sampling.open_lane(pool.rounds(backend, device), rule)
    sampling.take_turns([lane], order)
    return sampling.combine([lane])


def _one_element(
    pool: Pool, backend: str, device: str, rule: Rule, order: random.Random, pulse: Pulse, watch: Stopwatch
) -> dict[str, Any]:
    """Time a call on one element, of the first of `OPS` that the backend has."""
    for op in OPS:
        entry = Entry(Case(op, "forward", "float32", (1,), backend, device))
        group = Group([entry], pool, 1, watch)
        with group.prepared():
            group.take_through(rule, order, pulse)
        if entry.sampling and entry.alive:
            first_call_s = entry.facts["first_call_s"]
            return _named(entry.sampling, "call") | {"call_op": op, "first_call_s": first_call_s}
        if entry.facts["status"] != "unavailable":
            raise CaseError(entry.facts["status"], entry.facts["reason"])
    return {}


def _too_many_threads(pool: Pool, backend: str, device: str) -> Iterator[str]:
    """Yield which libraries would compute with more threads than they were allowed."""
    for threads in pool.call(backend, device, "thread_pools"):
        if threads["num_threads"] > pool.threads:
            yield (
                f"{backend} on {device}: {threads['internal_api']} uses {threads['num_threads']} threads where "
                f"{pool.threads} were asked for."
            )


def _named(sampling: Sampling, name: str) -> dict[str, float]:
    return {f"{name}_s": sampling.median_s, f"{name}_low_s": sampling.low_s, f"{name}_high_s": sampling.high_s}
