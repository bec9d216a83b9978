"""Teams: how many threads a CPU backend is given, as a value of the policy `team` such as `2threads`."""

from __future__ import annotations

import re

_TEAM = re.compile(r"([1-9][0-9]*)(?:threads?)?")

USUAL = "usual"
"""The team where a run has one number of threads for all of its cases."""


def label_of(n_threads: int) -> str:
    """Return the team of so many threads: `1thread`, `2threads`."""
    return f"{n_threads}thread{'s' * (n_threads != 1)}"


def size_of(team: str) -> int | None:
    """Return how many threads a team has; None for any other text, as for the usual one: the run knows."""
    match = _TEAM.fullmatch(team)
    return int(match[1]) if match else None


def parse_team(text: str) -> str:
    """Return the team that a text such as `2`, `2threads` or `usual` names; raise ValueError for any other."""
    size = size_of(text)
    if size:
        return label_of(size)
    if text == USUAL:
        return text
    raise ValueError(f"must be a number of threads, at least 1, or {USUAL}; got {text!r}")
