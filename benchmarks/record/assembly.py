"""Assembly: the run that a journal's lines tell of."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.machine import roofline
from benchmarks.machine.caveat import Caveat
from benchmarks.machine.roofline import Limit, Roofline
from benchmarks.quantities import listing
from benchmarks.record import contents, merged
from benchmarks.record.planned import Plan, plan_from, unmeasured
from benchmarks.record.rows import Rows, filled, keys_of, require_shapes, to_rows
from benchmarks.record.run import Run, best_samples
from benchmarks.record.schema import (
    ACCURACY_COLUMNS,
    CASE_KEYS,
    COST_COLUMNS,
    PAIR_COLUMNS,
    case_from,
    case_of,
)

Line = dict[str, Any]
"""A line of a journal as it is read, before it becomes part of a Run."""
BESIDE = {"bursts_s", "burst_medians_s", "every_round", "every_iterations"}
"""What stands beside a case's columns in a line."""


def assemble(lines: Sequence[Line]) -> Run:
    """Return the run that a journal's lines tell of; raise what their content makes it raise."""
    by_type: defaultdict[str, list[Line]] = defaultdict(list)
    for line in lines:
        kind = str(line.get("type", ""))
        require_kinds(line)
        by_type[kind].append({name: value for name, value in line.items() if name != "type"})
    run = by_type["run"][0]
    limits = contents.limits(by_type["bandwidth"])
    ends = [*by_type["stop"], *by_type["end"]]
    plan = plan_from(by_type["plan"][-1]) if by_type["plan"] else None
    cases = _cases(by_type)
    whole = merged.names_of_whole(run)
    records = to_rows({name: case.get(name) for name in case.keys() - BESIDE} | whole for case in cases)
    require_shapes(records)
    cut_short = _cut_short(by_type)
    return Run(
        records=_beside_limits(records, limits),
        accuracy=best_samples(to_rows(by_type["accuracy"], ACCURACY_COLUMNS)),
        machine=run["machine"],
        bandwidth=contents.bandwidth(limits),
        curves=contents.curves(_last(by_type["function"], "op")),
        curve_errors=contents.curve_errors(_last(by_type["curve"], "op", "mode", "backend", "device")),
        # Where a run was gone on with, some of this was found out again.
        costs=to_rows(_last(by_type["cost"], "backend", "device"), COST_COLUMNS),
        bursts=contents.bursts(cases),
        pairs=to_rows((pair for group in by_type["group"] for pair in group.get("pairs", ())), PAIR_COLUMNS),
        rounds=contents.rounds(cases),
        command=run["command"],
        saved_as=run["saved_as"],
        warnings=(*cut_short, *dict.fromkeys(map(_caveat, by_type["warning"])), *roofline.doubts(limits)),
        seed=run["seed"],
        time_s=_spent(ends),
        elapsed_s=_elapsed_s(ends),
        precision=run.get("precision"),
        reference_s=ends[-1].get("reference_s") if ends else None,
        run_id=run["run_id"],
        complete=bool(by_type["end"]) and not (plan and plan.shard),
        part=f"shard {plan.shard}" if plan and plan.shard else "",
        n_groups=plan.n_groups if plan else None,
        unmeasured=_unmeasured(plan, cases),
        regression="; ".join(line["reason"] for line in by_type["regressed"]),
    )


def _beside_limits(records: Rows, limits: Sequence[Limit]) -> Rows:
    """Return records with their shares of what was measured at both ends of the run; a line knows the first."""
    roof = Roofline(limits)
    known = filled(records, dict.fromkeys(("gigabytes_per_s", "bytes_moved", "bytes_written"), math.nan))
    moving = keys_of(known, ("gigabytes_per_s", "device", "bytes_moved", "bytes_written", "cache"))
    fractions = [rate / roof.at(*call) for rate, *call in moving]
    warnings = [
        f"{warning or ''}; {roofline.suspicious(fraction)}".strip("; ")
        for warning, fraction in zip(records["warning"], fractions, strict=True)
    ]
    return records.assign(fraction_of_bandwidth=fractions, warning=warnings)


def _last(lines: Sequence[Line], *names: str) -> list[Line]:
    """Return the last of the lines that agree in some of their values, in the order of the first."""
    return list({tuple(str(line.get(name)) for name in names): line for line in lines}.values())


