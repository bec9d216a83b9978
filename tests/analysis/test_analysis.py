"""The analysis: schema, tables, sentences and the journal."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import quantities
from benchmarks.analysis import tables
from benchmarks.record.frames import to_frame
from benchmarks.record.journal import read_journal, write_journal_line
from benchmarks.record.run import Run, best_samples, with_certificates
from benchmarks.record.schema import ACCURACY_COLUMNS, COLUMNS
from tests import synthetic
from tests.synthetic import record, study

# Frames take milliseconds to build: fewer examples, and no deadline that a busy machine would miss.
few = settings(max_examples=8, deadline=None)
STATUSES = ("ok", "failed", "invalid", "unavailable", "crashed", "timeout", "out_of_memory")
cases = st.lists(
    st.builds(
        record,
        backend=st.sampled_from(["numpy", "numba", "torch"]),
        op=st.sampled_from(["relu", "tanh"]),
        mode=st.sampled_from(["forward", "backward"]),
        n=st.sampled_from([1, 1024, 32768]),
        status=st.sampled_from(STATUSES),
        median_s=st.floats(1e-9, 10),
        device=st.sampled_from(["cpu", "cuda"]),
    ),
    max_size=30,
)


def test_a_frame_has_the_schema_s_columns_in_order_even_without_rows() -> None:
    assert list(to_frame([]).columns) == [column.name for column in COLUMNS]
    assert dict(to_frame([{"op": "relu"}]).dtypes.astype(str)) == {c.name: c.dtype for c in COLUMNS}
    assert len({column.name for column in COLUMNS}) == len(COLUMNS)


def test_what_a_record_lacks_is_empty() -> None:
    frame = to_frame([{"op": "relu", "median_s": None, "n_elements": math.nan}])
    assert frame.drop(columns=["op", "memory", "launch", "saved", "team"]).isna().all(axis=None)
    assert frame["memory"].tolist() == ["released"], "as it was before there was such a column"
    assert frame["team"].tolist() == ["usual"]
    assert frame["launch"].tolist() == ["eager"]
    assert frame["saved"].tolist() == ["input"]


def test_an_unknown_column_is_named_with_the_allowed_ones() -> None:
    with pytest.raises(ValueError, match=r"unknown columns speed; allowed are run_id, .*oracle"):
        to_frame([{"op": "relu", "speed": 1.0}])


@pytest.mark.parametrize(
    ("name", "value"),
    [("median_s", "fast"), ("median_s", [1]), ("rounds", 1.5), ("rounds", "3"), ("git_dirty", 7)],
)
def test_a_value_that_its_column_cannot_hold_is_an_error(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{name}: must hold"):
        to_frame([{name: value}])


def test_numpy_scalars_and_shapes_as_tuples_are_accepted() -> None:
    frame = to_frame(
        [{"shape": (3, 4), "n_elements": np.int64(12), "median_s": np.float32(0.5), "git_dirty": np.True_}]
    )
    assert frame.loc[0, ["shape", "n_elements", "median_s", "git_dirty"]].tolist() == ["3x4", 12, 0.5, True]


def on_own_device(frame: pd.DataFrame) -> pd.DataFrame:
    """Return speed-ups over the baseline on each case's own device."""
    found = study(frame)
    return tables.speedups(tables.rate(found.rows, found.verdicts), found.backends)


def test_medians_have_a_row_per_case_and_the_baseline_first() -> None:
    frame = to_frame([record("torch", n=2048), record("numpy", n=2048), record("torch"), record("numpy")])
    wide = study(frame).medians
    assert list(wide.columns) == ["numpy", "torch"]
    assert list(wide.index.get_level_values("n_elements")) == [1024, 2048]
    assert wide.iloc[0]["torch"] == frame["median_s"][2]


def test_a_case_recorded_twice_counts_once_with_its_later_value() -> None:
    wide = study(to_frame([record("numpy", median_s=1.0), record("numpy", median_s=2.0)])).medians
    assert wide["numpy"].tolist() == [2.0]


