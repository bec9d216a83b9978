"""Grounds: what every answer from a run rests on, read from its rows where no frame was made of them.

A study has the same as frames, by the same rules. A command that asks a run one question needs none of those: to
import what makes them would take longer than to answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from benchmarks.analysis import errors, noise, tables
from benchmarks.analysis.entries import entries, parted
from benchmarks.analysis.errors import Erring
from benchmarks.analysis.tables import Lead
from benchmarks.analysis.verdicts import Verdicts
from benchmarks.record.rows import Rows
from benchmarks.record.run import Run

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Result(Erring):
    """A measured row with its error, what its call moves and needs, and the version that was measured."""

    host_to_device_s: float
    device_to_host_s: float
    peak_bytes: float
    bytes_written: float
    allocation: str
    backend_version: str

    @property
    def extra_bytes(self) -> float:
        """What a call takes beyond its inputs and outputs, at its peak; NaN where that was not measured."""
        # What is unknown stays so: of NaN and another number, `max` returns the first.
        return max(self.peak_bytes - self.bytes_written * (self.allocation == "fresh"), 0.0)

    @property
    def transfer_s(self) -> float:
        """Seconds to bring the inputs to the device and the output back; NaN where that was not measured."""
        return 0.0 if self.device == "cpu" else self.host_to_device_s + self.device_to_host_s


@dataclass(frozen=True, eq=False)
class Grounds:
    """A run, its results, and how any two of them compare."""

    run: Run

    @cached_property
    def verdicts(self) -> Verdicts:
        """How any two results compare: every statement about which is faster rests on it."""
        return Verdicts(self.run.at_hand("pairs"))

    @cached_property
    def rows(self) -> Rows | pd.DataFrame:
        """The measured rows."""
        return tables.measured(self.run.at_hand("records"))

    @cached_property
    def erring(self) -> Rows | pd.DataFrame:
        """The measured rows with their errors and budgets."""
        return errors.with_errors(self.rows, self.run.at_hand("accuracy"))

    @cached_property
    def results(self) -> Sequence[Result]:
        """The same as entries."""
        return entries(self.erring, Result)

    @cached_property
    def leads(self) -> Sequence[Lead]:
        """The leader of each case."""
        return list(tables.leads(parted(self.results, lambda row: row.case), self.verdicts).values())

    @cached_property
    def noise(self) -> noise.Noise:
        """How noisy the run was, and what to do about it."""
        return noise.noise(self.run, self.rows, self.leads)
