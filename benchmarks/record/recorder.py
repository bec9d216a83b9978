"""The run's journal: every result is on disk before the next group starts, and the report is made from it.

One JSON object a line, its `type` first: `run` (machine and command), `bandwidth`, `cost`, `accuracy`, `curve`,
`case`, `bursts`, `rounds`, `warning`, `end` and `regressed`. A run that is killed loses nothing it measured:
`python -m benchmarks report` makes the report from what there is.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pytest_benchmark.utils import get_commit_info

import backends
from backends.catalogue import OPS
from benchmarks.check import oracle
from benchmarks.check.accuracy import Verdict
from benchmarks.machine import doubts, roofline
from benchmarks.machine.bandwidth import Bandwidth
from benchmarks.measure.sampling import Sampling
from benchmarks.plan.cases import Case
from benchmarks.record.run import (
    CURVE_ERROR_COLUMNS,
    ROUND_COLUMNS,
    Run,
    best_samples,
    burst_frame,
    read_journal,
    write_journal_line,
)
from benchmarks.record.schema import ACCURACY_COLUMNS, COST_COLUMNS, to_frame

JOURNALS = "runs/journals"


class Recorder:
    """Appends a run's results to its journal. Opening one fingerprints the machine.

    `precision` is what intervals are to be narrowed to (see `measure.Rule`).
    """

    def __init__(
        self,
        results: Path,
        *,
        saved_as: str,
        command: str,
        threads: int,
        seed: int = 0,
        precision: float | None = None,
    ) -> None:
        now = datetime.now(UTC)
        self._begun = time.monotonic()
        commit = get_commit_info()
        self._run = {
            "run_id": now.strftime("%Y%m%dT%H%M%S.%f")[:-3] + "Z",
            "saved_as": saved_as,
            "git_commit": commit.get("id"),
            "git_dirty": commit.get("dirty"),
        }
        self._machine = doubts.fingerprint(threads)
        self._watch = doubts.Watch()
        self.path = results / JOURNALS / f"{self._run['run_id']}.jsonl"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("a", encoding="utf-8")
        opening = {"command": command, "started": now.isoformat(), "machine": self._machine, "seed": seed}
        self._write("run", self._run | opening | {"precision": precision})
        self._warned: set[str] = set()
        for warning in doubts.warnings(doubts.busy_share(), threads=threads):
            self.warn(warning)
        self.n_cases = 0
        self.n_searched = 0

    def case(self, case: Case, facts: Mapping[str, Any]) -> dict[str, Any]:
        """Write one case's record and return it."""
        spec = OPS[case.op]
        record = {
            **self._run,
            "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine_id": self._machine["machine_id"],
            "kind": spec.kind,
            "variant": case.backend,
            "peer": case.backend in backends.peers(),
            **asdict(case),
            "shape": case.shape_label,
            "n_elements": case.n_elements,
            **facts,
            "device_name": self._machine["cpu"] if case.device == "cpu" else facts.get("device_name", case.device),
        }
        self._write("case", record)
        self.n_cases += 1
        return record

    def accuracy(self, place: Mapping[str, Any], verdict: Verdict) -> None:
        """Write what the correctness suite found about one op, mode, dtype and backend."""
        found = {k: v for k, v in asdict(verdict).items() if k != "max_abs_error"}
        self._write("accuracy", {**place, "kind": OPS[place["op"]].kind, **found})
        self.n_searched += place["sample"] == "searched"

    def curve(self, place: Mapping[str, Any], x: np.ndarray[Any, Any], ulp: np.ndarray[Any, Any]) -> None:
        """Write a backend's errors along a curve: three digits are more than its drawing shows."""
        self._write("curve", {**place, "x": x.tolist(), "ulp": [float(f"{error:.3g}") for error in ulp]})

    def unavailable(self, place: Mapping[str, Any], status: str, reason: str) -> None:
        """Write that an accuracy could not be found out, and why."""
        self._write("accuracy", {**place, "kind": OPS[place["op"]].kind, "status": status, "reason": reason})

    def bandwidth(self, device: str, measured: Bandwidth) -> None:
        """Write the bandwidth of a device, which may be measured again later in the run."""
        self._write("bandwidth", {"device": device, **asdict(measured)})

    def cost(self, cost: Mapping[str, Any]) -> None:
        """Write what a backend costs before it computes."""
        self._write("cost", cost)

    def bursts(self, case: Case, sampling: Sampling) -> None:
        """Write the median of each burst of a case: what a comparison with another run rests on."""
        self._write("bursts", {**asdict(case), "shape": case.shape_label, "processes": sampling.burst_medians_s})

    def rounds(self, case: Case, sampling: Sampling) -> None:
        """Write every round of a case."""
        self._write("rounds", {**asdict(case), "shape": case.shape_label, **asdict(sampling)})

    def warn(self, text: str) -> None:
        """Write, once, what makes the run doubtful."""
        if text not in self._warned:
            self._warned.add(text)
            self._write("warning", {"text": text})

    def regressed(self, reason: str) -> None:
        """Write that the run failed a comparison, and so is no baseline; also after the journal was closed."""
        with self.path.open("a", encoding="utf-8") as file:
            write_journal_line(file, {"type": "regressed", "reason": reason})

    def end(self, time_s: Mapping[str, float], reference_s: float | None = None) -> None:
        """Write what the run spent its time on, the reference kernel's time, what happened to the machine."""
        for warning in self._watch.finish():
            self.warn(warning)
        elapsed_s = time.monotonic() - self._begun
        self._write("end", {"time_s": time_s, "elapsed_s": elapsed_s, "reference_s": reference_s})

    def close(self) -> None:
        """Close the journal."""
        self._file.close()

    def _write(self, kind: str, facts: Mapping[str, Any]) -> None:
        write_journal_line(self._file, {"type": kind, **facts})


