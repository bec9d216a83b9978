"""Scale: whether commands take 30 s and 2 GB at most on a large run, many machines, and a long history."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pandas as pd

from benchmarks import processes, quantities
from benchmarks.record import history, planned
from benchmarks.record.frames import to_frame
from benchmarks.record.journal import JOURNALS, journal_line
from benchmarks.record.planned import SHARD, WHOLE
from benchmarks.record.schema import CASE, COLUMNS, SCHEMA, case_from
from benchmarks.validation import made_up
from benchmarks.validation.device import NO, YES

MOST_S = 30.0
MOST_BYTES = 2 * 10**9
OPS = ("relu", "sigmoid", "tanh", "gelu", "silu", "softplus", "elu", "selu", "mish", "softsign")
"""Ops of made-up cases; their sizes make up the number."""
FASTER = "gelu"
"""The op that later runs compute faster, so that comparisons have something to list."""
BACKENDS = (("numpy", 1.0), ("numba", 2.0), ("jax", 2.5), ("torch", 3.0), ("numba-parallel", 3.1))
N_TURNS = 60
_COLUMNS = frozenset(column.name for column in COLUMNS)


def _extent(default: int, meaning: str) -> int:
    """Declare how many there are of something."""
    found: int = field(default=default, metadata={"meaning": meaning})
    return found


@dataclass(frozen=True)
class Extent:
    """How much there is: cases of a run, and its shards; machines with their cases; saved runs with theirs."""

    n_cases: int = _extent(10_000, "cases of the large run")
    n_shards: int = _extent(5, "shards that it is merged of")
    n_machines: int = _extent(200, "machines of the merged run")
    cases_each: int = _extent(50, "cases of each machine")
    n_runs: int = _extent(1_000, "runs in the history")
    cases_of_run: int = _extent(200, "cases of each of these")


def table(extent: Extent, say: Callable[[str], None] = lambda text: print(text, file=sys.stderr)) -> pd.DataFrame:
    """Return what each command took, and whether that is within the limits; say so of each when it has ended."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for row in _rows(Path(folder), extent):
            say(", ".join(row.values()))
            rows.append(row)
    return pd.DataFrame(rows)


def write(results: Path, extent: Extent) -> None:
    """Write the made-up journals and history: runs `large` and `later`, shards of `parts`, machines of `fleet`."""
    for number in range(1, extent.n_shards + 1):
        journal(results, "parts", extent.n_cases, shard=planned.Shard(number, extent.n_shards))
    for large, fleet, faster in (("large", "fleet", ""), ("later", "fleet-later", FASTER)):
        journal(results, large, extent.n_cases, faster=faster)
        for i in range(extent.n_machines):
            journal(results, f"{fleet}-{i}", extent.cases_each, machine_id=f"machine-{i:03d}", faster=faster)
    saved_runs(results, extent.n_runs, extent.cases_of_run)


def journal(
    results: Path,
    name: str,
    n_cases: int,
    *,
    shard: planned.Shard | None = None,
    machine_id: str = made_up.MACHINE,
    faster: str = "",
) -> Path:
    """Write the journal of a made-up run of so many cases, or of a shard of it; return its path.

    An op that is `faster` takes two thirds of the time.
    """
    run_id = f"{name}-{shard.number}" if shard else name
    about: made_up.Line = {"run_id": run_id, "saved_as": name, "machine_id": machine_id}
    groups = list(_groups(n_cases, about, faster))
    ours = groups[shard.number - 1 :: shard.of] if shard else groups
    conditions = {"numpy": "2.1"} | ({SHARD: str(shard), WHOLE: "1"} if shard else {})
    cases, all_cases = ([case_from(case) for group in each for case, _ in group] for each in (ours, groups))
    here = set(cases)
    plan = planned.plan_of(cases, conditions, [case for case in all_cases if case not in here])
    machine = {"machine_id": machine_id, "cpu": "a processor", "threads": 2}
    opening = {"schema": SCHEMA, **about, "command": "pytest", "machine": machine, "seed": 0, "precision": 0.02}
    lines = [{"type": "run", **opening, "started": run_id}, {"type": "plan", **planned.line_of(plan)}]
    lines += made_up.beside()
    lines += [{"type": "group", "cases": [case for case, _ in group], "pairs": _pairs(group)} for group in ours]
    end = {"type": "end", "time_s": {"rounds": 1.0}, "elapsed_s": 2.5, "reference_s": 7e-5}
    content = bytearray()
    for line in (*lines, made_up.bandwidth(), end):
        content += journal_line(line, len(content))
    path = results / JOURNALS / f"{run_id}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def saved_runs(results: Path, n_runs: int, n_cases: int) -> None:
    """Append made-up runs of so many cases to the history, one an hour."""
    cases = [case for group in _groups(n_cases, {}) for case, _ in group]
    records = to_frame({name: case.get(name) for name in _COLUMNS} for case in cases)
    for number in range(n_runs):
        hour = pd.Timestamp("2026-01-01", tz="UTC") + pd.Timedelta(hours=number)
        about = {"run_id": f"{number:06d}", "saved_as": f"run {number}", "timestamp": hour.isoformat()}
        history.append(
            records.assign(**{name: pd.Series(value, records.index) for name, value in about.items()}), results
        )


