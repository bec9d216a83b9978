"""Damaged files: whether each is refused in one line, or read with every value as it was.

A small made-up run is written as every kind of file that is read back. Each trial changes one file at a place that
a seed chooses, as disks, editors and half-finished copies do, and reads it: by its name, and as one of a folder
whose other files must still be found. Without checksums, as older versions wrote files, values may have changed
unnoticed; nothing may end in a traceback, or never.
"""

from __future__ import annotations

import io
import json
import random
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass, fields
from pathlib import Path

import pandas as pd

from benchmarks.analysis.recommend import decision_table
from benchmarks.analysis.study import Study
from benchmarks.judge.compare import compare
from benchmarks.judge.trend import columns, trends
from benchmarks.record import history, saved
from benchmarks.record.journal import load_run
from benchmarks.record.run import Run
from benchmarks.report.pages import report
from benchmarks.stats.effects import Criteria
from benchmarks.validation import made_up

LIMIT_S = 20.0
"""Seconds of work: reading a file that takes more never ends."""
_USED = 5
"""Of so many trials of `table` one is put through what commands do, which takes ten times as long as reading."""

REFUSED = "refused in one line"
AS_IT_WAS = "as it was"
CUT_SHORT = "cut short, and says so"
UNSEALED = "read: nothing tells"
TRACEBACK = "traceback"
HANG = "hang"
CHANGED = "changed unnoticed"
OTHERS = "others not found"
OUTCOMES = (REFUSED, AS_IT_WAS, CUT_SHORT, UNSEALED, TRACEBACK, HANG, CHANGED, OTHERS)
FINE = (REFUSED, AS_IT_WAS, CUT_SHORT, UNSEALED)


@dataclass(frozen=True)
class Format:
    """A kind of file: where it lies in a results folder, how it is read by name, and what else must still work.

    `use` does with what was read, and what it was before, what commands do; also a page, where it is asked to.
    """

    name: str
    path: Path
    read: Callable[[Path, Path], Run]
    use: Callable[[Run, Run, bool], object]
    others: Callable[[Path], object]
    retype: Callable[[bytes, random.Random], bytes]
    """Changes a value, and nothing else, into one of another kind."""


@dataclass(frozen=True)
class Trial:
    """What became of one damaged file."""

    number: int
    damage: str
    outcome: str
    said: str = ""


def table(n_trials: int, seed: int) -> pd.DataFrame:
    """Return how many of `n_trials` damaged files of each kind ended how, with the first that ended badly."""
    rows = []
    for kind in FORMATS:
        for sealed in (True, False):
            found = list(trials(kind, n_trials, seed, sealed=sealed, used=_USED))
            counts = Counter(trial.outcome for trial in found)
            bad = next((trial for trial in found if trial.outcome not in FINE), None)
            rows.append(
                {
                    "file": kind.name,
                    "checksums": "yes" if sealed else "no",
                    "trials": len(found),
                    **{outcome: counts[outcome] for outcome in OUTCOMES},
                    "first bad one": f"{bad.number}: {bad.damage}: {bad.said}" if bad else "",
                }
            )
            print(rows[-1], file=sys.stderr, flush=True)
    return pd.DataFrame(rows)


def trials(kind: Format, n_trials: int, seed: int, *, sealed: bool, used: int = 1) -> Iterator[Trial]:
    """Yield what becomes of a file that is damaged in `n_trials` ways, with its checksums or without any.

    Of the first and every `used`-th after it the other files are read too, and what can be read and is not as it
    was is put through what commands do, of some of them a page is made.
    """
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder)
        made_up.write(results, sealed=sealed)
        path = results / kind.path
        whole = path.read_bytes()
        before = kind.read(path, results)
        for number in range(n_trials):
            chance = random.Random(f"{seed} {kind.name} {sealed} {number}")
            how = chance.choice(_DAMAGES if sealed else (*_DAMAGES, kind.retype))
            path.write_bytes(how(whole, chance))
            trial = _Trying(kind, path, results, before, sealed, number % used == 0, number % 10 == 5)
            yield Trial(number, how.__name__.strip("_"), *trial.outcome())


