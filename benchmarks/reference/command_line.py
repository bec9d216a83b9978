"""Tables of command-line options: what each takes, its default, and what it does."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from benchmarks.reference import markdown

_MOST_VALUES = 5
"""Values of a default that a table shows."""


def of_pytest() -> str:
    """Return the table of our options of `pytest benchmarks`."""
    import pytest
    from pytest_benchmark import plugin

    from benchmarks.plugin import options

    declared = pytest.Parser(_ispytest=True)
    plugin.pytest_addoption(declared)  # ours extend them
    options.pytest_addoption(declared)
    ours = declared.getgroup("activation-bench").options
    return markdown.table([row(argparse.Namespace(**option.attrs())) for option in ours])


def of_command(parser: argparse.ArgumentParser) -> Iterator[tuple[str, str]]:
    """Yield a command's name and its table; then those of the commands below it."""
    below: list[argparse.ArgumentParser] = []
    rows = []
    for action in parser._actions:  # noqa: SLF001 - argparse tells them in no other way
        if isinstance(action.choices, dict):
            below += action.choices.values()
        elif not isinstance(action, argparse._HelpAction):  # noqa: SLF001
            rows.append(row(action))
    if rows or not below:
        yield parser.prog, markdown.table(rows)
    for each in below:
        yield from of_command(each)


def row(action: Any) -> dict[str, str]:
    """Return the row of an option or argument: of argparse's action, or of what has its attributes."""
    names = action.option_strings or [str(action.metavar or action.dest)]
    return {
        "option": markdown.code(names),
        "takes": _taken(action),
        "default": _default(action.default),
        "meaning": markdown.plain((action.help or "") % vars(action)),
    }


def _taken(action: Any) -> str:
    if action.nargs == 0:
        return ""
    if action.choices is not None:
        return " or ".join(f"`{choice}`" for choice in action.choices)
    several = " ..." if action.nargs in ("+", "*") else ""
    return f"`{action.metavar or action.dest.upper()}{several}`"


def _default(value: object) -> str:
    if isinstance(value, list | tuple):  # of a long one, such as all ops, the meaning tells
        value = " ".join(map(str, value)) if len(value) <= _MOST_VALUES else None
    if value is None or value is False or value in ("", argparse.SUPPRESS):
        return ""
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"
