"""What a reader decides by: crossovers, devices, accuracy beside speed, and errors along the functions."""

from __future__ import annotations

import math
import shlex

import pandas as pd
import pytest

from benchmarks.analysis.devices import pays_from
from benchmarks.analysis.entries import entries
from benchmarks.analysis.errors import BOTH, Erring, front
from benchmarks.record.frames import to_frame
from benchmarks.record.schema import ACCURACY_COLUMNS
from benchmarks.report.pages import charts, frontier, gallery
from benchmarks.report.pages.command import restated
from benchmarks.report.palette import styles
from benchmarks.report.sections import accuracy as shown
from benchmarks.report.sections import devices
from tests import synthetic
from tests.synthetic import record, study


def timed(backend, n, seconds, width=0.02, **more):
    ends = {"ci95_low_s": seconds * (1 - width / 2), "ci95_high_s": seconds * (1 + width / 2)}
    facts = {"warning": None, "elements_per_s": n / seconds, **ends}
    return record(backend, n=n, median_s=seconds, **{**facts, **more})


# --- crossovers -----------------------------------------------------------------------------------------------


def test_the_lead_changes_where_another_is_clearly_faster_and_not_at_ties():
    rows = [
        *(timed("numpy", n, s) for n, s in ((10, 1e-6), (100, 2e-6), (1000, 9e-6), (10000, 9e-5))),
        *(timed("torch", n, s) for n, s in ((10, 3e-6), (100, 2.01e-6), (1000, 4e-6), (10000, 9e-6))),
    ]
    found = study(to_frame(rows)).crossovers
    assert found[["n_elements", "winner", "beaten"]].to_numpy().tolist() == [[1000, "torch", "numpy"]]
    assert study(to_frame(rows[:4])).crossovers.empty


def test_a_lead_that_is_lost_again_is_no_change_and_each_policy_has_its_own():
    rows = [
        timed(backend, n, seconds, allocation=allocation)
        for allocation, backends in (("fresh", ("numpy", "torch")), ("reuse", ("torch", "numpy")))
        for n, times in ((10, (1e-6, 2e-6)), (100, (2e-6, 1e-6)), (1000, (1e-6, 2e-6)))
        for backend, seconds in zip(backends, times, strict=True)
    ]
    found = study(to_frame(rows)).crossovers
    assert list(found["winner"]) == ["numpy", "torch"]
    assert list(found["n_elements"]) == [1000, 1000]
    assert list(found["allocation"]) == ["fresh", "reuse"]


def test_the_lead_changes_only_where_the_new_leader_stays_ahead_at_every_larger_size():
    sizes = (10, 100, 1000)
    rows = [timed("numpy", n, s) for n, s in zip(sizes, (1e-6, 3e-6, 3e-6), strict=True)]
    ahead = [timed("torch", n, s) for n, s in zip(sizes, (2e-6, 2e-6, 2.9e-6), strict=True)]
    assert study(to_frame([*rows, *ahead])).crossovers.empty, "equal at the largest size"
    assert study(to_frame([*rows, *ahead[:2]])).crossovers.empty, "not measured at the largest size"
    third = [timed("jax", n, s) for n, s in zip(sizes, (9e-6, 9e-6, 1e-6), strict=True)]
    ahead[2] = timed("torch", 1000, 2e-6)
    found = study(to_frame([*rows, *ahead, *third])).crossovers
    assert found[["n_elements", "winner", "beaten"]].to_numpy().tolist() == [
        [100, "torch", "numpy"],
        [1000, "jax", "torch"],
    ]


def test_a_chart_marks_the_crossover_says_it_and_restates_its_command():
    records = to_frame([timed(b, n, s) for n in (1024, 4096) for b, s in (("numpy", n * 1e-9), ("torch", 2e-6))])
    (board,) = charts.speed_boards(study(records, bandwidth=synthetic.bandwidth()), styles(["numpy", "torch"]))
    (panel,) = board.panels
    beats, time = "From 4,096 elements on, torch beats numpy.", "4,096 elements: torch 2.00 µs, 5.79 GB/s."
    assert panel.note == f"{beats} {time}"
    (line,) = panel.figure["layout"]["shapes"]
    assert line["x0"] == line["x1"] == 4096 * 4 * 2
    assert "--op sigmoid --mode forward --dtype float32 --device cpu --size 1024 4096" in board.command


def test_a_restated_command_selects_the_cases_it_was_made_from():
    rows = to_frame([timed("torch", 64, 1e-6, op="relu", allocation=a) for a in ("fresh", "reuse")])
    words = shlex.split(restated(rows))
    assert words[:2] == ["pytest", "benchmarks/test_timing.py"]
    assert words[words.index("--allocation") + 1 :] == ["fresh", "reuse"]
    assert "--cache" not in words
    shapes = ((1024, 1024), (1024, 32000))
    rows = to_frame([timed("torch", math.prod(s), 1e-6, op="softmax", shape=s) for s in shapes])
    assert "--size 1048576 --shape 1024x32000 --backend" in restated(rows)


