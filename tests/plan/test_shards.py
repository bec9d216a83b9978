"""A plan in shards: the parts are about equal, and every machine finds the same."""

from __future__ import annotations

import argparse
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.plan.shards import divided, parse
from benchmarks.record.planned import Shard

COSTS = st.dictionaries(st.text(min_size=1), st.floats(0.01, 100), min_size=1, max_size=60)


@given(COSTS, st.integers(1, 9))
def test_each_unit_is_in_one_shard_and_no_shard_has_much_more_than_another(costs, of):
    found = divided([costs], of)
    assert found.keys() == costs.keys()
    loads = [sum(costs[name] for name, number in found.items() if number == each) for each in range(1, of + 1)]
    assert sum(loads) == pytest.approx(sum(costs.values()))
    # What makes the fullest shard too full is the last unit that it was given.
    assert max(loads) - min(loads) <= max(costs.values()) + 1e-9


@given(COSTS, st.integers(1, 9), st.randoms())
def test_the_order_in_which_units_come_does_not_matter(costs, of, chance: random.Random):
    names = list(costs)
    chance.shuffle(names)
    assert divided([{name: costs[name] for name in names}], of) == divided([costs], of)


def test_equal_units_are_dealt_evenly():
    found = list(divided([{f"group {i}": 1.0 for i in range(10)}], 5).values())
    assert [found.count(number) for number in range(1, 6)] == [2] * 5


def test_each_kind_of_unit_fills_what_the_one_before_has_left():
    groups, checks = dict.fromkeys("abc", 1.0), {"x": 1.0, "y": 0.5}
    found = divided([groups, checks], 2)
    assert [found[name] for name in "abc"] == [1, 2, 1]
    assert [found[name] for name in "xy"] == [2, 1]


def test_a_shard_is_read_as_it_is_written():
    assert parse("2/5") == parse(" 2 / 5 ") == Shard(2, 5)
    assert str(Shard(2, 5)) == "2/5"


@pytest.mark.parametrize(
    ("text", "nearest"),
    [("6/5", "5/5"), ("0/5", "1/5"), ("1/0", "1/1"), ("two", None), ("2", None), ("-1/2", None)],
)
def test_what_is_no_part_of_a_whole_is_refused_with_the_nearest(text, nearest):
    with pytest.raises(argparse.ArgumentTypeError) as caught:
        parse(text)
    assert repr(text) in str(caught.value)
    assert str(caught.value).endswith(f"the nearest is {nearest}" if nearest else f"got {text!r}")
