"""`python -m benchmarks docs`: write the generated parts of the documentation: tables, outputs, pages of ops.

Tables and outputs stand between markers, the pages in docs/ops/. With --check nothing is written. Exit status: 0,
4 if something is out of date, 2 if a library is not installed.

Example: python -m benchmarks docs --check
"""

from __future__ import annotations

import argparse
import pkgutil
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import backends
from backends.catalogue import OPS
from benchmarks import commands
from benchmarks.analysis.answer import Question
from benchmarks.exits import Exit
from benchmarks.plan.presets import PRESETS
from benchmarks.record.schema import (
    ACCURACY_COLUMNS,
    COLUMNS,
    COST_COLUMNS,
    DEFAULTS,
    OPTIONS,
    PAIR_COLUMNS,
    Column,
    Policies,
    columns_of,
)
from benchmarks.reference import command_line, first_run, markdown, names, ops, support
from benchmarks.reference.support import Loaded

if TYPE_CHECKING:
    from rich.console import Console

ROOT = Path(__file__).resolve().parents[2]
OP_PAGES = ROOT / "docs" / "ops"
"""The folder of the pages of ops, which holds nothing else."""
FIRST_RUN = ROOT / "docs" / "first-run.jsonl.xz"
"""The journal of the run whose output docs/start.md shows."""
FIRST_QUESTION = Question(op="sigmoid", size=1_000_000)
"""What that page then asks `recommend`."""
FURTHER_QUESTIONS = {
    "--op tanh --size 100k": Question(op="tanh", size=100_000),
    "--op sigmoid --size 8Mi --mode backward": Question(op="sigmoid", size=2**23, mode="backward"),
    "--op tanh --size 1Mi --max-ulp 1": Question(op="tanh", size=2**20, max_ulp=1.0),
}
"""What docs/report.md asks of the same run, by the options that ask it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail if something is out of date (default: write)"
    )


def run(options: argparse.Namespace, console: Console) -> Exit:
    """Write the files that are out of date, delete the pages of ops that are no more, and print their paths."""
    if not (ROOT / "docs").is_dir():
        raise ValueError("docs: works in a checkout only: what is installed here has no pages")
    if reasons := [reason for name in backends.names() if (reason := backends.missing(name))]:
        raise ValueError("docs: the tables need every backend; " + "; ".join(reasons))
    due = {path: updated(path) for path in TABLES} | op_pages()
    outdated = {path: text for path, text in due.items() if not path.exists() or text != path.read_text("utf-8")}
    needless = [path for path in OP_PAGES.glob("*.md") if path not in due]
    if options.check and (outdated or needless):
        names = ", ".join(map(str, [*outdated, *needless]))
        print(f"error: {names}: what is generated is out of date; run: python -m benchmarks docs", file=sys.stderr)
        return Exit.WRONG
    for path, text in outdated.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        console.out(f"Written: {path}", highlight=False)
    for path in needless:
        path.unlink()
        console.out(f"Deleted: {path}", highlight=False)
    return Exit.FINE


def op_pages() -> dict[Path, str]:
    """Return the page of every op, by its path."""
    return {OP_PAGES / f"{name}.md": ops.page(spec, loaded()) for name, spec in OPS.items()}


@cache
def loaded() -> Loaded:
    """Return every backend that is measured by default; this imports their frameworks."""
    return {name: backends.load(name) for name in backends.names()}


def ops_table() -> str:
    """Return every op, which leads to its page, with its formula, arguments and budget."""
    rows = [
        {
            "op": f"[`{spec.name}`](ops/{spec.name}.md)",
            "also called": markdown.code(spec.aliases),
            "formula": f"`{spec.formula}`",
            "arguments": markdown.code(
                [f"{d.name}=None" if d.optional else d.name for d in spec.inputs]
                + [f"{p.name}={p.default!r}" for p in spec.parameters if p.name != "reduction"]
            ),
            "ULP budget, forward / backward": f"{spec.budget.forward:g} / {spec.budget.backward:g}",
            "at kinks": spec.kink_convention,
        }
        for spec in OPS.values()
    ]
    return markdown.table(rows)


def conventions_table() -> str:
    """Return the ops that libraries define differently: what is meant here, and elsewhere."""
    rows = [
        {"op": f"`{spec.name}`", "here": spec.choice, "elsewhere": spec.elsewhere}
        for spec in OPS.values()
        if spec.choice
    ]
    return markdown.table(rows)


def support_table() -> str:
    """Return which dtypes each op supports on each backend."""
    return support.support_table(loaded())


def gaps_table() -> str:
    """Return what each backend does not support, and why."""
    return support.gaps_table(loaded())


def presets_table() -> str:
    """Return the presets with what they time."""
    rows = [
        {
            "preset": f"`{name}`",
            "what it times": preset.summary,
            "ops": len(preset.ops),
            "modes": ", ".join(preset.modes),
            "dtypes": ", ".join(preset.dtypes),
            "elements": ", ".join(f"{n:,}" for n in preset.sizes) or "shapes of the model",
        }
        for name, preset in PRESETS.items()
    ]
    return markdown.table(rows)


def columns_table(columns: tuple[Column, ...] = COLUMNS) -> str:
    """Return columns, by default those of records.csv."""
    return markdown.table(
        [{"column": f"`{c.name}`", "type": c.dtype, "unit": c.unit, "meaning": c.meaning} for c in columns]
    )


def policies_table() -> str:
    """Return the policies, each with its option, its values and what they mean."""
    rows = [
        {
            "policy": f"`{policy.name}`",
            "option": f"`{OPTIONS[policy.name]}`",
            "default": f"`{DEFAULTS[policy.name]}`",
            "meaning": policy.meaning,
        }
        for policy in columns_of(Policies)
    ]
    return markdown.table(rows)


def exits_table() -> str:
    """Return the exit statuses of the commands."""
    return markdown.table([{"status": int(each), "meaning": each.__doc__} for each in Exit])


def options_tables() -> str:
    """Return a section with a table for `pytest benchmarks` and for each command."""
    found = [("pytest benchmarks", command_line.of_pytest())]
    found += [table for parser in _commands() for table in command_line.of_command(parser)]
    return "\n" + "\n\n".join(f"## {title}\n\n{table}" for title, table in found) + "\n"


@cache
def first_summary() -> str:
    """Return what a newcomer's run says at its end."""
    return first_run.summary(first_run.load(FIRST_RUN))


