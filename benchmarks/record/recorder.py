"""The recorder: writes what a run finds out to its journal, as it finds it out."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from pytest_benchmark.utils import get_commit_info

from benchmarks.machine import doubts, fingerprint, host
from benchmarks.machine.caveat import Caveat
from benchmarks.machine.limit import Bandwidth
from benchmarks.record import atomic, lock
from benchmarks.record.damage import UnreadableError, content_of, named
from benchmarks.record.journal import JOURNALS, journal_line, run_of, write_journal_line
from benchmarks.record.planned import Plan, line_of
from benchmarks.record.run import Run, id_at
from benchmarks.record.schema import (
    DEFAULTS,
    SCHEMA,
    SEARCHED,
    Accuracy,
    Case,
    Check,
    Cost,
    Measured,
    Origin,
    Pair,
    Record,
    Rounds,
    Verdict,
    row,
)
from benchmarks.record.unfinished import Unfinished

Array = np.ndarray[Any, Any]


class Recorder:
    """Appends a run's results to its journal. Opening one fingerprints the machine.

    `precision` is what intervals are to be narrowed to (see `measure.Rule`), `host_name` what the host is to go by
    instead of a hash of its name. With `earlier`, a run that was cut
    short goes on in its journal, under its id. Raises OSError if that journal has changed since it was read.
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
        earlier: Unfinished | None = None,
        host_name: str | None = None,
    ) -> None:
        now = datetime.now(UTC)
        self._begun = time.monotonic()
        commit = get_commit_info()
        self.machine = fingerprint.fingerprint(threads, host.identity(host_name, results))
        self._origin = Origin(
            run_id=earlier.opening["run_id"] if earlier else id_at(now),
            saved_as=saved_as,
            git_commit=commit.get("id"),
            git_dirty=commit.get("dirty"),
            machine_id=self.machine.machine_id,
            host=self.machine.host,
        )
        self._watch = doubts.Watch()
        self.path = earlier.path if earlier else results / JOURNALS / f"{self._origin.run_id}.jsonl"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("a+", encoding="utf-8")
        is_alone = lock.take(self._file)
        if earlier:
            _require_unchanged(self._file, earlier, is_alone=is_alone)
            os.ftruncate(self._file.fileno(), earlier.size)
        self._unwritten: list[Mapping[str, object]] = []
        self._whole: bytes | None = None
        self._written = sha256(content_of(self.path) if earlier else b"")
        self.lost = ""
        opening: dict[str, object] = {"command": command, "started": now.isoformat()}
        if not earlier:
            opening = {
                "schema": SCHEMA,
                **row(self._origin),
                **opening,
                "machine": asdict(self.machine),
                "seed": seed,
                "precision": precision,
                "policies": dict(DEFAULTS),
            }
        self._write("resume" if earlier else "run", opening)
        self._warned: set[Caveat] = set()
        self._drawn: set[str] = set()
        for warning in doubts.warnings(doubts.busy_share(), threads=threads):
            self.warn(warning)
        self.n_cases = len(earlier.cases) if earlier else 0
        self.n_searched = sum(line["sample"] == SEARCHED for line in earlier.accuracy) if earlier else 0

    @property
    def run_id(self) -> str:
        """What the run is known by, whatever it is saved as."""
        return self._origin.run_id

    def intend(self, plan: Plan) -> None:
        """Write what is going to be measured, by which a run that is cut short knows what it lacks."""
        self._write("plan", line_of(plan))

    def begin(self, cases: Sequence[Case]) -> None:
        """Write that cases are about to be measured together: what no `group` follows was cut short."""
        self._write("begin", {"cases": list(map(str, cases))})

    def group(
        self, found: Sequence[Measured], rounds: Sequence[Rounds | None], pairs: Sequence[Pair] = ()
    ) -> list[Record]:
        """Write cases that were measured together, each with what is kept of its rounds, and how they compare.

        Returns their records.
        """
        records = [
            Record(
                origin=self._origin,
                timestamp=datetime.now(UTC).isoformat(timespec="seconds"),
                device_name=self._device_name(each),
                driver=self._driver(each.case),
                measured=each,
            )
            for each in found
        ]
        lines = [row(record) | _kept(record, kept) for record, kept in zip(records, rounds, strict=True)]
        self._write("group", {"cases": lines, "pairs": list(map(row, pairs))})
        self.n_cases += len(records)
        return records

    def accuracy(self, accuracy: Accuracy) -> None:
        """Write what the correctness suite found of one op, mode, dtype and backend, or why it found nothing."""
        self._write("accuracy", row(accuracy))
        self.n_searched += accuracy.sample == SEARCHED and isinstance(accuracy.found, Verdict)

    def function(self, op: str, x: Array, y: Array, derivative: Array) -> None:
        """Write a function and its derivative along a curve that a page may draw, once a run."""
        if op not in self._drawn:
            self._drawn.add(op)
            self._write(
                "function", {"op": op, "x": x.tolist(), "y": y.tolist(), "derivative": derivative.tolist()}
            )

    def curve(self, check: Check, x: Array, ulp: Array) -> None:
        """Write a backend's errors along a curve: three digits are more than its drawing shows."""
        self._write("curve", row(check) | {"x": x.tolist(), "ulp": [float(f"{error:.3g}") for error in ulp]})

    def bandwidth(self, device: str, measured: Bandwidth) -> None:
        """Write the bandwidth of a device, which may be measured again later in the run."""
        self._write("bandwidth", {"device": device, **asdict(measured)})

    def cost(self, cost: Cost) -> None:
        """Write what a backend costs before it computes."""
        self._write("cost", row(cost))

    def warn(self, caveat: Caveat) -> None:
        """Write, once, what makes the run doubtful."""
        if caveat not in self._warned:
            self._warned.add(caveat)
            self._write("warning", asdict(caveat))

    def regressed(self, reason: str) -> None:
        """Write that the run failed a comparison, and so is no baseline; also after the journal was closed."""
        self._append({"type": "regressed", "reason": reason})

    def saved(self) -> None:
        """Write that pytest-benchmark has saved the run; also after the journal was closed."""
        self._append({"type": "saved"})

    def end(
        self,
        time_s: Mapping[str, float],
        reference_s: float | None = None,
        *,
        complete: bool = True,
        saves: bool = False,
    ) -> None:
        """Write what the run spent its time on, the reference kernel's time, what happened to the machine.

        A run that is not `complete` stops here, and does not end. One that pytest-benchmark `saves` is over when
        that is done, too (see `saved`).
        """
        for warning in self._watch.finish():
            self.warn(warning)
        elapsed_s = time.monotonic() - self._begun
        kind = "end" if complete else "stop"
        self._write(
            kind,
            {
                "time_s": time_s,
                "elapsed_s": elapsed_s,
                "reference_s": reference_s,
                **({"saves": True} if complete and saves else {}),
            },
        )

    def close(self) -> None:
        """Close the journal. What a full disk or a deleted folder took from it is written now, or else elsewhere.

        `lost` then says, in one sentence, what is not where it belongs.
        """
        self._settle()
        if self._unwritten or not self.path.exists():
            self._rescue()
        self._file.close()

    def run(self) -> Run:
        """Return the run so far, as its journal has it, or would have it.

        Raises UnreadableError if the journal has another content than was written: a kernel that is measured can
        write there, checksums included. It gets another name, by which nobody takes it for that of a run.
        """
        content = content_of(self.path) if self._whole is None else self._whole
        if sha256(content).digest() != self._written.digest():
            changed = self.path.rename(self.path.with_suffix(".changed"))
            reason = "was changed by another program while this run wrote it"
            raise UnreadableError(changed, "", reason, "measure again, without backends that you do not trust")
        return run_of(content, self.path)

    def _device_name(self, measured: Measured) -> str:
        if measured.case.device == "cpu":
            return self.machine.cpu
        return (measured.worker and measured.worker.device_name) or measured.case.device

    def _driver(self, case: Case) -> str | None:
        gpus = self.machine.gpus
        return gpus[0].driver if gpus and case.device != "cpu" else None

    def _write(self, kind: str, facts: Mapping[str, object]) -> None:
        """Write a line; where the disk is full, keep it until the next one, and go on measuring."""
        self._unwritten.append({"type": kind, **facts})
        self._settle()

    def _append(self, record: Mapping[str, object]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            self._written.update(write_journal_line(file, record))

    def _settle(self) -> None:
        while self._unwritten:
            record = self._unwritten.pop(0)
            try:
                self._written.update(write_journal_line(self._file, record))
            except OSError:
                self._unwritten.insert(0, record)
                return

    def _rescue(self) -> None:
        """Write the whole journal where it was, or else among temporary files."""
        self._file.seek(0)  # still there where the file was deleted
        whole = self._file.read().encode()
        for record in self._unwritten:
            line = journal_line(record, len(whole))
            self._written.update(line)
            whole += line
        self._whole = whole
        self.lost = f"{self.path} could not be written: it has no more than the beginning of this run"
        elsewhere = Path(tempfile.gettempdir()) / self.path.name
        for path, lost in (
            (self.path, ""),
            (elsewhere, f"{self.path} could not be written: the journal is {elsewhere}"),
        ):
            with suppress(OSError):
                path.parent.mkdir(parents=True, exist_ok=True)
                atomic.replace(path, whole)
                self.path, self.lost = path, lost
                return


def _require_unchanged(file: TextIO, earlier: Unfinished, *, is_alone: bool) -> None:
    """Raise OSError if a journal is not what was read of it: another process goes on with the run, too."""
    if not is_alone or os.fstat(file.fileno()).st_size != earlier.length:
        file.close()
        raise OSError(f"{named(earlier.path)}: is being measured by another process")


def _kept(record: Record, rounds: Rounds | None) -> dict[str, object]:
    """Return what is kept of the rounds of a case: of one without a result, only what was asked for."""
    if rounds is None:
        return {}
    bursts = {"bursts_s": rounds.bursts_s} if record.measured.ending.status == "ok" else {}
    every = {"every_round": rounds.processes, "every_iterations": rounds.iterations} if rounds.processes else {}
    return {**bursts, **every}
