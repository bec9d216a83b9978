"""The recorder: writes what a run finds out to its journal, as it finds it out."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from pytest_benchmark.utils import get_commit_info

from backends.catalogue import OPS
from benchmarks.machine import doubts, fingerprint
from benchmarks.machine.bandwidth import Bandwidth
from benchmarks.record.journal import JOURNALS, write_journal_line

Array = np.ndarray[Any, Any]


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
        self._machine = fingerprint.fingerprint(threads)
        self._watch = doubts.Watch()
        self.path = results / JOURNALS / f"{self._run['run_id']}.jsonl"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("a", encoding="utf-8")
        opening = {"command": command, "started": now.isoformat(), "machine": self._machine, "seed": seed}
        self._write("run", self._run | opening | {"precision": precision})
        self._warned: set[str] = set()
        self._drawn: set[str] = set()
        for warning in doubts.warnings(doubts.busy_share(), threads=threads):
            self.warn(warning)
        self.n_cases = 0
        self.n_searched = 0

    def case(self, measured: Mapping[str, Any]) -> dict[str, Any]:
        """Write one case's record, `measured` with what identifies the run and its machine; return it."""
        device = measured["device"]
        record = {
            **self._run,
            "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine_id": self._machine["machine_id"],
            **measured,
            "device_name": self._machine["cpu"] if device == "cpu" else measured.get("device_name", device),
        }
        self._write("case", record)
        self.n_cases += 1
        return record

    def accuracy(self, found: Mapping[str, Any]) -> None:
        """Write what the correctness suite found of one op, mode, dtype and backend, or why it found nothing."""
        self._write("accuracy", {"kind": OPS[found["op"]].kind, **found})
        self.n_searched += found["sample"] == "searched" and "max_ulp" in found

    def function(self, op: str, x: Array, y: Array, derivative: Array) -> None:
        """Write a function and its derivative along a curve that a page may draw, once a run."""
        if op not in self._drawn:
            self._drawn.add(op)
            self._write(
                "function", {"op": op, "x": x.tolist(), "y": y.tolist(), "derivative": derivative.tolist()}
            )

    def curve(self, place: Mapping[str, Any], x: Array, ulp: Array) -> None:
        """Write a backend's errors along a curve: three digits are more than its drawing shows."""
        self._write("curve", {**place, "x": x.tolist(), "ulp": [float(f"{error:.3g}") for error in ulp]})

    def bandwidth(self, device: str, measured: Bandwidth) -> None:
        """Write the bandwidth of a device, which may be measured again later in the run."""
        self._write("bandwidth", {"device": device, **asdict(measured)})

    def cost(self, cost: Mapping[str, Any]) -> None:
        """Write what a backend costs before it computes."""
        self._write("cost", cost)

    def bursts(self, case: Mapping[str, Any], medians_s: Sequence[Sequence[float]]) -> None:
        """Write the median of each burst of a case (CASE_KEYS): what a comparison with another run rests on."""
        self._write("bursts", {**case, "processes": medians_s})

    def rounds(self, case: Mapping[str, Any], sampling: Mapping[str, Any]) -> None:
        """Write every round of a case (CASE_KEYS)."""
        self._write("rounds", {**case, **sampling})

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