@pytest.mark.parametrize("policy", ["allocation", "cache", "timing", "dtype", "device", "shape"])
def test_results_under_different_policies_are_not_compared(policy: str) -> None:
    frame = to_frame([record("numpy"), record("torch", **{policy: "other"})])
    assert len(study(frame).medians) == 2
    assert on_own_device(frame)["torch"].isna().all()


def test_a_missing_policy_is_a_value_like_any_other() -> None:
    frame = to_frame([record("numpy", cache=None), record("torch", cache=None), record("torch")])
    assert study(frame).medians["torch"].notna().tolist() == [True, True]
    assert on_own_device(frame)["torch"].notna().sum() == 1


@few
@given(cases)
def test_the_baseline_is_once_as_fast_as_itself(rows: list[dict[str, object]]) -> None:
    speedups = on_own_device(to_frame(rows))
    if "numpy" in speedups:
        assert (speedups["numpy"].dropna() == 1).all()


@few
@given(cases)
def test_a_speedup_is_a_ratio_of_two_medians(rows: list[dict[str, object]]) -> None:
    frame = to_frame(rows)
    medians, speedups = study(frame).medians, on_own_device(frame)
    pd.testing.assert_index_equal(medians.index, speedups.index)
    for backend in speedups.columns:
        expected = medians["numpy"] / medians[backend] if "numpy" in medians else medians[backend] * math.nan
        pd.testing.assert_series_equal(speedups[backend], expected, check_names=False)


@few
@given(cases)
def test_only_successful_rows_win(rows: list[dict[str, object]]) -> None:
    for across_devices in (False, True):
        found = study(to_frame(rows))
        best = tables.best(found.rows, found.verdicts, across_devices=across_devices)
        for row in best.to_dict("records"):
            good = [r for r in rows if r["status"] == "ok" and r["backend"] == row["fastest"]]
            assert any(r["median_s"] == row["median_s"] for r in good)
            assert not row["ratio"] < 1
            assert row["contenders"]


def test_a_device_without_the_baseline_is_compared_with_the_host_on_request() -> None:
    frame = to_frame([record("numpy", median_s=1.0), record("torch", median_s=0.1, device="cuda")])
    assert on_own_device(frame)["torch"].isna().all()
    on_cuda = study(frame).speedups.xs("cuda", level="device")
    assert on_cuda["torch"].tolist() == [10.0]


def interval(backend: str, low: float, median: float, high: float) -> dict[str, object]:
    return record(backend, median_s=median, ci95_low_s=low, ci95_high_s=high)


def test_a_lead_is_faster_equal_or_too_close_to_call() -> None:
    found = study(to_frame([interval("numpy", 1, 2, 3), interval("jax", 4, 5, 6)])).winners.iloc[0]
    assert (found["fastest"], found["runner_up"], found["ratio"]) == ("numpy", "jax", 2.5)
    assert (found["verdict"], found["outcome"], found["decided"]) == ("faster", "faster", True)
    assert found["low"] < 2.5 < found["high"]
    # These intervals overlap, and their medians differ all the same.
    found = study(to_frame([interval("numpy", 1.9, 2, 2.9), interval("jax", 2.8, 3, 3.1)])).winners.iloc[0]
    assert found["outcome"] == "too close to call"
    found = study(to_frame([interval("numpy", 1, 2, 4), interval("jax", 1.9, 3, 6)])).winners.iloc[0]
    assert (found["outcome"], found["open"], found["decided"]) == ("too close to call", "jax", False)
    found = study(to_frame([interval("numpy", 1.99, 2, 2.01), interval("jax", 2, 2.01, 2.02)])).winners.iloc[0]
    assert (found["outcome"], found["equal"], found["decided"]) == ("equal", "jax", True)
    assert found["contenders"] == "numpy, jax"


