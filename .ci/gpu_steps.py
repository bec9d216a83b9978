"""The steps of `.ci/gpu`: each runs in processes of its own, within its share of the time, and ends no other."""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parent.parent
MINUTES = 8.0
KEPT_S = 15.0
"""Seconds of all that are kept for gathering the files and saying what came out."""
GRACE_S = 10.0
"""A step that is asked to stop has so long to write its journal."""
SHARES = {
    "environment": 0.2,
    "device": 0.2,
    "timing": 0.35,
    "graphs": 0.2,
    "kernels": 0.3,
    "rows": 0.3,
    "correctness": 1.0,
}
"""Of the time that is left, what each step may take: what one does not use is there for those after it."""
MOST_TOGETHER = 12
"""So many processes check results side by side at most, and 2 fewer than there are processors."""
MEMORY_TOGETHER = 0.5
"""What they may take of the device's memory, all together: the least is used, as checked arrays are small."""
UNRESERVED = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
"""JAX takes memory as it needs it, and not three quarters of the device at once."""
OPS = ("relu", "gelu", "softmax", "mean_squared_error")
SIZES = ("1e4", "1e6", "1e8")
HOST = "numba-parallel"
"""Timed beside the backends that the device has, where it is installed: the host's fastest in most cases."""
KERNELS = ("relu", "mean_squared_error", "gelu", "log_softmax")
"""Those that memory limits come first: how close they are to its limit, hot and cold, is what is looked for."""
ROWS = ("softmax", "softmax_cross_entropy_with_integer_labels")
"""What backends on request and other libraries are timed on, as far as they have these ops."""
VOCABULARY = "8192x32000"
LEFT_OUT = ("jax-eager",)
"""Slow to call, and known for it."""
OPENED, GRAPHS, ALSO = "Opened:", "Graphs:", "Also:"
"""What the lines of the environment begin with that name the usual backends, those that capture graphs, and each
other one with its ops."""
LOG_BYTES = 8 * 2**20
"""Of a longer log, the end is kept."""


@dataclass(frozen=True)
class Step:
    """A command, and what its environment has beside that of this process."""

    name: str
    command: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Ended:
    """How a step ended: its exit status (None if its time was used up), the seconds, and what it printed."""

    name: str
    status: int | None
    seconds: float
    output: str

    @property
    def failures(self) -> list[str]:
        """Lines that name what failed, or the last lines of a step that failed without such."""
        named = [line for line in self.output.splitlines() if line.startswith(("FAILED ", "ERROR ", "error: "))]
        return named or ([] if self.status == 0 else self.output.splitlines()[-15:])

    @property
    def outcome(self) -> str:
        """The status in words."""
        return {0: "passed", None: "time used up"}.get(self.status, f"exit status {self.status}")


