"""The page's tables: the speed-up map, doubts, costs, memory and policies."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.analysis.study import Study
from benchmarks.record.frames import to_frame
from benchmarks.report import files, views
from benchmarks.report.sections import calling, costs, heatmap, method, threads
from benchmarks.report.sections import results as shown
from benchmarks.report.table import Table
from benchmarks.report.text import markdown
from tests import synthetic
from tests.synthetic import record


def cells(view: views.View, study: Study) -> dict[tuple[str, str, str], heatmap.Tile]:
    """Return the cells of the maps of all modes of a view, by op with mode, size and contestant."""
    found = {}
    for part in views.split(view.rows, ("mode",)):
        facets = {**view.facets, **part.facets}
        table = heatmap.build(replace(part, facets=facets, across_devices=view.across_devices), study)
        columns = [(size, name) for size in table.sizes for name, _ in table.contestants]
        for op, line in table.rows:
            found |= {(f"{op} {part.label}", *column): cell for column, cell in zip(columns, line, strict=True)}
    return found


def first_cells(study: Study) -> dict[tuple[str, str, str], heatmap.Tile]:
    return cells(views.by_device(study.rows)[0], study)


def test_the_map_marks_winners_and_explains_what_is_missing() -> None:
    found = first_cells(synthetic.made_up())
    assert found["sigmoid forward", "32,768", "torch"].mark == "★"
    assert found["sigmoid forward", "32,768", "torch"].text == "8.4×"
    assert found["sigmoid forward", "32,768", "numpy"].text.endswith("µs")
    assert "not registered" in found["step backward", "1,024", "jax"].tip
    assert found["tanh forward", "8,388,608", "torch"].tip.startswith("timed out: torch-cpu gave no answer")
    assert not any(name == "torch-compile" for *_, name in found)
    winners = synthetic.study(synthetic.single_policy()).winners
    assert sum(cell.mark == "★" for cell in found.values()) == (winners["outcome"] == "faster").sum()


def test_a_number_with_a_wide_interval_is_marked_as_uncertain() -> None:
    records = to_frame(
        [
            record("numpy", median_s=1.0, ci95_low_s=0.95, ci95_high_s=1.05),
            record("torch", median_s=0.5, ci95_low_s=0.3, ci95_high_s=0.6),
        ]
    )
    found = first_cells(synthetic.study(records))
    assert found["sigmoid forward", "1,024", "numpy"].text == "1.00 s"
    assert found["sigmoid forward", "1,024", "torch"].text == "~2.0×"


def test_a_doubtful_number_is_marked_and_its_tip_says_why() -> None:
    found = first_cells(synthetic.made_up())
    doubtful = found["relu forward", "1,048,576", "jax"]
    assert doubtful.text.startswith("~")
    assert "doubtful: the machine was 12% slower" in doubtful.tip
    # A doubtful baseline makes every speed-up over it doubtful.
    assert found["tanh forward", "1,024", "torch"].text.startswith("~")
    assert "doubtful: numpy: the machine" in found["tanh forward", "1,024", "torch"].tip
    assert not found["tanh backward", "1,024", "torch"].text.startswith("~")


def test_a_tip_gives_the_interval_of_the_speed_up() -> None:
    records = to_frame(
        [
            record("numpy", median_s=4.0, ci95_low_s=4.0, ci95_high_s=4.0),
            record("torch", median_s=2.0, ci95_low_s=1.0, ci95_high_s=4.0),
        ]
    )
    found = first_cells(synthetic.study(records))
    assert "2.00 times numpy (1.00–4.00)" in found["sigmoid forward", "1,024", "torch"].tip


def test_an_invalid_result_is_listed_among_what_failed_and_in_no_table_of_times() -> None:
    found = first_cells(synthetic.made_up())
    assert found["mean_squared_error forward", "8,388,608", "jax"].tip.startswith("invalid: the result of a round")
    assert "invalid" in [row[0].text for row in shown.problems(synthetic.made_up()).rows]


def test_doubtful_results_are_told_once_each_with_a_typical_number() -> None:
    table = shown.doubts(synthetic.made_up())
    assert [row[0].text for row in table.rows] == [
        "the machine was 8% slower than usual meanwhile",
        "0.31% of the numbers are subnormal",
    ]


def test_policies_stand_side_by_side_with_their_ratio() -> None:
    table = shown.policies(synthetic.made_up())
    assert table.headings[-3:] == ("fresh", "reuse", "× fresh")
    assert [row[-1].text for row in table.rows].count("2.6×") == 6
    assert "~168 µs" in markdown.page(table)
    assert shown.policies(synthetic.study(synthetic.single_policy())).rows == ()


def test_types_and_fused_ops_are_told_on_the_page_and_in_files(tmp_path: Path) -> None:
    ops = ("softmax_cross_entropy_with_integer_labels", "log_softmax", "negative_log_likelihood")
    rows = [record("numpy", op, dtype=dtype) for op in ops for dtype in ("float32", "bfloat16")]
    html = files.write(synthetic.study(to_frame(rows)), tmp_path)["report.html"].read_text(encoding="utf-8")
    assert "<h2>What does another type gain, and cost?</h2>" in html
    assert "<h2>Fused, or one after the other?</h2>" in html
    assert html.count("took no turns together") == 2
    assert {"types.csv", "types.md", "fusions.csv", "fusions.md"} <= {path.name for path in tmp_path.iterdir()}


def test_threads_are_told_on_the_page_and_in_files(tmp_path: Path) -> None:
    study = Study(synthetic.teams_run())
    table = threads.payoffs(study.thread_payoffs)
    assert table.headings == ("op", "mode", "backend", "threads", "more", "pays from", "largest measured")
    assert [cell.text for cell in table.rows[0]] == [
        "sigmoid",
        "forward",
        "torch",
        "1",
        "2",
        "32,768",
        "1,048,576",
    ]
    told = [[cell.text for cell in row] for row in threads.gains(study.thread_gains).rows]
    assert told[0] == ["sigmoid", "forward", "torch", "1,024", "1", "2", "4.00 µs", "16.0 µs", "0.25×"]
    html = files.write(study, tmp_path)["report.html"].read_text(encoding="utf-8")
    assert "<h2>Do more threads pay?</h2>" in html
    assert (
        "torch: a second thread pays from 32,768 elements on in 1 of 1 op. At 1,048,576 elements a call is" in html
    )
    assert (tmp_path / "threads.csv").exists()
    assert "team = 2threads" in html
    assert "may compute with 2 threads" in html


def test_costs_say_when_a_first_call_is_paid_back() -> None:
    frame = to_frame(
        [
            record(name, median_s=median, first_call_s=first)
            for name, median, first in [("numpy", 2.0, 2.0), ("jax", 1.0, 9.5), ("torch", 3.0, 3.0)]
        ]
    )
    cells = {
        row[0].text: [cell.text for cell in row[-3:]]
        for row in costs.first_calls(synthetic.study(frame).first_calls).rows
    }
    assert cells == {
        "numpy": ["", "", ""],
        "jax": ["8 calls", "8", "0 of 1"],
        "torch": ["never", "", "1 of 1"],
    }
    overheads = costs.overheads(synthetic.run().costs)
    assert [cell.text for cell in overheads.rows[0]] == [
        "numpy", "cpu", "110 ms", "30.0 ms", "18.0 ns", "900 ns", "873–936 ns", "relu", "7.20 µs",
    ]  # fmt: skip


def test_memory_is_told_in_multiples_of_the_input() -> None:
    table = costs.memory(synthetic.study(synthetic.single_policy()).peaks)
    multiples = {(row[0].text, row[1].text): [cell.text for cell in row[3:]] for row in table.rows}
    assert multiples["relu", "forward"] == ["32 MiB", "3.0×", "1.0×", "1.0×", "1.2×", "1.0×"]
    assert multiples["mean_squared_error", "forward"][1] == "< 0.01×"


def test_the_method_names_the_checks_that_cases_passed_and_results_those_that_they_lack() -> None:
    passed = {"numpy": "result, new values, clock", "torch": "result, clock", "jax": None}
    records = to_frame([record(name, checks=checks) for name, checks in passed.items()])
    assert method.unchecked(records) == ["", "new values", ""], "older runs do not say what they checked"
    text = "\n".join(method.sentences(synthetic.study(records[:2])))
    assert "Checks that every case passed: result and clock." in text
    assert "Checks that were not made everywhere: new values in 1 of 2." in text
    table = shown.results(synthetic.study(records))
    tips = [cell.tip for column in table.columns if column.heading == "median" for cell in column.cells]
    assert [tip.rpartition("; ")[2] == "not checked: new values" for tip in tips] == [False, True, False]


def test_the_method_names_processes_bursts_turns_stops_and_shares_of_time() -> None:
    text = "\n".join(method.sentences(synthetic.made_up()))
    covered = "covers the turns of that process, not the differences between processes (`--processes N` does)"
    assert covered in text
    assert "Bursts of rounds per case: 8 to 30" in text
    assert "in an order drawn from seed 20260321." in text
    assert re.search(r"precision reached in \d+ and time used up in \d+ of 254 cases", text)
    assert "The run took 58.3 s: rounds 71 %, calibration and warm-up 15 %" in text
    several = method.sentences(synthetic.study(to_frame([record("numpy", processes=3)])))
    assert "measured in 3 processes: its interval covers the differences between them." in several[0]


def test_time_on_the_device_has_a_column_where_there_is_any_and_a_warning_stands_beside_its_time() -> None:
    def table(*rows: dict[str, object]) -> Table:
        return shown.results(synthetic.study(to_frame(rows)))

    assert "on-device part" not in table(record("numpy")).headings
    found = table(record("torch", device_s=1e-6, warning="hot"))
    assert "on-device part" in found.headings
    (median,) = next(column.cells for column in found.columns if column.name == "median")
    assert median.shown.startswith("~")
    assert median.note.endswith("doubtful: hot")


def test_devices_meet_in_a_view_of_their_own() -> None:
    records = to_frame(
        [
            record("numpy", median_s=1.0),
            record("torch", median_s=0.5),
            record("torch", median_s=0.01, device="cuda"),
        ]
    )
    study = synthetic.study(records)
    labels = [view.label for view in views.by_device(study.rows)]
    assert labels == ["float32 on cpu", "float32 on cuda", "float32 on all devices"]
    everywhere = cells(views.by_device(study.rows)[2], study)
    assert everywhere["sigmoid forward", "1,024", "torch on cuda"].text == "100×"


def test_shapes_of_one_size_keep_their_own_columns() -> None:
    records = to_frame([record("numpy", shape=shape) for shape in ("1x1024", "32x32")])
    assert {size for _, size, _ in first_cells(synthetic.study(records))} == {"1x1024", "32x32"}


@pytest.mark.parametrize(("ratio", "shade"), [(1, 0), (16, 1), (1000, 1), (1 / 16, -1), (4, 0.5)])
def test_colours_are_logarithmic_around_one(ratio: float, shade: float) -> None:
    assert heatmap.shade(ratio) == pytest.approx(shade)


def test_the_page_has_the_lines_that_call_each_winner_once() -> None:
    found = calling.calls(synthetic.made_up())
    assert "from activation_bench import backends" in found["step"][0].code
    assert any(each.code.endswith("y = torch.sigmoid(x)") for each in found["sigmoid"])
    for calls in found.values():
        assert len(calls) == len(set(calls))
    several = [record("torch", op="gelu", device="cuda"), record("numba", op="gelu", allocation="reuse")]
    assert {each.told for each in calling.calls(synthetic.study(to_frame(several)))["gelu"]} == {
        "forward: torch on cuda",
        "forward: numba on cpu, reuse",
    }
    assert not calling.calls(synthetic.study(to_frame([record("torch", op="an op of an older version")])))
