"""How to call the winners: for each op, the lines that import and call whoever is first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from backends.calling import lines
from backends.catalogue import OPS
from benchmarks.analysis import tables
from benchmarks.analysis.entries import entries, parted
from benchmarks.analysis.study import Study
from benchmarks.analysis.tables import Lead
from benchmarks.record import teams
from benchmarks.record.schema import DEFAULTS, IN_WORDS


@dataclass(frozen=True)
class Call:
    """Whoever is first, in which cases of an op, and the lines that call it."""

    told: str
    code: str


@dataclass(frozen=True)
class _Leader(Lead):
    op: str
    mode: str
    dtype: str
    allocation: str
    saved: str
    team: str


def calls(study: Study) -> dict[str, list[Call]]:
    """Return the calls of each op, each once, in the order of the modes; of ops that are in the catalogue."""
    known = [leader for leader in entries(study.winners, _Leader) if leader.op in OPS]
    several = len({leader.fastest_device for leader in known}) > 1
    return {
        op: list(dict.fromkeys(_calls(own, several=several)))
        for op, own in parted(known, lambda leader: leader.op).items()
    }


def _calls(leaders: list[_Leader], *, several: bool) -> Iterator[Call]:
    for leader in leaders:
        found = lines(
            leader.fastest,
            leader.op,
            mode=leader.mode,
            dtype=leader.dtype,
            device=leader.fastest_device,
            allocation=leader.allocation,
            saved=leader.saved,
            threads=teams.size_of(leader.team),
        )
        name = tables.label(leader.fastest, leader.fastest_device, across_devices=several)
        policies = (("allocation", leader.allocation), ("saved", leader.saved), ("team", leader.team))
        unusual = [IN_WORDS.get(value, value) for policy, value in policies if value != DEFAULTS[policy]]
        yield Call(", ".join([f"{leader.mode}: {name}", *unusual]), "\n".join(found))
