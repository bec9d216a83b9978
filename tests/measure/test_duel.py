"""Two sides of a case, each in workers with the policies of the case."""

from __future__ import annotations

import random
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks.measure import duel
from benchmarks.measure.pool import Pool
from benchmarks.record.schema import Case
from benchmarks.stats.effects import Criteria


@pytest.mark.parametrize("memory", ["retained", "released"])
def test_a_side_measures_under_the_policies_of_the_case(monkeypatch, tmp_path, memory):
    seen = []

    def group(entries, pool, *_):
        seen.append(pool)
        raise InterruptedError

    monkeypatch.setattr(duel, "Group", group)
    case = Case(
        op="relu", mode="forward", dtype="float32", shape=(8,), backend="numpy", device="cpu", memory=memory
    )
    side = duel.Side("base", None, Path(), Path())
    fight = duel.Duel(side, side, [case], Criteria(), 1, 0, 1.0, tmp_path / "journal.jsonl")
    pools = [Pool(1), Pool(1)]
    with pytest.raises(InterruptedError):
        fight._compare(1, case, pools)
    assert seen == [pools[0].under(case)]
    assert (seen[0] is pools[0]) == (memory == "retained")


def test_each_side_has_workers_of_its_own(monkeypatch, tmp_path):
    started = []

    class Started:
        def __init__(self, _, *, command, **__):
            started.append(command)

        def close(self): ...

    monkeypatch.setattr(duel, "Pool", Started)
    base, head = (SimpleNamespace(command=lambda name=name: (name,)) for name in ("base", "head"))
    fight = duel.Duel(base, head, [], Criteria(), 1, 0, 1.0, tmp_path / "journal.jsonl")
    fight._order = random.Random(0)
    with fight._pools():
        assert started == [("base",), ("head",)]


def test_a_full_disk_costs_the_file_and_not_the_comparison(tmp_path):
    told = []
    side = duel.Side("base", None, Path(), Path())
    fight = duel.Duel(side, side, [], Criteria(), 1, 0, 1.0, tmp_path / "gone" / "journal.jsonl", say=told.append)
    case = Case(op="relu", mode="forward", dtype="float32", shape=(8,), backend="numpy", device="cpu")
    fight._record(duel.Sitting(case=case, sitting=1, base_status="ok", head_status="ok"))
    assert len(fight.sittings) == 1
    assert told[0].startswith("this sitting is in no file: ")
