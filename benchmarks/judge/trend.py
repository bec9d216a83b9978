"""Trends: a metric of each case over the runs of its machine, and where it changed."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from itertools import chain, pairwise, permutations
from statistics import median
from typing import TYPE_CHECKING, Annotated

from benchmarks import quantities
from benchmarks.analysis.entries import Key, entries, parted
from benchmarks.record.frames import only_with
from benchmarks.record.rows import Rows, filled, is_missing, keys_of
from benchmarks.record.schema import CASE_KEYS, POLICIES
from benchmarks.stats.shifts import shifts

if TYPE_CHECKING:
    import pandas as pd

SERIES_KEYS = (*CASE_KEYS, "threads", "machine_id", "host")
"""The columns that the points of a series agree in."""
_MEASURED = ("median_s", "ci95_low_s", "ci95_high_s")
_ABOUT = (
    "run_id", "saved_as", "git_commit", "git_dirty", "backend_version", "driver", "status", "timestamp",
    "device_name",
)  # fmt: skip


@dataclass(frozen=True)
class Metric:
    """A numeric column of the records: how its values read, what a change is called, and which change is worse.

    A `rate` is an amount per second of the median, so that its interval follows from the median's.
    """

    name: str
    meaning: str
    form: Callable[[float], str]
    worse: str = "slower"
    better: str = "faster"
    lower_is_better: bool = True
    rate: bool = False


METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("median_s", "median time per call", quantities.seconds),
        Metric("first_call_s", "time of the first call", quantities.seconds),
        Metric(
            "gigabytes_per_s",
            "throughput",
            lambda value: f"{quantities.number(value)} GB/s",
            lower_is_better=False,
            rate=True,
        ),
        Metric(
            "fraction_of_bandwidth",
            "share of the machine's bandwidth",
            lambda value: f"{quantities.number(100 * value)} %",
            lower_is_better=False,
            rate=True,
        ),
        Metric(
            "max_ulp",
            "largest error",
            lambda value: f"{quantities.number(value)} ULP",
            "less accurate",
            "more accurate",
        ),
        Metric("peak_bytes", "peak extra memory", quantities.size, "more memory", "less memory"),
    )
}


@dataclass(frozen=True)
class Point:
    """One run of a case. Where it has no value (NaN), `status` says why: the case's status, or `not measured`.

    `start` is the time of the run's first record, ISO-8601; `low` and `high` are the ends of the value's 95 %
    confidence interval, NaN where it has none.
    """

    run_id: str
    saved_as: str
    start: str
    commit: str
    dirty: bool
    version: str
    status: str
    value: float
    low: float
    high: float

    @property
    def label(self) -> str:
        """The commit, shortened, and whether there were changes on top; outside a repository the run's name."""
        if self.commit:
            return self.commit[:7] + "-dirty" * self.dirty
        return self.saved_as or self.run_id


@dataclass(frozen=True)
class Change:
    """A change of level between two points, `before` the last of one level and `after` the first of the next."""

    before: Point
    after: Point
    level_before: float
    level_after: float

    @property
    def ratio(self) -> float:
        """The level after over the level before, each the median of its points; NaN for one of 0 or infinity."""
        return ratio(self.level_before, self.level_after)

    @property
    def where(self) -> str:
        """The range of commits: `between a1b2c3d and d4e5f6a`."""
        if self.before.label != self.after.label:
            return f"between {self.before.label} and {self.after.label}"
        first, last = (point.start[:16].replace("T", " ") for point in (self.before, self.after))
        return f"within {self.before.label}, between its runs of {first} and {last} UTC"

    @property
    def versions(self) -> tuple[str, str] | None:
        """The versions of the backend before and after, where they differ."""
        old, new = self.before.version, self.after.version
        return (old, new) if old != new else None


@dataclass(frozen=True, eq=False)
class Series:
    """One case on one machine over its runs, ordered by time; `case` holds the columns of SERIES_KEYS as text."""

    case: Mapping[str, str]
    device_name: str
    metric: Metric
    points: tuple[Point, ...]
    changes: tuple[Change, ...]

    @property
    def machine(self) -> str:
        """What the machine goes by: its id, and the beginning of its host's, where that is known."""
        host = self.case["host"]
        return f"{self.case['machine_id']}{f'-{host[:6]}' if host else ''}"

    @property
    def measured(self) -> list[Point]:
        """The points that have a value."""
        return [point for point in self.points if not math.isnan(point.value)]

    @property
    def ratio(self) -> float:
        """The last value over the first; NaN where one is 0 or infinite."""
        return ratio(self.measured[0].value, self.measured[-1].value)

    @property
    def levels(self) -> list[tuple[Point, Point, float]]:
        """The first and last point of each level, and the level."""
        known = self.measured
        starts = [known[0], *(change.after for change in self.changes)]
        ends = [*(change.before for change in self.changes), known[-1]]
        values = [self.changes[0].level_before, *(change.level_after for change in self.changes)]
        return list(zip(starts, ends, values, strict=True))

    def worsening(self) -> float:
        """Return by how much the last level is worse than the first, as a logarithm; 0 without a change."""
        if not self.changes:
            return 0.0
        low, high = self.changes[0].level_before, self.changes[-1].level_after
        # Clipped, so that levels of 0 and infinity can be ordered among the others.
        logs = [math.log(min(max(value, 1e-300), 1e300)) for value in (low, high)]
        return (logs[1] - logs[0]) * (1 if self.metric.lower_is_better else -1)


