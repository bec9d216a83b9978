"""The closing lines at the terminal: what they say, in how many lines, and in which signs."""

from __future__ import annotations

import io
import itertools
import re
from functools import cache
from pathlib import Path

import pytest
from rich.console import Console

from backends.catalogue import OPS
from benchmarks.analysis.study import Study
from benchmarks.record.frames import to_frame
from benchmarks.record.run import Run
from benchmarks.record.schema import ACCURACY_COLUMNS
from benchmarks.report.terminal.console import open_console
from benchmarks.report.terminal.glyphs import spelled
from benchmarks.report.terminal.summary import MOST_LINES, render_summary
from tests import synthetic
from tests.synthetic import failure, record


def shown(run: Run, width: int = 160, encoding: str = "utf-8") -> str:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="")
    render_summary(Study(run), Path("results/latest/report.html").absolute(), Console(file=stream, width=width))
    stream.seek(0)
    return stream.read()


def few(*ops: str) -> Run:
    """Return the made-up run of a few ops, without troubles of the run as a whole."""
    records = synthetic.single_policy()
    records = records[records["op"].isin(ops) & (records["backend"] != "torch-compile")]
    return Run(records=records, elapsed_s=171.0, precision=0.02)


def times(backend: str, seconds: float, half_width: float = 0.01, **more: object) -> dict[str, object]:
    interval = {"ci95_low_s": seconds * (1 - half_width), "ci95_high_s": seconds * (1 + half_width)}
    return record(backend, **{"median_s": seconds, **interval, **more})


made_up = cache(synthetic.run)


@cache
def standard_run() -> Run:
    """Return a run with as many ops and sizes as that of `--preset standard`."""
    cases = itertools.product(OPS, synthetic.MODES, (1, *synthetic.SIZES), ("numpy", "numba", "torch"))
    return synthetic.run(records=to_frame(record(backend, op, mode, n) for op, mode, n, backend in cases))


@pytest.mark.parametrize(
    ("width", "encoding"),
    [
        (40, "utf-8"),
        (40, "ascii"),
        (60, "latin-1"),
        (80, "utf-8"),
        (80, "ascii"),
        (120, "latin-1"),
        (200, "utf-8"),
    ],
)
def test_it_fits_its_width_in_signs_that_the_stream_has(width: int, encoding: str) -> None:
    text = shown(made_up(), width, encoding)
    assert max(map(len, text.splitlines())) <= width
    assert "\x1b" not in text
    assert "?" not in text
    assert text.endswith("Report: results/latest/report.html\n")
    assert "8,388,608" in text


@pytest.mark.parametrize("width", [80, 160])
def test_it_is_never_a_wall(width: int) -> None:
    lost = [failure("torch", "failed", f"reason {i} " + 30 * "and more ", op=f"op{i}") for i in range(99)]
    gaps = [failure("jax", "unavailable", f"reason {i} " + 30 * "and more ", op=f"op{i}") for i in range(99)]
    warned = [times("numpy", 1e-6, op=f"op{i}", warning="letters " * i) for i in range(99)]
    hostile = to_frame([*synthetic.records(), *lost, *gaps, *warned])
    loud = synthetic.run(records=hostile, warnings=("Too much at once. " * 9,) * 9)
    for run in (made_up(), standard_run(), loud):
        assert len(shown(run, width).splitlines()) <= MOST_LINES


def test_winners_are_told_by_ranges_of_sizes_with_their_lead() -> None:
    text = shown(few("sigmoid", "relu"), 80)
    assert re.search(
        r"sigmoid +forward +1,024 +numba +2.41 µs +1.26× *\n +from 32,768 +torch +8.28 ms +1.48×", text
    )
    assert re.search(r"from 1,048,576 +torch, numba-parallel +~1.57 ms +tie", text)
    assert "~ means: do not rely on it." in " ".join(text.split())


def test_wider_terminals_show_runner_up_and_speed_up() -> None:
    assert re.search(r"numba +2.41 µs +1.26× +torch +3.7×", shown(few("sigmoid", "relu"), 120))


def test_narrow_terminals_get_a_tally_by_size() -> None:
    text = shown(few("sigmoid"), 40)
    assert re.search(r"elements +fastest, in how many ops\n1,024 +numba 2 *\n", text), text


def test_policies_are_kept_apart() -> None:
    text = shown(made_up(), 200)
    assert re.search(r"forward +fresh +1,024 ", text)
    assert re.search(r"forward +reuse +1,024 ", text)


def test_many_ops_are_counted_and_named_as_far_as_there_is_room() -> None:
    text = shown(standard_run(), 80)
    assert re.search(r"forward +1 +numba 61 \(step, relu, relu6, ", text), text
    assert re.search(r"Of 610 comparable cases \(61 ops\), torch is fastest in \d+", text)