# --- devices --------------------------------------------------------------------------------------------------


def on_gpu(n, seconds, moved=(1e-5, 1e-5), pinned=(None, None)):
    return timed(
        "jax", n, seconds, device="cuda", host_to_device_s=moved[0], device_to_host_s=moved[1],
        host_to_device_pinned_s=pinned[0], device_to_host_pinned_s=pinned[1],
    )  # fmt: skip


def test_a_device_is_compared_with_the_fastest_on_the_host_with_and_without_transfers():
    rows = [timed("numpy", 100, 4e-5), timed("torch", 100, 2e-5), on_gpu(100, 1e-5), on_gpu(7, 1e-5)]
    (found,) = study(to_frame(rows)).beside_host.to_dict("records")
    assert (found["host_backend"], found["backend"], found["n_elements"]) == ("torch", "jax", 100)
    assert found["ratio"] == pytest.approx(2)
    assert found["ratio_low"] < 2 < found["ratio_high"]
    assert found["ratio_with_transfers"] == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("seconds", "elements", "with_transfers"),
    [
        ((2e-6, 1e-5, 1e-4), 100, 1000),  # of 1, 10 and 100 us on the host
        ((5e-7, 2e-5, 1e-6), 1000, 1000),  # a small size at which it is faster too does not count
        ((2e-6, 2e-5, 2e-3), math.inf, math.inf),
    ],
)
def test_a_device_pays_from_the_size_on_from_which_it_stays_faster(seconds, elements, with_transfers):
    sizes, host = (10, 100, 1000), (1e-6, 1.7e-5, 1.7e-4)
    moved = (0.0, 0.0) if elements == with_transfers else (1e-5, 1e-5)
    rows = [timed("numpy", n, s) for n, s in zip(sizes, host, strict=True)]
    rows += [on_gpu(n, s, moved) for n, s in zip(sizes, seconds, strict=True)]
    (found,) = pays_from(study(to_frame(rows)).beside_host).to_dict("records")
    assert (found["elements"], found["elements_with_transfers"]) == (elements, with_transfers)
    assert found["largest"] == 1000


def test_transfers_of_pinned_memory_have_columns_of_their_own_where_they_were_measured():
    sizes, host = (10, 100, 1000), (1e-6, 1.7e-5, 1.7e-4)
    rows = [timed("numpy", n, s) for n, s in zip(sizes, host, strict=True)]
    pageable = rows + [on_gpu(n, 2e-6, (1e-4, 1e-4)) for n in sizes]
    pinned = rows + [on_gpu(n, 2e-6, (1e-4, 1e-4), (2e-5, 3e-5)) for n in sizes]
    (found,) = pays_from(study(to_frame(pinned)).beside_host).to_dict("records")
    assert (found["elements"], found["elements_when_pinned"]) == (100, 1000)
    assert math.isinf(found["elements_with_transfers"])
    for rows, n_more in ((pageable, 0), (pinned, 1)):
        beside = study(to_frame(rows)).beside_host
        headings = [column.heading for column in devices.break_even(pays_from(beside)).columns]
        assert ("from pinned memory" in headings) == bool(n_more)
        case_by_case = [column.heading for column in devices.beside_host(beside).columns]
        assert ("transfers, pinned" in case_by_case) == bool(n_more)


def test_unmeasured_transfers_are_unknown_and_a_host_alone_has_no_table():
    rows = to_frame([timed("numpy", 10, 1e-5), timed("jax", 10, 1e-6, device="cuda")])
    beside = study(rows).beside_host
    assert math.isnan(pays_from(beside)["elements_with_transfers"].iloc[0])
    shown = devices.break_even(pays_from(beside))
    assert "not measured" in [cell.text for cell in shown.rows[0]]
    assert not devices.beside_host(study(to_frame([timed("numpy", 10, 1e-5)])).beside_host).rows


# --- accuracy beside speed ------------------------------------------------------------------------------------


def judged(*errors):
    """Return rows of backends a, b, c.., the fastest first, with such errors where 4 ULP are allowed."""
    names = "abcdef"[: len(errors)]
    rows = [timed(name, 100, (1 + i) * 1e-6) for i, name in enumerate(names)]
    checks = [
        {"op": "sigmoid", "mode": "forward", "dtype": "float32", "device": "cpu", "backend": name,
         "status": "ok", "max_ulp": error, "budget_ulp": 4.0}
        for name, error in zip(names, errors, strict=True)
    ]  # fmt: skip
    return study(to_frame(rows), accuracy=to_frame(checks, ACCURACY_COLUMNS))


