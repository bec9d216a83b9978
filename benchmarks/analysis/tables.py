"""Which backend is fastest, and by how much: tables derived from records.

Only rows with status `ok` are ever compared. Where a case was recorded twice, the later row counts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, cast

from benchmarks.analysis.entries import Key, Timed, assembled, entries, grouped
from benchmarks.analysis.verdicts import UNKNOWN, Verdicts, fastest_first, together
from benchmarks.record import teams
from benchmarks.record.rows import Rows, SomeTable, filled, keys_of, listed, taken
from benchmarks.record.schema import CASE, MODES, POLICIES
from benchmarks.stats.pairs import CLOSE, EQUAL, FASTER

if TYPE_CHECKING:  # late elsewhere, as NumPy: what a recommendation needs of these tables, it needs as rows
    import pandas as pd

BASELINE = "numpy"


@dataclass(frozen=True)
class Lead:
    """The leader of a case, whose median is the smallest, and the runner-up, whose name is empty without one.

    `ratio` is the runner-up's time over the leader's, from `low` to `high`, and `verdict` what that says of the
    two. `equal` and `open` name the backends that are equal to the leader, and those that are too close to call
    with it, separated by commas; `contenders` all of these after the leader. `outcome` is the weakest verdict of
    the leader against every other: only where it is `faster`, the leader is the fastest. The runner-up's may be
    stronger, since a noisy third may be open where a steady second is not. The group is `decided` where none
    is open, and `placed` where more processes alone can tell of those that are. `time_doubtful` says that the
    leader's time has a warning, `verdict_doubtful` that something makes its comparison with the runner-up
    doubtful.
    """

    fastest: str
    fastest_device: str
    median_s: float
    runner_up: str
    runner_up_device: str
    runner_up_median_s: float
    ratio: float
    low: float
    high: float
    verdict: str
    outcome: str
    equal: str
    open: str
    contenders: str
    decided: bool
    placed: bool
    time_doubtful: bool
    verdict_doubtful: bool

    @property
    def names(self) -> list[str]:
        """The contenders, one by one."""
        return self.contenders.split(", ")

    @property
    def sole(self) -> bool:
        """Whether the leader is the fastest."""
        return self.outcome == FASTER

    @property
    def first(self) -> str:
        """Who is first: the leader, or it and its equals, as `a = b`; empty where it is too close to call."""
        if not self.decided:
            return ""
        return " = ".join(sorted([self.fastest, *self.equal.split(", ")])) if self.equal else self.fastest

    @property
    def shared(self) -> bool:
        """Whether the runner-up has a share in the lead: it is equal, or too close to call."""
        return bool(self.runner_up) and self.verdict != FASTER


@dataclass(frozen=True)
class CaseLead(Lead):
    """The same, with the case."""

    case: Annotated[Key, CASE]
    op: str
    shape: str
    n_elements: int


def backend_order(records: pd.DataFrame) -> list[str]:
    """Return the backends in the order of the tables' columns: the baseline, then as they come."""
    names = [str(name) for name in records["backend"].dropna().unique()]
    return sorted(names, key=lambda name: name != BASELINE)


@dataclass(frozen=True)
class _Result:
    case: Annotated[Key, (*CASE, "backend")]
    status: str
    median_s: float


def measured(records: SomeTable, apart: Sequence[str] = ()) -> SomeTable:
    """Return the rows that count, one per case and backend, ordered by op, mode and size.

    What differs in the columns `apart`, such as the run, counts apart.
    """
    rows = keyed(records)
    beside = keys_of(rows, apart) if apart else [()] * len(rows)
    last = {
        (row.case, beside[i]): i
        for i, row in enumerate(entries(rows, _Result))
        if row.status == "ok" and row.median_s > 0
    }
    return ordered(filled(taken(rows, sorted(last.values())), {"warning": ""}), records)


def keyed(records: SomeTable) -> SomeTable:
    """Return records whose keys have no gaps: a missing policy is one value among others."""
    found = filled(records, dict.fromkeys(CASE, "") | {"n_elements": 0})
    return found if isinstance(found, Rows) else cast("SomeTable", found.astype({"n_elements": "int64"}))