def together(steps: Sequence[Step], limit_s: float) -> list[Ended]:
    """Run steps side by side; those that take longer than the limit are interrupted, then ended."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # as a shell has it for what it starts with `&`
        signal.signal(signal.SIGINT, signal.default_int_handler)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        outputs = [Path(folder) / str(i) for i in range(len(steps))]
        running = [_start(step, output) for step, output in zip(steps, outputs, strict=True)]
        ends: dict[int, float] = {}
        try:
            while len(ends) < len(running) and time.monotonic() - started < limit_s:
                ended = [i for i, process in enumerate(running) if i not in ends and process.poll() is not None]
                ends |= dict.fromkeys(ended, time.monotonic())
                time.sleep(0.05)
        finally:  # also where this process is told to end
            late = [process for i, process in enumerate(running) if i not in ends]
            _end(late)
        return [
            Ended(
                step.name,
                None if process in late else process.returncode,
                ends.get(i, time.monotonic()) - started,
                outputs[i].read_text(encoding="utf-8", errors="replace"),
            )
            for i, (step, process) in enumerate(zip(steps, running, strict=True))
        ]


def _start(step: Step, output: Path) -> subprocess.Popen[bytes]:
    with output.open("wb") as file:
        return subprocess.Popen(
            step.command,
            cwd=ROOT,
            env={**os.environ, **step.variables},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that it can be ended with all that it started
        )


def _end(late: Iterable[subprocess.Popen[bytes]]) -> None:
    """Interrupt processes, as Ctrl-C would, so that they write what they have; kill those that go on."""
    late = list(late)
    for process in late:
        os.kill(process.pid, signal.SIGINT)
    deadline = time.monotonic() + GRACE_S
    for process in late:
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=max(0.0, deadline - time.monotonic()))
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def shares_of(items: Sequence[str], n: int) -> list[tuple[str, ...]]:
    """Deal items out to at most `n` shares, one after the other, so that each has some of every family."""
    return [tuple(items[i::n]) for i in range(min(n, len(items)))]


def correctness(device: str, ops: Sequence[str], places: Sequence[str], results: Path, n: int) -> list[Step]:
    """Return the correctness suite in at most `n` processes, each with its part of the ops and of the memory."""
    parts = shares_of(ops, n)
    bounded = UNRESERVED | {"XLA_PYTHON_CLIENT_MEM_FRACTION": f"{MEMORY_TOGETHER / max(len(parts), 1):.3f}"}
    options = ("-q", "-rfE", "--tb=line", "-p", "no:cacheprovider", "--device", device, "--backend", *places)
    return [
        Step(
            f"correctness {i + 1} of {len(parts)}",
            (
                *(sys.executable, "-m", "pytest", "benchmarks/test_correctness.py", *options),
                *("--results", str(results / f"correctness-{i}"), "--op", *part),
            ),
            bounded,
        )
        for i, part in enumerate(parts)
    ]


@dataclass(frozen=True)
class Timed:
    """A timing run: its name, and what it is asked for."""

    name: str
    options: tuple[str, ...]


def host_and_device(device: str, ops: Sequence[str], sizes: Sequence[str], places: Iterable[str]) -> Timed:
    """Return the run that compares host and device."""
    devices = tuple(dict.fromkeys(("cpu", device)))
    return Timed("timing", ("--device", *devices, "--backend", *places, "--size", *sizes, "--op", *ops))


def others(
    device: str, there: Sequence[str], graphs: Sequence[str], also: Mapping[str, Collection[str]]
) -> Iterator[Timed]:
    """Yield the runs of what is measured on request: graphs, cold calls, and what is beside the usual backends."""
    if graphs:
        policies = ("--launch", "graph", "--allocation", "reuse", "--timing", "latency", "throughput")
        cases = ("--op", *OPS[1:3], "--size", *SIZES[:2], "--mode", "forward", "backward")
        yield Timed("graphs", ("--device", device, "--backend", *graphs, *cases, *policies))
    kinds = (
        ("kernels", KERNELS, ("--size", *SIZES[1:], "--cache", "hot", "cold")),
        ("rows", ROWS, ("--shape", VOCABULARY, "--dtype", "bfloat16", "float32")),
    )
    for name, ops, more in kinds:
        able = [each for each, its in also.items() if set(ops) <= set(its)]
        if able:
            modes = ("--mode", "forward", "forward+backward")
            yield Timed(name, ("--device", device, "--backend", *there, *able, "--op", *ops, *more, *modes))


def timing(asked: Timed, results: Path, limit_s: float) -> Step:
    """Return a timing run within a time."""
    # Starting, and the report at the end, take time beside the budget.
    budget = f"{max(20, round(limit_s - 45))}s"
    command = (
        *(sys.executable, "-m", "pytest", "benchmarks/test_timing.py", "-q", "-rfE", "--tb=line"),
        *("-p", "no:cacheprovider", "--results", str(results / asked.name), f"--benchmark-save={asked.name}"),
        *("--time-budget", budget, *asked.options),
    )
    return Step(asked.name, command)


def environment(device: str) -> int:
    """Print what this machine is and has; return 2 if no backend opens the device, 1 if some do not."""
    import backends
    from backends.base import BaseBackend
    from benchmarks.machine.fingerprint import fingerprint
    from benchmarks.machine.resources import default_threads
    from benchmarks.validation.device import places

    print(json.dumps(fingerprint(default_threads()), default=vars, indent=1))
    known, found = places(device), {}
    for name in [*known, *on_request(device)]:
        try:
            found[name] = backend = backends.load(name, device)
        except Exception as error:  # whatever is wrong with one is a finding, and hides no other
            print(f"error: {name}: {error}")
        else:
            print(f"{name} {backend.version} on {device}: {backend.device_name()}; {backend.settings()}")
            if name not in known:
                print(ALSO, name, *(op for op in _every_op() if backend.supports(op)))
    opened = [name for name in known if name in found]
    print(GRAPHS, *(name for name in opened if type(found[name]).captured is not BaseBackend.captured))
    print(OPENED, *opened)
    return 2 if not opened else int(len(opened) < len(known))


def on_request(device: str) -> list[str]:
    """Return what runs on a device, other than the host, and is installed, beside the usual backends."""
    import backends

    declared = backends.declarations()
    return [
        name
        for name, each in declared.items()
        if device != "cpu" and device.partition(":")[0] in each.devices and name not in (*each.variants, *LEFT_OUT)
        if not backends.missing(name)
    ]


def gather(results: Path, ended: Sequence[Ended], output: Path, checks: Path) -> None:
    """Leave what is worth keeping: summary, failures, log, checks, records, accuracy, page and journal."""
    output.mkdir(parents=True, exist_ok=True)
    log = "\n".join(f"== {each.name}: {each.outcome} after {each.seconds:.0f} s\n{each.output}" for each in ended)
    (output / "log.txt").write_bytes(log.encode()[-LOG_BYTES:])
    failures = [f"== {each.name}\n" + "\n".join(each.failures) for each in ended if each.failures]
    (output / "failures.txt").write_text("\n".join(failures) or "none\n", encoding="utf-8")
    latest = results / "timing" / "latest"
    for source in (latest / "report.html", checks):
        if source.exists():
            shutil.copy(source, output / source.name)
    tables = [results / name / "latest" / "records.csv" for name in SHARES]
    records = [path.read_text(encoding="utf-8").splitlines(keepends=True) for path in tables if path.exists()]
    if records:  # of all timing runs, under the header of the first
        lines = [*records[0][:1], *(line for table in records for line in table[1:])]
        (output / "records.csv").write_text("".join(lines), encoding="utf-8")
    for journal in sorted(results.glob("timing/runs/journals/*.jsonl"))[-1:]:
        shutil.copy(journal, output / "journal.jsonl")
    rows = accuracy(results.glob("**/correctness-*/runs/journals/*.jsonl"))
    write_table(rows, output / "accuracy.csv")
    (output / "summary.md").write_text(summary(ended, output) + unseen(rows), encoding="utf-8")


def accuracy(journals: Iterable[Path]) -> list[dict[str, str]]:
    """Return what all journals say of accuracy, a row a check; a line that was cut short is left out."""
    rows = []
    for journal in journals:
        for line in journal.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                row = json.loads(line)
            except ValueError:
                continue
            if row.pop("type", "") == "accuracy":
                rows.append(row)
    return rows


def unseen(rows: Sequence[Mapping[str, str]]) -> str:
    """Return which known deviations would be excused, though nothing showed them where they were checked.

    Such a one may be of the host's alone: then it should say so.
    """
    if not rows:
        return ""
    from benchmarks.check.known_deviations import KNOWN_DEVIATIONS
    from benchmarks.record.schema import Check

    checks = [
        (Check(*(row[name] for name in ("op", "mode", "dtype", "backend", "device"))), row.get("reason", ""))
        for row in rows
    ]
    lines = []
    for deviation in KNOWN_DEVIATIONS:
        due = [each for each in checks if deviation.applies(each[0]) and deviation.is_due(each[0].dtype)]
        if due and not any(deviation.reason in reason.split("; ") for _, reason in due):
            where = [
                ", ".join(dict.fromkeys(names)) for names in zip(*((c.backend, c.op) for c, _ in due), strict=True)
            ]
            lines.append(f"    {where[0]}: {where[1]}: {deviation.reason}")
    return "\n".join([f"{len(lines)} known deviations were not seen here:", *lines, ""])


def write_table(rows: Sequence[Mapping[str, str]], path: Path) -> None:
    """Write rows as CSV, with the columns that any of them has."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def summary(ended: Sequence[Ended], output: Path) -> str:
    """Return what came out, as Markdown: each step, what each says last, and what failed."""
    lines = ["| step | outcome | seconds | its last line |", "|:--|:--|--:|:--|"]
    for each in ended:
        last = (each.output.strip().splitlines() or [""])[-1].strip("= ").replace("|", "/")
        lines.append(f"| {each.name} | {each.outcome} | {each.seconds:.0f} | {last[:150]} |")
    n_failed = sum(len(each.failures) for each in ended)
    files = sorted({path.name for path in output.glob("*")} | {"summary.md"})
    lines += ["", f"Files: {', '.join(files)}.", "", f"{n_failed} lines of failures" + (":" if n_failed else ".")]
    return "\n".join([*lines, *[f"    {line[:200]}" for each in ended for line in each.failures[:20]], ""])


