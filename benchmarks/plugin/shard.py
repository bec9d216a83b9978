"""`--shard`: of all that is asked for, a run keeps the groups and checks of one part."""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import compress

import pytest

from benchmarks.plan import shards
from benchmarks.plugin import expected, suites
from benchmarks.quantities import plural
from benchmarks.record.planned import SHARD, WHOLE, Shard

OPTION = SHARD
ALL: pytest.StashKey[Sequence[pytest.Item]] = pytest.StashKey()
"""The tests of all shards; absent where the run is no shard."""


def add_options(group: pytest.OptionGroup) -> None:
    """Declare the option."""
    group.addoption(
        OPTION,
        type=shards.parse,
        metavar="I/N",
        help="measure one of N parts of what is asked for, such as 2/5; `merge` makes them one run (default: all)",
    )


def choose(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the tests of this shard alone; raise pytest.UsageError where there are more shards than groups."""
    asked: Shard | None = config.option.shard
    if asked is None:
        return
    config.stash[ALL] = list(items)
    units = list(map(unit_of, items))
    numbers = shards.divided(_costs(config, items, units), asked.of)
    if asked.of > (most := max(1, len(numbers))):
        raise pytest.UsageError(f"{OPTION}: there is enough for {plural(most, 'shard')}; got {asked}")
    is_ours = [not unit or numbers[unit] == asked.number for unit in units]
    config.hook.pytest_deselected(items=[item for item, ours in zip(items, is_ours, strict=True) if not ours])
    items[:] = compress(items, is_ours)


def conditions(config: pytest.Config) -> Mapping[str, str]:
    """Return which part of which plan this run is to measure."""
    if (asked := config.option.shard) is None:
        return {SHARD: "none"}
    ids = " ".join(item.nodeid for item in config.stash[ALL])
    return {SHARD: str(asked), WHOLE: f"{len(config.stash[ALL])} tests ({zlib.crc32(ids.encode()):08x})"}


def elsewhere(config: pytest.Config, items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """Return the tests that other shards than that of `items` run."""
    here = {item.nodeid for item in items}
    return [item for item in config.stash.get(ALL, ()) if item.nodeid not in here]


def unit_of(item: pytest.Item) -> str:
    """Return what is never divided: a group, or the checks of one op; empty for what every shard does."""
    if timed := suites.case_of(item):
        return timed.group
    if suites.is_timed(item):
        return ""  # what a call costs on this machine
    return f"checks of {suites.params_of(item).get('op', item.nodeid)}"


def _costs(config: pytest.Config, items: Sequence[pytest.Item], units: Sequence[str]) -> list[Mapping[str, float]]:
    """Return about how many seconds each unit takes: the groups', which count most, and then the checks'."""
    steps = expected.steps(items, float(config.option.benchmark_max_time), config.option.processes)
    groups, checks = dict[str, float](), defaultdict[str, float](float)
    for item, unit in zip(items, units, strict=True):
        step = steps[item.nodeid]
        if step.name == unit:
            groups[unit] = step.usual_s  # the time of all its tests
        elif unit:
            checks[unit] += step.usual_s
    return [groups, checks]
