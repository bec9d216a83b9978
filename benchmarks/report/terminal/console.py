"""The console: where every line for a person goes, in colour or without."""

from __future__ import annotations

import os
import sys
from typing import TextIO

from rich.console import Console
from rich.text import Text

from benchmarks.report.terminal.glyphs import spelled

_NARROWEST = 20


class _Console(Console):
    """Leaves it to the command what a closed pipe means: rich itself would exit with 1, which is a verdict."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def open_console(stream: TextIO | None = None, *, colour: bool = True) -> Console:
    """Return a console on `stream`, or on stdout, that writes no escapes without `colour` or with NO_COLOR set."""
    colour = colour and not os.environ.get("NO_COLOR")
    console = _Console(file=stream or sys.stdout, color_system="auto" if colour else None, highlight=False)
    console.width = max(console.width, _NARROWEST)  # COLUMNS=0 is set by terminals that do not know their width
    return console


def text_for(console: Console, words: str, style: str = "") -> Text:
    """Return words in signs that a console's encoding has."""
    return Text(spelled(words, console.encoding), style)
