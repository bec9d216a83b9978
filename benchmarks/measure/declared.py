"""Which backends lie in a folder: `python elsewhere.py FOLDER CHECKOUT benchmarks.measure.declared FOLDER`.

Prints their names as JSON: those that are measured by default as `usual`, all of them as `every`.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import backends


def main() -> None:
    """Print the names."""
    folder = Path(sys.argv[1])
    every = [name for name, each in backends.declarations().items() if _lies_in(folder, each.module)]
    print(json.dumps({"usual": [name for name in backends.names() if name in every], "every": every}))


def _lies_in(folder: Path, module: str) -> bool:
    if not module.startswith(f"{backends.__name__}."):
        return False  # an installed package's, which is the same on both sides
    found = importlib.util.find_spec(module)
    return bool(found and found.origin and Path(found.origin).resolve().is_relative_to(folder))


if __name__ == "__main__":
    main()