def test_a_backend_alone_has_times_and_wins_nothing() -> None:
    text = shown(Run(records=to_frame([record("numpy", n=n) for n in (1024, 32_768)])), 80)
    assert re.search(r"sigmoid +1,024 +numpy +\d\.\d\d µs *\n +32,768 +numpy +\d+ µs", text)
    assert not re.search("fastest|lead", text, re.IGNORECASE)


def test_surprises_come_worst_first_and_are_at_most_five() -> None:
    rows = [times("numpy", 1e-3, op=op, n=1_000_000) for op in "abcdefg"]
    rows += [times("jax", 1e-3 * (2 + i), op=op, n=1_000_000) for i, op in enumerate("abcdefg")]
    rows += [times(backend, 1e-6, op="small") for backend in ("numpy", "jax")]
    text = shown(Run(records=to_frame(rows)))
    assert "Slower than expected, the worst 5 of 7:" in text
    assert re.findall(r"jax (\w) at", text) == list("gfedc")
    assert "jax g at 1,000,000: 8.00 ms, 8.0× the 1.00 ms of numpy" in text


def test_troubles_are_told_with_reasons_and_counts() -> None:
    text = shown(made_up(), 200)
    assert "jax: 1 case invalid (mean_squared_error): the result of a round" in text
    assert "torch: 1 case timed out (tanh): torch-cpu gave no answer" in text
    assert re.search(
        r"Doubtful: \d results of numpy, jax and torch \(.*\), since the machine was \d+% slower", text
    )
    assert "torch-compile: 6 cases unavailable (step, sigmoid, tanh and 3 more): torch-compile needs" in text
    assert "270 cases, 254 of them measured in 1 min 39 s." in text


def test_reasons_that_differ_in_numbers_or_ops_are_one() -> None:
    rows = [
        failure("numba", "invalid", f"{op} took {i} µs", op=op) for i, op in enumerate(("relu", "tanh", "tanh"))
    ]
    text = shown(Run(records=to_frame([*rows, failure("numba", "invalid", "tanh is wrong", op="tanh")])))
    assert "numba: 3 cases invalid (relu and tanh): for example, relu took 0 µs." in text
    assert "numba: 1 case invalid (tanh): tanh is wrong." in text


def test_unstable_is_what_missed_the_goal() -> None:
    rows = [times("numpy", 1e-6), times("torch", 1e-6, 0.3), times("jax", 1e-6, 0.1)]
    text = shown(Run(records=to_frame(rows), precision=0.02))
    told = (
        "Unstable: 2 of 3 times have a 95 % interval wider than ±2 %; the widest: torch sigmoid forward at 1,024"
    )
    assert f"{told} (±30 %)." in text
    assert "Unstable" not in shown(Run(records=to_frame(rows), precision=0.4))
    assert "Unstable" not in shown(Run(records=to_frame(rows))), "the goal is not known"


def test_every_check_is_counted() -> None:
    checks = synthetic.accuracy()
    checks += [{**checks[0], "status": "unavailable", "reason": "a gap"}] * 3
    text = shown(synthetic.run(accuracy=to_frame(checks, ACCURACY_COLUMNS)))
    assert "Accuracy: 53 of 63 checks within budget, 6 known deviations, 1 failed, 3 unavailable." in text


def test_a_run_without_results_says_so_and_brackets_are_no_markup() -> None:
    text = shown(Run(records=to_frame([failure("jax", "failed", "expected [red]float32[/red]")])))
    assert "[red]float32[/red]" in text
    assert "No case was measured successfully." in text


@pytest.mark.parametrize(
    ("columns", "term"), [("0", "dumb"), ("1", "xterm-256color"), ("40", "dumb"), ("many", ""), ("80", "xterm")]
)
def test_no_terminal_makes_it_fail_and_no_color_is_heeded(
    columns: str, term: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for name, value in {"COLUMNS": columns, "TERM": term, "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    stream = Terminal()
    render_summary(Study(few("relu")), Path("report.html"), open_console(stream))
    assert "report.html" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    coloured = open_console(Terminal()).color_system
    assert bool(coloured) == (term != "dumb")
    assert open_console(io.StringIO()).color_system is None
    assert open_console(Terminal(), colour=False).color_system is None


@pytest.mark.parametrize(
    ("text", "encoding", "expected"),
    [
        ("1.2 µs ± 3 %, 4.0×", "ascii", "1.2 us +- 3 %, 4.0x"),
        ("1.2 µs ± 3 %, 4.0×", "latin-1", "1.2 µs ± 3 %, 4.0×"),
        ("1.23×10⁻⁷ ≤ …", "latin-1", "1.23e-7 ? ..."),
        ("1.2 µs", "no such encoding", "1.2 us"),
    ],
)
def test_signs_are_spelled_where_the_encoding_lacks_them(text: str, encoding: str, expected: str) -> None:
    assert spelled(text, encoding) == expected
