"""Progress: which case runs, how far the run is, and the time left.

On a terminal one line that is redrawn (Rich); elsewhere a plain line now and then.
"""

from __future__ import annotations

import sys
import time
from datetime import timedelta

import pytest
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

EVERY_S = 15.0
"""Seconds between plain lines."""


class Progress:
    """pytest plugin that shows the progress of the tests under `benchmarks/`; other tests keep pytest's own."""

    def __init__(self, config: pytest.Config) -> None:
        self._quiet = config.option.verbose != 0 or config.option.collectonly
        self._total = 0
        self._done = 0
        self._started = self._last = 0.0
        self._bar: Bar | None = None

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Count what there is to do."""
        self._total = sum(_is_ours(item.nodeid) for item in session.items)
        self._quiet |= self._total == 0 or self._total < len(session.items)
        self._started = self._last = time.monotonic()
        if not self._quiet and sys.stdout.isatty():
            self._bar = Bar(
                TextColumn("{task.description}"),
                BarColumn(bar_width=20),
                MofNCompleteColumn(),
                TimeRemainingColumn(elapsed_when_finished=True),
                console=Console(),
                # pytest captures output while a test runs: draw between tests only, never from a thread.
                auto_refresh=False,
                transient=True,
            )
            self._bar.add_task("", total=self._total)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Say what runs now."""
        if self._quiet:
            return
        name = nodeid.partition("[")[2].rstrip("]") or nodeid.rpartition("::")[2]
        if self._bar:
            self._bar.start()
            self._bar.update(self._bar.task_ids[0], description=name[:60], completed=self._done)
            self._bar.refresh()
        elif self._done and time.monotonic() - self._last >= EVERY_S:
            self._last = time.monotonic()
            left = (self._last - self._started) / self._done * (self._total - self._done)
            print(
                f"{self._done:5d}/{self._total} {name}, about {timedelta(seconds=round(left))} left",
                flush=True,
            )

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """Count."""
        self._done += _is_ours(nodeid)
        if self._bar and self._done == self._total:
            self._bar.stop()

    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """Leave out the dots where the progress line says more; failures and skips keep their letters."""
        if not self._quiet and report.passed and report.when == "call" and _is_ours(report.nodeid):
            return "passed", "", "PASSED"
        return None


def _is_ours(nodeid: str) -> bool:
    return nodeid.startswith("benchmarks/")
