"""The schema: what a case is, what makes cases comparable, which policies exist, and every column, once.

A record is a data class whose fields are columns, or parts that hold some. Everything else that lists columns or
policies derives its list from here: test ids, options, frames, tables, comparisons and pages.
"""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from math import prod
from typing import Any, Literal, get_args, get_origin, get_type_hints

from backends.interface import Allocation, Mode
from benchmarks.record import teams
from benchmarks.record.shapes import label_of, parse_shape
from benchmarks.stats.pairs import MARGIN
from benchmarks.stats.verdicts import VERDICT_COLUMNS

SCHEMA = 3
"""The schema's number, in each journal. A journal without one is of schema 1: a line for each case. In schema 2,
bursts count by their medians, and no pairs are kept."""
RETIRED = ("variant",)
"""Columns that older versions wrote and that no longer say anything: readers leave them out."""
DTYPES = ("float32", "float64", "float16", "bfloat16")
DEVICES = ("cpu", "cuda")
MODES: tuple[Mode, ...] = get_args(Mode)

Cache = Literal["hot", "cold"]
Timing = Literal["latency", "throughput"]
Memory = Literal["retained", "released"]
Launch = Literal["eager", "graph"]
Saved = Literal["input", "output"]  # not from `backends`: older revisions lack it


@dataclass(frozen=True)
class Column:
    """One column: its name, its pandas dtype, its unit, what it holds.

    `before` is its value in records that were written before there was such a column; None if it is not known.
    """

    name: str
    dtype: str
    meaning: str
    unit: str = ""
    before: str | None = None


def column(meaning: str, unit: str = "", before: str | None = None, default: Any = MISSING) -> Any:
    """Declare a field of a record as a column."""
    return field(default=default, metadata={"meaning": meaning, "unit": unit, "before": before})


# --- what a case is -------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Policies:
    """How a case is measured: each policy's type has its values, and its default is the usual one.

    A team, of any number of threads, is the exception: its values are those of `teams`.
    """

    allocation: Allocation = column(
        "fresh (a new output every call), reuse (always the same output) or inplace (the input is overwritten)",
        default="fresh",
    )
    cache: Cache = column(
        "hot (the same inputs every call) or cold (inputs that have left the cache)", default="hot"
    )
    timing: Timing = column(
        "latency (the device is synchronised after every call) or throughput (once a round)", default="latency"
    )
    memory: Memory = column(
        "retained (the process keeps what it frees) or released (as the system's allocator decides)",
        before="released",
        default="retained",
    )
    launch: Launch = column(
        "eager (a call launches its kernels one by one) or graph (a device replays them, captured once)",
        before="eager",
        default="eager",
    )
    saved: Saved = column(
        "what a backward pass starts from: input (whatever each saves of its inputs) or output (the op's output)",
        before="input",
        default="input",
    )
    team: str = column(
        "threads that a CPU backend was given: usual (the run's one number), 1thread, 2threads and so on",
        before=teams.USUAL,
        default=teams.USUAL,
    )


DEFAULTS: Mapping[str, str] = {policy.name: str(policy.default) for policy in fields(Policies)}
"""The policies of a measurement, each with its default."""
POLICIES = tuple(DEFAULTS)
IN_WORDS: Mapping[str, str] = {"output": "from the output"}
"""How values of policies read that do not say by themselves what they mean."""
CHOICES: Mapping[str, tuple[str, ...]] = {
    name: choices for name, values in get_type_hints(Policies).items() if (choices := get_args(values))
}
"""The values of each policy that has a few: of all but the team."""
CASE_KEYS = ("op", "mode", "dtype", "shape", "backend", "device", *POLICIES)
"""The columns that tell cases apart: two runs' rows that agree in them measured the same thing."""
OPTIONS: Mapping[str, str] = {name: f"--{name}" for name in CASE_KEYS} | {"team": "--threads"}
"""The option of every command line that chooses among the values of each of CASE_KEYS."""
CASE = ("op", "mode", "dtype", "device", "shape", "n_elements", *POLICIES)
"""What two results must share to be compared."""


