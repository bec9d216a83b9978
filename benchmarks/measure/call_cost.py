"""What a backend costs before it computes: its start, a call that does nothing, and a call on one element."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

from benchmarks.machine.caveat import Caveat
from benchmarks.machine.pulse import Pulse
from benchmarks.measure import sampling
from benchmarks.measure.entry import Entry
from benchmarks.measure.group import Group
from benchmarks.measure.pool import CaseError, Pool
from benchmarks.measure.sampling import Rule, Sampling
from benchmarks.measure.stopwatch import Stopwatch
from benchmarks.record.schema import Case, Cost

OPS = ("relu", "linear")
"""A call on one element is timed for the first of these that the backend has."""
ROUNDS_S = 0.1
"""Seconds of rounds at most for each of the two calls: nothing is decided by a few percent of them."""


@dataclass(frozen=True)
class CallCost:
    """A backend's `cost`, the rounds of the call that does nothing (`floor`), and what is doubtful."""

    cost: Cost
    floor: Sampling
    warnings: tuple[Caveat, ...]


def measure(
    pool: Pool, backend: str, device: str, rule: Rule, order: random.Random, pulse: Pulse, watch: Stopwatch
) -> CallCost:
    """Measure a backend's costs. Raises CaseError where it cannot be had."""
    rule = replace(rule, max_s=min(rule.max_s, ROUNDS_S), patience=1.0)
    with watch.phase("starting workers"):
        facts = pool.facts(backend, device)
    floor = _floor(pool, backend, device, rule, order)
    cost = Cost(
        backend=backend,
        backend_version=facts.backend_version,
        device=device,
        start_s=facts.start_s,
        import_s=facts.import_s,
        floor_s=floor.median_s,
        floor_low_s=floor.low_s,
        floor_high_s=floor.high_s,
    )
    if entry := _one_element(pool, backend, device, rule, order, pulse, watch):
        assert entry.sampling is not None
        assert entry.preparation is not None
        cost = replace(
            cost,
            call_op=entry.case.op,
            call_s=entry.sampling.median_s,
            call_low_s=entry.sampling.low_s,
            call_high_s=entry.sampling.high_s,
            first_call_s=entry.preparation.first_call_s,
        )
    return CallCost(cost, floor, tuple(_too_many_threads(pool, backend, device)))


def _floor(pool: Pool, backend: str, device: str, rule: Rule, order: random.Random) -> Sampling:
    """Time a call that does nothing."""
    pool.call(backend, device, "prepare_floor")
    lane = sampling.open_lane(pool.rounds(backend, device))
    sampling.take_turns([lane], rule, order)
    return sampling.combine([lane], rule.confidence)


def _one_element(
    pool: Pool, backend: str, device: str, rule: Rule, order: random.Random, pulse: Pulse, watch: Stopwatch
) -> Entry | None:
    """Time a call on one element, of the first of `OPS` that the backend has; None where it has none of them."""
    for op in OPS:
        entry = Entry(Case(op, "forward", "float32", (1,), backend, device))
        group = Group([entry], pool, 1, watch)
        with group.prepared():
            group.take_through(rule, order, pulse)
        if entry.ending is None:
            return entry
        if entry.ending.status != "unavailable":
            raise CaseError(entry.ending.status, entry.ending.reason)
    return None


def _too_many_threads(pool: Pool, backend: str, device: str) -> Iterator[Caveat]:
    """Yield which libraries would compute with more threads than they were allowed."""
    for found in pool.call(backend, device, "thread_pools"):
        if found.threads > pool.threads:
            yield Caveat(
                f"{backend} on {device}: {found.library} uses {found.threads} threads where {pool.threads} were "
                "asked for."
            )
