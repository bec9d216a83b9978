"""Runs of the same plan: what they decide, and which of their verdicts cannot both be true."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from benchmarks.record.schema import PAIR_COLUMNS, POLICIES
from benchmarks.validation import repeats
from tests import synthetic

SURE, SAME, OPEN = (1.4, 1.2, 1.6), (1.0, 0.98, 1.02), (1.1, 0.9, 1.3)


def run(name, *found, op="relu"):
    """Return a run of one group: pairs of the faster and the slower one, with the ratio and its interval."""
    same = {"op": op, "mode": "forward", "dtype": "float32", "shape": "1000", "turns": 60, "margin": 0.05}
    places = {"device": "cpu", "other_device": "cpu", "placement": 0.0, **dict.fromkeys(POLICIES, "")}
    rows = [
        {**same, **places, "backend": faster, "other": slower, "ratio": ratio, "low": low, "high": high}
        for faster, slower, (ratio, low, high) in found
    ]
    pairs = pd.DataFrame(rows).reindex(columns=[column.name for column in PAIR_COLUMNS])
    return replace(synthetic.run(), pairs=pairs, saved_as=name, elapsed_s=100.4)


NUMBA = [("numba", "numpy", SURE), ("numba", "torch", SURE), ("numpy", "torch", OPEN)]


@pytest.mark.parametrize(
    ("again", "contradicted"),
    [
        (NUMBA, False),
        ([("numpy", "numba", SURE), ("numpy", "torch", SURE), ("numba", "torch", SURE)], True),
        # Another one has the smaller median, but nobody says that it is faster.
        ([("numpy", "numba", OPEN), ("numpy", "torch", SURE), ("numba", "torch", SURE)], False),
        ([("numba", "numpy", SAME), ("numba", "torch", SURE), ("numpy", "torch", SURE)], True),
        ([("numpy", "numba", SAME), ("numpy", "torch", SURE), ("numba", "torch", SURE)], True),
        # 1.04 at least, and 1.04 at most: both can be true.
        ([("numba", "numpy", (1.0, 0.97, 1.2)), ("numba", "torch", SURE), ("numpy", "torch", SURE)], False),
        # What is said of those behind the leader is no answer to which is the fastest.
        ([("numba", "numpy", SURE), ("numba", "torch", SURE), ("torch", "numpy", SURE)], False),
        # A backend that failed contradicts nobody.
        ([("numpy", "torch", SURE)], False),
    ],
)
def test_two_runs_contradict_each_other_where_both_cannot_be_true(again, contradicted):
    (one,) = repeats.groups(run("a", *NUMBA)).values()
    (other,) = repeats.groups(run("b", *again)).values()
    assert one.leader == ("numba", "cpu")
    assert repeats.contradict(one, other) is repeats.contradict(other, one) is contradicted


def test_each_run_has_a_row_and_all_of_them_a_share():
    wrong = [("numpy", "numba", SURE), ("numpy", "torch", OPEN), ("torch", "numba", OPEN)]
    found = repeats.table([run("a", *NUMBA), run("b", *NUMBA), run("c", *wrong)])
    assert found.to_numpy().tolist() == [
        ["a", "100", "1 of 1", "1 of 2"],
        ["b", "100", "1 of 1", "1 of 2"],
        ["c", "100", "0 of 1", "2 of 2"],
        ["all of them, two by two", "", "", "2 of 3 (66.7 %)"],
    ]


def test_runs_that_cannot_be_held_against_each_other_are_refused():
    with pytest.raises(ValueError, match="two runs or more"):
        repeats.table([run("a", *NUMBA)])
    with pytest.raises(ValueError, match="a and b have no group in common"):
        repeats.table([run("a", *NUMBA), run("b", *NUMBA, op="gelu")])
