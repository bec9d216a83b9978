"""Surprises: what is slower than the other results lead one to expect, and what only looks so."""

from __future__ import annotations

from benchmarks.record.frames import to_frame
from benchmarks.record.schema import COST_COLUMNS
from tests.synthetic import record, study

LARGE = 1_000_000


def row(
    backend: str, seconds: float, n: int = LARGE, half_width: float = 0.01, **more: object
) -> dict[str, object]:
    interval = {"ci95_low_s": seconds * (1 - half_width), "ci95_high_s": seconds * (1 + half_width)}
    return record(backend, **{"n": n, "median_s": seconds, "threads": 2, **interval, **more})  # type: ignore[arg-type]


def told(*rows: dict[str, object], call_s: float = 1e-6) -> list[str]:
    """Return the sentences of a run in which a call on one element takes `call_s`."""
    backends = dict.fromkeys(str(each["backend"]) for each in rows)
    costs = to_frame([{"backend": name, "device": "cpu", "call_s": call_s} for name in backends], COST_COLUMNS)
    return [surprise.sentence for surprise in study(to_frame(rows), costs=costs).surprises]


def test_slower_than_numpy_is_one() -> None:
    assert told(row("numpy", 1e-3), row("jax", 1.4e-3)) == [
        "jax sigmoid at 1,000,000: 1.40 ms, 1.4× the 1.00 ms of numpy"
    ]
    assert told(row("numpy", 1e-3), row("jax", 1.2e-3)) == []


def test_far_behind_the_fastest_is_one_but_not_numpy() -> None:
    assert told(row("numpy", 9e-3), row("torch", 1e-3), row("jax", 5e-3)) == [
        "jax sigmoid at 1,000,000: 5.00 ms, 5.0× the 1.00 ms of torch, the fastest"
    ]


def test_fewer_threads_may_take_longer() -> None:
    assert told(row("torch", 1e-3), row("numba", 7e-3, threads=1)) == []
    assert len(told(row("torch", 1e-3), row("numba", 9e-3, threads=1))) == 1


def test_a_call_s_own_cost_is_none() -> None:
    rows = row("numpy", 1e-6, 1000), row("torch", 2e-5, 1000)
    assert told(*rows, call_s=1.5e-5) == []
    assert len(told(*rows, call_s=1e-6)) == 1


def test_an_element_that_takes_longer_at_a_larger_size_is_one_unless_it_does_for_all() -> None:
    numba = row("numba", 1e-6, 1000), row("numba", 5e-3, LARGE)
    assert told(*numba, row("jax", 1e-6, 1000), row("jax", 1e-3, LARGE)) == [
        "numba sigmoid at 1,000,000: 5.00 ns per element, 5.0× that at 1,000 (the others: 1.0×)"
    ]
    assert told(*numba, row("jax", 1e-6, 1000), row("jax", 4e-3, LARGE)) == []


def test_peers_are_not_judged() -> None:
    assert told(row("numpy", 1e-3), row("keras-jax", 3e-3, peer=True)) == []


def test_what_may_be_noise_is_none() -> None:
    assert told(row("numpy", 1e-3), row("jax", 1.4e-3, half_width=0.2)) == []
    assert told(row("numpy", 1e-3), row("jax", 3e-3, warning="the machine was slow")) == []
    assert told(row("numpy", 1e-3), row("jax", 3e-3, ci95_low_s=None, ci95_high_s=None)) == []


def test_a_backend_is_named_once_for_an_op_and_mode_where_it_is_worst() -> None:
    sizes = {LARGE: 2e-3, 2 * LARGE: 8e-3}
    rows = [row("numpy", n * 1e-9, n) for n in sizes] + [row("jax", s, n) for n, s in sizes.items()]
    assert told(*rows) == ["jax sigmoid at 2,000,000: 8.00 ms, 4.0× the 2.00 ms of numpy"]
    more = [
        row(name, seconds, n, mode="backward")
        for n, scale in ((1, 1e-6), (LARGE, 1e-3))
        for name, seconds in (("numpy", scale), ("jax", 3 * scale))
    ]
    assert [text.split(":")[0] for text in told(*rows, *more)] == [
        "jax sigmoid backward at 1,000,000",
        "jax sigmoid forward at 2,000,000",
    ][::-1]


def test_nothing_measured_surprises_nobody() -> None:
    assert told() == []
