"""A sentence about a whole run that its reader should know, and what it makes doubtful."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

About = Literal["times", "load", "limit", "transfers", "budget"]
"""What a caveat is about: the times; the load of other programs, which makes them doubtful; the measured limit,
and no time; transfers that were not measured; or a budget that left something unmeasured."""


@dataclass(frozen=True)
class Caveat:
    """One sentence in plain words, `text`, and what it is `about`."""

    text: str
    about: About = "times"

    def __str__(self) -> str:
        return self.text
