"""The run's journal: every result is on disk before the next case starts, and the report is made from it.

One JSON object a line, its `type` first: `run` (machine and command), `bandwidth`, `accuracy`, `case`. A run that
is killed loses nothing it measured: `python -m benchmarks report` makes the report from what there is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pytest_benchmark.utils import get_commit_info

from backends.catalogue import OPS
from benchmarks import machine, oracle
from benchmarks.accuracy import Verdict
from benchmarks.analysis.records import ACCURACY_COLUMNS, to_frame
from benchmarks.analysis.store import Run, best_samples, read_journal, write_journal_line
from benchmarks.bandwidth import Bandwidth
from benchmarks.cases import Case

JOURNALS = "runs/journals"


class Recorder:
    """Appends a run's results to its journal. Opening one fingerprints the machine."""

    def __init__(self, results: Path, *, saved_as: str, command: str, threads: int) -> None:
        now = datetime.now(UTC)
        commit = get_commit_info()
        self._run = {
            "run_id": now.strftime("%Y%m%dT%H%M%S.%f")[:-3] + "Z",
            "saved_as": saved_as,
            "git_commit": commit.get("id"),
            "git_dirty": commit.get("dirty"),
        }
        self.warnings = machine.warnings(machine.busy_share())
        self._machine = machine.fingerprint(threads)
        self.path = results / JOURNALS / f"{self._run['run_id']}.jsonl"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("a", encoding="utf-8")
        opening = {"command": command, "started": now.isoformat(), "machine": self._machine}
        self._write("run", self._run | opening | {"warnings": self.warnings})
        self.n_cases = 0
        self.n_searched = 0

    def case(self, case: Case, facts: Mapping[str, Any]) -> dict[str, Any]:
        """Write one case's record and return it."""
        spec = OPS[case.op]
        record = {
            **self._run,
            "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine_id": self._machine["machine_id"],
            "device_name": self._machine["cpu"] if case.device == "cpu" else case.device,
            "kind": spec.kind,
            "variant": case.backend,
            **asdict(case),
            "shape": case.shape_label,
            "n_elements": case.n_elements,
            **facts,
        }
        self._write("case", record)
        self.n_cases += 1
        return record

    def accuracy(self, place: Mapping[str, Any], verdict: Verdict) -> None:
        """Write what the correctness suite found about one op, mode, dtype and backend."""
        found = {k: v for k, v in asdict(verdict).items() if k != "max_abs_error"}
        self._write("accuracy", {**place, "kind": OPS[place["op"]].kind, **found})
        self.n_searched += place["sample"] == "searched"

    def unavailable(self, place: Mapping[str, Any], status: str, reason: str) -> None:
        """Write that an accuracy could not be found out, and why."""
        self._write("accuracy", {**place, "kind": OPS[place["op"]].kind, "status": status, "reason": reason})

    def bandwidth(self, device: str, measured: Bandwidth) -> None:
        """Write the copy bandwidth of a device."""
        self._write("bandwidth", {"device": device, **asdict(measured)})

    def close(self) -> None:
        """Close the journal."""
        self._file.close()

    def _write(self, kind: str, facts: Mapping[str, Any]) -> None:
        write_journal_line(self._file, {"type": kind, **facts})


def load_run(journal: Path) -> Run:
    """Read a journal, complete or cut short, as one run; raise ValueError if it lacks its first line."""
    by_type: dict[str, list[dict[str, Any]]] = {"run": [], "bandwidth": [], "accuracy": [], "case": []}
    for line in read_journal(journal):
        by_type[str(line.pop("type"))].append(line)
    if not by_type["run"]:
        raise ValueError(f"journal: {journal} does not begin with a run; is it one of `results/{JOURNALS}`?")
    run = by_type["run"][0]
    measured = [pd.DataFrame(line) for line in by_type["bandwidth"]]
    return Run(
        records=to_frame(by_type["case"]),
        accuracy=best_samples(to_frame(by_type["accuracy"], ACCURACY_COLUMNS)),
        machine=run["machine"],
        curves=gallery(),
        command=run["command"],
        saved_as=run["saved_as"],
        warnings=tuple(run["warnings"]),
        **({"bandwidth": pd.concat(measured, ignore_index=True)} if measured else {}),
    )


def gallery() -> pd.DataFrame:
    """Return each elementwise activation and its derivative over [-5, 5), in the course notes' steps of 0.1."""
    x = np.arange(-5.0, 5.0, 0.1)
    frames = []
    for name, spec in OPS.items():
        if spec.derivative is not None:
            y, slope = oracle.curve(name, x)
            frames.append(pd.DataFrame({"op": name, "x": x, "y": y, "derivative": slope}))
    return pd.concat(frames, ignore_index=True)
