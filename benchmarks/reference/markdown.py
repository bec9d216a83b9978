"""Markdown that GitHub and the built site read alike."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd


def table(rows: Sequence[Mapping[str, object]]) -> str:
    """Return a table with a column for each key; empty without rows."""
    return pd.DataFrame(rows).to_markdown(index=False) if rows else ""


def code(names: Iterable[str]) -> str:
    """Return names as code, separated by commas."""
    return ", ".join(f"`{name}`" for name in names)


def plain(text: str) -> str:
    """Return a text that shows as it is: markup, and what would end a cell, is escaped; code stays."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(
        part.replace("|", r"\|") if part.startswith("`") else re.sub(r"([*_|<>\[\]])", r"\\\1", part)
        for part in parts
    )
