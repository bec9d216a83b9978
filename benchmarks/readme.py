"""The README's generated tables: `python -m benchmarks.readme` writes them anew between their markers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from backends.catalogue import OPS
from benchmarks.analysis.records import COLUMNS
from benchmarks.cases import PRESETS

ROOT = Path(__file__).parent.parent


def ops_table() -> str:
    """Return the catalogue as a Markdown table."""
    rows = [
        {
            "op": f"`{spec.name}`",
            "formula": f"`{spec.formula}`",
            "parameters": ", ".join(f"`{p.name}={p.default!r}`" for p in spec.parameters),
            "ULP budget, forward / backward": f"{spec.budget.forward:g} / {spec.budget.backward:g}",
            "at kinks": spec.kink_convention,
        }
        for spec in OPS.values()
    ]
    return _markdown(rows)


def presets_table() -> str:
    """Return the presets as a Markdown table."""
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
    """Return the record schema as a Markdown table."""
    return _markdown([{"column": f"`{c.name}`", "type": c.dtype, "meaning": c.meaning} for c in COLUMNS])


TABLES = {
    ROOT / "README.md": {"ops": ops_table, "presets": presets_table},
    ROOT / "results" / "README.md": {"columns": columns_table},
}


def update(text: str, name: str, table: str) -> str:
    """Return `text` with `table` between the markers called `name`; raise ValueError if they are not there."""
    opening, closing = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    before, found, rest = text.partition(opening)
    _, also_found, after = rest.partition(closing)
    if not (found and also_found):
        raise ValueError(f"name: there are no markers {opening.strip()} and {closing}")
    return f"{before}{opening}{table}\n{closing}{after}"


def updated(path: Path) -> str:
    """Return what a file with generated tables must say."""
    text = path.read_text(encoding="utf-8")
    for name, table in TABLES[path].items():
        text = update(text, name, table())
    return text


def _markdown(rows: Sequence[Mapping[str, object]]) -> str:
    return pd.DataFrame(rows).to_markdown(index=False)


if __name__ == "__main__":
    for file in TABLES:
        file.write_text(updated(file), encoding="utf-8")
