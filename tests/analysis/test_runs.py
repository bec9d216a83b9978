"""Several runs side by side: who is fastest, where nothing is claimed, what differs, and what only some have."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import replace

import pandas as pd
import pytest

from benchmarks.__main__ import main
from benchmarks.analysis import runs
from benchmarks.analysis.entries import entries
from benchmarks.analysis.runs import CSV_COLUMNS, KEYS, Compared, Fastest
from benchmarks.machine.caveat import Caveat
from benchmarks.record.frames import to_frame
from benchmarks.record.journal import JOURNALS, write_journal_line
from benchmarks.record.run import Run
from benchmarks.report import views
from benchmarks.report.pages import runs as runs_page
from benchmarks.report.sections import runs as runs_tables
from benchmarks.report.table import Table
from tests import synthetic
from tests.report.test_report import Page, unpacked
from tests.synthetic import HOSTILE, failure, record


def made(*median: float, width: float = 0.01, **about: object) -> Run:
    """Make a run of torch's sigmoid at growing sizes, with the given medians."""
    rows = [
        record("torch", n=1000 * 10**i, median_s=m, ci95_low_s=m * (1 - width), ci95_high_s=m * (1 + width))
        for i, m in enumerate(median)
    ]
    return Run(records=to_frame([row | about for row in rows]))


def named(*found: Run) -> tuple[runs.Labelled, ...]:
    return runs.label([("abc"[i], replace(run, saved_as="abc"[i])) for i, run in enumerate(found)])


def texts(table: Table) -> list[list[str]]:
    return [[cell.shown for cell in row] for row in table.rows]


@pytest.fixture(scope="module")
def beside() -> runs_page.Beside:
    return runs_page.beside(runs.label([("desk", synthetic.run()), ("server", synthetic.server())]))


@pytest.fixture(scope="module")
def html(beside: runs_page.Beside) -> str:
    return runs_page.render(beside, runs.flat(beside.runs, beside.rows))


def test_ratios_above_one_are_faster_than_the_first_run():
    rows = runs.gather(named(made(2e-6), made(1e-6)))
    assert dict(zip(rows["run"], rows["ratio"], strict=True)) == {"a": 1, "b": 2}
    second = rows[rows["run"] == "b"].iloc[0]
    assert 1.9 < second["ratio_low"] < 2 < second["ratio_high"] < 2.1
    assert second["verdict"] == "faster"


def test_small_differences_and_unknown_intervals_support_no_claim():
    wide, unknown = made(0.5e-6, ci95_high_s=9.0), made(0.5e-6, ci95_low_s=None, ci95_high_s=None)
    for other, counts, said in (
        (made(1.01e-6), "equal in 1; too close to call in 0", "0.99×, equal"),
        (unknown, "equal in 0; too close to call in 1", "2.0×, too close to call"),
        (wide, "equal in 0; too close to call in 1", "2.0×, too close to call"),
    ):
        found = runs_page.beside(named(made(1e-6), other))
        assert f"faster in 0, slower in 0; {counts}" in found.sentences[1]
        assert texts(runs_tables.cases(entries(found.rows, Compared), found.labels))[0][-1] == said


def test_the_answer_is_a_geometric_mean_over_what_all_runs_have():
    first, second, third = made(1e-6, 1e-5, 1e-4), made(5e-7, 2e-5), made(5e-7, 5e-6, 1e-9)
    sentences = runs_page.beside(named(first, second, third)).sentences
    assert sentences[0] == (
        "Over the 2 cases that all 3 runs measured, c is fastest: 2.00 times as fast as a and 2.00 times as fast "
        "as b (geometric mean)."
    )
    furthest = "b is 2.00 times as fast as a in sigmoid forward, 1,000 elements, torch on cpu; and a is 2.00 "
    assert f"The largest differences: {furthest}" in sentences[2]


