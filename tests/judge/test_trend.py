"""Trends: series over runs, the changes found in them, and what people read of them."""

from __future__ import annotations

import argparse
import io
import json
import math
import re
import shutil

import pandas as pd
import pytest
from rich.console import Console

from benchmarks.commands import trend as command
from benchmarks.judge import trend
from benchmarks.record import history
from benchmarks.record.frames import to_frame
from benchmarks.record.journal import JOURNALS, write_journal_line
from benchmarks.report import palette
from benchmarks.report.pages import trend as trend_page
from benchmarks.report.text import trend as texts
from tests.report.test_report import Page, unpacked
from tests.synthetic import HOSTILE, failure, record
from tests.synthetic_history import saved_runs


def run_of(i: int, **more: object) -> dict[str, object]:
    """Return what the records of the i-th run share."""
    return {
        "run_id": f"run-{i:03d}",
        "saved_as": f"day-{i}",
        "timestamp": f"2026-01-{1 + i % 28:02d}T{i // 28:02d}:00:00+00:00",
        "git_commit": f"{i:07x}" + "0" * 33,
        "git_dirty": False,
        **more,
    }


def one_case(values, metric="median_s", **more):
    """Return the records of one case, a run per value."""
    return to_frame(record("torch") | run_of(i) | {metric: value} | more for i, value in enumerate(values))


def only_series(records, metric="median_s", **options):
    (series,) = trend.trends(records, metric, **options)
    return series


@pytest.fixture(scope="module")
def saved():
    return pd.concat(saved_runs(), ignore_index=True)


@pytest.fixture(scope="module")
def found(saved):
    return trend.trends(saved)


# Series


def test_a_series_is_ordered_by_the_time_of_its_runs():
    shuffled = one_case([1.0, 2.0, 3.0, 4.0]).iloc[[2, 0, 3, 1]]
    assert [point.value for point in only_series(shuffled).points] == [1, 2, 3, 4]


def test_a_runs_time_is_that_of_its_first_record_whatever_is_shown():
    early = record("numpy", **{**run_of(1), "timestamp": "2025-12-01T00:00:00+00:00"})
    records = pd.concat([one_case([1.0, 2.0]), to_frame([early])])
    series = only_series(records, only={"backend": ["torch"]})
    assert [point.run_id for point in series.points] == ["run-001", "run-000"]
    assert series.points[0].start == "2025-12-01T00:00:00+00:00"


def test_cases_and_machines_have_series_of_their_own():
    rows = [record("torch", **run_of(i), machine_id=m, threads=t) for i in range(2) for m in "ab" for t in (1, 2)]
    found = trend.trends(to_frame(rows))
    assert [len(series.points) for series in found] == [2] * 4
    assert trend.varying(found) == ["op", "mode", "backend", "machine_id", "threads"]


def test_equal_machines_have_series_of_their_own_unless_they_are_to_count_as_one():
    rows = [record("torch", **run_of(2 * i + j), host=host) for i in range(2) for j, host in enumerate("ab")]
    found = trend.trends(to_frame(rows))
    assert [(series.case["host"], len(series.points)) for series in found] == [("a", 2), ("b", 2)]
    assert {series.machine for series in found} == {"a1b2c3d4e5f6-a", "a1b2c3d4e5f6-b"}
    assert "host a" in texts.to_markdown(found)
    (series,) = trend.trends(to_frame(rows), any_host=True)
    assert len(series.points) == 4


def test_runs_that_do_not_know_their_host_go_on_with_the_only_one_that_is_known():
    older = [record("torch", **run_of(i)) for i in range(2)]
    (series,) = trend.trends(to_frame([*older, record("torch", **run_of(2), host="a")]))
    assert (series.case["host"], len(series.points)) == ("a", 3)
    two = [record("torch", **run_of(i), host=host) for i, host in ((2, "a"), (3, "b"))]
    found = trend.trends(to_frame([*older, *two]))
    assert sorted((series.case["host"], len(series.points)) for series in found) == [("", 2), ("a", 1), ("b", 1)]