def ordered(rows: SomeTable, records: SomeTable) -> SomeTable:
    """Return `rows` by op as `records` have them, mode, dtype, device and size."""
    ranks = {
        "op": {op: rank for rank, op in enumerate(dict.fromkeys(listed(records["op"])))},
        "mode": {mode: rank for rank, mode in enumerate(MODES)},
        "team": {team: teams.size_of(team) or 0 for team in dict.fromkeys(listed(rows["team"]))},
    }
    # Shapes are text, so sizes come first.
    names = ("op", "mode", "dtype", "device", "n_elements", "shape", *POLICIES)
    by = [
        [ranks[name].get(value, math.inf) if name in ranks else value for value in listed(rows[name])]
        for name in names
    ]
    keys = list(zip(*by, strict=True))
    return taken(rows, sorted(range(len(rows)), key=keys.__getitem__))


def medians(rows: pd.DataFrame, backends: Sequence[str]) -> pd.DataFrame:
    """Return median seconds of measured rows: a row per comparable case, a column for each of `backends`."""
    return _wide(rows, backends, "median_s")


def rate(rows: pd.DataFrame, verdicts: Verdicts, baseline_device: str | None = None) -> pd.DataFrame:
    """Return measured rows with `speedup`: the baseline's time over theirs, so that above 1 is faster.

    `speedup_low` and `speedup_high` are its 95 % interval, `speedup_verdict` the verdict of the two, and `doubt`
    says what makes it doubtful, in either of them. The baseline is taken on the case's own device or, if given, on
    `baseline_device`. Where it lacks the case, `speedup` is NaN, and the verdict empty.
    """
    import pandas as pd

    keys = list(CASE)
    reference = rows[rows["backend"] == BASELINE]
    if baseline_device is not None:
        keys.remove("device")
        reference = reference[reference["device"] == baseline_device]
    theirs = {name: f"baseline_{name}" for name in ("median_s", "first_call_s")}
    rows = rows.merge(reference[[*keys, *theirs]].rename(columns=theirs), on=keys, how="left")
    baselines = {case: found[0] for case, found in grouped(reference, keys, Timed).items()}
    found = []
    for case, own in zip(keys_of(rows, keys), entries(rows, Timed), strict=True):
        baseline = baselines.get(case)
        found.append(verdicts.over(baseline, own) if baseline else replace(UNKNOWN, doubts=("", own.warning)))
    rows["speedup"] = pd.Series([each.ratio for each in found], dtype="float64")
    rows["speedup_low"] = pd.Series([each.low for each in found], dtype="float64")
    rows["speedup_high"] = pd.Series([each.high for each in found], dtype="float64")
    rows["speedup_verdict"] = pd.Series([each.verdict for each in found], dtype="object")
    other, ours = ([each.doubts[i] for each in found] for i in (0, 1))
    rows["doubt"] = either_doubt(ours, other, BASELINE)
    return rows


def either_doubt(own: Iterable[str], other: Iterable[str], name: str) -> list[str]:
    """Return what makes a comparison doubtful: a row's own warning, and that of the `other`, called `name`."""
    pairs = zip(own, other, strict=True)
    return ["; ".join([mine] * bool(mine) + [f"{name}: {theirs}"] * bool(theirs)) for mine, theirs in pairs]


def speedups(rated: pd.DataFrame, backends: Sequence[str]) -> pd.DataFrame:
    """Return the speed-ups of rated rows (see `rate`): a row per comparable case, a column per backend."""
    return _wide(rated, backends, "speedup")


def best(rows: pd.DataFrame, verdicts: Verdicts, *, across_devices: bool = False) -> pd.DataFrame:
    """Return the leader of each comparable case among measured rows: the case's keys and a `Lead`.

    With `across_devices`, backends compete on all devices, and contenders read `torch on cuda`.
    """
    keys = [key for key in CASE if not (across_devices and key == "device")]
    found = leads(grouped(rows, keys, Timed), verdicts, across_devices=across_devices)
    return assembled(keys, found.items(), Lead)


def leads(
    groups: Mapping[Key, Sequence[Timed]], verdicts: Verdicts, *, across_devices: bool = False
) -> dict[Key, Lead]:
    """Return the leader of each group of results that are comparable with each other, as `best` does."""
    return {case: lead(timed, verdicts, across_devices=across_devices) for case, timed in groups.items()}