def ratio(before: float, after: float) -> float:
    """Return `after / before`; 1 where they are equal, NaN where there is no such number."""
    if before == after:
        return 1.0
    usual = before > 0 and after > 0 and math.isfinite(before) and math.isfinite(after)
    return after / before if usual else math.nan


def trends(
    records: Rows | pd.DataFrame,
    metric: str = "median_s",
    *,
    threshold: float = 0.05,
    only: Mapping[str, Collection[object]] | None = None,
    any_host: bool = False,
) -> list[Series]:
    """Return a series per case and machine of `records`, which hold any number of runs (COLUMNS).

    Those with changes of at least `threshold`, as a share, come first, the most worsened on top. A series without
    any value is left out. `only` keeps records whose column of that name has one of the values. Equal machines are
    told apart by their hosts, where these are known; with `any_host` they are taken for one. Raises ValueError
    for a metric that is not one of METRICS, and for a value that no record has.
    """
    if metric not in METRICS:
        raise ValueError(f"metric: must be one of {', '.join(METRICS)}; got {metric!r}")
    starts = _starts(records)  # before any records are left out
    valued = records.assign(value=records[metric])
    rows = _with_hosts(entries(only_with(valued, only or {}), _Row), any_host=any_host)
    last = {(row.series, row.run_id): row for row in rows}
    groups = parted(_with_failures(last.values()), lambda row: row.series).values()
    found = [
        _series(group, METRICS[metric], starts, threshold)
        for group in sorted(groups, key=lambda group: _order(group[0].keys))
    ]
    known = [series for series in found if series is not None]
    return sorted(known, key=lambda series: (not series.changes, -series.worsening()))


def columns(metric: str) -> list[str]:
    """Return the columns of records that the trends of a metric are made from."""
    return list(dict.fromkeys([*SERIES_KEYS, *_ABOUT, *_MEASURED, metric]))


def varying(found: Sequence[Series]) -> list[str]:
    """Return those of SERIES_KEYS that tell the series apart; op, mode and backend are always among them."""
    names = ["op", "mode", "backend"]
    names += [key for key in SERIES_KEYS if key not in (*names, "threads") and len(values(found, key)) > 1]
    # Backends usually differ in their threads: that is worth a word only where nothing else tells them apart.
    told = {tuple(series.case[name] for name in names) for series in found}
    return names if len(told) == len(found) else [*names, "threads"]


def superseded(found: Sequence[Series]) -> list[str]:
    """Return, in words, which policies earlier runs had and later ones no longer have.

    A case under another policy is another case: its times before and after are never taken for one series.
    """
    counted: Counter[tuple[str, str, str]] = Counter()
    for policy in POLICIES:
        alike: defaultdict[tuple[str, ...], list[Series]] = defaultdict(list)
        for series in found:
            if series.measured:
                alike[tuple(value for key, value in series.case.items() if key != policy)].append(series)
        for old, new in chain.from_iterable(permutations(group, 2) for group in alike.values()):
            if old.measured[-1].start < new.measured[0].start:
                counted[policy, old.case[policy], new.case[policy]] += 1
    return [
        f"{policy} was {old} in earlier runs and is {new} in later ones ({quantities.plural(n, 'case')}): these "
        "are not compared with each other."
        for (policy, old, new), n in counted.items()
    ]


def values(found: Sequence[Series], key: str) -> set[str]:
    """Return the values that the series have in one of SERIES_KEYS."""
    return {series.case[key] for series in found}


@dataclass(frozen=True)
class _Row:
    case: Annotated[Key, CASE_KEYS]
    threads: str
    machine_id: str
    host: str
    device_name: str
    run_id: str
    saved_as: str
    git_commit: str
    git_dirty: bool
    backend_version: str
    driver: str
    status: str
    value: float
    median_s: float
    ci95_low_s: float
    ci95_high_s: float

    @property
    def series(self) -> Key:
        """What the rows of a series agree in."""
        return self.case, self.threads, self.machine_id, self.host

    @property
    def keys(self) -> dict[str, str]:
        """The same as text, by SERIES_KEYS."""
        texts = ("" if is_missing(each) else str(each) for each in self.case)
        return dict(zip(SERIES_KEYS, (*texts, self.threads, self.machine_id, self.host), strict=True))