def test_a_change_names_the_gpu_s_drivers_too():
    rows = [
        record("torch", **run_of(i), median_s=1.0 + i // 5, device="cuda", driver=f"5{i // 5}0") for i in range(10)
    ]
    (series,) = trend.trends(to_frame(rows))
    assert "driver 500" in texts.words(series, series.changes[0])
    assert "driver 510" in texts.words(series, series.changes[0])


def test_runs_of_one_commit_are_all_points():
    same = one_case([1.0, 1.1, 1.2], git_commit="a" * 40)
    assert len(only_series(same).points) == 3


def test_a_case_recorded_twice_in_a_run_counts_once_as_last_recorded():
    twice = to_frame([record("torch", **run_of(0), median_s=1.0), record("torch", **run_of(0), median_s=2.0)])
    assert [point.value for point in only_series(twice).points] == [2.0]


def test_a_failure_is_a_gap_with_its_status_even_where_it_does_not_know_its_threads():
    lost = failure("torch", "timeout", "no answer", **run_of(1))
    records = pd.concat([one_case([1.0, 9.0, 1.0]).drop(index=1), to_frame([{**lost, "threads": None}])])
    first, gap, last = only_series(records).points
    assert (first.status, gap.status, last.status) == ("ok", "timeout", "ok")
    assert math.isnan(gap.value)
    assert math.isnan(gap.low)


def test_a_metric_that_was_not_measured_is_a_gap_and_a_series_without_any_is_left_out():
    records = one_case([100, None, 100], "peak_bytes")
    assert [point.status for point in only_series(records, "peak_bytes").points] == ["ok", "not measured", "ok"]
    assert trend.trends(one_case([None, None], "peak_bytes"), "peak_bytes") == []
    assert trend.trends(to_frame([failure("torch", "crashed", "gone")])) == []


@pytest.mark.parametrize("metric", trend.METRICS)
def test_every_metric_has_a_trend_with_values_between_the_ends_of_their_interval(saved, metric):
    for series in trend.trends(saved, metric):
        for point in series.measured:
            assert math.isnan(point.low) or point.low <= point.value <= point.high


def test_an_unknown_metric_is_refused_with_the_ones_there_are(saved):
    with pytest.raises(ValueError, match=r"metric: must be one of median_s, .*; got 'speed'"):
        trend.trends(saved, "speed")


def test_a_name_that_no_run_has_is_refused_with_the_ones_there_are(saved):
    with pytest.raises(ValueError, match="op: no record has tanh; there are relu, sigmoid"):
        trend.trends(saved, only={"op": ["tanh"]})


def test_a_change_names_its_commits_ratio_and_versions(found):
    (change,) = found[0].changes
    assert change.where == "between 0000009 and 000000a"
    assert change.ratio == pytest.approx(1.3, rel=0.02)
    assert change.versions == ("2.11.0", "2.13.0")
    assert found[0].case["machine_id"] == "a1b2c3d4e5f6"
    assert texts.words(found[0], change) == (
        "slower, +29.9 % between 0000009 and 000000a: 3.03 µs -> 3.93 µs; torch 2.11.0 -> 2.13.0"
    )


def test_the_range_of_a_change_spans_the_runs_that_failed():
    records = one_case([1.0] * 6 + [9.0] + [2.0] * 6)
    records.loc[6, "status"] = "crashed"
    (change,) = only_series(records).changes
    assert change.where == "between 0000005 and 0000007"
    assert change.versions is None


def test_a_change_within_one_commit_is_told_by_its_runs():
    (change,) = only_series(one_case([1.0] * 6 + [2.0] * 6, git_commit="a" * 40)).changes
    assert change.where == ("within aaaaaaa, between its runs of 2026-01-06 00:00 and 2026-01-07 00:00 UTC")


def test_uncommitted_changes_and_missing_commits_are_told_apart():
    (dirty,) = only_series(one_case([1.0], git_dirty=True)).points
    (without,) = only_series(one_case([1.0], git_commit=None)).points
    assert (dirty.label, without.label) == ("0000000-dirty", "day-0")


def test_series_with_changes_come_first_the_most_worsened_on_top():
    def step(op, ratio):
        return one_case([1.0] * 8 + [ratio] * 8, op=op)

    records = pd.concat([step("a", 1.0), step("b", 0.5), step("c", 1.2), step("d", 1.7), step("e", 1.01)])
    assert [series.case["op"] for series in trend.trends(records)] == ["d", "c", "b", "a", "e"]


def test_more_throughput_is_better_and_less_is_worse():
    series = only_series(one_case([2.0] * 8 + [1.0] * 8, "gigabytes_per_s"), "gigabytes_per_s")
    assert series.worsening() > 0
    assert texts.words(series, series.changes[0]).startswith("slower, −50.0 %")


def test_an_error_that_was_zero_has_grown_by_no_ratio():
    series = only_series(one_case([0.0] * 8 + [2.0] * 8, "max_ulp"), "max_ulp")
    (change,) = series.changes
    assert math.isnan(change.ratio)
    assert texts.words(series, change) == "less accurate between 0000007 and 0000008: 0 ULP -> 2.00 ULP"
    (row,) = texts.table([series], 40).rows
    assert [cell.text for cell in row[1:5]] == ["16", "0 ULP", "2.00 ULP", "–"]
    page = trend_page.render([series], 0.05)
    assert "less accurate" in Page(page).text


# What people read


def points(*values):
    return [trend.Point(str(i), "", "", "", False, "", "ok", v, math.nan, math.nan) for i, v in enumerate(values)]


def test_a_sparkline_is_logarithmic_with_gaps_and_the_latest_runs():
    assert texts.sparkline(points(1.0, 10.0, 100.0), 9) == "▁▅█"
    assert texts.sparkline(points(1.0, math.nan, 2.0), 9) == "▁·█"
    assert texts.sparkline(points(*[1.0] * 9, 2.0), 4) == "…▁▁█"
    assert texts.sparkline(points(0.0, 1.0), 4) == "▁█"
    assert texts.sparkline(points(math.nan, math.nan), 4) == "··"


def test_noise_of_one_percent_does_not_fill_a_sparklines_height():
    line = texts.sparkline(points(1.0, 1.01, 0.99, 1.0), 9)
    assert set(line) <= set("▄▅")


@pytest.mark.parametrize("width", [40, 80, 119, 120, 200])
def test_the_table_fits_the_terminal_and_says_what_changed(found, width):
    file = io.StringIO()
    texts.render(found, Console(file=file, width=width))
    output = file.getvalue()
    assert all(len(line) <= width for line in output.splitlines())
    assert "0000009" in output
    assert "000000a" in output
    if width >= 80:
        assert "█████" in output


def test_markdown_and_json_hold_every_series(found):
    document = texts.to_markdown(found)
    assert sum(line.startswith("| ") for line in document.splitlines()) == 1 + len(found)
    assert "torch 2.11.0 -> 2.13.0" in document
    read = json.loads(texts.to_json(found))
    assert [len(series["points"]) for series in read] == [20] * len(found)
    assert read[0]["changes"][0]["where"] == "between 0000009 and 000000a"
    gaps = [point for series in read for point in series["points"] if point["value"] is None]
    assert [point["status"] for point in gaps] == ["crashed"]


def hostile():
    steps = [1.0] * 8 + [2.0] * 8
    names = dict.fromkeys(
        ("saved_as", "op", "backend", "backend_version", "device_name", "machine_id", "dtype"), HOSTILE
    )
    return trend.trends(one_case(steps, git_commit=None, **names))


def test_names_from_the_data_are_escaped_in_the_page_and_its_charts():
    html = trend_page.render(hostile(), 0.05)
    page = Page(html)
    assert HOSTILE in page.text
    assert "alert" not in "".join(re.findall(r"<script[^>]*>(.*?)</script>", html, flags=re.DOTALL))
    assert HOSTILE not in unpacked(html, "figures")
    assert "&lt;script&gt;" in unpacked(html, "figures")


def test_names_from_the_data_are_escaped_in_markdown_and_are_no_markup_at_the_terminal():
    assert "<script>" not in texts.to_markdown(hostile())
    marked = trend.trends(one_case([1.0] * 4, op="[bold]relu[/bold]"))
    file = io.StringIO()
    texts.render(marked, Console(file=file, width=120))
    assert "[bold]relu[/bold]" in file.getvalue()


def test_the_page_loads_nothing_and_draws_every_series(found):
    html = trend_page.render(found, 0.05)
    page = Page(html)
    loading = {"src", "srcset", "href", "action", "data", "poster"}
    loaded = [value for _, attrs in page.tags for name, value in attrs.items() if name in loading]
    assert all(value and value.startswith("#") for value in loaded)
    drawn = {attrs["data-figure"] for _, attrs in page.tags if attrs.get("data-figure")}
    assert (
        drawn
        == set(json.loads(unpacked(html, "figures")))
        == {"changed-0-0", "steady-0-0", "steady-0-1", "steady-0-2"}
    )
    assert "between 0000009 and 000000a" in page.text


def test_the_page_without_any_change_says_so():
    html = trend_page.render(trend.trends(one_case([1.0, 1.0])), 0.05)
    assert "Nothing: no case changed by 5 % or more." in Page(html).text


@pytest.mark.parametrize("metric", trend.METRICS)
def test_figures_are_what_plotly_takes(saved, metric):
    import plotly.graph_objects as go  # late: it takes a second to import

    for series in trend.trends(saved, metric):
        figure = trend_page.figure(series, palette.styles([series.case["backend"]])[series.case["backend"]])
        go.Figure(figure)
        json.dumps(figure, allow_nan=False)
        assert len(figure["layout"]["shapes"]) == len(series.changes)


def test_a_figure_of_a_single_run_or_of_infinities_is_drawn():
    for values in ([1.0], [math.inf, math.inf], [0.0, math.inf, 1.0]):
        series = only_series(one_case(values, "max_ulp"), "max_ulp")
        figure = trend_page.figure(series, palette.styles(["torch"])["torch"])
        json.dumps(figure, allow_nan=False)
        texts.to_json([series])


# The command


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    for records in saved_runs():
        history.append(records, folder)
    return folder


def call(results, *arguments):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    file = io.StringIO()
    options = parser.parse_args(["--results", str(results), *arguments])
    return command.run(options, Console(file=file, width=160)), file.getvalue()


def test_the_command_prints_the_trends_and_writes_a_page_on_demand(results, tmp_path):
    status, output = call(results)
    assert status == 0
    assert "torch 2.11.0 -> 2.13.0" in " ".join(output.split())
    assert not (results / "trend.html").exists()
    assert "Page: " not in output
    _, output = call(results, "--page")
    assert f"Page: {results / 'trend.html'}" in output
    assert (results / "trend.html").exists()
    call(results, "--output", str(tmp_path / "new" / "page.html"))
    assert (tmp_path / "new" / "page.html").exists()


def test_runs_that_were_cut_short_are_named_as_missing(results, capsys):
    journals = results / JOURNALS
    journals.mkdir(parents=True)
    for name, saved_as, ends in (("1", "main", False), ("2", "", False), ("3", "main", True)):
        opening = {"type": "run", "run_id": name, "saved_as": saved_as, "command": "", "machine": {}, "seed": 1}
        with (journals / f"{name}.jsonl").open("w") as file:
            for line in [opening, *[{"type": "end"}] * ends]:
                write_journal_line(file, line)
    call(results)
    assert capsys.readouterr().err == "not in the history: 1 was cut short; see docs/interrupted.md\n"
    shutil.rmtree(journals)


def test_filters_choose_cases_and_may_be_repeated(results):
    _, output = call(
        results, "--op", "relu", "--op", "sigmoid", "--backend", "numpy", "--machine", "a1", "--format=json"
    )
    assert {(s["case"]["op"], s["case"]["backend"]) for s in json.loads(output)} == {
        ("relu", "numpy"),
        ("sigmoid", "numpy"),
    }


def test_only_changed_cases_are_shown_on_demand(results):
    _, output = call(results, "--changed", "--format=md")
    assert "relu" not in output
    assert "sigmoid" in output
    status, output = call(results, "--changed", "--threshold", "50%")
    assert status == 0
    assert "No case changed by 50 % or more." in output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--op", "tanh"], "op: no record has tanh; there are relu, sigmoid"),
        (["--machine", "ffff"], "--machine: none begins with 'ffff'; there are a1b2c3d4e5f6"),
    ],
)
def test_what_the_history_does_not_have_is_an_error_that_says_what_it_has(results, arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call(results, *arguments)


def test_no_history_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="--benchmark-save"):
        call(tmp_path)


def test_runs_under_another_policy_are_no_series_with_those_before_and_that_is_said():
    runs = saved_runs(8)
    later = [run.assign(allocation="reuse") for run in runs[4:]]
    found = trend.trends(pd.concat([*runs[:4], *later]))
    assert {series.case["allocation"] for series in found} == {"fresh", "reuse"}
    (said,) = trend.superseded(found)
    assert said.startswith("allocation was fresh in earlier runs and is reuse in later ones (4 cases)")
    assert said in texts.notes(found)
    assert not trend.superseded(trend.trends(pd.concat(runs)))