def test_runs_whose_means_lie_within_the_threshold_are_about_as_fast():
    found = runs_page.beside(named(made(1e-6, width=1e-4), made(1.03e-6, width=1e-4), made(2e-6)))
    assert found.sentences[0] == (
        "Over the 1 case that all 3 runs measured, a and b are about as fast, within 5 %, and 2.00 times as fast "
        "as c (geometric mean)."
    )


def test_runs_without_a_common_case_are_not_ranked():
    sentences = runs_page.beside(named(made(1e-6), made(1e-6, dtype="float64"))).sentences
    assert sentences[:2] == (
        "No case was measured in both runs, so none of the runs is the fastest.",
        "b has no case in common with a.",
    )


def test_other_policies_shapes_backends_and_devices_are_other_cases():
    base = made(1e-6)
    others = [
        {"dtype": "float64"}, {"allocation": "reuse"}, {"cache": "cold"}, {"timing": "throughput"},
        {"device": "cuda"}, {"backend": "jax"}, {"mode": "backward"}, {"shape": "10x100"}, {"op": "relu"},
    ]  # fmt: skip
    for change in others:
        assert runs.gather(named(base, made(1e-6, **change)))["ratio"].isna().any(), change
    assert (
        runs.gather(named(base, made(1e-6, machine_id="x", threads=9, backend_version="9")))["ratio"].notna().all()
    )


def test_the_fastest_of_each_run_meet_whatever_their_device(beside):
    row = next(row for row in beside.fastest.to_dict("records") if row["run"] == "server" and row["ratio"] > 50)
    assert (row["device"], row["op"] != "") == ("cuda", True)
    (table,) = (runs_tables.fastest(entries(beside.fastest, Fastest), beside.labels),)
    line = next(line for line in texts(table) if line[0] == "sigmoid" and line[1] == "8,388,608")
    assert line[2].startswith("torch on cpu")
    assert line[4].startswith(("jax on cuda", "torch on cuda"))
    assert line[-1] == "no"
    assert any("With the fastest backend of each run, on any device" in sentence for sentence in beside.sentences)


def test_a_tie_within_a_run_is_told_and_counts_as_agreement():
    tied = [record(b, median_s=1e-6, ci95_low_s=9e-7, ci95_high_s=1.1e-6) for b in ("numba", "torch")]
    clear = [tied[0] | {"median_s": 5e-6, "ci95_low_s": 5e-6, "ci95_high_s": 5e-6}, tied[1]]
    found = runs_page.beside(named(Run(records=to_frame(tied)), Run(records=to_frame(clear))))
    ((*_, who, _, other, _, _, agree),) = texts(runs_tables.fastest(entries(found.fastest, Fastest), found.labels))
    assert (who, other, agree) == ("numba, shared with 1 other", "torch", "yes")


def test_doubtful_results_and_their_ratios_are_marked(beside):
    rows = beside.rows.query("op == 'tanh' and mode == 'forward' and backend == 'numpy' and n_elements == 1024")
    (line,) = runs_tables.cases(entries(rows, Compared), beside.labels).rows
    assert [cell.shown[0] for cell in (line[2], line[4])] == ["~", "~"]
    assert line[-1].text == "~2.0×"
    assert "doubtful: " in line[-1].tip
    assert any(sentence.startswith("Doubtful results, marked ~: 4 of desk") for sentence in beside.sentences)


def test_what_differs_comes_apart_from_what_is_the_same(beside):
    differing, same = (dict(zip(*zip(*((r[0], r[1:]) for r in texts(t)), strict=True), strict=True)) for t in (
        runs_tables.differences(beside.runs)
    ))  # fmt: skip
    assert differing["CPU"] == ["AMD EPYC 7R13 Processor", "Intel Xeon 8480+"]
    assert differing["torch on cpu"] == ["2.11.0; threads 2", "2.13.0; threads 2; TF32=False"]
    assert differing["device cuda"] == ["not measured", 'NVIDIA "H100" <80 GB>']
    assert differing["commit"][0].endswith("with uncommitted changes")
    assert same["numpy on cpu"] == ["2.3.1; threads 1"] * 2
    assert same["allocation"] == ["fresh and reuse"] * 2


