"""`python -m benchmarks ab BASE HEAD`: measure two revisions, or two environments, against each other.

BASE and HEAD are git revisions of the repository that you stand in, or folders that contain `backends/`, such as
`.` for the files as they are now. To compare two environments, give the same twice, and a Python for each: `ab . .
--base-python old/bin/python --head-python new/bin/python`. In a project of your own, only its backends are
measured. `--candidate kernels.py:fast_gelu --op gelu` measures that function of each side.

The two are measured in short alternating bursts. Each sitting starts new processes; a case needs no more of them
once it is decided. Exit status: 0 nothing got worse, 1 something is slower or fails now, 2 usage, 3 nothing could
be judged, 4 a result is wrong, 5 a kernel cheated.

Example: python -m benchmarks ab main . --backend numpy --op relu --size 1e6 --time-budget 2min
"""

from __future__ import annotations

import argparse
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
from rich.console import Console

import backends
from backends.candidates import FRAMEWORKS
from backends.interface import MODES, Declaration, Mode
from benchmarks.analysis.entries import entries
from benchmarks.commands import add_output, add_results
from benchmarks.exits import Exit
from benchmarks.judge.compare import Judged
from benchmarks.machine import doubts, fingerprint, signals
from benchmarks.measure import sides
from benchmarks.measure.duel import Duel
from benchmarks.measure.sides import Side
from benchmarks.plan import arguments, availability, candidates, own_ops, selection
from benchmarks.plan.selection import Selection
from benchmarks.quantities import listing, plural
from benchmarks.record.schema import Case
from benchmarks.report.terminal.console import text_for
from benchmarks.report.text.comparison import Comparison, reasons_in_common, render, write
from benchmarks.stats import sittings
from benchmarks.stats.effects import Criteria


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments; the backends of the repository that one stands in are known by name."""
    if here := sides.root():
        _know(here)
    for side in ("base", "head"):
        parser.add_argument(
            side,
            type=arguments.given,
            metavar=side.upper(),
            help="a git revision, or a folder that contains backends/",
        )
    for side, environment in (("base", "old"), ("head", "new")):
        parser.add_argument(
            f"--{side}-python",
            type=arguments.path,
            metavar="PYTHON",
            help=f"the Python that measures {side.upper()}, such as {environment}/bin/python (default: this one)",
        )
    arguments.add_options(parser.add_argument)
    candidates.add_option(parser.add_argument)
    candidates.add_options(parser.add_argument)
    own_ops.add_option(parser.add_argument)
    arguments.add_margin(parser.add_argument, "--threshold")
    parser.add_argument(
        "--time-budget",
        type=arguments.seconds,
        default=600.0,
        metavar="TIME",
        help="stop after this time, such as 90s or 5min, even if cases are undecided (default: 10min)",
    )
    parser.add_argument(
        "--order-seed", type=arguments.seed, metavar="SEED", help="seed of all orders (default: a new one)"
    )
    add_results(parser)
    add_output(parser, "where to write (default: a new folder in RESULTS/ab)")


def run(options: argparse.Namespace, console: Console) -> Exit:
    """Compare, print and write what was found; return the verdict on the whole."""
    if reason := arguments.contradiction(options):
        raise ValueError(reason)
    if not (options.base_python or options.head_python) and (reason := availability.missing(options)):
        raise ValueError(reason)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    output = options.output or options.results / "ab" / stamp
    seed = secrets.randbits(32) if options.order_seed is None else options.order_seed
    with ExitStack() as stack:
        stack.enter_context(signals.as_interrupts())  # or the sides' folders would be left behind
        base = stack.enter_context(_opened(options, options.base, options.base_python))
        head = stack.enter_context(_opened(options, options.head, options.head_python))
        base, head = _told_apart(base, head, (options.base_python, options.head_python))
        chosen = list(selection.timing_cases(_selection(options, base, head)))
        threads = arguments.threads(options)
        notes = list(_differences(base, head, [each.package for each in _declarations(chosen)]))
        rows = selection.rows_told(arguments.chosen(options))
        for line in (f"{plural(len(chosen), 'case')}, {head.label} against {base.label}", *rows, *notes):
            console.print(text_for(console, line), soft_wrap=True)
        notes += map(str, doubts.warnings(doubts.busy_share(), threads=threads))
        watch = doubts.Watch()
        duel = Duel(
            base,
            head,
            chosen,
            Criteria(threshold=options.margin),
            threads=threads,
            seed=seed,
            budget_s=options.time_budget,
            journal=output / "sittings.jsonl",
            timeout_s=options.case_timeout,
            say=lambda text: console.print(text, highlight=False),
        )
        found = duel.run()
        cases = entries(found, Judged)
        notes += [*map(str, watch.finish()), *reasons_in_common(cases), *_left(found)]
        comparison = Comparison(
            base.label, head.label, cases, duel.criteria, "sittings", (*notes, f"Seed of all orders: {seed}.")
        )
    render(comparison, console)
    for path in write(comparison, output):
        console.print(f"Written: {path}", highlight=False, soft_wrap=True)
    return comparison.exit_status


@contextmanager
def _opened(options: argparse.Namespace, name: str, python: Path | None) -> Iterator[Side]:
    """Open a side, with the candidates of the command line as backends of it, each from the side's own file."""
    with sides.opened(name, python, whole=bool(options.candidate)) as side, TemporaryDirectory() as temporary:
        if not options.candidate:
            yield side
            return
        here = sides.root() or Path.cwd()
        places = [candidates.moved(place, side.folder, here, side.label) for place in options.candidate]
        planned = candidates.asked(options, places, options.op or ())
        if side.commit is not None and not side.whole:
            candidates.write(planned, side.folder)
            yield side
        else:  # a folder that somebody works in stays as it is
            candidates.write(planned, Path(temporary))
            for file, text in side.dependencies().items():
                (Path(temporary) / file).write_text(text, encoding="utf-8")
            yield replace(side, folder=Path(temporary).resolve(), checkout=None)


