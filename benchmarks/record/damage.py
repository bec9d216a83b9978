"""Damage: what is said of a file that cannot be read, in one line.

A file that was asked for by name ends the command (`UnreadableError`); one that was found in a folder is passed
over (`pass_over`), so that one bad file costs nobody the good ones.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TypeVar

Item = TypeVar("Item")
_MOST = 300
"""Characters of a reason: a library may quote the whole file."""


class UnreadableError(ValueError):
    """A file cannot be read. The message names the file, the place and what to do."""

    def __init__(self, path: Path, place: str, reason: str | Exception, remedy: str) -> None:
        where = f"{named(path)}:{place}" if place else named(path)
        super().__init__(f"{where}: {reason if isinstance(reason, str) else said(reason)}; {remedy}")


def content_of(path: Path) -> bytes:
    """Return what is in a file; raise OSError for what is none: a pipe in its place would never end."""
    if path.exists() and not path.is_file():
        raise OSError(f"{named(path)}: is not a file")
    return path.read_bytes()


def first_wrong(items: Sequence[Item], build: Callable[[Sequence[Item]], object]) -> int:
    """Return the first of some items up to which nothing can be built of them, by halving; all of them cannot."""
    low, high = 0, len(items) - 1
    while low < high:
        middle = (low + high) // 2
        try:
            build(items[: middle + 1])
        except Exception:  # what is in a file can be anything
            high = middle
        else:
            low = middle + 1
    return low


def named(path: Path | str) -> str:
    """Return a file's name on one line, whatever it holds: control characters and bytes outside UTF-8 escaped."""
    text = str(path)
    return text if text.isprintable() else ascii(text)


def said(error: Exception) -> str:
    """Return in a few words, on one line, what an exception of any kind says."""
    if isinstance(error, KeyError):
        return f"{error} is missing"
    text = " ".join(str(error).split()) or type(error).__name__
    text = text if len(text) <= _MOST else text[: _MOST - 1] + "…"
    return text if text.isprintable() else ascii(text)


@cache
def _say(text: str) -> None:
    print(text, file=sys.stderr)


def pass_over(path: Path, error: Exception) -> None:
    """Say, once, that a file in a folder is passed over, and why."""
    reason = said(error)
    _say(f"passed over: {reason}" if named(path) in reason else f"passed over: {named(path)}: {reason}")
