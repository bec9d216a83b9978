"""The closing lines at the terminal: what they say, in how many lines, and in which signs."""

from __future__ import annotations

import dataclasses
import io
import itertools
import re
from functools import cache
from pathlib import Path

import pytest
from rich.console import Console

from backends.catalogue import OPS
from benchmarks.analysis.study import Study
from benchmarks.machine.caveat import Caveat
from benchmarks.record.frames import to_frame
from benchmarks.record.run import Run
from benchmarks.record.schema import ACCURACY_COLUMNS, PAIR_COLUMNS
from benchmarks.report.table import Table, texts
from benchmarks.report.terminal.console import open_console
from benchmarks.report.terminal.glyphs import spelled
from benchmarks.report.terminal.summary import MOST_LINES, render_summary
from benchmarks.report.terminal.table import grid
from tests import synthetic
from tests.synthetic import failure, record

study_of = cache(Study)
"""The study of a run, whose tables are computed for the first of the widths it is shown in."""


def shown(run: Run, width: int = 160, encoding: str = "utf-8") -> str:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="")
    render_summary(study_of(run), Path("results/latest/report.html").absolute(), Console(file=stream, width=width))
    stream.seek(0)
    return stream.read()


@cache
def few(*ops: str) -> Run:
    """Return the made-up run of a few ops, without troubles of the run as a whole."""
    records = synthetic.single_policy()
    records = records[records["op"].isin(ops) & (records["backend"] != "torch-compile")]
    return Run(records=records, elapsed_s=171.0, precision=0.02)


def times(backend: str, seconds: float, half_width: float = 0.01, **more: object) -> dict[str, object]:
    interval = {"ci95_low_s": seconds * (1 - half_width), "ci95_high_s": seconds * (1 + half_width)}
    return record(backend, **{"median_s": seconds, **interval, **more})


made_up = cache(synthetic.run)


def quick_records() -> list[dict[str, object]]:
    """Return what the quick preset measures where nothing goes wrong."""
    cases = itertools.product(synthetic.OPS, synthetic.MODES, synthetic.SIZES, synthetic.VERSIONS)
    return [record(backend, op, mode, n) for op, mode, n, backend in cases]


@cache
def standard_run() -> Run:
    """Return a run with as many ops as that of `--preset standard`, and at its three smallest sizes."""
    sizes = (1, *synthetic.SIZES[:2])
    cases = itertools.product(OPS, synthetic.MODES, sizes, ("numpy", "numba", "torch"))
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
    *lines, report, question = shown(made_up(), width, encoding).splitlines()
    text = "\n".join(lines)
    assert max(map(len, lines)) <= width
    assert "\x1b" not in text
    assert not re.search(r"\S\?|\?\S", text), "only the mark of what is too close to call"
    assert report == "Report: results/latest/report.html"
    assert question == "Ask:    python -m benchmarks recommend --op step --size 8388608"
    assert "From 32,768" in text


@cache
def loud_run() -> Run:
    """Return a run with more failures, gaps and warnings than anyone reads."""
    lost = [failure("torch", "failed", f"reason {i} " + 30 * "and more ", op=f"op{i}") for i in range(99)]
    gaps = [failure("jax", "unavailable", f"reason {i} " + 30 * "and more ", op=f"op{i}") for i in range(99)]
    warned = [times("numpy", 1e-6, op=f"op{i}", warning="letters " * i) for i in range(99)]
    hostile = to_frame([*synthetic.records(), *lost, *gaps, *warned])
    return synthetic.run(records=hostile, warnings=(Caveat("Too much at once. " * 9),) * 9)


@pytest.mark.parametrize("width", [80, 160])
def test_it_is_never_a_wall(width: int) -> None:
    for run in (made_up(), standard_run()):
        assert len(shown(run, width).splitlines()) <= MOST_LINES
    assert len(shown(loud_run(), width).splitlines()) <= 2 * MOST_LINES


def test_the_quick_preset_is_told_in_about_25_lines_with_a_row_for_each_op_and_mode() -> None:
    text = shown(few(*synthetic.OPS), 80)
    assert text.startswith("Fastest at 8,388,608 elements (float32, cpu). = equal, ? too close.\n")
    assert re.search(
        r"\nsigmoid +forward +torch +8.28 ms +1.5× numba-parallel *\n +backward +torch +11.0 ms", text
    )
    quiet = Run(records=to_frame(quick_records()), elapsed_s=120.0, machine={"threads": 2})
    assert len(shown(quiet, 80).splitlines()) <= MOST_LINES + 1
    assert "(float32, cpu, 2 threads)" in shown(quiet, 80)


