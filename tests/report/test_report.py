"""The reports: files, the page, its charts."""

from __future__ import annotations

import base64
import dataclasses
import gzip
import json
import math
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from benchmarks.analysis.memory import not_kept
from benchmarks.analysis.study import Study
from benchmarks.record.frames import to_frame
from benchmarks.record.run import Run, read_accuracy
from benchmarks.record.schema import ACCURACY_COLUMNS, CASE_KEYS, COLUMNS, COST_COLUMNS
from benchmarks.report import palette
from benchmarks.report.files import write, write_accuracy
from benchmarks.report.pages import charts, report
from benchmarks.report.sections import accuracy, first, method, spread
from benchmarks.report.sections import machine as fingerprint
from benchmarks.report.text import markdown
from tests import pages, synthetic
from tests.synthetic import HOSTILE, failure, record

FILES = {
    "records.csv",
    "accuracy.csv",
    "accuracy.md",
    "medians.csv",
    "medians.md",
    "speedups.csv",
    "speedups.md",
    "report.html",
}
EXTRAS = {"limits.csv", "limits.md", "policies.csv", "policies.md", "costs.csv", "break_even.csv"}


class Page(HTMLParser):
    """What a browser would find: tags with their attributes, and the text outside scripts and styles."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._quiet = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._quiet = tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._quiet = False

    def handle_data(self, data: str) -> None:
        self.text += "" if self._quiet else data


def unpacked(html: str, name: str) -> str:
    found = re.search(rf'<script type="application/gzip" id="{name}">([^<]*)</script>', html)
    assert found
    return gzip.decompress(base64.b64decode(found[1])).decode()


@pytest.fixture(scope="module")
def html(written: dict[str, Path]) -> str:
    return written["report.html"].read_text(encoding="utf-8")


def test_all_files_are_written_and_no_others(written: dict[str, Path]) -> None:
    assert set(written) == FILES | EXTRAS
    directory = written["report.html"].parent
    assert {path.name for path in directory.iterdir()} == FILES | EXTRAS | {"checksums.json"}


def test_what_a_run_has_nothing_to_say_of_does_not_remain_from_an_earlier_one(
    written: dict[str, Path], tmp_path: Path
) -> None:
    latest = shutil.copytree(written["report.html"].parent, tmp_path / "latest")
    write(synthetic.study(synthetic.single_policy()), latest)
    assert {path.name for path in latest.iterdir()} == FILES | {
        "checksums.json",
        "break_even.csv",
        "limits.csv",
        "limits.md",
    }


def test_writing_again_replaces_the_files_and_a_failure_leaves_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = write(Study(Run(saved_as="first")), tmp_path)
    write(Study(Run(saved_as="second")), tmp_path)
    before = paths["report.html"].read_bytes()
    assert b"second" in before

    def fail(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write(Study(Run(saved_as="third")), tmp_path)
    assert paths["report.html"].read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == FILES | {"checksums.json"}


def test_the_csv_holds_the_records(written: dict[str, Path]) -> None:
    records = synthetic.run().records
    read = pd.read_csv(written["records.csv"])
    assert list(read.columns) == [column.name for column in COLUMNS]
    assert read["median_s"].to_numpy() == pytest.approx(records["median_s"].to_numpy(), rel=1e-15, nan_ok=True)


def test_medians_in_the_csv_agree_with_the_records(written: dict[str, Path]) -> None:
    records, case = synthetic.run().records, ["op", "mode", "n_elements", "allocation"]
    read = pd.read_csv(written["medians.csv"])
    medians = read.set_index(case)
    assert medians.index.is_unique
    for row in records[records["status"] == "ok"].to_dict("records"):
        found = medians.loc[tuple(row[name] for name in case), row["backend"]]
        assert found == pytest.approx(row["median_s"], rel=1e-15)
    assert read[list(synthetic.COSTS)].notna().sum().sum() == (records["status"] == "ok").sum()


def test_markdown_tables_mark_who_leads_each_row(written: dict[str, Path]) -> None:
    shared = [names.count(",") + 1 for names in synthetic.made_up().winners["contenders"]]
    for name in ("medians.md", "speedups.md"):
        lines = written[name].read_text(encoding="utf-8").splitlines()
        rows = [line for line in lines if line.startswith("|")][2:]
        assert len(rows) == 56
        assert [row.count("**") // 2 for row in rows] == shared


def test_markdown_survives_hostile_names(tmp_path: Path) -> None:
    frame = to_frame([record("a|b", op=HOSTILE), record("numpy", op=HOSTILE)])
    text = write(synthetic.study(frame), tmp_path)["medians.md"].read_text(encoding="utf-8")
    assert "<script" not in text
    assert "a\\|b" in text


def test_the_page_loads_nothing(html: str) -> None:
    for tag, attributes in Page(html).tags:
        assert "src" not in attributes
        href = attributes.get("href") or "#"
        assert href.startswith(("#", "data:")), (tag, href)
        assert tag not in ("link", "iframe", "object", "embed", "base")
    assert not re.search(
        r"@import|url\(", Path(report.__file__).with_name("templates").joinpath("report.css").read_text()
    )
    assert "default-src 'none'" in html


def test_pages_are_small(html: str) -> None:
    assert len(html.encode()) < 3e6
    assert len(pages.of_a_large_run().encode()) < 8e6


def test_plotly_is_embedded_once(html: str) -> None:
    assert unpacked(html, "plotly").startswith("/**\n* plotly.js v")
    assert html.count('id="plotly"') == 1


def test_sections_come_in_order(html: str) -> None:
    headings = re.findall(r"<h2>(.*?)</h2>", html)
    assert headings == [
        "In words, op by op",
        "How to call the winners",
        "Every backend&#39;s speed-up over numpy",
        "Speed against size",
        "How close to the limit",
        "How far from exact",
        "What a call costs",
        "Memory",
        "Policies side by side",
        "The functions",
        "Accuracy, doubts and gaps",
        "How it was measured",
        "The machine",
        "All results",
    ]
    first, *ids = re.findall(r'<section id="(\w+)">', html)
    assert first == "answer"
    assert ids == re.findall(r'<a href="#(\w+)">', html[html.index("<nav") : html.index("</nav>")])


def test_the_title_says_what_was_measured_on_what_and_when() -> None:
    assert first.title(synthetic.run()) == "Six functions on AMD EPYC 7R13, 2 threads, 21 Mar 2026"
    one = synthetic.study(to_frame([record("torch", op="gelu", device="cuda", device_name="NVIDIA H100")])).run
    assert first.title(one) == "gelu on an unknown processor and NVIDIA H100, 21 Mar 2026"
    assert first.title(Run()) == "A run without results"


@pytest.fixture(scope="module")
def quick() -> tuple[Study, Page]:
    """Return the study of the quick preset's run, and its page."""
    study = Study(synthetic.quick_run())
    return study, Page(report.render(study))