def test_what_a_file_does_not_know_is_no_difference():
    alone = replace(synthetic.run(), machine={"machine_id": "a1b2c3d4e5f6"})
    differing, same = runs_tables.differences(runs.label([("a", synthetic.run()), ("b", alone)]))
    assert not differing.rows
    assert ["CPU", "AMD EPYC 7R13 Processor", "unknown"] in texts(same)


def test_cases_that_only_some_runs_have_come_with_the_reason():
    first = to_frame(
        [record("numpy"), record("jax"), record("torch"), record("numpy", n=9), record("numpy", "step")]
    )
    second = to_frame([record("numpy"), failure("jax", "failed", "37 ULP off"), record("numpy", device="cuda")])
    table = runs_tables.missing(named(Run(records=first), Run(records=second)))
    assert [line[-2:] for line in texts(table)] == [
        ["measured", "failed: 37 ULP off"],
        ["measured", "no such backend in this run"],
        ["measured", "no such shape in this run"],
        ["measured", "no such op in this run"],
        ["no such device in this run", "measured"],
    ]
    assert not runs_tables.missing(named(Run(records=first), Run(records=first))).rows


def test_runs_of_one_name_get_labels_that_tell_them_apart():
    run = synthetic.run()
    later = replace(run, records=run.records.assign(timestamp="2026-05-01T00:00:00Z"))

    def labels(*found: tuple[str, Run]) -> list[str]:
        return [each.label for each in runs.label(found)]

    assert labels(("desk", run), ("server", synthetic.server())) == ["desk", "server"]
    assert labels(("home.json", run), ("work.json", run)) == ["desk (home)", "desk (work)"]
    assert labels(("desk", run), ("desk", replace(run, machine={"machine_id": "f00"}))) == [
        "desk (a1b2c3d4e5f6)",
        "desk (f00)",
    ]
    assert labels(("desk", run), ("desk", later)) == ["desk (2026-03-21 10:15)", "desk (2026-05-01 00:00)"]
    assert labels(("desk", run), ("desk", run)) == ["desk (1)", "desk (2)"]
    unnamed = replace(run, saved_as="")
    assert labels(("h100/records.csv", unnamed), ("home/records.csv", unnamed)) == ["h100", "home"]
    tricky = (("desk", run), ("desk", run), ("x", replace(run, saved_as="desk (1)")))
    assert len(set(labels(*tricky))) == 3
    assert len(labels(("x", replace(run, saved_as="long " * 100)))[0]) <= 40


def test_views_are_chosen_by_what_varies_and_the_first_exists(beside):
    found = views.choose(beside.rows, runs_tables.CASES_BY)
    offered = views.dimensions([view.facets for view in found])
    assert [name for name, _ in offered] == ["mode", "device", "allocation", "backend"]
    assert list(found[0].facets.values()) == [values[0] for _, values in offered]
    assert len({view.label for view in found}) == len(found)
    assert sum(len(view.rows) for view in found) == len(beside.rows)
    every = set(itertools.product(*(values for _, values in offered)))
    assert {tuple(view.facets.values()) for view in found} < every


def test_the_page_has_its_sections_in_order_and_loads_nothing(html):
    assert re.findall(r"<h2>(.*?)</h2>", html) == [
        "The answer",
        "The fastest backend of each run",
        "Case by case",
        "Speed against size",
        "What differs between the runs",
        "What is not measured in every run, and why",
        "How the runs are compared",
    ]
    ids = re.findall(r'<section id="(\w+)">', html)
    assert ids == re.findall(r'<a href="#(\w+)">', html.partition("<main>")[0])
    for tag, attributes in Page(html).tags:
        assert "src" not in attributes
        assert (attributes.get("href") or "#").startswith(("#", "data:"))
        assert tag != "link"
    assert html.count("<table") == html.count("<caption>")
    assert len(html.encode()) < 4e6