def test_wide_terminals_show_the_modes_side_by_side() -> None:
    text = shown(few(*synthetic.OPS), 130)
    assert re.search(r"\nop +forward +time +lead over +backward +time +lead over *\n", text)
    assert re.search(r"\nsigmoid +torch +8.28 ms +1.5× numba-parallel +torch +11.0 ms +1.5× numba-parallel", text)


def test_who_shares_a_lead_is_named_and_those_behind_are_what_it_is_ahead_of() -> None:
    text = shown(few("step", "relu"), 130)
    assert re.search(r"8,388,608 +torch = numba-parallel +1.57 ms +1.5× jax", text)
    assert re.search(r"8,388,608 +numba-parallel \? torch +1.59 ms +1.5× jax", text)
    assert "= equal, ? too close" in text


def test_a_sentence_says_who_leads_at_which_sizes() -> None:
    text = " ".join(shown(few(*synthetic.OPS), 80).split())
    told = "From 32,768 elements on torch is fastest in 25 of 36 groups; at 1,024 numba in 10 of 12"
    assert f"{told} (numba and numba-parallel: this project's kernels)." in text


def test_equals_who_lead_together_are_named_and_counted_together() -> None:
    alike = {"relu": ("numba", "numba-parallel"), "tanh": ("numba-parallel", "numba")}
    rows = [
        times(name, seconds, 0.01, op=op)
        for op, (first, second) in alike.items()
        for name, seconds in ((first, 1e-5), (second, 1.001e-5), ("numpy", 3e-5))
    ]
    text = " ".join(shown(Run(records=to_frame(rows))).split())
    assert "numba = numba-parallel (equal) are fastest in 2 of 2 groups" in text


def test_of_one_group_that_is_too_close_none_is_surely_the_fastest() -> None:
    alike = to_frame(times(name, 1e-6, 0.5) for name in ("numpy", "torch"))
    assert "At 1,024 elements none is surely the fastest.\n" in shown(Run(records=alike))
    single = to_frame(times(name, 1e-6, 0.5, n=1) for name in ("numpy", "torch"))
    assert "At 1 element none is surely the fastest.\n" in shown(Run(records=single))


def test_confidence_says_what_was_decided_and_what_to_do() -> None:
    alike = [times(name, 1e-6, 0.5, op=op) for op in "abcdefgh" for name in ("numpy", "torch")]
    apart = [times(name, s, op=f"x{i}") for i in range(8) for name, s in (("numpy", 1e-6), ("torch", 3e-6))]
    one_in_nine = to_frame([*alike[:2], *apart])
    assert "Confidence: fair: 8 of 9 groups decided in the time they had." in shown(Run(records=one_in_nine))
    assert "Confidence: good: 8 of 8 groups decided.\n" in shown(Run(records=to_frame(apart)))
    half = to_frame([*alike, *apart])
    assert "Confidence: LOW: only 8 of 16 groups decided in the time they had. More time" in shown(
        Run(records=half)
    )
    assert "LOW: none of 8 groups decided in the time they had. More" in shown(Run(records=to_frame(alike)))
    assert "LOW: the one group was not decided in its time. More" in shown(Run(records=to_frame(alike[:2])))
    assert "good: the one group was decided.\n" in shown(Run(records=to_frame(apart[:2])))
    load = Caveat("Other programs used 64 % of the processors during the run: times are doubtful.", "load")
    text = shown(Run(records=to_frame(apart), warnings=(load, *map(Caveat, ("One.", "Two.", "Three.")))))
    told = "LOW: 8 of 8 groups decided; other programs used 64 % of the processors during the run. Repeat on an"
    assert told in text
    assert "Warning: Two.\n  and 1 more warning: see the report\n" in text
    assert "Warning: Other" not in text, "once is enough"