def test_rows_share_the_column_of_lines_of_as_many_elements():
    def pair(op, shape):
        return [
            record(name, op, shape=shape, median_s=seconds) for name, seconds in (("numpy", 1e-6), ("jax", 3e-6))
        ]

    both = [*pair("relu", "1024"), *pair("softmax", "4x256")]
    (picture,) = first.pictures(Study(Run(records=to_frame(both))))
    assert picture.columns == (("forward", (("1,024", "1 k"),)),)
    assert [len(squares) for _, squares in picture.rows] == [1, 1]
    (picture,) = first.pictures(Study(Run(records=to_frame([*both, *pair("softmax", "1x1024")]))))
    assert len(picture.columns[0][1]) == 3


def test_the_first_screen_agrees_with_the_verdicts(quick: tuple[Study, Page]) -> None:
    study, page = quick
    (picture,) = first.pictures(study)
    squares = [square for _, row in picture.rows for square in row if square]
    assert len(squares) == len(study.winners) == 48
    assert sum(square.sole for square in squares) == (study.winners["outcome"] == "faster").sum()
    text = page.text
    assert study.tally[0] in text
    decided = int(study.winners["decided"].sum())
    assert 24 < decided < 48
    assert f"{decided} of 48 groups decided ({100 * decided / 48:.0f} %)" in text
    assert "Repeat on an idle machine." in text
    explained = [str(attrs["data-tip"]) for tag, attrs in page.tags if tag == "dfn"]
    assert any(text.startswith("The cases that differ in the backend alone") for text in explained)


