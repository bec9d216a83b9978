"""Privacy: what people publish of a run names no user.

Reports, exports and histories are made to be shown. Texts come into them from command lines, from exceptions and
from the names of packages' files; a home folder in one of them becomes `~` before it is written.
"""

from __future__ import annotations

import re
from pathlib import Path

_HOMES = re.compile(r"(?:/home|/Users)/[^/\s'\":,;]+|[A-Za-z]:\\Users\\[^\\\s'\":,;]+|/root(?![\w.-])")
"""Home folders as Linux, macOS and Windows lay them out: another user's is as private as one's own."""


def without_homes(text: str) -> str:
    """Return `text` with `~` in place of each home folder."""
    if "/" not in text and "\\" not in text:  # most texts: to ask for one's home takes 40 µs
        return text
    home = str(Path.home())
    if len(home) > 1:  # that of a user without one is /
        text = re.sub(rf"{re.escape(home)}(?![\w.-])", "~", text)
    return _HOMES.sub("~", text)