@dataclass(frozen=True)
class _Trying:
    """One damaged file, as it lies at `path` now; `before` is what was in it."""

    kind: Format
    path: Path
    results: Path
    before: Run
    sealed: bool
    use: bool
    page: bool

    def outcome(self) -> tuple[str, str]:
        """Return how reading it ends, and what was said of it."""
        said = ""
        try:
            with _limited():
                try:
                    outcome = self._read()
                except (OSError, ValueError) as error:
                    said = str(error)
                    outcome = REFUSED if self.path.name in said and len(said.splitlines()) == 1 else TRACEBACK
                if self.use:
                    self._find_others()
        except _NeverEnds:
            return HANG, said
        except _LostError as error:
            return OTHERS, str(error)
        except Exception as error:  # what this is about
            return TRACEBACK, repr(error)
        return outcome, said

    def _read(self) -> str:
        found = self.kind.read(self.path, self.results)
        outcome = _told(self.before, found) or (CHANGED if self.sealed else UNSEALED)
        if outcome != AS_IT_WAS and self.use:
            self.kind.use(found, self.before, self.page)
        return outcome

    def _find_others(self) -> None:
        with redirect_stderr(io.StringIO()) as told:
            self.kind.others(self.results)
        if any(not line.startswith("passed over: ") for line in told.getvalue().splitlines()):
            raise _LostError(told.getvalue())


class _LostError(Exception):
    """What was not damaged is not found, or more than one line is said of what was."""


def _told(before: Run, found: Run) -> str:
    """Return how a run that was read again relates to what it was; empty where it differs and does not say so."""
    if _same(before, found):
        return AS_IT_WAS
    first = before.records.iloc[: len(found.records)].drop(columns="fraction_of_bandwidth")
    lost = not found.complete and first.equals(found.records.drop(columns="fraction_of_bandwidth"))
    return CUT_SHORT if lost else ""


def _same(one: Run, other: Run) -> bool:
    pairs = [(getattr(one, each.name), getattr(other, each.name)) for each in fields(one)]
    return all(a.equals(b) if isinstance(a, pd.DataFrame) else a == b for a, b in pairs)


def _use(run: Run, base: Run, page: bool) -> None:  # noqa: FBT001 - one of several of its kind
    study = Study(run)
    if not study.rows.empty:
        _ = study.medians, study.speedups, study.shares, study.beside_peers, study.side_by_side, study.break_even
        decision_table(run)
        compare(base, run, Criteria())
    if page:
        report.render(study)


def _use_history(run: Run, base: Run, _: bool) -> None:  # noqa: FBT001 - as above
    records = pd.concat([base.records, run.records], ignore_index=True)
    trends(records[[name for name in records if name in columns("median_s")]])


class _NeverEnds(BaseException):
    """Reading a file took too long."""


@contextmanager
def _limited() -> Iterator[None]:
    """Raise _NeverEnds after LIMIT_S of work, or thirty times as long of waiting, where there are alarms."""
    if not hasattr(signal, "setitimer"):
        yield
        return

    def end(*_: object) -> None:
        raise _NeverEnds

    # A busy machine takes its time, and a file that is waited for takes none.
    clocks = {signal.SIGPROF: (signal.ITIMER_PROF, LIMIT_S), signal.SIGALRM: (signal.ITIMER_REAL, 30 * LIMIT_S)}
    before = {number: signal.signal(number, end) for number in clocks}
    for clock, limit_s in clocks.values():
        signal.setitimer(clock, limit_s)
    try:
        yield
    finally:
        for number, (clock, _) in clocks.items():
            signal.setitimer(clock, 0)
            signal.signal(number, before[number])


# --- how files are damaged ------------------------------------------------------------------------------------


def _place(content: bytes, chance: random.Random) -> int:
    return chance.randrange(len(content))


def _flip(content: bytes, chance: random.Random) -> bytes:
    at = _place(content, chance)
    return content[:at] + bytes([content[at] ^ 1 << chance.randrange(8)]) + content[at + 1 :]


def _digit(content: bytes, chance: random.Random) -> bytes:
    places = [i for i, byte in enumerate(content) if 48 <= byte <= 57] or [0]
    at = chance.choice(places)
    return content[:at] + b"%d" % chance.randrange(10) + content[at + 1 :]


def _overwrite(content: bytes, chance: random.Random) -> bytes:
    at, n = _place(content, chance), chance.randint(1, 64)
    return content[:at] + chance.choice((bytes(n), chance.randbytes(n))) + content[at + n :]


def _insert(content: bytes, chance: random.Random) -> bytes:
    at = _place(content, chance)
    return content[:at] + chance.randbytes(chance.randint(1, 64)) + content[at:]


