"""`python -m benchmarks docs`: write the generated tables of the documentation, between their markers.

With --check nothing is written. Exit status: 0, 4 if a table is out of date, 2 if a library is not installed.

Example: python -m benchmarks docs --check
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

import backends
from backends.catalogue import OPS
from backends.interface import MODES, Backend, Gap
from benchmarks.exits import Exit
from benchmarks.plan.presets import PRESETS
from benchmarks.record.schema import COLUMNS, DTYPES

if TYPE_CHECKING:
    from rich.console import Console

ROOT = Path(__file__).resolve().parents[2]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail if a table is out of date (default: write)"
    )


def run(options: argparse.Namespace, console: Console) -> Exit:
    """Write the files that are out of date and print their paths."""
    if not (ROOT / "docs").is_dir():
        raise ValueError("docs: writes the pages of a checkout, and what is installed here has none")
    if reasons := [reason for name in backends.names() if (reason := backends.missing(name))]:
        raise ValueError("docs: the tables describe every backend; " + "; ".join(reasons))
    outdated = {path: text for path in TABLES if (text := updated(path)) != path.read_text(encoding="utf-8")}
    if options.check and outdated:
        names = ", ".join(map(str, outdated))
        print(f"error: {names}: a generated table is out of date; run: python -m benchmarks docs", file=sys.stderr)
        return Exit.WRONG
    for path, text in outdated.items():
        path.write_text(text, encoding="utf-8")
        console.out(f"Written: {path}", highlight=False)
    return Exit.FINE


def ops_table() -> str:
    """Return every op with its formula, arguments and budget."""
    rows = [
        {
            "op": f"`{spec.name}`",
            "also called": _code(spec.aliases),
            "formula": f"`{spec.formula}`",
            "arguments": _code(
                [f"{d.name}=None" if d.optional else d.name for d in spec.inputs]
                + [f"{p.name}={p.default!r}" for p in spec.parameters if p.name != "reduction"]
            ),
            "ULP budget, forward / backward": f"{spec.budget.forward:g} / {spec.budget.backward:g}",
            "at kinks": spec.kink_convention,
        }
        for spec in OPS.values()
    ]
    return _markdown(rows)


def conventions_table() -> str:
    """Return the ops that libraries define differently: what is meant here, and elsewhere."""
    rows = [
        {"op": f"`{spec.name}`", "here": spec.choice, "elsewhere": spec.elsewhere}
        for spec in OPS.values()
        if spec.choice
    ]
    return _markdown(rows)


def support_table() -> str:
    """Return which dtypes each op supports on each backend, which are all imported."""
    loaded = {name: backends.load(name) for name in backends.names()}
    rows = [{"op": f"`{op}`"} | {name: _supported(backend, op) for name, backend in loaded.items()} for op in OPS]
    return _markdown(rows)


def gaps_table() -> str:
    """Return what each backend does not support, and why; imports them all."""
    owners: dict[Gap, list[str]] = {}
    for name in backends.names():
        for gap in _gaps(backends.load(name)):
            owners.setdefault(gap, []).append(name)
    rows = [
        {
            "backend": "all" if len(names) == len(backends.names()) else ", ".join(names),
            "op": _code(gap.ops) or "all",
            "what": ", ".join([*gap.dtypes, *gap.modes, *gap.allocations, *gap.devices]) or "all",
            "why": gap.reason,
            "whose": {"todo": "ours to write", "upstream": "the framework's", "never": "makes no sense"}[gap.kind],
        }
        for gap, names in owners.items()
    ]
    return _markdown(rows)


def _gaps(backend: Backend) -> list[Gap]:
    """Return the gaps that a backend declares, and one for each op without a function."""
    missing = (backend.supports(op) for op in OPS)
    return [*backend.gaps, *(gap for gap in missing if isinstance(gap, Gap) and gap not in backend.gaps)]


def _supported(backend: Backend, op: str) -> str:
    """Return the dtypes in which an op runs, forward and backward."""
    names = [dtype for dtype in DTYPES if all(backend.supports(op, dtype=dtype, mode=mode) for mode in MODES)]
    return "all" if len(names) == len(DTYPES) else ", ".join(names) or "none"


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


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
    return _markdown(rows)


def columns_table() -> str:
    """Return the columns of records.csv."""
    return _markdown(
        [{"column": f"`{c.name}`", "type": c.dtype, "unit": c.unit, "meaning": c.meaning} for c in COLUMNS]
    )


def exits_table() -> str:
    """Return the exit statuses of the commands."""
    return _markdown([{"status": int(each), "meaning": each.__doc__} for each in Exit])


TABLES = {
    ROOT / "docs" / "ops.md": {
        "ops": ops_table,
        "conventions": conventions_table,
        "support": support_table,
        "gaps": gaps_table,
    },
    ROOT / "docs" / "cases.md": {"presets": presets_table},
    ROOT / "docs" / "ci.md": {"exits": exits_table},
    ROOT / "results" / "README.md": {"columns": columns_table},
}


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


def _markdown(rows: Sequence[Mapping[str, object]]) -> str:
    return pd.DataFrame(rows).to_markdown(index=False)
