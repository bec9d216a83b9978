"""Parts: the journals of what each node measures, written by the driver as their lines arrive."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from benchmarks.machine.caveat import Caveat
from benchmarks.record import lock
from benchmarks.record.assembly import Line
from benchmarks.record.journal import write_journal_line
from benchmarks.record.run import id_at

FLEET = "fleet"
"""The type of the line that says how a part came about."""


@dataclass
class Origin:
    """What a node does not know of the run that it takes part in: its command, and the code's revision.

    `ids` are those of the parts so far: two that begin in the same millisecond must not be taken for one.
    """

    command: str
    commit: str | None = None
    dirty: bool | None = None
    ids: set[str] = field(default_factory=set)


@dataclass
class Part:
    """The journal of one node, in a file that begins with its first unit. `facts` is written after its plan."""

    path: Path
    origin: Origin
    facts: Mapping[str, object]
    _file: TextIO | None = None
    _run_id: str = ""
    _warnings: list[str] = field(default_factory=list)
    _has_ended: bool = False

    @property
    def has_begun(self) -> bool:
        """Whether there is anything in it."""
        return self._file is not None

    def add(self, lines: Iterable[bytes], *, cut_short: bool = False) -> None:
        """Write lines of the node's journal. Of a run that is `cut_short`, the end is none."""
        for text in lines:
            line = json.loads(text)
            line.pop("crc32", None)  # it depends on the place
            if cut_short and line["type"] == "end":
                line["type"] = "stop"
            self._write(self._completed(line))
            if line["type"] == "plan":
                self._write({"type": FLEET, **self.facts})
                for warning in self._warnings:
                    self._warn(warning)

    def warn(self, text: str) -> None:
        """Write what makes it doubtful, as soon as there is something in it."""
        self._warnings.append(text)
        if self.has_begun:
            self._warn(text)

    def close(self, *, complete: bool) -> None:
        """Close the file. Where all of the plan is measured, the part of a node that was lost ends, too."""
        if self._file is None:
            return
        if complete and not self._has_ended:
            self._write({"type": "end", "time_s": {}, "elapsed_s": None, "reference_s": None})
        self._file.close()

    def _completed(self, line: Line) -> Line:
        """Return a line with what only the driver knows."""
        origin = self.origin
        if line["type"] == "run":
            self._run_id = self._unique(line["run_id"])
        of_run = {"run_id": self._run_id, "git_commit": origin.commit, "git_dirty": origin.dirty}
        match line["type"]:
            case "run":
                return {**line, **of_run, "command": origin.command}
            case "group":
                return {**line, "cases": [{**case, **of_run} for case in line["cases"]]}
            case "plan":
                code = {"commit": origin.commit or "none", "uncommitted changes": str(bool(origin.dirty))}
                return {**line, "conditions": {**line["conditions"], **code}}
        return line

    def _unique(self, run_id: str) -> str:
        while run_id in self.origin.ids:
            time.sleep(0.001)
            run_id = id_at(datetime.now(UTC))
        self.origin.ids.add(run_id)
        return run_id

    def _warn(self, text: str) -> None:
        self._write({"type": "warning", **asdict(Caveat(text))})

    def _write(self, line: Line) -> None:
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("a+", encoding="utf-8")
            lock.take(self._file)
        self._has_ended |= line["type"] in ("end", "stop")
        write_journal_line(self._file, line)