def _delete(content: bytes, chance: random.Random) -> bytes:
    at = _place(content, chance)
    return content[:at] + content[at + chance.randint(1, 64) :]


def _cut(content: bytes, chance: random.Random) -> bytes:
    return content[: _place(content, chance)]


def _repeat(content: bytes, chance: random.Random) -> bytes:
    start, end = sorted((_place(content, chance), _place(content, chance)))
    return content[:end] + content[start:]


def _lines(content: bytes, chance: random.Random) -> bytes:
    """Lose, repeat, swap or replace a line."""
    lines = content.splitlines(keepends=True)
    at, other = chance.randrange(len(lines)), chance.randrange(len(lines))
    line = chance.choice(
        (b"", lines[at] * 2, lines[other], b"[]\n", b"1\n", b"{}\n", b"null\n", b"\n", b"[" * 9999)
    )
    return b"".join([*lines[:at], line, *lines[at + 1 :]])


def _foreign(_: bytes, chance: random.Random) -> bytes:
    """Have something else under its name."""
    return chance.choice(
        (b"", b"\0" * 100, b"PAR1", b"[]", b"null", b"a,b\n1,2\n", b"\xff\xfe\0", chance.randbytes(999))
    )


_DAMAGES = (_flip, _digit, _digit, _overwrite, _insert, _delete, _cut, _repeat, _lines, _foreign)

_VALUES: Sequence[object] = (
    *(None, True, 0, -1, 0.5, -1e308, 10**30, "", "x", "=1+1", "Infinity", "\ud800", "a\nb"),
    *([], [[]], {}, {"a": 1}),
)
"""What a value may become."""


def _json_value(content: bytes, chance: random.Random) -> bytes:
    """Change a value of a JSON document into one of another kind, or take it away."""
    document = json.loads(content)
    within = document
    while True:
        key = chance.choice(list(within) if isinstance(within, dict) else range(len(within)))
        inner = within[key]
        if not isinstance(inner, (dict, list)) or not inner or chance.random() < 0.1:
            break
        within = inner
    if chance.random() < 0.2:
        del within[key]
    else:
        within[key] = chance.choice(_VALUES)
    return json.dumps(document).encode()


def _json_line(content: bytes, chance: random.Random) -> bytes:
    lines = content.splitlines()
    at = chance.randrange(len(lines))
    lines[at] = _json_value(lines[at], chance)
    return b"\n".join(lines) + b"\n"


def _cell(content: bytes, chance: random.Random) -> bytes:
    lines = [line.split(b",") for line in content.splitlines()]
    cells = chance.choice(lines)
    cells[chance.randrange(len(cells))] = str(chance.choice(_VALUES)).encode(errors="replace")
    return b"\n".join(b",".join(cells) for cells in lines) + b"\n"


def _column(content: bytes, chance: random.Random) -> bytes:
    frame = pd.read_parquet(io.BytesIO(content))
    value = chance.choice((None, True, -1, 0.5, "", "x", b"\xff", [1], {"a": 1}, pd.Timestamp(0)))
    frame[chance.choice(list(frame))] = pd.Series([value] * len(frame), dtype=object)
    found = io.BytesIO()
    frame.to_parquet(found, index=False)
    return found.getvalue()


def _read_history(path: Path, _: Path) -> Run:
    return Run(records=history.read_file(path))


def _require(*found: object) -> None:
    if not all(found):
        raise _LostError("what was not damaged is not found")


def _good(results: Path) -> None:
    _require(saved.load(made_up.OTHER, results).run_id == made_up.OTHER)


def _last(results: Path) -> None:
    _require(len(saved.load_or_last(None, results).records))


def _in_history(results: Path) -> None:
    _require((history.read(results)["run_id"] == made_up.OTHER).any())


def _read_journal(path: Path, _: Path) -> Run:
    return load_run(path)


def _read_file(path: Path, results: Path) -> Run:
    return saved.load(str(path), results)


FORMATS: Sequence[Format] = (
    Format("journal", made_up.JOURNAL, _read_journal, _use, _good, _json_line),
    Format("pytest-benchmark JSON", made_up.SAVED, _read_file, _use, _good, _json_value),
    Format("CSV", made_up.TABLE, _read_file, _use, _last, _cell),
    Format("Parquet", made_up.HISTORY, _read_history, _use_history, _in_history, _column),
)
