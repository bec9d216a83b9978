"""Progress: what runs now, how far the run is, the time left, and the last results.

A group is the cases that are compared with each other, or what one test function checks of an op. In a terminal
you see a few lines that are redrawn; in a log file, and in continuous integration, one plain line for each group,
and one at least every half a minute.
"""

from __future__ import annotations

import io
import math
import os
import sys
import threading
import time
from collections import defaultdict, deque
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TextIO

import pytest
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from benchmarks import quantities
from benchmarks.machine.host import on_ci
from benchmarks.measure.budget import CLOSING_S
from benchmarks.plugin import expected
from benchmarks.plugin.pace import Pace
from benchmarks.plugin.suites import budget_s, case_of, is_timed, params_of
from benchmarks.report.terminal.console import open_console
from benchmarks.report.terminal.glyphs import spelled

QUIET_S = 30.0
"""A log gets a line at least every 30 s."""
N_LAST = 3
"""The last 3 results stay in view."""
BAR_WIDTH = 20
"""Columns of the bar, if there is room."""

Status = tuple[str, str, str | tuple[str, Mapping[str, bool]]]
"""A test's category, and the letter and the word that pytest prints."""


class Display(Protocol):
    """Where progress is shown."""

    def begins(self, line: str) -> None:
        """Show what is going to be done."""

    def now(self, group: str) -> None:
        """Show that a test of `group` begins."""

    def ended(self, line: str) -> None:
        """Show what came out of a group."""

    def stop(self) -> None:
        """Leave the terminal to others."""


def begin(session: pytest.Session) -> None:
    """Show progress, unless other tests run too, or `-q` or `-v` asks for pytest's own output."""
    config, items = session.config, session.items
    if items and config.option.verbose == 0 and all(item.nodeid.startswith("benchmarks/") for item in items):
        config.pluginmanager.register(Progress(config, items), "activation-bench-progress")


class Progress:
    """pytest plugin that shows how far the suites are. It takes itself out when the tests are over."""

    def __init__(self, config: pytest.Config, items: Sequence[pytest.Item]) -> None:
        self._config = config
        self._groups = {item.nodeid: _group(item) for item in items}
        self._results = Results()
        self._pace = pace_of(config, items)
        self._display = open_display(config, self._pace)
        # pytest would write the names of the files in between.
        config.pluginmanager.getplugin("terminalreporter").showfspath = False
        self._display.begins(f"{expected.extent(items)}: {expected.roughly(self._pace.left_s())}")

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Say what runs now, and what came out of the group before."""
        group = self._groups[nodeid]
        if self._results.group != group:
            self._flush()
            self._results = Results(group)
        self._pace.begin(nodeid)
        self._display.now(group)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Keep what a test measured, or how it ended."""
        report = yield
        # A test that is skipped in its set-up was not asked for, as with --benchmark-only.
        if report.when == "call" or report.failed:
            self._results.add(item, report, reached=not (report.skipped and _had_no_time(call)))
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Learn how long the steps of this run take."""
        self._pace.learn(report.nodeid, report.duration, finished=report.when == "teardown")

    @pytest.hookimpl(wrapper=True)
    def pytest_report_teststatus(self) -> Generator[None, Status, Status]:
        """Leave out pytest's letters, where our lines say more; the counts stay."""
        category, _, _ = yield
        return category, "", ""

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Say how the last group ended and show the cursor again, also after an interruption."""
        self._flush()
        self._display.stop()
        self._config.pluginmanager.unregister(self)

    def _flush(self) -> None:
        if self._results.told:
            self._display.ended(str(self._results))


def pace_of(config: pytest.Config, items: Sequence[pytest.Item]) -> Pace:
    """Return how long a run is going to take."""
    option = config.option
    timed_s = 0.0 if option.benchmark_disable else float(option.benchmark_max_time)
    closing_s = CLOSING_S if any(map(is_timed, items)) else 0.0
    return Pace(
        expected.steps(items, timed_s, option.processes), closing_s=closing_s, most_s=budget_s(option) or math.inf
    )


def open_display(config: pytest.Config, pace: Pace) -> Display:
    """Return lines that are redrawn, on a terminal to which nothing else writes; otherwise plain ones."""
    console = open_console(colour=config.get_terminal_writer().hasmarkup)
    alone = config.option.capture != "no" and not config.option.usepdb
    # The logs of continuous integration keep what a terminal would overwrite.
    live = sys.stdout.isatty() and not console.is_dumb_terminal and not on_ci(os.environ)
    return LiveLines(console, pace) if live and alone else PlainLines(console, pace)


@dataclass
class Results:
    """What came out of a group so far: the times by backend, and the backends of other tests by how they ended."""

    group: str = ""
    times_s: dict[str, float] = field(default_factory=dict)
    outcomes: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    @property
    def told(self) -> bool:
        """Whether there is anything to tell."""
        return bool(self.times_s or self.outcomes)

    def add(self, item: pytest.Item, report: pytest.TestReport, *, reached: bool = True) -> None:
        """Add a test's time, or how it ended if it measured none."""
        params = params_of(item)
        device = params.get("device", "cpu")
        member = params.get("backend", "") + (f" on {device}" if device != "cpu" else "")
        benchmark = getattr(item, "funcargs", {}).get("benchmark")
        median_s = benchmark.extra_info.get("median_s") if benchmark and report.passed else None
        if median_s:
            self.times_s[member] = median_s
        else:
            skipped = "unavailable" if reached else "not reached"
            outcome = skipped if report.skipped else report.outcome
            self.outcomes["xfailed" if hasattr(report, "wasxfail") else outcome].append(member)

    def __str__(self) -> str:
        ranked = sorted(self.times_s, key=lambda name: self.times_s[name])
        parts = [f"{name} {quantities.seconds(self.times_s[name])}" for name in ranked]
        for outcome, members in self.outcomes.items():
            distinct = list(dict.fromkeys(filter(None, members)))
            whose = f" ({', '.join(distinct)})" if outcome != "passed" and distinct else ""
            parts.append(f"{len(members)} {outcome}{whose}")
        return f"{self.group}: {', '.join(parts)}"