def test_every_view_has_a_choice_and_every_chart_a_figure_with_a_line_per_run(html):
    import plotly.graph_objects as go  # late: it takes a second to import

    figures = json.loads(unpacked(html, "figures"))
    assert set(figures) == set(re.findall(r'data-figure="([^"]+)"', html))
    for figure in itertools.islice(figures.values(), 0, None, 7):
        go.Figure(figure)
    fastest = figures["speed-0-0"]["data"]
    assert [trace["name"] for trace in fastest] == ["desk", "server"]
    assert "server: " in fastest[1]["customdata"][0][0]
    assert any([trace["name"] for trace in figure["data"]][-1] == "server on cuda" for figure in figures.values())
    for name, n in (("fastest", 2), ("cases", 4), ("speed", 3)):
        block = re.search(rf'data-chooser="{name}">(.*?)</div>', html, re.DOTALL)
        assert block
        assert block[1].count("data-facet") == n


def test_names_never_become_markup():
    quoted = "GPU \"of\" 'quotes' & <b>tags</b></script>"
    rows = [
        record(backend, op=HOSTILE, device=device, device_name=quoted, dtype=dtype, cache=HOSTILE, warning=HOSTILE)
        for backend in ("numpy", HOSTILE)
        for device in ("cpu", quoted)
        for dtype in (HOSTILE, quoted)
    ]
    rows.append(failure(HOSTILE, "failed", f"{HOSTILE} {quoted}", op=HOSTILE))
    run = Run(
        records=to_frame(rows),
        machine={HOSTILE: HOSTILE, "machine_id": quoted, "cpu": quoted},
        saved_as=HOSTILE,
        command=HOSTILE,
        warnings=(Caveat(HOSTILE),),
        regression=HOSTILE,
    )
    found = runs_page.beside(runs.label([("x", run), ("x", replace(run, records=to_frame(rows[:3])))]))
    html = runs_page.render(found, runs.flat(found.runs, found.rows))
    assert HOSTILE not in html
    assert "<b>tags" not in html
    assert [tag for tag, _ in Page(html).tags].count("script") == 3
    figures = unpacked(html, "figures")
    assert "<script" not in figures
    assert "&lt;script&gt;" in figures
    assert "<script" not in runs_page.to_markdown(found)


@pytest.mark.parametrize(
    "records", [[], [failure("jax", "crashed", "signal SIGSEGV", op="relu")], [{"op": "relu"}]]
)
def test_runs_without_results_still_give_a_page_that_says_so(records, tmp_path):
    found = runs_page.beside(named(Run(records=to_frame(records)), Run(records=to_frame(records))))
    paths = runs_page.write(found, tmp_path)
    assert "No case was measured in both runs" in Page(paths[0].read_text(encoding="utf-8")).text
    half = runs_page.beside(named(Run(records=to_frame(records)), made(1e-6)))
    runs_page.write(half, tmp_path)


def test_the_csv_has_a_row_per_case_and_run(beside):
    table = runs.flat(beside.runs, beside.rows)
    assert list(table.columns) == list(CSV_COLUMNS)
    assert not table.duplicated([*KEYS, "run"]).any()
    assert len(table) == sum(len(each.run.records) for each in beside.runs)
    slower = table.query("run == 'server' and op == 'relu' and backend == 'numpy' and mode == 'forward'")
    assert slower["ratio"].tolist() == pytest.approx([1 / 1.5] * len(slower))
    assert table.loc[table["run"] == "desk", "verdict"].fillna("").eq("").all()


def test_markdown_escapes_names_and_shows_every_case():
    found = runs_page.beside(runs.label([("a|b", made(1e-6)), ("c", made(2e-6))]))
    text = runs_page.to_markdown(found)
    assert "| a\\|b" in text
    assert "0.50×" in text