def test_of_many_ops_the_first_screen_counts_the_winners() -> None:
    picture, *_ = first.pictures(Study(synthetic.large_run()))
    assert not picture.rows
    assert {sum(n for _, n in bar.parts) for bar in picture.bars} == {40}


def test_usual_policies_come_first() -> None:
    rows = [record(name, memory=memory) for memory in ("released", "retained") for name in ("numpy", "torch")]
    study = synthetic.study(to_frame(rows))
    assert "under retained" in study.tally[0]
    assert first.pictures(study)[0].facets["memory"] == "retained"


TAKEN = (("torch", 3.0), ("numpy", 2.0), ("numpy", 2.0), ("torch", 1.0), ("numpy", 4.0))


def test_a_strip_has_a_tick_for_each_turn_and_keeps_outliers_at_its_ends(quick: tuple[Study, Page]) -> None:
    shown = spread.cell([1.0, 1.0, 1.1, 9.0])
    assert shown.tip == "4 turns, 1.00–9.00 s"
    assert spread.path([1.0, 2.0, 1.0]) == f"M{spread.WIDTH // 2} 0v9m{spread.WIDTH // 2}-9v9"
    strip = ("svg", {"class": "turns", "viewbox": "0 0 96 9", "aria-hidden": "true"})
    assert quick[1].tags.count(strip) == 230


def test_turns_that_were_taken_by_several_in_turn_are_told_apart() -> None:
    taken = [dict.fromkeys(CASE_KEYS, "") | {"backend": name, "seconds_per_call": s} for name, s in TAKEN]
    known = spread.turns(pd.DataFrame(taken))
    assert {key[CASE_KEYS.index("backend")]: seconds for key, seconds in known.items()} == {
        "torch": [3.0, 1.0],
        "numpy": [2.0, 2.0, 4.0],
    }
    assert spread.turns(pd.DataFrame(taken)[:0]) == {}


def test_only_functions_of_the_run_are_drawn() -> None:
    frame = synthetic.single_policy()
    run = synthetic.run(records=frame[frame["op"] == "relu"])
    assert set(re.findall(r"Graph of (\w+)", report.render(Study(run)))) == {"relu"}


def test_a_run_that_was_cut_short_begins_with_it_and_lists_what_it_lacks() -> None:
    missing = ("relu-forward-float64-7", "silu-forward-float32-7 (torch-cpu)")
    rows = [record("numpy", op="relu"), record("torch", op="relu")]
    part = Run(records=to_frame(rows), complete=False, n_groups=9, unmeasured=missing)
    text = Page(report.render(Study(part))).text
    assert "The run was cut short, 2 of 9 groups not measured: relu-forward-float64-7 and silu" in text
    assert all(group in text.partition("Planned and not measured, 2 of 9 groups")[2] for group in missing)
    ended = Page(report.render(Study(dataclasses.replace(part, complete=True)))).text
    assert "cut short" not in ended
    assert "Planned and not measured, 2 of 9 groups, since the time budget had ended" in ended


def test_what_the_systems_default_of_memory_costs_is_told_with_its_remedy() -> None:
    rows = []
    for memory, factor, faults in (("retained", 1.0, 0.0), ("released", 3.0, 2048.0)):
        row = synthetic.scaled(record("torch", n=2**23), factor)
        rows.append({**row, "memory": memory, "page_faults": faults})
    text = Page(report.render(synthetic.study(to_frame(rows)))).text
    assert "the system's default costs torch 3.0× the time (2,048 page faults a call)" in text
    assert "MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=70368744177664 MALLOC_ARENA_MAX=1 python …" in text
    assert "stays with the process" in text
    assert "--memory retained released" not in text
    alone = Page(report.render(synthetic.study(to_frame(rows[:1])))).text
    assert "--memory retained released" in alone
    (leaky,) = not_kept(synthetic.study(to_frame([{**rows[0], "page_faults": 8192.0}])).rows)
    assert "torch gets new pages at each call although memory was to be retained" in leaky


