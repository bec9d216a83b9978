"""Progress: plain lines or redrawn ones, results by group, and the time left, reckoned suite by suite."""

from __future__ import annotations

import io
import os
import re
import sys
import time
from types import SimpleNamespace

import pytest
from rich.console import Console

from benchmarks.measure.harness import NotReached
from benchmarks.plugin import progress
from benchmarks.plugin.pace import Pace
from benchmarks.plugin.progress import (
    N_LAST,
    LiveLines,
    PlainLines,
    begin,
    on_ci,
    open_display,
)
from benchmarks.record.schema import DEFAULTS


class Terminal(io.StringIO):
    def isatty(self):
        return True


def config(**options):
    option = {
        "verbose": 0, "capture": "fd", "usepdb": False, "benchmark_disable": False, "benchmark_max_time": 0.25,
        "time_budget": 3600.0, "processes": 1, **options,
    }  # fmt: skip
    manager = pytest.PytestPluginManager()
    manager.register(SimpleNamespace(showfspath=True), "terminalreporter")
    return SimpleNamespace(
        option=SimpleNamespace(**option),
        pluginmanager=manager,
        get_terminal_writer=lambda: SimpleNamespace(hasmarkup=False),
    )


def case(backend, device="cpu", median_s=None, size=1000):
    params = {
        "op": "relu", "mode": "forward", "dtype": "float32", "shape": str(size), "backend": backend,
        "device": device, **DEFAULTS,
    }  # fmt: skip
    benchmark = SimpleNamespace(extra_info={"median_s": median_s} if median_s else {})
    return SimpleNamespace(
        nodeid=f"benchmarks/test_timing.py::test_timing[{size}-{backend}-{device}]",
        callspec=SimpleNamespace(params=params),
        funcargs={"benchmark": benchmark},
        get_closest_marker=lambda name: name == "timing",
        name="test_timing",
        originalname="test_timing",
    )


def report(item, outcome="passed", when="call"):
    flags = {flag: outcome == flag for flag in ("passed", "failed", "skipped")}
    return SimpleNamespace(nodeid=item.nodeid, when=when, outcome=outcome, duration=1.0, **flags)


def run(config, tests, error=None):
    """Take progress through tests as pytest would; `tests` are items with their reports, `error` ended each."""
    begin(SimpleNamespace(config=config, items=[item for item, _ in tests]))
    progress = config.pluginmanager.getplugin("activation-bench-progress")
    if progress is None:
        return
    for item, told in tests:
        progress.pytest_runtest_logstart(item.nodeid)
        for each in (told, report(item, when="teardown")):
            call = SimpleNamespace(excinfo=SimpleNamespace(value=error) if error else None)
            hook = progress.pytest_runtest_makereport(item, call)
            next(hook)
            with pytest.raises(StopIteration):
                hook.send(each)
            progress.pytest_runtest_logreport(each)
    progress.pytest_sessionfinish()
    assert not config.pluginmanager.hasplugin("activation-bench-progress"), "pytest's own summary has its words"


def measured():
    items = [case("numpy", median_s=3e-6), case("torch", median_s=1e-6), case("torch", "cuda"), case("jax")]
    outcomes = ["passed", "passed", "failed", "skipped"]
    tests = [(item, report(item, outcome)) for item, outcome in zip(items, outcomes, strict=True)]
    larger = case("numpy", median_s=2e-3, size=10**6)
    return [*tests, (larger, report(larger))]


def test_what_had_no_time_left_is_not_called_unavailable(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    items = [case("numpy"), case("torch")]
    run(config(), [(item, report(item, "skipped")) for item in items], NotReached("in other words"))
    assert stream.getvalue().splitlines()[-1].endswith("relu-forward-float32-1000: 2 not reached (numpy, torch)")


def test_a_group_is_a_line_with_the_fastest_first(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    run(config(), measured())
    before, first, second = stream.getvalue().splitlines()
    assert before == "5 cases in 2 groups: about 10 s"
    told = "torch 1.00 µs, numpy 3.00 µs, 1 failed (torch on cuda), 1 unavailable (jax)"
    line = re.fullmatch(r"  0 %  0:00:\d\d, about 0:00:\d\d left  relu-forward-float32-1000: (.*)", first)
    assert line[1] == told
    assert second.endswith("relu-forward-float32-1000000: numpy 2.00 ms")


def test_lines_are_redrawn_on_a_terminal_and_gone_in_the_end(monkeypatch):
    stream = Terminal()
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("CI", raising=False)
    run(config(), measured())
    text = stream.getvalue()
    assert "> relu-forward-float32-1000000" in text
    assert "5 cases in 2 groups: about 10 s" in text
    assert re.search(r" 0 %  0:00:00 elapsed, about 0:00:\d\d left", text)
    assert text.index("\x1b[?25l") < text.rindex("\x1b[?25h"), "the cursor is shown again"
    assert text.endswith("\x1b[2K"), "the last line is erased"


@pytest.mark.parametrize(
    ("stream", "environment", "options"),
    [
        (io.StringIO, {}, {}),
        (Terminal, {"CI": "true"}, {}),
        (Terminal, {"TERM": "dumb"}, {}),
        (Terminal, {}, {"capture": "no"}),
        (Terminal, {}, {"usepdb": True}),
    ],
)
def test_logs_and_shared_terminals_get_plain_lines(stream, environment, options, monkeypatch):
    for name, value in {"CI": "", "TERM": "xterm", **environment}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stdout", stream())
    assert isinstance(open_display(config(**options), Pace({})), PlainLines)


@pytest.mark.parametrize("options", [{"verbose": -1}, {"verbose": 1}])
def test_quiet_and_verbose_runs_have_pytest_s_own_output_alone(options, monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    run(config(**options), measured())
    assert not stream.getvalue()


def test_other_tests_keep_pytest_s_own(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    other = SimpleNamespace(nodeid="tests/test_x.py::test_y")
    run(config(), [*measured(), (other, report(other))])
    assert not stream.getvalue()


def test_a_stream_without_the_signs_gets_others():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    PlainLines(Console(file=stream), Pace({})).ended("relu: numpy 1.20 µs")
    live = LiveLines(Console(file=stream, force_terminal=True, width=40), Pace({}))
    for i in range(N_LAST + 1):
        live.ended(f"relu {i}: numpy 1.20 µs")
    live.now("tanh")
    live.stop()
    stream.seek(0)
    text = stream.read()
    assert "relu: numpy 1.20 us" in text
    assert "relu 1: numpy 1.20 us" in text
    assert "relu 0" not in text, "the last few alone stay in view"


def test_a_log_says_within_a_long_group_that_the_run_goes_on(monkeypatch, tmp_path):
    """Also while pytest captures what the process writes to its standard output."""
    monkeypatch.setattr(progress, "QUIET_S", 0.05)
    with (tmp_path / "log").open("w", encoding="utf-8") as log:
        lines = PlainLines(Console(file=log), Pace({}))
        lines.now("relu-forward-float32-1000")
        os.dup2(os.open(os.devnull, os.O_WRONLY), log.fileno())  # what capturing does
        deadline = time.monotonic() + 20
        while "under way" not in (tmp_path / "log").read_text() and time.monotonic() < deadline:
            time.sleep(0.01)
        lines.stop()
    assert "relu-forward-float32-1000 is under way\n" in (tmp_path / "log").read_text()


def test_continuous_integration_is_told_by_its_variable():
    assert on_ci({"CI": "true"})
    assert on_ci({"CI": "1"})
    assert not on_ci({"CI": "false"})
    assert not on_ci({})
