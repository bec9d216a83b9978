"""Exit statuses of `python -m benchmarks COMMAND`, all of them: what a script can rely on.

pytest's own statuses stay pytest's.
"""

from __future__ import annotations

import signal
from enum import IntEnum
from typing import Self


class Exit(IntEnum):
    """How a command ended. Each member's docstring is its line of the table in `docs/ci.md`."""

    def __new__(cls, value: int, meaning: str) -> Self:
        """Make a member that carries its meaning as its docstring."""
        member = int.__new__(cls, value)
        member._value_ = value
        member.__doc__ = meaning
        return member

    FINE = (
        0,
        "The command did what was asked. `compare` and `ab`: nothing got worse. `try`: the function is right.",
    )
    WORSE = (
        1,
        (
            "`compare` and `ab`: something is slower, or fails now. `try`: the function is slower than `--than`. "
            "`fleet`: a test failed."
        ),
    )
    USAGE = (
        2,
        "A wrong command line, a file that cannot be read or written, or runs that cannot be compared.",
    )
    UNSURE = (
        3,
        (
            "Could not tell. `compare`, `ab`, `try`: no case could be judged. "
            "`fleet`: a group was not measured. Others: the run did not measure what you ask for."
        ),
    )
    WRONG = (
        4,
        (
            "Wrong. `compare` and `ab`: a result of the head is wrong, and the base had no right one either; "
            "`try`: a result is wrong; `docs --check`: something is out of date; "
            "`validate`: something does not hold."
        ),
    )
    CHEATED = 5, "`compare`, `ab` and `try`: a kernel cheated the clock. This outweighs every other verdict."
    FAULT = 70, "An error in this program. Its traceback is printed; please report it."
    INTERRUPTED = 128 + signal.SIGINT, "Interrupted by Ctrl-C. `ab` then ends with the verdict that it has."
    UNREAD = (
        128 + signal.SIGPIPE,
        "Whoever read the output has stopped, as `head -1` does (what a shell returns for SIGPIPE).",
    )


class CannotTell(ValueError):  # noqa: N818 - it is no error
    """The question was understood, and what was measured does not answer it: ends a command with `Exit.UNSURE`."""
