"""Whether two runs may be compared: the same machine, thread counts, settings and policies."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from benchmarks.analysis.entries import Key, entries
from benchmarks.quantities import listing, plural
from benchmarks.record import teams
from benchmarks.record.run import Run
from benchmarks.record.schema import CASE_KEYS, POLICIES

_MACHINE = ("machine_id", "cpu", "cores", "memory_gib", "threads", "cpus_allowed", "cpu_quota")
_CASE_FACTS = {"threads": "threads", "settings": "settings", "device_name": "device", "driver": "driver"}


def differences(base: Run, head: Run, *, any_host: bool = False) -> list[str]:
    """Return, in plain words, how the machines and settings of two runs differ; empty where they do not.

    With `any_host`, equal machines are taken for one.
    """
    hosts = [] if any_host else _host_differences(base.records, head.records)
    return [*_machine_differences(base, head), *hosts, *_case_differences(base.records, head.records)]


def nothing_in_common(base: pd.DataFrame, head: pd.DataFrame) -> list[str]:
    """Return why two runs' records have no case in common; empty where they have one."""
    cases = [set(_keys(records)) for records in (base, head)]
    if cases[0] & cases[1]:
        return []
    for column in (*POLICIES, *(key for key in CASE_KEYS if key not in POLICIES)):
        old, new = (set(map(str, records[column].dropna())) for records in (base, head))
        if not old & new:
            return [f"{column}: {_said(sorted(old))} in the base, {_said(sorted(new))} in the head"]
    return [f"no case is in both: {plural(len(cases[0]), 'case')} in the base, {len(cases[1])} others in the head"]


def _machine_differences(base: Run, head: Run) -> Iterator[str]:
    # Where every case names its own number of threads, the run's is none of theirs.
    named = all(teams.USUAL not in set(run.records["team"]) for run in (base, head))
    for name in _MACHINE:
        old, new = base.machine.get(name), head.machine.get(name)
        if old != new and not (named and name == "threads"):
            yield f"{name}: {old} in the base, {new} in the head"


def _host_differences(base: pd.DataFrame, head: pd.DataFrame) -> Iterator[str]:
    """Yield how many cases were measured on different hosts, of those of which both sides know theirs."""
    hosts = [_hosts(records) for records in (base, head)]
    both = [(hosts[0][case], hosts[1][case]) for case in hosts[0] if case in hosts[1]]
    moved = [pair for pair in both if pair[0] != pair[1]]
    if moved:
        of = "" if len(moved) == len(both) else f" in {len(moved)} of {plural(len(both), 'case')}"
        old, new = (_said(sorted(set(side))) for side in zip(*moved, strict=True))
        yield f"host{of}: {old} in the base, {new} in the head"


def _hosts(records: pd.DataFrame) -> dict[Key, str]:
    """Return the host of each case of which it is known."""
    return {case: host for case, host in zip(_keys(records), records["host"].tolist(), strict=True) if _is(host)}


def _keys(records: pd.DataFrame) -> Iterable[Key]:
    return zip(*(records[name].tolist() for name in CASE_KEYS), strict=True)


@dataclass(frozen=True)
class _Setting:
    """With what a case was measured; what is not known is missing, which an empty text is not."""

    status: str
    backend: str
    device: str
    team: str
    threads: Any
    settings: Any
    device_name: Any
    driver: Any

    @property
    def place(self) -> tuple[str, str, str]:
        """Backend, device and team: several teams are several settings."""
        return self.backend, self.device, self.team


def _case_differences(base: pd.DataFrame, head: pd.DataFrame) -> Iterator[str]:
    """Yield how the backends that both runs have differ."""
    sides = [[each for each in entries(records, _Setting) if each.status == "ok"] for records in (base, head)]
    for column, name in _CASE_FACTS.items():
        old, new = (_by_place(side, column) for side in sides)
        for place in old.keys() & new.keys():
            if old[place] != new[place]:
                backend, device, team = place
                where = f"{backend} on {device}{f' of {team}' * (team != teams.USUAL)}"
                yield f"{name} of {where}: {_said(old[place])} in the base, {_said(new[place])} in the head"


def _by_place(settings: Sequence[_Setting], column: str) -> dict[tuple[str, str, str], tuple[object, ...]]:
    """Return the known values of a column by place."""
    found: defaultdict[tuple[str, str, str], set[Any]] = defaultdict(set)
    for each in settings:
        if _is(value := getattr(each, column)):
            found[each.place].add(value)
    return {place: tuple(sorted(values)) for place, values in found.items()}


def _is(value: object) -> bool:
    """Tell whether there is a value."""
    return not pd.isna(value)  # type: ignore[call-overload, no-any-return]


def _said(values: Sequence[object]) -> str:
    return listing([str(value) or "none" for value in values]) or "none"