def label(backend: str, device: str, *, across_devices: bool) -> str:
    """Return the name under which a backend competes: with its device where there are several."""
    return f"{backend} on {device}" if across_devices else backend


def lead(timed: Sequence[Timed], verdicts: Verdicts, *, across_devices: bool) -> Lead:
    """Return who leads among the results of one case."""
    first, *others = fastest_first(timed)
    found = [verdicts.over(other, first) for other in others]
    second, against = (others[0], found[0]) if others else (None, UNKNOWN)

    def named(*said: str) -> list[str]:
        shares = [row for row, standing in zip(others, found, strict=True) if standing.verdict in said]
        return [label(row.backend, row.device, across_devices=across_devices) for row in shares]

    leader = label(first.backend, first.device, across_devices=across_devices)
    return Lead(
        fastest=first.backend,
        fastest_device=first.device,
        median_s=first.median_s,
        runner_up=second.backend if second else "",
        runner_up_device=second.device if second else "",
        runner_up_median_s=second.median_s if second else math.nan,
        ratio=against.ratio,
        low=against.low,
        high=against.high,
        verdict=against.verdict,
        outcome=together([standing.verdict for standing in found]),
        equal=", ".join(named(EQUAL)),
        open=", ".join(named(CLOSE)),
        contenders=", ".join([leader, *named(EQUAL, CLOSE)]),
        decided=not named(CLOSE),
        placed=any(each.placed for each in found) and all(each.placed for each in found if each.verdict == CLOSE),
        time_doubtful=bool(first.warning),
        verdict_doubtful=against.doubtful,
    )


@dataclass(frozen=True)
class Mean:
    """A backend's geometric mean speed-up over `n_cases` cases, `n_doubtful` of which are doubtful."""

    backend: str
    speedup: float
    n_cases: int
    n_doubtful: int


def overall(rated: pd.DataFrame, wide: pd.DataFrame) -> pd.DataFrame:
    """Return each backend's geometric mean speed-up at each size, over the cases that all of them have.

    `wide` are the speed-ups of the rated rows, by case and backend. A mean over different cases would compare the
    cases, not the backends. A backend that lacks more than half of the cases is left out, so that it does not take
    them from the others.
    """
    import numpy as np

    keys = ["dtype", "device", *POLICIES, "n_elements"]
    found: list[tuple[Key, Mean]] = []
    doubts = _wide(rated.assign(doubtful=rated["doubt"] != ""), list(wide.columns), "doubtful")
    for case, group in wide.groupby(level=keys, sort=False):
        common = group.dropna(axis="columns", thresh=(len(group) + 1) // 2).dropna()
        if common.size:
            doubtful = doubts.loc[common.index, common.columns].sum()
            found += [
                (case, Mean(str(backend), float(mean), len(common), int(doubtful[backend])))
                for backend, mean in np.exp(np.log(common).mean()).items()
            ]
    return assembled(keys, found, Mean)


def geometric_mean(values: pd.Series) -> float:
    """Return the geometric mean of positive numbers; NaN of none."""
    import numpy as np

    return float(np.exp(np.log(values).mean())) if len(values) else math.nan


def varying(rows: pd.DataFrame, keys: Sequence[str]) -> list[str]:
    """Return those of `keys` that differ between rows, and so must be told; the shape where it is not the size."""
    found = [key for key in keys if len(rows[key].unique()) > 1]
    flat = "shape" in found and (rows["shape"] == rows["n_elements"].astype("string")).fillna(value=False).all()
    return [key for key in found if not (key == "shape" and flat)]


def _wide(rows: pd.DataFrame, backends: Sequence[str], values: str) -> pd.DataFrame:
    import pandas as pd

    wide = rows.pivot(  # noqa: PD010 - nothing to aggregate: one row per case and backend
        index=list(CASE), columns="backend", values=values
    )
    # pivot sorts its rows; the records' own order is the one that people know.
    order = pd.MultiIndex.from_frame(rows[list(CASE)].drop_duplicates())
    wide = wide.reindex(index=order, columns=[name for name in backends if name in wide.columns])
    wide.columns.name = None
    return wide