def steps_left(started: float, minutes: float) -> float:
    """Return the seconds that are left for steps."""
    return max(0.0, 60 * minutes - KEPT_S - GRACE_S - (time.monotonic() - started))


def run(option: argparse.Namespace, results: Path) -> int:
    """Run all steps, gather what they leave, and return the exit status."""
    started, ended = time.monotonic(), []
    checks = results / "checks.json"

    def step(name: str, steps: Sequence[Step]) -> None:
        found = together(steps, SHARES[name] * steps_left(started, option.minutes))
        ended.extend(found)
        for each in found:
            print(f"{each.name}: {each.outcome} after {each.seconds:.0f} s", flush=True)

    python = sys.executable
    command = (python, __file__, "environment", "--device", option.device)
    step("environment", [Step("environment", command, UNRESERVED)])
    there = opened(ended[0])
    if there:
        validate = (python, "-m", "benchmarks", "validate", "device", "--device", option.device)
        step("device", [Step("device", (*validate, "--output", str(checks)))])
        sizes = option.size or (SIZES if option.device != "cpu" else SIZES[:1])
        runs = [host_and_device(option.device, option.op or OPS, sizes, (*there, *_host()))]
        also = {name: ops for name, *ops in told(ended[0], ALSO)} if not option.op else {}
        if not option.op:
            runs += others(option.device, there, [name for each in told(ended[0], GRAPHS) for name in each], also)
        for each in runs:
            step(each.name, [timing(each, results, SHARES[each.name] * steps_left(started, option.minutes))])
        n = max(1, min(MOST_TOGETHER, (os.cpu_count() or 1) - 2))
        checked = correctness(option.device, option.op or _every_op(), there, results, n)
        step("correctness", [*checked, *own(option.device, also, results)])
    gather(results, ended, option.output, checks)
    print((option.output / "summary.md").read_text(encoding="utf-8"))
    return 2 if not there else int(any(each.status != 0 for each in ended))