def test_names_never_become_markup() -> None:
    quoted = "GPU \"of\" 'quotes' & <b>tags</b></script>"
    rows = [
        record(
            backend, op=HOSTILE, device=device, device_name=quoted, dtype=HOSTILE, cache=cache, warning=HOSTILE,
            stop_reason=HOSTILE,
        )
        for backend in ("numpy", HOSTILE)
        for device in ("cpu", quoted)
        for cache in (HOSTILE, quoted)
    ]  # fmt: skip
    rows.append(failure(HOSTILE, "failed", f"{HOSTILE} {quoted}", op=HOSTILE))
    checks = [{**row, "op": HOSTILE, "reason": HOSTILE} for row in synthetic.accuracy()]
    run = synthetic.run(
        records=to_frame(rows),
        accuracy=to_frame(checks, ACCURACY_COLUMNS),
        machine={HOSTILE: {HOSTILE: [HOSTILE]}, "cpu": quoted, "packages": {HOSTILE: HOSTILE}},
        curves=synthetic.curves().assign(op=HOSTILE),
        bandwidth=synthetic.bandwidth("cpu", quoted, HOSTILE).assign(stores=HOSTILE),
        costs=to_frame([{"backend": HOSTILE, "device": HOSTILE, "call_op": HOSTILE}], COST_COLUMNS),
        time_s={HOSTILE: 1.0},
        command=HOSTILE,
        saved_as=HOSTILE,
    )
    html = report.render(Study(run))
    assert HOSTILE not in html
    tags = [tag for tag, _ in Page(html).tags]
    assert tags.count("script") == 3
    assert "<b>tags" not in html
    # plotly reads tags in its texts, so there they are escaped too.
    figures = unpacked(html, "figures")
    assert "<script" not in figures
    assert "&lt;script&gt;" in figures


@pytest.mark.parametrize(
    "records",
    [[], [failure("jax", "crashed", "signal SIGSEGV", op="relu"), failure("torch", "unavailable", "no torch")]],
)
def test_a_run_without_results_still_gives_a_page_that_says_so(
    records: list[dict[str, Any]], tmp_path: Path
) -> None:
    paths = write(synthetic.study(to_frame(records)), tmp_path)
    text = Page(paths["report.html"].read_text(encoding="utf-8")).text
    assert "Nothing was measured" in text
    assert ("signal SIGSEGV" in text) == bool(records)
    assert "No case was measured successfully" in paths["medians.md"].read_text(encoding="utf-8")
    pd.read_csv(paths["medians.csv"])


def test_a_record_of_almost_nothing_can_be_shown(tmp_path: Path) -> None:
    bare = {"op": "relu", "mode": "forward", "backend": "numpy", "device": "cpu", "status": "ok", "median_s": 1e-6}
    paths = write(synthetic.study(to_frame([bare, {"op": "relu", "status": "failed"}, {}])), tmp_path)
    assert "1.00 µs" in paths["report.html"].read_text(encoding="utf-8")


def test_every_figure_is_valid_to_plotly(html: str) -> None:
    import plotly.graph_objects as go  # late: it takes a second to import

    figures = json.loads(unpacked(html, "figures"))
    # Speed, and accuracy beside it: of each op and mode, and of two under another policy; then the functions.
    assert len(figures) == 2 * (2 * len(synthetic.OPS) + 2) + 2 * 4
    for figure in figures.values():
        go.Figure(figure)