def _spent(ends: Sequence[Line]) -> dict[str, float]:
    """Return what the parts of a run spent their time on, in seconds."""
    found: defaultdict[str, float] = defaultdict(float)
    for end in ends:
        for name, spent_s in end.get("time_s", {}).items():
            found[name] += float(spent_s)
    return dict(found)


def _elapsed_s(ends: Sequence[Line]) -> float | None:
    """Return how long the parts of a run took, as far as they could write it."""
    known = [end["elapsed_s"] for end in ends if end.get("elapsed_s") is not None]
    return sum(known) if known else None


def _unmeasured(plan: Plan | None, cases: Sequence[Line]) -> tuple[str, ...]:
    """Return the groups of a plan that have no line; none of a journal that has no plan."""
    if plan is None:
        return ()
    measured = map(case_from, cases)
    return unmeasured(plan, {(case.group, case.place) for case in measured})


def require_kinds(line: Line) -> None:
    """Raise ValueError for a line that lacks what its type has, or holds something else there."""
    _require(line, _KINDS.get(str(line.get("type", "")), {}))


def _require(line: Line, kinds: Mapping[str, Any]) -> None:
    for name, kind in kinds.items():
        if not isinstance(value := line.get(name), kind):
            raise ValueError(f"{name}: must be {_IN_JSON[kind]}; got {value!r:.80}")  # noqa: TRY004 - the file is wrong


_TEXT = str | None
_NUMBER = int | float | None
_IN_JSON: Mapping[Any, str] = {
    str: "a text",
    _TEXT: "a text or nothing",
    list: "a list",
    dict: "an object",
    _NUMBER: "a number or nothing",
}
_PLACE = {"op": str, "mode": str, "backend": str, "device": str}
_KINDS: Mapping[str, Mapping[str, Any]] = {
    "run": {
        "run_id": str,
        "saved_as": str,
        "command": str,
        "machine": dict,
        "seed": _NUMBER,
        "precision": _NUMBER,
    },
    "plan": {"shares": list, "conditions": dict},
    "begin": {"cases": list},
    "group": {"cases": list},
    "bandwidth": {"device": str},
    "function": {"op": str},
    "curve": _PLACE,
    "warning": {"text": str},
    "regressed": {"reason": str},
    "stop": {"elapsed_s": _NUMBER, "reference_s": _NUMBER},
    "end": {"elapsed_s": _NUMBER, "reference_s": _NUMBER},
}
"""What the lines of a type hold at least, as JSON has it."""


def _cases(by_type: Mapping[str, Sequence[Line]]) -> list[Line]:
    """Return the cases of all groups, each with what is kept of its rounds.

    In a journal of schema 1 each has a line of its own, and its bursts and rounds have others.
    """
    found = [dict(case) for group in by_type["group"] for case in group["cases"]]
    alone = [dict(case) for case in by_type["case"]]
    by_key = {_key(case): case for case in alone}
    for line in by_type["bursts"]:
        by_key.get(_key(line), {})["bursts_s"] = line["processes"]
    for line in by_type["rounds"]:
        by_key.get(_key(line), {}).update(every_round=line["processes"], every_iterations=line["iterations"])
    for case in (*alone, *found):
        _require(case_of(case), dict.fromkeys(CASE_KEYS, _TEXT))
    return [*alone, *found]


def _key(case: Line) -> tuple[object, ...]:
    return tuple(case_of(case).values())


def _caveat(line: Line) -> Caveat:
    """Return a warning; older journals do not tell what it is about."""
    return Caveat(line["text"], line.get("about", "times"))


def _cut_short(by_type: Mapping[str, Sequence[Line]]) -> Iterator[Caveat]:
    """Yield what was being measured when the run ended, unless that was measured when it was gone on with."""
    begun = dict.fromkeys(case for line in by_type["begin"] for case in line["cases"])
    n_missing = len(begun) - sum(len(line["cases"]) for line in by_type["group"])
    if n_missing > 0:
        missing = listing(list(begun)[-n_missing:], most=3)
        yield Caveat(f"The run ended while it measured {missing}: there is no result of that.")
