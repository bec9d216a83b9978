"""Whether two runs may be compared: the same machine, thread counts, settings and policies."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from benchmarks.quantities import listing, plural
from benchmarks.record import teams
from benchmarks.record.rows import Rows, is_missing, keys_of, listed
from benchmarks.record.run import Run
from benchmarks.record.schema import CASE_KEYS, POLICIES

if TYPE_CHECKING:
    import pandas as pd


_MACHINE = ("machine_id", "cpu", "cores", "memory_gib", "threads", "cpus_allowed", "cpu_quota")
_CASE_FACTS = {"threads": "threads", "settings": "settings", "device_name": "device", "driver": "driver"}


def differences(base: Run, head: Run, *, any_host: bool = False) -> list[str]:
    """Return, in plain words, how the machines and settings of two runs differ; empty where they do not.

    With `any_host`, equal machines are taken for one.
    """
    old, new = (run.at_hand("records") for run in (base, head))
    hosts = [] if any_host else _host_differences(old, new)
    return [*_machine_differences(base, head), *hosts, *_case_differences(old, new)]


def nothing_in_common(base: Rows | pd.DataFrame, head: Rows | pd.DataFrame) -> list[str]:
    """Return why two runs' records have no case in common; empty where they have one."""
    cases = [set(keys_of(records, CASE_KEYS)) for records in (base, head)]
    if cases[0] & cases[1]:
        return []
    for column in (*POLICIES, *(key for key in CASE_KEYS if key not in POLICIES)):
        old, new = (
            {str(each) for each in listed(records[column]) if not is_missing(each)} for records in (base, head)
        )
        if not old & new:
            return [f"{column}: {_said(sorted(old))} in the base, {_said(sorted(new))} in the head"]
    return [f"no case is in both: {plural(len(cases[0]), 'case')} in the base, {len(cases[1])} others in the head"]


def _machine_differences(base: Run, head: Run) -> Iterator[str]:
    # Where every case names its own number of threads, the run's is none of theirs.
    named = all(teams.USUAL not in listed(run.at_hand("records")["team"]) for run in (base, head))
    for name in _MACHINE:
        old, new = base.machine.get(name), head.machine.get(name)
        if old != new and not (named and name == "threads"):
            yield f"{name}: {old} in the base, {new} in the head"


def _host_differences(base: Rows | pd.DataFrame, head: Rows | pd.DataFrame) -> Iterator[str]:
    """Yield how many cases were measured on different hosts, of those of which both sides know theirs."""
    old, new = map(_hosts, (base, head))
    both = [case for case in old if case in new]
    moved = [case for case in both if old[case] != new[case]]
    if moved:
        of = "" if len(moved) == len(both) else f" in {len(moved)} of {plural(len(both), 'case')}"
        before, after = (_said(sorted({hosts[case] for case in moved})) for hosts in (old, new))
        yield f"host{of}: {before} in the base, {after} in the head"


def _hosts(records: Rows | pd.DataFrame) -> dict[tuple[Any, ...], str]:
    """Return the host of each case, where it is known."""
    found: dict[tuple[Any, ...], str] = {}
    for case, host in zip(keys_of(records, CASE_KEYS), listed(records["host"]), strict=True):
        if not is_missing(host):
            found.setdefault(case, host)
    return found


def _case_differences(base: Rows | pd.DataFrame, head: Rows | pd.DataFrame) -> Iterator[str]:
    """Yield how the backends that both runs have differ."""
    for column, name in _CASE_FACTS.items():
        old, new = (_by_place(records, column) for records in (base, head))
        for place in old.keys() & new.keys():
            if old[place] != new[place]:
                backend, device, team = place
                where = f"{backend} on {device}{f' of {team}' * (team != teams.USUAL)}"
                yield f"{name} of {where}: {_said(old[place])} in the base, {_said(new[place])} in the head"


def _by_place(records: Rows | pd.DataFrame, column: str) -> dict[tuple[str, str, str], tuple[object, ...]]:
    """Return the values of a column by backend, device and team: several teams are several settings."""
    found: defaultdict[tuple[str, str, str], set[Any]] = defaultdict(set)
    for backend, device, team, status, value in keys_of(records, ("backend", "device", "team", "status", column)):
        if not is_missing(value) and not is_missing(status) and status == "ok":
            found[str(backend), str(device), str(team)].add(value)
    return {place: tuple(sorted(values)) for place, values in found.items()}


def _said(values: Sequence[object]) -> str:
    return listing([str(value) or "none" for value in values]) or "none"
