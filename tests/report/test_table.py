"""One table, and what each writer makes of it."""

from __future__ import annotations

import io
import math

import pandas as pd
import pytest
from rich.console import Console
from rich.text import Text

from benchmarks import quantities
from benchmarks.report.table import Cell, Column, Table, cases, explained, number, numbers, texts
from benchmarks.report.terminal.table import grid, print_named
from benchmarks.report.text import csv, latex, markdown

TABLE = Table(
    (
        texts("op", ["relu", "a|b"]),
        Column("time", (Cell("1.0 µs", 1e-6, best=True), Cell("2.0 µs", 2e-6, doubt="hot"))),
        numbers("limit", [5.0, math.nan], unit="GB/s"),
    ),
    "Times",
)


def test_markdown_marks_the_best_and_doubts_and_aligns_numbers() -> None:
    assert markdown.grid(TABLE).splitlines() == [
        "| op   |       time |   limit, GB/s |",
        "|:-----|-----------:|--------------:|",
        "| relu | **1.0 µs** |          5.00 |",
        "| a\\|b |    ~2.0 µs |               |",
    ]


def test_latex_sets_the_same_with_the_title_as_its_caption() -> None:
    text = latex.page(TABLE)
    assert r"\caption{Times.}" in text
    assert r"\begin{tabular}{lrr}" in text
    assert r"relu & \textbf{1.0 \textmu{}s} & 5.00 \\" in text
    assert r"a\textbar{}b & $\sim$2.0 \textmu{}s &  \\" in text


def test_a_terminal_shows_the_same_in_its_own_signs() -> None:
    stream = io.StringIO()
    shown = grid(TABLE, say=lambda text: Text(text.replace("µ", "u")))
    Console(file=stream, width=60).print(shown)
    lines = [line.split() for line in stream.getvalue().splitlines()]
    assert lines == [["op", "time", "limit,", "GB/s"], ["relu", "1.0", "us", "5.00"], ["a|b", "~2.0", "us"]]


LONG = "softmax_cross_entropy_with_integer_labels-forward+backward-float32-1024x1024-numba-parallel-cpu"
NAMED = Table(
    (
        texts("", ["?", "▲"]),
        texts("case", ["relu-forward-float32-1000-numpy-cpu", LONG]),
        numbers("head", [5.0, math.nan], unit="ms"),
        texts("ratio", ["", "1.117 (1.099 to 1.135)"]),
        texts("verdict", ["ambiguous: a long reason that wraps somewhere", "slower"]),
    )
)


@pytest.mark.parametrize("wraps", [True, False])
@pytest.mark.parametrize("width", [20, 40, 60, 80, 100, 200])
def test_a_name_stays_whole_however_narrow_the_terminal(width: int, wraps: bool) -> None:
    stream = io.StringIO()
    print_named(NAMED, Console(file=stream, width=width), name="case", wraps=wraps)
    lines = [line.rstrip() for line in stream.getvalue().splitlines()]
    assert f"▲  {LONG}" in lines or any(line.startswith(f"▲  {LONG}  ") for line in lines)
    assert all(len(line) <= width for line in lines if LONG not in line and "relu" not in line)
    assert " ".join(" ".join(lines).split()).endswith("1.117 (1.099 to 1.135) slower")


def test_a_name_without_room_stands_above_its_row_and_others_beside_theirs() -> None:
    stream = io.StringIO()
    print_named(NAMED, Console(file=stream, width=108), name="case", wraps=True)
    assert [line.rstrip() for line in stream.getvalue().splitlines()] == [
        "   case                                 head, ms  ratio                   verdict",
        "?  relu-forward-float32-1000-numpy-cpu      5.00                          ambiguous: a long reason that",
        "                                                                          wraps somewhere",
        f"▲  {LONG}",
        "                                                  1.117 (1.099 to 1.135)  slower",
    ]


def test_csv_keeps_every_digit_of_the_numbers() -> None:
    assert (
        csv.page(pd.DataFrame({"op": ["relu"], "median_s": [1 / 3]})) == "op,median_s\nrelu,0.3333333333333333\n"
    )


def test_marks_are_explained_where_there_are_any() -> None:
    assert explained(TABLE).notes == ("~: doubtful; see the column warning in records.csv.",)
    assert explained(Table((texts("op", ["relu"]),))).notes == ()
    assert "another library" in explained(Table((texts("backend", ["scipy†"]),))).notes[0]


def test_a_table_that_is_cut_knows_how_many_rows_there_were() -> None:
    cut = TABLE.cut(1)
    assert (len(cut.rows), cut.total) == (1, 2)
    assert TABLE.cut().rows == TABLE.rows


def test_a_number_that_was_not_measured_is_empty_and_never_doubtful() -> None:
    cell = number(math.nan, quantities.seconds, doubt="hot")
    assert (cell.shown, cell.note) == ("", "")
    assert number(1e-6, quantities.seconds, doubt="hot", tip="once").note == "once; doubtful: hot"


def test_a_case_is_named_by_what_differs_between_rows() -> None:
    rows = pd.DataFrame(
        {"op": ["relu", "tanh"], "mode": "forward", "dtype": ["float32", "float64"], "n_elements": 9}
    )
    assert [column.name for column in cases(rows, perhaps=("dtype",))] == ["op", "mode", "dtype", "elements"]
    assert [column.name for column in cases(rows[:1], perhaps=("dtype",))] == ["op", "mode", "elements"]