def test_a_budget_that_ended_first_is_told_with_the_one_budget_to_try_next() -> None:
    apart = [times(name, s, op=f"x{i}") for i in range(8) for name, s in (("numpy", 1e-6), ("torch", 3e-6))]
    alike = [times(name, 1e-6, 0.5, op=op) for op in "ab" for name in ("numpy", "torch")]
    ended = (Caveat("The time budget of 5 min ended the run before 2 of 10 groups.", "budget"),)
    missed = {"elapsed_s": 300.0, "n_groups": 10, "unmeasured": ("relu-0", "relu-1"), "warnings": ended}
    text = shown(Run(records=to_frame(apart), **missed), 160)
    told = "Confidence: fair: 8 of 8 groups decided; 2 of 10 groups had no time left."
    assert f"{told} More time reaches every group: --time-budget 7min.\n" in text
    assert "Warning" not in text, "once is enough"
    text = shown(Run(records=to_frame([*apart, *alike]), **{**missed, "n_groups": 12}), 160)
    assert "More time decides more and reaches every group: --time-budget 15min." in " ".join(text.split())
    assert text.count("--time-budget") == 1


def run_of(**slower_s: float) -> Run:
    """Return a run of two backends: one takes 1 us in each of 20 turns, the other so long for each op."""
    rows, pairs = [], []
    for op, seconds in slower_s.items():
        taken = {name: [s + i * 1e-11 for i in range(20)] for name, s in (("numpy", 1e-6), ("torch", seconds))}
        rows += [times(name, turns[10], op=op) for name, turns in taken.items()]
        pairs += synthetic.pairs_of(rows[-1], taken)
    return Run(records=to_frame(rows), pairs=to_frame(pairs, PAIR_COLUMNS))


def test_where_more_time_says_no_more_the_remedy_is_more_processes() -> None:
    text = shown(run_of(sigmoid=3e-6, tanh=1.15e-6))
    told = (
        "LOW: only 1 of 2 groups decided in the time they had. In 1 group of short calls, only more processes can"
    )
    assert f"{told} tell: --processes 3. " in " ".join(text.split()), "more time would not help"
    assert "--processes" not in shown(run_of(sigmoid=3e-6, relu=1e-6))


def test_a_run_that_was_cut_short_says_how_much_it_did_not_reach() -> None:
    stream = io.StringIO()
    run = Run(records=to_frame([times("numpy", 1e-6), times("torch", 1e-6)]), elapsed_s=9.0, complete=False)
    run = dataclasses.replace(run, n_groups=48, unmeasured=tuple(f"relu-{i}" for i in range(47)))
    render_summary(Study(run), None, Console(file=stream, width=160))
    assert (
        "2 cases measured in 9 s (cut short); 47 of 48 groups not measured: relu-0, relu-1 and 45 more.\n"
        in stream.getvalue()
    )


def test_winners_are_told_by_ranges_of_sizes_with_their_lead() -> None:
    text = shown(few("sigmoid", "relu"), 100)
    assert re.search(
        r"sigmoid +forward +1,024 +numba +2.41 µs +1.3× torch +3.7× *\n +from 32,768 +torch +8.28 ms", text
    )
    assert re.search(r"8,388,608 +torch = numba-parallel +1.57 ms +1.5× jax", text)


def test_wider_terminals_show_the_speed_up_too() -> None:
    text = shown(few("sigmoid", "relu"), 120)
    assert re.search(r"numba +2.41 µs +1.3× torch +3.7×", text)


def test_narrow_terminals_get_a_tally_by_size() -> None:
    text = shown(few("sigmoid", "tanh", "relu", "step"), 40)
    assert re.search(r"elements +fastest, in how many ops *\n1,024 +numba 7; too close to", text), text


def test_policies_are_kept_apart() -> None:
    text = shown(made_up(), 200)
    assert re.search(r"sigmoid +fresh +torch ", text)
    assert re.search(r"\n +reuse +", text)


def test_the_question_to_ask_next_is_one_that_the_run_answers() -> None:
    records = [record(backend, mode="backward", dtype="float64", saved="output") for backend in ("numpy", "torch")]
    text = shown(Run(records=to_frame(records), elapsed_s=171.0, precision=0.02), 200)
    assert "recommend --op sigmoid --size 1024 --dtype float64 --mode backward --saved output\n" in text