class PlainLines:
    """A line for each group, and one where a group takes long. Nothing is redrawn, so that logs stay readable.

    pytest captures output while a test runs. A thread says then, through a handle of its own on the log, that the
    run goes on: a line in half a minute takes no time from the kernels, which run in other processes.
    """

    def __init__(self, console: Console, pace: Pace) -> None:
        self._encoding, self._pace = console.encoding, pace
        own = _own_handle(console.file)
        self._stream = own or console.file
        self._group, self._last = "", time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._go_on, daemon=True) if own else None
        if self._thread:
            self._thread.start()

    def begins(self, line: str) -> None:
        """Print what is going to be done."""
        self._print(line)

    def now(self, group: str) -> None:
        """Print nothing before there is a result."""
        self._group = group

    def ended(self, line: str) -> None:
        """Print what came out."""
        pace = self._pace
        self._print(f"{100 * pace.done:3.0f} %  {pace.elapsed()}, {pace.left()}  {line}")

    def stop(self) -> None:
        """Leave the lines as they are."""
        self._over.set()
        if self._thread:
            self._thread.join(QUIET_S)
            self._stream.close()

    def _go_on(self) -> None:
        """Print, whenever nothing was printed for a while, what runs."""
        while not self._over.wait(max(0.0, self._last + QUIET_S - time.monotonic())):
            if time.monotonic() >= self._last + QUIET_S:
                self.ended(f"{self._group} is under way")

    def _print(self, line: str) -> None:
        self._last = time.monotonic()
        print(spelled(line, self._encoding), file=self._stream, flush=True)


def _own_handle(stream: object) -> TextIO | None:
    """Return another handle on the file behind a stream, which pytest does not redirect; None without a file."""
    if not isinstance(stream, io.TextIOWrapper):
        return None
    try:
        stream.flush()
        return os.fdopen(os.dup(stream.fileno()), "w", encoding=stream.encoding, errors="replace")
    except OSError:
        return None


class LiveLines:
    """The last results, the group that runs, and a bar with the time spent and left, redrawn in place.

    They are drawn between tests, never from a thread: pytest captures output while a test runs, and a thread would
    take time from the kernels. In the end they disappear.
    """

    def __init__(self, console: Console, pace: Pace) -> None:
        self._console, self._pace = console, pace
        self._last: deque[str] = deque(maxlen=N_LAST)
        self._live = Live(
            console=console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
        )

    def begins(self, line: str) -> None:
        """Print what is going to be done."""
        self._console.print(self._line(line))

    def now(self, group: str) -> None:
        """Redraw."""
        self._live.start()
        lines = [self._line(f"  {line}") for line in self._last]
        self._live.update(Group(*lines, self._line(f"> {group}"), self._bar()), refresh=True)

    def ended(self, line: str) -> None:
        """Keep what came out in view."""
        self._last.append(line)

    def stop(self) -> None:
        """Remove the lines and show the cursor again."""
        self._live.stop()

    def _bar(self) -> Table:
        """Return how far the run is, in figures and as a bar in the room that they leave."""
        pace = self._pace
        figures = f" {100 * pace.done:.0f} %  {pace.elapsed()} elapsed, {pace.left()}"
        width = max(1, min(BAR_WIDTH, self._console.width - len(figures)))
        line = Table.grid()
        line.add_row(ProgressBar(1.0, pace.done, width), self._line(figures))
        return line

    def _line(self, text: str) -> Text:
        return Text(spelled(text, self._console.encoding), no_wrap=True, overflow="crop")


def _had_no_time(call: pytest.CallInfo[None]) -> bool:
    """Tell whether a test was skipped because the run's time is used up."""
    from benchmarks.measure.harness import NotReached  # late: what is skipped may be all that there is

    return call.excinfo is not None and isinstance(call.excinfo.value, NotReached)


def _group(item: pytest.Item) -> str:
    """Return the name of a test's group: that of the cases compared with it, or the op and what is checked."""
    if case := case_of(item):
        return case.group
    function = getattr(item, "originalname", item.name).removeprefix("test_").replace("_", " ")
    return ", ".join(filter(None, [params_of(item).get("op", ""), function]))