_Case = tuple[made_up.Line, list[float]]


def _groups(n_cases: int, about: made_up.Line, faster: str = "") -> Iterator[list[_Case]]:
    """Yield made-up groups, all cases together as many as asked for."""
    sizes = itertools.count(1000)
    groups = ((op, n) for n in sizes for op in OPS)
    for op, n in itertools.islice(groups, -(-n_cases // len(BACKENDS))):
        gain = 1.5 if op == faster else 1.0
        yield [made_up.case(op, n, backend, gain * speed, about, n_turns=N_TURNS) for backend, speed in BACKENDS]


def _pairs(group: Sequence[_Case]) -> list[made_up.Line]:
    """Return the pairs of a group, as those of the same backends in any other: comparing all takes minutes."""
    about = {name: group[0][0][name] for name in CASE if name != "n_elements"}
    return [pair | about for pair in _pairs_of_any()]


@cache
def _pairs_of_any() -> list[made_up.Line]:
    group = next(_groups(1, {}))
    return [made_up.pair(slower, faster) for slower, faster in itertools.combinations(group, 2)]


def _rows(results: Path, extent: Extent) -> Iterator[dict[str, str]]:
    write(results, extent)
    run = f"a run of {quantities.plural(extent.n_cases, 'case')}"
    fleet = (
        f"{quantities.plural(extent.n_machines, 'machine')}, {quantities.plural(extent.cases_each, 'case')} each"
    )
    runs = f"{quantities.plural(extent.n_runs, 'run')}, {quantities.plural(extent.cases_of_run, 'case')} each"
    machines = [[str(results / JOURNALS / f"{name}-{i}.jsonl") for i in range(extent.n_machines)]
                for name in ("fleet", "fleet-later")]  # fmt: skip
    for what, words in (
        (runs, ["trend"]),  # first: what is merged is appended to the history
        (runs, ["trend", "--page"]),
        (f"{run} in {extent.n_shards} shards", ["merge", "parts", "--into", "whole"]),
        (run, ["report", "large"]),
        (run, ["recommend", "--op", "gelu", "--size", "1000", "--run", "large"]),
        (run, ["compare", "large", "later"]),
        (fleet, ["merge", *machines[0], "--into", "fleet"]),
        (fleet, ["merge", *machines[1], "--into", "fleet-later"]),
        (fleet, ["report", "fleet"]),
        (fleet, ["compare", "fleet", "fleet-later"]),
    ):
        taken = _taken([*words, "--results", str(results)])
        holds = taken.processor_s <= MOST_S and taken.peak_bytes <= MOST_BYTES and taken.status == 0
        yield {
            "of": what,
            "command": "trend --page" if "--page" in words else words[0],
            "processor time": quantities.duration(taken.processor_s),
            "time": quantities.duration(taken.seconds),
            "memory": quantities.size(taken.peak_bytes),
            "exit": str(taken.status),
            "holds": YES if holds else NO,
        }


@dataclass(frozen=True)
class _Taken:
    """What a command took, and how it ended: the time of the processor is what other programs do not change."""

    seconds: float
    processor_s: float
    peak_bytes: int
    status: int


def _taken(words: Sequence[str]) -> _Taken:
    """Carry out a command in a process of its own; Linux counts its memory in KiB, macOS in bytes."""
    begun = time.monotonic()
    command = [*processes.command(__package__.rpartition(".")[0]), *words]
    process = subprocess.Popen(command, env=processes.environment(), stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    unit = 1 if sys.platform == "darwin" else 1024
    processor_s = usage.ru_utime + usage.ru_stime
    return _Taken(time.monotonic() - begun, processor_s, usage.ru_maxrss * unit, process.returncode)