def load_run(journal: Path) -> Run:
    """Read a journal, complete or cut short, as one run; raise ValueError if it lacks its first line."""
    by_type: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in read_journal(journal):
        by_type[str(line.pop("type", ""))].append(line)
    if not by_type["run"]:
        raise ValueError(f"journal: {journal} does not begin with a run; is it one of `results/{JOURNALS}`?")
    run = by_type["run"][0]
    measured = _bandwidth(by_type["bandwidth"])
    end = by_type["end"][-1] if by_type["end"] else {}
    records = to_frame(by_type["case"])
    # By what was measured at both ends of the run; a case's own line knows the beginning alone.
    records["fraction_of_bandwidth"] = roofline.fractions(records, measured)
    return Run(
        records=records,
        accuracy=best_samples(to_frame(by_type["accuracy"], ACCURACY_COLUMNS)),
        machine=run["machine"],
        bandwidth=measured,
        curves=gallery(),
        curve_errors=_curve_errors(by_type["curve"]),
        costs=to_frame(by_type["cost"], COST_COLUMNS),
        bursts=burst_frame((line, line["processes"]) for line in by_type["bursts"]),
        rounds=_rounds(by_type["rounds"]),
        command=run["command"],
        saved_as=run["saved_as"],
        warnings=(*(line["text"] for line in by_type["warning"]), *roofline.doubts(measured)),
        seed=run["seed"],
        time_s=end.get("time_s", {}),
        elapsed_s=end.get("elapsed_s"),
        precision=run.get("precision"),
        reference_s=end.get("reference_s"),
        run_id=run["run_id"],
        complete=bool(end),
        regression="; ".join(line["reason"] for line in by_type["regressed"]),
    )


def _bandwidth(lines: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    devices = dict.fromkeys(line["device"] for line in lines)
    frames = [roofline.settle([line for line in lines if line["device"] == device]) for device in devices]
    return pd.concat(frames, ignore_index=True) if frames else Run().bandwidth


def _rounds(lines: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    rows = [
        {name: line[name] for name in ROUND_COLUMNS if name in line and name != "iterations"}
        | {"process": i, "burst": j, "round": k, "iterations": n, "seconds_per_call": seconds / n}
        for line in lines
        for i, (bursts, n) in enumerate(zip(line["processes"], line["iterations"], strict=True))
        for j, burst in enumerate(bursts)
        for k, seconds in enumerate(burst)
    ]
    return pd.DataFrame(rows, columns=list(ROUND_COLUMNS))


def _curve_errors(lines: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    names = [name for name in CURVE_ERROR_COLUMNS if name not in {"x", "ulp"}]
    rows = [
        {name: line[name] for name in names} | {"x": float(x), "ulp": float(ulp)}
        for line in lines
        for x, ulp in zip(line["x"], line["ulp"], strict=True)
    ]
    return pd.DataFrame(rows, columns=list(CURVE_ERROR_COLUMNS))


@cache
def gallery() -> pd.DataFrame:
    """Return each elementwise activation and its derivative over the course notes' x."""
    x = oracle.COURSE_NOTES_X
    frames = []
    for name, spec in OPS.items():
        if spec.derivative is not None:
            y, slope = oracle.curve(name, x)
            frames.append(pd.DataFrame({"op": name, "x": x, "y": y, "derivative": slope}))
    return pd.concat(frames, ignore_index=True)
