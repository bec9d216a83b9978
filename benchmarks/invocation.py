"""How the user calls us: what we tell somebody to type works where they are.

Text is written as one types it in a checkout, and said as the user would type it.
"""

from __future__ import annotations

import sys
from pathlib import Path

SCRIPT = "activation-bench"
"""The console script, the only way to call what is installed from a wheel."""
RUN = "run"
"""Its command that does what `pytest benchmarks` does in a checkout."""
SUITES = {"timing": "benchmarks/test_timing.py", "correctness": "benchmarks/test_correctness.py"}
"""The suites by what `run` calls them, each with its path in a checkout."""

_COMMAND = "python -m benchmarks"
_SPOKEN = {
    _COMMAND: SCRIPT,
    **{f"pytest {path}": f"{SCRIPT} {RUN} {suite}" for suite, path in SUITES.items()},
    "pytest benchmarks": f"{SCRIPT} {RUN}",
}
"""What one types in a checkout, and what that is for the console script; the longest first."""


def by_script() -> bool:
    """Tell whether the user calls the console script: always, but in a checkout where it is only one way."""
    return "." in __package__ or Path(sys.argv[0]).stem == SCRIPT


def command() -> str:
    """Return what the user typed to get here, up to the command's name."""
    return SCRIPT if by_script() else _COMMAND


def as_called(text: str) -> str:
    """Return a text in which every command line reads as the user would type it."""
    if by_script():
        for checkout, script in _SPOKEN.items():
            text = text.replace(checkout, script)
    return text
