"""Runs that are ended at random moments and gone on with: in the end the same as one that nobody disturbed.

The same cases and checks, each exactly once, in the journal as in what pytest-benchmark saves; and no process that
outlives what was ended by more than five seconds.
"""

from __future__ import annotations

import json
import random
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import psutil

from benchmarks import invocation, processes
from benchmarks.quantities import listing
from benchmarks.record.journal import JOURNALS, load_run, read_journal
from benchmarks.record.schema import CASE_KEYS, CHECK_KEYS
from benchmarks.validation.device import NO, YES

ASKED = (
    "--op", "relu", "sigmoid", "--size", "1000", "30000", "--mode", "forward", "--backend", "numpy",
    "--benchmark-max-time=0.02", "--order-seed=0", "--benchmark-save=run",
)  # fmt: skip
"""Eight seconds: checks, what calls cost, and four groups."""
WAYS = ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP", "SIGINT twice")
LEFT_S = 5.0
"""What a run started may outlive it for so long."""
MOST_S = 300.0
"""No run takes longer."""
_TRIAL = "ACTIVATION_BENCH_TRIAL"
"""A variable that all processes of a run inherit, so that they are found."""


@dataclass(frozen=True)
class Trial:
    """How one run was ended, and what became of it; `differs` says how it is not the undisturbed one."""

    way: str
    begun: bool
    n_left: int
    differs: str


def table(trials: int, seed: int) -> pd.DataFrame:
    """Return, for each way to end a run, how many of them came out as if nothing had happened."""
    found = run(trials, seed)
    rows = []
    for way in WAYS:
        of_way = [each for each in found if each.way == way]
        wrong = [each for each in of_way if each.differs or each.n_left]
        rows.append(
            {
                "ended by": way,
                "runs": len(of_way),
                "ended before the first line": sum(not each.begun for each in of_way),
                "the same in the end": sum(not each.differs for each in of_way),
                "processes left after 5 s": sum(each.n_left for each in of_way),
                "holds": NO if wrong else YES,
                "why not": "; ".join(dict.fromkeys(each.differs for each in wrong if each.differs)),
            }
        )
    return pd.DataFrame(rows)


def run(
    trials: int, seed: int, say: Callable[[str], None] = lambda text: print(text, file=sys.stderr)
) -> list[Trial]:
    """End runs at random moments, one way after the other, and go on with each."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "undisturbed"
        started = time.monotonic()
        _start(whole).wait(MOST_S)
        usual_s = time.monotonic() - started
        say(f"undisturbed: {usual_s:.1f} s")
        found = []
        for i in range(trials):
            after_s = chance.uniform(0, usual_s)
            trial = _trial(Path(folder) / str(i), whole, WAYS[i % len(WAYS)], after_s)
            found.append(trial)
            begun = "" if trial.begun else ", before it began"
            say(f"{i + 1} of {trials}: {trial.way} after {after_s:.1f} s{begun}: {trial.differs or 'the same'}")
        return found


def _trial(results: Path, whole: Path, way: str, after_s: float) -> Trial:
    """End a run, and go on with it."""
    mark = secrets.token_hex(8)
    running = _start(results, mark=mark)
    with suppress(subprocess.TimeoutExpired):
        running.wait(after_s)
    name, _, twice = way.partition(" ")
    for _ in range(2 if twice else 1):
        running.send_signal(signal.Signals[name])
        time.sleep(0.05)
    ended = _wait(running)
    n_left = _outlived(mark)
    begun = any(line.get("type") == "plan" for path in _journals(results) for line in read_journal(path))
    if ended != 0:
        _wait(_start(results, *["--resume"] * begun))
    return Trial(way, begun, n_left, _difference(results, whole, begun=begun))


def _start(results: Path, *more: str, mark: str = "") -> subprocess.Popen[bytes]:
    """Start a run as a user does, in a folder of its own, where no settings but ours can be found."""
    room = processes.command(__package__.rpartition(".")[0])
    command = [*room, invocation.RUN, "--results", str(results), *ASKED, *more]
    results.mkdir(parents=True, exist_ok=True)
    with (results / "output.txt").open("ab") as output:
        return subprocess.Popen(
            command,
            cwd=results,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**processes.environment(), _TRIAL: mark},
            start_new_session=True,
        )


def _wait(process: subprocess.Popen[bytes]) -> int:
    try:
        return process.wait(MOST_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait(MOST_S)


def _outlived(mark: str) -> int:
    """Return how many processes of a run are still there when they should have gone."""
    end = time.monotonic() + LEFT_S
    while (left := _marked(mark)) and time.monotonic() < end:
        time.sleep(0.1)
    return left


def _marked(mark: str) -> int:
    n = 0
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            n += process.environ().get(_TRIAL) == mark and process.status() != psutil.STATUS_ZOMBIE
    return n


def _journals(results: Path) -> list[Path]:
    return sorted((results / JOURNALS).glob("*.jsonl"))


def _saved(results: Path) -> list[str]:
    """Return the ids of all tests in what pytest-benchmark saved."""
    files = sorted(results.glob("runs/*/*.json"))[-1:]
    return [
        row["fullname"] for path in files for row in json.loads(path.read_text(encoding="utf-8"))["benchmarks"]
    ]


def _difference(results: Path, whole: Path, *, begun: bool) -> str:
    """Return how a run that was gone on with is not the undisturbed one; empty where it is."""
    journals = _journals(results)
    if begun and len(journals) != 1:
        return f"{len(journals)} journals"
    if not journals:
        return "no journal"
    found, due = _facts(results), _facts(whole)
    return "; ".join(_told(name, value, due[name]) for name, value in found.items() if value != due[name])


def _told(name: str, found: Sequence[object], due: Sequence[object]) -> str:
    """Say what is in one list of facts and not in the other, or not as often."""
    both = Counter(map(str, found)), Counter(map(str, due))
    told = [f"{word} {listing(list(each), most=2)}" for word, each in
            (("more", both[0] - both[1]), ("less", both[1] - both[0])) if each]  # fmt: skip
    return f"{name} differ: {', '.join(told)}"


def _facts(results: Path) -> dict[str, Sequence[object]]:
    """Return what two runs of the same cases have in common, by name."""
    run = load_run(_journals(results)[-1])
    return {
        "ends": [run.complete],
        "unmeasured groups": run.unmeasured,
        "cases": sorted(run.records[list(CASE_KEYS)].itertuples(index=False, name=None)),
        "endings": sorted(run.records[["op", "shape", "backend", "status"]].itertuples(index=False, name=None)),
        "checks": sorted(run.accuracy[list(CHECK_KEYS)].itertuples(index=False, name=None)),
        "saved tests": sorted(_saved(results)),
    }
