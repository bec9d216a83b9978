"""Merged runs: a journal that holds the journals of several runs, and what is read of it, a run a machine.

After its first line, that of the merged run, come the parts. Each begins with a `part`, the first line of the
run that it was, with the number of its `section`; the other lines are as that run wrote them. Parts of one section
were measured on one machine, or are shards that equal machines have measured, and become one run.

Each part keeps its own bandwidth, to which the times that were measured beside it are compared.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from benchmarks.machine.caveat import Caveat
from benchmarks.quantities import listing
from benchmarks.record.planned import WHOLE, Plan, Shard, plan_from, united, unmeasured
from benchmarks.record.run import Run, best_samples
from benchmarks.record.schema import CASE_KEYS, case_from

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = 4
"""The schema's number in the first line of a merged journal: older versions would take it for that of one run."""
PART = "part"
HOST = "host"
"""What a machine says of its host; None where there are several, of which each record names its own."""

Line = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Part:
    """One of the runs that are merged: its lines, as those of a journal of its own, and the section it is in."""

    section: int
    lines: Sequence[Line]

    @property
    def plan(self) -> Plan | None:
        """What it was to measure; None of older versions."""
        plans = [line for line in self.lines if line.get("type") == "plan"]
        return plan_from(plans[-1]) if plans else None

    @property
    def has_ended(self) -> bool:
        """Whether it was not cut short."""
        return any(line.get("type") == "end" for line in self.lines)


def parts(lines: Sequence[Line]) -> Iterator[Part]:
    """Yield the parts of a merged journal's lines, under the id and name of the whole; none of another's."""
    starts = [i for i, line in enumerate(lines) if line.get("type") == PART]
    if not starts:
        return
    whole = {name: lines[0].get(name) for name in _NAMES} | {PART: True}
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        opening = {name: value for name, value in lines[start].items() if name != "section"}
        yield Part(lines[start]["section"], [opening | whole | {"type": "run"}, *lines[start + 1 : end]])


def runs(found: Sequence[Part], each: Sequence[Run]) -> tuple[Run, ...]:
    """Return a run for each section, in the order of their numbers, of the run that each part was."""
    sections: defaultdict[int, list[tuple[Part, Run]]] = defaultdict(list)
    for part, run in zip(found, each, strict=True):
        sections[part.section].append((part, run))
    return tuple(_one(sections[number]) for number in sorted(sections))


def names_of_whole(opening: Line) -> Line:
    """Return the id and name of the merged run, which the cases of a part get; nothing of another run's."""
    return {name: opening[name] for name in _NAMES} if PART in opening else {}


_NAMES = ("run_id", "saved_as")


def _one(found: Sequence[tuple[Part, Run]]) -> Run:
    """Return parts as one run."""
    each = [run for _, run in found]
    first = each[0]
    plans = [part.plan for part, _ in found]
    part = _missing_shards(plans)
    if len(found) == 1:
        return first.changed(complete=not part and found[0][0].has_ended, part=part)
    import pandas as pd  # late: a run that is not merged of several needs none of it

    records = pd.concat([run.records for run in each], ignore_index=True)
    known = [run.reference_s for run in each if run.reference_s]
    seeds = {run.seed for run in each}
    frames = {
        name: pd.concat([getattr(run, name) for run in each], ignore_index=True)
        for name in ("pairs", "bursts", "rounds")
    }
    return replace(
        first,
        records=records,
        **frames,
        accuracy=best_samples(pd.concat([run.accuracy for run in each], ignore_index=True)),
        machine=_machine([run.machine for run in each]),
        curves=_last([run.curves for run in each], ["op"]),
        curve_errors=_last([run.curve_errors for run in each], ["op", "mode", "backend", "device"]),
        costs=_last([run.costs for run in each], ["backend", "device"]),
        bandwidth=_last([run.bandwidth for run in each], ["device"]),
        warnings=tuple(dict.fromkeys(warning for part, run in found for warning in _warnings(part, run))),
        seed=first.seed if len(seeds) == 1 else None,
        time_s=_sums([run.time_s for run in each]),
        elapsed_s=sum(run.elapsed_s or 0.0 for run in each) or None,
        reference_s=sum(known) / len(known) if known else None,
        command="; ".join(dict.fromkeys(run.command for run in each)),
        complete=not part and all(each.has_ended for each, _ in found),
        n_groups=united(filter(None, plans)).n_groups,
        unmeasured=_unmeasured(plans, records),
        part=part,
        regression="; ".join(run.regression for run in each if run.regression),
    )


def _unmeasured(plans: Sequence[Plan | None], records: pd.DataFrame) -> tuple[str, ...]:
    """Return which groups of all plans no part has measured."""
    rows = records[list(CASE_KEYS)].itertuples(index=False, name=None)
    cases = (case_from(dict(zip(CASE_KEYS, row, strict=True))) for row in rows)
    return unmeasured(united(filter(None, plans)), {(case.group, case.place) for case in cases})


def _missing_shards(plans: Sequence[Plan | None]) -> str:
    """Return which shards there are, where some of their plan are missing; empty where none is."""
    known: defaultdict[str, set[Shard]] = defaultdict(set)
    for plan in plans:
        if plan and plan.shard:
            known[plan.conditions.get(WHOLE, "")].add(plan.shard)
    few = [shards for shards in known.values() if len(shards) < max(each.of for each in shards)]
    named = sorted({shard for shards in few for shard in shards}, key=lambda each: each.number)
    return f"shard{'s' * (len(named) > 1)} {listing(list(map(str, named)))}" if named else ""


def _machine(machines: Sequence[Mapping[str, object]]) -> Mapping[str, object]:
    """Return the machine of several parts: without a host, where it is that of some only."""
    hosts = {machine.get(HOST) for machine in machines}
    return machines[0] if len(hosts) == 1 else {**machines[0], HOST: None}


def _last(frames: Sequence[pd.DataFrame], keys: Sequence[str]) -> pd.DataFrame:
    """Return, of rows that agree in `keys`, those of the last frame that has some."""
    import pandas as pd

    numbered = pd.concat([frame.assign(part=i) for i, frame in enumerate(frames)], ignore_index=True)
    last = numbered.groupby(list(keys), sort=False, dropna=False)["part"].transform("max")
    return numbered[numbered["part"] == last].drop(columns="part").reset_index(drop=True)


def _warnings(part: Part, run: Run) -> Iterator[Caveat]:
    """Yield what makes a part doubtful; its name comes last, as the beginning of a warning is read elsewhere."""
    label = run.part or str(part.lines[0].get("started", ""))[:16]
    for warning in run.warnings:
        yield replace(warning, text=f"{warning.text} ({label})")


def _sums(spent: Sequence[Mapping[str, float]]) -> dict[str, float]:
    found: defaultdict[str, float] = defaultdict(float)
    for each in spent:
        for name, spent_s in each.items():
            found[name] += spent_s
    return dict(found)