def opened(environment: Ended) -> tuple[str, ...]:
    """Return the backends that open the device, as the first step has printed them."""
    return tuple(name for names in told(environment, OPENED) for name in names)


def told(environment: Ended, what: str) -> list[list[str]]:
    """Return the words of each line of the first step that begins with `what`."""
    lines = (line for line in environment.output.splitlines() if line.startswith(what))
    return [line.removeprefix(what).split() for line in lines]


def own(device: str, also: Mapping[str, Sequence[str]], results: Path) -> Iterator[Step]:
    """Yield the correctness suite for backends of ours with kernels of their own, each with the ops that it has.

    Other libraries are checked as far as they are timed.
    """
    import backends

    for i, (name, ops) in enumerate(also.items()):
        if name not in backends.peer_names() and not backends.declarations()[name].variants:
            (step,) = correctness(device, ops, (name,), results / f"own-{i}", 1)
            yield Step(f"correctness of {name}", (*step.command, "--dtype", "float32", "float64"), step.variables)


def _host() -> tuple[str, ...]:
    import backends

    return () if backends.missing(HOST) else (HOST,)


def _every_op() -> tuple[str, ...]:
    from backends.catalogue import OPS as CATALOGUE

    return tuple(CATALOGUE)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog=".ci/gpu")
    parser.add_argument("step", nargs="?", choices=("environment",), help=argparse.SUPPRESS)
    parser.add_argument("--device", default="cuda", help="where to run (cuda)")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="time for everything (8)")
    parser.add_argument("--op", nargs="+", help="only these ops")
    parser.add_argument("--size", nargs="+", help="numbers of elements to time (1e4 1e6 1e8)")
    default = Path(os.environ.get("OUT") or ROOT / "results" / "gpu")
    parser.add_argument("--output", type=Path, default=default, help="where the files go ($OUT or results/gpu)")
    parser.add_argument(
        "--wheels", metavar="FOLDER", help="packages to use (.whl or wheels); `.ci/gpu` takes them"
    )
    return parser


def main() -> int:
    """Parse the command line and run."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    option = make_parser().parse_args()
    if option.step == "environment":
        return environment(option.device)
    with tempfile.TemporaryDirectory() as folder:
        return run(option, Path(folder))


if __name__ == "__main__":
    sys.exit(main())
