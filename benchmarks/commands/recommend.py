"""`python -m benchmarks recommend --op OP --size N`: which backend to use, by how much, and how sure that is.

It names the fastest backend whose largest error is within the op's budget, or within `--max-ulp`, and whose
memory is within `--max-memory`; infinite, NaN and subnormal values are not counted. Where accuracy was not checked
it says so first. After the answer come the lines that import and call that backend. The answer comes from the last
run (results/latest/), or from `--run`. `--table` answers for everything that the run measured, as JSON for a
program. Exit status: 0 answered, 3 what the run measured does not answer it, 2 there is no such run.

Example: python -m benchmarks recommend --op gelu --size 1e6 --dtype bf16
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from benchmarks.analysis.answer import Question
from benchmarks.analysis.recommend import as_measured, decision_table, recommend
from benchmarks.commands import add_results
from benchmarks.exits import Exit
from benchmarks.plan import arguments
from benchmarks.record import saved
from benchmarks.record.run import Run
from benchmarks.record.schema import CHOICES, DEFAULTS, DTYPES, MODES, OPTIONS
from benchmarks.record.shapes import label_of

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from rich.console import Console

    from benchmarks.analysis.dtypes import GainCase
    from benchmarks.analysis.fusions import FusedCase


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add = parser.add_argument
    for name, text in (
        ("op", "the op, by any of its names (default: none; needed, except for --table)"),
        ("size", "number of elements of the first input, such as 1e6 or 1M (default: those of --shape)"),
        ("shape", "the whole shape, such as 1024x32000 (default: any of that size)"),
        ("device", "the device (default: the fastest that was measured)"),
    ):
        arguments.add_reading(add, f"--{name}", text)
    types = f"{', '.join(DTYPES)}; with several, also what each gains and costs (default: {Question.dtype})"
    arguments.add_reading(add, "--dtype", types, several=True)
    for name, values in {"mode": MODES, **CHOICES}.items():
        usual = getattr(Question, name)
        arguments.add_reading(add, f"--{name}", f"{', '.join(values)} (default: {usual})", default=usual)
    add(
        OPTIONS["team"],
        dest="team",
        type=arguments.team,
        default=Question.team,
        metavar="N",
        help="the number of threads, if the run had several (default: the run's one)",
    )
    add(
        "--max-ulp",
        type=arguments.ulp,
        metavar="ULP",
        help="the largest error allowed, or inf for any (default: the op's budget)",
    )
    add(
        "--max-memory",
        type=arguments.memory,
        metavar="BYTES",
        help="memory that a call may use beyond its inputs and outputs, such as 64MiB (default: any)",
    )
    add(
        "--fused",
        action="store_true",
        help="also compare a fused op with its parts, such as cross_entropy (default: not)",
    )
    add(
        "--transfer",
        choices=("included", "excluded"),
        default="excluded",
        help="whether to add the time from the host to the device and back (default: excluded)",
    )
    add(
        "--run",
        type=arguments.given,
        metavar="RUN",
        help="a saved name, a number, or a file (default: the last run)",
    )
    add("--json", action="store_true", help="print the answer as JSON (default: a sentence)")
    add(
        "--table",
        action="store_true",
        help="print, as JSON, what to use for all that was measured (default: an answer)",
    )
    add_results(parser)


def run(options: argparse.Namespace, console: Console) -> Exit:
    """Print the answer."""
    if options.table:
        table = decision_table(
            saved.load_or_last(options.run, options.results),
            max_ulp=options.max_ulp,
            max_memory=options.max_memory,
            transfer=options.transfer == "included",
        )
        print(json.dumps(table, indent=1, allow_nan=False))
        return Exit.FINE
    question, dtypes = _question(options), list(dict.fromkeys(options.dtype or [Question.dtype]))
    measured = saved.load_or_last(options.run, options.results)
    # First: what it misses it proposes to measure in all types, where an answer names its own alone.
    gains, fused = _beside(measured, as_measured(question, measured), dtypes, fused=options.fused)
    answers = [recommend(measured, replace(question, dtype=dtype)) for dtype in dtypes]
    if options.json:
        told = [answer.as_dict() for answer in answers]
        more = {"other_types": told[1:], "gains": list(map(_known, gains)), "fused": list(map(_known, fused))}
        print(json.dumps(told[0] | {name: each for name, each in more.items() if each}, indent=1, allow_nan=False))
    else:
        lines = [line for answer in answers for line in answer.lines]
        lines += [gain.sentence for gain in gains] + [each.sentence for each in fused]
        # Of several types, what makes the run doubtful is said once, and last.
        lines = sorted(dict.fromkeys(lines), key=lambda line: line.startswith("Warning: "))
        for backend, call in dict.fromkeys((answer.best.backend, tuple(answer.call)) for answer in answers):
            lines += [f"To call {backend}:", *(f"    {line}".rstrip() for line in call)]
        for line in lines:
            console.print(line, highlight=False, markup=False, soft_wrap=True)
    return Exit.FINE


def _beside(
    measured: Run, asked: Question, dtypes: Sequence[str], *, fused: bool
) -> tuple[list[GainCase], list[FusedCase]]:
    """Return what several types gain and cost, and how a fused function compares with its parts, if asked for."""
    if len(dtypes) == 1 and not fused:
        return [], []
    from benchmarks.analysis import beside  # late: an answer alone needs no frames, and so half of the time
    from benchmarks.analysis.study import Study

    study = Study(measured)
    gains = beside.other_types(study, asked, dtypes) if len(dtypes) > 1 else []
    return gains, beside.parts(study, asked) if fused else []


def _known(found: DataclassInstance) -> dict[str, object]:
    """Return what stands beside an answer as a program reads it: JSON has no NaN, so what is unknown is None."""
    facts = asdict(found)
    return {name: None if isinstance(fact, float) and math.isnan(fact) else fact for name, fact in facts.items()}


def _question(options: argparse.Namespace) -> Question:
    """Return what is asked for; raise ValueError where it lacks the function or the size."""
    if options.op is None:
        raise ValueError("--op: must be given, unless --table is")
    size, shape = options.size, options.shape
    if isinstance(size, tuple):  # said to be read as a shape
        size, shape = None, size
    return Question(
        op=options.op,
        size=_size(size, shape),
        mode=options.mode,
        device=options.device,
        shape=shape and label_of(shape),
        **{policy: getattr(options, policy) for policy in DEFAULTS},
        max_ulp=options.max_ulp,
        max_memory=options.max_memory,
        transfer=options.transfer == "included",
    )


def _size(size: int | None, shape: tuple[int, ...] | None) -> int:
    """Return the number of elements that either option asks for."""
    found = size if shape is None else math.prod(shape)
    if found is None:
        raise ValueError("--size: must be given, or --shape, unless --table is")
    if size not in (None, found):
        raise ValueError(f"--size: must be the {found} elements of --shape, or be left out; got {size}")
    return found
