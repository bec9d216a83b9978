"""Progress: which case runs, how far the run is, and the time left.

On a terminal one line that is redrawn (Rich); elsewhere a plain line now and then.
"""

from __future__ import annotations

import sys
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import timedelta

import pytest
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar

EVERY_S = 15.0
"""Seconds between plain lines."""
TYPICAL_S = 0.4
"""Seconds of a typical timing case, until there are some to go by."""


class Progress:
    """pytest plugin that shows the progress of the tests under `benchmarks/`; other tests keep pytest's own."""

    def __init__(self, config: pytest.Config) -> None:
        self._quiet = config.option.verbose != 0 or config.option.collectonly
        self._pace = Pace()
        self._last = 0.0
        self._bar: Bar | None = None

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Count what there is to do."""
        suites = [_suite(item.nodeid) for item in session.items if _is_ours(item.nodeid)]
        self._pace = Pace(Counter(suites))
        self._quiet |= not suites or len(suites) < len(session.items)
        self._last = time.monotonic()
        if not self._quiet and sys.stdout.isatty():
            self._bar = Bar(
                TextColumn("{task.description}"),
                BarColumn(bar_width=20),
                MofNCompleteColumn(),
                TextColumn("about {task.fields[left]} left"),
                console=Console(),
                # pytest captures output while a test runs: draw between tests only, never from a thread.
                auto_refresh=False,
                transient=True,
            )
            self._bar.add_task("", total=self._pace.total, left=self._pace.left())

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Say what runs now."""
        if self._quiet:
            return
        name = nodeid.partition("[")[2].rstrip("]") or nodeid.rpartition("::")[2]
        done, total, left = self._pace.done, self._pace.total, self._pace.left()
        if self._bar:
            self._bar.start()
            self._bar.update(self._bar.task_ids[0], description=name[:60], completed=done, left=left)
            self._bar.refresh()
        elif time.monotonic() - self._last >= EVERY_S:
            self._last = time.monotonic()
            print(f"\n{done:5d}/{total} {name}, about {left} left", end="", flush=True)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count, and learn how long a test of this suite takes."""
        if _is_ours(report.nodeid):
            self._pace.learn(_suite(report.nodeid), report.duration, finished=report.when == "teardown")
            if self._bar and self._pace.done == self._pace.total:
                self._bar.stop()

    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """Leave out the dots where the progress line says more; failures and skips keep their letters."""
        if not self._quiet and report.passed and report.when == "call" and _is_ours(report.nodeid):
            return "passed", "", "PASSED"
        return None


class Pace:
    """How many tests are done, and how long the others will take: each suite has a pace of its own."""

    def __init__(self, counts: Mapping[str, int] | None = None) -> None:
        self._counts = dict(counts or {})
        self._done: Counter[str] = Counter()
        self._spent_s: defaultdict[str, float] = defaultdict(float)

    @property
    def total(self) -> int:
        """Number of tests."""
        return sum(self._counts.values())

    @property
    def done(self) -> int:
        """Number of tests that are over."""
        return self._done.total()

    def learn(self, suite: str, seconds: float, *, finished: bool) -> None:
        """Take note of a phase of a test."""
        self._spent_s[suite] += seconds
        self._done[suite] += finished

    def left(self) -> timedelta:
        """Return the time left; a suite that has not begun is taken to be as slow as a typical one."""
        seconds = 0.0
        for suite, count in self._counts.items():
            done = self._done[suite]
            seconds += (count - done) * (self._spent_s[suite] / done if done else TYPICAL_S)
        return timedelta(seconds=round(seconds))


def _suite(nodeid: str) -> str:
    return nodeid.partition("::")[0]


def _is_ours(nodeid: str) -> bool:
    return nodeid.startswith("benchmarks/")