@pytest.fixture
def results(tmp_path):
    """Return a results folder with two journals, saved as `desk` and `server`."""
    folder = tmp_path / JOURNALS
    folder.mkdir(parents=True)
    for name, run in (("desk", synthetic.run()), ("server", synthetic.server())):
        some = run.records.query("op == 'relu' and allocation == 'fresh'").to_dict("records")
        rows = [{key: value for key, value in row.items() if not pd.isna(value)} for row in some]
        about = {"run_id": rows[0]["run_id"], "saved_as": name, "command": "pytest", "seed": 0}
        opening = {"type": "run", **about, "machine": run.machine}
        with (folder / f"{rows[0]['run_id']}.jsonl").open("w") as file:
            for line in (opening, *({"type": "case", **row} for row in rows), {"type": "end", "time_s": {}}):
                write_journal_line(file, line)
    return tmp_path


def test_the_command_takes_names_and_files_and_writes_three_files(results, capsys):
    table = results / "elsewhere" / "records.csv"
    table.parent.mkdir()
    synthetic.server(2.0, saved_as="laptop").records.query("op == 'relu'").to_csv(table, index=False)
    assert main(["report", "desk", "server", str(table), "--results", str(results)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Over the 32 cases that all 3 runs measured, server is fastest" in said
    for name in runs_page.FILES:
        assert (results / name).stat().st_size
        assert name in said
    assert set(pd.read_csv(results / "runs.csv")["run"]) == {"desk", "server", "laptop"}


def test_a_name_alone_gives_that_run_s_own_report(results):
    assert main(["report", "desk", "--results", str(results)]) == 0
    assert (results / "latest" / "report.html").is_file()
    assert not (results / "runs.html").exists()


def test_an_unknown_run_is_an_error_that_lists_what_there_is(results, capsys):
    assert main(["report", "desk", "laptop", "--results", str(results)]) == 2
    assert "laptop: no such run, number or file; saved are server and desk" in capsys.readouterr().err
    assert not (results / "runs.html").exists()


def test_a_run_that_was_cut_short_or_regressed_is_said(tmp_path):
    found = runs_page.beside(named(made(1e-6), replace(made(1e-6), complete=False, regression="median of relu")))
    assert found.warnings == ("b: The run was cut short.", "b: It failed a comparison: median of relu.")


def many(n):
    """Return so many runs side by side, each on a machine of its own, of one case."""
    found = [
        (f"m{i}", replace(made(1e-6 * (1 + i)), saved_as=f"m{i}", machine={"machine_id": f"{i}", "cores": i}))
        for i in range(n)
    ]
    return runs_page.beside(runs.label(found))


def test_of_many_runs_each_is_chosen_and_shown_with_the_first_alone(tmp_path):
    found = many(12)
    choices = runs_page._cases(found.rows, found.labels)
    assert [each.facets["run"] for each in choices] == found.labels[1:]
    assert all([heading for heading in each.table.headings if "95" in heading] ==
               ["m0, 95 %", f"{each.facets['run']}, 95 %"] for each in choices)  # fmt: skip
    assert found.sentences[0].startswith("Over the 1 case that all 12 runs measured, m0 is fastest")
    assert not any("m7 against m0" in sentence for sentence in found.sentences)
    paths = runs_page.write(found, tmp_path)
    assert "12 runs, each beside m0" in paths[0].read_text()
    assert "Case by case" not in paths[1].read_text(), "a table of 36 columns is for runs.csv"


def test_what_differs_between_many_runs_has_a_line_for_each():
    found = many(12)
    assert found.differing.headings[0] == "run"
    assert [row[0].text for row in found.differing.rows] == found.labels
    assert any(sentence.startswith("The runs differ in machine ID") for sentence in found.sentences)
    assert many(3).differing.headings == ("what", "m0", "m1", "m2")