@dataclass(frozen=True)
class Case(Policies):
    """One thing to measure. Everything that changes what is measured is part of it, its policies included."""

    op: str = column("name in the catalogue")
    mode: Mode = column("forward, backward or forward+backward")
    dtype: str = column("of the inputs and the output")
    shape: tuple[int, ...] = column("of the first input, such as 1024x1024")
    backend: str = column("name of the backend, variant included")
    device: str = column("cpu, cuda, or cuda:1 and so on")

    @property
    def n_elements(self) -> int:
        """Number of elements of the first input."""
        return prod(self.shape)

    @property
    def key(self) -> tuple[str, ...]:
        """The values of CASE_KEYS, as records have them."""
        values = row(self)
        return tuple(str(values[name]) for name in CASE_KEYS)

    @property
    def policies(self) -> str:
        """The policies that differ from the default, as in a test id: `-reuse-cold`; empty where none does."""
        return "".join(f"-{getattr(self, name)}" for name in POLICIES if getattr(self, name) != DEFAULTS[name])

    @property
    def bound_as(self) -> Allocation:
        """The allocation that its call is bound with: a graph keeps the output of a call that makes one."""
        return "fresh" if self.launch == "graph" else self.allocation

    @property
    def place(self) -> str:
        """Backend and device, as in a test id."""
        return f"{self.backend}-{self.device}"

    @property
    def group(self) -> str:
        """What the cases share that are comparable with each other."""
        return f"{self.op}-{self.mode}-{self.dtype}-{label_of(self.shape)}{self.policies}"

    def __str__(self) -> str:
        return f"{self.op}-{self.mode}-{self.dtype}-{label_of(self.shape)}-{self.place}{self.policies}"


def by_group(cases: Iterable[Case]) -> dict[str, list[Case]]:
    """Return the cases that are compared with each other, by the name of their group, as they come."""
    groups: dict[str, list[Case]] = {}
    for case in cases:
        groups.setdefault(case.group, []).append(case)
    return groups


@dataclass(frozen=True)
class Check:
    """One thing to check: what a Case is for timing, for the correctness suite."""

    op: str = column("name in the catalogue")
    mode: str = column("forward or backward")
    dtype: str = column("of the inputs and the output")
    backend: str = column("name of the backend, variant included")
    device: str = column("cpu, cuda, or cuda:1 and so on")
    saved: str = column("what a backward pass starts from: input or output", before="input", default="input")


# --- what is found out about a case ---------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Which run a record is of, and on which machine it was measured."""

    run_id: str = column("identifies the run")
    saved_as: str = column("name given with --benchmark-save, if any")
    git_commit: str | None = column("commit of this repository")
    git_dirty: bool | None = column("whether the work tree had uncommitted changes")
    machine_id: str = column("hash of the hardware and operating system")
    host: str | None = column("keyed hash of the host's name, or what it was given with --host", default=None)


@dataclass(frozen=True, kw_only=True)
class WorkerFacts:
    """What a worker says of itself when it starts.

    `device_name` is the device's model, None on the host; `import_s` are the seconds that importing its framework
    and opening its device took, `start_s` those until it answered.
    """

    backend_version: str = column("version of the framework")
    threads: int | None = column("threads that took effect")
    settings: str | None = column("settings that change numbers or speed, such as x64, TF32 or flushed subnormals")
    device_name: str | None = None
    import_s: float = math.nan
    start_s: float = math.nan


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """What making a case ready took, and what a call must move.

    `at_most` is how many calls a round may have, None for any number; `bytes_in` are those of the inputs.
    """

    first_call_s: float = column("the very first call, compilation included", "s")
    bytes_moved: int = column("what a call must read and write", "bytes")
    bytes_written: int = column("that part of bytes_moved that it must write", "bytes")
    at_most: int | None = None
    bytes_in: int = 0


@dataclass(frozen=True, kw_only=True)
class Times:
    """What the rounds of a case say."""

    median_s: float = column("time per call: the median over turns, of each burst's fastest round", "s")
    mean_s: float = column("mean of the same times", "s")
    min_s: float = column("time per call of the fastest round", "s")
    iqr_s: float = column("interquartile range of the same times", "s")
    ci95_low_s: float = column("lower end of the median's 95 % confidence interval", "s")
    ci95_high_s: float = column("upper end of the median's 95 % confidence interval", "s")
    processes: int = column("number of worker processes that took rounds")
    bursts: int = column("bursts of rounds, in turn with the other backends'; the interval is over them")
    rounds: int = column("number of rounds")
    iterations: int = column("calls per round")
    stop_reason: str = column("why no more rounds were taken")
    again: int | None = column("bursts taken again, since something else had the processor meanwhile")
    disturbed: int | None = column("bursts that stayed disturbed when they were taken again")
    page_faults: float | None = column("new pages of memory that a call needed from the system, on average")
    elements_per_s: float | None = column("n_elements / median_s", "1/s")
    gigabytes_per_s: float | None = column("bytes_moved / median_s, in 10⁹ bytes", "GB/s")
    fraction_of_bandwidth: float | None = column(
        "share of the limit: gigabytes_per_s over that of copying, or reading, as many bytes"
    )


