"""Shards: a plan in parts that are measured apart, on as many machines or one after the other.

A group, whose cases are compared with each other, is never divided. Which shard a group is of follows from the
plan alone, so that every machine that is given the same command finds the same parts.
"""

from __future__ import annotations

import argparse
import heapq
import re
from collections.abc import Iterable, Mapping

from benchmarks.record.planned import Shard


def parse(text: str) -> Shard:
    """Parse a part of a whole, such as 2/5: the second of five."""
    match = re.fullmatch(r"\s*(\d+)\s*/\s*(\d+)\s*", text)
    if not match:
        raise argparse.ArgumentTypeError(f"must be a part of a whole, such as 2/5; got {text!r}")
    number, of = int(match[1]), int(match[2])
    if not 1 <= number <= of:
        of = max(of, 1)
        nearest = Shard(min(max(number, 1), of), of)
        raise argparse.ArgumentTypeError(f"must be a part of a whole; got {text!r}; the nearest is {nearest}")
    return Shard(number, of)


def divided(kinds: Iterable[Mapping[str, float]], of: int) -> dict[str, int]:
    """Return the shard's number of each unit, given what those of each kind cost: from 1 to `of`.

    Of one kind after the other the costliest first, each to the shard that has least so far: the first kind is
    divided evenly, and so is all of it (longest processing time first, Graham 1969, "Bounds on multiprocessing
    timing anomalies": the costliest shard is at most 4/3 of what the best division would make it).
    """
    loads = [(0.0, number) for number in range(1, of + 1)]
    found = {}
    for costs in kinds:
        for name, cost in sorted(costs.items(), key=lambda unit: (-unit[1], unit[0])):
            load, number = heapq.heappop(loads)
            heapq.heappush(loads, (load + cost, number))
            found[name] = number
    return found
