"""`python -m benchmarks fleet run [OPTION ...] -- [OPTIONS OF THE RUN]`: measure one plan on a Ray cluster.

Each node takes one group of the plan after the other, alone on it. Its records are in a journal here as soon as
the group is over. A node that is lost costs its group, which an equal node measures again. A node that joins
takes part. In the end there is one run, as `merge` makes it. After `--` come the options of `run`.

Exit status: 0, 1 if a check failed on some node, 3 if some group was not measured, 2 if nothing could be measured.

Example: python -m benchmarks fleet run --address auto -- --preset full --benchmark-save=nightly
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from pytest_benchmark.utils import get_commit_info

from benchmarks import invocation
from benchmarks.commands import add_results, merge
from benchmarks.commands import run as run_command
from benchmarks.exits import Exit
from benchmarks.fleet import cluster
from benchmarks.fleet.driver import Driver
from benchmarks.fleet.parts import Origin
from benchmarks.machine import signals
from benchmarks.plan import arguments
from benchmarks.plugin import options as run_options
from benchmarks.quantities import listing, plural
from benchmarks.record import places
from benchmarks.record.run import id_at

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

FOLDER = "runs/fleet"
"""The folder within the results for the parts of fleets' runs, a folder a run."""
WHOLE = "--shard=1/1"
"""Each node's run is a part: it is in no history. Which groups are in it, nobody knows beforehand."""
_NOT_HERE = {
    "--results": "belongs before `--`",
    **dict.fromkeys(("-h", "--help", run_command.OPTIONS), f"`run {run_command.OPTIONS}` lists the options"),
    **dict.fromkeys(
        ("--shard", "--resume", "--resume-force", "-n", "--dist"), "the fleet divides the plan by itself"
    ),
    **dict.fromkeys(("-x", "--exitfirst", "--maxfail"), "a node cannot stop the others"),
    **dict.fromkeys(("--collect-only", "--co"), "a fleet measures: list the tests without it"),
    **dict.fromkeys(
        ("--benchmark-json", "--benchmark-autosave", "--benchmark-compare", "--benchmark-compare-fail"),
        "the parts of a run are not saved; use `compare` on the whole",
    ),
}
"""Options of a run that make no sense in a fleet, each with why."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments; what follows `--` is pytest's to parse."""
    parser.add_argument("action", choices=("run",), help="what to do; the options of the run follow after `--`")
    parser.add_argument(
        "--address",
        default=cluster.AUTO,
        type=arguments.given,
        help="the Ray cluster: HOST:PORT, auto for the one that this machine is in, local for this machine alone "
        "(default: auto)",
    )
    parser.add_argument(
        "--machines",
        nargs="+",
        default=[],
        metavar="RESOURCE",
        help="nodes that have one of these resources of Ray, such as accelerator_type:H100 or node:10.0.0.2 "
        "(default: all that have a processor to offer)",
    )
    parser.add_argument(
        "--everywhere",
        action="store_true",
        help="measure the plan on each kind of machine (default: machines of one kind share it)",
    )
    add_results(parser)
    parser.set_defaults(words=[])


def run(options: argparse.Namespace, console: Console) -> int:
    """Check the options, measure, and merge what the nodes have measured."""
    cluster.load()
    asked = parsed(options.words)
    if asked is None:
        return Exit.USAGE
    name = asked.benchmark_save if isinstance(asked.benchmark_save, str) else run_options.default_name()
    if reason := places.unusable(options.results, name):
        raise ValueError(reason)
    folder = options.results.absolute() / FOLDER / id_at(datetime.now(UTC))
    words = [invocation.RUN, *options.words, WHOLE, f"--benchmark-save={name}"]
    rays = cluster.RayCluster(options.address, words)

    def tell(text: str) -> None:
        console.print(
            f"{datetime.now().astimezone():%H:%M:%S} {text}", markup=False, highlight=False, soft_wrap=True
        )

    driver = Driver(
        rays,
        folder,
        _origin(options.words),
        tell,
        options.machines,
        options.everywhere,
        facts={"ray": rays.version},
    )
    try:
        with signals.as_interrupts():
            driver.run()
    except KeyboardInterrupt:
        _conclude(driver, folder, name, options.results, console)
        return Exit.INTERRUPTED
    finally:
        rays.close()
    return _conclude(driver, folder, name, options.results, console)


class _Parsed:
    """A plugin of pytest that keeps the options, and lets nothing run."""

    option: argparse.Namespace | None = None

    def pytest_cmdline_main(self, config: pytest.Config) -> int:
        """Keep the options; this takes the place of running the tests."""
        self.option = config.option
        return 0


def parsed(words: Sequence[str]) -> argparse.Namespace | None:
    """Return the options of the run, as a run parses them; None where it has said what is wrong.

    Raises ValueError for one that makes no sense in a fleet. What only a node can tell, such as whether it has a
    GPU, each node's run refuses before it measures.
    """
    for word in words:
        if reason := _NOT_HERE.get(word.partition("=")[0]):
            raise ValueError(f"{word.partition('=')[0]}: cannot be given to a fleet's run: {reason}")
    keeper = _Parsed()
    pytest.main(run_command.pytest_arguments(words), plugins=[keeper, run_command.Typed(words)])
    return keeper.option


def _origin(words: Sequence[str]) -> Origin:
    commit = get_commit_info()
    command = shlex.join([*invocation.command().split(), "fleet", "run", "--", *words])
    return Origin(command, commit.get("id"), commit.get("dirty"))


def _conclude(driver: Driver, folder: Path, name: str, results: Path, console: Console) -> int:
    """Merge the parts; say what is missing, and how the run ended."""
    if not driver.has_measured:
        raise ValueError("no node has measured anything; what each said is above")
    merge.run(argparse.Namespace(runs=[str(folder)], into=name, force=False, results=results), console)
    for machine, units in driver.missing.items():
        console.print(f"Not measured on {machine}: {listing(units, most=6)}.", markup=False, soft_wrap=True)
    if driver.failed:
        console.print(f"Failed: {plural(len(driver.failed), 'test')}, named above.", markup=False)
    console.print(f"To read it: {invocation.command()} report {name}", markup=False, soft_wrap=True)
    if driver.missing:
        return Exit.UNSURE
    return Exit.WORSE if driver.failed else Exit.FINE