def first_lines() -> str:
    """Return the beginning of that, for whoever has a minute."""
    return first_run.beginning(first_summary())


@cache
def first_answer() -> str:
    """Return what `recommend` then answers."""
    return first_run.answer(first_run.load(FIRST_RUN), FIRST_QUESTION)


def answers() -> str:
    """Return what `recommend` answers to further questions."""
    return first_run.answers(first_run.load(FIRST_RUN), FURTHER_QUESTIONS)


def _commands() -> Iterator[argparse.ArgumentParser]:
    """Yield a parser for each command: a module beside this one."""
    for each in pkgutil.iter_modules(commands.__path__):
        module = import_module(f"{commands.__name__}.{each.name}")
        if hasattr(module, "add_arguments"):
            parser = argparse.ArgumentParser(prog=f"python -m benchmarks {each.name.rstrip('_')}", add_help=False)
            module.add_arguments(parser)
            yield parser


TABLES: Mapping[Path, Mapping[str, Callable[[], str]]] = {
    ROOT / "docs" / "ops.md": {
        "ops": ops_table,
        "conventions": conventions_table,
        "support": support_table,
        "gaps": gaps_table,
    },
    ROOT / "README.md": {"first-lines": first_lines},
    ROOT / "docs" / "start.md": {"first-summary": first_summary, "first-answer": first_answer},
    ROOT / "docs" / "report.md": {"answers": answers},
    ROOT / "docs" / "api.md": {"names": names.pages},
    ROOT / "docs" / "cases.md": {"presets": presets_table},
    ROOT / "docs" / "ci.md": {"exits": exits_table},
    ROOT / "docs" / "options.md": {"policies": policies_table, "options": options_tables},
    ROOT / "results" / "README.md": {
        "columns": columns_table,
        "accuracy-columns": lambda: columns_table(ACCURACY_COLUMNS),
        "pair-columns": lambda: columns_table(PAIR_COLUMNS),
        "cost-columns": lambda: columns_table(COST_COLUMNS),
    },
}
"""What is generated of each page, by the names of its markers."""


def update(text: str, name: str, table: str) -> str:
    """Return `text` with `table` between the markers called `name`; raise ValueError if there are none."""
    opening, closing = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    before, found, rest = text.partition(opening)
    _, also_found, after = rest.partition(closing)
    if not (found and also_found):
        raise ValueError(f"docs: there are no markers {opening.strip()} and {closing}")
    return f"{before}{opening}{table}\n{closing}{after}"


def updated(path: Path) -> str:
    """Return the text of a file with its tables up to date."""
    text = path.read_text(encoding="utf-8")
    for name, table in TABLES[path].items():
        text = update(text, name, table())
    return text
