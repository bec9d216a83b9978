"""Does a second thread pay: from which size on, by how much, and in which words."""

from __future__ import annotations

import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.analysis import threads
from benchmarks.analysis.ranges import from_on
from benchmarks.analysis.study import Study
from benchmarks.record.frames import to_frame
from benchmarks.stats.pairs import CLOSE, EQUAL, FASTER
from tests.synthetic import record, study

SIZES = (1024, 32_768, 1_048_576)


def timed(seconds: float, n_threads: int, **more: object) -> dict[str, object]:
    """Return a record of a backend under a team of so many threads, all of which took effect, known to 1 %."""
    ends = {"ci95_low_s": 0.99 * seconds, "ci95_high_s": 1.01 * seconds}
    about = {"team": f"{n_threads}thread{'s' * (n_threads > 1)}", "threads": n_threads, "warning": ""}
    return record(**{"backend": "torch", "median_s": seconds, **ends, **about, **more})  # type: ignore[arg-type]


def curve(*ratios: float, many: int = 2, **more: object) -> list[dict[str, object]]:
    """Return records of one op in ascending size, in which more threads gain this much."""
    return [
        timed(seconds, n_threads, n=n, **more)
        for n, ratio in zip(SIZES, ratios, strict=False)
        for n_threads, seconds in ((1, 1e-3), (many, 1e-3 / ratio))
    ]


def told(*curves: list[dict[str, object]]) -> list[str]:
    found = study(to_frame([row for rows in curves for row in rows]))
    return threads.sentences(found.thread_gains, found.thread_payoffs)


def payoffs(*curves: list[dict[str, object]]) -> list[float]:
    return [float(n) for n in study(to_frame([r for rows in curves for r in rows])).thread_payoffs["elements"]]


@pytest.mark.parametrize(
    ("ratios", "elements"),
    [
        ((2.0, 2.0, 2.0), 1024),
        ((0.2, 2.0, 2.0), 32_768),
        ((0.2, 1.0, 2.0), 1_048_576),
        ((2.0, 1.0, 2.0), 1_048_576),  # lost again in between
        ((2.0, 2.0, 1.0), math.inf),
        ((1.03, 1.03, 1.03), math.inf),  # within the margin
        ((1.06, 1.06, 1.06), math.inf),  # beyond it, but not surely
        ((0.2, 0.2, 0.2), math.inf),
    ],
)
def test_more_threads_pay_from_where_they_do_at_every_larger_size(
    ratios: tuple[float, ...], elements: float
) -> None:
    assert payoffs(curve(*ratios)) == [elements]


@given(st.lists(st.tuples(st.sampled_from([0.5, 2.0]), st.sampled_from([FASTER, EQUAL, CLOSE])), min_size=1))
def test_from_on_is_the_least_size_without_an_exception_above(found: list[tuple[float, str]]) -> None:
    ratios, verdicts = (pd.Series(list(values)) for values in zip(*found, strict=True))
    sizes = pd.Series([2**i for i in range(len(found))])
    pays = [ratio > 1 and verdict == FASTER for ratio, verdict in found]
    starts = [2.0**i for i in range(len(pays)) if all(pays[i:])]
    assert from_on(sizes, ratios, verdicts) == (starts[0] if starts else math.inf)


def test_the_verdict_is_that_of_policies_side_by_side() -> None:
    found = study(to_frame(curve(0.2, 1.0, 2.0)))
    beside = found.side_by_side
    assert found.thread_gains["ratio"].tolist() == beside["2threads_ratio"].tolist()
    assert found.thread_gains["verdict"].tolist() == beside["2threads_verdict"].tolist() == [FASTER, EQUAL, FASTER]


def test_a_backend_is_told_in_a_sentence_or_two() -> None:
    ops = [curve(0.25, 2.0, 2.0, op="relu"), curve(0.5, 0.5, 2.0, op="tanh"), curve(1.0, 1.0, 1.0, op="step")]
    (sentence,) = told(*ops)
    assert sentence == (
        "torch: a second thread pays from 32,768 elements on in 1 of 3 ops, from 1,048,576 on in 2 and not at the "
        "largest size in 1. At 1,048,576 elements a call is 1.6 times as fast (geometric mean); at worst it takes "
        "4.0 times as long (relu forward, 1,024 elements)."
    )
    (sentence,) = told(curve(1.0))
    assert sentence.startswith(
        "torch: a second thread pays at the largest size in none of 1 op. At 1,024 elements "
    )
    assert "At 1,024 elements a call takes 5.0 times as long; at worst it takes 5.0 " in told(curve(0.2))[0]
    assert told(curve(2.0, mode="backward") + curve(2.0))[0].startswith(
        "torch: a second thread pays at 1,024 elements, the only size, in 2 of 2 combinations of op and mode. "
    )


def test_each_number_of_threads_stands_beside_the_fewest() -> None:
    rows = [*curve(2.0), *curve(3.0, many=4)[1:], *curve(3.1, many=16)[1:]]
    found = study(to_frame(rows))
    assert found.thread_gains[["few", "many"]].to_numpy().tolist() == [[1, 2], [1, 4], [1, 16]]
    lines = threads.brief(found.thread_gains, found.thread_payoffs)
    assert lines[0] == "A second thread, at the largest size: torch 2.0× (pays in 1 of 1 op)."
    assert lines[1] == "4 threads instead of 1, at the largest size: torch 3.0× (pays in 1 of 1 op)."
    assert found.combinations == ["1thread", "2threads", "4threads", "16threads"], "by number, not as text"


def test_what_took_effect_counts_and_not_what_was_given() -> None:
    capped = timed(1e-4, 4, threads=2)  # as many as the processors: the smaller team says it already
    found = study(to_frame([*curve(2.0), capped])).thread_gains
    assert found[["many", "many_s"]].to_numpy().tolist() == [[2, 5e-4]]
    alone = [row | {"threads": 1} for row in curve(2.0)]
    assert study(to_frame(alone)).thread_gains.empty
    assert told(alone) == []


def test_other_policies_are_held_apart() -> None:
    found = study(to_frame([*curve(2.0), *curve(3.0, allocation="reuse")])).thread_gains
    assert found.set_index("allocation")["ratio"].round(6).to_dict() == {"fresh": 2.0, "reuse": 3.0}


def test_a_run_with_one_number_of_threads_has_nothing_to_say() -> None:
    for rows in ([], [record("torch"), record("numpy")]):
        found: Study = study(to_frame(rows))
        assert found.thread_gains.empty
        assert found.thread_payoffs.empty
        assert threads.sentences(found.thread_gains, found.thread_payoffs) == []


def test_doubts_are_counted_and_marked() -> None:
    rows = [row | {"warning": "hot"} for row in curve(2.0)]
    (sentence,) = told(rows)
    assert sentence.endswith("; doubtful: 1 of 1 case.")
    found = study(to_frame(rows))
    assert "torch ~2.0× (" in threads.brief(found.thread_gains, found.thread_payoffs)[0]
