"""`python -m benchmarks validate COMMAND`: test whether the benchmark itself tells the truth.

Most commands measure something whose answer is known, or measure it with another tool too, and print a Markdown
table. `picture` takes the README's picture of a report.

Example: python -m benchmarks validate same --trials 3
"""

from __future__ import annotations

import argparse
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import backends
from backends.catalogue import ALIASES, OPS
from benchmarks.commands import add_output, add_results
from benchmarks.exits import Exit
from benchmarks.machine.resources import default_threads
from benchmarks.plan import spelling
from benchmarks.plan.arguments import add_reading, fraction, path, positive, seed, size
from benchmarks.plan.selection import CHECKED_MODES
from benchmarks.plan.spelling import Read
from benchmarks.record import saved
from benchmarks.validation import (
    agreement,
    alarms,
    damage,
    device,
    efficiency,
    exhaustive,
    instructions,
    naive,
    picture,
    power,
    repeats,
    resume,
    rivals,
    same,
    scale,
)

if TYPE_CHECKING:
    from rich.console import Console

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - its only name


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the commands and their arguments."""
    commands = parser.add_subparsers(dest="validation", required=True)
    for add in (
        _add_agreement,
        _add_rivals,
        _add_same,
        _add_repeats,
        _add_power,
        _add_alarms,
        _add_efficiency,
        _add_naive,
        _add_exhaustive,
        _add_instructions,
        _add_damage,
        _add_resume,
        _add_scale,
        _add_device,
        _add_picture,
    ):
        add(commands)


def run(options: argparse.Namespace, console: Console) -> Exit:
    """Print the table, or the picture's path; say where something does not hold."""
    found = options.measure(options)
    if isinstance(found, Path):
        console.out(found, highlight=False)
        return Exit.FINE
    console.out(found.fillna("").to_markdown(index=False, disable_numparse=True), highlight=False)
    return Exit.WRONG if device.NO in set(found.get("holds", ())) else Exit.FINE


def _add_agreement(commands: Commands) -> None:
    parser = commands.add_parser("agreement", help="our medians beside those of timeit and PyTorch; 1 minute")
    _add_seed(parser)
    parser.set_defaults(measure=lambda options: agreement.table(options.seed))


def _add_same(commands: Commands) -> None:
    parser = commands.add_parser("same", help="verdicts on one backend against itself; 25 minutes")
    parser.add_argument("--trials", type=positive, default=7, help="groups for each case and backend (default: 7)")
    _add_seed(parser)
    parser.set_defaults(measure=lambda options: same.table(options.trials, default_threads(), options.seed))


def _add_rivals(commands: Commands) -> None:
    parser = commands.add_parser("rivals", help="times among rivals beside those of a loop of its own; 1 minute")
    _add_seed(parser)
    parser.set_defaults(measure=lambda options: rivals.table(default_threads(), options.seed))


def _add_repeats(commands: Commands) -> None:
    parser = commands.add_parser(
        "repeats", help="what runs of the same plan decide, and how often two of them contradict each other"
    )
    parser.add_argument("runs", metavar="RUN", nargs="+", help="two saved runs or more: names, numbers or files")
    add_results(parser)
    parser.set_defaults(
        measure=lambda options: repeats.table([saved.load(name, options.results) for name in options.runs])
    )


def _add_power(commands: Commands) -> None:
    parser = commands.add_parser("power", help="which slow-downs `ab` finds, and which it imagines; 90 minutes")
    parser.add_argument(
        "--same", type=int, default=20, help="runs without a change, quiet and loaded (default: 20)"
    )
    parser.add_argument("--slowed", type=int, default=20, help="runs with each slow-down (default: 20)")
    parser.add_argument(
        "--shares",
        type=fraction,
        nargs="+",
        default=[0.03, 0.05, 0.1, 0.2],
        metavar="SHARE",
        help="slow-downs, such as 5%% or 0.05 (default: 3%%, 5%%, 10%% and 20%%)",
    )
    _add_seed(parser)
    parser.set_defaults(
        measure=lambda options: power.table(
            options.same, options.slowed, default_threads(), options.seed, options.shares
        )
    )


def _add_alarms(commands: Commands) -> None:
    parser = commands.add_parser("alarms", help="how often `trend` sees changes in simulated noise; 10 seconds")
    parser.set_defaults(measure=lambda _: alarms.table())


def _add_efficiency(commands: Commands) -> None:
    parser = commands.add_parser("efficiency", help="our precision for the time, beside other tools'; 20 minutes")
    parser.add_argument(
        "--repeats", type=positive, default=5, help="how often each tool measures everything (default: 5)"
    )
    parser.add_argument(
        "--pyperf", type=positive, default=3, help="how often pyperf does, the slowest (default: 3)"
    )
    parser.set_defaults(measure=lambda options: efficiency.table(options.repeats, options.pyperf))


