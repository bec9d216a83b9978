"""The steps of `.ci/gpu`: each runs in processes of its own, within its share of the time, and ends no other."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gpu_processes import GRACE_S, ROOT, Ended, Step, together
from gpu_summary import gather

MINUTES = 8.0
KEPT_S = 15.0
"""Seconds of all that are kept for gathering the files and saying what came out."""
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
OPENED, GRAPHS, ALSO, LACKS = "Opened:", "Graphs:", "Also:", "Lacks:"
"""What the lines of the environment begin with that name the usual backends, those that capture graphs, each other
one with its ops, and each of these that lacks types, with them."""


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
    device: str,
    there: Sequence[str],
    graphs: Sequence[str],
    also: Mapping[str, Collection[str]],
    lacks: Mapping[str, Collection[str]],
) -> Iterator[Timed]:
    """Yield the runs of what is measured on request: graphs, cold calls, and what is beside the usual backends.

    Of those, a run names whoever has all of its ops in all of its types: what a backend that is named lacks fails.
    """
    if graphs:
        policies = ("--launch", "graph", "--allocation", "reuse", "--timing", "latency", "throughput")
        cases = ("--op", *OPS[1:3], "--size", *SIZES[:2], "--mode", "forward", "backward")
        yield Timed("graphs", ("--device", device, "--backend", *graphs, *cases, *policies))
    kinds = (
        ("kernels", KERNELS, ("float32",), ("--size", *SIZES[1:], "--cache", "hot", "cold")),
        ("rows", ROWS, ("bfloat16", "float32"), ("--shape", VOCABULARY)),
    )
    for name, ops, dtypes, more in kinds:
        able = [
            each for each, its in also.items() if {*ops} <= {*its} and {*dtypes}.isdisjoint(lacks.get(each, ()))
        ]
        if able:
            cases = ("--op", *ops, "--dtype", *dtypes, *more, "--mode", "forward", "forward+backward")
            yield Timed(name, ("--device", device, "--backend", *there, *able, *cases))


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
    from benchmarks.record.schema import DTYPES
    from benchmarks.validation.device import places

    print(json.dumps(fingerprint(default_threads()), default=vars, indent=1))
    known, found = places(device), {}
    for name in [*known, *on_request(device)]:
        try:
            found[name] = backend = backends.load(name, device)
        except Exception as error:  # whatever is wrong with one is a finding, and hides no other
            print(f"error: {name}: {str(error).removeprefix(f'{name}: ')}")
        else:
            print(f"{name} {backend.version} on {device}: {backend.device_name()}; {backend.settings()}")
            if name not in known:
                ops = [op for op in _every_op() if backend.supports(op)]
                print(ALSO, name, *ops)
                print(LACKS, name, *(d for d in DTYPES if not all(backend.supports(op, dtype=d) for op in ops)))
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
            lacks = {name: dtypes for name, *dtypes in told(ended[0], LACKS)}
            graphs = [name for each in told(ended[0], GRAPHS) for name in each]
            runs += others(option.device, there, graphs, also, lacks)
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
    parser.add_argument("--op", nargs="+", help="only these ops, on the usual backends alone")
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
