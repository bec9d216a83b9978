"""Made-up measurements of two versions: sittings of `ab`, saved runs to compare, and a run that was cut short."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np

from benchmarks.measure.duel import Duel
from benchmarks.record import planned
from benchmarks.record.frames import to_frame
from benchmarks.record.journal import write_journal_line
from benchmarks.record.run import Run
from benchmarks.record.schema import CASE_KEYS, SCHEMA, Case, Sitting
from benchmarks.validation import made_up
from tests.synthetic import record

NOISE = 0.02
"""How far a time scatters from one burst, or sitting, to the next, as a logarithm."""
STEP = math.log(1.12)
"""How much longer the head's slower case takes."""
N_BURSTS = 12


class Clock:
    """What a stopwatch reads: the seconds that made-up sittings took."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Return the seconds so far."""
        return self.now


def sit(duel: Duel, clock: Clock, n: int, due: Iterable[Case]) -> None:
    """Record a sitting of `ab`, in which NumPy's sigmoid has become slower."""
    for case in due:
        rng = np.random.default_rng([n, *map(ord, case.op + case.backend)])
        base_s = float(str(record(case.backend, case.op, n=case.n_elements)["median_s"]))
        effect = float(rng.normal(0, NOISE)) + STEP * ((case.backend, case.op) == ("numpy", "sigmoid"))
        found = Sitting(
            case=case,
            sitting=n,
            base_s=base_s,
            head_s=base_s * math.exp(effect),
            effect=effect,
            pairs=10,
            base_status="ok",
            head_status="ok",
        )
        duel._record(found)
        clock.now += 2.3


def two_runs() -> dict[str, Run]:
    """Return two saved runs of one machine, in the second of which PyTorch's relu of few elements is slower."""
    cases = list(itertools.product(("relu", "sigmoid"), ("numpy", "torch"), (1_000, 100_000)))
    slower = {("relu", "torch", 1_000): STEP}
    return {
        "before": _run(cases, seed=1, saved_as="before", git_commit="1a2b3c4d5e6f"),
        "after": _run(cases, seed=2, effects=slower, saved_as="after", git_commit="6f5e4d3c2b1a"),
    }


def two_machines() -> dict[str, Run]:
    """Return a run of a laptop, and one of a server that computes twice and copies three times as fast."""
    cases = list(itertools.product(("relu", "sigmoid"), ("numpy",), (1_000, 100_000)))
    twice = dict.fromkeys(cases, -math.log(2))
    server = {"machine_id": "9c8b7a6d5e4f", "device_name": "AMD EPYC 9654"}
    return {
        "desk": _run(cases, seed=3, saved_as="desk", git_commit="1a2b3c4d5e6f"),
        "server": _run(cases, 3.0, seed=4, effects=twice, saved_as="server", git_commit="1a2b3c4d5e6f", **server),
    }


def _run(
    cases: Sequence[tuple[str, str, int]],
    bandwidth: float = 1.0,
    *,
    seed: int,
    effects: Mapping[tuple[str, str, int], float] = MappingProxyType({}),
    **about: object,
) -> Run:
    """Return a run of (op, backend, elements), with its bursts.

    `effects` are logarithms of how much longer some take, and `bandwidth` is how many times the usual one it has.
    """
    rng = np.random.default_rng(seed)
    rows, seconds = [], []
    for op, backend, n in cases:
        row = record(backend, op, n=n, settings="", **about)
        longer = math.exp(effects.get((op, backend, n), 0.0))
        usual_s = float(str(row["median_s"])) * longer
        taken = np.sort(usual_s * np.exp(rng.normal(0, NOISE, N_BURSTS)))
        row |= {
            "median_s": float(np.median(taken)),
            "ci95_low_s": float(taken[2]),
            "ci95_high_s": float(taken[9]),
        }
        share = float(str(row["fraction_of_bandwidth"])) / longer
        rows.append(row | {"bursts": N_BURSTS, "warning": None, "fraction_of_bandwidth": share / bandwidth})
        seconds += rng.permutation(taken).tolist()
    machine = {"machine_id": rows[0]["machine_id"], "threads": 2}
    records = to_frame(rows)
    cases_of = records[list(CASE_KEYS)].loc[lambda frame: frame.index.repeat(N_BURSTS)].reset_index(drop=True)
    bursts = cases_of.assign(process=0, burst=[*range(N_BURSTS)] * len(cases), seconds_per_call=seconds)
    return Run(records=records, machine=machine, bursts=bursts, saved_as=str(about["saved_as"]))


RUN_ID = "20261127T101500.000Z"
ASKED = "--op relu sigmoid --size 1000 30000 --mode forward --backend numpy --benchmark-save=run"


def cut_short(results: Path) -> Path:
    """Write the journal of a run of four groups that ended while it measured the third; return its path."""
    *over, under_way = planned_cases("relu", "sigmoid")[:3]
    about: dict[str, object] = {"run_id": RUN_ID, "saved_as": "run", "warning": None}
    machine = {"machine_id": made_up.MACHINE, "threads": 2}
    opening = {"type": "run", "schema": SCHEMA, "run_id": RUN_ID, "saved_as": "run", "machine": machine}
    lines: list[dict[str, object]] = [
        opening | {"command": f"pytest benchmarks {ASKED}", "seed": 0, "precision": 0.02},
        {"type": "plan", **planned.line_of(planned.plan_of(planned_cases("relu", "sigmoid"), {}))},
    ]
    for case in over:
        measured, _ = made_up.case(case.op, case.n_elements, case.backend, 1.0, about)
        lines += [{"type": "begin", "cases": [str(case)]}, {"type": "group", "cases": [measured], "pairs": []}]
    lines.append({"type": "begin", "cases": [str(under_way)]})
    lines.append({"type": "stop", "time_s": {"rounds": 9.0}, "elapsed_s": 26.0, "reference_s": 7e-5})
    path = results / "runs" / "journals" / f"{RUN_ID}.jsonl"
    path.parent.mkdir(parents=True)
    with path.open("w", encoding="utf-8") as file:
        for line in lines:
            write_journal_line(file, line)
    return path


def planned_cases(*ops: str) -> list[Case]:
    """Return the cases that this run is to measure of these ops."""
    return [Case(op, "forward", "float32", (n,), "numpy", "cpu") for op in ops for n in (1_000, 30_000)]