def lines(op: str, bandwidth: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the lines of an op's forward panel: the limit's, then the backends'."""
    board = charts.speed_boards(
        synthetic.study(synthetic.single_policy(), bandwidth=bandwidth), palette.styles(list(synthetic.COSTS))
    )[0]
    assert board.label == "forward"
    found: list[dict[str, Any]] = next(panel.figure for panel in board.panels if panel.title == op)["data"]
    return found


def test_throughput_and_bandwidth_share_the_axis_of_bytes_moved() -> None:
    bandwidth = synthetic.bandwidth().assign(rejected=False)
    copy, numpy, *_ = lines("sigmoid", bandwidth)
    assert copy["x"] == pytest.approx(bandwidth.query("kind == 'copy'")["n_bytes"].tolist(), rel=1e-5)
    rows = synthetic.single_policy().query("op == 'sigmoid' and mode == 'forward' and backend == 'numpy'")
    assert numpy["x"] == pytest.approx(rows["bytes_moved"].tolist(), rel=1e-5)
    assert numpy["y"] == pytest.approx((rows["bytes_moved"] / rows["median_s"] / 1e9).tolist(), rel=1e-5)


def test_the_limit_of_a_loss_is_reading_where_that_was_measured() -> None:
    bandwidth = synthetic.bandwidth()
    copies = bandwidth[bandwidth["kind"] == "copy"]
    assert lines("mean_squared_error", bandwidth)[0]["name"] == "read on cpu"
    assert lines("mean_squared_error", copies)[0]["name"] == "copy on cpu"
    assert lines("relu", bandwidth)[0]["name"] == "copy on cpu"


def test_sizes_at_which_the_bandwidth_was_rejected_are_not_drawn(html: str) -> None:
    rejected = synthetic.bandwidth().query("rejected")
    drawn = lines("relu", synthetic.bandwidth())[0]["x"]
    assert not set(rejected["n_bytes"]) & set(drawn)
    (table,) = method.limits(synthetic.bandwidth())
    assert [row[3].text for row in table.rows].count("21 % rejected") == 1
    assert "The limits" in html


def test_error_bars_reach_the_ends_of_the_interval() -> None:
    row = record("numpy", median_s=2e-6, ci95_low_s=1e-6, ci95_high_s=4e-6, bytes_moved=8000, gigabytes_per_s=4.0)
    found = synthetic.study(to_frame([row]), bandwidth=synthetic.bandwidth())
    line = charts.speed_boards(found, palette.styles(["numpy"]))[0].panels[0]
    bars = line.figure["data"][1]["error_y"]
    assert (bars["array"], bars["arrayminus"]) == ([4.0], [2.0])


def test_backends_keep_colour_and_marker_whoever_else_is_there() -> None:
    alone, together = palette.styles(["torch"]), palette.styles(["numpy", "new", "torch"])
    assert alone["torch"] == together["torch"]
    every = palette.styles([*palette._KNOWN, "x", "y", "z"])
    assert len({(style.colour, style.symbol) for style in every.values()}) == len(every)


def test_any_machine_can_be_shown() -> None:
    machine = {"l3_cache_bytes": 2**25, "gpu": [], "ecc": True, "clock_mhz": 1980, "x": {"y": {"z": None}}}
    shown = fingerprint.entries(machine)
    assert [(entry.term, entry.value) for entry in shown[:4]] == [
        ("L3 cache", "32 MiB"),
        ("GPU", "none"),
        ("ecc", "yes"),
        ("clock", "1980 MHz"),
    ]
    assert shown[4].below[0].below[0].value == "unknown"
    assert fingerprint.line({}) == ""


def test_infinite_errors_are_shown_and_sort_last(html: str) -> None:
    assert "0.970 ! ∞" in Page(html).text
    assert math.isinf(float(max(row["max_ulp"] for row in synthetic.accuracy())))  # type: ignore[type-var]


def test_the_accuracy_table_shows_largest_and_mean_errors_deviations_and_failures() -> None:
    tables = accuracy.errors(to_frame(synthetic.accuracy(), ACCURACY_COLUMNS), means=True)
    text = markdown.document("Accuracy", [accuracy.KEY], tables)
    assert "## float32 on cpu" in text
    rows = {tuple(cell.strip() for cell in line.split("|")[1:3]): line for line in text.splitlines()}
    assert "0.970 (0.210) ! 1.68×10⁷" in rows["sigmoid", "backward"]
    assert "✕ 37.2" in rows["categorical_cross_entropy", "backward"]
    assert "!" not in rows["sigmoid", "forward"]


def test_searched_accuracy_is_kept_for_other_ops_and_comes_back(tmp_path: Path) -> None:
    found = to_frame([row | {"sample": "searched"} for row in synthetic.accuracy()], ACCURACY_COLUMNS)
    first, second = found[found["op"] == "sigmoid"], found[found["op"] != "sigmoid"]
    assert not len(read_accuracy(tmp_path))
    write_accuracy(first, tmp_path)
    paths = write_accuracy(second.assign(max_ulp=7.0), tmp_path)
    assert set(paths) == {"accuracy.csv", "accuracy.md"}
    merged = read_accuracy(tmp_path).frame()
    assert len(merged) == len(found)
    assert (merged.loc[merged["op"] != "sigmoid", "max_ulp"] == 7).all()
    kept = merged[merged["op"] == "sigmoid"].fillna({"reason": ""}).reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, first.reset_index(drop=True))