@pytest.mark.parametrize(
    ("errors", "expected"),
    [((3, 2, 1), "abc"), ((1, 2, 3), "a"), ((3, 5, 1), "ac"), ((math.inf, math.inf, 2), "ac"), ((2, 2), "a")],
)
def test_the_front_holds_what_none_beats_in_speed_and_accuracy(errors, expected):
    assert "".join(row.backend for row in front(entries(judged(*errors).erring, Erring))) == expected


def test_accuracy_has_a_price_only_where_the_fastest_exceeds_the_budget():
    (found,) = judged(1e6, 9, 2, 1).prices.to_dict("records")
    assert (found["fastest"], found["accurate"], found["price"]) == ("a", "c", pytest.approx(3))
    assert judged(4, 1).prices.empty
    (none,) = judged(9, math.inf).prices.to_dict("records")
    assert none["accurate"] == ""
    assert [cell.text for cell in shown.prices(judged(9, math.inf).prices).rows[0]][-3] == "none"


def test_errors_of_both_passes_are_those_of_the_worse_and_unchecked_ops_have_those_of_their_outputs():
    rows = to_frame([timed("torch", 10, 1e-6, mode=BOTH), timed("torch", 10, 1e-6, op="relu", max_ulp=1.5)])
    case = {"op": "sigmoid", "dtype": "float32", "device": "cpu", "backend": "torch", "status": "ok"}
    checks = [
        {**case, "mode": "forward", "max_ulp": 5.0, "budget_ulp": 8.0},
        {**case, "mode": "backward", "max_ulp": 3.0, "budget_ulp": 2.0},
    ]
    found = study(rows, accuracy=to_frame(checks, ACCURACY_COLUMNS)).erring.set_index("op")
    assert (found.loc["sigmoid", "error_ulp"], found.loc["sigmoid", "budget_ulp"]) == (3, 2)
    assert (found.loc["relu", "error_ulp"], found.loc["relu", "budget_ulp"]) == (1.5, math.inf)
    assert {row.op: row.accurate for row in entries(found.reset_index(), Erring)} == {
        "sigmoid": False,
        "relu": True,
    }


def test_what_is_wrong_at_infinities_alone_does_not_count():
    case = {"op": "sigmoid", "mode": "forward", "dtype": "float32", "device": "cpu", "backend": "torch"}
    check = {**case, "status": "known_deviation", "max_ulp": math.inf, "max_ulp_normal": 2.0, "budget_ulp": 4.0}
    found = study(to_frame([timed("torch", 10, 1e-6)]), accuracy=to_frame([check], ACCURACY_COLUMNS)).erring
    assert found["error_ulp"].item() == 2


def test_the_front_is_drawn_with_open_dots_beyond_the_budget_and_endless_errors_at_the_edge():
    rows = judged(math.inf, 0.0).erring
    (board,) = frontier.boards(rows, styles(["a", "b"]))
    line, wrong, right = board.panels[0].figure["data"]
    assert line["y"] == [frontier.MOST_ULP, frontier.LEAST_ULP]
    assert wrong["marker"]["symbol"].endswith("-open")
    assert not right["marker"]["symbol"].endswith("-open")
    assert "beyond its budget of 4" in wrong["customdata"][0][3]
    assert frontier.legend([board])
    assert board.panels[0].note == "From the smallest time to the smallest error: a and b."
    assert not frontier.boards(rows.iloc[:0], {})


# --- errors along the functions -------------------------------------------------------------------------------


def test_the_gallery_draws_errors_under_their_functions_and_says_the_largest():
    run = synthetic.run()
    looks = styles(list(synthetic.COSTS))
    forward, backward = gallery.boards(run.curves, run.curve_errors, looks)
    assert [board.facets["errors of"] for board in (forward, backward)] == ["f(x)", "f′(x)"]
    panels = {panel.title: panel for panel in forward.panels}
    lines = [trace for trace in panels["tanh"].figure["data"] if trace.get("yaxis") == "y2"]
    assert [line["name"] for line in lines] == list(synthetic.COSTS)
    assert max(lines[3]["y"]) == 1e4
    assert lines[3]["customdata"][-1] == "inf"
    assert "jax ∞" in panels["tanh"].note
    assert panels["relu"].note == ""
    assert "yaxis2" not in panels["relu"].figure["layout"]
    (alone,) = gallery.boards(run.curves, run.curve_errors.iloc[:0], looks)
    assert alone.facets == {}


def test_without_any_records_there_is_nothing_to_say():
    empty = study(to_frame([]))
    assert isinstance(empty.erring, pd.DataFrame)
    assert empty.prices.empty
    assert study(to_frame([])).crossovers.empty
    assert study(to_frame([])).beside_host.empty