def test_only_those_that_are_not_beaten_share_a_lead() -> None:
    rows = [interval("numpy", 1, 2, 3), interval("jax", 4, 5, 6), interval("torch", 2, 9, 20)]
    row = study(to_frame(rows)).winners.iloc[0]
    assert (row["verdict"], row["outcome"]) == ("faster", "too close to call")
    assert (row["contenders"], row["runner_up"]) == ("numpy, torch", "jax")


def test_intervals_that_are_unknown_decide_nothing() -> None:
    row = study(to_frame([interval("numpy", 1, 2, 3), interval("jax", math.nan, 50, math.nan)])).winners.iloc[0]
    assert row["outcome"] == "too close to call"


def test_a_verdict_is_doubtful_where_the_first_or_the_runner_up_has_a_warning() -> None:
    rows = [interval("numpy", 1, 1, 1), interval("jax", 2, 2, 2), interval("torch", 3, 3, 3)]
    for backend, timed, verdict in (("numpy", True, True), ("jax", False, True), ("torch", False, False)):
        marked = [row | {"warning": "hot" if row["backend"] == backend else None} for row in rows]
        winners = study(to_frame(marked)).winners
        assert winners[["time_doubtful", "verdict_doubtful"]].to_numpy().tolist() == [[timed, verdict]]


def test_doubts_that_differ_in_numbers_are_one_told_by_the_typical_of_them() -> None:
    texts = ["9% slower", "1,200% slower; 3% subnormal", "12% slower", "7% faster", None, ""]
    rows = [record("numpy", f"op{i}", warning=text) for i, text in enumerate(texts)]
    rows.append(synthetic.failure("jax", "failed", "wrong") | {"warning": "5% slower"})
    found = study(to_frame(rows)).doubts
    assert [each.reason for each in found] == ["12% slower", "3% subnormal", "7% faster"]
    assert [each.n_cases for each in found] == [3, 1, 1]
    assert not study(to_frame([])).doubts


def test_a_single_result_has_no_runner_up_and_shares_with_nobody() -> None:
    row = study(to_frame([record("numpy")])).winners.iloc[0]
    assert row["runner_up"] == ""
    assert math.isnan(row["ratio"])
    assert (row["verdict"], row["equal"], row["open"]) == ("", "", "")


def test_overall_means_cover_only_cases_that_all_have() -> None:
    rows = [record("numpy", op, median_s=8.0) for op in ("a", "b", "c")]
    rows += [record("torch", op, median_s=m) for op, m in (("a", 4.0), ("b", 1.0), ("c", 8.0))]
    rows += [record("jax", op, median_s=2.0) for op in ("a", "b")]
    rows += [record("rare", "c", median_s=1e-9)]
    means = study(to_frame(rows)).overall.set_index("backend")
    assert means["speedup"].to_dict() == pytest.approx({"numpy": 1, "torch": 4, "jax": 4})
    assert set(means["n_cases"]) == {2}
    assert set(means["n_doubtful"]) == {0}


def test_a_mean_over_doubtful_results_is_marked_where_it_is_told() -> None:
    rows = [record("numpy", op, median_s=8.0, warning=None) for op in ("a", "b")]
    rows += [record(name, op, median_s=2.0, warning=None) for op in ("a", "b") for name in ("torch", "jax")]
    rows[2]["warning"] = "the machine was 9 % slower"
    means = study(to_frame(rows)).overall.set_index("backend")
    assert means["n_doubtful"].to_dict() == {"numpy": 0, "torch": 1, "jax": 0}
    (sentence,) = [text for text in study(to_frame(rows)).summary.headline if "geometric mean" in text]
    assert "torch ~4.00" in sentence
    assert "jax 4.00" in sentence


def test_problems_name_each_reason_once_with_its_count() -> None:
    folded = synthetic.made_up().problems
    assert len({(each.status, each.reason) for each in folded}) == len(folded)
    assert sum(each.n_cases for each in folded) == (synthetic.run().records["status"] != "ok").sum()
    statuses = [each.status for each in folded]
    assert statuses == sorted(statuses, key=lambda status: status == "unavailable")