@dataclass(frozen=True, kw_only=True)
class Closer:
    """What a call needs beside time, measured outside the rounds."""

    device_s: float | None = column("time per call by the device's own clock, without the launch: a median", "s")
    device_low_s: float | None = column("least of seven such times", "s", default=None)
    device_high_s: float | None = column("largest of them", "s", default=None)
    host_to_device_s: float | None = column("time to bring the inputs to the device", "s", default=None)
    device_to_host_s: float | None = column("time to bring the output back", "s", default=None)
    host_to_device_pinned_s: float | None = column("the same from pinned memory", "s", default=None)
    device_to_host_pinned_s: float | None = column("the same into pinned memory", "s", default=None)
    no_transfers: str | None = column("why these times are missing, where measuring them failed", default=None)
    energy_j: float | None = column(
        "energy of the whole GPU for a call, over half a second of calls, in which it is known to about a tenth",
        "J",
        default=None,
    )
    peak_bytes: int | None = column(
        "peak extra memory of a call, on its device: a fresh output and temporaries", "bytes"
    )


@dataclass(frozen=True, kw_only=True)
class Errors:
    """How far the output that was checked before timing is from exact."""

    max_ulp: float = column("largest error of the output checked before timing", "ULP")
    mean_ulp: float = column("mean error of that output", "ULP")
    max_abs_error: float = column("largest absolute error of that output")
    oracle: str = column("what the output was checked against: mpmath, or the next wider type")


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a case or a check ended."""

    status: str = column(
        "ok, known_deviation (checks), failed, inaccurate (peers), invalid, cheated, unavailable, crashed, "
        "timeout or out_of_memory"
    )
    reason: str = column("explains every status but ok, and names known deviations", default="")


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What was found out about a case. What was not is None."""

    case: Case
    kind: str = column("elementwise, along_axis or loss")
    n_elements: int = column("number of elements of the first input")
    peer: bool = column("whether the backend is another library, measured to compare with")
    ending: Ending
    warning: str = column(
        "what makes the times doubtful, such as a machine that changed its speed meanwhile", default=""
    )
    checks: str = column("what was checked against cheating, and passed: see docs/cheats.md", default="")
    times: Times | None = None
    worker: WorkerFacts | None = None
    preparation: Preparation | None = None
    closer: Closer | None = None
    errors: Errors | None = None


@dataclass(frozen=True, kw_only=True)
class Record:
    """One case of one run: a row of records.csv."""

    origin: Origin
    timestamp: str = column("when the case ended, ISO-8601 in UTC")
    device_name: str = column("the device's model name")
    driver: str | None = column("version of the GPU's driver", default=None)
    measured: Measured


@dataclass(frozen=True, kw_only=True)
class Rounds:
    """What is kept of a case's rounds, process by process.

    `bursts_s` holds the seconds per call of each burst, which a comparison with another run rests on. If
    every round is kept, `processes` holds the seconds of each, and `iterations` how many calls a round has.
    """

    bursts_s: tuple[tuple[float, ...], ...]
    processes: tuple[tuple[tuple[float, ...], ...], ...] = ()
    iterations: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two backends of one group compared turn by turn: the faster one's case, and the slower `other`."""

    case: Case
    other: str = column("name of the slower backend")
    other_device: str = column("its device")
    ratio: float = column("its time over the faster one's: the midmean over turns")
    low: float = column("lower end of the ratio's 95 % confidence interval, all looks together")
    high: float = column("upper end of it")
    turns: int = column("turns that both took")
    margin: float = column("the least difference that the verdict speaks of, as a share", before=str(MARGIN))
    placement: float = column("what two processes of the same code may differ by, as a share", before="0")
    verdict: str = column("faster, equal or too close to call, by the margin, and by the placement if faster")


# --- what is found out beside the cases -----------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a backend costs before it computes anything."""

    backend: str = column("name of the backend, variant included")
    backend_version: str = column("version of the framework")
    device: str = column("cpu, cuda, or cuda:1 and so on")
    start_s: float = column("time until a new worker process answers, imports included", "s")
    import_s: float = column("that part of it that imports the framework and opens the device", "s")
    floor_s: float = column("a call that does nothing, measured like every case: the floor", "s")
    floor_low_s: float = column("lower end of its 95 % confidence interval", "s")
    floor_high_s: float = column("upper end of its 95 % confidence interval", "s")
    call_op: str | None = column("op of the one-element call", default=None)
    call_s: float | None = column("a call on one element: dispatch", "s", default=None)
    call_low_s: float | None = column("lower end of its 95 % confidence interval", "s", default=None)
    call_high_s: float | None = column("upper end of its 95 % confidence interval", "s", default=None)
    first_call_s: float | None = column("the first call on one element, compilation included", "s", default=None)