def _starts(records: Rows | pd.DataFrame) -> dict[tuple[str, str], datetime]:
    """Return when the first record of each run on each machine ended."""
    found: dict[tuple[str, str], datetime] = {}
    names = ("machine_id", "run_id", "timestamp")
    for machine_id, run_id, timestamp in keys_of(filled(records, dict.fromkeys(names, "")), names):
        if (moment := _moment(timestamp)) is not None:
            found[machine_id, run_id] = min(moment, found.get((machine_id, run_id), moment))
    return found


@cache
def _moment(timestamp: str) -> datetime | None:
    """Return a time that is written as ISO-8601, in UTC; None for what is none."""
    try:
        found = datetime.fromisoformat(timestamp)
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _with_hosts(rows: Sequence[_Row], *, any_host: bool) -> list[_Row]:
    """Return rows with the host that they are of: of a machine with one known host, all are of that.

    So a series goes on that older versions, which did not record the host, have begun.
    """
    known: defaultdict[str, set[str]] = defaultdict(set)
    for row in rows:
        if row.host:
            known[row.machine_id].add(row.host)
    alone = {machine: next(iter(hosts)) for machine, hosts in known.items() if len(hosts) == 1}
    hosts = ["" if any_host else alone.get(row.machine_id, row.host) for row in rows]
    return [row if row.host == host else replace(row, host=host) for row, host in zip(rows, hosts, strict=True)]


def _with_failures(rows: Iterable[_Row]) -> list[_Row]:
    """Return rows with each failure in every series of its case: what did not run does not know its threads."""
    found: list[_Row] = []
    lost: list[_Row] = []
    for row in rows:
        (lost if not row.threads and row.status not in ("ok", "") else found).append(row)
    threads: defaultdict[Key, dict[str, None]] = defaultdict(dict)
    for row in found:
        threads[row.case, row.machine_id, row.host][row.threads] = None
    for row in lost:
        found += [replace(row, threads=each) for each in threads[row.case, row.machine_id, row.host] or {"": None}]
    return found


def _order(keys: Mapping[str, str]) -> list[tuple[bool, str | int]]:
    """Return by what series are ordered: their keys, threads as numbers, and what is missing last."""
    return [(not text, int(text) if name == "threads" and text else text) for name, text in keys.items()]


def _series(
    rows: Sequence[_Row], metric: Metric, starts: Mapping[tuple[str, str], datetime], threshold: float
) -> Series | None:
    begun = [(starts.get((row.machine_id, row.run_id)), row) for row in rows]
    # Runs of which no time is known come last.
    begun.sort(key=lambda each: (each[0] is None, each[0] or datetime.max.replace(tzinfo=UTC), each[1].run_id))
    points = tuple(_point(row, start, metric) for start, row in begun)
    known = [point for point in points if not math.isnan(point.value)]
    if not known:
        return None
    return Series(
        case=rows[0].keys,
        device_name=next((row.device_name for _, row in reversed(begun) if row.device_name), ""),
        metric=metric,
        points=points,
        changes=tuple(_changes(known, threshold)),
    )


def _point(row: _Row, start: datetime | None, metric: Metric) -> Point:
    ok = row.status == "ok"
    value = row.value if ok else math.nan
    low, high = _interval(row, metric, value)
    return Point(
        run_id=row.run_id,
        saved_as=row.saved_as,
        start=start.isoformat(timespec="seconds") if start else "",
        commit=row.git_commit,
        dirty=row.git_dirty,
        version=", driver ".join(filter(None, (row.backend_version, row.driver))),
        status=("not measured" if math.isnan(value) else "ok") if ok else row.status or "unknown",
        value=value,
        low=low,
        high=high,
    )


def _interval(row: _Row, metric: Metric, value: float) -> tuple[float, float]:
    low, high = row.ci95_low_s, row.ci95_high_s
    if math.isnan(value) or math.isnan(low) or math.isnan(high):
        return math.nan, math.nan
    if metric.name == "median_s":
        return low, high
    if metric.rate and low > 0 and high > 0:
        return value * row.median_s / high, value * row.median_s / low
    return math.nan, math.nan


def _changes(known: Sequence[Point], threshold: float) -> Iterator[Change]:
    found = shifts([point.value for point in known], threshold)
    ends = [0, *found, len(known)]
    levels = [median(point.value for point in known[start:end]) for start, end in pairwise(ends)]
    for i, position in enumerate(found):
        yield Change(known[position - 1], known[position], levels[i], levels[i + 1])