def _told_apart(base: Side, head: Side, pythons: tuple[Path | None, Path | None]) -> tuple[Side, Side]:
    """Name the sides by the environments that they were given, where nothing else tells them apart."""
    if base.label != head.label or base.python == head.python:
        return base, head
    names = (str(python or "this environment") for python in pythons)
    base, head = (replace(side, name=name) for side, name in zip((base, head), names, strict=True))
    return base, head


def _left(found: pd.DataFrame) -> Iterator[str]:
    """Yield how many cases more time could have decided."""
    n = len(sittings.undecided(found))
    if n:
        yield f"{plural(n, 'case')} undecided when it ended: a longer --time-budget could decide more."


def _know(folder: Path) -> None:
    """Let the backends of somebody's own in a folder be known by name, wherever in it one stands."""
    place = folder / "backends"
    if place.is_dir() and not sides.is_whole(folder) and str(place) not in backends.__path__:
        backends.__path__.append(str(place))


def _selection(options: argparse.Namespace, base: Side, head: Side) -> Selection:
    """Return what to measure: of sides that hold somebody's own backends, these alone.

    Any other would be this installation's on both sides. Raises ValueError where one was asked for.
    """
    chosen = arguments.chosen(options)
    if base.whole != head.whole:
        whole, part = (base, head) if base.whole else (head, base)
        raise ValueError(
            f"{part.label}: holds only backends of its own, and {whole.label} holds ours: they share none"
        )
    if base.whole:
        return chosen
    for side in (head, base):
        _know(side.folder)
    declared = [side.declared() for side in (head, base)]
    every = tuple(dict.fromkeys(name for each in declared for name in each.every))
    usual = tuple(dict.fromkeys(name for each in declared for name in each.usual))
    if options.candidate:
        named = tuple(name for name in every if backends.candidate(name))
        return replace(chosen, backends=named, modes=chosen.modes or _modes(named))
    if not every:
        raise ValueError(f"{head.label}, {base.label}: neither has a module in backends/ that declares a backend")
    if foreign := [name for name in chosen.backends if name not in every]:
        raise ValueError(
            f"--backend: {listing(foreign)} would be the same on both sides, since neither holds it; "
            f"they hold {listing(every)}"
        )
    if not (chosen.backends or usual):
        raise ValueError(f"--backend: must be given, since {listing(every)} is measured on request only")
    return replace(chosen, backends=chosen.backends or usual)


def _modes(named: Sequence[str]) -> tuple[Mode, ...]:
    """Return the forward pass alone where no candidate has a gradient; none, for the usual modes, otherwise."""
    declared = backends.declarations()
    has_none = all(FRAMEWORKS[declared[name].package].on_numpy and not declared[name].gradient for name in named)
    return MODES[:1] if has_none else ()


def _declarations(cases: Iterable[Case]) -> list[Declaration]:
    """Return what the backends of the cases declare."""
    found = backends.declarations()
    return [found[name] for name in dict.fromkeys(case.backend for case in cases)]


def _differences(base: Side, head: Side, packages: Sequence[str] = ()) -> Iterator[str]:
    """Yield what differs between the two sides but their backends, and where something should but does not."""
    if (base.commit or base.folder, base.python) == (head.commit or head.folder, head.python):
        yield "Base and head are the same, in the same environment."
    names = tuple(dict.fromkeys(("python", *fingerprint.PACKAGES, *packages)))
    found = [sides.versions(side.python, names) for side in (base, head)]
    for name in names:
        old, new = (versions.get(name, "not installed") for versions in found)
        if old != new:
            yield f"{name}: {old} on the base's side, {new} on the head's."
    if base.python == head.python:
        old_files, new_files = base.dependencies(), head.dependencies()
        for name in sides.DEPENDENCIES:
            if old_files.get(name) != new_files.get(name):
                yield (
                    f"{name} differs between base and head, but both were measured in one environment; "
                    "give each its own with --base-python and --head-python."
                )