def sizes(**times: tuple[float, ...]) -> pd.DataFrame:
    """Return records of sigmoid, a median per backend and size (1,024, then 4 times more each)."""
    return to_frame(
        record(backend.replace("_", "-"), n=1024 * 4**i, median_s=t, ci95_low_s=0.99 * t, ci95_high_s=1.01 * t)
        for backend, medians in times.items()
        for i, t in enumerate(medians)
    )


def test_a_sentence_gives_ranges_of_sizes_and_speedups() -> None:
    frame = sizes(numpy=(1.0, 9.0, 16.0), torch=(1.5, 3.0, 4.0))
    (sentence,) = study(frame).summary.speed
    assert sentence == (
        "sigmoid forward, float32 on cpu: numpy is fastest at 1,024 elements (1.50 times the runner-up, torch); "
        "torch from 4,096 on (3.00 to 4.00 times numpy)."
    )


def test_a_sentence_says_when_one_wins_everywhere() -> None:
    assert (
        "torch is fastest at every size (2.00 times numpy)"
        in study(sizes(numpy=(2.0, 4.0), torch=(1.0, 2.0))).summary.speed[0]
    )


def test_a_sentence_says_who_is_equal_and_what_is_too_close_to_call() -> None:
    frame = sizes(numpy=(9.0, 9.0), torch=(3.0, 1.0), jax=(3.01, 2.0))
    assert (
        "torch = jax (equal) at 1,024 elements (1.00 times the runner-up, jax, 95 % interval 0.989–1.02; "
        "3.00 times numpy); torch at 4,096" in study(frame).summary.speed[0]
    )
    close = study(sizes(numpy=(9.0,), torch=(3.0,), jax=(3.15,))).summary.speed[0]
    assert "too close to call: torch, jax at 1,024 elements, the only size (1.05 times the runner-up, jax" in close
    assert study(sizes(numpy=(9.0,), torch=(3.0,), jax=(3.15,))).tally == [
        "Of 1 group (1 op), in 1 it is too close to call."
    ]


def test_a_sentence_without_the_baseline_compares_with_the_runner_up() -> None:
    assert "(2.00 times the runner-up, jax)" in study(sizes(torch=(1.0,), jax=(2.0,))).summary.speed[0]
    assert "(the only result)" in study(sizes(torch=(1.0,))).summary.speed[0]


def test_policies_are_named_only_where_they_vary() -> None:
    assert "hot" not in study(to_frame([record("numpy")])).summary.speed[0]
    both = study(to_frame([record("numpy"), record("numpy", cache="cold")])).summary.speed
    assert [sentence.split(":")[0].split(", ")[-1] for sentence in both] == ["cold", "hot"]


def test_the_summary_of_nothing_says_so() -> None:
    empty = study(to_frame([])).summary
    assert empty.sentences == [
        "Nothing was measured: the run has no records.",
        "Accuracy was not checked in this run.",
    ]
    failed = to_frame([synthetic.failure("jax", "crashed", "signal SIGSEGV")] * 3)
    assert "all 3 cases ended without a result" in study(failed).summary.sentences[0]


def test_accuracy_sentences_name_deviations_and_failures() -> None:
    text = "\n".join(synthetic.made_up().summary.accuracy)
    assert "53 of 60 accuracy checks are within budget" in text
    assert "torch has known deviations in 3 checks; the largest, ∞ ULP, is relu backward" in text
    assert "numba-parallel: 1 case failed (categorical_cross_entropy): 37.2 ULP" in text


@few
@given(cases)
def test_any_records_can_be_summed_up(rows: list[dict[str, object]]) -> None:
    for sentence in study(to_frame(rows)).summary.sentences:
        assert "nan" not in sentence.lower()
        assert sentence.endswith(".")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (1e-3, "0.00100"), (0.0123, "0.0123"), (999.6, "1,000"), (123456, "123,456"),
     (2**24, "1.68×10⁷"), (3e-7, "3.00×10⁻⁷"), (-2.5, "-2.50"), (5e-324, "4.94×10⁻³²⁴"),
     (math.inf, "∞"), (math.nan, "–")],
)  # fmt: skip
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert quantities.number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.23e-5, "12.3 µs"), (9.999e-4, "1.00 ms"), (5e-10, "0.500 ns"), (61, "61.0 s"), (0, "0 ns")],
)
def test_durations_have_the_unit_that_suits_them(value: float, text: str) -> None:
    assert quantities.seconds(value) == text


values = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats() | st.text()


@few
@given(st.lists(st.dictionaries(st.text(), values | st.lists(values, max_size=3))))
def test_a_journal_gives_back_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, object]]
) -> None:
    path = tmp_path_factory.mktemp("journal") / "journal.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            write_journal_line(file, row)
    assert read_journal(path) == [_as_json(row) for row in rows]


def _as_json(value: object) -> object:
    """Return `value` as the journal promises to give it back: JSON has no NaN and no infinities."""
    if isinstance(value, dict):
        return {key: _as_json(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_as_json(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def test_records_survive_the_journal_with_infinities_and_gaps(tmp_path: Path) -> None:
    rows = [
        record("numpy", max_ulp=math.inf, mean_ulp=math.nan),
        record("jax", n_elements=np.int64(7), reason=pd.NA),
    ]
    path = tmp_path / "journal.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            write_journal_line(file, row)
    for line in path.read_text(encoding="utf-8").splitlines():
        json.loads(line, parse_constant=pytest.fail)
    pd.testing.assert_frame_equal(to_frame(read_journal(path)), to_frame(rows))


@few
@given(st.integers(1, 400))
def test_a_journal_cut_short_keeps_its_whole_lines(tmp_path_factory: pytest.TempPathFactory, n_lost: int) -> None:
    path = tmp_path_factory.mktemp("journal") / "journal.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for backend in ("numpy", "jax"):
            write_journal_line(file, record(backend, reason="é" * 50))
    content = path.read_bytes()
    path.write_bytes(content[:-n_lost])
    # Losing only the newline leaves the record whole.
    assert [row["backend"] for row in read_journal(path)] == (["numpy"] if n_lost > 1 else ["numpy", "jax"])


def test_a_damaged_line_in_the_middle_is_an_error_with_its_number(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text('{"op": "relu"}\n{"op": \n{"op": "tanh"}\n', encoding="utf-8")
    with pytest.raises(ValueError, match=r"journal\.jsonl:2: is not JSON"):
        read_journal(path)
    path.write_text("[1]\n", encoding="utf-8")
    with pytest.raises(ValueError, match="must be a JSON object; got list"):
        read_journal(path)


def test_a_run_needs_nothing() -> None:
    assert Run().records.empty
    assert list(Run().curves.columns) == ["op", "x", "y", "derivative"]


def test_a_searched_accuracy_stands_for_the_designed_one() -> None:
    rows = synthetic.accuracy()
    searched = [rows[0] | {"sample": "searched", "max_ulp": 9.0}]
    best = best_samples(to_frame([*searched, *rows], ACCURACY_COLUMNS))
    assert len(best) == len(rows)
    assert best[best["sample"] == "searched"]["max_ulp"].tolist() == [9.0]


def test_certificates_count_for_the_same_versions_and_ops_only() -> None:
    rows = synthetic.accuracy()
    run = Run(accuracy=to_frame([row for row in rows if row["op"] == "tanh"], ACCURACY_COLUMNS))
    certified = to_frame([row | {"sample": "searched"} for row in rows], ACCURACY_COLUMNS)
    certified.loc[certified["backend"] == "torch", "backend_version"] = "0.1"
    merged = with_certificates(run, certified).accuracy
    assert set(merged["op"]) == {"tanh"}
    assert set(merged.loc[merged["sample"] == "designed", "backend"]) == {"torch"}
    assert with_certificates(run, to_frame([], ACCURACY_COLUMNS)).accuracy.equals(run.accuracy)