def _add_naive(commands: Commands) -> None:
    parser = commands.add_parser("naive", help="NumPy's ops beside one-liners and SciPy; half an hour or more")
    for option, names, also in (
        ("--op", tuple(naive.ONE_LINERS), ALIASES),
        ("--mode", naive.MODES, spelling.OTHER_MODES),
        ("--dtype", naive.DTYPES, spelling.OTHER_DTYPES),
    ):
        parse = partial(spelling.name, names=names, also=also)
        text = f"only these {option[2:]}s (default: all)"
        parser.add_argument(option, action=Read, parse=parse, nargs="+", default=names, metavar="NAME", help=text)
    sizes = ", ".join(map(str, naive.SIZES))
    text = f"numbers of elements (default: {sizes})"
    parser.add_argument("--size", action=Read, parse=size, nargs="+", default=naive.SIZES, metavar="N", help=text)
    _add_seed(parser)
    parser.set_defaults(
        measure=lambda options: naive.table(options.op, options.mode, options.dtype, options.size, options.seed)
    )


def _add_exhaustive(commands: Commands) -> None:
    parser = commands.add_parser(
        "exhaustive", help="every float32 through ops of one input; 3 minutes for each op, mode and backend"
    )
    for option, names, chosen in (
        ("--op", exhaustive.ONE_INPUT, exhaustive.ONE_INPUT),
        ("--mode", CHECKED_MODES, CHECKED_MODES),
        ("--backend", backends.names(on_request=True), exhaustive.BACKENDS),
    ):
        also = {"--op": ALIASES, "--mode": spelling.OTHER_MODES}.get(option, {})
        parse = partial(spelling.name, names=names, also=also)
        text = f"only these (default: {'all' if chosen == names else ' and '.join(chosen)})"
        parser.add_argument(option, action=Read, parse=parse, nargs="+", default=chosen, metavar="NAME", help=text)
    text = "only every so manyth number; an odd one goes through all exponents (default: 1)"
    parser.add_argument("--stride", type=positive, default=1, metavar="N", help=text)
    parser.set_defaults(
        measure=lambda options: exhaustive.table(options.op, options.mode, options.backend, options.stride)
    )


def _add_instructions(commands: Commands) -> None:
    parser = commands.add_parser(
        "instructions", help="instructions of small calls, counted by valgrind; 2 minutes"
    )
    parse = partial(spelling.name, names=tuple(OPS), also=ALIASES)
    text = f"only these ops (default: {', '.join(instructions.OPS)})"
    parser.add_argument(
        "--op", action=Read, parse=parse, nargs="+", default=instructions.OPS, metavar="NAME", help=text
    )
    parser.add_argument(
        "--size", action=Read, parse=size, default=1, metavar="N", help="number of elements (default: 1)"
    )
    parser.add_argument(
        "--functions", action="store_true", help="the functions that take most of each call (default: the sums)"
    )
    parser.set_defaults(
        measure=lambda options: (
            instructions.breakdown(options.op, options.size)
            if options.functions
            else instructions.table(options.op, options.size)
        )
    )


def _add_damage(commands: Commands) -> None:
    parser = commands.add_parser(
        "damage", help="whether damaged files are noticed, 1,000 of each kind; 10 minutes"
    )
    parser.add_argument("--trials", type=positive, default=1000, help="damaged files of each kind (default: 1000)")
    _add_seed(parser)
    parser.set_defaults(measure=lambda options: damage.table(options.trials, options.seed))


def _add_resume(commands: Commands) -> None:
    parser = commands.add_parser(
        "resume", help="whether runs that are cut short anywhere go on as if nothing had happened; 15 minutes"
    )
    parser.add_argument(
        "--trials", type=positive, default=50, help="runs that are cut short and then go on (default: 50)"
    )
    _add_seed(parser)
    parser.set_defaults(measure=lambda options: resume.table(options.trials, options.seed))


def _add_scale(commands: Commands) -> None:
    parser = commands.add_parser(
        "scale", help="whether large runs, many machines and long histories take 30 s and 2 GB at most; 5 minutes"
    )
    for each in fields(scale.Extent):
        option = f"--{each.name.replace('_', '-')}"
        text = f"{each.metadata['meaning']} (default: {each.default})"
        parser.add_argument(option, type=positive, default=each.default, metavar="N", help=text)
    names = [each.name for each in fields(scale.Extent)]
    parser.set_defaults(
        measure=lambda options: scale.table(scale.Extent(**{name: getattr(options, name) for name in names}))
    )


def _add_device(commands: Commands) -> None:
    parser = commands.add_parser("device", help="what must hold on a GPU, checked on one; a minute")
    add_reading(parser.add_argument, "--device", "where to check (default: cuda)", default="cuda")
    parser.add_argument("--output", metavar="JSON", type=path, help="where the findings go too (default: nowhere)")
    parser.set_defaults(measure=lambda options: device.table(options.device, default_threads(), options.output))


def _add_picture(commands: Commands) -> None:
    parser = commands.add_parser("picture", help="a picture of a report's head and map, in Chromium; 5 seconds")
    parser.add_argument(
        "report",
        metavar="REPORT.html",
        nargs="?",
        type=path,
        default=picture.REPORT,
        help=f"the report to show (default: {picture.REPORT})",
    )
    add_output(parser, "where the PNG goes (default: beside the report)")
    parser.add_argument(
        "--width", type=positive, default=picture.WIDTH, help="of the window, in pixels (default: 1280)"
    )
    parser.add_argument(
        "--dark", action="store_true", help="as a reader with a dark theme sees it (default: a light one)"
    )
    parser.set_defaults(
        measure=lambda options: picture.save(
            options.report, options.output, width=options.width, dark=options.dark
        )
    )


def _add_seed(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--seed", type=seed, default=0, help="seed of the order in which things take turns (default: 0)"
    )