def test_several_numbers_of_threads_are_told_apart_and_answered() -> None:
    text = shown(synthetic.teams_run(), 200)
    assert "Fastest (forward, float32, cpu)." in text, "no one number of threads holds for all"
    assert re.search(r"sigmoid +1thread +all sizes +torch", text)
    assert re.search(r"\n +2threads +1,024 +numpy", text)
    assert "A second thread, at the largest size: torch 2.0× (pays in 1 of 1 op).\n" in text
    assert "Ask:    python -m benchmarks recommend --op sigmoid --size 1048576 --threads 2\n" in text
    assert "second thread" not in shown(few("sigmoid"), 200)


def test_another_type_and_a_fused_op_are_told_in_a_line_each() -> None:
    ops = ("softmax_cross_entropy_with_integer_labels", "log_softmax", "negative_log_likelihood")
    rows = [times("numpy", 1e-5, op=op, dtype=dtype) for op in ops for dtype in ("float32", "bfloat16")]
    text = shown(Run(records=to_frame(rows)), 400)
    assert (
        "\nbfloat16 instead of float32, at 1,024 elements: the fastest 1.0× as fast (faster in 0 of 3 cases), "
        in text
    )
    assert text.count("Fused it is 2.00 times as fast") == 1
    assert "instead of" not in shown(few("sigmoid"), 400)


def test_a_run_in_which_none_used_more_threads_says_so() -> None:
    rows = [times("numpy", 1e-5, team=team, threads=1) for team in ("1thread", "2threads")]
    assert "No backend used more threads where it was given more.\n" in shown(Run(records=to_frame(rows)))


def test_many_ops_are_counted_and_named_as_far_as_there_is_room() -> None:
    text = shown(standard_run(), 160)
    assert re.search(r"forward +1 +numba 61 \(step, relu, relu6, ", text), text
    assert "At 32,768 elements torch is fastest in 122 of 122 groups; up to 1,024" in text


def test_a_backend_alone_has_times_and_wins_nothing() -> None:
    text = shown(Run(records=to_frame([record("numpy", n=n) for n in (1024, 32_768)])), 80)
    assert re.search(r"sigmoid +1,024 +numpy +\d\.\d\d µs *\n +32,768 +numpy +\d+ µs", text)
    assert not re.search("fastest|lead", text, re.IGNORECASE)


def test_of_surprises_the_worst_is_told_where_it_is_far_behind() -> None:
    rows = [times("numpy", 1e-3, op=op, n=1_000_000) for op in "abcdefg"]
    rows += [times("jax", 1e-3 * (2 + i), op=op, n=1_000_000) for i, op in enumerate("abcdefg")]
    rows += [times(backend, 1e-6, op="small") for backend in ("numpy", "jax")]
    assert "Slower" not in shown(Run(records=to_frame(rows)))
    rows += [times("jax", 0.1, op="a", n=1_000_000), times("jax", 0.09, op="b", n=1_000_000)]
    text = shown(Run(records=to_frame(rows)))
    told = "Slower than expected: jax a at 1,000,000: 100 ms, 100× the 1.00 ms of numpy; 6 more in the report.\n"
    assert told in text


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


def test_every_check_is_counted() -> None:
    checks = synthetic.accuracy()
    checks += [{**checks[0], "status": "unavailable", "reason": "a gap"}] * 3
    text = " ".join(shown(synthetic.run(accuracy=to_frame(checks, ACCURACY_COLUMNS))).split())
    told = "Accuracy: 53 of 63 checks within budget, 1 failed, 6 known deviations, 3 unavailable. "
    assert f"{told}float64, float16 and bfloat16 were not checked: pytest benchmarks --check all. " in text
    checks = [check for check in checks if check["status"] != "failed"]
    text = shown(synthetic.run(accuracy=to_frame(checks, ACCURACY_COLUMNS)))
    told = (
        "Accuracy: all 59 checks within budget, but for 3 of jax and 3 of torch (known deviations), 3 unavailable."
    )
    assert told in text


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
    render_summary(study_of(few("relu")), Path("report.html"), open_console(stream))
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


def test_names_in_narrow_columns_break_after_underscores() -> None:
    table = Table((texts("op", ["mean_squared_error", "relu"]), texts("fastest", ["numba ? numba-parallel"] * 2)))
    console = Console(file=io.StringIO(), width=40)
    console.print(grid(table, wrapped=["op"], least_width=13))
    first, second, third = (line.split() for line in console.file.getvalue().splitlines()[1:])
    assert (first[0], second, third[0]) == ("mean_squared_", ["error"], "relu")