SEARCHED = "searched"
"""The sample of a check that looked for the worst points."""


@dataclass(frozen=True, kw_only=True)
class Verdict(Ending):
    """How far a result is from exact, and whether that is allowed.

    `max_abs_error` is the largest error, and not in units of the last place.
    """

    n_points: int = column("number of outputs compared")
    max_ulp: float = column("largest error, in units of the last place", "ULP")
    max_ulp_elsewhere: float = column("largest error outside known deviations", "ULP")
    max_ulp_normal: float = column(
        "largest error where the input is finite and the exact result neither infinite nor subnormal", "ULP"
    )
    mean_ulp: float = column("mean error outside known deviations, over what was sampled", "ULP")
    worst_input: float = column("first input at the largest error; NaN where that has no meaning")
    budget_ulp: float = column("largest error allowed", "ULP")
    max_abs_error: float = math.nan


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """What one check of the correctness suite found: a row of accuracy.csv."""

    check: Check
    kind: str = column("elementwise, along_axis or loss")
    backend_version: str | None = column("version of the framework")
    sample: str = column("designed, or searched: thousands of points and the worst found from there")
    found: Verdict | Ending


@dataclass(frozen=True, kw_only=True)
class Sitting:
    """One sitting of `ab`: a case measured on both sides, in new processes."""

    case: Case
    sitting: int = column("number of the sitting, from 1")
    base_s: float | None = column("time per call of the base", "s", default=None)
    head_s: float | None = column("time per call of the head", "s", default=None)
    effect: float | None = column("logarithm of head's time over base's", default=None)
    pairs: int | None = column("number of comparisons that the effect rests on", default=None)
    base_status: str = column("status of the base, as in records")
    head_status: str = column("status of the head, as in records")
    reason: str = column("explains every status but ok", default="")


# --- columns --------------------------------------------------------------------------------------------------


def columns_of(record: type) -> tuple[Column, ...]:
    """Return the columns of a record's class, those of its parts among them, each once."""
    found: dict[str, Column] = {}
    hints = get_type_hints(record)
    for each in _declared(record):
        if "meaning" in each.metadata:
            dtype = _DTYPES[next(kind for kind in _kinds(hints[each.name]) if kind is not type(None))]
            found.setdefault(each.name, Column(each.name, dtype, **each.metadata))
        else:
            parts: Iterator[type] = filter(is_dataclass, _kinds(hints[each.name]))
            found |= {column.name: column for part in parts for column in columns_of(part)}
    return tuple(found.values())


def row(record: object) -> dict[str, object]:
    """Return the values of a record's columns, by name; without those of parts that it lacks."""
    found: dict[str, object] = {}
    for each in _declared(type(record)):
        value = getattr(record, each.name)
        if "meaning" in each.metadata:
            found[each.name] = label_of(value) if isinstance(value, tuple) else value
        elif is_dataclass(value):
            found |= row(value)
    return found


def _declared(record: type) -> list[Any]:
    """Return the fields of a record; those by keyword, which a base class may have brought, last."""
    return sorted(fields(record), key=lambda each: bool(each.kw_only))


def _kinds(hint: Any) -> Iterator[Any]:
    """Yield the types that an annotation allows, a Literal's and a tuple's as that of their text."""
    if get_origin(hint) in (types.UnionType, typing.Union):
        for part in get_args(hint):
            yield from _kinds(part)
    else:
        yield str if get_origin(hint) in (Literal, tuple) else hint


_DTYPES = {str: "string", int: "Int64", float: "float64", bool: "boolean"}

_BEFORE = {column.name: column.before for column in columns_of(Case)}


def case_of(values: Mapping[str, object]) -> dict[str, object]:
    """Return what tells a case apart (CASE_KEYS), of any record of it, however old."""
    return {name: values.get(name, _BEFORE[name]) for name in CASE_KEYS}


def case_from(values: Mapping[str, Any]) -> Case:
    """Return the case that a record tells of; raise ValueError for a shape that is none."""
    return Case(**{**case_of(values), "shape": parse_shape(values["shape"])})  # type: ignore[arg-type]


COLUMNS = columns_of(Record)
PAIR_COLUMNS = columns_of(Pair)
COST_COLUMNS = columns_of(Cost)
ACCURACY_COLUMNS = columns_of(Accuracy)
CHECK_KEYS = tuple(column.name for column in columns_of(Check))
"""The columns that tell checks apart."""
SITTING_COLUMNS = tuple(column.name for column in columns_of(Sitting))
COMPARISON_COLUMNS = (*CASE_KEYS, *VERDICT_COLUMNS)
"""What became of each case between a base and a head."""
